// SPDX-License-Identifier: Apache-2.0
// Computes the pause before the next try, and ends after the last one.
#include "base/process.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>

// Between half and all of the pause.
static unsigned with_jitter(unsigned ms)
{
    unsigned random = 0;
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) < 0)
        random = (unsigned)clock();
    return ms / 2 + random % (ms / 2 + 1);
}

bool retry_next(struct retry *r, unsigned server_seconds, unsigned *ms)
{
    if (r->left == 0)
        return false;
    r->left--;
    *ms = with_jitter(r->pause_ms);
    if (server_seconds > RETRY_PAUSE_MAX_MS / 1000)
        server_seconds = RETRY_PAUSE_MAX_MS / 1000;
    if (server_seconds * 1000 > *ms)
        *ms = server_seconds * 1000;
    r->pause_ms = r->pause_ms < RETRY_PAUSE_MAX_MS / 2 ? r->pause_ms * 2 : RETRY_PAUSE_MAX_MS;
    return true;
}

bool retry_pause(struct retry *r, unsigned server_seconds)
{
    unsigned ms;
    if (!retry_next(r, server_seconds, &ms))
        return false;
    struct timespec pause = {ms / 1000, (long)(ms % 1000) * 1000000};
    while (nanosleep(&pause, &pause) < 0 && errno == EINTR)
        ;
    return true;
}
