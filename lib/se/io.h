// SPDX-License-Identifier: Apache-2.0
// Reading and writing at a position, all or an error.
#ifndef KBUILD_SE_IO_H
#define KBUILD_SE_IO_H

#include "base/error.h"
#include "base/user_file.h"

#include <stdbool.h>
#include <stdint.h>

// An end of file before `length` bytes is an error that says the file is cut off.
int read_at(int fd, const char *name, uint64_t offset, void *out, size_t length,
            struct error **err);
int write_at(int fd, const char *name, uint64_t offset, const void *bytes, size_t length,
             struct error **err);
bool all_zero(const unsigned char *bytes, size_t length);

#endif
