// SPDX-License-Identifier: Apache-2.0
// Writes a run in Chrome's trace event format (the JSON array format: complete events "X" and
// metadata events "M"), for chrome://tracing, Perfetto and other viewers. Process 1 is the run. Its
// thread 0 is kbuild itself, thread N + 1 the slot N in which nodes ran one after the other; phases
// are within their node.
#include "run/internal.h"

#include "base/print.h"

#include <string.h>

struct trace {
    const struct last_run *l;
    json_t *events;
};

static void name_lane(struct trace *t, const char *what, unsigned lane, const char *name)
{
    json_array_append_new(t->events,
                          json_pack("{s:s, s:s, s:i, s:i, s:{s:s}}", "name", what, "ph", "M", "pid",
                                    1, "tid", (int)lane, "args", "name", name));
}

// Times are of the monotonic clock; in the file they are microseconds since kbuild began.
static void add_event(struct trace *t, unsigned lane, json_t *name, const char *category,
                      long long begin_ms, long long end_ms, json_t *args)
{
    const long long zero = t->l->b->run->opened_ms;
    end_ms = end_ms < begin_ms ? begin_ms : end_ms;
    json_array_append_new(t->events,
                          json_pack("{s:o, s:s, s:s, s:I, s:I, s:i, s:i, s:o}", "name", name, "cat",
                                    category, "ph", "X", "ts", (json_int_t)(begin_ms - zero) * 1000,
                                    "dur", (json_int_t)(end_ms - begin_ms) * 1000, "pid", 1, "tid",
                                    (int)lane, "args", args ? args : json_object()));
}

static void add_task(struct trace *t, const struct task *task, unsigned lane)
{
    const struct node *node = task->node;
    const char *why = t->l->starts[task - t->l->s->tasks].reason;
    const long long end = task->started_ms + task->took_ms;
    add_event(t, lane, json_visible(node_label(node)), node_kind_names[node->kind],
              task->started_ms, end,
              json_pack("{s:s, s:s, s:s, s:I, s:I, s:s*}", "node", node->id, "key", node->key,
                        "state", last_run_state(task), "cpu_ms", (json_int_t)task->cpu_ms,
                        "peak_kib", (json_int_t)task->peak_kib, "why", why));
    for (size_t i = 0; i < task->phase_count; i++) {
        const struct task_phase *p = &task->phases[i];
        bool last = i + 1 == task->phase_count;
        add_event(t, lane, json_visible(p->name), "phase", p->began_ms, last ? end : p[1].began_ms,
                  NULL);
    }
}

static void add_own(struct trace *t)
{
    const struct last_run *l = t->l;
    const long long now = now_ms(), made = l->made_ms ? l->made_ms : now;
    name_lane(t, "process_name", 0, "kbuild");
    name_lane(t, "thread_name", 0, "kbuild itself");
    add_event(t, 0, json_string("planning"), "kbuild", l->b->run->opened_ms, l->began_ms, NULL);
    add_event(t, 0, json_string("making"), "kbuild", l->began_ms, made, NULL);
    add_event(t, 0, json_string("placing and pushing"), "kbuild", made, now, NULL);
}

json_t *trace_events(const struct last_run *l)
{
    struct trace t = {.l = l, .events = json_array()};
    cleanup_free unsigned *slots = last_run_slots(l->s);
    unsigned lanes = 0;
    add_own(&t);
    for (size_t i = 0; i < l->s->n; i++) {
        const struct task *task = &l->s->tasks[i];
        if (!task->started_ms)
            continue;
        for (; lanes <= slots[i]; lanes++) {
            cleanup_free char *name = xasprintf("slot %u", lanes + 1);
            name_lane(&t, "thread_name", lanes + 1, name);
        }
        add_task(&t, task, slots[i] + 1);
    }
    return t.events;
}

int trace_write(const struct last_run *l, struct file_draft *file, struct error **err)
{
    json_auto_t *events = trace_events(l);
    cleanup_buf struct buf text = {0};
    for (size_t i = 0; i < json_array_size(events); i++) {
        char *line = json_dumps(json_array_get(events, i), JSON_COMPACT | JSON_ENSURE_ASCII);
        buf_printf(&text, "%s%s", i ? ",\n" : "[\n", line ? line : "{}");
        free(line);
    }
    buf_puts(&text, "\n]\n");
    if (fd_write_all(file->fd, file->path, text.data, text.len, err) < 0)
        return -1;
    return file_draft_commit_unsynced(file, 0644, err);
}
