// SPDX-License-Identifier: Apache-2.0
// Holds the table of architectures, and finds one by any of its names.
#include "recipe/arch.h"

#include <string.h>
#include <sys/utsname.h>

const struct arch arch_table[] = {
    {"x86_64", "amd64", "x86_64", "x86_64-linux-gnu", "x86_64", "amd64"},
    {"s390x", "s390x", "s390", "s390x-linux-gnu", "s390x", "s390x"},
    {"aarch64", "arm64", "arm64", "aarch64-linux-gnu", "aarch64", "arm64"},
    {"ppc64le", "ppc64el", "powerpc", "powerpc64le-linux-gnu", "ppc64", "ppc64le"},
};
const size_t arch_count = ARRAY_LEN(arch_table);

static const struct arch *lookup(const char *name)
{
    for (size_t i = 0; i < arch_count; i++) {
        const struct arch *a = &arch_table[i];
        if (!strcmp(name, a->name) || !strcmp(name, a->debian) || !strcmp(name, a->linux_) ||
            !strcmp(name, a->oci))
            return a;
    }
    return NULL;
}

const struct arch *arch_find(const char *name, struct error **err)
{
    const struct arch *found = lookup(name);
    if (found)
        return found;
    struct strlist names = {0};
    for (size_t i = 0; i < arch_count; i++)
        strlist_add(&names, arch_table[i].name);
    const char *nearest = nearest_name(name, &names);
    cleanup_free char *all = strlist_join(&names, ", ");
    error_user(err, "unknown architecture '%s'", name);
    if (nearest)
        error_hint(err, "did you mean %s? (known: %s)", nearest, all);
    else
        error_hint(err, "known architectures: %s", all);
    strlist_free(&names);
    return NULL;
}

const struct arch *arch_host(void)
{
    struct utsname u;
    const struct arch *found = uname(&u) == 0 ? lookup(u.machine) : NULL;
    return found ? found : &arch_table[0];
}

char *arch_expand(const char *text, const struct arch *a)
{
    const struct placeholder names[] = {{"{arch}", a->name}, {"{linux_arch}", a->linux_}};
    return placeholders_expand(text, names, ARRAY_LEN(names));
}
