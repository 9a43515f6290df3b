// SPDX-License-Identifier: Apache-2.0
// The child's side of making a node: one process per node, so that a crash, a leak or a kill ends
// one step only. It reports to the parent in JSON lines: {"phase"}, {"progress"}, {"log"}, and as
// the last one {"record"} or {"error"}.
#include "run/internal.h"

#include "base/log.h"
#include "base/supervise.h"
#include "base/visible.h"
#include "run/prebuilt.h"
#include "run/remote.h"
#include "run/vouch.h"
#include "run/world.h"

#include <string.h>

static int events_fd = -1;

static void send_event(json_t *event)
{
    if (events_fd < 0) { // not in a child
        json_decref(event);
        return;
    }
    char *line = json_dumps(event, JSON_COMPACT);
    json_decref(event);
    if (!line)
        return;
    struct buf b = {0};
    buf_puts(&b, line);
    buf_puts(&b, "\n");
    free(line);
    fd_write_all(events_fd, "the parent's pipe", b.data, b.len, NULL);
    buf_free(&b);
}

void phase(const char *name)
{
    send_event(json_pack("{s:s}", "phase", name));
}

static void send_log(enum log_level level, const char *line, void *context)
{
    send_event(json_pack("{s:o, s:b}", "log", json_visible(line), "warning", level == LOG_WARNING));
    print_prefixed(stderr, level == LOG_WARNING ? "kbuild: warning: " : "kbuild: ", line);
}

static void send_progress(const char *what, unsigned long long done, unsigned long long total,
                          const char *unit, void *context)
{
    send_event(json_pack("{s:{s:o, s:I, s:I, s:s}}", "progress", "what", json_visible(what), "done",
                         (json_int_t)done, "total", (json_int_t)total, "unit", unit));
}

// Set by input_damaged(); one node is made per process.
static const char *damaged_id;

int input_damaged(const struct node *input, struct error **err)
{
    damaged_id = input->id;
    return error_user(err, "%s in the cache was damaged and has been set aside", node_label(input));
}

// Where the record came from: "cache", "shared cache"; NULL: it was made here.
static const char *came_from;

// Set when the shared cache has a record, but not its outputs any more.
static bool lost_in_shared_cache;

static void send_error(const struct error *err)
{
    json_t *event = json_pack("{s:{s:i, s:o, s:o*}}", "error", "kind", err->kind, "message",
                              json_visible(err->message), "hint", json_visible(err->hint));
    if (damaged_id)
        json_object_set_new(event, "damaged", json_string(damaged_id));
    if (lost_in_shared_cache)
        json_object_set_new(event, "lost_in_shared_cache", json_true());
    send_event(event);
}

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
        return actions[job_of(node)->recipe->action].make(b, node, record, err);
    }
    return -1;
}

static void waiting(void *context)
{
    phase("waiting for another kbuild");
}

static bool usable(struct build *b, struct node *node, const json_t *record)
{
    if (!record || !vouch_holds(b, node, record) || !list_agrees(b, node, record) ||
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

static json_t *make_record(struct build *b, struct node *node, struct error **err)
{
    // A build in another world, or half a one, is not kept: whoever makes the same need not wait.
    bool kept = !b->options.world && !b->until;
    cleanup_close int lock = kept ? store_lock(b->store, node->key, waiting, NULL, err) : -1;
    if (kept && lock < 0)
        return NULL;
    // Another kbuild may have made it while this one waited.
    if (kept && (b->options.use_cache || node->kind != NODE_ARTIFACT)) {
        json_t *made = store_action_get(b->store, node->key, NULL);
        if (usable(b, node, made)) {
            came_from = "cache";
            return made;
        }
        json_decref(made);
    }
    json_t *shared = NULL;
    if (kept && remote_find(b, node, &shared, err) < 0)
        return NULL;
    if (shared) {
        came_from = "shared cache";
        return shared;
    }
    if (job_of(node)->shared_only) { // then its inputs need not be there
        lost_in_shared_cache = true;
        error_user(err, "%s is not in the shared cache any more", node_label(node));
        return NULL;
    }
    json_t *record = json_pack("{s:s, s:s, s:s, s:[], s:{}}", "node", node->name, "kbuild",
                               KBUILD_VERSION, "key_text", node->key_text, "outputs", "provenance");
    json_object_set_new(record, "epoch", json_integer(node->epoch));
    if (b->remote)
        json_object_set_new(record, "built_by", json_string(b->remote->built_by));
    if (b->options.world)
        world_enter(b->options.world);
    if (make_one(b, node, record, err) < 0 ||
        (kept && (store_action_put(b->store, node->key, record, err) < 0 ||
                  remote_keep(b, node, record, err) < 0))) {
        json_decref(record);
        return NULL;
    }
    return record;
}

_Noreturn void make_node_and_exit(struct build *b, struct node *node, int events)
{
    events_fd = events;
    supervisors_hold(events); // the parent reads until nothing of this node runs any more
    log_redirect(send_log, NULL);
    progress_redirect(send_progress, NULL);
    struct error *err = NULL;
    json_t *record = make_record(b, node, &err);
    if (record) {
        send_event(json_pack("{s:o, s:s*}", "record", record, "from", came_from));
    } else {
        print_prefixed(stderr, "kbuild: stopped: ", err->message); // the parent says "error"
        send_error(err);
    }
    fflush(NULL);
    _exit(record ? 0 : 1);
}
