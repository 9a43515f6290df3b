// SPDX-License-Identifier: Apache-2.0
// Programs whose children, orphans and daemons have to be over when they are.
#include "test.h"

#include "base/file.h"
#include "base/process.h"

#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

static char *scratch;

static int set_up(void **state)
{
    scratch = make_temporary_directory("/tmp", "kbuild-process", NULL);
    return scratch ? 0 : -1;
}

static int tear_down(void **state)
{
    int result = remove_tree(scratch, NULL);
    free(scratch);
    return result;
}

// A daemon of its own session, started by an orphan, that holds a lock; then the rest.
#define DAEMON                                                                                     \
    "(setsid flock lock sh -c '(setsid sh -c \"echo >up; sleep 300\" &); sleep 300' "              \
    "</dev/null >/dev/null 2>&1 &); while [ ! -e up ]; do sleep 0.01; done; "

static pid_t start(const char *script)
{
    char *argv[] = {(char *)"sh", (char *)"-c", (char *)script, NULL};
    struct process p = {
        .argv = argv, .directory = scratch, .input = -1, .tree = true, .own_group = true};
    struct error *err = NULL;
    pid_t pid = process_start(&p, &err);
    if (pid < 0)
        fail_msg("%s", err->message);
    return pid;
}

static bool locked(void)
{
    cleanup_free char *path = xasprintf("%s/lock", scratch);
    cleanup_close int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    return flock(fd, LOCK_EX | LOCK_NB) < 0;
}

static bool is_up(void)
{
    cleanup_free char *path = xasprintf("%s/up", scratch);
    return path_exists(path);
}

static void wait_for(bool (*condition)(void), bool expected)
{
    for (int i = 0; i < 1000 && condition() != expected; i++)
        usleep(10000);
    assert_int_equal(condition(), expected);
}

EACH_TEST(set_up, tear_down)

TEST(waiting_is_waiting_for_all_of_it)
{
    int status = -1;
    assert_int_equal(process_wait(start(DAEMON "exit 7"), &status, NULL), 0);
    assert_int_equal(WEXITSTATUS(status), 7);
    assert_false(locked());
}

TEST(stopping_stops_all_of_it)
{
    pid_t pid = start(DAEMON "sleep 300");
    wait_for(is_up, true);
    assert_true(locked());
    process_stop(pid, 10000);
    assert_false(locked());
}

// The signal is blocked, and stays pending for others.
TEST(an_interrupt_ends_what_runs_after_some_time)
{
    char *argv[] = {(char *)"sh", (char *)"-c", (char *)(DAEMON "sleep 300"), NULL};
    struct process p = {.argv = argv, .directory = scratch, .input = -1, .interrupt_ms = 300};
    char *quick[] = {(char *)"true", NULL};
    const struct process done = {.argv = quick, .input = -1, .interrupt_ms = 300000};
    struct error *err = NULL;
    sigset_t set, old;
    signals_on_entry();
    ending_signals(&set);
    sigprocmask(SIG_BLOCK, &set, &old);
    kill(getpid(), SIGHUP);
    const long long began = now_ms();
    assert_int_equal(process_run(&done, NULL, &err), 0); // it is not waited for
    assert_int_equal(process_run(&p, NULL, &err), -1);
    assert_true(now_ms() - began >= 300);
    assert_int_equal(err->kind, ERROR_INTERRUPT);
    assert_true(interrupt_is_pending());
    assert_int_equal(sigtimedwait(&set, NULL, &(struct timespec){0}), SIGHUP);
    sigprocmask(SIG_SETMASK, &old, NULL);
    assert_false(locked());
    error_free(err);
}

TEST(a_signal_is_told_as_one)
{
    int status = 0;
    assert_int_equal(process_wait(start("kill -USR1 $$"), &status, NULL), 0);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGUSR1);
}

TEST(all_of_it_dies_with_this_process)
{
    pid_t parent = fork();
    assert_true(parent >= 0);
    if (parent == 0) {
        char *argv[] = {(char *)"sh", (char *)"-c", (char *)(DAEMON "sleep 300"), NULL};
        struct process p = {.argv = argv, .directory = scratch, .input = -1};
        process_run(&p, NULL, NULL); // as for apt
        _exit(0);
    }
    wait_for(is_up, true);
    assert_true(locked());
    kill(parent, SIGKILL);
    assert_int_equal(process_wait(parent, &(int){0}, NULL), 0);
    wait_for(locked, false);
}

TEST(a_missing_program_is_an_error_at_once)
{
    char *argv[] = {(char *)"no-such-program", NULL};
    struct process p = {.argv = argv, .input = -1, .tree = true};
    struct error *err = NULL;
    assert_int_equal(process_start(&p, &err), -1);
    assert_non_null(strstr(err->message, "no-such-program"));
    error_free(err);
}

// ---- small numbers ----

// In a container processes have numbers as small as those of descriptors.
static const char small_numbers[] =
    "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do sleep 300 & done; exit 7";

static int in_a_namespace(void)
{
    char *argv[] = {(char *)"sh", (char *)"-c", (char *)small_numbers, NULL};
    struct process p = {.argv = argv, .input = -1, .tree = true};
    int status = -1;
    for (int i = 0; i < 6; i++) // which the supervisor has, too, so that its next one is larger
        open("/dev/null", O_RDONLY);
    alarm(30); // for a supervisor that waits for what it does not kill
    pid_t pid = process_start(&p, NULL);
    return pid < 0 || process_wait(pid, &status, NULL) < 0 ? 1 : WEXITSTATUS(status);
}

TEST(small_numbers_are_processes_too)
{
    cleanup_free char *bwrap = find_program("bwrap");
    if (!bwrap)
        skip();
    char self[4096] = "";
    assert_true(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    char *argv[] = {bwrap,
                    (char *)"--dev-bind",
                    (char *)"/",
                    (char *)"/",
                    (char *)"--proc",
                    (char *)"/proc",
                    (char *)"--unshare-pid",
                    self,
                    (char *)"in-a-namespace",
                    NULL};
    struct process p = {.argv = argv, .input = -1};
    int status = -1;
    assert_int_equal(process_wait(process_start(&p, NULL), &status, NULL), 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
}

TEST_HELPER("in-a-namespace", in_a_namespace)

TEST(an_ending_signal_is_held_back_and_dropped_after_a_failure)
{
    struct error *err = NULL;
    sigset_t now;
    interrupts_hold();
    assert_int_equal(interrupts_check(&err), 0);
    interrupts_hold(); // what is nested changes nothing
    raise(SIGHUP);
    interrupts_release(true);
    assert_int_equal(interrupts_check(&err), -1);
    assert_int_equal(err->kind, ERROR_INTERRUPT);
    error_free(err);
    assert_int_equal(sigismember(interrupts_mask_before(), SIGHUP), 0);
    interrupts_release(true); // would end this process if it arrived
    assert_false(interrupt_is_pending());
    sigprocmask(SIG_SETMASK, NULL, &now);
    assert_int_equal(sigismember(&now, SIGHUP), 0);
}

TEST(an_ending_signal_arrives_after_what_succeeded)
{
    pid_t pid = fork();
    if (pid == 0) {
        interrupts_hold();
        raise(SIGTERM);
        interrupts_release(false);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}
