// SPDX-License-Identifier: Apache-2.0
// Files that the user named: on a command line, say. They may be pipes (`<(...)`, /dev/stdin) and
// character devices (/dev/null), which are read once, to their end, and waited for. What was
// *found* in a folder must not make a program wait: that is read with file_read() (base/file.h),
// which takes regular files only.
#ifndef KBUILD_BASE_USER_FILE_H
#define KBUILD_BASE_USER_FILE_H

#include "base/buf.h"
#include "base/error.h"

#include <stdint.h>
#include <sys/stat.h>

// Opens `path` to be read from its start to its end. *st gets what it is. A directory, a block
// device or a socket is an error. Returns the descriptor, or -1.
int user_file_stream(const char *path, struct stat *st, struct error **err);
// Reads all of it, at most `limit` bytes, into out (appended; out->data is set even if it is
// empty).
int user_file_read(const char *path, size_t limit, struct buf *out, struct error **err);
// Opens it to be read at any position: what has no positions is copied to a nameless file first, at
// most USER_FILE_SPOOL_MAX bytes (of a device USER_FILE_DEVICE_MAX, for some have no end). *size
// gets its size. Returns the descriptor, or -1.
int user_file_open(const char *path, uint64_t *size, struct error **err);
#define USER_FILE_SPOOL_MAX ((uint64_t)2 << 30)
#define USER_FILE_DEVICE_MAX ((uint64_t)1 << 20)
// That copy, of what is left in `fd`; `name` is for messages. Returns the copy's descriptor, or -1.
int user_file_spool(int fd, const char *name, uint64_t *size, struct error **err);

// A new file without a name, for reading and writing, in TMPDIR (/tmp) or, where that has no such
// files, in memory. It is gone when its descriptor is closed. Returns the descriptor, or -1.
int nameless_file(struct error **err);

#endif
