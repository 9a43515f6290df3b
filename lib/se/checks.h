// SPDX-License-Identifier: Apache-2.0
// What the parts of an image must look like before they are sealed (section 15).
#ifndef KBUILD_SE_CHECKS_H
#define KBUILD_SE_CHECKS_H

#include "se/format.h"

// A raw s390x kernel: the file that the kernel's own build calls bzImage, and distributions call
// vmlinuz. *limit gets how long a command line it takes, NUL included.
int check_kernel(int fd, const char *path, uint64_t size, uint64_t *limit, struct error **err);
int check_command_line(const char *text, size_t length, uint64_t limit, struct error **err);
int check_initrd(const char *path, uint64_t size, struct error **err);

#endif
