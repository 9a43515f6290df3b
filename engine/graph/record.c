// SPDX-License-Identifier: Apache-2.0
// Action records: the outputs of a node and how they were made, as JSON in the store.
//
//   {"node", "kbuild": version, "key_text", "epoch", "outputs": [{"name", "digest", "kind", "size",
//    "side": true if it is no tarball}],
//    "provenance": {...}, "summary": what the user should know of the result,
//    "cost": {"ms": how long it took, "cpu_ms": of processors, "peak_kib": resident, of the largest
//    process}}
//
// The cost is of the build that made it. It is part of no key, no provenance and no list of
// contents.
#include "graph/job.h"

#include "base/process.h"

#include "source/list.h"
#include "source/packages.h"

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

void record_cost(json_t *record, long long took_ms)
{
    struct rusage own, steps;
    if (getrusage(RUSAGE_SELF, &own) < 0 || getrusage(RUSAGE_CHILDREN, &steps) < 0)
        return;
    long long cpu_ms = timeval_ms(own.ru_utime) + timeval_ms(own.ru_stime) +
                       timeval_ms(steps.ru_utime) + timeval_ms(steps.ru_stime);
    long peak = own.ru_maxrss > steps.ru_maxrss ? own.ru_maxrss : steps.ru_maxrss;
    json_object_set_new(record, "cost",
                        json_pack("{s:I, s:I, s:I}", "ms", (json_int_t)took_ms, "cpu_ms",
                                  (json_int_t)cpu_ms, "peak_kib", (json_int_t)peak));
}

char *build_cost_text(struct build *b, const struct node *node)
{
    json_auto_t *record = NULL;
    if (*node->key)
        store_action_get(b->store, node->key, &record, NULL);
    const json_t *cost = json_object_get(record, "cost");
    if (!cost)
        return NULL;
    return xasprintf("%.1f s, of processors %.1f s, largest process %lld MB",
                     (double)json_integer_value(json_object_get(cost, "ms")) / 1e3,
                     (double)json_integer_value(json_object_get(cost, "cpu_ms")) / 1e3,
                     (long long)json_integer_value(json_object_get(cost, "peak_kib")) / 1024);
}

// ---- records against today's input files: packages by the key, lists by versions.lock ----

bool job_has_packages(const struct node *node)
{
    bool kind = node->kind == NODE_BUILDER || node->kind == NODE_ROOTFS;
    return kind && !job_of(node)->image_name;
}

bool packages_match(const struct node *node, const json_t *record)
{
    const json_t *list = json_object_get(json_object_get(record, "provenance"), "packages");
    return !job_has_packages(node) || packages_are(list, job_of(node)->package_list);
}

// ---- the line in versions.lock of a list that requests URLs ----

// A local folder changes all the time.
static bool is_of_folder(const struct job *job)
{
    const struct role *of = job_role(job, ROLE_SOURCE, NULL);
    const struct job *source = of ? job_of(of->node) : NULL;
    return source && (source->list ? is_of_folder(source) : source->spec.kind == SOURCE_LOCAL);
}

// The name in the lock for the script, its arguments and its inputs; to be freed. NULL: no line. It
// is not the node's key: that includes the builder, which has no influence here.
char *list_lock_url(const struct node *node)
{
    const struct job *job = job_of(node);
    const struct role *of = job_role(job, ROLE_SOURCE, NULL);
    if (is_of_folder(job))
        return NULL;
    cleanup_free char *text = xasprintf("kbuild list 1\nscript %s\nof %s\n", job->list_script,
                                        of ? node_output(of->node, "tree")->digest : "nothing");
    char key[DIGEST_HEX_SIZE];
    digest_bytes(text, strlen(text), key);
    return xasprintf("list:%s/%s", node->name + strlen("source:"), key);
}

const struct lock_entry *list_lock_line(const struct build *b, const struct node *node)
{
    cleanup_free char *url = list_lock_url(node);
    return url ? lock_find(b->lock, url, NULL) : NULL;
}

// ---- what a record pins ----

static const json_t *entries_of(const json_t *record)
{
    return json_object_get(json_object_get(record, "provenance"), "entries");
}

// A record without this field was written by a kbuild that did not store it.
static bool has_asked(const json_t *record)
{
    return !json_is_false(json_object_get(record, "asked"));
}

static const char *tree_of(const json_t *record)
{
    const json_t *output = json_array_get(json_object_get(record, "outputs"), 0);
    const char *digest = json_string_value(json_object_get(output, "digest"));
    return digest && digest_is_hex(digest) ? digest : NULL;
}

bool list_agrees(const struct build *b, const struct node *node, const json_t *record)
{
    if (!job_of(node)->list)
        return true;
    enum list_pins pins = list_pins_compare(entries_of(record), b->lock);
    const struct lock_entry *line = list_lock_line(b, node);
    const char *tree = tree_of(record);
    if (line ? !tree || strcmp(tree, line->sha256) != 0 : b->options.locked && has_asked(record))
        return false;
    return pins == LIST_PINS_HOLD || (pins == LIST_PINS_NEW && !b->options.locked);
}

// Two lists of one run may have got different bytes for one file, or another process may have
// pinned other bytes meanwhile.
int list_check(struct build *b, const struct node *node, const json_t *record, struct error **err)
{
    if (list_agrees(b, node, record))
        return 0;
    error_set(err, ERROR_STEP,
              "%s: the files that were downloaded for it are not those that another list, or "
              "another kbuild, recorded in %s while this one ran",
              node_label(node), b->lock->path);
    return error_hint(
        err, "a server gave two answers to the same request: run kbuild again, and it will "
             "say for which file");
}

void list_pin(struct build *b, const struct node *node, const json_t *record)
{
    if (!job_of(node)->list)
        return;
    list_pins_put(entries_of(record), b->lock);
    cleanup_free char *url = has_asked(record) ? list_lock_url(node) : NULL;
    const char *tree = tree_of(record);
    if (url && tree)
        lock_put(b->lock, &(struct lock_entry){.url = url, .sha256 = (char *)tree});
}
