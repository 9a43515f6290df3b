// SPDX-License-Identifier: Apache-2.0
// A ring of buffers between the thread that receives and the one that hashes. With one processor,
// or where no thread can be made, it is no slower than hashing in place.
#include "cache/registry_room.h"

#include <signal.h>
#include <string.h>

#define WORTH_IT ((uint64_t)4 << 20) // below, a thread costs more than it saves
#define SLOT_SIZE ((size_t)256 << 10)
#define SLOTS 4

struct hasher {
    struct digest_stream *digest;
    bool threaded;
    pthread_t thread;
    char *slots[SLOTS];
    size_t lengths[SLOTS];
    size_t filled; // bytes in the slot being filled; the receiving thread's own

    pthread_mutex_t lock; // for what follows
    pthread_cond_t changed;
    uint64_t given, done; // slots; given - done wait to be hashed
    bool ended;
};

static void *hash_all(void *context)
{
    struct hasher *h = context;
    pthread_mutex_lock(&h->lock);
    for (;;) {
        while (h->done == h->given && !h->ended)
            pthread_cond_wait(&h->changed, &h->lock);
        if (h->done == h->given)
            break;
        size_t i = h->done % SLOTS;
        pthread_mutex_unlock(&h->lock);
        digest_add(h->digest, h->slots[i], h->lengths[i]);
        pthread_mutex_lock(&h->lock);
        h->done++;
        pthread_cond_signal(&h->changed);
    }
    pthread_mutex_unlock(&h->lock);
    return NULL;
}

static bool start_thread(struct hasher *h)
{
    sigset_t all, before; // signals are the main thread's
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(&h->thread, NULL, hash_all, h) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

struct hasher *hasher_begin(uint64_t size)
{
    struct hasher *h = xcalloc(1, sizeof *h);
    h->digest = digest_begin();
    if (size < WORTH_IT)
        return h;
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->changed, NULL);
    for (size_t i = 0; i < SLOTS; i++)
        h->slots[i] = xmalloc(SLOT_SIZE);
    h->threaded = start_thread(h);
    return h;
}

static void give_slot(struct hasher *h, bool ends)
{
    pthread_mutex_lock(&h->lock);
    h->lengths[h->given % SLOTS] = h->filled;
    h->given += h->filled > 0;
    h->ended = ends;
    pthread_cond_signal(&h->changed);
    // The next one has to be free again.
    while (!ends && h->given - h->done == SLOTS)
        pthread_cond_wait(&h->changed, &h->lock);
    pthread_mutex_unlock(&h->lock);
    h->filled = 0;
}

void hasher_add(struct hasher *h, const void *bytes, size_t length)
{
    if (!h->threaded) {
        digest_add(h->digest, bytes, length);
        return;
    }
    for (const char *p = bytes; length;) {
        size_t n = SLOT_SIZE - h->filled < length ? SLOT_SIZE - h->filled : length;
        // Only this thread changes `given`.
        memcpy(h->slots[h->given % SLOTS] + h->filled, p, n);
        h->filled += n;
        p += n;
        length -= n;
        if (h->filled == SLOT_SIZE)
            give_slot(h, false);
    }
}

void hasher_end(struct hasher *h, char hex[static DIGEST_HEX_SIZE])
{
    if (h->threaded) {
        give_slot(h, true);
        pthread_join(h->thread, NULL);
    }
    digest_end(h->digest, hex);
    if (h->slots[0]) {
        pthread_mutex_destroy(&h->lock);
        pthread_cond_destroy(&h->changed);
    }
    for (size_t i = 0; i < SLOTS; i++)
        free(h->slots[i]);
    free(h);
}
