// SPDX-License-Identifier: Apache-2.0
// One file over http(s) or file://. Only within this room.
#ifndef KBUILD_SOURCE_DOWNLOAD_H
#define KBUILD_SOURCE_DOWNLOAD_H

#include "base/error.h"
#include "base/retry.h"

#include <stdint.h>

#define RETRY_DOWNLOAD ((struct retry){.left = 4, .pause_ms = 500})

// Zero-initialise, then set; nothing is owned.
struct download {
    const char *url;
    const char *label;       // for progress; NULL: none is shown
    const char *path;        // where it goes; "<path>.from" beside it says which version it is
    uint64_t max_bytes;      // a larger file is an error
    struct retry retry;      // RETRY_DOWNLOAD
    uint64_t worth_resuming; // no later call resumes a smaller file
    unsigned idle_seconds;   // a try ends when nothing came for so long; 0: 60
};
// On success the file is complete. On failure what came is left at `path`, and the next call, also
// of another process, resumes there if the server still has the same version (RFC 9110,
// sections 13.1.5 and 14.2). Failures that may pass (broken connections, 408, 429, 5xx) are tried
// again; others are not. The caller keeps other processes away from `path`.
// *resumed (may be NULL) is set if the file holds bytes of an earlier call.
int download_file(const struct download *d, bool *resumed, struct error **err);

#endif
