// SPDX-License-Identifier: Apache-2.0
// The table of architectures. Names: `uname -m`, Debian, Linux' ARCH, QEMU.
#ifndef KBUILD_RECIPE_ARCH_H
#define KBUILD_RECIPE_ARCH_H

#include "base/memory.h"
#include "base/error.h"

struct arch {
    const char *name;    // uname -m: x86_64 s390x aarch64 ppc64le
    const char *debian;  // amd64 s390x arm64 ppc64el
    const char *linux_;  // Linux' ARCH: x86_64 s390 arm64 powerpc
    const char *triplet; // GNU: x86_64-linux-gnu; cross tools are <triplet>-gcc
    const char *qemu;    // qemu-system-<qemu>: x86_64 s390x aarch64 ppc64
    const char *oci;     // amd64 s390x arm64 ppc64le
};

// Any of the names above ("amd64", "arm64", "s390"...); NULL with an error that suggests a name.
const struct arch *arch_find(const char *name, struct error **err);
// Replaces "{arch}" by the name, "{linux_arch}" by Linux' name; to be freed. Other braces are kept.
char *arch_expand(const char *text, const struct arch *a);
const struct arch *arch_host(void); // of this machine; x86_64 if it is unknown
extern const struct arch arch_table[];
extern const size_t arch_count;

#endif
