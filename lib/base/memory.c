// SPDX-License-Identifier: Apache-2.0
// Allocates memory, which ends the process when there is none left; and bytes and lists of strings
// that grow.
#include "base/memory.h"

#include <stdint.h>
#include <string.h>

void out_of_memory(void)
{
    static const char text[] = "kbuild: out of memory\n";
    ssize_t ignored = write(STDERR_FILENO, text, sizeof text - 1);
    (void)ignored;
    _exit(1);
}

void *xmalloc(size_t size)
{
    void *p = malloc(size ? size : 1);
    if (!p)
        out_of_memory();
    return p;
}

void *xcalloc(size_t count, size_t size)
{
    void *p = calloc(count ? count : 1, size ? size : 1);
    if (!p)
        out_of_memory();
    return p;
}

void *xrealloc(void *old, size_t size)
{
    void *p = realloc(old, size ? size : 1);
    if (!p)
        out_of_memory();
    return p;
}

void *xgrow(void *array, size_t *cap, size_t need, size_t size)
{
    if (need <= *cap)
        return array;
    size_t grown = *cap ? *cap : 8;
    while (grown < need) {
        if (grown > SIZE_MAX / 2)
            out_of_memory();
        grown *= 2;
    }
    if (size && grown > SIZE_MAX / size)
        out_of_memory();
    *cap = grown;
    return xrealloc(array, grown * size);
}

char *xstrdup(const char *text)
{
    return xstrndup(text, strlen(text));
}

char *xstrndup(const char *text, size_t length)
{
    char *copy = xmalloc(length + 1);
    memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}

char *xvasprintf(const char *format, va_list args)
{
    char *text;
    if (vasprintf(&text, format, args) < 0)
        out_of_memory();
    return text;
}

char *xasprintf(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = xvasprintf(format, args);
    va_end(args);
    return text;
}

void buf_add(struct buf *b, const void *bytes, size_t length)
{
    b->data = xgrow(b->data, &b->cap, b->len + length + 1, 1);
    if (length)
        memcpy(b->data + b->len, bytes, length);
    b->len += length;
    b->data[b->len] = '\0';
}

void buf_puts(struct buf *b, const char *text)
{
    buf_add(b, text, strlen(text));
}

void buf_printf(struct buf *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    cleanup_free char *text = xvasprintf(format, args);
    va_end(args);
    buf_puts(b, text);
}

void buf_trim_end(struct buf *b)
{
    while (b->len && b->data[b->len - 1] && strchr(" \t\r\n", b->data[b->len - 1]))
        b->data[--b->len] = '\0';
}

char *buf_take(struct buf *b)
{
    if (!b->data)
        buf_add(b, "", 0);
    char *data = b->data;
    *b = (struct buf){0};
    return data;
}

void buf_free(struct buf *b)
{
    free(b->data);
    *b = (struct buf){0};
}

static void add_owned(struct strlist *l, char *text)
{
    l->items = xgrow(l->items, &l->cap, l->n + 2, sizeof *l->items);
    l->items[l->n++] = text;
    l->items[l->n] = NULL;
}

void strlist_add(struct strlist *l, const char *text)
{
    add_owned(l, xstrdup(text));
}

void strlist_addf(struct strlist *l, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add_owned(l, xvasprintf(format, args));
    va_end(args);
}

void strlist_add_all(struct strlist *l, const struct strlist *more)
{
    for (size_t i = 0; i < more->n; i++)
        strlist_add(l, more->items[i]);
}

static int compare_strings(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void strlist_sort(struct strlist *l)
{
    if (l->n)
        qsort(l->items, l->n, sizeof *l->items, compare_strings);
}

bool strlist_has(const struct strlist *l, const char *text)
{
    for (size_t i = 0; i < l->n; i++)
        if (!strcmp(l->items[i], text))
            return true;
    return false;
}

void strlist_add_once(struct strlist *l, const char *text)
{
    if (!strlist_has(l, text))
        strlist_add(l, text);
}

char *strlist_join(const struct strlist *l, const char *between)
{
    struct buf b = {0};
    for (size_t i = 0; i < l->n; i++) {
        if (i)
            buf_puts(&b, between);
        buf_puts(&b, l->items[i]);
    }
    return buf_take(&b);
}

void strlist_split(struct strlist *l, const char *text, const char *separators)
{
    while (*(text += strspn(text, separators))) {
        size_t length = strcspn(text, separators);
        add_owned(l, xstrndup(text, length));
        text += length;
    }
}

void strlist_free(struct strlist *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->items[i]);
    free(l->items);
    *l = (struct strlist){0};
}

char *placeholders_expand(const char *text, const struct placeholder *names, size_t n)
{
    struct buf out = {0};
    while (*text) {
        size_t i = 0;
        while (i < n && !starts_with(text, names[i].name))
            i++;
        if (i < n) {
            buf_puts(&out, names[i].value);
            text += strlen(names[i].name);
        } else {
            buf_add(&out, text++, 1);
        }
    }
    return buf_take(&out);
}

bool ends_with(const char *text, const char *suffix)
{
    size_t n = strlen(text), m = strlen(suffix);
    return n >= m && !strcmp(text + n - m, suffix);
}

// Optimal string alignment: insert, delete, replace, swap of neighbours; three rows of the table.
static size_t distance(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    size_t *rows = xcalloc(3 * (m + 1), sizeof *rows);
    for (size_t j = 0; j <= m; j++)
        rows[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *now = rows + i % 3 * (m + 1);
        const size_t *old = rows + (i + 2) % 3 * (m + 1), *older = rows + (i + 1) % 3 * (m + 1);
        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t best = old[j - 1] + (a[i - 1] != b[j - 1]);
            if (old[j] + 1 < best)
                best = old[j] + 1;
            if (now[j - 1] + 1 < best)
                best = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                older[j - 2] + 1 < best)
                best = older[j - 2] + 1;
            now[j] = best;
        }
    }
    size_t result = rows[n % 3 * (m + 1) + m];
    free(rows);
    return result;
}

const char *nearest_name(const char *wrong, const struct strlist *names)
{
    const char *best = NULL;
    size_t length = strlen(wrong), best_distance = (length + 2) / 3 + 1;
    for (size_t i = 0; i < names->n; i++) {
        size_t n = strlen(names->items[i]);
        if ((n > length ? n - length : length - n) >= best_distance)
            continue; // the difference in length alone is too large
        size_t d = distance(wrong, names->items[i]);
        if (d < best_distance) {
            best = names->items[i];
            best_distance = d;
        }
    }
    return best;
}

void secret_free(char *secret)
{
    if (secret)
        explicit_bzero(secret, strlen(secret));
    free(secret);
}

bool all_zero(const void *bytes, size_t length)
{
    const unsigned char *p = bytes;
    // The first byte is zero, and each equals the one before.
    return !length || (!p[0] && !memcmp(p, p + 1, length - 1));
}
