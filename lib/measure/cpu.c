// SPDX-License-Identifier: Apache-2.0
// QEMU's models of AMD processors that can host confidential guests (target/i386/cpu.c,
// builtin_x86_defs[] up to version 10.1). A version ("EPYC-v4") changes features, never the
// signature, so a line says how many there are.
#include "measure/measure.h"

#include <string.h>

static const struct model {
    const char *name;
    unsigned versions, family, model, stepping;
} models[] = {
    {"EPYC", 5, 23, 1, 2},       {"EPYC-IBPB", 0, 23, 1, 2},   {"EPYC-Rome", 5, 23, 49, 0},
    {"EPYC-Milan", 3, 25, 1, 1}, {"EPYC-Genoa", 2, 25, 17, 0}, {"EPYC-Turin", 1, 26, 0, 0},
};

uint32_t cpu_signature(unsigned family, unsigned model, unsigned stepping)
{
    unsigned extended = family > 0xF ? (family - 0xF) & 0xFF : 0;
    unsigned base = family > 0xF ? 0xF : family;
    return extended << 20 | (model >> 4 & 0xF) << 16 | base << 8 | (model & 0xF) << 4 |
           (stepping & 0xF);
}

void cpu_type_names(struct strlist *out)
{
    for (const struct model *m = models; m < models + ARRAY_LEN(models); m++) {
        strlist_add(out, m->name);
        for (unsigned v = 1; v <= m->versions; v++)
            strlist_addf(out, "%s-v%u", m->name, v);
    }
}

// Is `name` this model, or a version of it?
static bool is_model(const struct model *m, const char *name)
{
    if (!strcmp(name, m->name))
        return true;
    for (unsigned v = 1; v <= m->versions; v++) {
        cleanup_free char *version = xasprintf("%s-v%u", m->name, v);
        if (!strcmp(name, version))
            return true;
    }
    return false;
}

int cpu_type_signature(const char *name, uint32_t *out, struct error **err)
{
    for (const struct model *m = models; m < models + ARRAY_LEN(models); m++) {
        if (!is_model(m, name))
            continue;
        *out = cpu_signature(m->family, m->model, m->stepping);
        return 0;
    }
    cleanup_strlist struct strlist names = {0};
    cpu_type_names(&names);
    cleanup_free char *all = strlist_join(&names, ", ");
    const char *nearest = nearest_name(name, &names);
    error_set(err, ERROR_USAGE, "there is no CPU type '%s' for confidential AMD guests", name);
    if (nearest)
        return error_hint(err,
                          "did you mean %s? There are %s; --vcpu-sig takes any other as a number",
                          nearest, all);
    return error_hint(err, "there are %s; --vcpu-sig takes any other as a number", all);
}
