// SPDX-License-Identifier: Apache-2.0
// Reads the document: lines, keys, headers (TOML 1.0.0, "Comment" to "Bare Keys", "Table"), and
// keeps its names.
#include "toml/internal.h"

#include <search.h>
#include <string.h>

unsigned toml_class(int byte)
{
    static const struct {
        int first, last;
        unsigned class;
    } ranges[] = {
        {'0', '1', TOML_IS_BARE | TOML_IS_DIGIT | TOML_IS_HEX | TOML_IS_OCTAL | TOML_IS_BINARY},
        {'2', '7', TOML_IS_BARE | TOML_IS_DIGIT | TOML_IS_HEX | TOML_IS_OCTAL},
        {'8', '9', TOML_IS_BARE | TOML_IS_DIGIT | TOML_IS_HEX},
        {'a', 'f', TOML_IS_BARE | TOML_IS_HEX},
        {'A', 'F', TOML_IS_BARE | TOML_IS_HEX},
        {'g', 'z', TOML_IS_BARE},
        {'G', 'Z', TOML_IS_BARE},
        {'_', '_', TOML_IS_BARE},
        {'-', '-', TOML_IS_BARE},
        {0x00, 0x08, TOML_IS_CONTROL},
        {0x0a, 0x1f, TOML_IS_CONTROL},
        {0x7f, 0x7f, TOML_IS_CONTROL},
    };
    for (size_t i = 0; i < ARRAY_LEN(ranges); i++)
        if (byte >= ranges[i].first && byte <= ranges[i].last)
            return ranges[i].class;
    return 0;
}

int toml_fail(struct toml_reader *r, size_t at, const char *format, ...)
{
    size_t line = 1, column = 1;
    for (size_t i = 0; i < at && i < r->length; i++) {
        unsigned char c = (unsigned char)r->text[i];
        column = c == '\n' ? 1 : (c & 0xc0) == 0x80 ? column : column + 1;
        line += c == '\n';
    }
    va_list args;
    va_start(args, format);
    cleanup_free char *why = xvasprintf(format, args);
    va_end(args);
    return error_user(r->err, "line %zu, column %zu: %s", line, column, why);
}

const char *toml_here(const struct toml_reader *r, char out[static 32])
{
    int c = toml_peek(r, 0);
    if (c < 0)
        return "the end of the file";
    if (toml_newline(r))
        return "the end of the line";
    snprintf(out, 32, c >= 0x20 && c < 0x7f ? "'%c'" : "the byte 0x%02x", c);
    return out;
}

size_t toml_newline(const struct toml_reader *r)
{
    if (toml_peek(r, 0) == '\n')
        return 1;
    return toml_peek(r, 0) == '\r' && toml_peek(r, 1) == '\n' ? 2 : 0;
}

void toml_skip_blanks(struct toml_reader *r)
{
    while (toml_peek(r, 0) == ' ' || toml_peek(r, 0) == '\t')
        r->at++;
}

int toml_skip_comment(struct toml_reader *r)
{
    if (toml_peek(r, 0) != '#')
        return 0;
    for (; toml_peek(r, 0) >= 0 && !toml_newline(r); r->at++)
        if (toml_class(toml_peek(r, 0)) & TOML_IS_CONTROL)
            return toml_fail(r, r->at, "the control character U+%04X can't stand in a comment",
                             (unsigned)toml_peek(r, 0));
    return 0;
}

// Blanks and a comment may follow; then the line must end.
static int finish_line(struct toml_reader *r)
{
    toml_skip_blanks(r);
    if (toml_skip_comment(r) < 0)
        return -1;
    size_t n = toml_newline(r);
    char here[32];
    if (!n && toml_peek(r, 0) >= 0)
        return toml_fail(r, r->at, "expected the end of the line, found %s", toml_here(r, here));
    r->at += n;
    return 0;
}

// ---- keys ----

static int read_part(struct toml_reader *r, struct strlist *parts)
{
    cleanup_buf struct buf text = {0};
    int c = toml_peek(r, 0);
    char here[32];
    if (c == '"' || c == '\'') {
        if (toml_read_string(r, false, &text) < 0)
            return -1;
    } else {
        for (; toml_class(toml_peek(r, 0)) & TOML_IS_BARE; r->at++)
            buf_add(&text, r->text + r->at, 1);
        if (!text.len)
            return toml_fail(r, r->at, "expected a key, found %s", toml_here(r, here));
    }
    cleanup_free char *part = toml_part(text.data, text.len);
    strlist_add(parts, part);
    return 0;
}

int toml_read_key(struct toml_reader *r, struct toml_key *k)
{
    k->start = r->at;
    for (;;) {
        k->last = r->at;
        if (k->parts.n == TOML_DEPTH)
            return toml_fail(r, r->at, "a key of more than %d parts", TOML_DEPTH);
        if (read_part(r, &k->parts) < 0)
            return -1;
        k->end = r->at;
        toml_skip_blanks(r);
        if (toml_peek(r, 0) != '.') {
            r->at = k->end;
            return 0;
        }
        r->at++;
        toml_skip_blanks(r);
    }
}

static void free_entry(struct toml_entry *e)
{
    buf_free(&e->value.string);
    free(e);
}

static int read_pair_of(struct toml_reader *r, struct toml_name *table, struct toml_key *k,
                        struct toml_entry *e)
{
    const char *why = NULL;
    char here[32];
    if (toml_read_key(r, k) < 0)
        return -1;
    toml_skip_blanks(r);
    if (toml_peek(r, 0) != '=')
        return toml_fail(r, r->at, "expected '=' after the key, found %s", toml_here(r, here));
    r->at++;
    toml_skip_blanks(r);
    e->name = toml_define(r->toml, table, &k->parts, &why);
    if (!e->name)
        return toml_fail(r, k->start, "%s", why);
    e->key = k->start;
    e->last = k->last;
    e->key_end = k->end;
    return toml_read_value(r, e->name, &e->value);
}

int toml_read_pair(struct toml_reader *r, struct toml_name *table, bool within)
{
    struct toml *t = r->toml;
    struct toml_entry *e = xcalloc(1, sizeof *e);
    struct toml_key k = {0};
    e->within = within;
    bool listed = !r->arrays;
    if (listed) { // before those in its value
        t->entries =
            xgrow(t->entries, &t->entry_cap, t->entry_count + 1, sizeof(struct toml_entry *));
        t->entries[t->entry_count++] = e;
    }
    int result = read_pair_of(r, table, &k, e);
    strlist_free(&k.parts);
    if (!listed)
        free_entry(e);
    else if (!result)
        e->name->entry = e;
    return result;
}

// ---- headers ----

// [key] or [[key]]; *table becomes the table that is open now.
static int read_header(struct toml_reader *r, struct toml_name **table)
{
    struct toml *t = r->toml;
    struct toml_header h = {.start = r->at};
    bool array = toml_peek(r, 1) == '[';
    struct toml_key k = {0};
    const char *why = NULL;
    char here[32];
    r->at += array ? 2 : 1;
    toml_skip_blanks(r);
    int result = toml_read_key(r, &k);
    toml_skip_blanks(r);
    if (!result && (toml_peek(r, 0) != ']' || (array && toml_peek(r, 1) != ']')))
        result = toml_fail(r, r->at, "expected '%s' after the name of the table, found %s",
                           array ? "]]" : "]", toml_here(r, here));
    if (!result)
        h.name = toml_open_table(t, &k.parts, array, &why);
    if (!result && !h.name)
        result = toml_fail(r, k.start, "%s", why);
    strlist_free(&k.parts);
    if (result < 0)
        return -1;
    r->at += array ? 2 : 1;
    h.end = r->at;
    *table = h.name;
    t->headers = xgrow(t->headers, &t->header_cap, t->header_count + 1, sizeof h);
    t->headers[t->header_count++] = h;
    return 0;
}

// ---- the document ----

// The length of the UTF-8 character here (RFC 3629), or 0 if it is none.
static size_t character_length(const struct toml_reader *r)
{
    static const struct {
        unsigned char first, last, low, high; // the lead byte; the range of the second byte
        size_t length;
    } forms[] = {
        {0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    int c = toml_peek(r, 0);
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        if (c < forms[i].first || c > forms[i].last)
            continue;
        for (size_t k = 1; k < forms[i].length; k++) {
            int next = toml_peek(r, k);
            if (next < (k == 1 ? forms[i].low : 0x80) || next > (k == 1 ? forms[i].high : 0xbf))
                return 0;
        }
        return forms[i].length;
    }
    return 0;
}

static int check_utf8(struct toml_reader *r)
{
    for (size_t n; r->at < r->length; r->at += n)
        if (!(n = character_length(r)))
            return toml_fail(r, r->at, "this is not UTF-8 text");
    r->at = 0;
    return 0;
}

static int read_document(struct toml_reader *r)
{
    if (r->length > TOML_SIZE)
        return error_user(r->err, "it is larger than the limit of %u bytes", TOML_SIZE);
    if (check_utf8(r) < 0)
        return -1;
    struct toml_name *table = r->toml->root;
    while (r->at < r->length) {
        toml_skip_blanks(r);
        int c = toml_peek(r, 0), result = 0;
        if (c == '[')
            result = read_header(r, &table);
        else if (c >= 0 && c != '#' && !toml_newline(r))
            result = toml_read_pair(r, table, false);
        if (result < 0 || finish_line(r) < 0)
            return -1;
    }
    return 0;
}

struct toml *toml_parse(const char *text, size_t length, struct error **err)
{
    struct toml *t = xcalloc(1, sizeof *t);
    struct toml_reader r = {.text = text, .length = length, .toml = t, .err = err};
    t->text = text;
    t->length = length;
    t->root = toml_name_new(t, NULL, "", TOML_NAME_HEADER);
    if (read_document(&r) == 0)
        return t;
    toml_free(t);
    return NULL;
}

void toml_free(struct toml *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->entry_count; i++)
        free_entry(t->entries[i]);
    free(t->entries);
    free(t->headers);
    toml_free_names(t);
    free(t);
}

int toml_value_parse(const char *text, size_t length, struct toml_value *v, struct error **err)
{
    cleanup_free char *line = xasprintf("v = %.*s", (int)length, text);
    struct toml *t = strlen(line) == length + 4 ? toml_parse(line, length + 4, err) : NULL;
    if (!t)
        return err && *err ? -1 : error_user(err, "it holds a NUL");
    int result = t->entry_count && t->entries[0]->value.end == length + 4
                     ? 0
                     : error_user(err, "it is more than one value");
    if (!result) {
        *v = t->entries[0]->value;
        v->start -= 4;
        v->end -= 4;
        t->entries[0]->value.string = (struct buf){0};
    }
    toml_free(t);
    return result;
}

int toml_key_parse(const char *text, struct strlist *parts, struct error **err)
{
    struct toml_reader r = {.text = text, .length = strlen(text), .err = err};
    struct toml_key k = {0};
    int result = check_utf8(&r) < 0 ? -1 : toml_read_key(&r, &k);
    if (!result && r.at < r.length)
        result = toml_fail(&r, r.at, "more than a key");
    if (!result)
        strlist_add_all(parts, &k.parts);
    strlist_free(&k.parts);
    return result;
}

bool toml_same_value(const struct toml *a, const struct toml_value *x, const struct toml *b,
                     const struct toml_value *y)
{
    if (x->kind != y->kind)
        return false;
    switch (x->kind) {
    case TOML_STRING:
        return x->string.len == y->string.len &&
               !memcmp(x->string.data, y->string.data, x->string.len);
    case TOML_INTEGER:
        return x->integer == y->integer;
    case TOML_BOOLEAN:
        return x->boolean == y->boolean;
    default:
        return x->end - x->start == y->end - y->start &&
               !memcmp(a->text + x->start, b->text + y->start, x->end - x->start);
    }
}

// ---- names ----
// The names that a document has defined, and how; and which may be defined twice (TOML 1.0.0,
// "Table", "Array of Tables", "Inline Table").

static int compare(const void *a, const void *b)
{
    const struct toml_name *x = a, *y = b;
    if (x->parent != y->parent)
        return (uintptr_t)x->parent < (uintptr_t)y->parent ? -1 : 1;
    return strcmp(x->text, y->text);
}

struct toml_name *toml_child(const struct toml *t, const struct toml_name *parent, const char *part)
{
    const struct toml_name wanted = {.parent = (struct toml_name *)parent, .text = (char *)part};
    struct toml_name **found = tfind(&wanted, (void *const *)&t->index, compare);
    return found ? *found : NULL;
}

struct toml_name *toml_name_new(struct toml *t, struct toml_name *parent, const char *text,
                                enum toml_name_kind kind)
{
    struct toml_name *name = xcalloc(1, sizeof *name);
    name->parent = parent;
    name->text = xstrdup(text);
    name->kind = kind;
    t->names = xgrow(t->names, &t->name_cap, t->name_count + 1, sizeof(struct toml_name *));
    t->names[t->name_count++] = name;
    if (!tsearch(name, &t->index, compare))
        out_of_memory();
    return name;
}

static void keep(void *node)
{
    (void)node; // the names are freed by their list
}

void toml_free_names(struct toml *t)
{
    tdestroy(t->index, keep);
    for (size_t i = 0; i < t->name_count; i++) {
        free(t->names[i]->text);
        free(t->names[i]);
    }
    free(t->names);
}

struct toml_name *toml_find(const struct toml *t, char *const *parts, size_t count)
{
    struct toml_name *at = t->root;
    for (size_t i = 0; at && i < count; i++)
        at = toml_child(t, at, parts[i]);
    return at;
}

static struct toml_name *add_element(struct toml *t, struct toml_name *array)
{
    cleanup_free char *text = xasprintf("[%zu]", array->count++);
    return array->last = toml_name_new(t, array, text, TOML_NAME_HEADER);
}

// [a.b.c] or [[a.b.c]]: all but the last part may exist as any table, and lead to the newest
// element of an array of tables.
struct toml_name *toml_open_table(struct toml *t, const struct strlist *parts, bool array,
                                  const char **why)
{
    struct toml_name *at = t->root, *next;
    for (size_t i = 0; i + 1 < parts->n; i++, at = next) {
        next = toml_child(t, at, parts->items[i]);
        if (!next)
            next = toml_name_new(t, at, parts->items[i], TOML_NAME_IMPLICIT);
        if (next->kind == TOML_NAME_ARRAY)
            next = next->last;
        if (next->kind == TOML_NAME_VALUE) {
            *why = "a part of this name is a value, not a table";
            return NULL;
        }
    }
    const char *last = parts->items[parts->n - 1];
    next = toml_child(t, at, last);
    if (array && next && next->kind != TOML_NAME_ARRAY) {
        *why = "this name is taken by something that is not an array of tables";
        return NULL;
    }
    if (array)
        return add_element(t, next ? next : toml_name_new(t, at, last, TOML_NAME_ARRAY));
    if (next && next->kind != TOML_NAME_IMPLICIT) {
        *why = next->kind == TOML_NAME_VALUE   ? "this name is a value already"
               : next->kind == TOML_NAME_ARRAY ? "this name is an array of tables already"
                                               : "this table is defined twice";
        return NULL;
    }
    if (!next)
        return toml_name_new(t, at, last, TOML_NAME_HEADER);
    next->kind = TOML_NAME_HEADER;
    return next;
}

// a.b.c = value below `table`. Existing dotted tables on the path belong to this section: a path
// into another section passes a table with a header, or a value.
struct toml_name *toml_define(struct toml *t, struct toml_name *table, const struct strlist *parts,
                              const char **why)
{
    struct toml_name *at = table;
    for (size_t i = 0; i + 1 < parts->n; i++) {
        struct toml_name *next = toml_child(t, at, parts->items[i]);
        if (!next)
            next = toml_name_new(t, at, parts->items[i], TOML_NAME_IMPLICIT);
        if (next->kind == TOML_NAME_IMPLICIT)
            next->kind = TOML_NAME_DOTTED;
        if (next->kind != TOML_NAME_DOTTED) {
            *why = next->kind == TOML_NAME_VALUE ? "a part of this key has a value already"
                                                 : "a dotted key can't add to a table that is "
                                                   "defined elsewhere";
            return NULL;
        }
        at = next;
    }
    const char *last = parts->items[parts->n - 1];
    if (toml_child(t, at, last)) {
        *why = "this key is defined twice";
        return NULL;
    }
    return toml_name_new(t, at, last, TOML_NAME_VALUE);
}

char *toml_part(const char *bytes, size_t length)
{
    bool bare = length > 0;
    for (size_t i = 0; i < length; i++)
        bare = bare && (toml_class((unsigned char)bytes[i]) & TOML_IS_BARE);
    struct buf out = {0};
    if (bare) {
        buf_add(&out, bytes, length);
        return buf_take(&out);
    }
    buf_puts(&out, "\"");
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (c < 0x20 || c == 0x7f)
            buf_printf(&out, "\\u%04x", c);
        else if (c == '"' || c == '\\')
            buf_printf(&out, "\\%c", c);
        else
            buf_add(&out, &bytes[i], 1);
    }
    buf_puts(&out, "\"");
    return buf_take(&out);
}

char *toml_quote(const char *text)
{
    char *part = toml_part(text, strlen(text));
    if (*part == '"')
        return part;
    char *quoted = xasprintf("\"%s\"", part);
    free(part);
    return quoted;
}

char *toml_path(const struct toml_name *name)
{
    struct strlist parts = {0};
    for (; name->parent; name = name->parent)
        strlist_add(&parts, name->text);
    struct buf out = {0};
    for (size_t i = parts.n; i-- > 0;)
        buf_printf(&out, "%s%s", out.len && parts.items[i][0] != '[' ? "." : "", parts.items[i]);
    strlist_free(&parts);
    return buf_take(&out);
}
