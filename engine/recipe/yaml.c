// SPDX-License-Identifier: Apache-2.0
// Builds a tree from libyaml's events, and looks values up in it. All limits in versions.h are
// checked while the tree grows, so that a hostile document costs no more than a large one.
//
// That is why yaml_parser_load() of libyaml (0.2.5) does not compose the tree: it has no limits and
// is quadratic in the anchors and in the depth (256 KiB of anchors take a second, 64 KiB of
// brackets six), it composes recursive aliases, refuses an anchor that is used again, and it
// forgets what is needed here: where an alias stands, and whether a scalar had a tag (null and
// !!str null are the same to it).
#include "recipe/versions.h"

#include "base/file.h"

#include <search.h>
#include <stdint.h>
#include <string.h>
#include <yaml.h>

#define MAX_BYTES ((size_t)4 << 20)
#define MAX_DEPTH 64
#define MAX_NODES 200000
#define MAX_EXPANDED 1000000
#define MAX_CHUNK ((size_t)1 << 20)

// ---- messages ----

static int error_at(const struct yaml_document *d, size_t line, size_t column, struct error **err,
                    char *why)
{
    // The file's content must not control the terminal.
    for (unsigned char *p = (unsigned char *)why; *p; p++)
        if (*p < ' ' || *p == 0x7f)
            *p = '?';
    if (line)
        error_user(err, "%s:%zu:%zu: %s", d->file, line, column, why);
    else
        error_user(err, "%s: %s", d->file, why);
    free(why);
    return error_place(err, d->file, line, column);
}

int yaml_error(const struct yaml_document *d, const struct yaml *node, struct error **err,
               const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *why = xvasprintf(format, args);
    va_end(args);
    return error_at(d, node ? node->line : 0, node ? node->column : 0, err, why);
}

int yaml_error_at(const struct yaml_document *d, size_t line, size_t column, struct error **err,
                  const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *why = xvasprintf(format, args);
    va_end(args);
    return error_at(d, line, column, err, why);
}

// ---- memory: everything of a document lies in a few chunks that are freed together ----

struct chunk {
    struct chunk *next;
    size_t used, size;
    _Alignas(max_align_t) char bytes[];
};

static struct chunk *add_chunk(struct yaml_document *d, size_t size)
{
    struct chunk *c = xmalloc(sizeof *c + size);
    *c = (struct chunk){.next = d->arena, .size = size};
    d->arena = c;
    return c;
}

static void *arena_take(struct yaml_document *d, size_t size)
{
    struct chunk *c = d->arena;
    size = (size + 7) & ~(size_t)7;
    if (c->size - c->used < size) {
        size_t grown = c->size < MAX_CHUNK / 2 ? c->size * 2 : MAX_CHUNK;
        c = add_chunk(d, grown > size ? grown : size);
    }
    void *p = c->bytes + c->used;
    c->used += size;
    return p;
}

static char *arena_text(struct yaml_document *d, const void *bytes, size_t length)
{
    char *copy = arena_take(d, length + 1);
    memcpy(copy, bytes, length);
    copy[length] = '\0';
    return copy;
}

void yaml_document_free(struct yaml_document *d)
{
    if (!d)
        return;
    for (struct chunk *c = d->arena, *next; c; c = next) {
        next = c->next;
        free(c);
    }
    free(d->file);
    free(d);
}

// ---- the state of one parse ----

// The target of an alias. `weight` is the number of nodes that the alias expands to, `height` the
// nesting depth of maps and lists in it.
struct anchor {
    const char *name; // first, so that tsearch() can compare
    struct yaml *node;
    size_t weight, height;
    bool open; // its end has not been seen: an alias to it would be recursive
};

// A child of a map or list that is still open. A list's children have no key.
struct child {
    struct yaml *node;
    char *key;
    size_t line, column; // of the key
};

// An open map or list.
struct frame {
    struct yaml *node;
    struct anchor *anchor;
    size_t first;  // index of its first child in `children`
    size_t before; // value of `expanded` when it began
    size_t height; // the greatest among its children
    struct child key;
};

struct parse {
    struct yaml_document *d;
    struct error **err;
    struct frame frames[MAX_DEPTH];
    size_t depth;
    struct child *children;
    size_t child_count, child_cap;
    void *anchors; // tsearch() tree of struct anchor
    size_t nodes, expanded;
    bool ended;
};

static int fail(struct parse *p, yaml_mark_t at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static int fail(struct parse *p, yaml_mark_t at, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    cleanup_free char *why = xvasprintf(format, args);
    va_end(args);
    return yaml_error_at(p->d, at.line + 1, at.column + 1, p->err, "%s", why);
}

static int compare_anchors(const void *a, const void *b)
{
    return strcmp(((const struct anchor *)a)->name, ((const struct anchor *)b)->name);
}

static void keep_anchor(void *anchor)
{
    (void)anchor; // lies in the arena
}

static struct anchor *define_anchor(struct parse *p, const yaml_char_t *name, struct yaml *node)
{
    struct anchor *a = arena_take(p->d, sizeof *a);
    *a = (struct anchor){.name = arena_text(p->d, name, strlen((const char *)name))};
    struct anchor **found = tsearch(a, &p->anchors, compare_anchors);
    if (!found)
        out_of_memory();
    a = *found; // a name may be reused; it then means the later node
    a->node = node;
    a->weight = 1;
    a->height = 0;
    a->open = false;
    return a;
}

// ---- building ----

static struct yaml *new_node(struct parse *p, enum yaml_kind kind, yaml_mark_t at)
{
    if (++p->nodes > MAX_NODES) {
        fail(p, at, "more than %d values in one document", MAX_NODES);
        return NULL;
    }
    struct yaml *node = arena_take(p->d, sizeof *node);
    *node = (struct yaml){.kind = kind, .line = at.line + 1, .column = at.column + 1};
    return node;
}

// Puts a finished node (or one that will grow) into the innermost open map or list, or makes it the
// root. `height` and `weight` are those of the tree below an alias.
static int add_child(struct parse *p, struct yaml *node, yaml_mark_t at, size_t height,
                     size_t weight)
{
    p->expanded += weight;
    if (p->expanded > MAX_EXPANDED)
        return fail(p, at, "the aliases expand to more than %d values", MAX_EXPANDED);
    if (p->depth + height > MAX_DEPTH)
        return fail(p, at, "nested more than %d deep", MAX_DEPTH);
    if (!p->depth) {
        p->d->root = node;
        return 0;
    }
    struct frame *f = &p->frames[p->depth - 1];
    if (f->height < height)
        f->height = height;
    struct child child = {.node = node};
    if (f->node->kind == YAML_MAP) {
        if (!f->key.key) { // this node is a key; its value comes next
            if (node->kind != YAML_SCALAR)
                return fail(p, at, "a key must be plain text, not a map or a list");
            if (!strcmp(node->text, "<<") && !node->quoted)
                return fail(p, at, "merge keys (<<) are not supported; use an alias for a value");
            f->key = (struct child){NULL, node->text, at.line + 1, at.column + 1};
            return 0;
        }
        child = f->key;
        child.node = node;
        f->key.key = NULL;
    }
    p->children = xgrow(p->children, &p->child_cap, p->child_count + 1, sizeof *p->children);
    p->children[p->child_count++] = child;
    return 0;
}

static int check_tag(struct parse *p, const yaml_event_t *e, const yaml_char_t *tag, bool *text)
{
    static const char *const known[] = {"!", YAML_STR_TAG, YAML_MAP_TAG, YAML_SEQ_TAG};
    *text = false;
    if (!tag)
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        *text = i < 2;
        if (!strcmp((const char *)tag, known[i]))
            return 0;
    }
    return fail(p, e->start_mark, "the tag %s is not supported", (const char *)tag);
}

static int add_scalar(struct parse *p, const yaml_event_t *e)
{
    bool text;
    if (check_tag(p, e, e->data.scalar.tag, &text) < 0)
        return -1;
    struct yaml *node = new_node(p, YAML_SCALAR, e->start_mark);
    if (!node)
        return -1;
    if (memchr(e->data.scalar.value, 0, e->data.scalar.length))
        return fail(p, e->start_mark, "a NUL character in a text");
    node->text = arena_text(p->d, e->data.scalar.value, e->data.scalar.length);
    node->quoted = text || e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    if (e->data.scalar.anchor)
        define_anchor(p, e->data.scalar.anchor, node);
    return add_child(p, node, e->start_mark, 0, 1);
}

static int add_alias(struct parse *p, const yaml_event_t *e)
{
    const char *name = (const char *)e->data.alias.anchor;
    struct anchor wanted = {.name = name}, **found = tfind(&wanted, &p->anchors, compare_anchors);
    if (!found)
        return fail(p, e->start_mark, "the alias *%s names no anchor before it", name);
    if ((*found)->open)
        return fail(p, e->start_mark, "the alias *%s is inside the value it names", name);
    return add_child(p, (*found)->node, e->start_mark, (*found)->height, (*found)->weight);
}

static int begin_collection(struct parse *p, const yaml_event_t *e, enum yaml_kind kind,
                            const yaml_char_t *anchor, const yaml_char_t *tag)
{
    bool text;
    if (check_tag(p, e, tag, &text) < 0)
        return -1;
    if (p->depth == MAX_DEPTH)
        return fail(p, e->start_mark, "nested more than %d deep", MAX_DEPTH);
    size_t before = p->expanded;
    struct yaml *node = new_node(p, kind, e->start_mark);
    if (!node || add_child(p, node, e->start_mark, 0, 1) < 0)
        return -1;
    struct frame *f = &p->frames[p->depth++];
    *f = (struct frame){.node = node, .first = p->child_count, .before = before, .height = 0};
    if (anchor) {
        f->anchor = define_anchor(p, anchor, node);
        f->anchor->open = true;
    }
    return 0;
}

static int compare_keys(const void *a, const void *b)
{
    const struct child *x = a, *y = b;
    int order = strcmp(x->key, y->key);
    if (!order) // in the order of the file
        order = (x->line > y->line) - (x->line < y->line);
    return order ? order : (x->column > y->column) - (x->column < y->column);
}

static int duplicate(struct parse *p, const struct child *first, const struct child *second)
{
    return yaml_error_at(p->d, second->line, second->column, p->err,
                         "duplicate key '%s' (first on line %zu)", second->key, first->line);
}

static int check_duplicates(struct parse *p, const struct child *children, size_t n)
{
    if (n <= 12) {
        for (size_t i = 1; i < n; i++)
            for (size_t j = 0; j < i; j++)
                if (!strcmp(children[j].key, children[i].key))
                    return duplicate(p, &children[j], &children[i]);
        return 0;
    }
    cleanup_free struct child *sorted = xmalloc(n * sizeof *sorted);
    memcpy(sorted, children, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, compare_keys);
    for (size_t i = 1; i < n; i++)
        if (!strcmp(sorted[i - 1].key, sorted[i].key))
            return duplicate(p, &sorted[i - 1], &sorted[i]);
    return 0;
}

static int end_collection(struct parse *p)
{
    if (!p->depth) // libyaml ends only what began
        return 0;
    struct frame *f = &p->frames[--p->depth];
    struct yaml *node = f->node;
    size_t n = p->child_count - f->first;
    const struct child *children = n ? p->children + f->first : NULL;
    node->n = n;
    p->child_count = f->first;
    if (n) {
        node->items = arena_take(p->d, n * sizeof(void *));
        for (size_t i = 0; i < n; i++)
            node->items[i] = children[i].node;
    }
    if (n && node->kind == YAML_MAP) {
        if (check_duplicates(p, children, n) < 0)
            return -1;
        node->keys = arena_take(p->d, n * sizeof(char *));
        node->key_lines = arena_take(p->d, n * sizeof *node->key_lines);
        node->key_columns = arena_take(p->d, n * sizeof *node->key_columns);
        for (size_t i = 0; i < n; i++) {
            node->keys[i] = children[i].key;
            node->key_lines[i] = children[i].line;
            node->key_columns[i] = children[i].column;
        }
    }
    size_t height = f->height + 1;
    if (f->anchor) {
        f->anchor->open = false;
        f->anchor->weight = p->expanded - f->before;
        f->anchor->height = height;
    }
    if (p->depth && p->frames[p->depth - 1].height < height)
        p->frames[p->depth - 1].height = height;
    return 0;
}

static int take_event(struct parse *p, const yaml_event_t *e)
{
    switch (e->type) {
    case YAML_SCALAR_EVENT:
        return add_scalar(p, e);
    case YAML_ALIAS_EVENT:
        return add_alias(p, e);
    case YAML_SEQUENCE_START_EVENT:
        return begin_collection(p, e, YAML_LIST, e->data.sequence_start.anchor,
                                e->data.sequence_start.tag);
    case YAML_MAPPING_START_EVENT:
        return begin_collection(p, e, YAML_MAP, e->data.mapping_start.anchor,
                                e->data.mapping_start.tag);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return end_collection(p);
    case YAML_DOCUMENT_START_EVENT:
        if (p->d->root)
            return fail(p, e->start_mark, "a second document begins here; only one is allowed");
        return 0;
    case YAML_STREAM_END_EVENT:
        p->ended = true;
        return 0;
    default:
        return 0;
    }
}

// ---- libyaml's own errors ----

static int syntax_error(struct parse *p, const yaml_parser_t *y, const char *text, size_t length)
{
    if (y->error == YAML_MEMORY_ERROR)
        out_of_memory();
    if (y->error == YAML_READER_ERROR) { // has an offset in bytes instead of a mark
        yaml_mark_t at = {0};
        for (size_t i = 0; i < y->problem_offset && i < length; i++, at.column++)
            if (text[i] == '\n') {
                at.line++;
                at.column = (size_t)-1;
            }
        return fail(p, at, "%s", y->problem);
    }
    if (y->context)
        return fail(p, y->problem_mark, "%s %s (line %zu)", y->problem, y->context,
                    y->context_mark.line + 1);
    return fail(p, y->problem_mark, "%s", y->problem);
}

static int parse_stream(struct parse *p, const char *text, size_t length)
{
    yaml_parser_t y;
    if (!yaml_parser_initialize(&y))
        out_of_memory();
    yaml_parser_set_input_string(&y, (const unsigned char *)text, length);
    int result = 0;
    while (!result && !p->ended) {
        yaml_event_t e;
        if (!yaml_parser_parse(&y, &e)) {
            result = syntax_error(p, &y, text, length);
            break;
        }
        result = take_event(p, &e);
        yaml_event_delete(&e);
    }
    yaml_parser_delete(&y);
    return result;
}

// An empty file is an empty map.
static void default_root(struct parse *p)
{
    struct yaml *root = p->d->root;
    if (root && (root->kind != YAML_SCALAR || root->quoted || *root->text))
        return;
    root = arena_take(p->d, sizeof *root);
    *root = (struct yaml){.kind = YAML_MAP, .line = 1, .column = 1};
    p->d->root = root;
}

struct yaml_document *yaml_parse(const char *name, const char *text, size_t length,
                                 struct error **err)
{
    if (length > MAX_BYTES) {
        error_user(err, "%s: larger than the limit of %zu bytes", name, MAX_BYTES);
        return NULL;
    }
    struct yaml_document *d = xcalloc(1, sizeof *d);
    d->file = xstrdup(name);
    add_chunk(d, 1024 + 4 * length); // enough for most documents
    struct parse p = {.d = d, .err = err};
    int result = parse_stream(&p, text, length);
    if (!result)
        default_root(&p);
    free(p.children);
    tdestroy(p.anchors, keep_anchor);
    if (!result)
        return d;
    yaml_document_free(d);
    return NULL;
}

struct yaml_document *yaml_load(const char *path, struct error **err)
{
    cleanup_buf struct buf text = {0};
    if (file_read(path, MAX_BYTES, &text, err) < 0)
        return NULL;
    return yaml_parse(path, text.data, text.len, err);
}

struct yaml *yaml_with(struct yaml_document *d, const struct yaml *map, const char *key,
                       const struct yaml *value)
{
    struct yaml *out = arena_take(d, sizeof *out);
    size_t at = 0, n = map->n;
    while (at < n && strcmp(map->keys[at], key) != 0)
        at++;
    size_t count = at < n ? n : n + 1;
    *out = *map;
    out->n = count;
    out->items = arena_take(d, count * sizeof(void *));
    out->keys = arena_take(d, count * sizeof(char *));
    out->key_lines = arena_take(d, count * sizeof *out->key_lines);
    out->key_columns = arena_take(d, count * sizeof *out->key_columns);
    for (size_t i = 0; i < n; i++) {
        out->items[i] = map->items[i];
        out->keys[i] = map->keys[i];
        out->key_lines[i] = map->key_lines[i];
        out->key_columns[i] = map->key_columns[i];
    }
    out->items[at] = (struct yaml *)value;
    if (at == n) {
        out->keys[at] = arena_text(d, key, strlen(key));
        out->key_lines[at] = map->line;
        out->key_columns[at] = map->column;
    }
    return out;
}

// ---- look-up ----

static const struct yaml *find_value(const struct yaml *node, const char *key, size_t length)
{
    if (!node || node->kind != YAML_MAP)
        return NULL;
    for (size_t i = 0; i < node->n; i++)
        if (!strncmp(node->keys[i], key, length) && !node->keys[i][length])
            return node->items[i];
    return NULL;
}

const struct yaml *yaml_get(const struct yaml *node, const char *key)
{
    return find_value(node, key, strlen(key));
}

bool yaml_path_next(const char **path, const char **name, size_t *length)
{
    const char *p = *path;
    if (*p == '"') {
        const char *close = strchr(p + 1, '"');
        if (!close || (close[1] && close[1] != '.'))
            return false;
        *name = p + 1;
        *length = (size_t)(close - p) - 1;
        p = close + 1;
    } else {
        *name = p;
        *length = strcspn(p, ".");
        if (!*length)
            return false;
        p += *length;
    }
    if (*p == '.' && !*++p) // a dot must be followed by something
        return false;
    *path = p;
    return true;
}

const struct yaml *yaml_child(const struct yaml *node, const char *name, size_t length)
{
    if (!node || node->kind != YAML_LIST)
        return find_value(node, name, length);
    size_t index = 0; // lists are counted from 0
    for (size_t i = 0; i < length; i++) {
        if (name[i] < '0' || name[i] > '9' || index >= node->n)
            return NULL;
        index = index * 10 + (size_t)(name[i] - '0');
    }
    return index < node->n ? node->items[index] : NULL;
}

const struct yaml *yaml_path(const struct yaml *node, const char *path)
{
    do {
        const char *name;
        size_t length;
        if (!yaml_path_next(&path, &name, &length))
            return NULL;
        node = yaml_child(node, name, length);
    } while (node && *path);
    return node;
}

bool yaml_is_null(const struct yaml *node)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
    if (!node)
        return true;
    if (node->kind != YAML_SCALAR || node->quoted)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(nulls); i++)
        if (!strcmp(node->text, nulls[i]))
            return true;
    return false;
}

const char *yaml_kind_name(const struct yaml *node)
{
    static const char *const names[] = {
        [YAML_SCALAR] = "a text", [YAML_LIST] = "a list", [YAML_MAP] = "a map"};
    return yaml_is_null(node) ? "empty" : names[node->kind];
}
