// SPDX-License-Identifier: Apache-2.0
// Writes and reads the reports of a node's process (format: report.h).
#include "run/report.h"

#include "base/file.h"
#include "base/error.h"
#include "base/print.h"

#include <string.h>

// ---- in the process of a node ----

static int report_fd = -1; // -1: not in a node's process

static void send(json_t *event)
{
    char *line = report_fd < 0 ? NULL : json_dumps(event, JSON_COMPACT);
    json_decref(event);
    if (!line)
        return;
    cleanup_buf struct buf b = {0};
    buf_puts(&b, line);
    buf_puts(&b, "\n");
    free(line);
    fd_write_all(report_fd, "the parent's pipe", b.data, b.len, NULL);
}

static void send_phase(const char *name)
{
    send(json_pack("{s:s}", "phase", name));
}

void report_waiting(const char *what)
{
    send(json_pack("{s:s}", "waiting", what));
}

static void send_log(enum log_level level, const char *line, void *context)
{
    send(json_pack("{s:o, s:b}", "log", json_visible(line), "warning", level == LOG_WARNING));
    print_prefixed(stderr, level == LOG_WARNING ? "kbuild: warning: " : "kbuild: ", line);
}

static void send_progress(const char *what, unsigned long long done, unsigned long long total,
                          const char *unit, void *context)
{
    send(json_pack("{s:{s:o, s:I, s:I, s:s}}", "progress", "what", json_visible(what), "done",
                   (json_int_t)done, "total", (json_int_t)total, "unit", unit));
}

void report_open(int fd)
{
    report_fd = fd;
    log_redirect(send_log, NULL);
    phase_redirect(send_phase);
    progress_redirect(send_progress, NULL);
}

int input_damaged(const struct node *input, struct error **err)
{
    error_user(err, "%s in the cache was damaged and has been set aside", node_label(input));
    return error_subject(err, input->id);
}

void report_outcome(const struct outcome *o)
{
    send(outcome_json(o));
}

// ---- in the scheduler ----

static char *progress_text(const json_t *progress)
{
    const char *unit = json_string_value(json_object_get(progress, "unit"));
    const char *what = json_string_value(json_object_get(progress, "what"));
    double done = (double)json_integer_value(json_object_get(progress, "done"));
    double total = (double)json_integer_value(json_object_get(progress, "total"));
    bool bytes = unit && !strcmp(unit, "bytes");
    double scale = bytes ? 1e6 : 1;
    unit = bytes ? "MB" : unit ? unit : "";
    what = what ? what : "";
    return total > 0
               ? xasprintf("%s %.*f/%.*f %s", what, bytes, done / scale, bytes, total / scale, unit)
               : xasprintf("%s %.*f %s", what, bytes, done / scale, unit);
}

static enum report_kind read_event(const json_t *event, char **text, struct outcome *outcome)
{
    const json_t *phase_name = json_object_get(event, "phase");
    const json_t *waiting = json_object_get(event, "waiting");
    const json_t *progress = json_object_get(event, "progress");
    const json_t *line = json_object_get(event, "log");
    if (json_is_string(phase_name)) {
        *text = xstrdup(json_string_value(phase_name));
        return REPORT_PROGRESS;
    }
    if (json_is_string(waiting)) {
        *text = xasprintf("waiting %s", json_string_value(waiting));
        return REPORT_WAITING;
    }
    if (progress) {
        *text = progress_text(progress);
        return REPORT_PROGRESS;
    }
    if (json_is_string(line)) {
        *text = xstrdup(json_string_value(line));
        return json_is_true(json_object_get(event, "warning")) ? REPORT_WARNING : REPORT_NOTE;
    }
    return outcome_read(event, outcome) ? REPORT_OUTCOME : REPORT_NOTHING;
}

enum report_kind report_read(const char *line, char **text, struct outcome *outcome)
{
    json_t *event = json_loads(line, 0, NULL);
    enum report_kind kind = read_event(event, text, outcome);
    json_decref(event);
    return kind;
}
