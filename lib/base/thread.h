// SPDX-License-Identifier: Apache-2.0
// Threads: one way to start them, a worker pool, and a ring of buffers between two threads.
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
// when all have ended. If no other thread can be made, this one does everything: `work` returns
// when no work is left. The context is shared; `work` does the locking.
#define WORKERS_MAX 64u
void workers_run(size_t threads, void *(*work)(void *context), void *context);

// ---- ring ----
// Passes buffers from the caller, which fills them, to a thread of the ring, which takes them in
// order, at the same time. The caller owns the ring, the ring its buffers; only a take can fail.

// Takes one given buffer. False: it failed, and is not called again.
typedef bool ring_take(void *context, const void *bytes, size_t length);
struct ring;
// A ring of `slots` buffers of `slot_size` bytes, each made at its first use; the thread is started
// at the second buffer. If no thread can be made, the calling thread takes. The context must live
// until ring_end().
struct ring *ring_begin(size_t slots, size_t slot_size, ring_take *take, void *context);
// A buffer to fill; waits until one is free.
void *ring_slot(struct ring *r);
// Gives the first `length` bytes of the buffer that ring_slot() returned last. It stays readable
// and unchanged until the next call of ring_slot().
void ring_give(struct ring *r, size_t length);
// Waits until everything is taken, wipes the buffers and frees the ring. False if a take failed.
// NULL is allowed.
bool ring_end(struct ring *r);

#endif
