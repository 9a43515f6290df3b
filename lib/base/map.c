// SPDX-License-Identifier: Apache-2.0
// Maps names to numbers.
//
// A hash table with open addressing. The hash is SipHash-1-3 (Aumasson and Bernstein, "SipHash: a
// fast short-input PRF", 2012) with a random key for each map, so that names from outside cannot
// be chosen to collide.
#include "base/map.h"

#include <string.h>
#include <sys/random.h>

struct map_slot {
    uint64_t hash;
    size_t value;
    size_t name; // offset in `names`, plus 1; 0: the slot is free
};

static inline uint64_t rotate(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static inline void sip_round(uint64_t v[static 4])
{
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

static uint64_t hash_name(const struct map *m, const char *name, size_t length)
{
    uint64_t v[] = {m->key[0] ^ 0x736f6d6570736575, m->key[1] ^ 0x646f72616e646f6d,
                    m->key[0] ^ 0x6c7967656e657261, m->key[1] ^ 0x7465646279746573};
    uint64_t word, last = (uint64_t)length << 56;
    size_t at = 0;
    for (; at + sizeof word <= length; at += sizeof word) {
        memcpy(&word, name + at, sizeof word);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    for (unsigned i = 0; at < length; i += 8)
        last |= (uint64_t)(unsigned char)name[at++] << i;
    v[3] ^= last;
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

// The slot of the name, or the free one where it belongs.
static struct map_slot *slot_of(const struct map *m, const char *name, uint64_t hash)
{
    for (size_t i = hash;; i++) {
        struct map_slot *s = &m->slots[i & (m->slot_count - 1)];
        if (!s->name || (s->hash == hash && !strcmp(m->names.data + s->name - 1, name)))
            return s;
    }
}

// Keeps a third of the slots free.
static void make_room(struct map *m)
{
    struct map_slot *old = m->slots;
    size_t old_count = m->slot_count;
    if (m->n < old_count / 3 * 2)
        return;
    if (!old && getrandom(m->key, sizeof m->key, 0) < 0)
        m->key[0] = (uint64_t)(uintptr_t)m;
    m->slot_count = old_count ? 2 * old_count : 64; // a power of two
    m->slots = xcalloc(m->slot_count, sizeof *m->slots);
    for (size_t i = 0; old && i < old_count; i++) {
        size_t at = old[i].hash;
        if (!old[i].name)
            continue;
        while (m->slots[at & (m->slot_count - 1)].name)
            at++;
        m->slots[at & (m->slot_count - 1)] = old[i];
    }
    free(old);
}

size_t *map_find(const struct map *m, const char *name)
{
    if (!m->n)
        return NULL;
    struct map_slot *s = slot_of(m, name, hash_name(m, name, strlen(name)));
    return s->name ? &s->value : NULL;
}

size_t *map_add(struct map *m, const char *name, size_t value)
{
    make_room(m);
    size_t length = strlen(name);
    uint64_t hash = hash_name(m, name, length);
    struct map_slot *s = slot_of(m, name, hash);
    if (s->name)
        return &s->value;
    *s = (struct map_slot){.hash = hash, .value = value, .name = m->names.len + 1};
    buf_add(&m->names, name, length + 1);
    m->n++;
    return NULL;
}

void map_put(struct map *m, const char *name, size_t value)
{
    size_t *old = map_add(m, name, value);
    if (old)
        *old = value;
}

void map_free(struct map *m)
{
    free(m->slots);
    buf_free(&m->names);
    *m = (struct map){0};
}
