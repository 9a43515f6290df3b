// SPDX-License-Identifier: Apache-2.0
// What a step gets, and how it ends.
#include "test.h"

#include "sandbox/internal.h"
#include "sandbox_help.h"

#include <errno.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>

static const struct sandbox plain = {0};

TEST(the_environment_is_what_was_declared)
{
    setenv("SECRET_OF_THE_USER", "leak", 1);
    struct strlist environment = {0};
    strlist_split(&environment, "PATH=/usr/bin:/bin|LANG=C.UTF-8|TEXT=a b=c\nd", "|");
    struct sandbox s = {.environment = &environment, .directory = "/tmp"};
    // PWD comes from bwrap, and is the working directory.
    expect_output(s, "env -0 | sort -z | tr '\\0' '|'",
                  "LANG=C.UTF-8|PATH=/usr/bin:/bin|PWD=/tmp|TEXT=a b=c\nd|");
    expect_output(s, "cat /proc/*/environ | tr '\\0' '\\n' | grep -c SECRET || true", "0\n");
    strlist_free(&environment);
}

TEST(a_malformed_variable_is_refused)
{
    struct strlist environment = {0};
    strlist_add(&environment, "=x");
    char name[] = "true";
    char *argv[] = {name, NULL};
    struct sandbox s = {.environment = &environment, .argv = argv};
    struct error *err = NULL;
    assert_int_equal(sandbox_start(&s, &err), -1);
    assert_non_null(strstr(err->message, "'=x'"));
    error_free(err);
    strlist_free(&environment);
}

TEST(only_declared_file_descriptors_are_open)
{
    // Without close-on-exec, as a careless parent leaves them.
    int leaked = open("/etc/passwd", O_RDONLY); // NOLINT
    int far = fcntl(leaked, F_DUPFD, 200);
    int pipe_fds[2];
    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    static const char list[] = "ls -v /proc/$$/fd; true"; // those of the waiting shell
    expect_output(plain, list, "0\n1\n2\n");

    struct sandbox s = {.jobserver = {pipe_fds[0], pipe_fds[1]}};
    char *expected = xasprintf("0\n1\n2\n%d\n%d\n", pipe_fds[0], pipe_fds[1]);
    expect_output(s, list, expected);
    free(expected);
    close(far);
    close(leaked);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

TEST(make_inside_takes_its_jobs_from_the_jobserver)
{
    int pipe_fds[2];
    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    assert_int_equal(write(pipe_fds[1], "+++", 3), 3);
    char *folder = temporary_folder();
    // Four jobs, three tokens and the one that each make has: all four run at once, and each waits
    // until it has seen the others.
    write_text(folder, "Makefile",
               "all: a b c d\n"
               "a b c d:\n"
               "\t@touch /build/$@.up; n=0; while [ $$(ls /build/*.up | wc -l) -lt 4 ]; do "
               "n=$$((n+1)); [ $$n -lt 200 ] || exit 1; sleep 0.05; done\n");
    struct sandbox_mount mount = {folder, "/build", true};
    struct strlist environment = {0};
    strlist_add(&environment, "PATH=/usr/bin:/bin");
    strlist_addf(&environment, "MAKEFLAGS= -j --jobserver-auth=%d,%d", pipe_fds[0], pipe_fds[1]);
    struct sandbox s = {.mounts = &mount,
                        .mount_count = 1,
                        .directory = "/build",
                        .environment = &environment,
                        .jobserver = {pipe_fds[0], pipe_fds[1]}};
    expect_output(s, "make --no-print-directory", "");
    char back[4];
    assert_int_equal(read(pipe_fds[0], back, sizeof back), 3);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    strlist_free(&environment);
    remove_tree(folder, NULL);
    free(folder);
}

TEST(the_exit_status_passes_through)
{
    struct buf out = {0};
    int status = run_script(plain, "exit 42", &out);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 42);
    // A signal inside is told as a shell tells it.
    status = run_script(plain, "kill -KILL $$", &out);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 128 + SIGKILL);
    buf_free(&out);
}

TEST(the_mask_of_the_user_does_not_matter)
{
    mode_t old = umask(077);
    expect_output(plain, "umask", "0022\n");
    umask(old);
}

TEST(tmp_is_empty_writable_and_for_all)
{
    expect_output(plain, "stat -c %a /tmp; ls -A /tmp; echo x > /tmp/x; cat /tmp/x", "1777\nx\n");
    expect_output(plain, "ls -A /tmp; echo x > /dev/null; head -c 4 /dev/zero | wc -c", "4\n");
}

TEST(users_are_root_and_nobody)
{
    expect_output(plain, "cut -d: -f1 /etc/passwd; cut -d: -f1 /etc/group; id -un",
                  "root\nnobody\nroot\nnogroup\nroot\n");
}

// True when nobody holds the lock on the file: all who had it open are gone.
static bool released(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    bool free_now = flock(fd, LOCK_EX | LOCK_NB) == 0;
    close(fd);
    return free_now;
}

static bool wait_until(bool (*condition)(const char *), const char *path, bool expected)
{
    for (int i = 0; i < 500; i++) {
        if (condition(path) == expected)
            return true;
        usleep(10000);
    }
    return false;
}

// A daemon that no process group and no session reaches, which holds a lock.
static const char daemon_script[] =
    "(setsid flock /out/lock sh -c '(setsid sh -c \"echo > /out/up; sleep 300\" &) ; sleep 300' "
    "</dev/null >/dev/null 2>&1 &) ; while [ ! -e /out/up ]; do sleep 0.02; done; sleep 300";

static bool is_up(const char *path)
{
    cleanup_free char *up = xasprintf("%.*s/up", (int)(strlen(path) - strlen("/lock")), path);
    return path_exists(up);
}

static pid_t start_daemon(const char *folder, struct error **err)
{
    struct strlist environment = {0}, argv = {0};
    strlist_add(&environment, "PATH=/usr/bin:/bin");
    strlist_split(&argv, "/bin/sh -c", " ");
    strlist_add(&argv, daemon_script);
    struct sandbox_mount mount = {folder, "/out", true};
    struct sandbox s = {.mounts = &mount,
                        .mount_count = 1,
                        .environment = &environment,
                        .argv = argv.items,
                        .input = -1};
    pid_t pid = sandbox_start(&s, err);
    strlist_free(&environment);
    strlist_free(&argv);
    return pid;
}

TEST(stopping_a_step_ends_its_daemons_too)
{
    char *folder = temporary_folder(), *lock = xasprintf("%s/lock", folder);
    write_text(folder, "lock", "");
    struct error *err = NULL;
    pid_t pid = start_daemon(folder, &err);
    fail_with(err);
    assert_true(wait_until(is_up, lock, true));
    assert_false(released(lock));
    process_stop(pid, 5000);
    assert_true(released(lock)); // at once: all of them are dead
    remove_tree(folder, NULL);
    free(lock);
    free(folder);
}

TEST(a_step_that_ends_leaves_no_daemon)
{
    char *folder = temporary_folder(), *lock = xasprintf("%s/lock", folder);
    write_text(folder, "lock", "");
    struct sandbox_mount mount = {folder, "/out", true};
    struct sandbox s = {.mounts = &mount, .mount_count = 1};
    free(output_of(s, "(setsid flock /out/lock sh -c 'echo > /out/up; sleep 300' "
                      "</dev/null >/dev/null 2>&1 &) ; "
                      "while [ ! -e /out/up ]; do sleep 0.02; done"));
    assert_true(released(lock)); // at once, not when the kernel gets to it
    remove_tree(folder, NULL);
    free(lock);
    free(folder);
}

TEST(killing_the_parent_kills_everything_inside)
{
    char *folder = temporary_folder(), *lock = xasprintf("%s/lock", folder);
    write_text(folder, "lock", "");
    pid_t parent = fork();
    assert_true(parent >= 0);
    if (parent == 0) {
        struct error *err = NULL;
        start_daemon(folder, &err);
        pause();
        _exit(0);
    }
    assert_true(wait_until(is_up, lock, true));
    assert_false(released(lock));
    kill(parent, SIGKILL);
    int status;
    assert_int_equal(process_wait(parent, &status, NULL), 0);
    assert_true(wait_until(released, lock, true));
    remove_tree(folder, NULL);
    free(lock);
    free(folder);
}

TEST(a_root_file_system_of_ones_own_is_shown)
{
    // A small root: links for the merged directories, and no mount points at all.
    char *root = temporary_folder();
    write_text(root, "etc/passwd", "root:x:0:0::/root:/bin/sh\n");
    write_text(root, "file-at-the-top", "here\n");
    struct sandbox_mount mounts[] = {{"/usr", "/usr", false}, {root, "/src/x", false}};
    char *link = xasprintf("%s/bin", root), *lib = xasprintf("%s/lib", root),
         *lib64 = xasprintf("%s/lib64", root);
    assert_int_equal(symlink("usr/bin", link), 0);
    assert_int_equal(symlink("usr/lib", lib), 0);
    assert_int_equal(symlink("usr/lib64", lib64), 0);
    struct sandbox s = {.root = root, .mounts = mounts, .mount_count = 2};
    // Where /usr is not merged on this host the links lead to what is there all the same.
    if (is_directory("/usr/lib64") || !path_exists("/lib64")) {
        expect_output(s, "cat /file-at-the-top /src/x/etc/passwd; ls /etc",
                      "here\nroot:x:0:0::/root:/bin/sh\npasswd\n");
        expect_refusal(s, "echo x > /etc/passwd", "Read-only");
        expect_refusal(s, "echo x > /new", "Read-only");
    }
    free(link);
    free(lib);
    free(lib64);
    remove_tree(root, NULL);
    free(root);
}

TEST(things_are_mounted_below_an_empty_folder_of_the_root)
{
    // As a builder has it: /src and /deps are there, and what is in them comes from mounts.
    char *root = temporary_folder(), *source = temporary_folder();
    write_text(source, "file", "content\n");
    static const char *const folders[] = {"src", "deps", "usr"};
    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        char *path = xasprintf("%s/%s", root, folders[i]);
        assert_int_equal(mkdir(path, 0755), 0);
        free(path);
    }
    static const char *const links[] = {"bin", "lib", "lib64"};
    for (size_t i = 0; i < ARRAY_LEN(links); i++) {
        char *path = xasprintf("%s/%s", root, links[i]), *target = xasprintf("usr/%s", links[i]);
        assert_int_equal(symlink(target, path), 0);
        free(path);
        free(target);
    }
    struct sandbox_mount mounts[] = {{"/usr", "/usr", false},
                                     {source, "/src/linux", false},
                                     {source, "/deps/a/b", false},
                                     {source, "/build", true}};
    struct sandbox s = {.root = root, .mounts = mounts, .mount_count = ARRAY_LEN(mounts)};
    expect_output(s, "cat /src/linux/file /deps/a/b/file; ls -d /src /src/* /deps/*",
                  "content\ncontent\n/deps/a\n/src\n/src/linux\n");
    expect_refusal(s, "echo x > /src/x", "Read-only");
    expect_refusal(s, "echo x > /src/linux/x", "Read-only");
    expect_output(s, "echo x > /build/x && cat /build/x", "x\n");
    remove_tree(root, NULL);
    remove_tree(source, NULL);
    free(root);
    free(source);
}

TEST(what_is_missing_is_said)
{
    char name[] = "true";
    char *argv[] = {name, NULL};
    struct sandbox_mount mount = {"/no/such/folder", "/src/linux", false};
    struct sandbox s = {.mounts = &mount, .mount_count = 1, .argv = argv};
    struct error *err = NULL;
    assert_int_equal(sandbox_start(&s, &err), -1);
    assert_non_null(strstr(err->message, "/no/such/folder"));
    error_free(err);
    err = NULL;
    struct sandbox rootless = {.root = "/no/such/root", .argv = argv};
    assert_int_equal(sandbox_start(&rootless, &err), -1);
    assert_non_null(strstr(err->message, "/no/such/root"));
    error_free(err);
}

TEST(a_machine_without_bwrap_is_told_what_to_install)
{
    char *path = xstrdup(getenv("PATH"));
    setenv("PATH", "/nonexistent", 1);
    struct error *err = NULL;
    assert_null(bwrap_check(&err));
    setenv("PATH", path, 1);
    assert_non_null(strstr(err->hint, "apt install bubblewrap"));
    error_free(err);
    free(path);
}

TEST(each_switch_of_the_kernel_has_its_advice)
{
    static const struct {
        const char *file, *value, *words;
    } cases[] = {
        {"user/max_user_namespaces", "0\n", "user.max_user_namespaces=15000"},
        {"kernel/unprivileged_userns_clone", "0\n", "unprivileged_userns_clone=1"},
        {"kernel/apparmor_restrict_unprivileged_userns", "1\n", "restrict_unprivileged_userns=0"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *folder = temporary_folder();
        write_text(folder, cases[i].file, cases[i].value);
        char *advice = namespace_advice(folder, "bwrap: No permissions to create new namespace");
        assert_non_null(advice);
        assert_non_null(strstr(advice, cases[i].words));
        free(advice);
        remove_tree(folder, NULL);
        free(folder);
    }
    char *advice = namespace_advice("/no/such", "bwrap: No permissions to create new namespace");
    assert_non_null(strstr(advice, "docker run --privileged"));
    free(advice);
    advice = namespace_advice("/no/such", "bwrap: Can't mount proc on /newroot/proc: Operation");
    assert_non_null(strstr(advice, "systempaths=unconfined"));
    free(advice);
    assert_null(namespace_advice("/no/such", "something else"));
}
