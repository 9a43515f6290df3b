// SPDX-License-Identifier: Apache-2.0
// Threads: one way to start them, and a worker pool for a list of work.
//
// No thread that is started here takes signals: they are for the thread that runs the program.
#ifndef KBUILD_BASE_THREAD_H
#define KBUILD_BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

// 0, or the number of an error (EAGAIN: there are too many).
int thread_start(pthread_t *thread, void *(*run)(void *context), void *context);

// Runs `work` in this thread and in up to `threads` - 1 others, WORKERS_MAX at most, and returns
// when all of them have. Where no other can be made, this one does everything: `work` ends when
// there is nothing left to do. The context is shared; `work` sees to its locks.
#define WORKERS_MAX 64u
void workers_run(size_t threads, void *(*work)(void *context), void *context);

// ---- ring ----
// A ring of buffers between the thread that fills them and one of its own that takes them, in order
// and at the same time. The caller owns the ring, the ring its buffers; nothing here can fail but a
// take.

// Takes what was given, in order. False: it failed, and is not called again.
typedef bool ring_take(void *context, const void *bytes, size_t length);
struct ring;
// A ring of `slots` buffers of `slot_size` bytes, which are made when they are first needed, as the
// thread is when a second buffer is asked for. Where no thread can be made, this one takes. The
// context must live until ring_end().
struct ring *ring_begin(size_t slots, size_t slot_size, ring_take *take, void *context);
// A buffer to fill; waits until one is free.
void *ring_slot(struct ring *r);
// Gives the first `length` bytes of the buffer that ring_slot() returned last. It stays readable,
// and as it is, until the next call of ring_slot().
void ring_give(struct ring *r, size_t length);
// Waits until everything is taken; wipes what was given and frees the ring. False if a take failed.
// NULL is allowed.
bool ring_end(struct ring *r);

#endif
