// SPDX-License-Identifier: Apache-2.0
// Fills in a VMSA: what is the same for all, and what depends on who starts the guest.
#include "measure/vmsa.h"

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

// What is the same for all.
static const struct field {
    uint16_t offset, bytes;
    uint64_t value;
} fields[] = {
    {VMSA_EFER, 8, 0x1000}, // SVME, set by KVM
    {VMSA_CR4, 8, 0x40},    // MCE, set by KVM
    {VMSA_CR0, 8, 0x10},    {VMSA_DR7, 8, 0x400}, {VMSA_DR6, 8, 0xFFFF0FF0},
    {VMSA_RFLAGS, 8, 0x2},  {VMSA_XCR0, 8, 0x1},
};

static const struct segment {
    uint16_t offset, attributes;
} segments[] = {
    {VMSA_ES, 0x93}, {VMSA_DS, 0x93}, {VMSA_FS, 0x93},   {VMSA_GS, 0x93},
    {VMSA_GDTR, 0},  {VMSA_IDTR, 0},  {VMSA_LDTR, 0x82},
};

// What differs. Only QEMU resets registers as real hardware does, where RDX holds the signature of
// the processor; the other two start with a fixed RDX and with FPU state zero.
static const struct start {
    uint16_t cs_first, cs_other; // attributes at the reset vector and elsewhere
    uint16_t ss, tr;
    bool signature_in_rdx;
    uint64_t rdx, pat;
    uint32_t mxcsr;
    uint16_t fcw;
} starts[VMMS] = {
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
    const struct start *s = &starts[vmm];
    memset(page, 0, X86_PAGE);
    for (const struct field *f = fields; f < fields + ARRAY_LEN(fields); f++)
        put_le(page + f->offset, f->value, f->bytes);
    for (const struct segment *g = segments; g < segments + ARRAY_LEN(segments); g++)
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
