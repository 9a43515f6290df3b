// SPDX-License-Identifier: Apache-2.0
// A growing byte buffer and a growing list of strings.
#ifndef KBUILD_BASE_BUF_H
#define KBUILD_BASE_BUF_H

#include "base/mem.h"

#include <stdbool.h>

// Zero-initialise. data is NUL-terminated after every call, so it is a string if the bytes are
// text.
struct buf {
    char *data;
    size_t len, cap;
};

void buf_add(struct buf *b, const void *bytes, size_t length);
void buf_puts(struct buf *b, const char *text);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
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

#endif
