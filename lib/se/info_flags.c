// SPDX-License-Identifier: Apache-2.0
// The tables of a header's flags by name.
#include "se/info_flags.h"

struct flag {
    unsigned bit; // 0: the most significant
    const char *name;
};

static const struct flag pcf_flags[] = {
    {34, "dump"},          {35, "no-component-encryption"},
    {56, "pckmo-deatdea"}, {57, "pckmo-aes"},
    {58, "pckmo-ecc"},     {59, "pckmo-hmac"},
    {62, "backup-keys"},
};
static const struct flag scf_flags[] = {
    {1, "cck-extension-secret"},
    {2, "cck-update"},
};

static void names(uint64_t value, const struct flag *flags, size_t count, struct strlist *out)
{
    for (unsigned bit = 0; bit < 64; bit++) {
        size_t i = 0;
        if (!(value >> (63 - bit) & 1))
            continue;
        while (i < count && flags[i].bit != bit)
            i++;
        if (i < count)
            strlist_add(out, flags[i].name);
        else
            strlist_addf(out, "unknown-bit-%u", bit);
    }
}

void flag_names_pcf(uint64_t pcf, struct strlist *out)
{
    names(pcf, pcf_flags, sizeof pcf_flags / sizeof *pcf_flags, out);
}

void flag_names_scf(uint64_t scf, struct strlist *out)
{
    names(scf, scf_flags, sizeof scf_flags / sizeof *scf_flags, out);
}
