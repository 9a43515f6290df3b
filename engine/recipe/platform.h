// SPDX-License-Identifier: Apache-2.0
// What a build is for, and where: the table of architectures, and the distribution that packages
// come from. Names of architectures: `uname -m`, Debian, Linux' ARCH, QEMU.
//
// Ownership: the table is constant; a distribution owns its strings. An unknown architecture is an
// error whose hint lists the known ones.
#ifndef KBUILD_RECIPE_PLATFORM_H
#define KBUILD_RECIPE_PLATFORM_H

#include "base/error.h"
#include "base/memory.h"

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

// ---- distribution ----

struct distribution {    // owned strings
    char *id, *codename; // "debian", "bookworm"
};

// This host's, from os-release(5). For a derivative (Mint, Pop!_OS, LMDE: ID_LIKE), the
// distribution whose packages it installs, by UBUNTU_CODENAME, DEBIAN_CODENAME or
// /etc/debian_version. One without a code name is an error.
int distribution_host(struct distribution *out, struct error **err);
// The same from given files, of which the second need not exist.
int distribution_read(const char *path, const char *debian_version, struct distribution *out,
                      struct error **err);
void distribution_free(struct distribution *d);

#endif
