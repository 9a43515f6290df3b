// SPDX-License-Identifier: Apache-2.0
// Runs a program under ptrace(2) and lists the files that its output depends on: what it and all
// that it starts open, look up or execute. A filter of system calls (seccomp(2)) stops it at
// those, and at everything that is not known to be harmless.
#include "sandbox/internal.h"

#include "base/digest.h"
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/close_range.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

// ---- what a file is ----

// Files of the kernel that programs read as they start; these are compared by content.
static const char *const kernel_files[] = {
    "/proc/filesystems",                                  // libselinux
    "/sys/kernel/mm/transparent_hugepage/hpage_pmd_size", // Go
};

// What these say of the process, its addresses and its open files, is not looked at: a program
// whose answer depended on the first would say something else each time, and the files were
// observed when they were opened.
static bool of_process(const char *path)
{
    return !strcmp(path, "/proc/self/exe") || !strcmp(path, "/proc/self/maps") ||
           !strcmp(path, "/proc/self/fd") || starts_with(path, "/proc/self/fd/");
}

static bool of_kernel(const char *path)
{
    return starts_with(path, "/proc/") || starts_with(path, "/sys/");
}

static bool add_content(const char *path, struct buf *out)
{
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    char digest[DIGEST_HEX_SIZE];
    if (fd < 0 || digest_fd(fd, path, digest, NULL, NULL) < 0)
        return false;
    buf_printf(out, "content %s ", digest);
    return true;
}

static void add_status(const char *kind, const struct stat *st, struct buf *out)
{
    buf_printf(out, "%s %jx %ju %o %ju %ju %jd %jd.%09ld %jd.%09ld ", kind, (uintmax_t)st->st_dev,
               (uintmax_t)st->st_ino, st->st_mode, (uintmax_t)st->st_uid, (uintmax_t)st->st_gid,
               (intmax_t)st->st_size, (intmax_t)st->st_mtim.tv_sec, st->st_mtim.tv_nsec,
               (intmax_t)st->st_ctim.tv_sec, st->st_ctim.tv_nsec);
}

bool file_identity(const char *path, struct buf *out, time_t *changed)
{
    struct stat st;
    if (path[0] != '/' || strchr(path, '\n'))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(kernel_files); i++)
        if (!strcmp(path, kernel_files[i]) && access(path, F_OK) == 0) {
            if (!add_content(path, out))
                return false;
            buf_printf(out, "%s\n", path);
            return true;
        }
    if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode)) {
        add_status("link", &st, out);
        *changed = st.st_ctim.tv_sec > *changed ? st.st_ctim.tv_sec : *changed;
    }
    if (stat(path, &st) < 0) {
        if (errno != ENOENT && errno != ENOTDIR)
            return false;
        buf_printf(out, "absent %s\n", path);
        return true;
    }
    // What /proc, /sys and devices give is in none of these fields.
    if (of_kernel(path))
        return false;
    bool silent = S_ISCHR(st.st_mode) && (!strcmp(path, "/dev/null") || !strcmp(path, "/dev/tty") ||
                                          !strcmp(path, "/dev/urandom"));
    if (silent)
        buf_printf(out, "device %x:%x ", major(st.st_rdev), minor(st.st_rdev));
    else if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) {
        add_status(S_ISREG(st.st_mode) ? "file" : "folder", &st, out);
        *changed = st.st_ctim.tv_sec > *changed ? st.st_ctim.tv_sec : *changed;
    } else
        return false;
    buf_printf(out, "%s\n", path);
    return true;
}

// ---- system calls ----

// Those that depend on a path. The number of a row, and one more, is the message of the filter.
static const struct looks {
    const char *name;
    int folder, path, flags; // the numbers of these arguments; -1: there is none
} looks[] = {
    {"open", -1, 0, 1},    {"openat", 0, 1, 2},      {"stat", -1, 0, -1},
    {"lstat", -1, 0, -1},  {"newfstatat", 0, 1, -1}, {"fstatat64", 0, 1, -1},
    {"stat64", -1, 0, -1}, {"lstat64", -1, 0, -1},   {"statx", 0, 1, -1},
    {"access", -1, 0, -1}, {"faccessat", 0, 1, -1},  {"faccessat2", 0, 1, -1},
    {"statfs", -1, 0, -1}, {"readlink", -1, 0, -1},  {"readlinkat", 0, 1, -1},
    {"execve", -1, 0, -1}, {"chdir", -1, 0, -1},
};

// Those whose result follows from the program, its files and its environment, or says only what no
// version depends on (process numbers, addresses, random numbers, limits).
static const char *const harmless[] = {
    "arch_prctl",
    "brk",
    "clock_getres",
    "clock_gettime",
    "clone",
    "clone3",
    "close",
    "close_range",
    "dup",
    "dup2",
    "dup3",
    "exit",
    "exit_group",
    "fcntl",
    "fork",
    "fstat",
    "futex",
    "getdents64",
    "getegid",
    "geteuid",
    "getgid",
    "getpgrp",
    "getpid",
    "getppid",
    "getrandom",
    "getrlimit",
    "gettid",
    "gettimeofday",
    "getuid",
    "ioctl",
    "lseek",
    "madvise",
    "mmap",
    "mprotect",
    "mremap",
    "munmap",
    "nanosleep",
    "clock_nanosleep",
    "pipe",
    "pipe2",
    "poll",
    "ppoll",
    "prctl",
    "pread64",
    "prlimit64",
    "read",
    "readv",
    "restart_syscall",
    "rseq",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "sched_getaffinity",
    "sched_yield",
    "set_robust_list",
    "set_tid_address",
    "setpgid",
    "sigaltstack",
    "tgkill",
    "time",
    "uname",
    "ugetrlimit",
    "vfork",
    "wait4",
    "waitid",
    "write",
    "writev",
    "epoll_create1",
    "epoll_ctl",
    "epoll_pwait",
    "eventfd2",
    "riscv_hwprobe",
    "times",
    "sysinfo",
    "getrusage",
    "getcwd",
};

static int add_rule(scmp_filter_ctx filter, uint32_t action, const char *name)
{
    int number = seccomp_syscall_resolve_name(name);
    // An older library may not know a new call; the default is on the safe side.
    return number == __NR_SCMP_ERROR ? 0 : seccomp_rule_add(filter, action, number, 0);
}

static int fill_filter(scmp_filter_ctx filter)
{
    int result = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_TRACE(0));
    for (size_t i = 0; i < ARRAY_LEN(looks) && !result; i++)
        result = add_rule(filter, SCMP_ACT_TRACE(i + 1), looks[i].name);
    for (size_t i = 0; i < ARRAY_LEN(harmless) && !result; i++)
        result = add_rule(filter, SCMP_ACT_ALLOW, harmless[i]);
    return result;
}

// The filter's program, as the kernel takes it.
static bool make_filter(struct buf *out)
{
    cleanup_close int fd = memory_file("filter", "", 0, NULL);
    scmp_filter_ctx filter = fd < 0 ? NULL : seccomp_init(SCMP_ACT_TRACE(0));
    bool made = filter && fill_filter(filter) == 0 && seccomp_export_bpf(filter, fd) == 0;
    if (filter)
        seccomp_release(filter);
    return made && lseek(fd, 0, SEEK_SET) == 0 &&
           fd_read_all(fd, "the filter", (size_t)1 << 20, out, NULL) == 0;
}

// ---- one run ----

struct observation {
    char *const *argv, *const *environment;
    struct buf filter;
    int output;
    struct observed *seen;
    int result; // of observe_program()
};

// The path at this address of the process; NULL if it cannot be read.
static char *read_path(pid_t pid, uint64_t address)
{
    char path[PATH_MAX];
    for (size_t n = 0; n < sizeof path;) {
        size_t length = 4096 - (address + n) % 4096; // not into a page that may not be there
        length = length < sizeof path - n ? length : sizeof path - n;
        struct iovec here = {path + n, length}, there = {(void *)(uintptr_t)(address + n), length};
        if (process_vm_readv(pid, &here, 1, &there, 1, 0) != (ssize_t)length)
            return NULL;
        if (memchr(path + n, '\0', length))
            return xstrdup(path);
        n += length;
    }
    return NULL;
}

static bool writes(const struct looks *l, const uint64_t *arguments, const char *path)
{
    uint64_t flags = l->flags < 0 ? 0 : arguments[l->flags];
    return ((flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC))) &&
           !starts_with(path, "/dev/");
}

// Notes what the file is now, before the program gets it. False: nothing identifies it.
static bool add_path(struct observed *seen, const char *path)
{
    if (strlist_has(&seen->paths, path))
        return true;
    if (!file_identity(path, &seen->identity, &seen->changed))
        return false;
    strlist_add(&seen->paths, path);
    return true;
}

// The kernel opens the interpreter that a script names (execve(2), "Interpreter scripts"), which
// may be a script again.
static bool add_program(struct observed *seen, const char *path, unsigned depth)
{
    char line[256] = "";
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (depth > 4 || !add_path(seen, path))
        return false;
    if (fd < 0 || read(fd, line, sizeof line - 1) < 2 || memcmp(line, "#!", 2) != 0)
        return true;
    char *interpreter = line + 2 + strspn(line + 2, " \t");
    interpreter[strcspn(interpreter, " \t\r\n")] = '\0';
    return add_program(seen, interpreter, depth + 1);
}

// False: nobody can say whether the program would get the same another time.
static bool observe_path(struct observed *seen, const struct looks *l, pid_t pid,
                         const uint64_t *arguments)
{
    cleanup_free char *name = read_path(pid, arguments[l->path]);
    if (!name || writes(l, arguments, name))
        return false;
    // An empty path is the descriptor's own file, which was observed when it was opened.
    if (!*name && l->folder >= 0)
        return true;
    if (*name != '/' && l->folder >= 0 && (int)arguments[l->folder] != AT_FDCWD)
        return false;
    if (!strcmp(l->name, "chdir"))
        return !strcmp(name, "/"); // the working directory is the root, always
    cleanup_free char *path = *name == '/' ? xstrdup(name) : xasprintf("/%s", name);
    if (of_process(path))
        return true;
    if (!strcmp(l->name, "execve"))
        return add_program(seen, path, 0);
    // Free blocks, and the like.
    if (!strcmp(l->name, "statfs") && access(path, F_OK) == 0)
        return false;
    return add_path(seen, path);
}

// What the kernel itself maps for a new program: proc_pid_maps(5). One of these files is the
// dynamic loader, which no system call names. A file that was replaced since has " (deleted)" after
// its path; one that replaced it later has just changed, which the caller looks at.
static bool observe_mapped(struct observed *seen, pid_t pid)
{
    cleanup_free char *name = xasprintf("/proc/%d/maps", pid), *line = NULL;
    cleanup_fclose FILE *maps = fopen(name, "re");
    size_t size = 0;
    bool good = maps != NULL;
    for (ssize_t n; good && (n = getline(&line, &size, maps)) > 0;) {
        const char *path = strchr(line, '/');
        line[n - 1] = '\0';
        good = !path || (!ends_with(path, " (deleted)") && add_path(seen, path));
    }
    return good;
}

static bool observe_call(struct observed *seen, pid_t pid)
{
    struct __ptrace_syscall_info info = {0};
    if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) <= 0 ||
        info.op != PTRACE_SYSCALL_INFO_SECCOMP || info.seccomp.ret_data == 0 ||
        info.seccomp.ret_data > ARRAY_LEN(looks))
        return false;
    return observe_path(seen, &looks[info.seccomp.ret_data - 1], pid, info.seccomp.args);
}

static _Noreturn void become_program(const struct observation *o)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGXFSZ, SIGCHLD, SIGWINCH};
    for (size_t i = 0; i < ARRAY_LEN(signals); i++)
        signal(signals[i], SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    struct sock_fprog program = {.len =
                                     (unsigned short)(o->filter.len / sizeof(struct sock_filter)),
                                 .filter = (struct sock_filter *)(void *)o->filter.data};
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(o->output, STDOUT_FILENO) < 0 ||
        dup2(null, STDERR_FILENO) < 0 || chdir("/") < 0 ||
        close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) < 0 || ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0 ||
        raise(SIGSTOP) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
        _exit(127);
    execve(o->argv[0], o->argv, o->environment);
    _exit(127);
}

// Answers a stop. False: what the program did cannot be observed.
static bool resume(struct observation *o, pid_t pid, int status)
{
    int event = status >> 16, number = WSTOPSIG(status);
    if ((event == PTRACE_EVENT_SECCOMP && !observe_call(o->seen, pid)) ||
        (event == PTRACE_EVENT_EXEC && !observe_mapped(o->seen, pid)))
        return false;
    // Each new process begins with a stop of ptrace's own.
    bool own = event || number == SIGSTOP;
    return ptrace(PTRACE_CONT, pid, NULL, (void *)(intptr_t)(own ? 0 : number)) == 0 ||
           errno == ESRCH;
}

// Until the first process and all that it started have ended.
static bool follow(struct observation *o, pid_t first)
{
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, __WALL | __WNOTHREAD); // this thread's own
        if (pid < 0 && errno == ECHILD)
            return true;
        if (pid < 0 && errno != EINTR)
            return false;
        if (pid == first && !WIFSTOPPED(status))
            o->seen->status = status;
        else if (pid > 0 && WIFSTOPPED(status) && !resume(o, pid, status))
            return false;
    }
}

// A thread of its own: only the thread that started a process traces it, and all are killed when it
// ends (PTRACE_O_EXITKILL).
static void *observe_thread(void *context)
{
    struct observation *o = context;
    int status;
    pid_t pid = fork();
    if (pid == 0)
        become_program(o);
    if (pid < 0)
        return NULL;
    long options = PTRACE_O_EXITKILL | PTRACE_O_TRACESECCOMP | PTRACE_O_TRACEFORK |
                   PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC;
    bool traced = waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status) &&
                  ptrace(PTRACE_SETOPTIONS, pid, NULL, options) == 0 &&
                  ptrace(PTRACE_CONT, pid, NULL, NULL) == 0;
    bool complete = traced && follow(o, pid);
    if (!complete && kill(pid, SIGKILL) == 0)
        waitpid(pid, &status, __WALL);
    // Without a path it was not even started: this kernel has no such filter.
    o->result = !traced || !o->seen->paths.n ? -1 : complete;
    return NULL;
}

int observe_program(char *const *argv, char *const *environment, struct buf *out,
                    struct observed *seen)
{
    cleanup_close int output = memory_file("output", "", 0, NULL);
    struct observation o = {
        .argv = argv, .environment = environment, .output = output, .seen = seen, .result = -1};
    pthread_t thread;
    if (output >= 0 && make_filter(&o.filter) && thread_start(&thread, observe_thread, &o) == 0)
        pthread_join(thread, NULL);
    buf_free(&o.filter);
    bool read = o.result > 0 && lseek(output, 0, SEEK_SET) == 0 &&
                fd_read_all(output, "the output", (size_t)1 << 20, out, NULL) == 0;
    return o.result > 0 && !read ? 0 : o.result;
}

void observed_free(struct observed *o)
{
    strlist_free(&o->paths);
    buf_free(&o->identity);
}
