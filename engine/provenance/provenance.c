// SPDX-License-Identifier: Apache-2.0
// Writes the statement: in-toto attestation framework, spec v1 (statement.md,
// resource_descriptor.md); SLSA v1.0, provenance.
#include "provenance/internal.h"

#include <string.h>

#define BUILD_TYPE "urn:kbuild:action:1" // parameters and dependencies as docs/provenance.md says

json_t *provenance_record(struct build *b, const struct node *node, struct error **err)
{
    struct error *why = NULL;
    json_t *record = *node->key ? store_action_get(b->store, node->key, &why) : NULL;
    if (!record && !why) {
        error_user(&why, "%s has not been built from what is there now", node_label(node));
        const char *target = job_of(node)->recipe ? job_of(node)->recipe->name : "TARGET";
        error_hint(&why, "build it first: kbuild %s", target);
    }
    if (record && node->kind == NODE_SOURCE)
        source_local_provenance(&job_of(node)->spec, &job_of(node)->pin,
                                json_object_get(record, "provenance"));
    if (!why)
        return record;
    if (err)
        *err = why;
    else
        error_free(why);
    return NULL;
}

char *provenance_text(const json_t *document)
{
    cleanup_free char *text = json_dumps(document, JSON_INDENT(2) | JSON_SORT_KEYS);
    return xasprintf("%s\n", text ? text : "null");
}

// ---- the lines of the key text: they decided the result ----

typedef void each_line(const char *line, json_t *out);

static void each_of_key(const json_t *record, each_line *each, json_t *out)
{
    cleanup_strlist struct strlist lines = {0};
    strlist_split(&lines, provenance_at(record, "key_text"), "\n");
    for (size_t i = 0; i < lines.n; i++)
        each(lines.items[i], out);
}

static void add_line(const char *line, json_t *out)
{
    json_array_append_new(out, json_string(line));
}

// "variable NAME VALUE": the value as in keys, files by digest.
static void add_variable(const char *line, json_t *out)
{
    static const char word[] = "variable ";
    if (!starts_with(line, word))
        return;
    const char *name = line + strlen(word);
    size_t n = strcspn(name, " ");
    cleanup_free char *key = xstrndup(name, n);
    json_t *list = json_object_get(out, key); // a variable may be several files
    if (!list) {
        list = json_array();
        json_object_set_new(out, key, list);
    }
    json_array_append_new(list, json_string(name[n] ? name + n + 1 : ""));
}

// "file recipe build.sh x <digest>"
static void add_file(const char *line, json_t *out)
{
    const char *last = strrchr(line, ' ');
    if (!starts_with(line, "file ") || !last || !digest_is_hex(last + 1))
        return;
    const char *folder = line + strlen("file ");
    size_t n = strcspn(folder, " ");
    const char *path = folder + n + 1;
    const char *end = last;
    while (end > path && end[-1] != ' ')
        end--; // the kind
    if (end <= path)
        return;
    cleanup_free char *name = xasprintf("%.*s/%.*s", (int)n, folder, (int)(end - path - 1), path);
    json_array_append_new(out,
                          json_pack("{s:s, s:{s:s}}", "name", name, "digest", "sha256", last + 1));
}

// "work builddir <digest>": the folders that a person may have changed (work.h).
static void add_work(const char *line, json_t *out)
{
    const char *last = strrchr(line, ' ');
    if ((!starts_with(line, "work builddir ") && !starts_with(line, "work destdir ")) || !last ||
        !digest_is_hex(last + 1))
        return;
    cleanup_free char *name = xstrndup(line, (size_t)(last - line));
    json_array_append_new(
        out, json_pack("{s:s, s:{s:s}}", "name", name, "digest", "kbuildTree", last + 1));
}

// ---- inputs ----

static void add_materials(const struct materials *m, json_t *out)
{
    for (size_t i = 0; i < m->n; i++) {
        const struct material *x = &m->items[i];
        json_t *item = json_pack("{s:s, s:s*}", "name", x->name, "uri", x->uri);
        if (x->algorithm && x->digest)
            json_object_set_new(item, "digest", json_pack("{s:s}", x->algorithm, x->digest));
        json_array_append_new(out, item);
    }
}

static void add_outputs(const struct node *node, json_t *out)
{
    for (size_t i = 0; i < node->output_count; i++) {
        const struct node_output *o = &node->outputs[i];
        if (o->side)
            continue;
        cleanup_free char *name = xasprintf("%s: %s", node->name, o->name);
        json_t *item = json_pack("{s:s, s:{s:s}}", "name", name, "digest",
                                 o->tree ? "kbuildTree" : "sha256", o->digest);
        json_array_append_new(out, item);
    }
}

static int add_input(struct build *b, const struct node *input, json_t *out, struct error **err)
{
    add_outputs(input, out);
    if (input->kind != NODE_SOURCE)
        return 0;
    json_t *record = provenance_record(b, input, err);
    if (!record)
        return -1;
    struct materials m = {0};
    materials_of_node(input, record, &m);
    add_materials(&m, out);
    materials_free(&m);
    if (job_of(input)->list) // the scripts that printed them
        each_of_key(record, add_file, out);
    json_decref(record);
    return 0;
}

// An artifact that was taken instead of made.
static void add_prebuilt(const json_t *record, json_t *out)
{
    const json_t *from = json_object_get(json_object_get(record, "provenance"), "prebuilt");
    cleanup_free char *uri = xasprintf("docker://%s", provenance_at(from, "reference"));
    if (from)
        json_array_append_new(out, json_pack("{s:s, s:s, s:{s:s}}", "name", "prebuilt", "uri", uri,
                                             "digest", "sha256", provenance_at(from, "digest")));
}

// Files fetched to check the inputs (revocation lists), which are not inputs.
static void add_fetched(const json_t *record, json_t *out)
{
    const json_t *list = json_object_get(json_object_get(record, "provenance"), "fetched");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        json_array_append_new(out, json_pack("{s:s, s:s, s:{s:s}}", "name", "fetched", "uri",
                                             provenance_at(one, "url"), "digest", "sha256",
                                             provenance_at(one, "sha256")));
    }
}

static json_t *dependencies(struct build *b, const struct node *node, const json_t *record,
                            struct error **err)
{
    json_t *list = json_array();
    for (size_t i = 0; i < node->need_count; i++) {
        if (node->needs[i].input && add_input(b, node->needs[i].node, list, err) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    each_of_key(record, add_file, list);
    each_of_key(record, add_work, list);
    add_prebuilt(record, list);
    add_fetched(record, list);
    return list;
}

// ---- results ----

static json_t *results(const struct node *node, bool side)
{
    json_t *list = json_array();
    for (size_t i = 0; i < node->output_count; i++) {
        const struct node_output *o = &node->outputs[i];
        if (o->side == side)
            json_array_append_new(list, json_pack("{s:s, s:{s:s}}", "name", o->name, "digest",
                                                  o->tree ? "kbuildTree" : "sha256", o->digest));
    }
    return list;
}

static json_t *definition(struct build *b, const struct node *node, const json_t *record,
                          struct error **err)
{
    const struct job *job = job_of(node);
    json_t *materials = dependencies(b, node, record, err);
    if (!materials)
        return NULL;
    json_t *variables = json_object(), *text = json_array();
    each_of_key(record, add_variable, variables);
    each_of_key(record, add_line, text);
    json_t *external =
        json_pack("{s:s, s:s*, s:o}", "target", job->recipe ? job->recipe->name : node->name,
                  "architecture", job->target ? job->target->name : NULL, "variables", variables);
    return json_pack("{s:s, s:o, s:{s:s, s:o}, s:o}", "buildType", BUILD_TYPE, "externalParameters",
                     external, "internalParameters", "key", node->key, "keyText", text,
                     "resolvedDependencies", materials);
}

json_t *provenance_statement(struct build *b, const struct node *node, struct error **err)
{
    json_t *record = provenance_record(b, node, err);
    json_t *what = record ? definition(b, node, record, err) : NULL;
    if (!what) {
        json_decref(record);
        return NULL;
    }
    const char *version = provenance_at(record, "kbuild");
    json_t *run = json_pack("{s:{s:s, s:{s:s}}, s:{s:s}, s:o}", "builder", "id", "urn:kbuild",
                            "version", "kbuild", *version ? version : "unknown", "metadata",
                            "invocationId", node->key, "byproducts", results(node, true));
    json_decref(record);
    return json_pack("{s:s, s:o, s:s, s:{s:o, s:o}}", "_type", "https://in-toto.io/Statement/v1",
                     "subject", results(node, false), "predicateType", PREDICATE_TYPE, "predicate",
                     "buildDefinition", what, "runDetails", run);
}
