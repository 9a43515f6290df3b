// SPDX-License-Identifier: Apache-2.0
// Allocation that cannot fail, cleanup attributes, bytes and lists of strings that grow, and
// numbers in bytes.
//
// Running out of memory ends the process here, in one place (exit status 1 and a line on stderr);
// every other failure in kbuild is an error value (error.h). Memory from these functions is
// released with free().
#ifndef KBUILD_BASE_MEMORY_H
#define KBUILD_BASE_MEMORY_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

// Ends the process so; for callers of libraries that report a lack of memory.
void out_of_memory(void) __attribute__((noreturn));
void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *old, size_t size);
// Grows `array` to hold at least `need` items of `size` bytes; *cap is the capacity in items.
void *xgrow(void *array, size_t *cap, size_t need, size_t size);
char *xstrdup(const char *text);
char *xstrndup(const char *text, size_t length);
char *xasprintf(const char *format, ...) __attribute__((format(printf, 1, 2)));
char *xvasprintf(const char *format, va_list args) __attribute__((format(printf, 1, 0)));

// Overwrites and frees a secret text. NULL is allowed.
void secret_free(char *secret);

static inline void cleanup_free_p(void *p)
{
    free(*(void **)p);
}
static inline void cleanup_close_p(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}
static inline void cleanup_fclose_p(FILE **f)
{
    if (*f)
        fclose(*f);
}

#define cleanup_free __attribute__((cleanup(cleanup_free_p)))
#define cleanup_close __attribute__((cleanup(cleanup_close_p))) // an int that holds -1 or an fd
#define cleanup_fclose __attribute__((cleanup(cleanup_fclose_p)))

// Moves the value out of a cleanup variable, so that it is not released.
#define steal(p)                                                                                   \
    __extension__({                                                                                \
        __typeof__(p) steal_value = (p);                                                           \
        (p) = NULL;                                                                                \
        steal_value;                                                                               \
    })
static inline int steal_fd(int *fd)
{
    int value = *fd;
    *fd = -1;
    return value;
}

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

bool all_zero(const void *bytes, size_t length); // also of no bytes

// ---- bytes and lists that grow ----

// Zero-initialise. data is NUL-terminated after every call, so it is a string if the bytes are
// text.
struct buf {
    char *data;
    size_t len, cap;
};

void buf_add(struct buf *b, const void *bytes, size_t length);
void buf_puts(struct buf *b, const char *text);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_trim_end(struct buf *b); // drops blanks and line ends at the end
// Gives the bytes to the caller (never NULL) and leaves the buffer empty.
char *buf_take(struct buf *b);
void buf_free(struct buf *b);
#define cleanup_buf __attribute__((cleanup(buf_free)))

// Zero-initialise. items[n] is NULL once anything was added, so items can be an argv.
struct strlist {
    char **items;
    size_t n, cap;
};

void strlist_add(struct strlist *l, const char *text); // copies
void strlist_addf(struct strlist *l, const char *format, ...) __attribute__((format(printf, 2, 3)));
void strlist_add_once(struct strlist *l, const char *text); // unless it is there
void strlist_add_all(struct strlist *l, const struct strlist *more);
void strlist_sort(struct strlist *l); // by bytes, whatever the locale
bool strlist_has(const struct strlist *l, const char *text);
char *strlist_join(const struct strlist *l, const char *between);                // to be freed
void strlist_split(struct strlist *l, const char *text, const char *separators); // adds the words
void strlist_free(struct strlist *l);
#define cleanup_strlist __attribute__((cleanup(strlist_free)))

static inline bool starts_with(const char *text, const char *prefix)
{
    while (*prefix)
        if (*text++ != *prefix++)
            return false;
    return true;
}
bool ends_with(const char *text, const char *suffix);

// The text with each name replaced by its value; to be freed. Other text is unchanged: names like
// "{arch}" are compared as text, braces have no meaning.
struct placeholder {
    const char *name, *value;
};
char *placeholders_expand(const char *text, const struct placeholder *names, size_t n);

// "did you mean": the name of `names` nearest to `wrong` (optimal string alignment distance, at
// most a third of its length), or NULL. The result belongs to `names`.
const char *nearest_name(const char *wrong, const struct strlist *names);

// ---- numbers in bytes, big-endian (be) and little-endian (le) ----

static inline void put_be32(unsigned char *p, uint32_t v)
{
    for (int i = 3; i >= 0; i--, v >>= 8)
        p[i] = (unsigned char)v;
}

static inline void put_be64(unsigned char *p, uint64_t v)
{
    for (int i = 7; i >= 0; i--, v >>= 8)
        p[i] = (unsigned char)v;
}

static inline uint32_t get_be32(const unsigned char *p)
{
    uint32_t v = 0;
    for (int i = 0; i < 4; i++)
        v = v << 8 | p[i];
    return v;
}

static inline uint64_t get_be64(const unsigned char *p)
{
    return (uint64_t)get_be32(p) << 32 | get_be32(p + 4);
}

// `bytes` of them, at most 8.
static inline void put_le(unsigned char *p, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++, value >>= 8)
        p[i] = (unsigned char)value;
}

static inline uint64_t get_le(const unsigned char *p, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = bytes; i-- > 0;)
        value = value << 8 | p[i];
    return value;
}

#endif
