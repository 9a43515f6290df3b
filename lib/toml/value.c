// SPDX-License-Identifier: Apache-2.0
// Values: arrays and inline tables, and who reads the others.
#include "toml/room.h"

#include <string.h>

static int enter(struct toml_reader *r)
{
    if (r->depth == TOML_DEPTH)
        return toml_fail(r, r->at, "more than %d arrays and tables within each other", TOML_DEPTH);
    r->depth++;
    r->at++;
    return 0;
}

// Blanks, line ends and comments, as they may stand between the elements of an array.
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
    int result = toml_read_value(r, NULL, &element);
    buf_free(&element.string);
    return result;
}

static int read_array(struct toml_reader *r)
{
    if (enter(r) < 0)
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
// else can name. It is complete when it ends.
static int read_inline_table(struct toml_reader *r, struct toml_name *table)
{
    if (enter(r) < 0)
        return -1;
    cleanup_free char *anonymous = xasprintf("{%zu}", r->anonymous++);
    if (!table)
        table = toml_name_new(r->toml, NULL, anonymous, TOML_NAME_VALUE);
    toml_skip_blanks(r);
    for (bool first = true; first ? toml_peek(r, 0) != '}' : true; first = false) {
        if (toml_read_pair(r, table, true) < 0)
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
    return toml_fail(r, r->at, "expected a value; strings stand in quotes");
}

int toml_read_value(struct toml_reader *r, struct toml_name *name, struct toml_value *v)
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
