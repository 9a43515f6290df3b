// SPDX-License-Identifier: Apache-2.0
// Keeps keys, passwords and other secrets out of core files, other processes of the same user, the
// disk and /proc. All secrets are read by secret_memory_read(), or after secrets_guard().
#ifndef KBUILD_BASE_SECRET_H
#define KBUILD_BASE_SECRET_H

#include "base/error.h"

#include <sys/stat.h>

// Call it before the first secret is read. From then on the process leaves no core file, no other
// process of the user can trace it, and its files in /proc are root's; so it is for forked
// processes. Cheap, and may be called any number of times.
void secrets_guard(void);

// A secret in pages of its own, which are in no core file and, as far as the limits allow, not
// swapped.
struct secret_memory {
    unsigned char *bytes;
    size_t length;
    size_t mapped; // size of the pages in bytes
};
// Guards the process, and reads all of a file that the user named (base/user_file.h), at most
// `limit` bytes. `st`, if not NULL, gets the file's stat, for checks of its owner and mode.
int secret_memory_read(const char *path, size_t limit, struct secret_memory *out, struct stat *st,
                       struct error **err);
// Wipes and releases it; does nothing on an empty struct.
void secret_memory_free(struct secret_memory *m);
#define cleanup_secret_memory __attribute__((cleanup(secret_memory_free)))

#endif
