// SPDX-License-Identifier: Apache-2.0
// Threads: one way to start them, a crew that shares a list of work, and a ring of buffers between
// a thread that fills and one that takes.
//
// No thread that is started here takes signals: they are for the thread that runs the program.
#ifndef KBUILD_BASE_THREAD_H
#define KBUILD_BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

// 0, or the number of an error (EAGAIN: there are too many).
int thread_start(pthread_t *thread, void *(*run)(void *context), void *context);

// Runs `work` in this thread and in up to `threads` - 1 others, and returns when all of them have.
// Where no other can be made, this one does everything: `work` ends when there is nothing left to
// do.
#define CREW_MAX 64u
void crew_run(size_t threads, void *(*work)(void *context), void *context);

// Takes what was given, in order. False: it failed, and is not called again.
typedef bool ring_take(void *context, const void *bytes, size_t length);
struct ring;
// A ring of `slots` buffers of `slot_size` bytes, which are made when they are first needed. Where
// no thread can be made, ring_give() takes in place. The context must live until ring_end().
struct ring *ring_begin(size_t slots, size_t slot_size, ring_take *take, void *context);
// A buffer to fill; waits until one is free.
void *ring_slot(struct ring *r);
// Gives the first `length` bytes of the buffer that ring_slot() returned last. It stays readable,
// and as it is, until the next call of ring_slot().
void ring_give(struct ring *r, size_t length);
// Waits until everything is taken; wipes and frees the ring. False if a take failed. NULL is
// allowed.
bool ring_end(struct ring *r);

#endif
