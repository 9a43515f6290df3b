// SPDX-License-Identifier: Apache-2.0
// Reads the headers of a tar a second time, beside libarchive, and accepts only what GNU tar,
// Python's tarfile and libarchive read as the same members; so that what was checked is what
// another program unpacks. POSIX.1-2017, pax, "ustar Interchange Format" and "pax Extended Header";
// GNU tar manual, appendix D ("Tar Internals") for the types L, K and S.
#include "pack/internal.h"

#include "base/map.h"

#include <string.h>
#include <sys/stat.h>

enum { BLOCK = 512, EXTENSION_MAX = 1 << 20, OCTAL_DIGITS = 11 };

// ---- the header block ----
// Offset and length of each field that is looked at.
#define NAME 0, 100
#define MODE 100, 8
#define UID 108, 8
#define GID 116, 8
#define SIZE 124, 12
#define LINK 157, 100
#define PREFIX 345, 155
#define REAL_SIZE 483, 12 // of type S
enum {
    CHECKSUM_AT = 148,
    CHECKSUM_SIZE = 8,
    TYPE_AT = 156,
    MAGIC_AT = 257,
    MAGIC_SIZE_ALL = 8, // with the version
    PREFIX_AT = 345,
    SPARSE_AT = 386,
    SPARSE_ENTRIES = 4,
    SPARSE_MORE_AT = 482,
    SPARSE_ENTRY = 24,
    EXTENSION_ENTRIES = 21, // in each block after the header
    EXTENSION_MORE_AT = 504
};

enum tar_state {
    TAR_HEADER,    // the next block is a header
    TAR_EXTENSION, // the body of x, g, L or K
    TAR_SPARSE,    // the next block continues the map of a sparse file
    TAR_CONTENT,
    TAR_END, // after a block of zeros, or no tar at all
    TAR_REFUSED
};

// What x, L and K say of the member that follows them.
struct tar_pending {
    char *path, *link;
    uint64_t size;
    bool has_size, pax, long_path, long_link;
};

struct tar_headers {
    enum tar_state state;
    bool started, is_tar;
    unsigned char block[BLOCK];
    size_t filled;
    uint64_t at;    // of the block in the stream
    uint64_t left;  // of the content or body, with its padding
    char extension; // x, g, L or K
    uint64_t extension_size;
    struct buf body;
    struct tar_pending pending;
    struct tar_member current; // a sparse file whose map continues
    uint64_t sparse_end, sparse_bytes, sparse_stored;
    bool sparse_ended;
    // Members that libarchive was not asked for yet: [first, n).
    struct tar_member *members;
    size_t first, n, cap;
    struct tar_member given; // the last one that tar_headers_next() gave
    char *problem;
};

struct tar_headers *tar_headers_new(void)
{
    return xcalloc(1, sizeof(struct tar_headers));
}

static void member_free(struct tar_member *m)
{
    free(m->path);
    free(m->link);
    *m = (struct tar_member){0};
}

static void pending_free(struct tar_pending *p)
{
    free(p->path);
    free(p->link);
    *p = (struct tar_pending){0};
}

void tar_headers_free(struct tar_headers *t)
{
    if (!t)
        return;
    for (size_t i = t->first; i < t->n; i++)
        member_free(&t->members[i]);
    free(t->members);
    member_free(&t->given);
    member_free(&t->current);
    pending_free(&t->pending);
    buf_free(&t->body);
    free(t->problem);
    free(t);
}

// ---- refusing ----

__attribute__((format(printf, 2, 3))) static bool refuse(struct tar_headers *t, const char *format,
                                                         ...)
{
    va_list args;
    va_start(args, format);
    cleanup_free char *why = xvasprintf(format, args);
    va_end(args);
    cleanup_free char *shown = printable(why);
    t->state = TAR_REFUSED;
    if (!t->problem)
        t->problem = xasprintf("the header at byte %llu %s", (unsigned long long)t->at, shown);
    return false;
}

const char *tar_headers_problem(const struct tar_headers *t)
{
    return t->problem;
}

// ---- fields ----

// Octal digits after spaces, up to spaces or NULs; or a positive number in base 256. Empty is 0.
static bool read_number(const struct tar_headers *t, size_t at, size_t length, uint64_t *out)
{
    const unsigned char *f = t->block + at;
    size_t i = 0;
    *out = 0;
    if (f[0] == 0x80) {
        for (i = 1; i < length; i++) {
            if (*out >> 54)
                return false;
            *out = *out << 8 | f[i];
        }
        return true;
    }
    while (i < length && f[i] == ' ')
        i++;
    for (; i < length && f[i] >= '0' && f[i] <= '7'; i++)
        *out = *out << 3 | (f[i] - '0'); // at most 12 digits
    for (; i < length; i++)
        if (f[i] != ' ' && f[i] != '\0')
            return false;
    return true;
}

static char *read_text(const struct tar_headers *t, size_t at, size_t length)
{
    const char *f = (const char *)t->block + at;
    return xstrndup(f, strnlen(f, length));
}

static bool checksum_fits(const struct tar_headers *t)
{
    uint64_t stated;
    unsigned sum = 0;
    int signed_sum = 0; // as some old programs add
    if (!read_number(t, CHECKSUM_AT, CHECKSUM_SIZE, &stated))
        return false;
    for (size_t i = 0; i < BLOCK; i++) {
        bool own = i >= CHECKSUM_AT && i < CHECKSUM_AT + CHECKSUM_SIZE;
        sum += own ? ' ' : t->block[i];
        signed_sum += own ? ' ' : (signed char)t->block[i];
    }
    return stated == sum || (signed_sum >= 0 && stated == (uint64_t)signed_sum);
}

static bool is_ustar(const struct tar_headers *t)
{
    return !memcmp(t->block + MAGIC_AT, "ustar", 6); // with its NUL
}

static bool is_gnu(const struct tar_headers *t)
{
    return !memcmp(t->block + MAGIC_AT, "ustar  ", MAGIC_SIZE_ALL); // with its NUL
}

static bool has_known_magic(const struct tar_headers *t)
{
    return is_ustar(t) || is_gnu(t) || all_zero((const char *)t->block + MAGIC_AT, MAGIC_SIZE_ALL);
}

// libarchive obeys a sparse map whatever the type is, the others in type S only.
static bool has_stray_map(const struct tar_headers *t, char type)
{
    return is_gnu(t) && type != 'S' &&
           (t->block[SPARSE_AT] || t->block[SPARSE_MORE_AT] || t->block[SPARSE_MORE_AT + 1]);
}

// A regular file of before POSIX is a directory if its name ends in a slash: to Python by the name
// in the header, to others by the long one.
static bool has_two_kinds(const struct tar_headers *t, char type)
{
    const char *path = t->pending.path;
    cleanup_free char *name = read_text(t, NAME);
    return !type && path && (ends_with(name, "/") || ends_with(path, "/"));
}

static char *read_path(const struct tar_headers *t)
{
    cleanup_free char *name = read_text(t, NAME), *prefix = read_text(t, PREFIX);
    return is_ustar(t) && *prefix ? xasprintf("%s/%s", prefix, name) : steal(name);
}

// ---- pax extended headers ----

// Of these the readers know different ones, and they change name or content of a member.
static bool is_disputed(const char *key)
{
    static const char *const keys[] = {"SCHILY.realsize", "SCHILY.offset",   "SCHILY.volhdr",
                                       "SCHILY.dir",      "SCHILY.filetype", "SCHILY.release",
                                       "SCHILY.archtype"};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (!strcmp(key, keys[i]))
            return true;
    return starts_with(key, "GNU.") || starts_with(key, "SUN.");
}

static bool read_decimal(const char *text, size_t length, uint64_t *out)
{
    *out = 0;
    if (!length || length > 18)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        *out = *out * 10 + (uint64_t)(text[i] - '0');
    }
    return true;
}

static bool is_charset(const char *value)
{
    return !strcmp(value, "ISO-IR 10646 2000 UTF-8") || !strcmp(value, "BINARY");
}

static bool take_record(struct tar_headers *t, const char *key, const char *value, size_t length)
{
    struct tar_pending *p = &t->pending;
    bool names = !strcmp(key, "path") || !strcmp(key, "linkpath");
    if (t->extension == 'g')
        return !strcmp(key, "comment") ||
               refuse(t, "is a global one with \"%s\" for all members that follow", key);
    if (is_disputed(key))
        return refuse(t, "has the extended key \"%s\"", key);
    if (names && (!length || memchr(value, '\0', length)))
        return refuse(t, "has an extended key \"%s\" that is no name", key);
    if (!strcmp(key, "hdrcharset") && !is_charset(value))
        return refuse(t, "has names in the character set \"%s\"", value);
    if (!strcmp(key, "size")) {
        p->has_size = read_decimal(value, length, &p->size);
        return p->has_size || refuse(t, "has the extended size \"%s\", which is no number", value);
    }
    if (names)
        *(key[0] == 'p' ? &p->path : &p->link) = xstrdup(value);
    return true;
}

// "<length> <key>=<value>\n", the length being that of the whole record.
static bool take_records(struct tar_headers *t)
{
    struct map seen = {0};
    char *p = t->body.data, *end = p + t->body.len;
    bool good = true;
    while (good && p < end) {
        uint64_t length;
        char *space = memchr(p, ' ', (size_t)(end - p));
        if (!space || *p == '0' || !read_decimal(p, (size_t)(space - p), &length) ||
            length > (size_t)(end - p) || length < (size_t)(space - p) + 4 ||
            p[length - 1] != '\n') {
            good = refuse(t, "has extended records that are not valid");
            break;
        }
        char *key = space + 1, *stop = p + length - 1;
        char *equals = memchr(key, '=', (size_t)(stop - key));
        if (!equals || equals == key || memchr(key, '\0', (size_t)(equals - key))) {
            good = refuse(t, "has extended records that are not valid");
            break;
        }
        *equals = *stop = '\0';
        if (map_add(&seen, key, 0))
            good = refuse(t, "has the extended key \"%s\" twice", key);
        else
            good = take_record(t, key, equals + 1, (size_t)(stop - equals - 1));
        p += length;
    }
    map_free(&seen);
    return good;
}

// The body of L or K: a name, then NULs only.
static bool take_long_name(struct tar_headers *t)
{
    struct tar_pending *p = &t->pending;
    size_t n = strnlen(t->body.data, t->body.len);
    if (!n || !all_zero(t->body.data + n, t->body.len - n))
        return refuse(t, "has a long name that is empty, or has something behind it");
    *(t->extension == 'L' ? &p->path : &p->link) = xstrndup(t->body.data, n);
    return true;
}

static bool end_extension(struct tar_headers *t)
{
    t->body.len = (size_t)t->extension_size; // without padding
    t->state = TAR_HEADER;
    bool good = t->extension == 'x' || t->extension == 'g' ? take_records(t) : take_long_name(t);
    t->body.len = 0;
    return good;
}

// Two that say the same of one member, or a global one between, are read in different orders.
static bool begin_extension(struct tar_headers *t, char type)
{
    struct tar_pending *p = &t->pending;
    bool any = p->pax || p->long_path || p->long_link;
    if (type == 'x' || type == 'g' ? any : p->pax || (type == 'L' ? p->long_path : p->long_link))
        return refuse(t, "is the second one of one member");
    p->pax |= type == 'x';
    p->long_path |= type == 'L';
    p->long_link |= type == 'K';
    if (!read_number(t, SIZE, &t->extension_size) || t->extension_size > EXTENSION_MAX)
        return refuse(t, "has an extension larger than 1 MiB, or of no valid size");
    t->extension = type;
    t->left = (t->extension_size + BLOCK - 1) / BLOCK * BLOCK;
    t->body.len = 0;
    buf_add(&t->body, "", 0);
    t->state = TAR_EXTENSION;
    return t->left || end_extension(t);
}

// ---- members ----

static bool add_member(struct tar_headers *t, struct tar_member m, uint64_t content)
{
    t->members = xgrow(t->members, &t->cap, t->n + 1, sizeof *t->members);
    t->members[t->n++] = m;
    t->left = (content + BLOCK - 1) / BLOCK * BLOCK;
    t->state = t->left ? TAR_CONTENT : TAR_HEADER;
    return true;
}

// Parts of a sparse file: in order, in all as long as what is stored, within the file.
static bool take_sparse_entries(struct tar_headers *t, size_t at, size_t count)
{
    for (size_t i = 0; i < count; i++, at += SPARSE_ENTRY) {
        uint64_t offset, length;
        if (!t->block[at]) {
            t->sparse_ended = true;
            continue;
        }
        if (t->sparse_ended || !read_number(t, at, 12, &offset) ||
            !read_number(t, at + 12, 12, &length) || offset < t->sparse_end ||
            __builtin_add_overflow(offset, length, &t->sparse_end) ||
            t->sparse_end > t->current.size)
            return refuse(t, "has a sparse map that is not in order");
        t->sparse_bytes += length;
    }
    return true;
}

static bool end_sparse(struct tar_headers *t, bool more)
{
    t->state = TAR_SPARSE;
    if (more)
        return true;
    if (t->sparse_bytes != t->sparse_stored)
        return refuse(t, "has a sparse map of another size than its content");
    struct tar_member m = t->current;
    t->current = (struct tar_member){0};
    return add_member(t, m, t->sparse_stored);
}

static bool begin_sparse(struct tar_headers *t, struct tar_member m, uint64_t stored)
{
    t->current = m; // owned from here on
    t->sparse_end = t->sparse_bytes = 0;
    t->sparse_stored = stored;
    t->sparse_ended = false;
    if (t->pending.pax || !is_gnu(t) || !read_number(t, REAL_SIZE, &t->current.size) ||
        t->current.size > INT64_MAX)
        return refuse(t, "has a sparse map that is not GNU tar's");
    return take_sparse_entries(t, SPARSE_AT, SPARSE_ENTRIES) &&
           end_sparse(t, t->block[SPARSE_MORE_AT] != 0);
}

// The size by the extended header, if it has one: it may only say what the field has no room for.
static bool read_size(struct tar_headers *t, uint64_t *size)
{
    const struct tar_pending *p = &t->pending;
    if (!read_number(t, SIZE, size) || *size > INT64_MAX / 2)
        return refuse(t, "has a size that is no positive number");
    if (p->has_size && p->size != *size && p->size < (uint64_t)1 << (3 * OCTAL_DIGITS))
        return refuse(t, "has two sizes, %llu and %llu", (unsigned long long)*size,
                      (unsigned long long)p->size);
    *size = p->has_size ? p->size : *size;
    return true;
}

static unsigned kind_of(char type)
{
    switch (type) {
    case '1':
    case '0':
    case '7':
    case 'S':
    case '\0':
        return S_IFREG;
    case '2':
        return S_IFLNK;
    case '3':
        return S_IFCHR;
    case '4':
        return S_IFBLK;
    case '5':
        return S_IFDIR;
    case '6':
        return S_IFIFO;
    default:
        return 0;
    }
}

static bool take_member(struct tar_headers *t, char type)
{
    struct tar_pending *p = &t->pending;
    struct tar_member m = {.kind = kind_of(type), .hardlink = type == '1'};
    uint64_t size, number;
    if (!m.kind)
        return refuse(t, "has the type '%c', which readers treat differently", type);
    if (!read_size(t, &size))
        return false;
    if (!read_number(t, MODE, &number) || !read_number(t, UID, &number) ||
        !read_number(t, GID, &number))
        return refuse(t, "has a mode or an owner that is no positive number");
    bool is_link = m.hardlink || m.kind == S_IFLNK;
    if ((p->link && !is_link) || (size && (is_link || m.kind != S_IFREG)))
        return refuse(t, "has a link target or a content, which this type has not");
    m.path = p->path ? steal(p->path) : read_path(t);
    m.link = !is_link ? NULL : p->link ? steal(p->link) : read_text(t, LINK);
    m.size = m.kind == S_IFREG ? size : 0;
    if (ends_with(m.path, "/") && m.kind == S_IFREG) { // a directory, before POSIX
        if (type || size) {
            member_free(&m);
            return refuse(t, "is of a file whose name ends in a slash");
        }
        m.kind = S_IFDIR;
    }
    bool good = type == 'S' ? begin_sparse(t, m, size) : add_member(t, m, size);
    pending_free(p);
    return good;
}

static bool is_pending(const struct tar_headers *t)
{
    return t->pending.pax || t->pending.long_path || t->pending.long_link;
}

static bool take_header(struct tar_headers *t)
{
    char type = (char)t->block[TYPE_AT];
    bool first = !t->started, zeros = all_zero(t->block, BLOCK);
    t->started = true;
    if (first && !zeros && !checksum_fits(t)) { // another format
        t->state = TAR_END;
        return true;
    }
    t->is_tar = true;
    if (zeros) {
        t->state = TAR_END;
        return !is_pending(t) || refuse(t, "ends the archive, after one that is of a member");
    }
    if (!checksum_fits(t))
        return refuse(t, "is damaged: its checksum does not fit");
    if (!has_known_magic(t))
        return refuse(t, "is of no known kind of tar");
    if (has_stray_map(t, type))
        return refuse(t, "has a sparse map, and is no sparse file");
    if (has_two_kinds(t, type))
        return refuse(t, "is of a directory by one of its names");
    if (!is_ustar(t) && t->block[PREFIX_AT] && (!type || !strchr("LKS", type)))
        return refuse(t, "has times of GNU tar where others have a part of the name");
    if (type == 'x' || type == 'g' || type == 'L' || type == 'K')
        return begin_extension(t, type);
    return take_member(t, type);
}

static bool take_block(struct tar_headers *t)
{
    if (t->state == TAR_HEADER)
        return take_header(t);
    return take_sparse_entries(t, 0, EXTENSION_ENTRIES) &&
           end_sparse(t, t->block[EXTENSION_MORE_AT] != 0);
}

// ---- the stream ----

// Takes up to `length` bytes; returns how many.
static size_t take_some(struct tar_headers *t, const char *bytes, size_t length)
{
    bool block = t->state == TAR_HEADER || t->state == TAR_SPARSE;
    uint64_t wanted = block ? BLOCK - t->filled : t->left;
    size_t n = wanted < length ? (size_t)wanted : length;
    if (block) {
        memcpy(t->block + t->filled, bytes, n);
        t->filled += n;
        if (t->filled == BLOCK) {
            t->filled = 0;
            take_block(t);
            t->at += BLOCK;
        }
        return n;
    }
    if (t->state == TAR_EXTENSION)
        buf_add(&t->body, bytes, n);
    t->left -= n;
    t->at += n;
    if (!t->left && t->state == TAR_CONTENT)
        t->state = TAR_HEADER;
    else if (!t->left)
        end_extension(t);
    return n;
}

bool tar_headers_take(struct tar_headers *t, const void *bytes, size_t length)
{
    for (const char *p = bytes, *end = p + length; p < end && t->state < TAR_END;)
        p += take_some(t, p, (size_t)(end - p));
    return t->state != TAR_REFUSED;
}

bool tar_headers_is_tar(const struct tar_headers *t)
{
    return t->is_tar;
}

const struct tar_member *tar_headers_next(struct tar_headers *t)
{
    member_free(&t->given);
    if (t->first == t->n)
        return NULL;
    t->given = t->members[t->first++];
    if (t->first == t->n)
        t->first = t->n = 0;
    return &t->given;
}

bool tar_headers_end(struct tar_headers *t)
{
    if (t->state == TAR_REFUSED)
        return false;
    if (t->first != t->n)
        return refuse(t, "was not reached: %zu members before it were not read", t->n - t->first);
    if (t->is_tar && t->state != TAR_END && (t->state != TAR_HEADER || t->filled || is_pending(t)))
        return refuse(t, "is where the archive ends too early");
    return true;
}
