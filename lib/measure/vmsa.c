// SPDX-License-Identifier: Apache-2.0
// Fills in a VMSA with the common values and those of each VMM, and lists QEMU's CPU models.
#include "measure/internal.h"

#include <string.h>

// Offsets in the save area, APM table B-4.
enum vmsa_offset {
    VMSA_ES = 0x000, // segments: le16 selector, le16 attributes, le32 limit, le64 base
    VMSA_CS = 0x010,
    VMSA_SS = 0x020,
    VMSA_DS = 0x030,
    VMSA_FS = 0x040,
    VMSA_GS = 0x050,
    VMSA_GDTR = 0x060,
    VMSA_LDTR = 0x070,
    VMSA_IDTR = 0x080,
    VMSA_TR = 0x090,
    VMSA_EFER = 0x0D0,
    VMSA_CR4 = 0x148,
    VMSA_CR0 = 0x158,
    VMSA_DR7 = 0x160,
    VMSA_DR6 = 0x168,
    VMSA_RFLAGS = 0x170,
    VMSA_RIP = 0x178,
    VMSA_PAT = 0x268,
    VMSA_RDX = 0x310,
    VMSA_SEV_FEATURES = 0x3B0,
    VMSA_XCR0 = 0x3E8,
    VMSA_MXCSR = 0x408,
    VMSA_X87_FCW = 0x410
};

// The values common to all VMMs.
static const struct vmsa_field {
    uint16_t offset, bytes;
    uint64_t value;
} vmsa_fields[] = {
    {VMSA_EFER, 8, 0x1000}, // SVME, set by KVM
    {VMSA_CR4, 8, 0x40},    // MCE, set by KVM
    {VMSA_CR0, 8, 0x10},    {VMSA_DR7, 8, 0x400}, {VMSA_DR6, 8, 0xFFFF0FF0},
    {VMSA_RFLAGS, 8, 0x2},  {VMSA_XCR0, 8, 0x1},
};

static const struct vmsa_segment {
    uint16_t offset, attributes;
} vmsa_segments[] = {
    {VMSA_ES, 0x93}, {VMSA_DS, 0x93}, {VMSA_FS, 0x93},   {VMSA_GS, 0x93},
    {VMSA_GDTR, 0},  {VMSA_IDTR, 0},  {VMSA_LDTR, 0x82},
};

// The values that differ. Only QEMU resets registers as real hardware does, where RDX holds the
// signature of the processor; the other two start with a fixed RDX and with FPU state zero.
static const struct vmsa_reset {
    uint16_t cs_first, cs_other; // attributes at the reset vector and elsewhere
    uint16_t ss, tr;
    bool signature_in_rdx;
    uint64_t rdx, pat;
    uint32_t mxcsr;
    uint16_t fcw;
} vmsa_resets[VMMS] = {
    [VMM_QEMU] = {0x9B, 0x9B, 0x93, 0x8B, true, 0, 0x0007040600070406, 0x1F80, 0x037F},
    [VMM_EC2] = {0x9A, 0x9B, 0x92, 0x83, false, 0x600, 0x0007040600070406, 0, 0},
    [VMM_GCE] = {0x9B, 0x9B, 0x93, 0x8B, false, 0x600, 0x0000000000070106, 0, 0},
};

static void put_segment(unsigned char *page, enum vmsa_offset at, uint16_t selector,
                        uint16_t attributes, uint64_t base)
{
    put_le(page + at, selector, 2);
    put_le(page + at + 2, attributes, 2);
    put_le(page + at + 4, 0xFFFF, 4);
    put_le(page + at + 8, base, 8);
}

void snp_vmsa(enum launch_vmm vmm, uint32_t start, uint32_t cpu_signature, uint64_t features,
              unsigned char page[static X86_PAGE])
{
    const struct vmsa_reset *s = &vmsa_resets[vmm];
    memset(page, 0, X86_PAGE);
    for (const struct vmsa_field *f = vmsa_fields; f < vmsa_fields + ARRAY_LEN(vmsa_fields); f++)
        put_le(page + f->offset, f->value, f->bytes);
    for (const struct vmsa_segment *g = vmsa_segments; g < vmsa_segments + ARRAY_LEN(vmsa_segments);
         g++)
        put_segment(page, g->offset, 0, g->attributes, 0);
    // Real mode: CS:IP with a base of its own reaches the last 64 KiB below 4 GiB.
    put_segment(page, VMSA_CS, 0xF000, start == VMSA_RESET_VECTOR ? s->cs_first : s->cs_other,
                start & 0xFFFF0000u);
    put_segment(page, VMSA_SS, 0, s->ss, 0);
    put_segment(page, VMSA_TR, 0, s->tr, 0);
    put_le(page + VMSA_RIP, start & 0xFFFFu, 8);
    put_le(page + VMSA_PAT, s->pat, 8);
    put_le(page + VMSA_RDX, s->signature_in_rdx ? cpu_signature : s->rdx, 8);
    put_le(page + VMSA_SEV_FEATURES, features, 8);
    put_le(page + VMSA_MXCSR, s->mxcsr, 4);
    put_le(page + VMSA_X87_FCW, s->fcw, 2);
}

void snp_vmsa_without_fpu(unsigned char page[static X86_PAGE])
{
    put_le(page + VMSA_MXCSR, 0, 4);
    put_le(page + VMSA_X87_FCW, 0, 2);
}

// ---- cpu ----
// QEMU's models of AMD processors that can host confidential guests (target/i386/cpu.c,
// builtin_x86_defs[] up to version 10.1). A version ("EPYC-v4") changes features, never the
// signature, so a row has only the number of versions.

static const struct cpu_model {
    const char *name;
    unsigned versions, family, model, stepping;
} cpu_models[] = {
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
    for (const struct cpu_model *m = cpu_models; m < cpu_models + ARRAY_LEN(cpu_models); m++) {
        strlist_add(out, m->name);
        for (unsigned v = 1; v <= m->versions; v++)
            strlist_addf(out, "%s-v%u", m->name, v);
    }
}

// Is `name` this model, or a version of it?
static bool is_cpu_model(const struct cpu_model *m, const char *name)
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
    for (const struct cpu_model *m = cpu_models; m < cpu_models + ARRAY_LEN(cpu_models); m++) {
        if (!is_cpu_model(m, name))
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
