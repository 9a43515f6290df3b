// SPDX-License-Identifier: Apache-2.0
// Kinds of confidential guests: can this machine start one, and was the guest that ran one?
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

// What a recipe's placeholders stand for.
struct confidential_host {
    unsigned cbitpos; // {cbitpos}: the bit of an address that says that the page is encrypted
};
// 1: this machine can start guests of this kind. 0: it is no host of them. An error: it is one, but
// it cannot be used as it is, and why.
int confidential_host(const struct host *h, enum recipe_confidential kind,
                      struct confidential_host *out, struct error **err);

// What was started, for the launch digest that the guest has to report.
struct confidential_launch {
    const char *firmware, *kernel, *initrd, *append;
    const char *cpu; // QEMU's name of the model; a name that is not known is an error
};
// The attestation report in init's JSON line has to be there, whole, the answer to init's question,
// and of a guest with the expected launch digest. Its signature is not looked at: that needs the
// processor's certificate, which AMD gives out. `said` gets a line for people, to be freed.
int confidential_check(enum recipe_confidential kind, const json_t *report,
                       const struct confidential_launch *launch, char **said, struct error **err);

#endif
