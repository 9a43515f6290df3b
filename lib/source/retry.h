// SPDX-License-Identifier: Apache-2.0
// Trying again after a failure that may pass: with growing pauses, spread at random so that many
// machines do not come back at the same moment. Only within lib/source.
#ifndef KBUILD_SOURCE_RETRY_H
#define KBUILD_SOURCE_RETRY_H

#include <stdbool.h>

struct retry {
    unsigned left;     // tries after the first
    unsigned pause_ms; // before the next; doubles, at most RETRY_PAUSE_MAX_MS
};
#define RETRY_PAUSE_MAX_MS 60000
#define RETRY_DOWNLOAD ((struct retry){.left = 4, .pause_ms = 500})
#define RETRY_GIT ((struct retry){.left = 2, .pause_ms = 500})

// Waits and returns true, or returns false when there have been enough tries. The server's own
// Retry-After in seconds (0: none) is obeyed up to RETRY_PAUSE_MAX_MS.
bool retry_pause(struct retry *r, unsigned server_seconds);

#endif
