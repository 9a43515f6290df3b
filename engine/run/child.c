// SPDX-License-Identifier: Apache-2.0
// The process of a node: starts one per node, so that a crash, a leak or a kill ends one step only,
// and reads its log and what it reports. The formats are in schedule.h; an outcome is
//
//   {"outcome": "made", "record": {...}}
//   {"outcome": "failed", "error": {"kind", "message", "hint", "subject"}}
#include "run/schedule.h"

#include "base/error.h"
#include "base/file.h"
#include "base/print.h"
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

// ---- the log ----

enum { TAIL_LINES = 20, TAIL_BYTES = 16384 };

int steplog_open(struct steplog *l, char *path, int file, struct error **err)
{
    int ends[2];
    steplog_close(l);
    l->path = path;
    if (pipe2(ends, O_CLOEXEC) < 0) {
        close(file);
        return error_errno(err, errno, "making a pipe for the log %s", path);
    }
    l->file = file;
    l->pipe = ends[0];
    return ends[1];
}

bool steplog_copy(struct steplog *l)
{
    char chunk[65536];
    ssize_t n = fd_read(l->pipe, chunk, sizeof chunk);
    if (n <= 0) {
        close(steal_fd(&l->pipe));
        return false;
    }
    cleanup_error struct error *why = NULL;
    if (!l->cut && fd_write_all(l->file, l->path, chunk, (size_t)n, &why) < 0) {
        l->cut = true; // the step continues
        log_warning("%s; the rest of it is lost", why->message);
    }
    return true;
}

bool steplog_end_of(const struct steplog *l, size_t limit, struct buf *out)
{
    struct stat st;
    char chunk[65536];
    if (l->file < 0 || fstat(l->file, &st) < 0)
        return true;
    const size_t size = (size_t)st.st_size, want = size < limit ? size : limit;
    off_t at = st.st_size - (off_t)want;
    for (ssize_t n = 1; at < st.st_size && n > 0; at += n > 0 ? n : 0) {
        size_t left = (size_t)(st.st_size - at);
        n = pread(l->file, chunk, left < sizeof chunk ? left : sizeof chunk, at);
        if (n > 0)
            buf_add(out, chunk, (size_t)n);
    }
    return want == size;
}

void steplog_tail(const struct steplog *l, struct buf *out)
{
    cleanup_buf struct buf end = {0};
    bool whole = steplog_end_of(l, TAIL_BYTES, &end);
    size_t from = end.len, lines = 0;
    // The newline at the end of the last line begins no further line.
    while (from > 0 && (end.data[from - 1] != '\n' || from == end.len || ++lines < TAIL_LINES))
        from--;
    if (from == 0 && !whole)
        buf_puts(out, "... ");
    if (end.len)
        buf_add(out, end.data + from, end.len - from);
}

void steplog_end(struct steplog *l)
{
    if (l->pipe >= 0)
        close(steal_fd(&l->pipe));
    if (l->file >= 0)
        close(steal_fd(&l->file));
}

void steplog_close(struct steplog *l)
{
    steplog_end(l);
    free(l->path);
    *l = (struct steplog)STEPLOG_NONE;
}

// ---- outcomes ----

static const char *const outcome_names[] = {
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
    json_t *event =
        json_pack("{s:s, s:O*}", "outcome", outcome_names[o->kind], "record", o->record);
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
    for (size_t i = 1; name && i < ARRAY_LEN(outcome_names); i++)
        if (!strcmp(outcome_names[i], name))
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

// ---- reports: in the process of a node ----

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

// ---- reports: in the scheduler ----

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
    if (done <= 0 && total <= 0)
        return xstrdup(what); // how much there is, and was done, is not known
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
        return REPORT_PHASE;
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

// ---- starting the process ----

_Noreturn static void make_and_exit(const struct schedule_actions *a, struct node *node, int events)
{
    struct outcome o = {0};
    report_open(events);
    supervisors_keep_open(events); // the parent reads until no process of this node is left
    a->make(a->context, node, &o);
    if (o.error)
        print_prefixed(stderr, "kbuild: stopped: ", o.error->message); // the parent says "error"
    report_outcome(&o);
    fflush(NULL);
    _exit(outcome_is_good(&o) ? 0 : 1);
}

_Noreturn static void run_child(struct task *t, const struct child_setup *c, const int events[2],
                                int log, pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    setpgid(0, 0);
    sigprocmask(SIG_SETMASK, c->mask, NULL);
    signal(SIGPIPE, SIG_IGN); // if the parent is gone, PDEATHSIG ends this process
    close(events[0]);
    close(c->signals);
    int null = open("/dev/null", O_RDONLY);
    dup2(null, STDIN_FILENO);
    close(null);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    close(log);
    make_and_exit(c->actions, t->node, events[1]);
}

int child_start(struct task *t, const struct child_setup *c, struct error **err)
{
    cleanup_close int log = c->actions->open_log(c->actions->context, t, err);
    int events[2];
    if (log < 0)
        return -1;
    if (pipe2(events, O_CLOEXEC) < 0)
        return error_errno(err, errno, "starting %s", node_label(t->node));
    fflush(NULL);
    pid_t parent = getpid();
    t->pid = fork();
    if (t->pid < 0) {
        close(events[0]);
        close(events[1]);
        return error_errno(err, errno, "starting %s", node_label(t->node));
    }
    if (t->pid == 0)
        run_child(t, c, events, log, parent);
    setpgid(t->pid, t->pid);
    close(events[1]);
    outcome_free(&t->outcome);
    t->pending.len = 0;
    task_forget_phases(t); // of an earlier try
    t->cpu_ms = 0;
    t->peak_kib = 0;
    t->waiting = false;
    t->events = events[0];
    t->started_ms = now_ms();
    return 0;
}

// ---- reading its report ----

void task_forget_phases(struct task *t)
{
    while (t->phase_count)
        free(t->phases[--t->phase_count].name);
    free(t->phases);
    t->phases = NULL;
    t->phase_cap = 0;
}

static void begin_phase(struct task *t, const char *name)
{
    t->phases = xgrow(t->phases, &t->phase_cap, t->phase_count + 1, sizeof *t->phases);
    t->phases[t->phase_count++] = (struct task_phase){xstrdup(name), now_ms()};
}

// A log gets its name, and replaces an older one, when the first text arrives: a process that only
// waits for another one that makes the same node must not replace that one's log.
static void place_log(struct task *t, const struct schedule_actions *a)
{
    t->waiting = false;
    if (!t->log.placed && a->place_log)
        a->place_log(a->context, t);
    t->log.placed = true;
}

void child_copy_log(struct task *t, const struct schedule_actions *a)
{
    if (steplog_copy(&t->log))
        place_log(t, a);
}

static void take_line(struct task *t, const struct schedule_actions *a, const char *line)
{
    cleanup_free char *text = NULL;
    const enum report_kind kind = report_read(line, &text, &t->outcome);
    switch (kind) {
    case REPORT_PHASE:
    case REPORT_PROGRESS:
        place_log(t, a);
        if (kind == REPORT_PHASE)
            begin_phase(t, text);
        free(t->progress);
        t->progress = steal(text);
        if (a->progressed)
            a->progressed(a->context, t);
        break;
    case REPORT_WAITING:
        t->waiting = true;
        begin_phase(t, text);
        free(t->progress);
        t->progress = steal(text);
        if (a->waiting)
            a->waiting(a->context, t);
        break;
    case REPORT_NOTE:
        log_note("%s", text);
        break;
    case REPORT_WARNING:
        log_warning("%s", text);
        break;
    case REPORT_OUTCOME:
    case REPORT_NOTHING:
        break;
    }
}

void child_read(struct task *t, const struct schedule_actions *a)
{
    char chunk[16384];
    ssize_t n = read(t->events, chunk, sizeof chunk);
    if (n <= 0) {
        close(steal_fd(&t->events));
        return;
    }
    buf_add(&t->pending, chunk, (size_t)n);
    char *line = t->pending.data, *end;
    while ((end = memchr(line, '\n', t->pending.len - (size_t)(line - t->pending.data)))) {
        *end = '\0';
        take_line(t, a, line);
        line = end + 1;
    }
    size_t rest = t->pending.len - (size_t)(line - t->pending.data);
    memmove(t->pending.data, line, rest);
    t->pending.len = rest;
}

void child_drain(struct task *t, const struct schedule_actions *a)
{
    while (t->events >= 0 || t->log.pipe >= 0) {
        struct pollfd fds[] = {{.fd = t->events, .events = POLLIN},
                               {.fd = t->log.pipe, .events = POLLIN}};
        if (poll(fds, ARRAY_LEN(fds), -1) < 0 && errno != EINTR)
            return;
        if (fds[0].revents)
            child_read(t, a);
        if (fds[1].revents)
            child_copy_log(t, a);
    }
    if (!t->waiting && t->outcome.kind != OUTCOME_FOUND && t->outcome.kind != OUTCOME_PULLED)
        place_log(t, a);
}
