// SPDX-License-Identifier: Apache-2.0
// Runs an interactive sandbox: kbuild is between the user's terminal and the sandbox, which gets a
// pseudo-terminal and its own session. Input that a program adds to it (TIOCSTI) reaches only that
// sandbox's shell, and the sandbox has no descriptor of the user's terminal to read or set.
#include "base/process.h"
#include "sandbox/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <termios.h>

// Bytes on their way from one descriptor to another.
struct flow {
    int from, to; // -1: ended
    bool owns_to; // closed at the end of `from`
    size_t start, end;
    char bytes[4096];
};

struct interaction {
    bool terminal;
    int master, signals;
    struct termios saved;
    struct flow flows[3]; // input, output, errors
    pid_t pid;
    bool over;
};

// ---- the user's terminal ----

static void set_terminal_raw(struct interaction *i)
{
    struct termios raw = i->saved;
    cfmakeraw(&raw);
    tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
}

static void pass_window_size(const struct interaction *i)
{
    struct winsize size;
    if (i->terminal && ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0)
        ioctl(i->master, TIOCSWINSZ, &size);
}

static int open_terminal(struct interaction *i, struct sandbox *s, struct error **err)
{
    char name[64];
    i->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    if (i->master < 0 || grantpt(i->master) < 0 || unlockpt(i->master) < 0 ||
        ptsname_r(i->master, name, sizeof name) != 0)
        return error_errno(err, errno, "making a terminal");
    s->input = s->output = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (s->input < 0)
        return error_errno(err, errno, "opening the terminal %s", name);
    tcsetattr(s->input, TCSANOW, &i->saved);
    pass_window_size(i);
    i->flows[0] = (struct flow){.from = STDIN_FILENO, .to = i->master};
    i->flows[1] = (struct flow){.from = i->master, .to = STDOUT_FILENO};
    i->flows[2] = (struct flow){.from = -1, .to = -1};
    s->interactive = true;
    return 0;
}

// ---- without one: pipes ----

static int open_pipes(struct interaction *i, struct sandbox *s, struct error **err)
{
    int *const inside[] = {&s->input, &s->output, &s->errors};
    for (int k = 0; k < 3; k++) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) < 0)
            return error_errno(err, errno, "making a pipe");
        *inside[k] = ends[k ? 1 : 0];
        i->flows[k] = k ? (struct flow){.from = ends[0], .to = k}
                        : (struct flow){.from = STDIN_FILENO, .to = ends[1], .owns_to = true};
    }
    s->interactive = false;
    return fcntl(i->flows[0].to, F_SETFL, O_NONBLOCK) < 0 ? error_errno(err, errno, "making a pipe")
                                                          : 0;
}

// ---- moving bytes ----

static void end_flow(struct flow *f)
{
    f->from = -1;
    if (f->owns_to && f->to >= 0 && f->start == f->end)
        close(steal_fd(&f->to));
}

static void read_flow(struct flow *f)
{
    ssize_t n = read(f->from, f->bytes, sizeof f->bytes);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    f->start = 0;
    f->end = n > 0 ? (size_t)n : 0;
    if (n <= 0) // a terminal without a reader answers EIO
        end_flow(f);
}

static void write_flow(struct flow *f)
{
    ssize_t n = write(f->to, f->bytes + f->start, f->end - f->start);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n < 0) { // it has no reader
        f->start = f->end = 0;
        end_flow(f);
        return;
    }
    f->start += (size_t)n;
    if (f->start == f->end && f->from < 0)
        end_flow(f);
}

static bool flow_has_bytes(const struct flow *f)
{
    return f->start < f->end;
}

// All output is copied before the end is reported.
static bool interaction_is_done(const struct interaction *i)
{
    bool out = false;
    for (int k = 1; k < 3; k++)
        out = out || i->flows[k].from >= 0 || flow_has_bytes(&i->flows[k]);
    return i->over && !out;
}

static void handle_signal(struct interaction *i)
{
    struct signalfd_siginfo info;
    if (read(i->signals, &info, sizeof info) != sizeof info)
        return;
    if (info.ssi_signo == SIGWINCH)
        pass_window_size(i);
    else if (info.ssi_signo != SIGINT || !i->terminal)
        kill(i->pid, SIGTERM); // the supervisor kills all of it
}

static int copy_flows(struct interaction *i, int ended, struct error **err)
{
    while (!interaction_is_done(i)) {
        struct pollfd fds[5] = {{.fd = i->signals, .events = POLLIN},
                                {.fd = i->over ? -1 : ended, .events = POLLIN}};
        for (int k = 0; k < 3; k++) {
            const struct flow *f = &i->flows[k];
            bool writing = flow_has_bytes(f);
            // Input after the end is for the user's own shell.
            bool reading = !writing && (k || !i->over);
            fds[k + 2] = (struct pollfd){.fd = writing   ? f->to
                                               : reading ? f->from
                                                         : -1,
                                         .events = writing ? POLLOUT : POLLIN};
        }
        if (poll(fds, ARRAY_LEN(fds), -1) < 0 && errno != EINTR)
            return error_errno(err, errno, "waiting for the sandbox");
        if (fds[0].revents)
            handle_signal(i);
        i->over = i->over || fds[1].revents;
        for (int k = 0; k < 3; k++)
            if (fds[k + 2].revents && flow_has_bytes(&i->flows[k]))
                write_flow(&i->flows[k]);
            else if (fds[k + 2].revents)
                read_flow(&i->flows[k]);
    }
    return 0;
}

static int run_attached(struct interaction *i, struct sandbox *s, int *status, struct error **err)
{
    i->pid = sandbox_start(s, err);
    // With these open here, the end would never be seen.
    close(s->input);
    if (s->output != s->input)
        close(s->output);
    if (s->errors > 0)
        close(s->errors);
    if (i->pid < 0)
        return -1;
    cleanup_close int ended = (int)syscall(SYS_pidfd_open, i->pid, 0);
    if (ended < 0) {
        error_errno(err, errno, "watching the sandbox");
        process_stop(i->pid, 1000);
        return -1;
    }
    if (i->terminal)
        set_terminal_raw(i);
    int result = copy_flows(i, ended, err);
    if (i->terminal)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &i->saved);
    if (result < 0)
        process_stop(i->pid, 1000);
    return result < 0 ? -1 : sandbox_wait(i->pid, status, err);
}

int sandbox_interact(const struct sandbox *sandbox, int *status, struct error **err)
{
    struct sandbox s = *sandbox;
    struct interaction i = {.master = -1};
    sigset_t mask, old;
    ending_signals(&mask);
    sigaddset(&mask, SIGWINCH);
    i.terminal =
        isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && tcgetattr(STDIN_FILENO, &i.saved) == 0;
    if ((i.terminal ? open_terminal(&i, &s, err) : open_pipes(&i, &s, err)) < 0)
        return -1;
    sigprocmask(SIG_BLOCK, &mask, &old);
    i.signals = signalfd(-1, &mask, SFD_CLOEXEC);
    int result = run_attached(&i, &s, status, err);
    close(i.signals);
    sigprocmask(SIG_SETMASK, &old, NULL);
    for (int k = 0; k < 3; k++) {
        if (!i.terminal && k && i.flows[k].from >= 0)
            close(i.flows[k].from);
        if (i.flows[k].owns_to && i.flows[k].to >= 0)
            close(i.flows[k].to);
    }
    if (i.master >= 0)
        close(i.master);
    return result;
}
