// SPDX-License-Identifier: Apache-2.0
// Downloads one small file over http(s) in one try, for revocation lists.
#ifndef KBUILD_SOURCE_FETCH_H
#define KBUILD_SOURCE_FETCH_H

#include "base/memory.h"
#include "base/error.h"

// The largest revocation lists have tens of MB. The download fails if the server sends less than
// FETCH_SPEED_MIN bytes a second for FETCH_STALL_SECONDS, or if it takes FETCH_SECONDS in all.
#define FETCH_SECONDS 180
#define FETCH_STALL_SECONDS 3
#define FETCH_SPEED_MIN 1024

// Appends what `url` (http or https) points to, at most `limit` bytes, to out. Redirects to http
// and https are followed. One try. `context` is not used; it is there for struct trust.
int fetch_bytes(void *context, const char *url, size_t limit, struct buf *out, struct error **err);

#endif
