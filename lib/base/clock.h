// SPDX-License-Identifier: Apache-2.0
// The monotonic clock.
#ifndef KBUILD_BASE_CLOCK_H
#define KBUILD_BASE_CLOCK_H

#include <time.h>

// Its milliseconds, for durations.
static inline long long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

#endif
