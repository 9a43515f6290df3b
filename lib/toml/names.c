// SPDX-License-Identifier: Apache-2.0
// Which names a document has defined, and how: what may be said twice, and what may not
// (TOML 1.0.0, "Table", "Array of Tables", "Inline Table").
#include "toml/room.h"

#include <search.h>
#include <string.h>

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

// a.b.c = value below `table`. Tables on the way that a dotted key made were made in this section:
// from any other, a table with a header or a value lies between.
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
