// SPDX-License-Identifier: Apache-2.0
// One small file over http(s), at once or not at all: what a revocation list needs.
#ifndef KBUILD_SOURCE_FETCH_H
#define KBUILD_SOURCE_FETCH_H

#include "base/buf.h"
#include "base/error.h"

// The largest revocation lists have tens of MB. A server that sends less than FETCH_SPEED_MIN bytes
// a second for FETCH_STALL_SECONDS is given no more time, nor is one that takes FETCH_SECONDS in
// all.
#define FETCH_SECONDS 180
#define FETCH_STALL_SECONDS 3
#define FETCH_SPEED_MIN 1024

// Appends what `url` (http or https) points to, at most `limit` bytes, to out. Redirects to http
// and https are followed. One try. `context` is not used; it is there for struct trust.
int fetch_bytes(void *context, const char *url, size_t limit, struct buf *out, struct error **err);

#endif
