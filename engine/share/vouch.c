// SPDX-License-Identifier: Apache-2.0
// Checks records of results from a registry: their signatures, and the files that they produce.
#include "share/vouch.h"

#include "registry/registry.h"

#include <string.h>

// ---- names ----

static bool is_tarball_of(const struct recipe *r, const char *name)
{
    static const char *const formats[] = {"xz", "zst"};
    for (size_t i = 0; i < r->outputs.n; i++)
        for (size_t f = 0; f < ARRAY_LEN(formats); f++) {
            cleanup_free char *its =
                xasprintf("kata-static-%s.tar.%s", r->outputs.items[i], formats[f]);
            if (!strcmp(its, name))
                return true;
        }
    return false;
}

static bool is_side_file_of(const struct job *job, const char *name)
{
    cleanup_strlist struct strlist names = {0};
    side_files_of_action(job->recipe, &names);
    // A prebuilt artifact has upstream's files beside the tarballs.
    for (size_t i = 0; i < SIDE_FILES && job->prebuilt; i++)
        strlist_addf(&names, "%s-%s", job->recipe->name, side_file_names[i]);
    return strlist_has(&names, name);
}

bool output_allowed(const struct node *node, const struct output_claim *o)
{
    static const struct {
        enum node_kind of;
        const char *name, *kind;
    } fixed[] = {
        {NODE_SOURCE, "tree", "tree"},
        {NODE_BUILDER, "root", "tree"},
        {NODE_BUILDER, "image", "blob"},
        {NODE_ROOTFS, "rootfs.tar", "blob"},
    };
    if (node->kind == NODE_ARTIFACT && !strcmp(o->kind, "blob"))
        return o->side ? is_side_file_of(job_of(node), o->name)
                       : is_tarball_of(job_of(node)->recipe, o->name);
    for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
        if (fixed[i].of == node->kind && !o->side && !strcmp(fixed[i].name, o->name) &&
            !strcmp(fixed[i].kind, o->kind))
            return true;
    return false;
}

bool outputs_allowed(const struct node *node, const json_t *record)
{
    const json_t *list = json_object_get(record, "outputs");
    cleanup_strlist struct strlist names = {0};
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        const struct output_claim o = {
            .name = json_string_value(json_object_get(item, "name")),
            .kind = json_string_value(json_object_get(item, "kind")),
            .side = json_is_true(json_object_get(item, "side")),
        };
        const char *digest = json_string_value(json_object_get(item, "digest"));
        if (!o.name || !o.kind || !digest || !digest_is_hex(digest) || !output_allowed(node, &o) ||
            strlist_has(&names, o.name))
            return false;
        strlist_add(&names, o.name);
    }
    return names.n > 0;
}

// ---- signatures ----

json_t *vouch_mark(const struct buf *statement, const struct signature *by)
{
    if (!by)
        return json_object();
    return json_pack("{s:s#, s:s, s:s}", "statement", statement->data, (int)statement->len, "key",
                     by->key, "value", by->value);
}

static bool has_line(const char *text, const char *line)
{
    size_t n = strlen(line);
    for (const char *p = text; *p; p += strcspn(p, "\n"), p += *p == '\n')
        if (!strncmp(p, line, n) && p[n] == '\n')
            return true;
    return false;
}

// Side files of a prebuilt artifact are not covered by the signature: they are its own sums, which
// were checked against the outputs. Those of an entry are outputs of its record like all others.
static bool states_outputs(const struct node *node, const char *statement, const json_t *record)
{
    const json_t *list = json_object_get(record, "outputs");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *o = json_array_get(list, i);
        cleanup_free char *line =
            xasprintf("output %s %s %s", json_string_value(json_object_get(o, "kind")),
                      json_string_value(json_object_get(o, "digest")),
                      json_string_value(json_object_get(o, "name")));
        bool own = job_of(node)->prebuilt && json_is_true(json_object_get(o, "side"));
        if (!own && !has_line(statement, line))
            return false;
    }
    return true;
}

static bool mark_holds(const struct trusted_keys *keys, const struct node *node,
                       const json_t *record, const json_t *mark)
{
    const char *statement = json_string_value(json_object_get(mark, "statement"));
    const char *key = json_string_value(json_object_get(mark, "key"));
    const char *value = json_string_value(json_object_get(mark, "value"));
    struct signature s;
    if (!statement || !key || !value || strlen(key) != sizeof s.key - 1 ||
        strlen(value) != sizeof s.value - 1)
        return false;
    memcpy(s.key, key, sizeof s.key);
    memcpy(s.value, value, sizeof s.value);
    // A prebuilt artifact has another key here; an entry is found under its key.
    cleanup_free char *line = xasprintf("key %s", node->key);
    bool named = job_of(node)->prebuilt || job_of(node)->image_name;
    const struct buf text = {.data = (char *)statement, .len = strlen(statement)};
    return (named || has_line(statement, line)) && states_outputs(node, statement, record) &&
           trusted_keys_accept(keys, &s, &text);
}

bool vouch_holds(const struct build *b, const struct node *node, const json_t *record)
{
    const struct job *job = job_of(node);
    const json_t *mark = json_object_get(record, SHARED_MARK);
    bool from_registry = mark || job->prebuilt || job->image_name;
    if (!from_registry)
        return true;
    if (node->kind == NODE_SOURCE && sources_from_origin(b))
        return false;
    if (!outputs_allowed(node, record))
        return false;
    if (!b->trusted)
        return true;
    if (!mark && job->image_name && !job->prebuilt && reference_is_pinned(job->image_name))
        return true; // the name given by the user has its digest
    return mark_holds(b->trusted, node, record, mark);
}
