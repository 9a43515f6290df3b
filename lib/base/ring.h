// SPDX-License-Identifier: Apache-2.0
// A ring of buffers between the thread that fills them and one of its own that takes them, in order
// and at the same time. The caller owns the ring, the ring its buffers; nothing here can fail but a
// take.
#ifndef KBUILD_BASE_RING_H
#define KBUILD_BASE_RING_H

#include <stdbool.h>
#include <stddef.h>

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
