// SPDX-License-Identifier: Apache-2.0
// System calls that a step must not be able to make, each tried from inside: this program runs
// itself there with the name of an attack, which says what the kernel answered.
#include "test.h"

#include "sandbox_help.h"

#include <errno.h>
#include <linux/keyctl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#define KEY_NAME "kbuild-test-key"

static const char *answer(long result)
{
    return result >= 0 ? "done" : strerrorname_np(errno);
}

static long call(long number, long a, long b, long c)
{
    return syscall(number, a, b, c, 0, 0);
}

// A clone with these flags; the child ends at once.
static long clone_with(long flags)
{
#if defined(__s390__)
    long pid = call(SYS_clone, 0, flags | SIGCHLD, 0);
#else
    long pid = call(SYS_clone, flags | SIGCHLD, 0, 0);
#endif
    if (pid == 0)
        _exit(0);
    return pid;
}

#if defined(__x86_64__)
// The entry of 32-bit programs, which any program can use.
static long call_32(long number, long a, long b)
{
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b) : "memory");
    if (result < 0) {
        errno = (int)-result;
        return -1;
    }
    return result;
}
#endif

static void *nothing(void *argument)
{
    return argument;
}

// What a program needs, and the filter must not break.
static long thread_and_process(void)
{
    pthread_t thread;
    int status = -1;
    if (pthread_create(&thread, NULL, nothing, NULL) || pthread_join(thread, NULL))
        return -1;
    pid_t pid = fork();
    if (pid == 0)
        _exit(ptrace(PTRACE_TRACEME, 0, NULL, NULL) ? 1 : 0);
    return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : -1;
}

static int attack(void)
{
    int tty = open("/dev/ptmx", O_RDWR | O_CLOEXEC | O_NOCTTY);
    const char key[] = "x";
#define TRY(name, expression) printf("%s %s\n", name, answer(expression))
    TRY("keyctl", call(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0));
    TRY("add_key", call(SYS_add_key, (long)"user", (long)"x", (long)key));
    TRY("request_key", call(SYS_request_key, (long)"user", (long)KEY_NAME, 0));
    TRY("TIOCSTI", call(SYS_ioctl, tty, TIOCSTI, (long)key));
    TRY("TIOCSTI+", call(SYS_ioctl, tty, TIOCSTI | (1L << 32), (long)key));
    TRY("TIOCLINUX", call(SYS_ioctl, tty, TIOCLINUX, (long)key));
    TRY("TIOCGWINSZ", call(SYS_ioctl, tty, TIOCGWINSZ, (long)&(struct winsize){0}));
    TRY("bpf", call(SYS_bpf, 0, 0, 0));
    TRY("userfaultfd", call(SYS_userfaultfd, 0, 0, 0));
    TRY("perf_event_open", call(SYS_perf_event_open, 0, 0, 0));
    TRY("io_uring_setup", call(SYS_io_uring_setup, 1, 0, 0));
    TRY("clone3", call(SYS_clone3, 0, 0, 0));
    TRY("clone user", clone_with(CLONE_NEWUSER));
    TRY("clone net", clone_with(CLONE_NEWNET));
    TRY("unshare user", unshare(CLONE_NEWUSER));
    TRY("unshare mount", unshare(CLONE_NEWNS));
    TRY("unshare time", unshare(0x80));
    TRY("unshare files", unshare(CLONE_FILES));
    TRY("setns", call(SYS_setns, 0, 0, 0));
    TRY("mount", call(SYS_mount, 0, 0, 0));
    TRY("fsopen", call(SYS_fsopen, (long)"tmpfs", 0, 0));
    TRY("open_by_handle_at", call(SYS_open_by_handle_at, 0, 0, 0));
    TRY("kexec_load", call(SYS_kexec_load, 0, 0, 0));
    TRY("init_module", call(SYS_init_module, 0, 0, 0));
#if defined(__x86_64__)
    TRY("32-bit getpid", call_32(20, 0, 0));
    TRY("32-bit keyctl", call_32(288, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING));
    TRY("32-bit unshare", call_32(310, CLONE_NEWUSER, 0));
    TRY("x32 getpid", call(0x40000000L | SYS_getpid, 0, 0, 0));
    TRY("x32 keyctl", call(0x40000000L | SYS_keyctl, KEYCTL_GET_KEYRING_ID, -3, 0));
#endif
    TRY("threads", thread_and_process());
    return 0;
}

static const char expected[] =
    "keyctl ENOSYS\nadd_key ENOSYS\nrequest_key ENOSYS\nTIOCSTI EPERM\nTIOCSTI+ EPERM\n"
    "TIOCLINUX EPERM\nTIOCGWINSZ done\nbpf EPERM\nuserfaultfd EPERM\nperf_event_open EPERM\n"
    "io_uring_setup ENOSYS\nclone3 ENOSYS\nclone user EPERM\nclone net EPERM\n"
    "unshare user EPERM\nunshare mount EPERM\nunshare time EPERM\nunshare files done\n"
    "setns EPERM\nmount EPERM\nfsopen EPERM\nopen_by_handle_at EPERM\nkexec_load EPERM\n"
    "init_module EPERM\n"
#if defined(__x86_64__)
    "32-bit getpid done\n32-bit keyctl ENOSYS\n32-bit unshare EPERM\nx32 getpid ENOSYS\n"
    "x32 keyctl ENOSYS\n"
#endif
    "threads done\n";

static char *own_path(void)
{
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    assert_true(n > 0);
    return xstrndup(path, (size_t)n);
}

TEST(every_refused_call_is_refused)
{
    cleanup_free char *self = own_path();
    struct sandbox_mount mount = {self, "/attack", false};
    struct sandbox s = {.mounts = &mount, .mount_count = 1};
    expect_output(s, "/attack attack", expected);
}

TEST(the_first_process_has_the_filter_too)
{
    static const struct sandbox plain = {0};
    // 2: SECCOMP_MODE_FILTER. The first process, which is bubblewrap's, and the script start side
    // by side.
    expect_output(plain,
                  "n=0; until grep -q '^Seccomp:.2' /proc/1/status || [ $((n += 1)) -gt 100 ]; "
                  "do sleep 0.1; done\n"
                  "for p in 1 $$; do grep ^Seccomp: /proc/$p/status; done",
                  "Seccomp:\t2\nSeccomp:\t2\n");
}

static int look_for_key(void)
{
    puts(answer(syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, "user", KEY_NAME, 0)));
    return 0;
}

TEST(what_runs_in_a_keyring_of_its_own_sees_no_key_of_the_user)
{
    if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0)
        skip(); // no keys in this kernel or container
    assert_true(syscall(SYS_add_key, "user", KEY_NAME, "TEST", 4, KEY_SPEC_SESSION_KEYRING) > 0);
    cleanup_free char *self = own_path();
    char *argv[] = {self, (char *)"key", NULL};
    struct process p = {.argv = argv, .input = -1};
    for (int own = 0; own < 2; own++) {
        cleanup_buf struct buf out = {0};
        struct error *err = NULL;
        p.own_keyring = own;
        assert_int_equal(process_run(&p, &out, &err), 0);
        assert_string_equal(out.data, own ? "ENOKEY\n" : "done\n");
    }
}

TEST_HELPER("attack", attack)
TEST_HELPER("key", look_for_key)
