// SPDX-License-Identifier: Apache-2.0
// Makes one edit as a careful person does: changes the value if the key exists; else uncomments the
// key, or writes below the comment with it; else adds it at the end of its section.
#include "config/internal.h"

#include <string.h>
#include <strings.h>

// The parsed text in its current form.
struct parsed_text {
    struct lines *lines;
    struct buf text;
    struct toml *toml;
    const struct config_change *change;
    const char *key;         // the last part of the path
    struct toml_name *table; // NULL if there is none
    struct toml_entry *entry;
};

static size_t indentation(const char *text)
{
    return strspn(text, " \t");
}

// ---- existing keys ----

static void replace_value(struct parsed_text *v, const char *value)
{
    const struct toml_value *old = &v->entry->value;
    size_t first = lines_find(v->lines, old->start), last = lines_find(v->lines, old->end - 1);
    size_t start = lines_offset(v->lines, first), end = lines_offset(v->lines, last + 1);
    cleanup_buf struct buf line = {0};
    buf_add(&line, v->text.data + start, old->start - start);
    buf_puts(&line, value);
    buf_add(&line, v->text.data + old->end, end - old->end);
    lines_replace(v->lines, first, last + 1 - first, line.data, line.len);
}

static int comment_out_key(struct parsed_text *v, struct error **err)
{
    if (v->entry->within) {
        error_user(err, "the key is in an inline table and can't be commented out");
        return error_hint(err, "write that table with its own [header]");
    }
    size_t first = lines_find(v->lines, v->entry->key),
           last = lines_find(v->lines, v->entry->value.end - 1);
    for (size_t i = first; i <= last; i++) {
        const struct line *old = &v->lines->items[i];
        size_t n = indentation(old->text);
        cleanup_buf struct buf line = {0};
        buf_add(&line, old->text, n);
        buf_puts(&line, n + line_end_length(old) < old->length ? "# " : "#");
        buf_add(&line, old->text + n, old->length - n);
        lines_replace(v->lines, i, 1, line.data, line.len);
    }
    return 0;
}

// ---- missing keys ----

// The lines of the table's section: [*first, *end). Its header is before them. False if it has
// none.
static bool find_section(const struct parsed_text *v, size_t *first, size_t *end)
{
    const struct toml *t = v->toml;
    size_t i = 0; // the header after the section's
    *first = 0;
    if (v->table != t->root) {
        while (i < t->header_count && t->headers[i].name != v->table)
            i++;
        if (i == t->header_count)
            return false;
        *first = lines_find(v->lines, t->headers[i].start) + 1;
        i++;
    }
    *end = i < t->header_count ? lines_find(v->lines, t->headers[i].start) : v->lines->n;
    return true;
}

// "# key = value" -> "key = value" within the line, or NULL if it is no comment.
static const char *without_hash(const struct line *line)
{
    const char *p = line->text + indentation(line->text);
    if (*p != '#')
        return NULL;
    p += strspn(p, "#");
    return p + indentation(p);
}

// The meaning of a comment without its '#': this key (1), this key with this value (2), a header
// (3), or something else (0).
static int classify_comment(const struct parsed_text *v, const struct line *line)
{
    const char *rest = without_hash(line);
    // Most comments are prose: a quick check avoids parsing them.
    bool likely = rest && (strchr("['\"", *rest) || starts_with(rest, v->key));
    struct toml *t = likely ? toml_parse(rest, strlen(rest), NULL) : NULL;
    int what = 0;
    if (t && t->header_count)
        what = 3;
    else if (t && t->entry_count == 1 && t->entries[0]->name->parent == t->root &&
             !strcmp(t->entries[0]->name->text, v->key)) {
        cleanup_free char *both = xasprintf("v = %s", v->change->value);
        struct toml *requested = toml_parse(both, strlen(both), NULL);
        what = requested && toml_same_value(t, &t->entries[0]->value, requested,
                                            &requested->entries[0]->value)
                   ? 2
                   : 1;
        toml_free(requested);
    }
    toml_free(t);
    return what;
}

// The comment in the section with this key: one with the requested value, else the last. Returns
// the result of classify_comment() for it, 0 if there is none.
static int find_commented_key(const struct parsed_text *v, size_t first, size_t end, size_t *found)
{
    int best = 0;
    size_t next = 0; // entries before this one end above the line
    size_t offset = lines_offset(v->lines, first);
    for (size_t i = first; i < end; offset += v->lines->items[i].length, i++) {
        while (next < v->toml->entry_count && v->toml->entries[next]->value.end <= offset)
            next++;
        if (next < v->toml->entry_count && v->toml->entries[next]->key < offset)
            continue; // a line of a long value is no comment
        int what = classify_comment(v, &v->lines->items[i]);
        if (what == 3)
            break; // a section that is commented out
        if (what && what >= best) {
            best = what;
            *found = i;
        }
        if (best == 2)
            break;
    }
    return best;
}

static void uncomment_line(struct parsed_text *v, size_t at)
{
    const struct line *old = &v->lines->items[at];
    cleanup_buf struct buf line = {0};
    buf_add(&line, old->text, indentation(old->text));
    buf_puts(&line, without_hash(old));
    lines_replace(v->lines, at, 1, line.data, line.len);
}

// The line end that the file uses.
static const char *line_end(const struct lines *l)
{
    return l->n && line_end_length(&l->items[0]) == 2 ? "\r\n" : "\n";
}

// Inserts `text` as a line after line `at` (at -1: first). A last line without an end gets one, and
// the new last line then has none.
static void insert_line(struct lines *l, size_t at, const char *text)
{
    cleanup_buf struct buf line = {0};
    if (at == (size_t)-1 || line_end_length(&l->items[at])) {
        buf_printf(&line, "%s%s", text, line_end(l));
        lines_replace(l, at + 1, 0, line.data, line.len);
        return;
    }
    buf_printf(&line, "%s%s%s", l->items[at].text, line_end(l), text);
    lines_replace(l, at, 1, line.data, line.len);
}

// The last key of the table that has a line of its own, or NULL.
static const struct toml_entry *find_last_entry(const struct parsed_text *v, bool *within)
{
    const struct toml_entry *last = NULL;
    for (size_t i = 0; v->table && i < v->toml->entry_count; i++) {
        const struct toml_entry *e = v->toml->entries[i];
        if (e->name->parent != v->table)
            continue;
        *within = *within || e->within;
        last = e->within ? last : e;
    }
    return last;
}

// Below the last key of the table, in the same form: indented, and with its dotted prefix.
static void add_below(struct parsed_text *v, const struct toml_entry *last)
{
    size_t at = lines_find(v->lines, last->value.end - 1);
    const char *start = v->lines->items[lines_find(v->lines, last->key)].text;
    cleanup_free char *line =
        xasprintf("%.*s%.*s%s = %s", (int)indentation(start), start, (int)(last->last - last->key),
                  v->text.data + last->key, v->key, v->change->value);
    insert_line(v->lines, at, line);
}

static void add_section(struct parsed_text *v)
{
    struct lines *l = v->lines;
    struct strlist parts = {v->change->path.items, v->change->path.n - 1, 0};
    cleanup_free char *path = strlist_join(&parts, "."); // of parts.n parts
    cleanup_free char *header = xasprintf("[%s]", path);
    cleanup_free char *line = xasprintf("%s = %s", v->key, v->change->value);
    if (l->n && l->items[l->n - 1].length > line_end_length(&l->items[l->n - 1]))
        insert_line(l, l->n - 1, "");
    insert_line(l, l->n - 1, header);
    insert_line(l, l->n - 1, line);
}

static int add_key(struct parsed_text *v, struct error **err)
{
    size_t first, end, found = 0;
    bool within = false, section = v->table && find_section(v, &first, &end);
    int what = section ? find_commented_key(v, first, end, &found) : 0;
    cleanup_free char *line = xasprintf("%s = %s", v->key, v->change->value);
    if (what == 2) {
        uncomment_line(v, found);
        return 0;
    }
    if (what == 1) {
        const char *comment = v->lines->items[found].text;
        cleanup_free char *indented = xasprintf("%.*s%s", (int)indentation(comment), comment, line);
        insert_line(v->lines, found, indented);
        return 0;
    }
    const struct toml_entry *last = find_last_entry(v, &within);
    if (last)
        add_below(v, last);
    else if (section)
        insert_line(v->lines, first - 1, line);
    else if (!v->table || (v->table->kind == TOML_NAME_IMPLICIT && !within))
        add_section(v);
    else {
        cleanup_free char *path = toml_path(v->table);
        error_user(err, "%s is not written as a table with a [header]", path);
        return error_hint(err, "write it as [%s] with one key per line", path);
    }
    return 0;
}

// ---- finding a key with the runtime's rules ----

static bool same_name(const char *a, const char *b, bool fold)
{
    return fold ? !strcasecmp(a, b) : !strcmp(a, b);
}

// The table at the path; only the first part is a field name, the others are keys of a map.
static struct toml_name *find_table(const struct toml *t, char *const *path, size_t parts,
                                    bool fold)
{
    struct toml_name *exact = toml_find(t, path, parts);
    if (exact || !fold || !parts)
        return exact;
    for (size_t i = 0; i < t->name_count; i++) {
        if (t->names[i]->parent != t->root || strcasecmp(t->names[i]->text, path[0]) != 0)
            continue;
        struct toml_name *at = t->names[i];
        for (size_t k = 1; at && k < parts; k++)
            at = toml_child(t, at, path[k]);
        if (at)
            return at;
    }
    return NULL;
}

static struct toml_entry *find_entry(const struct toml *t, const struct toml_name *table,
                                     const char *key, bool fold, size_t *count)
{
    struct toml_name *exact = table ? toml_child(t, table, key) : NULL;
    struct toml_entry *found = exact ? exact->entry : NULL;
    size_t n = 0;
    for (size_t i = 0; table && i < t->entry_count; i++) {
        if (t->entries[i]->name->parent != table ||
            !same_name(t->entries[i]->name->text, key, fold))
            continue;
        n++;
        found = found ? found : t->entries[i];
    }
    if (count)
        *count = n;
    return found;
}

struct toml_entry *config_find(const struct toml *t, char *const *path, size_t parts, bool fold,
                               size_t *count)
{
    return find_entry(t, find_table(t, path, parts - 1, fold), path[parts - 1], fold, count);
}

// ---- lists ----

// The end of the string that starts here: after its closing quote. NULL if it has none on its line.
static const char *string_end(const char *p, const char *end)
{
    char quote = *p;
    for (p++; p < end && *p != quote && *p != '\n'; p++)
        if (*p == '\\' && quote == '"')
            p++;
    return p < end && *p == quote ? p + 1 : NULL;
}

// Skips what is between elements: blanks, commas, comments.
static const char *skip_between(const char *p, const char *end)
{
    while (p < end && (strchr(", \t\r\n", *p) || *p == '#'))
        p += *p == '#' ? strcspn(p, "\n") : 1;
    return p;
}

int config_list(const struct toml *t, const struct toml_value *v, struct strlist *out,
                struct error **err)
{
    const char *p = t->text + v->start + 1, *end = t->text + v->end - 1;
    bool strings = v->kind == TOML_ARRAY;
    for (p = strings ? skip_between(p, end) : p; strings && p < end; p = skip_between(p, end)) {
        struct toml_value element = {0};
        const char *after = strchr("'\"", *p) ? string_end(p, end) : NULL;
        strings = after && (after == end || !strchr("'\"", *after)) &&
                  toml_value_parse(p, (size_t)(after - p), &element, NULL) == 0 &&
                  strlen(element.string.data) == element.string.len;
        if (strings)
            strlist_add(out, element.string.data);
        buf_free(&element.string);
        p = strings ? after : p;
    }
    return strings ? 0 : error_user(err, "a list of strings of one line each is expected");
}

// ---- the edit ----

static int parse_lines(struct parsed_text *v, struct error **err)
{
    const struct strlist *path = &v->change->path;
    buf_free(&v->text);
    toml_free(v->toml);
    lines_join(v->lines, &v->text);
    v->toml = toml_parse(v->text.data, v->text.len, err);
    if (!v->toml)
        return -1;
    v->key = path->items[path->n - 1];
    bool fold = v->change->fold;
    size_t count;
    v->table = find_table(v->toml, path->items, path->n - 1, fold);
    struct toml_name *name = v->table ? toml_child(v->toml, v->table, v->key) : NULL;
    v->entry = find_entry(v->toml, v->table, v->key, fold, &count);
    if (name && !v->entry)
        return error_user(err, "the key is a table, not a value");
    if (count < 2 || v->change->operation == CONFIG_COMMENT_OUT)
        return 0;
    error_user(err, "the key exists %zu times, in lower and upper case", count);
    return error_hint(err, "Kata may read any of them: keep only one");
}

// The existing list plus the requested elements that it lacks. Returns whether it lacks any, -1 on
// error.
static int merge_lists(const struct parsed_text *v, struct buf *out, struct error **err)
{
    cleanup_strlist struct strlist have = {0}, requested = {0};
    cleanup_free char *line = xasprintf("v = %s", v->change->value);
    struct toml *t = toml_parse(line, strlen(line), err);
    int result = !t || config_list(t, &t->entries[0]->value, &requested, err) < 0 ||
                         config_list(v->toml, &v->entry->value, &have, err) < 0
                     ? -1
                     : 0;
    toml_free(t);
    if (result < 0)
        return -1;
    size_t before = have.n;
    for (size_t i = 0; i < requested.n; i++)
        strlist_add_once(&have, requested.items[i]);
    for (size_t i = 0; i < have.n; i++) {
        cleanup_free char *quoted = toml_quote(have.items[i]);
        buf_printf(out, "%s%s", i ? ", " : "[", quoted);
    }
    buf_puts(out, have.n ? "]" : "[]");
    return have.n > before;
}

static bool change_is_done(const struct parsed_text *v)
{
    if (v->change->operation == CONFIG_TABLE)
        return v->table != NULL;
    if (v->change->operation == CONFIG_COMMENT_OUT || !v->entry)
        return v->change->operation == CONFIG_COMMENT_OUT && !v->entry;
    if (v->change->operation == CONFIG_INCLUDE) {
        cleanup_buf struct buf merged = {0};
        return merge_lists(v, &merged, NULL) == 0;
    }
    struct toml_value requested = {0};
    cleanup_free char *line = xasprintf("v = %s", v->change->value);
    struct toml *t = toml_parse(line, strlen(line), NULL);
    if (t)
        requested = t->entries[0]->value;
    const struct toml_value *have = &v->entry->value;
    bool done = t && toml_same_value(v->toml, have, t, &requested);
    if (t && v->change->operation == CONFIG_AT_LEAST && have->kind == TOML_INTEGER)
        done = have->integer >= requested.integer;
    toml_free(t);
    return done;
}

static int apply_change(struct parsed_text *v, struct error **err)
{
    if (parse_lines(v, err) < 0)
        return -1;
    if (change_is_done(v))
        return 0;
    struct error *why = NULL;
    cleanup_buf struct buf merged = {0};
    bool include = v->change->operation == CONFIG_INCLUDE && v->entry;
    if (include && merge_lists(v, &merged, err) < 0)
        return -1;
    if (v->change->operation == CONFIG_COMMENT_OUT)
        while (!why && !change_is_done(v)) {
            if (comment_out_key(v, err) < 0)
                return -1;
            parse_lines(v, &why);
        }
    else if (v->entry)
        replace_value(v, include ? merged.data : v->change->value);
    else if (add_key(v, err) < 0)
        return -1;
    if (why || parse_lines(v, &why) < 0 || !change_is_done(v)) {
        error_user(err, "the file is written in a way that can't be edited (%s)",
                   why ? why->message : "the changed text was not read back as expected");
        error_free(why);
        return error_hint(err, "write the key in a section with a [header], one key per line");
    }
    return 0;
}

int config_apply(struct lines *l, const struct config_change *c, struct error **err)
{
    struct parsed_text v = {.lines = l, .change = c};
    int result = apply_change(&v, err);
    if (result < 0) {
        cleanup_free char *path = strlist_join(&c->path, ".");
        error_wrap(err, "%s", path);
    }
    toml_free(v.toml);
    buf_free(&v.text);
    return result;
}
