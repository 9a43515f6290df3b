// SPDX-License-Identifier: Apache-2.0
// SHA-256 in a thread of its own beside the one that receives. With one processor, or where no
// thread can be made, it is no slower than hashing in place.
#include "base/ring.h"
#include "registry/room.h"

#include <string.h>

#define WORTH_IT ((uint64_t)4 << 20) // below, a thread costs more than it saves
#define SLOT_SIZE ((size_t)256 << 10)
#define SLOTS 4

struct hasher {
    struct digest_stream *digest;
    struct ring *ring; // NULL: hashed in place
    char *slot;        // the one being filled, NULL if none is
    size_t filled;
};

static bool take(void *digest, const void *bytes, size_t length)
{
    digest_add(digest, bytes, length);
    return true;
}

struct hasher *hasher_begin(uint64_t size)
{
    struct hasher *h = xcalloc(1, sizeof *h);
    h->digest = digest_begin();
    if (size >= WORTH_IT)
        h->ring = ring_begin(SLOTS, SLOT_SIZE, take, h->digest);
    return h;
}

void hasher_add(struct hasher *h, const void *bytes, size_t length)
{
    if (!h->ring) {
        digest_add(h->digest, bytes, length);
        return;
    }
    for (const char *p = bytes; length;) {
        if (!h->slot)
            h->slot = ring_slot(h->ring);
        size_t n = SLOT_SIZE - h->filled < length ? SLOT_SIZE - h->filled : length;
        memcpy(h->slot + h->filled, p, n);
        h->filled += n;
        p += n;
        length -= n;
        if (h->filled == SLOT_SIZE) {
            ring_give(h->ring, h->filled);
            h->slot = NULL;
            h->filled = 0;
        }
    }
}

void hasher_end(struct hasher *h, char hex[static DIGEST_HEX_SIZE])
{
    if (h->filled)
        ring_give(h->ring, h->filled);
    ring_end(h->ring);
    digest_end(h->digest, hex);
    free(h);
}
