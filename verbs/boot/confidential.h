// SPDX-License-Identifier: Apache-2.0
// Kinds of confidential guests: checks whether this machine can start one, and whether a started
// guest was confidential.
//
// Sources for SEV-SNP: Kata's guide (the lines of the guest's kernel are in the recipe); AMD64
// Architecture Programmer's Manual, volume 3, appendix E.4.17 (CPUID Fn8000_001F); SEV-SNP Firmware
// ABI Specification, document 56860, 1.55, section 7.3 (attestation report).
#ifndef KBUILD_BOOT_CONFIDENTIAL_H
#define KBUILD_BOOT_CONFIDENTIAL_H

#include "host/host.h"
#include "recipe/recipe.h"

#include <jansson.h>

extern const char *const confidential_names[]; // by enum recipe_confidential: "SNP"

// The values of a recipe's placeholders.
struct confidential_host {
    unsigned cbitpos; // {cbitpos}: the address bit that marks an encrypted page
};
// 1: this machine can start guests of this kind. 0: it is no host of them. An error: it is a host,
// but not usable in its current state, with the reason.
int confidential_host(const struct host *h, enum recipe_confidential kind,
                      struct confidential_host *out, struct error **err);

// The launch, for the digest that the guest must report.
struct confidential_launch {
    const char *firmware, *kernel, *initrd, *append;
    const char *cpu; // QEMU's name of the model; an unknown name is an error
};
// The attestation report in init's JSON line must be present and complete, contain init's data, and
// have the expected launch digest. Its signature is not checked: that needs the processor's
// certificate, which AMD issues. `said` gets a line for people, to be freed.
int confidential_check(enum recipe_confidential kind, const json_t *report,
                       const struct confidential_launch *launch, char **said, struct error **err);

#endif
