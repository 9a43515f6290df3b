// SPDX-License-Identifier: Apache-2.0
// The work of a node's process: locks the key, checks the caches again, and makes and records what
// neither has. The table of the actions of recipes.
#include "run/internal.h"

#include "base/process.h"
#include "run/plan_file.h"
#include "share/share.h"

// ---- actions ----

const struct action actions[] = {
    [ACTION_SCRIPT] = {"script", identify_script, make_script, NULL},
    [ACTION_INITRD] = {"initrd", identify_initrd, make_initrd, NULL},
    [ACTION_IMAGE] = {"image", identify_disk, make_disk, NULL},
    [ACTION_SE_IMAGE] = {"se-image", identify_se_image, make_se_image, se_image_random},
};

const char *build_random(const struct node *node)
{
    const struct job *job = job_of(node);
    const struct action *action = &actions[job->recipe->action];
    return action->random ? action->random(job) : NULL;
}

// ---- the process ----

static int make_one(struct build *b, struct node *node, json_t *record, struct error **err)
{
    if (job_of(node)->prebuilt)
        return make_prebuilt(b, node, record, err);
    switch (node->kind) {
    case NODE_SOURCE:
        return make_source(b, node, record, err);
    case NODE_BUILDER:
        return make_builder(b, node, record, err);
    case NODE_ROOTFS:
        return make_rootfs(b, node, record, err);
    case NODE_ARTIFACT:
        log_local_inputs(node);
        if (b->until)
            return make_until(b, node, record, err);
        return actions[job_of(node)->recipe->action].make(b, node, record, err);
    }
    return -1;
}

static void report_lock_wait(void *context)
{
    report_waiting("for another kbuild");
}

static bool usable(struct build *b, struct node *node, const json_t *record)
{
    if (!record_trusted(b, node, record) || !list_agrees(b, node, record) ||
        !outputs_from_record(node, record))
        return false;
    for (size_t i = 0; i < node->output_count; i++) {
        const struct node_output *o = &node->outputs[i];
        if ((o->tree ? store_has_tree(b->store, o->digest, false, NULL)
                     : store_has_blob(b->store, o->digest, NULL)) != 1)
            return false;
    }
    return true;
}

// 1: another process or the shared cache has it, and *out says which; 0: none has.
static int find_made(struct build *b, struct node *node, struct outcome *out, struct error **err)
{
    // Another kbuild may have made it while this one waited.
    if (b->options.use_cache || node->kind != NODE_ARTIFACT) {
        json_auto_t *made = NULL;
        if (store_action_get(b->store, node->key, &made, NULL) > 0 && usable(b, node, made)) {
            *out = (struct outcome){.kind = OUTCOME_FOUND, .record = steal(made)};
            return 1;
        }
    }
    json_t *shared = NULL;
    if (remote_pull(b, node, &shared, err) < 0)
        return -1;
    if (shared)
        *out = (struct outcome){.kind = OUTCOME_PULLED, .record = shared};
    return shared != NULL;
}

static json_t *begin_record(const struct build *b, const struct node *node)
{
    json_t *record = json_pack("{s:s, s:s, s:s, s:[], s:{}}", "node", node->name, "kbuild",
                               KBUILD_VERSION, "key_text", node->key_text, "outputs", "provenance");
    json_object_set_new(record, "epoch", json_integer(node->epoch));
    if (b->remote)
        json_object_set_new(record, "built_by", json_string(b->remote->built_by));
    return record;
}

// Somebody else made it meanwhile, from the same inputs, and others may use that one already: so
// does this run. *record becomes its record, and *out says so.
static int take_theirs(struct build *b, struct node *node, json_t **record, struct outcome *out,
                       struct error **err)
{
    json_t *theirs = NULL;
    if (remote_pull(b, node, &theirs, err) < 0)
        return -1;
    if (!theirs) // lost again; the next run pushes
        return 0;
    const char *by = json_string_value(json_object_get(theirs, "built_by"));
    log_warning("%s: %s made it meanwhile, and with other bytes: %s. What is in the registry is "
                "used",
                node_label(node), by ? by : "another machine",
                build_random(node) ? "they are random" : "its step is not reproducible");
    json_decref(*record);
    *record = theirs;
    out->kind = OUTCOME_PULLED;
    return 0;
}

static int make_and_keep(struct build *b, struct node *node, bool kept, json_t **made,
                         struct outcome *out, struct error **err)
{
    json_t *record = *made;
    out->kind = OUTCOME_MADE;
    if (b->options.variation)
        variation_apply(b->options.variation);
    long long began_ms = now_ms();
    if (make_one(b, node, record, err) < 0)
        return -1;
    record_cost(record, now_ms() - began_ms);
    if (!kept)
        return 0;
    int other = store_action_put(b->store, node->key, record, err) < 0
                    ? -1
                    : remote_push(b, node, record, err);
    return other > 0 ? take_theirs(b, node, made, out, err) : other;
}

static int find_or_make(struct build *b, struct node *node, struct outcome *out, struct error **err)
{
    bool shared = node->state == NODE_SHARED; // then its inputs may be absent
    // Partial builds and builds in another environment are not kept: they need no lock on the key.
    bool kept = !b->options.variation && !b->until;
    cleanup_close int lock =
        kept ? store_lock(b->store, node->key, report_lock_wait, NULL, err) : -1;
    if (kept && lock < 0)
        return -1;
    int found = kept && !job_of(node)->unpushed ? find_made(b, node, out, err) : 0;
    if (found)
        return found < 0 ? -1 : 0;
    if (job_of(node)->found_only)
        return error_set(err, ERROR_AGAIN,
                         "%s " INPUT_LOST " any more, and this run does not make it",
                         node_label(node));
    if (shared) {
        out->kind = OUTCOME_SHARED_LOST;
        return error_user(err, "%s is not in the shared cache any more", node_label(node));
    }
    json_t *record = begin_record(b, node);
    struct outcome made = {0};
    if (make_and_keep(b, node, kept, &record, &made, err) < 0) {
        json_decref(record);
        return -1;
    }
    made.record = record;
    *out = made;
    return 0;
}

void make_node(struct build *b, struct node *node, struct outcome *out)
{
    if (find_or_make(b, node, out, &out->error) == 0)
        return;
    if (out->kind == OUTCOME_NONE)
        out->kind = out->error->subject ? OUTCOME_DAMAGED_INPUT : OUTCOME_FAILED;
}
