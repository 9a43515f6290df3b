// SPDX-License-Identifier: Apache-2.0
// Reads, escapes and compares listings of trees. store.h has the format.
#include "store/store.h"

#include "base/file.h"

#include <string.h>

static const char header[] = "kbuild-tree 1\n";

void tree_escape(struct buf *out, const char *path)
{
    for (const char *start = path;;) {
        const char *p = start;
        while (*p > 0x20 && *p < 0x7f && *p != '\\')
            p++;
        buf_add(out, start, (size_t)(p - start));
        if (!*p)
            return;
        buf_printf(out, "\\x%02x", (unsigned char)*p);
        start = p + 1;
    }
}

// The byte written as \xHH at `text`, or 0 if tree_escape() would not have written that.
static unsigned char escaped_byte(const char *text, size_t length)
{
    unsigned char byte = 0;
    if (length < 4 || text[1] != 'x')
        return 0;
    char digits[3] = {text[2], text[3], '\0'};
    bool plain = hex_decode(digits, &byte, 1) && byte > 0x20 && byte < 0x7f && byte != '\\';
    return plain || strpbrk(digits, "ABCDEF") ? 0 : byte;
}

// NULL unless `text` is what tree_escape() would have made.
static char *unescape(const char *text, size_t length)
{
    cleanup_free char *out = xmalloc(length + 1);
    size_t n = 0;
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte <= 0x20 || byte >= 0x7f)
            return NULL;
        if (byte == '\\') {
            byte = escaped_byte(text + i, length - i);
            if (!byte)
                return NULL;
            i += 3;
        }
        out[n++] = (char)byte;
    }
    out[n] = '\0';
    return steal(out);
}

// Reads the field up to `stop`, and advances *text.
static bool take_field(const char **text, const char *end, char stop, const char **field,
                       size_t *length)
{
    const char *p = memchr(*text, stop, (size_t)(end - *text));
    if (!p || p == *text)
        return false;
    *field = *text;
    *length = (size_t)(p - *text);
    *text = p + 1;
    return true;
}

static bool parse_size(const char *field, size_t length, uint64_t *size)
{
    *size = 0;
    if (length == 0 || length > 19 || (field[0] == '0' && length > 1))
        return false;
    for (size_t i = 0; i < length; i++) {
        if (field[i] < '0' || field[i] > '9')
            return false;
        *size = *size * 10 + (uint64_t)(field[i] - '0');
    }
    return true;
}

// One line without its kind, up to and with the newline at end[-1].
static bool parse_line(struct tree_entry *e, const char *text, const char *end)
{
    const char *field;
    size_t length;
    if (e->kind == TREE_FILE || e->kind == TREE_EXECUTABLE) {
        if (!take_field(&text, end, ' ', &field, &length) || !parse_size(field, length, &e->size) ||
            !take_field(&text, end, ' ', &field, &length) || length != DIGEST_HEX_SIZE - 1)
            return false;
        memcpy(e->digest, field, length);
        e->digest[length] = '\0';
        if (!digest_is_hex(e->digest))
            return false;
    } else if (e->kind == TREE_LINK) {
        if (!take_field(&text, end, ' ', &field, &length) || !(e->target = unescape(field, length)))
            return false;
    } else if (e->kind != TREE_DIRECTORY)
        return false;
    return take_field(&text, end, '\n', &field, &length) && text == end &&
           (e->path = unescape(field, length)) && path_is_clean(e->path);
}

static void forget_entry(struct tree_entry *e)
{
    free(e->path);
    free(e->target);
    *e = (struct tree_entry){0};
}

int tree_next(struct tree_reader *r, struct error **err)
{
    forget_entry(&r->entry);
    if (r->offset == 0) {
        size_t length = sizeof header - 1;
        if (r->length < length || memcmp(r->text, header, length) != 0)
            return error_user(err,
                              "this is not the listing of a tree: its first line is not \"%.*s\"",
                              (int)length - 1, header);
        r->offset = length;
    }
    if (r->offset == r->length)
        return 0;
    const char *line = r->text + r->offset;
    const char *newline = memchr(line, '\n', r->length - r->offset);
    if (!newline || newline - line < 3 || line[1] != ' ')
        return error_user(err, "the listing of a tree is damaged at byte %zu", r->offset);
    r->entry.kind = (enum tree_kind)line[0];
    if (!parse_line(&r->entry, line + 2, newline + 1))
        return error_user(err, "the listing of a tree is damaged at byte %zu", r->offset);
    r->offset += (size_t)(newline + 1 - line);
    return 1;
}

void tree_reader_free(struct tree_reader *r)
{
    forget_entry(&r->entry);
}

int tree_bytes(const char *text, size_t length, uint64_t *bytes, struct error **err)
{
    cleanup_tree_reader struct tree_reader r = {.text = text, .length = length};
    int more;
    *bytes = 0;
    while ((more = tree_next(&r, err)) > 0)
        *bytes += r.entry.size;
    return more;
}

// The order of a listing: byte by byte, '/' first, so that entries follow their directory.
static int compare_paths(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    int x = *a == '/' ? 1 : *a ? (unsigned char)*a + 1 : 0;
    int y = *b == '/' ? 1 : *b ? (unsigned char)*b + 1 : 0;
    return x - y;
}

static const char *entry_difference(const struct tree_entry *a, const struct tree_entry *b)
{
    bool files = a->digest[0] && b->digest[0];
    if (a->kind != b->kind && !files)
        return "is of another kind";
    if (files && a->size != b->size)
        return "has another size";
    if (strcmp(a->digest, b->digest) != 0)
        return "has other content";
    if (a->kind != b->kind)
        return "has another executable bit";
    if (a->target && strcmp(a->target, b->target) != 0)
        return "points elsewhere";
    return NULL;
}

static char *difference(const char *path, const char *what)
{
    struct buf text = {0};
    tree_escape(&text, path);
    buf_printf(&text, " %s", what);
    return buf_take(&text);
}

char *tree_difference(const struct buf *expected, const struct buf *found)
{
    cleanup_tree_reader struct tree_reader a = {.text = expected->data, .length = expected->len};
    cleanup_tree_reader struct tree_reader b = {.text = found->data, .length = found->len};
    for (;;) {
        const char *x = tree_next(&a, NULL) > 0 ? a.entry.path : NULL;
        const char *y = tree_next(&b, NULL) > 0 ? b.entry.path : NULL;
        if (!x && !y)
            return NULL;
        int order = !x ? 1 : !y ? -1 : compare_paths(x, y);
        if (order < 0)
            return difference(x, "is missing");
        if (order > 0)
            return difference(y, "does not belong there");
        const char *what = entry_difference(&a.entry, &b.entry);
        if (what)
            return difference(x, what);
    }
}
