// SPDX-License-Identifier: Apache-2.0
// Reads the document: pairs, arrays, inline tables, headers; and keeps its names.
#include "toml/internal.h"

#include <search.h>
#include <string.h>

// ---- names ----
// The names that a document has defined, and how; and which may be defined twice (TOML 1.0.0,
// "Table", "Array of Tables", "Inline Table").

static int compare_names(const void *a, const void *b)
{
    const struct toml_name *x = a, *y = b;
    if (x->parent != y->parent)
        return (uintptr_t)x->parent < (uintptr_t)y->parent ? -1 : 1;
    return strcmp(x->text, y->text);
}

struct toml_name *toml_child(const struct toml *t, const struct toml_name *parent, const char *part)
{
    const struct toml_name wanted = {.parent = (struct toml_name *)parent, .text = (char *)part};
    struct toml_name **found = tfind(&wanted, (void *const *)&t->index, compare_names);
    return found ? *found : NULL;
}

static struct toml_name *add_name(struct toml *t, struct toml_name *parent, const char *text,
                                  enum toml_name_kind kind)
{
    struct toml_name *name = xcalloc(1, sizeof *name);
    name->parent = parent;
    name->text = xstrdup(text);
    name->kind = kind;
    t->names = xgrow(t->names, &t->name_cap, t->name_count + 1, sizeof(struct toml_name *));
    t->names[t->name_count++] = name;
    if (!tsearch(name, &t->index, compare_names))
        out_of_memory();
    return name;
}

static void keep_name(void *node)
{
    (void)node; // the names are freed by their list
}

static void free_names(struct toml *t)
{
    tdestroy(t->index, keep_name);
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
    return array->last = add_name(t, array, text, TOML_NAME_HEADER);
}

// [a.b.c] or [[a.b.c]]: all but the last part may exist as any table, and lead to the newest
// element of an array of tables.
static struct toml_name *open_table(struct toml *t, const struct strlist *parts, bool array,
                                    const char **why)
{
    struct toml_name *at = t->root, *next;
    for (size_t i = 0; i + 1 < parts->n; i++, at = next) {
        next = toml_child(t, at, parts->items[i]);
        if (!next)
            next = add_name(t, at, parts->items[i], TOML_NAME_IMPLICIT);
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
        return add_element(t, next ? next : add_name(t, at, last, TOML_NAME_ARRAY));
    if (next && next->kind != TOML_NAME_IMPLICIT) {
        *why = next->kind == TOML_NAME_VALUE   ? "this name is a value already"
               : next->kind == TOML_NAME_ARRAY ? "this name is an array of tables already"
                                               : "this table is defined twice";
        return NULL;
    }
    if (!next)
        return add_name(t, at, last, TOML_NAME_HEADER);
    next->kind = TOML_NAME_HEADER;
    return next;
}

// a.b.c = value below `table`. Existing dotted tables on the path belong to this section: a path
// into another section passes a table with a header, or a value.
static struct toml_name *define_key(struct toml *t, struct toml_name *table,
                                    const struct strlist *parts, const char **why)
{
    struct toml_name *at = table;
    for (size_t i = 0; i + 1 < parts->n; i++) {
        struct toml_name *next = toml_child(t, at, parts->items[i]);
        if (!next)
            next = add_name(t, at, parts->items[i], TOML_NAME_IMPLICIT);
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
    return add_name(t, at, last, TOML_NAME_VALUE);
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

// ---- values ----

static int read_value(struct toml_reader *r, struct toml_name *name, struct toml_value *v);
static int read_pair(struct toml_reader *r, struct toml_name *table, bool within);

static int enter_level(struct toml_reader *r)
{
    if (r->depth == TOML_DEPTH)
        return toml_fail(r, r->at, "more than %d arrays and tables within each other", TOML_DEPTH);
    r->depth++;
    r->at++;
    return 0;
}

// Skips blanks, line ends and comments between the elements of an array.
static int skip_lines(struct toml_reader *r)
{
    for (size_t n = 1; n;) {
        toml_skip_blanks(r);
        if (toml_skip_comment(r) < 0)
            return -1;
        n = toml_newline(r);
        r->at += n;
    }
    return 0;
}

static int read_element(struct toml_reader *r)
{
    struct toml_value element = {0};
    int result = read_value(r, NULL, &element);
    buf_free(&element.string);
    return result;
}

static int read_array(struct toml_reader *r)
{
    if (enter_level(r) < 0)
        return -1;
    r->arrays++;
    bool more = true; // an element may follow
    for (;;) {
        if (skip_lines(r) < 0)
            return -1;
        char here[32];
        int c = toml_peek(r, 0);
        if (c == ']')
            break;
        if (!more && c != ',')
            return toml_fail(r, r->at, "expected ',' or ']', found %s", toml_here(r, here));
        if (!more)
            r->at++;
        else if (read_element(r) < 0)
            return -1;
        more = !more;
    }
    r->at++;
    r->arrays--;
    r->depth--;
    return 0;
}

// `table` is the key whose value it is, or NULL in an array: then its keys get a table that nothing
// else can name. The table is closed at its end.
static int read_inline_table(struct toml_reader *r, struct toml_name *table)
{
    if (enter_level(r) < 0)
        return -1;
    cleanup_free char *anonymous = xasprintf("{%zu}", r->anonymous++);
    if (!table)
        table = add_name(r->toml, NULL, anonymous, TOML_NAME_VALUE);
    toml_skip_blanks(r);
    for (bool first = true; first ? toml_peek(r, 0) != '}' : true; first = false) {
        if (read_pair(r, table, true) < 0)
            return -1;
        toml_skip_blanks(r);
        int c = toml_peek(r, 0);
        char here[32];
        if (c == '}')
            break;
        if (c != ',')
            return toml_fail(r, r->at, "expected ',' or '}', found %s", toml_here(r, here));
        r->at++;
        toml_skip_blanks(r);
    }
    r->at++;
    r->depth--;
    return 0;
}

static const struct {
    const char *word;
    bool value;
} booleans[] = {{"true", true}, {"false", false}};

static int read_boolean(struct toml_reader *r, struct toml_value *v)
{
    for (size_t i = 0; i < ARRAY_LEN(booleans); i++) {
        size_t n = strlen(booleans[i].word);
        if (r->length - r->at < n || memcmp(r->text + r->at, booleans[i].word, n) != 0)
            continue;
        v->kind = TOML_BOOLEAN;
        v->boolean = booleans[i].value;
        r->at += n;
        return 0;
    }
    return toml_fail(r, r->at, "expected a value; strings need quotes");
}

// `name` is the key whose value it is, or NULL in an array. v->string is the caller's also on
// failure.
static int read_value(struct toml_reader *r, struct toml_name *name, struct toml_value *v)
{
    int result, c = toml_peek(r, 0);
    v->start = r->at;
    if (c == '"' || c == '\'') {
        v->kind = TOML_STRING;
        result = toml_read_string(r, true, &v->string);
    } else if (c == '[') {
        v->kind = TOML_ARRAY;
        result = read_array(r);
    } else if (c == '{') {
        v->kind = TOML_INLINE_TABLE;
        result = read_inline_table(r, name);
    } else if (c == 't' || c == 'f') {
        result = read_boolean(r, v);
    } else {
        result = toml_read_number(r, v);
    }
    v->end = r->at;
    return result;
}

// ---- pairs ----

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
    e->name = define_key(r->toml, table, &k->parts, &why);
    if (!e->name)
        return toml_fail(r, k->start, "%s", why);
    e->key = k->start;
    e->last = k->last;
    e->key_end = k->end;
    return read_value(r, e->name, &e->value);
}

// key = value below `table`.
static int read_pair(struct toml_reader *r, struct toml_name *table, bool within)
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
        h.name = open_table(t, &k.parts, array, &why);
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

static int read_document(struct toml_reader *r)
{
    if (r->length > TOML_SIZE)
        return error_user(r->err, "it is larger than the limit of %u bytes", TOML_SIZE);
    if (toml_check_utf8(r) < 0)
        return -1;
    struct toml_name *table = r->toml->root;
    while (r->at < r->length) {
        toml_skip_blanks(r);
        int c = toml_peek(r, 0), result = 0;
        if (c == '[')
            result = read_header(r, &table);
        else if (c >= 0 && c != '#' && !toml_newline(r))
            result = read_pair(r, table, false);
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
    t->root = add_name(t, NULL, "", TOML_NAME_HEADER);
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
    free_names(t);
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
    int result = toml_check_utf8(&r) < 0 ? -1 : toml_read_key(&r, &k);
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
