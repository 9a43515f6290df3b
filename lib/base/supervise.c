// SPDX-License-Identifier: Apache-2.0
// Waits for a program and for everything that it started. The kernel gives orphans to the nearest
// "child subreaper" above them (PR_SET_CHILD_SUBREAPER in prctl(2)), so a subreaper that waits
// until it has no child left has outlived them all. The first process of a pid namespace is an
// orphan like any other, and ends only after all others in its namespace.
//
// This runs between fork() and exec() of a process that may have threads: no memory is allocated.
#include "base/supervise.h"

#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int held = -1;

void supervisors_hold(int fd)
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

static void let_go(void)
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
static void end_all(void)
{
    pid_t pid = waitpid(-1, NULL, WNOHANG);
    while (pid >= 0 || errno != ECHILD) {
        each_number("/proc", kill_child);
        pid = waitpid(-1, NULL, 0);
    }
}

static _Noreturn void end_as(int status)
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

_Noreturn void supervise(void (*become)(const void *program, pid_t parent, int report),
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
    let_go();
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
        end_all();
        end_as(over ? status : SIGTERM);
    }
}
