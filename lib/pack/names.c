// SPDX-License-Identifier: Apache-2.0
// Checks and cleans names of members, and maps names to numbers.
#include "pack/internal.h"

#include <stdbool.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

char *printable(const char *text)
{
    struct buf b = {0};
    for (const char *p = text; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (c < 0x20 || c == 0x7f)
            buf_printf(&b, "\\x%02x", c);
        else
            buf_add(&b, p, 1);
    }
    return buf_take(&b);
}

static int refuse(const char *raw, const char *why, struct error **err)
{
    // Shortened for the message.
    cleanup_free char *start = xstrndup(raw, strnlen(raw, 200));
    cleanup_free char *shown = printable(start);
    return error_user(err, "the member \"%s\" is refused: %s", shown, why);
}

int clean_name(const char *raw, struct buf *out, struct error **err)
{
    out->len = 0;
    buf_add(out, "", 0);
    if (!*raw)
        return refuse(raw, "its name is empty", err);
    if (*raw == '/')
        return refuse(raw, "its name is absolute", err);
    if (strlen(raw) > NAME_LIMIT)
        return refuse(raw, "its name is longer than 4095 bytes", err);
    if (strchr(raw, '\n'))
        return refuse(raw, "its name contains a newline", err);
    unsigned depth = 0;
    for (const char *p = raw; *p;) {
        size_t n = strcspn(p, "/");
        if (n == 2 && p[0] == '.' && p[1] == '.')
            return refuse(raw, "its name contains \"..\"", err);
        if (n && !(n == 1 && p[0] == '.')) {
            if (++depth > DEPTH_LIMIT)
                return refuse(raw, "it is more than 128 directories deep", err);
            if (out->len)
                buf_add(out, "/", 1);
            buf_add(out, p, n);
        }
        p += n + (p[n] == '/');
    }
    return 0;
}

enum link_reach link_reach(const char *path, const char *target)
{
    if (*target == '/')
        return LINK_OUTSIDE;
    long depth = 0;
    for (const char *p = path; *p; p++)
        depth += *p == '/';
    bool descended = false, doubtful = false;
    for (const char *p = target; *p;) {
        size_t n = strcspn(p, "/");
        if (n == 2 && p[0] == '.' && p[1] == '.') {
            doubtful |= descended;
            if (--depth < 0)
                return LINK_OUTSIDE;
        } else if (n && !(n == 1 && p[0] == '.')) {
            depth++;
            descended = true;
        }
        p += n + (p[n] == '/');
    }
    return doubtful ? LINK_UNDECIDED : LINK_INSIDE;
}

unsigned normal_mode(unsigned mode)
{
    unsigned type = mode & S_IFMT;
    if (type == S_IFLNK)
        return type | 0777;
    return type | (type == S_IFDIR || mode & S_IXUSR ? 0755 : 0644);
}

int64_t clamp_time(int64_t mtime, int64_t epoch)
{
    if (mtime > epoch)
        mtime = epoch;
    return mtime < 0 ? 0 : mtime;
}

struct utf8_scope utf8_begin(void)
{
    struct utf8_scope s = {.utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0)};
    if (s.utf8)
        s.old = uselocale(s.utf8);
    return s;
}

void utf8_end(struct utf8_scope *s)
{
    if (!s->utf8)
        return;
    uselocale(s->old);
    freelocale(s->utf8);
}

// ---- a map from names to numbers ----
// A hash table with open addressing. The hash is SipHash-1-3 (Aumasson and Bernstein, "SipHash: a
// fast short-input PRF", 2012) with a random key for each map, so that names from outside cannot
// be chosen to collide.

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
