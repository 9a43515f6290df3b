// SPDX-License-Identifier: Apache-2.0
// Files that the user named, on a command line for example. They may be pipes (`<(...)`,
// /dev/stdin) and character devices (/dev/null), which are read once, to their end, and may block.
// A file *found* in a folder must not block: file_read() (base/file.h) takes regular files only.
#ifndef KBUILD_BASE_USER_FILE_H
#define KBUILD_BASE_USER_FILE_H

#include "base/buf.h"
#include "base/error.h"

#include <stdint.h>
#include <sys/stat.h>

// Opens `path` to be read from its start to its end. *st gets its stat. A directory, a block device
// or a socket is an error. Returns the descriptor, or -1.
int user_file_stream(const char *path, struct stat *st, struct error **err);
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

#endif
