// SPDX-License-Identifier: Apache-2.0
// Queries a parsed document: lookups, positions for messages, printing.
#include "recipe/yaml.h"

#include <string.h>
#include <yaml.h>

static const struct yaml *get(const struct yaml *node, const char *key, size_t length)
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
    return get(node, key, strlen(key));
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
        return get(node, name, length);
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
    return -1;
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

// ---- printing ----

// libyaml fails here only if memory is exhausted: its input came from its own parser.
static void need(int ok)
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
    need(initialized);
    need(yaml_emitter_emit(y, e));
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
    need(yaml_emitter_initialize(&y));
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
