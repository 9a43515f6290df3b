// SPDX-License-Identifier: Apache-2.0
// Starts other programs, without descriptors inherited by accident, waits for them, and ends
// everything that they started.
#include "base/process.h"

#include "base/file.h"
#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/keyctl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// ---- the process between kbuild and a program ----
// Waits for a program and for everything that it started. The kernel gives orphans to the nearest
// "child subreaper" above them (PR_SET_CHILD_SUBREAPER in prctl(2)), so a subreaper that waits
// until it has no child left has outlived them all. The first process of a pid namespace is an
// orphan like any other, and ends only after all others in its namespace.
//
// This runs between fork() and exec() of a process that may have threads: no memory is allocated.

static int held = -1;

void supervisors_keep_open(int fd)
{
    held = fd;
}

// Calls `visit` for each name in a directory of /proc that is a number.
static void each_number(const char *folder, void (*visit)(int number))
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    _Alignas(struct dirent64) char buffer[8192];
    long n;
    while ((n = syscall(SYS_getdents64, fd, buffer, sizeof buffer)) > 0)
        for (long at = 0; at < n;) {
            const struct dirent64 *entry = (const struct dirent64 *)(buffer + at);
            char *end;
            long number = strtol(entry->d_name, &end, 10);
            if (*end == '\0' && end != entry->d_name)
                visit((int)number);
            at += entry->d_reclen;
        }
    close(fd);
}

// Closes pipes and sockets, since their readers wait for the end. Locks stay, so that nobody takes
// a folder that a descendant may still write to.
static void close_pipe(int fd)
{
    struct stat st;
    if (fd > STDERR_FILENO && fd != held && fstat(fd, &st) == 0 &&
        (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode)))
        close(fd);
}

static void release_inherited_descriptors(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++)
        dup2(null, i);
    each_number("/proc/self/fd", close_pipe);
}

// proc_pid_stat(5): "pid (name) state ppid ...", where the name may hold any byte.
static void kill_child(int pid)
{
    char path[32], text[512];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return;
    text[n] = '\0';
    const char *name_end = strrchr(text, ')');
    if (name_end && strlen(name_end) > 4 && strtol(name_end + 4, NULL, 10) == getpid())
        kill(pid, SIGKILL); // an unreaped child of ours: its pid cannot be reused
}

// Kills children until there are none: each death may bring orphans.
static void kill_descendants(void)
{
    pid_t pid = waitpid(-1, NULL, WNOHANG);
    while (pid >= 0 || errno != ECHILD) {
        each_number("/proc", kill_child);
        pid = waitpid(-1, NULL, 0);
    }
}

static _Noreturn void exit_with_status(int status)
{
    if (!WIFSIGNALED(status))
        _exit(WEXITSTATUS(status));
    const struct rlimit none = {0};
    setrlimit(RLIMIT_CORE, &none); // the program's own core, if any, is enough
    signal(WTERMSIG(status), SIG_DFL);
    sigset_t all;
    sigemptyset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    kill(getpid(), WTERMSIG(status));
    _exit(128 + WTERMSIG(status));
}

// Called in a forked child of `parent`: starts the program with `become`, and ends with its status,
// but only after all its descendants are dead, in whatever groups and sessions. They are killed
// when the program ends, when SIGTERM comes, and when the parent dies.
static _Noreturn void supervise(void (*become)(const void *program, pid_t parent, int report),
                                const void *program, pid_t parent, int report)
{
    sigset_t all, awaited;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    signal(SIGTERM, SIG_DFL); // blocked, not ignored: it is waited for
    signal(SIGCHLD, SIG_DFL);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    pid_t self = getpid();
    if (getppid() != parent)
        _exit(127);
    pid_t child = fork();
    if (child == 0)
        become(program, self, report);
    if (child < 0) {
        int errnum = errno;
        ssize_t ignored = write(report, &errnum, sizeof errnum);
        (void)ignored;
        _exit(127);
    }
    release_inherited_descriptors();
    sigemptyset(&awaited);
    sigaddset(&awaited, SIGTERM);
    sigaddset(&awaited, SIGCHLD);
    for (;;) {
        int status, came = 0;
        sigwait(&awaited, &came);
        pid_t pid = 0;
        bool over = false;
        while (!over && (pid = waitpid(-1, &status, WNOHANG)) > 0)
            over = pid == child;
        if (!over && came != SIGTERM)
            continue;
        kill_descendants();
        exit_with_status(over ? status : SIGTERM);
    }
}

// ---- starting and waiting ----

void standard_streams_on_entry(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) >= 0)
            continue;
        // The lowest free number is this one. What is only writable cannot be read, and so on.
        int got = open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
        if (got < 0)
            got = open("/", O_PATH);
        if (got != fd)
            _exit(1); // there is no root directory, and nobody to tell
    }
}

static const int ending[] = {SIGINT, SIGTERM, SIGHUP};
static sigset_t ignored_on_entry; // of main(), by nohup or a shell's trap

void signals_on_entry(void)
{
    sigemptyset(&ignored_on_entry);
    for (size_t i = 0; i < ARRAY_LEN(ending); i++) {
        struct sigaction now;
        if (sigaction(ending[i], NULL, &now) == 0 && now.sa_handler == SIG_IGN)
            sigaddset(&ignored_on_entry, ending[i]);
    }
}

void ending_signals(sigset_t *out)
{
    sigemptyset(out);
    for (size_t i = 0; i < ARRAY_LEN(ending); i++)
        if (!signal_ignored_on_entry(ending[i]))
            sigaddset(out, ending[i]);
}

bool interrupt_is_pending(void)
{
    sigset_t pending, wanted;
    ending_signals(&wanted);
    return sigpending(&pending) == 0 && sigandset(&wanted, &wanted, &pending) == 0 &&
           !sigisemptyset(&wanted);
}

bool signal_ignored_on_entry(int signal)
{
    return sigismember(&ignored_on_entry, signal) == 1;
}

static unsigned holds; // that are nested
static sigset_t mask_before;

void interrupts_hold(void)
{
    sigset_t set;
    ending_signals(&set);
    if (!holds++)
        sigprocmask(SIG_BLOCK, &set, &mask_before);
}

void interrupts_release(bool failed)
{
    static const struct timespec none = {0};
    sigset_t set;
    if (--holds)
        return;
    ending_signals(&set);
    while (failed && sigtimedwait(&set, NULL, &none) > 0)
        ;
    sigprocmask(SIG_SETMASK, &mask_before, NULL);
}

const sigset_t *interrupts_mask_before(void)
{
    return &mask_before;
}

int interrupts_check(struct error **err)
{
    return interrupt_is_pending() ? error_set(err, ERROR_INTERRUPT, "interrupted") : 0;
}

static void put_fd(int from, int to)
{
    if (from == to)
        fcntl(to, F_SETFD, 0);
    else
        dup2(from, to);
}

// Closes descriptors that others opened (a parent's log, a library's socket).
static void close_on_exec_from(int first)
{
    if (close_range((unsigned)first, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
        return;
    long limit = sysconf(_SC_OPEN_MAX); // Linux before 5.11
    for (int fd = first; fd < limit; fd++)
        fcntl(fd, F_SETFD, FD_CLOEXEC);
}

// In the child: never returns. On failure the errno goes to `report`.
static void become(const void *program, pid_t parent, int report)
{
    const struct process *p = program;
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    static const int defaults[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGXFSZ, SIGCHLD, SIGWINCH};
    for (size_t i = 0; i < ARRAY_LEN(defaults); i++)
        signal(defaults[i], signal_ignored_on_entry(defaults[i]) ? SIG_IGN : SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127);
    int errnum = 0;
    // keyctl(2): without a name the keyring is anonymous. A kernel or container without keys needs
    // none.
    if (p->own_keyring && syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 &&
        errno != ENOSYS && errno != EPERM)
        errnum = errno;
    if (p->input) {
        int fd = p->input > 0 ? p->input : open("/dev/null", O_RDONLY);
        put_fd(fd, STDIN_FILENO);
    }
    // Both are duplicated first, since one may have the number of the other's target.
    int output = p->output ? fcntl(p->output, F_DUPFD_CLOEXEC, 3) : 0;
    int errors = p->errors ? fcntl(p->errors, F_DUPFD_CLOEXEC, 3) : 0;
    if (output > 0)
        put_fd(output, STDOUT_FILENO);
    if (errors > 0)
        put_fd(errors, STDERR_FILENO);
    if (p->terminal && (setsid() < 0 || ioctl(STDIN_FILENO, TIOCSCTTY, 0) < 0))
        errnum = errno;
    close_on_exec_from(STDERR_FILENO + 1);
    for (size_t i = 0; i < p->keep_count; i++)
        fcntl(p->keep[i], F_SETFD, 0);
    if (p->mask)
        umask(p->mask);
    if (!errnum && p->directory && chdir(p->directory) < 0)
        errnum = errno;
    if (!errnum) {
        if (p->environment)
            execvpe(p->argv[0], p->argv, p->environment);
        else
            execvp(p->argv[0], p->argv);
        errnum = errno;
    }
    ssize_t ignored = write(report, &errnum, sizeof errnum);
    (void)ignored;
    _exit(127);
}

pid_t process_start(const struct process *p, struct error **err)
{
    int report[2];
    if (pipe2(report, O_CLOEXEC) < 0)
        return error_errno(err, errno, "starting %s", p->argv[0]);
    pid_t parent = getpid(), pid = fork();
    if (pid < 0) {
        error_errno(err, errno, "starting %s", p->argv[0]);
        close(report[0]);
        close(report[1]);
        return -1;
    }
    if (pid == 0 && p->own_group)
        setpgid(0, 0);
    if (pid == 0 && p->tree)
        supervise(become, p, parent, report[1]);
    if (pid == 0)
        become(p, parent, report[1]);
    close(report[1]);
    if (p->own_group)
        setpgid(pid, pid); // also here, so that it is done when this function returns
    int errnum = 0;
    ssize_t n = fd_read(report[0], &errnum, sizeof errnum);
    close(report[0]);
    if (n <= 0)
        return pid;
    int status;
    process_wait(pid, &status, NULL);
    return error_errno(err, errnum, "starting %s", p->argv[0]);
}

int process_wait(pid_t pid, int *status, struct error **err)
{
    while (waitpid(pid, status, 0) < 0)
        if (errno != EINTR)
            return error_errno(err, errno, "waiting for process %d", (int)pid);
    return 0;
}

// Waits until one of them is readable, a signal came (the last of them), or it is `until`, if that
// is not 0.
static int wait_for_output(struct pollfd fds[static 3], long long until, struct error **err)
{
    long long left = until ? until - now_ms() : -1;
    if (until && left <= 0)
        return error_set(err, ERROR_INTERRUPT, "interrupted");
    if (poll(fds, 3, (int)left) < 0 && errno != EINTR)
        return error_errno(err, errno, "waiting for output");
    return 0;
}

// Reads both pipes until they end; keeps all of the first and the last 4 KiB of the second.
static int collect(int out_fd, int err_fd, int signals, int interrupt_ms, struct buf *out,
                   struct buf *tail, struct error **err)
{
    struct pollfd fds[3] = {{.fd = out_fd, .events = POLLIN},
                            {.fd = err_fd, .events = POLLIN},
                            {.fd = signals, .events = POLLIN}};
    long long until = 0;
    while (fds[0].fd >= 0 || fds[1].fd >= 0) {
        if (wait_for_output(fds, until, err) < 0)
            return -1;
        if (fds[2].fd >= 0 && fds[2].revents) {
            until = now_ms() + interrupt_ms;
            fds[2].fd = -1; // not read: it is for others
        }
        for (int i = 0; i < 2; i++) {
            if (fds[i].fd < 0 || !fds[i].revents)
                continue;
            char chunk[16384];
            ssize_t n = fd_read(fds[i].fd, chunk, sizeof chunk);
            if (n <= 0) {
                fds[i].fd = -1;
                continue;
            }
            struct buf *b = i || !out ? tail : out;
            buf_add(b, chunk, (size_t)n);
            if (i == 0 && b->len > ((size_t)64 << 20))
                return error_user(err, "more than 64 MiB of output");
            if (i == 1 && b->len > 8192) {
                memmove(b->data, b->data + b->len - 4096, 4097);
                b->len = 4096;
            }
        }
    }
    return 0;
}

int process_run(const struct process *p, struct buf *out, struct error **err)
{
    struct process child = *p;
    child.tree = true; // apt has children of its own, and none may outlive kbuild
    int out_pipe[2] = {-1, -1}, err_pipe[2] = {-1, -1};
    sigset_t set;
    ending_signals(&set);
    cleanup_close int signals = p->interrupt_ms ? signalfd(-1, &set, SFD_CLOEXEC) : -1;
    if ((out && pipe2(out_pipe, O_CLOEXEC) < 0) || (!p->errors && pipe2(err_pipe, O_CLOEXEC) < 0))
        return error_errno(err, errno, "starting %s", p->argv[0]);
    if (out)
        child.output = out_pipe[1];
    if (!p->errors)
        child.errors = err_pipe[1];
    pid_t pid = process_start(&child, err);
    if (out)
        close(out_pipe[1]);
    if (!p->errors)
        close(err_pipe[1]);
    cleanup_buf struct buf tail = {0};
    int result = pid < 0 ? -1 : 0;
    if (pid >= 0) {
        result = collect(out_pipe[0], err_pipe[0], signals, p->interrupt_ms, out, &tail, err);
        int status = 0;
        if (result < 0)
            kill(pid, SIGTERM); // for the supervisor, which kills them all
        if (process_wait(pid, &status, result ? NULL : err) < 0)
            result = -1;
        if (!result && status) {
            cleanup_free char *how = process_status_text(status);
            buf_trim_end(&tail);
            result = error_user(err, "%s failed: %s%s%s", p->argv[0], how, tail.len ? ": " : "",
                                tail.len ? tail.data : "");
        } else if (result) {
            error_wrap(err, "running %s", p->argv[0]);
        }
    }
    if (out_pipe[0] >= 0)
        close(out_pipe[0]);
    if (err_pipe[0] >= 0)
        close(err_pipe[0]);
    return result;
}

void process_stop(pid_t pid, int grace_ms)
{
    // A child that is no group leader is signalled alone.
    pid_t target = getpgid(pid) == pid ? -pid : pid;
    kill(target, SIGTERM);
    int status;
    for (int waited = 0; waited < grace_ms; waited += 10) {
        pid_t got = waitpid(pid, &status, WNOHANG);
        if (got == pid || (got < 0 && errno == ECHILD)) {
            kill(target, SIGKILL); // the rest of the group
            return;
        }
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    kill(target, SIGKILL);
    process_wait(pid, &status, NULL);
}

char *process_status_text(int status)
{
    if (WIFSIGNALED(status))
        return xasprintf("signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    return xasprintf("exit status %d", WEXITSTATUS(status));
}
