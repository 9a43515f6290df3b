// SPDX-License-Identifier: Apache-2.0
// What the user gives to the program: files, secrets and variables of the environment.
#ifndef KBUILD_BASE_INPUT_H
#define KBUILD_BASE_INPUT_H

#include "base/error.h"
#include "base/memory.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

// ---- files that the user named, on a command line for example ----
// They may be pipes (`<(...)`, /dev/stdin) and character devices (/dev/null), which are read once,
// to their end, and may block. A file *found* in a folder must not block: file_read() (base/file.h)
// takes regular files only. A directory, a block device or a socket is an error.

// Reads all of it, at most `limit` bytes, into out (appended; out->data is set even if it is
// empty).
int user_file_read(const char *path, size_t limit, struct buf *out, struct error **err);
// Opens it to be read at any position: a pipe or device is copied to a nameless file first, at most
// USER_FILE_SPOOL_MAX bytes (of a device USER_FILE_DEVICE_MAX, as some have no end). *size gets its
// size. Returns the descriptor, or -1.
int user_file_open(const char *path, uint64_t *size, struct error **err);
#define USER_FILE_SPOOL_MAX ((uint64_t)2 << 30)
#define USER_FILE_DEVICE_MAX ((uint64_t)1 << 20)
// Makes such a copy of the rest of `fd`; `name` is for messages. Returns the copy's descriptor, or
// -1.
int user_file_spool(int fd, const char *name, uint64_t *size, struct error **err);

// ---- secrets ----
// Keeps keys, passwords and other secrets out of core files, other processes of the same user, the
// disk and /proc. All secrets are read by secret_memory_read(), or after secrets_guard().

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
// Guards the process, and reads all of a file that the user named (see above), at most
// `limit` bytes. `st`, if not NULL, gets the file's stat, for checks of its owner and mode.
int secret_memory_read(const char *path, size_t limit, struct secret_memory *out, struct stat *st,
                       struct error **err);
// Wipes and releases it; does nothing on an empty struct.
void secret_memory_free(struct secret_memory *m);
#define cleanup_secret_memory __attribute__((cleanup(secret_memory_free)))

// ---- environment variables with rules ----
// Those with two possible values (unset and empty are the same, any other value is an error), and
// those that decide whom or what is trusted.

// *out: true for `yes`, false for `no`, `otherwise` if it is not set.
int environment_choice(const char *name, const char *no, const char *yes, bool otherwise, bool *out,
                       struct error **err);
int environment_yes_no(const char *name, bool otherwise, bool *out, struct error **err);

// SOURCE_DATE_EPOCH (reproducible-builds.org) in seconds since 1970; INT64_MAX if it is not set.
int environment_epoch(int64_t *out, struct error **err);

// A variable that decides trust. An undefined secret of a CI job is a variable that is set and
// empty: taken for "not set", it would switch trust off silently, so it is an error. *out is the
// value, or NULL if it is not set.
int security_variable(const char *name, const char **out, struct error **err);
// Checks all such variables of the program itself (those of recipes are read when they are used).
int security_variables_check(struct error **err);

#endif
