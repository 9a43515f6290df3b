// SPDX-License-Identifier: Apache-2.0
// Reads the text of a plan: every field that is used later is there and of its type, whoever wrote
// the file. docs/plan.md.
#include "run/plan_file.h"

#include "base/error.h"
#include "run/internal.h"

#include <string.h>

const char *const plan_grains[] = {"node", "artifact", NULL};

void plan_free(struct plan *p)
{
    json_decref(p->header);
    json_decref(p->nodes);
    *p = (struct plan){0};
}

const char *plan_text(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

const char *plan_item(const json_t *array, size_t i)
{
    const char *text = json_string_value(json_array_get(array, i));
    return text ? text : "";
}

static int refuse(const char *name, size_t line, const char *why, struct error **err)
{
    error_set(err, ERROR_USAGE, "%s:%zu: %s", name, line, why);
    error_place(err, name, line, 0);
    return error_hint(err, "a plan is what `kbuild plan --remote --json` prints, unchanged");
}

// ---- the fields of a line ----

enum field_type { FIELD_TEXT, FIELD_NUMBER, FIELD_YES_NO, FIELD_TEXTS, FIELD_MAP, FIELD_TEXT_MAP };
static const char *const field_types[] = {"a text",        "a number that is not negative",
                                          "true or false", "a list of texts",
                                          "an object",     "an object of texts"};

// What docs/plan.md says of a line; what is not here, is not read.
struct plan_field {
    const char *name;
    enum field_type type;
    bool optional;             // it may be missing, or null
    const char *const *values; // that the text can have, up to NULL; or NULL: any
};

static const char *const state_names[] = {"to resolve", "to make",  "found",
                                          "project",    "prebuilt", NULL};
static const char *const kind_names[] = {"source", "builder", "rootfs", "artifact", NULL};
static const char *const source_names_of_plan[] = {"upstream", "debian", NULL};
static const char *const builder_names[] = {"image", "host", NULL};

static const struct plan_field header_fields[] = {
    {"plan", FIELD_NUMBER, false, NULL},
    {"kbuild", FIELD_TEXT, false, NULL},
    {"targets", FIELD_TEXTS, false, NULL},
    {"grain", FIELD_TEXT, false, plan_grains},
    {"depends", FIELD_TEXT_MAP, false, NULL},
    {"sources", FIELD_TEXT, false, source_names_of_plan},
    {"builder", FIELD_TEXT, false, builder_names},
    {"source", FIELD_TEXT_MAP, false, NULL},
    {"prebuilt", FIELD_TEXT, true, NULL},
    {"release", FIELD_TEXT, true, NULL},
    {"variables", FIELD_MAP, false, NULL},
    {"folders", FIELD_MAP, true, NULL},
    {"registry", FIELD_TEXT_MAP, false, NULL},
    {"trusted_keys", FIELD_TEXTS, true, NULL},
};
static const struct plan_field node_fields[] = {
    {"node", FIELD_TEXT, false, NULL},      {"kind", FIELD_TEXT, false, kind_names},
    {"label", FIELD_TEXT, false, NULL},     {"arch", FIELD_TEXT, false, NULL},
    {"target", FIELD_TEXT, true, NULL},     {"state", FIELD_TEXT, false, state_names},
    {"needs", FIELD_TEXTS, false, NULL},    {"key", FIELD_TEXT, true, NULL},
    {"network", FIELD_YES_NO, false, NULL}, {"build_on", FIELD_TEXTS, false, NULL},
    {"secrets", FIELD_TEXTS, false, NULL},  {"path_ms", FIELD_NUMBER, false, NULL},
    {"command", FIELD_TEXTS, true, NULL},   {"resources", FIELD_MAP, true, NULL},
};

static bool all_texts(const json_t *array)
{
    for (size_t i = 0; i < json_array_size(array); i++)
        if (!json_is_string(json_array_get(array, i)))
            return false;
    return json_is_array(array);
}

static bool all_values_are_texts(const json_t *object)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)object, name, value) if (!json_is_string(value)) return false;
    return json_is_object(object);
}

static bool has_type(const json_t *value, enum field_type type)
{
    switch (type) {
    case FIELD_TEXT:
        return json_is_string(value);
    case FIELD_NUMBER:
        return json_is_integer(value) && json_integer_value(value) >= 0;
    case FIELD_YES_NO:
        return json_is_boolean(value);
    case FIELD_TEXTS:
        return all_texts(value);
    case FIELD_MAP:
        return json_is_object(value);
    case FIELD_TEXT_MAP:
        return all_values_are_texts(value);
    }
    return false;
}

static bool is_one_of(const char *text, const char *const *values)
{
    for (; *values; values++)
        if (!strcmp(text, *values))
            return true;
    return false;
}

// A plan chooses an origin of a source, and never a folder of the machine that reads it.
static bool are_origins(const json_t *choices)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)choices, name, value)
    {
        if (!is_one_of(json_string_value(value), source_names_of_plan))
            return false;
    }
    return true;
}

static int check_fields(const char *name, size_t number, const json_t *line,
                        const struct plan_field *fields, size_t n, struct error **err)
{
    for (size_t i = 0; i < n; i++) {
        const struct plan_field *f = &fields[i];
        const json_t *value = json_object_get(line, f->name);
        if (f->optional && (!value || json_is_null(value)))
            continue;
        cleanup_free char *why = NULL;
        if (!has_type(value, f->type))
            why = xasprintf("\"%s\" is not %s", f->name, field_types[f->type]);
        else if (f->values && !is_one_of(json_string_value(value), f->values))
            why = xasprintf("\"%s\" is \"%s\", which this kbuild does not know", f->name,
                            json_string_value(value));
        if (why)
            return refuse(name, number, why, err);
    }
    return 0;
}

// ---- lines ----

static int parse_header(const char *name, json_t *line, struct plan *out, struct error **err)
{
    const json_t *version = json_object_get(line, "plan");
    if (!json_is_integer(version) || !json_is_object(json_object_get(line, "depends"))) {
        json_decref(line);
        return refuse(name, 1, "it does not begin with the header of a plan", err);
    }
    out->header = line;
    if (json_integer_value(version) == PLAN_VERSION) {
        if (check_fields(name, 1, line, header_fields, ARRAY_LEN(header_fields), err) < 0)
            return -1;
        return are_origins(json_object_get(line, "source"))
                   ? 0
                   : refuse(name, 1, "\"source\" chooses neither upstream nor debian", err);
    }
    error_set(err, ERROR_USAGE, "%s is a plan of version %lld, and this kbuild reads %d", name,
              (long long)json_integer_value(version), PLAN_VERSION);
    return error_hint(err, "use one version of kbuild on all machines");
}

// One line a node, each after its needs.
static int check_ids(const char *name, const struct plan *p, struct error **err)
{
    json_auto_t *seen = json_object();
    for (size_t i = 0; i < json_array_size(p->nodes); i++) {
        const json_t *line = json_array_get(p->nodes, i), *needs = json_object_get(line, "needs");
        const char *id = plan_text(line, "node");
        if (!*id || json_object_get(seen, id))
            return refuse(name, i + 2, "its node is in an earlier line, or has no id", err);
        for (size_t k = 0; k < json_array_size(needs); k++)
            if (!json_object_get(seen, plan_item(needs, k)))
                return refuse(name, i + 2, "what its node needs is in no earlier line", err);
        json_object_set_new(seen, id, json_true());
    }
    return 0;
}

static int parse_lines(const char *name, const char *text, size_t length, struct plan *out,
                       struct error **err)
{
    size_t number = 0;
    for (const char *p = text, *end = text + length, *next; p < end; p = next + 1) {
        next = memchr(p, '\n', (size_t)(end - p));
        next = next ? next : end;
        number++;
        json_t *line = json_loadb(p, (size_t)(next - p), JSON_REJECT_DUPLICATES, NULL);
        if (!line)
            return refuse(name, number, "it is no JSON object", err);
        if (number == 1) {
            if (parse_header(name, line, out, err) < 0)
                return -1;
            continue;
        }
        json_array_append_new(out->nodes, line);
        if (check_fields(name, number, line, node_fields, ARRAY_LEN(node_fields), err) < 0)
            return -1;
    }
    return out->header ? check_ids(name, out, err) : refuse(name, 1, "it is empty", err);
}

int plan_parse(const char *name, const char *text, size_t length, struct plan *out,
               struct error **err)
{
    *out = (struct plan){.nodes = json_array()};
    if (parse_lines(name, text, length, out, err) == 0)
        return 0;
    plan_free(out);
    return -1;
}

const json_t *plan_node(const struct plan *p, const char *id)
{
    for (size_t i = 0; i < json_array_size(p->nodes); i++) {
        const json_t *line = json_array_get(p->nodes, i);
        if (!strcmp(json_string_value(json_object_get(line, "node")), id))
            return line;
    }
    return NULL;
}

enum plan_grain plan_grain_of(const struct plan *p)
{
    const char *text = json_string_value(json_object_get(p->header, "grain"));
    return text && !strcmp(text, plan_grains[GRAIN_ARTIFACT]) ? GRAIN_ARTIFACT : GRAIN_NODE;
}
