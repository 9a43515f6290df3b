// SPDX-License-Identifier: Apache-2.0
// Retries after a transient failure, with growing pauses. Random jitter keeps many machines from
// retrying at the same moment.
#ifndef KBUILD_BASE_RETRY_H
#define KBUILD_BASE_RETRY_H

#include <stdbool.h>

struct retry {
    unsigned left;     // tries after the first
    unsigned pause_ms; // before the next; doubles, at most RETRY_PAUSE_MAX_MS
};
#define RETRY_PAUSE_MAX_MS 60000u

// True, and *ms to wait before the next try; false when no tries are left. The server's Retry-After
// in seconds (0: none) is obeyed up to RETRY_PAUSE_MAX_MS.
bool retry_next(struct retry *r, unsigned server_seconds, unsigned *ms);
// The same, and waits.
bool retry_pause(struct retry *r, unsigned server_seconds);

#endif
