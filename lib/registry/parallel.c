// SPDX-License-Identifier: Apache-2.0
// Several transfers at a time, a thread each: they wait for the network, so threads are enough.
#include "base/log.h"
#include "base/thread.h"
#include "registry/room.h"

struct transfers {
    struct registry *r;
    char *items;
    size_t count, size;
    transfer_one *one;
    pthread_mutex_t lock; // for what follows
    size_t next;
    struct error *first; // failure
};

static void *next_item(struct transfers *c)
{
    pthread_mutex_lock(&c->lock);
    void *item = c->next < c->count && !c->first ? c->items + c->size * c->next++ : NULL;
    pthread_mutex_unlock(&c->lock);
    return item;
}

static void *work(void *context)
{
    struct transfers *c = context;
    for (void *item; (item = next_item(c));) {
        struct error *err = NULL;
        if (c->one(c->r, item, &err) == 0)
            continue;
        pthread_mutex_lock(&c->lock);
        if (!c->first)
            c->first = steal(err);
        __atomic_store_n(&c->r->stop, true, __ATOMIC_RELAXED);
        pthread_mutex_unlock(&c->lock);
        error_free(err);
    }
    return NULL;
}

void transfer_progress(struct registry *r)
{
    static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;
    uint64_t moved = __atomic_load_n(&r->moved, __ATOMIC_RELAXED);
    if (!r->total)
        return;
    pthread_mutex_lock(&one);
    progress("pushing", moved < r->total ? moved : r->total, r->total, "bytes");
    pthread_mutex_unlock(&one);
}

int transfer_all(struct registry *r, void *items, size_t count, size_t size, transfer_one *one,
                 struct error **err)
{
    struct transfers c = {.r = r, .items = items, .count = count, .size = size, .one = one};
    pthread_mutex_init(&c.lock, NULL);
    workers_run(count < r->parallel ? count : r->parallel, work, &c);
    pthread_mutex_destroy(&c.lock);
    r->stop = false;
    if (!c.first)
        return 0;
    if (err)
        *err = c.first;
    else
        error_free(c.first);
    return -1;
}
