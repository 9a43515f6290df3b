// SPDX-License-Identifier: Apache-2.0
// The tokens of GNU make's jobserver (GNU make, "POSIX Jobserver Interaction"): each stands for one
// processor. Steps, their compilers and packing share them.
#ifndef KBUILD_BASE_JOBSERVER_H
#define KBUILD_BASE_JOBSERVER_H

#include "base/error.h"

#include <stdbool.h>

int jobserver_open(unsigned jobs, struct error **err);
void jobserver_close(void);
bool jobserver_is_open(void);
bool jobserver_take(void);   // false: none free now
void jobserver_give(void);   // never waits
void jobserver_refill(void); // when no step runs: restores the exact number of tokens
int jobserver_wait_fd(void); // readable when a token may be free
// For a step, in its child: new descriptors {read, write} that nobody shares, or {0, 0}.
void jobserver_fds(int fds[static 2]);
unsigned pack_threads_acquire(void); // tokens for packing, besides our own
void pack_threads_release(unsigned threads);

#endif
