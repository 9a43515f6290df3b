// SPDX-License-Identifier: Apache-2.0
// Starts threads without signals, runs one function in several of them, passes buffers from a
// thread that fills them to one that takes them in order, and says how many threads are of use.
#include "base/process.h"

#include "base/memory.h"

#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

int thread_start(pthread_t *thread, void *(*run)(void *context), void *context)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int errnum = pthread_create(thread, NULL, run, context);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return errnum;
}

void workers_run(size_t threads, void *(*work)(void *context), void *context)
{
    pthread_t others[WORKERS_MAX];
    size_t started = 0;
    while (started + 1 < threads && started < WORKERS_MAX &&
           thread_start(&others[started], work, context) == 0)
        started++;
    work(context);
    while (started)
        pthread_join(others[--started], NULL);
}

// ---- a ring of buffers ----

struct ring_slot {
    char *bytes;
    size_t length, used; // bytes now, and the most so far
};

struct ring {
    ring_take *take;
    void *context;
    size_t slot_count, slot_size;
    struct ring_slot *slots; // given buffer n is in slot n % slot_count
    pthread_t thread;
    bool tried;    // to start it, at the second buffer, so that little data needs no thread
    bool threaded; // the thread runs
    bool failed;   // owned by the taking thread until it has ended

    pthread_mutex_t lock; // for the members below
    pthread_cond_t changed;
    uint64_t given, taken; // only the giving thread changes `given`
    bool ended;
};

static void take_slot(struct ring *r, const struct ring_slot *s)
{
    if (!r->failed)
        r->failed = !r->take(r->context, s->bytes, s->length);
}

static void *take_all(void *context)
{
    struct ring *r = context;
    pthread_mutex_lock(&r->lock);
    for (;;) {
        while (r->taken == r->given && !r->ended)
            pthread_cond_wait(&r->changed, &r->lock);
        if (r->taken == r->given)
            break;
        const struct ring_slot *s = &r->slots[r->taken % r->slot_count];
        pthread_mutex_unlock(&r->lock);
        take_slot(r, s);
        pthread_mutex_lock(&r->lock);
        r->taken++;
        pthread_cond_signal(&r->changed);
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

struct ring *ring_begin(size_t slots, size_t slot_size, ring_take *take, void *context)
{
    struct ring *r = xcalloc(1, sizeof *r);
    *r = (struct ring){
        .take = take, .context = context, .slot_count = slots, .slot_size = slot_size};
    r->slots = xcalloc(slots, sizeof *r->slots);
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->changed, NULL);
    return r;
}

// Without a thread the first buffer is taken when the second is asked for, or at the end.
static void take_waiting(struct ring *r)
{
    for (; r->taken < r->given; r->taken++)
        take_slot(r, &r->slots[r->taken % r->slot_count]);
}

static void start(struct ring *r)
{
    r->tried = true;
    r->threaded = thread_start(&r->thread, take_all, r) == 0;
    if (!r->threaded)
        take_waiting(r);
}

void *ring_slot(struct ring *r)
{
    if (r->given && !r->tried)
        start(r);
    pthread_mutex_lock(&r->lock);
    while (r->given - r->taken == r->slot_count)
        pthread_cond_wait(&r->changed, &r->lock);
    struct ring_slot *s = &r->slots[r->given % r->slot_count];
    pthread_mutex_unlock(&r->lock);
    if (!s->bytes)
        s->bytes = xmalloc(r->slot_size);
    return s->bytes;
}

void ring_give(struct ring *r, size_t length)
{
    struct ring_slot *s = &r->slots[r->given % r->slot_count];
    s->length = length;
    s->used = length > s->used ? length : s->used;
    pthread_mutex_lock(&r->lock);
    r->given++;
    pthread_cond_signal(&r->changed);
    pthread_mutex_unlock(&r->lock);
    if (r->tried && !r->threaded)
        take_waiting(r);
}

bool ring_end(struct ring *r)
{
    if (!r)
        return true;
    pthread_mutex_lock(&r->lock);
    r->ended = true;
    pthread_cond_signal(&r->changed);
    pthread_mutex_unlock(&r->lock);
    if (r->threaded)
        pthread_join(r->thread, NULL);
    else
        take_waiting(r);
    bool good = !r->failed;
    for (size_t i = 0; i < r->slot_count; i++) {
        if (r->slots[i].bytes)
            explicit_bzero(r->slots[i].bytes, r->slots[i].used);
        free(r->slots[i].bytes);
    }
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
    free(r->slots);
    free(r);
    return good;
}

// ---- processors ----

unsigned processors(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 0;
    return n > 0 ? (unsigned)n : 1;
}

uint64_t memory_size(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0;
}

unsigned threads_that_fit(unsigned wanted, uint64_t per_thread)
{
    uint64_t memory = memory_size() / 4, fit = memory / per_thread;
    unsigned n = wanted ? wanted : processors();
    if (!wanted && memory && n > fit)
        n = (unsigned)fit;
    return n ? n : 1;
}
