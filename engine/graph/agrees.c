// SPDX-License-Identifier: Apache-2.0
// Judges records by what the user's files say today: packages by the key, lists by versions.lock.
#include "graph/job.h"

#include "source/list.h"
#include "source/packages.h"

#include <string.h>

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

// ---- the line in versions.lock of one that asks ----

// A folder of the user's own changes all the time.
static bool is_of_folder(const struct job *job)
{
    const struct role *of = job_role(job, ROLE_SOURCE, NULL);
    const struct job *source = of ? job_of(of->node) : NULL;
    return source && (source->list ? is_of_folder(source) : source->spec.kind == SOURCE_LOCAL);
}

// What the script, its arguments and what it reads are called in the lock; to be freed. NULL: they
// have no line. Not the node's key: that has the builder in it, which decides nothing.
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

// ---- what it pins ----

static const json_t *entries_of(const json_t *record)
{
    return json_object_get(json_object_get(record, "provenance"), "entries");
}

// A record that does not say so is from a kbuild that kept no account of it.
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

// Two lists of one run may have got different bytes for one file, or one process something else
// than another has pinned meanwhile.
int list_check(struct build *b, const struct node *node, const json_t *record, struct error **err)
{
    if (list_agrees(b, node, record))
        return 0;
    error_set(err, ERROR_STEP,
              "%s: it came with other files or other bytes than %s says since this run began",
              node_label(node), b->lock->path);
    return error_hint(err,
                      "a server gives different answers to the same question; run again to see "
                      "for which of its files");
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
