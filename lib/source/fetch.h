// SPDX-License-Identifier: Apache-2.0
// One small file over http(s), at once or not at all: what a revocation list needs.
#ifndef KBUILD_SOURCE_FETCH_H
#define KBUILD_SOURCE_FETCH_H

#include "base/buf.h"
#include "base/error.h"

#define FETCH_SECONDS 3 // in all, redirects included

// Appends what `url` (http or https) points to, at most `limit` bytes, to out. Redirects to http
// and https are followed. One try. `context` is not used; it is there for struct trust.
int fetch_bytes(void *context, const char *url, size_t limit, struct buf *out, struct error **err);

#endif
