// SPDX-License-Identifier: Apache-2.0
// The parent's side of a node's process: starting it, and reading what it tells (make.c).
#include "run/internal.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>

// ---- starting ----

static void become(struct build *b, struct node *node, const struct child_setup *c,
                   const int events[2], int log, pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    setpgid(0, 0);
    sigprocmask(SIG_SETMASK, c->mask, NULL);
    signal(SIGPIPE, SIG_IGN); // a parent that is gone ends us by PDEATHSIG
    close(events[0]);
    close(c->signals);
    int null = open("/dev/null", O_RDONLY);
    dup2(null, STDIN_FILENO);
    close(null);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    close(log);
    make_node_and_exit(b, node, events[1]);
}

int child_start(struct build *b, struct node *node, const struct child_setup *c, struct error **err)
{
    struct job *job = job_of(node);
    cleanup_close int log = steplog_create(b, job, err);
    int events[2];
    if (log < 0)
        return -1;
    if (pipe2(events, O_CLOEXEC) < 0)
        return error_errno(err, errno, "starting %s", job->label);
    fflush(NULL);
    pid_t parent = getpid();
    job->pid = fork();
    if (job->pid < 0) {
        close(events[0]);
        close(events[1]);
        return error_errno(err, errno, "starting %s", job->label);
    }
    if (job->pid == 0)
        become(b, node, c, events, log, parent);
    setpgid(job->pid, job->pid);
    close(events[1]);
    job->events = events[0];
    job->started_ms = now_ms();
    node->state = NODE_RUNNING;
    return 0;
}

// ---- listening ----

static void take_event(struct node *node, const char *line)
{
    struct job *job = job_of(node);
    json_t *event = json_loads(line, 0, NULL);
    const json_t *part = NULL;
    if ((part = json_object_get(event, "phase"))) {
        free(job->progress);
        job->progress = xstrdup(json_string_value(part) ? json_string_value(part) : "");
        view_progress(node);
    } else if ((part = json_object_get(event, "progress"))) {
        const char *unit = json_string_value(json_object_get(part, "unit"));
        const char *what = json_string_value(json_object_get(part, "what"));
        double done = (double)json_integer_value(json_object_get(part, "done"));
        double total = (double)json_integer_value(json_object_get(part, "total"));
        bool bytes = unit && !strcmp(unit, "bytes");
        double scale = bytes ? 1e6 : 1;
        free(job->progress);
        job->progress = total > 0 ? xasprintf("%s %.*f/%.*f %s", what ? what : "", bytes,
                                              done / scale, bytes, total / scale,
                                              bytes  ? "MB"
                                              : unit ? unit
                                                     : "")
                                  : xasprintf("%s %.*f %s", what ? what : "", bytes, done / scale,
                                              bytes  ? "MB"
                                              : unit ? unit
                                                     : "");
        view_progress(node);
    } else if ((part = json_object_get(event, "log"))) {
        const char *text = json_string_value(part);
        if (text && json_is_true(json_object_get(event, "warning")))
            log_warning("%s", text);
        else if (text)
            log_note("%s", text);
    } else if (json_object_get(event, "record") || json_object_get(event, "error")) {
        json_decref(job->result);
        job->result = json_incref(event);
    }
    json_decref(event);
}

void child_read(struct node *node)
{
    struct job *job = job_of(node);
    char chunk[16384];
    ssize_t n = read(job->events, chunk, sizeof chunk);
    if (n <= 0) {
        close(steal_fd(&job->events));
        return;
    }
    buf_add(&job->pending, chunk, (size_t)n);
    char *start_of_line = job->pending.data, *end;
    while ((end = memchr(start_of_line, '\n',
                         job->pending.len - (size_t)(start_of_line - job->pending.data)))) {
        *end = '\0';
        take_event(node, start_of_line);
        start_of_line = end + 1;
    }
    size_t rest = job->pending.len - (size_t)(start_of_line - job->pending.data);
    memmove(job->pending.data, start_of_line, rest);
    job->pending.len = rest;
}

void child_drain(struct node *node)
{
    struct job *job = job_of(node);
    while (job->events >= 0 || job->log_pipe >= 0) {
        struct pollfd fds[] = {{.fd = job->events, .events = POLLIN},
                               {.fd = job->log_pipe, .events = POLLIN}};
        if (poll(fds, ARRAY_LEN(fds), -1) < 0 && errno != EINTR)
            return;
        if (fds[0].revents)
            child_read(node);
        if (fds[1].revents)
            steplog_copy(job);
    }
}
