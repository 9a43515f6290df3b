// SPDX-License-Identifier: Apache-2.0
// Starts one process per node, so that a crash, a leak or a kill ends one step only, and reads what
// it reports.
#include "run/child.h"

#include "base/process.h"
#include "base/file.h"
#include "base/error.h"
#include "base/print.h"
#include "run/report.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

// ---- starting ----

_Noreturn static void make_and_exit(const struct schedule_actions *a, struct node *node, int events)
{
    struct outcome o = {0};
    report_open(events);
    supervisors_hold(events); // the parent reads until no process of this node is left
    a->make(a->context, node, &o);
    if (o.error)
        print_prefixed(stderr, "kbuild: stopped: ", o.error->message); // the parent says "error"
    report_outcome(&o);
    fflush(NULL);
    _exit(outcome_is_good(&o) ? 0 : 1);
}

_Noreturn static void become(struct task *t, const struct child_setup *c, const int events[2],
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
        become(t, c, events, log, parent);
    setpgid(t->pid, t->pid);
    close(events[1]);
    outcome_free(&t->outcome);
    t->pending.len = 0;
    t->waiting = false;
    t->events = events[0];
    t->started_ms = now_ms();
    return 0;
}

// ---- reading its report ----

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
    switch (report_read(line, &text, &t->outcome)) {
    case REPORT_PROGRESS:
        place_log(t, a);
        free(t->progress);
        t->progress = steal(text);
        if (a->progressed)
            a->progressed(a->context, t);
        break;
    case REPORT_WAITING:
        t->waiting = true;
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
