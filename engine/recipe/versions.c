// SPDX-License-Identifier: Apache-2.0
// Reads versions.yaml, looks up values by their dotted path, and prints them as yq does.
#include "recipe/versions.h"

#include "base/file.h"
#include "base/process.h"
#include "http/http.h"

#include <string.h>
#include <yaml.h>

struct versions *versions_load(const char *path, struct error **err)
{
    struct yaml_document *d = yaml_load(path, err);
    if (!d)
        return NULL;
    if (d->root->kind != YAML_MAP) {
        yaml_error(d, d->root, err, "a versions file must be a map, but this is %s",
                   yaml_kind_name(d->root));
        yaml_document_free(d);
        return NULL;
    }
    struct versions *v = xcalloc(1, sizeof *v);
    v->path = xstrdup(path);
    v->document = d;
    return v;
}

char *versions_commit(const char *path, struct error **err)
{
    cleanup_free char *folder = path_absolute(path);
    folder[path_base(folder) - folder] = '\0';
    char *const argv[] = {(char *)"git",       (char *)"-C",   folder,
                          (char *)"rev-parse", (char *)"HEAD", NULL};
    const struct process p = {.argv = argv, .input = -1};
    cleanup_buf struct buf text = {0};
    if (process_run(&p, &text, err) < 0)
        return NULL;
    buf_trim_end(&text);
    return buf_take(&text);
}

void versions_free(struct versions *v)
{
    if (!v)
        return;
    free(v->path);
    free(v->release);
    yaml_document_free(v->document);
    free(v);
}

// `node` was reached by the first `done` bytes of `path`; `name` is not in it.
static void report_missing(const struct versions *v, const struct yaml *node, const char *path,
                           size_t done, const char *name, size_t length, struct error **err)
{
    cleanup_free char *wrong = xstrndup(name, length);
    cleanup_free char *prefix = xstrndup(path, done);
    if (node->kind == YAML_SCALAR) {
        yaml_error(v->document, node, err, "%s: '%s' is %s, it has nothing named '%s'", path,
                   prefix, yaml_kind_name(node), wrong);
        return;
    }
    yaml_error(v->document, node, err, "%s: there is no '%s' %s%s%s", path, wrong,
               done ? "in '" : "at the top", prefix, done ? "'" : "");
    if (node->kind != YAML_MAP)
        return;
    const struct strlist known = {.items = node->keys, .n = node->n};
    const char *nearest = nearest_name(wrong, &known);
    if (nearest)
        error_hint(err, "did you mean %s%s%s?", prefix, done ? "." : "", nearest);
    else if (node->n && node->n <= 12) {
        cleanup_free char *all = strlist_join(&known, ", ");
        error_hint(err, "known there: %s", all);
    }
}

const struct yaml *versions_get(const struct versions *v, const char *path, struct error **err)
{
    const struct yaml *node = v->document->root;
    const char *rest = path;
    if (*rest == '.') // yq's users write it; "." alone is the whole file
        rest++;
    size_t skipped = (size_t)(rest - path), done = 0;
    for (const char *whole = rest; *rest || !skipped;) {
        const char *name;
        size_t length;
        if (!yaml_path_next(&rest, &name, &length)) {
            error_user(err, "%s: '%s' is not a dotted path", v->path, path);
            error_hint(err, "write it as in assets.kernel.version; a name that holds dots goes in "
                            "double quotes");
            return NULL;
        }
        const struct yaml *child = yaml_child(node, name, length);
        if (!child) {
            report_missing(v, node, whole, done, name, length, err);
            return NULL;
        }
        node = child;
        if (!*rest)
            break;
        done = (size_t)(rest - whole) - 1;
    }
    return node;
}

const char *versions_text(const struct versions *v, const char *path, struct error **err)
{
    const struct yaml *node = versions_get(v, path, err);
    if (!node)
        return NULL;
    if (yaml_is_null(node))
        return "";
    if (node->kind == YAML_SCALAR)
        return node->text;
    yaml_error(v->document, node, err, "%s: this is %s, but a text is needed", path,
               yaml_kind_name(node));
    return NULL;
}

// ---- values that were filled in ----

static void add_step(struct buf *path, const struct yaml *parent, size_t i)
{
    buf_puts(path, path->len ? "." : "");
    if (parent->kind == YAML_LIST)
        buf_printf(path, "%zu", i);
    else if (strchr(parent->keys[i], '.'))
        buf_printf(path, "\"%s\"", parent->keys[i]);
    else
        buf_puts(path, parent->keys[i]);
}

// Appends the dotted path of `node` below `top`. False: it is not there.
static bool find_path(const struct yaml *top, const struct yaml *node, struct buf *path)
{
    const size_t above = path->len;
    for (size_t i = 0; top != node && i < top->n; i++) {
        add_step(path, top, i);
        if (find_path(top->items[i], node, path))
            return true;
        path->len = above;
        path->data[above] = '\0';
    }
    return top == node;
}

void version_values_add(struct version_values *values, const struct versions *v,
                        const struct yaml *node)
{
    cleanup_buf struct buf path = {0};
    if (node->kind != YAML_SCALAR || !find_path(v->document->root, node, &path) || !path.data)
        return;
    for (size_t i = 0; i < values->n; i++)
        if (!strcmp(values->items[i].path, path.data))
            return;
    values->items = xgrow(values->items, &values->cap, values->n + 1, sizeof *values->items);
    values->items[values->n++] = (struct version_value){
        .path = buf_take(&path),
        .text = strstr(node->text, "://") ? http_url_shown(node->text) : xstrdup(node->text),
        .line = node->line};
}

void version_values_free(struct version_values *v)
{
    for (size_t i = 0; i < v->n; i++) {
        free(v->items[i].path);
        free(v->items[i].text);
    }
    free(v->items);
    *v = (struct version_values){0};
}

// ---- placeholders ----

// The version without a leading "v". NULL with an error if the component has none.
static const char *number_of(const struct versions *v, const struct yaml *component,
                             struct error **err)
{
    const struct yaml *version = yaml_get(component, "version");
    if (yaml_is_null(version) || version->kind != YAML_SCALAR) {
        yaml_error(v->document, component, err, "there is no 'version' here");
        return NULL;
    }
    const char *text = version->text;
    return text[0] == 'v' && text[1] >= '0' && text[1] <= '9' ? text + 1 : text;
}

// The map that directly contains `node`, searched in `map`; NULL if there is none.
static const struct yaml *find_enclosing(const struct yaml *map, const struct yaml *node)
{
    for (size_t i = 0; map->kind == YAML_MAP && i < map->n; i++) {
        const struct yaml *found =
            map->items[i] == node ? map : find_enclosing(map->items[i], node);
        if (found)
            return found;
    }
    return NULL;
}

// The value of that name in the component or in an enclosing map; NULL if there is none.
static const struct yaml *find_name(const struct versions *v, const struct yaml *component,
                                    const char *name)
{
    for (; component; component = find_enclosing(v->document->root, component)) {
        const struct yaml *node = yaml_path(component, name);
        if (!yaml_is_null(node))
            return node;
    }
    return NULL;
}

static int expand_name(const struct versions *v, const struct yaml *component, const char *name,
                       struct buf *out, struct version_values *used, struct error **err)
{
    bool series = !strcmp(name, "series");
    if (series || !strcmp(name, "number")) {
        const char *number = number_of(v, component, err);
        if (!number)
            return -1;
        if (used)
            version_values_add(used, v, yaml_get(component, "version"));
        buf_add(out, number, series ? strcspn(number, ".") : strlen(number));
        return 0;
    }
    const struct yaml *node = find_name(v, component, name);
    if (node && node->kind == YAML_SCALAR) {
        if (used)
            version_values_add(used, v, node);
        buf_puts(out, node->text);
        return 0;
    }
    if (node)
        return yaml_error(v->document, node, err, "'%s' is %s, but a text is needed", name,
                          yaml_kind_name(node));
    yaml_error(v->document, component, err, "there is no '%s' here", name);
    if (component && component->kind == YAML_MAP) {
        const struct strlist known = {.items = component->keys, .n = component->n};
        const char *nearest = nearest_name(name, &known);
        if (nearest)
            error_hint(err, "did you mean {%s}?", nearest);
    }
    return -1;
}

char *versions_expand(const struct versions *v, const struct yaml *component, const char *text,
                      struct version_values *used, struct error **err)
{
    cleanup_buf struct buf out = {0};
    for (const char *p = text; *p;) {
        size_t plain = strcspn(p, "{}");
        buf_add(&out, p, plain);
        p += plain;
        if (!*p)
            break;
        if (p[1] == *p) { // {{ or }}
            buf_add(&out, p, 1);
            p += 2;
            continue;
        }
        size_t length = *p == '{' ? strcspn(p + 1, "{}") : 0;
        if (!length || p[1 + length] != '}') {
            error_user(err, "'%s': unmatched '%c'", text, *p);
            error_hint(err, "a placeholder is {name}; write {{ and }} for braces themselves");
            return NULL;
        }
        cleanup_free char *name = xstrndup(p + 1, length);
        if (expand_name(v, component, name, &out, used, err) < 0) {
            error_wrap(err, "filling in '%s'", text);
            return NULL;
        }
        p += length + 2;
    }
    return buf_take(&out);
}

// ---- printing ----

// libyaml fails here only if memory is exhausted: its input came from its own parser.
static void check_emitter(int ok)
{
    if (!ok)
        out_of_memory();
}

static int write_to_buf(void *out, unsigned char *bytes, size_t size)
{
    buf_add(out, bytes, size);
    return 1;
}

// Texts of several lines read best as literal blocks, where a block can hold them faithfully: not
// when they begin with a blank (indentation indicators) or end with more than one newline.
static yaml_scalar_style_t style_of(const struct yaml *node)
{
    const char *text = node->text;
    // In a block, libyaml quotes texts that could be misread: those that begin like a document
    // marker, and a lone dash. It uses single quotes there, but double quotes for quoted texts
    // here, so these texts get double quotes at once.
    bool other = starts_with(text, "---") || starts_with(text, "...") || !strcmp(text, "-");
    if (!node->quoted && !other && !strchr(text, '\n'))
        return YAML_PLAIN_SCALAR_STYLE;
    if (strchr(text, '\n') && *text != ' ' && *text != '\n' && !ends_with(text, "\n\n"))
        return YAML_LITERAL_SCALAR_STYLE;
    return YAML_DOUBLE_QUOTED_SCALAR_STYLE;
}

static void emit(yaml_emitter_t *y, yaml_event_t *e, int initialized)
{
    check_emitter(initialized);
    check_emitter(yaml_emitter_emit(y, e));
}

static void emit_scalar(yaml_emitter_t *y, const char *text, yaml_scalar_style_t style)
{
    yaml_event_t e;
    emit(y, &e,
         yaml_scalar_event_initialize(&e, NULL, NULL, (const yaml_char_t *)text, (int)strlen(text),
                                      1, 1, style));
}

static void emit_node(yaml_emitter_t *y, const struct yaml *node)
{
    yaml_event_t e;
    switch (node->kind) {
    case YAML_SCALAR:
        emit_scalar(y, node->text, style_of(node));
        break;
    case YAML_LIST:
        emit(y, &e,
             yaml_sequence_start_event_initialize(&e, NULL, NULL, 1, YAML_BLOCK_SEQUENCE_STYLE));
        for (size_t i = 0; i < node->n; i++)
            emit_node(y, node->items[i]);
        emit(y, &e, yaml_sequence_end_event_initialize(&e));
        break;
    case YAML_MAP:
        emit(y, &e,
             yaml_mapping_start_event_initialize(&e, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE));
        for (size_t i = 0; i < node->n; i++) {
            emit_scalar(y, node->keys[i], YAML_PLAIN_SCALAR_STYLE);
            emit_node(y, node->items[i]);
        }
        emit(y, &e, yaml_mapping_end_event_initialize(&e));
        break;
    }
}

void yaml_print(const struct yaml *node, struct buf *out)
{
    if (node->kind == YAML_SCALAR) {
        buf_puts(out, yaml_is_null(node) ? "null" : node->text);
        buf_puts(out, "\n");
        return;
    }
    yaml_emitter_t y;
    yaml_event_t e;
    check_emitter(yaml_emitter_initialize(&y));
    yaml_emitter_set_output(&y, write_to_buf, out);
    yaml_emitter_set_unicode(&y, 1);
    yaml_emitter_set_width(&y, -1);
    emit(&y, &e, yaml_stream_start_event_initialize(&e, YAML_UTF8_ENCODING));
    emit(&y, &e, yaml_document_start_event_initialize(&e, NULL, NULL, NULL, 1));
    emit_node(&y, node);
    emit(&y, &e, yaml_document_end_event_initialize(&e, 1));
    emit(&y, &e, yaml_stream_end_event_initialize(&e));
    yaml_emitter_delete(&y);
}
