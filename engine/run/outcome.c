// SPDX-License-Identifier: Apache-2.0
// Converts outcomes to JSON and back, for transfer between two processes:
//   {"outcome": "made", "record": {...}}
//   {"outcome": "failed", "error": {"kind", "message", "hint", "subject"}}
#include "run/report.h"

#include "base/print.h"

#include <string.h>

static const char *const names[] = {
    [OUTCOME_NONE] = "none",
    [OUTCOME_MADE] = "made",
    [OUTCOME_FOUND] = "found",
    [OUTCOME_PULLED] = "pulled",
    [OUTCOME_DAMAGED_INPUT] = "damaged input",
    [OUTCOME_SHARED_LOST] = "shared lost",
    [OUTCOME_FAILED] = "failed",
};

bool outcome_is_good(const struct outcome *o)
{
    return o->kind == OUTCOME_MADE || o->kind == OUTCOME_FOUND || o->kind == OUTCOME_PULLED;
}

void outcome_free(struct outcome *o)
{
    json_decref(o->record);
    error_free(o->error);
    *o = (struct outcome){0};
}

json_t *outcome_json(const struct outcome *o)
{
    json_t *event = json_pack("{s:s, s:O*}", "outcome", names[o->kind], "record", o->record);
    const struct error *e = o->error;
    if (e)
        json_object_set_new(event, "error",
                            json_pack("{s:i, s:o, s:o*, s:s*}", "kind", e->kind, "message",
                                      json_visible(e->message), "hint", json_visible(e->hint),
                                      "subject", e->subject));
    return event;
}

static struct error *read_error(const json_t *e)
{
    const char *message = json_string_value(json_object_get(e, "message"));
    const char *hint = json_string_value(json_object_get(e, "hint"));
    const char *subject = json_string_value(json_object_get(e, "subject"));
    struct error *err = NULL;
    error_set(&err, (enum error_kind)json_integer_value(json_object_get(e, "kind")), "%s",
              message ? message : "failed");
    if (hint)
        error_hint(&err, "%s", hint);
    if (subject)
        error_subject(&err, subject);
    return err;
}

bool outcome_read(const json_t *event, struct outcome *out)
{
    const char *name = json_string_value(json_object_get(event, "outcome"));
    json_t *record = json_object_get(event, "record");
    const json_t *error = json_object_get(event, "error");
    struct outcome o = {0};
    for (size_t i = 1; name && i < ARRAY_LEN(names); i++)
        if (!strcmp(names[i], name))
            o.kind = (enum outcome_kind)i;
    if (o.kind == OUTCOME_NONE || outcome_is_good(&o) != json_is_object(record) ||
        outcome_is_good(&o) == json_is_object(error))
        return false;
    outcome_free(out);
    o.record = json_incref(record);
    o.error = error ? read_error(error) : NULL;
    *out = o;
    return true;
}
