// SPDX-License-Identifier: Apache-2.0
// Action records: the outputs of a node and how they were made, as JSON in the store.
//
//   {"node", "kbuild": version, "key_text", "epoch", "outputs": [{"name", "digest", "kind", "size",
//    "side": true if it is no tarball}],
//    "provenance": {...}, "summary": what the user should know of the result,
//    "cost": {"ms": how long it took, "cpu_ms": of processors, "peak_kib": resident, of the largest
//    process}}
//
// The cost is of the build that made it, and part of nothing else: no key, no statement, no list.
#include "graph/job.h"

#include <string.h>
#include <sys/resource.h>

void record_output(json_t *record, const char *name, const char *digest, bool tree, uint64_t size)
{
    json_array_append_new(json_object_get(record, "outputs"),
                          json_pack("{s:s, s:s, s:s, s:I}", "name", name, "digest", digest, "kind",
                                    tree ? "tree" : "blob", "size", (json_int_t)size));
}

void record_side_file(json_t *record, const char *name, const char *digest, uint64_t size)
{
    json_t *outputs = json_object_get(record, "outputs");
    record_output(record, name, digest, false, size);
    json_object_set_new(json_array_get(outputs, json_array_size(outputs) - 1), "side", json_true());
}

bool outputs_from_record(struct node *node, const json_t *record)
{
    const json_t *list = json_object_get(record, "outputs");
    size_t count = json_array_size(list);
    if (!count)
        return false;
    struct node_output *outputs = xcalloc(count, sizeof *outputs);
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(list, i);
        const char *name = json_string_value(json_object_get(item, "name"));
        const char *digest = json_string_value(json_object_get(item, "digest"));
        const char *kind = json_string_value(json_object_get(item, "kind"));
        if (!name || !digest || !kind || !digest_is_hex(digest)) {
            while (i)
                free(outputs[--i].name);
            free(outputs);
            return false;
        }
        outputs[i].name = xstrdup(name);
        memcpy(outputs[i].digest, digest, DIGEST_HEX_SIZE);
        outputs[i].tree = !strcmp(kind, "tree");
        outputs[i].side = json_is_true(json_object_get(item, "side"));
        outputs[i].size = (uint64_t)json_integer_value(json_object_get(item, "size"));
    }
    graph_set_outputs(node, outputs, count);
    const json_t *epoch = json_object_get(record, "epoch");
    if (json_is_integer(epoch))
        node->epoch = json_integer_value(epoch);
    const char *summary = json_string_value(json_object_get(record, "summary"));
    free(job_of(node)->summary);
    job_of(node)->summary = summary ? xstrdup(summary) : NULL;
    return true;
}

static long long milliseconds(struct timeval t)
{
    return t.tv_sec * 1000LL + t.tv_usec / 1000;
}

void record_cost(json_t *record, long long took_ms)
{
    struct rusage own, steps;
    if (getrusage(RUSAGE_SELF, &own) < 0 || getrusage(RUSAGE_CHILDREN, &steps) < 0)
        return;
    long long cpu_ms = milliseconds(own.ru_utime) + milliseconds(own.ru_stime) +
                       milliseconds(steps.ru_utime) + milliseconds(steps.ru_stime);
    long peak = own.ru_maxrss > steps.ru_maxrss ? own.ru_maxrss : steps.ru_maxrss;
    json_object_set_new(record, "cost",
                        json_pack("{s:I, s:I, s:I}", "ms", (json_int_t)took_ms, "cpu_ms",
                                  (json_int_t)cpu_ms, "peak_kib", (json_int_t)peak));
}

char *build_cost_text(struct build *b, const struct node *node)
{
    json_t *record = *node->key ? store_action_get(b->store, node->key, NULL) : NULL;
    const json_t *cost = json_object_get(record, "cost");
    char *text = NULL;
    if (cost)
        text = xasprintf("%.1f s, of processors %.1f s, largest process %lld MB",
                         (double)json_integer_value(json_object_get(cost, "ms")) / 1e3,
                         (double)json_integer_value(json_object_get(cost, "cpu_ms")) / 1e3,
                         (long long)json_integer_value(json_object_get(cost, "peak_kib")) / 1024);
    json_decref(record);
    return text;
}

// The last build of a node is remembered as an action record of its own, whose key is the digest of
// the node's id.
static void last_key(const struct node *node, char key[static DIGEST_HEX_SIZE])
{
    cleanup_free char *text = xasprintf("last build of %s", node->id);
    digest_bytes(text, strlen(text), key);
}

void remember_build(struct build *b, const struct node *node)
{
    char key[DIGEST_HEX_SIZE];
    last_key(node, key);
    json_t *record =
        json_pack("{s:s, s:s, s:[]}", "node", node->name, "key_text", node->key_text, "outputs");
    for (size_t i = 0; i < node->output_count; i++)
        record_output(record, node->outputs[i].name, node->outputs[i].digest, node->outputs[i].tree,
                      node->outputs[i].size);
    store_action_put(b->store, key, record, NULL); // explaining is a comfort, no more
    json_decref(record);
}

char *build_last_key_text(struct build *b, const struct node *node)
{
    char key[DIGEST_HEX_SIZE];
    last_key(node, key);
    json_t *record = store_action_get(b->store, key, NULL);
    const char *text = json_string_value(json_object_get(record, "key_text"));
    char *copy = text ? xstrdup(text) : NULL;
    json_decref(record);
    return copy;
}
