// SPDX-License-Identifier: Apache-2.0
// Threads: one way to start them, and a worker pool for a list of work.
//
// No thread that is started here takes signals: they are for the thread that runs the program.
#ifndef KBUILD_BASE_THREAD_H
#define KBUILD_BASE_THREAD_H

#include <pthread.h>
#include <stddef.h>

// 0, or the number of an error (EAGAIN: there are too many).
int thread_start(pthread_t *thread, void *(*run)(void *context), void *context);

// Runs `work` in this thread and in up to `threads` - 1 others, WORKERS_MAX at most, and returns
// when all of them have. Where no other can be made, this one does everything: `work` ends when
// there is nothing left to do. The context is shared; `work` sees to its locks.
#define WORKERS_MAX 64u
void workers_run(size_t threads, void *(*work)(void *context), void *context);

#endif
