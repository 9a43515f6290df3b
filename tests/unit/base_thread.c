// SPDX-License-Identifier: Apache-2.0
// Threads, the ring between them, and allocation that must not fail.
#include "test.h"

#include "base/memory.h"
#include "base/process.h"

#include <signal.h>
#include <stdint.h>
#include <string.h>

// ---- a worker pool ----

struct list {
    unsigned next; // atomic
    unsigned char taken[1000];
    unsigned with_signals; // atomic: threads beside the test's own that take signals
    pthread_t own;
};

static void *take_numbers(void *context)
{
    struct list *l = context;
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    if (!pthread_equal(pthread_self(), l->own) && !sigismember(&blocked, SIGINT))
        __atomic_fetch_add(&l->with_signals, 1, __ATOMIC_RELAXED);
    for (unsigned i; (i = __atomic_fetch_add(&l->next, 1, __ATOMIC_RELAXED)) < sizeof l->taken;)
        l->taken[i]++;
    return NULL;
}

TEST(a_worker_pool_does_everything_once)
{
    static const size_t sizes[] = {0, 1, 2, 7, 10 * WORKERS_MAX};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct list l = {.own = pthread_self()};
        workers_run(sizes[i], take_numbers, &l);
        for (size_t n = 0; n < sizeof l.taken; n++)
            assert_int_equal(l.taken[n], 1);
        assert_int_equal(l.with_signals, 0);
    }
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    assert_false(sigismember(&blocked, SIGINT)); // as before
}

// ---- a ring ----

struct taken {
    size_t count, fail_at;
    unsigned long length;
    bool in_order;
};

static bool take(void *context, const void *bytes, size_t length)
{
    struct taken *t = context;
    if (t->count == t->fail_at)
        return false;
    unsigned char expected = (unsigned char)t->count++;
    const unsigned char *p = bytes;
    for (size_t i = 0; i < length; i++)
        t->in_order &= p[i] == expected;
    t->length += length;
    return true;
}

static bool give(struct taken *t, size_t slots, size_t count)
{
    struct ring *r = ring_begin(slots, 64, take, t);
    for (size_t i = 0; i < count; i++) {
        unsigned char *bytes = ring_slot(r);
        memset(bytes, (int)(i & 0xff), 64);
        ring_give(r, i % 65);
        assert_int_equal(bytes[63], i & 0xff); // readable until the next one is asked for
    }
    return ring_end(r);
}

TEST(a_ring_keeps_the_order)
{
    for (size_t slots = 1; slots <= 5; slots++) {
        struct taken t = {.fail_at = SIZE_MAX, .in_order = true};
        assert_true(give(&t, slots, 6500));
        assert_int_equal(t.count, 6500);
        assert_int_equal(t.length, 100 * (64 * 65 / 2));
        assert_true(t.in_order);
    }
}

TEST(a_ring_says_that_a_take_failed)
{
    struct taken t = {.fail_at = 3, .in_order = true};
    assert_false(give(&t, 2, 100)); // nor does it hang
    assert_int_equal(t.count, 3);
}

TEST(a_ring_may_be_given_nothing)
{
    struct taken t = {.fail_at = 0};
    assert_true(give(&t, 4, 0));
    assert_true(ring_end(NULL));
}
