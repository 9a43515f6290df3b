// SPDX-License-Identifier: Apache-2.0
// Makes one gzip stream (RFC 1952; RFC 1951) in several threads, from blocks of one size, each
// deflated with the 32 KiB before it as dictionary and ended on a byte (zlib's Z_SYNC_FLUSH). It is
// a single member, so every reader accepts it. The bytes follow from the content, the level and the
// version of zlib, and not from the number of threads. Memory: some 1.2 MB for each block in
// progress, two per thread.
#ifndef KBUILD_PACK_GZIP_H
#define KBUILD_PACK_GZIP_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

enum { GZIP_BLOCK = 512 << 10, GZIP_LEVEL = 6 }; // the level is docker's

struct gzip;
struct gzip *gzip_begin(int fd, unsigned threads); // 0: one thread; fd is not owned
int gzip_add(struct gzip *g, const void *bytes, size_t length, struct error **err);
int gzip_end(struct gzip *g, struct error **err); // writes the rest
void gzip_free(struct gzip *g);                   // NULL is allowed

// The whole of `from`, from its beginning.
int gzip_file(int from, const char *name, int to, unsigned threads, struct error **err);

#endif
