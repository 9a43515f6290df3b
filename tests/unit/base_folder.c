// SPDX-License-Identifier: Apache-2.0
// Folders that others may have prepared, and files that get their name when they are complete.
#include "test.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static char *scratch;

static int set_up(void **state)
{
    scratch = make_temporary_directory("/tmp", "kbuild-folder", NULL);
    return scratch && chdir(scratch) == 0 && chmod(scratch, 0755) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    int result = chdir("/") == 0 ? remove_tree(scratch, NULL) : -1;
    free(scratch);
    return result;
}

static void expect_names(const char *const *names, size_t count)
{
    cleanup_strlist struct strlist found = {0};
    assert_int_equal(list_directory(".", &found, NULL), 0);
    assert_int_equal(found.n, count);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(found.items[i], names[i]);
}

static void expect_content(const char *path, const char *text)
{
    cleanup_buf struct buf content = {0};
    assert_int_equal(file_read(path, 100, &content, NULL), 0);
    assert_string_equal(content.data, text);
}

static void put(const char *path, const char *text)
{
    struct error *err = NULL;
    if (file_write(path, text, strlen(text), 0644, &err) < 0)
        fail_msg("%s", err->message);
}

static void expect_error(int result, struct error **err, const char *words)
{
    assert_true(result < 0);
    assert_non_null(*err);
    if (!strstr((*err)->message, words))
        fail_msg("\"%s\" is not in: %s", words, (*err)->message);
    error_free(*err);
    *err = NULL;
}

// ---- drafts ----

static void write_and_be_killed(void)
{
    struct file_draft d = FILE_DRAFT_NONE;
    if (file_draft_begin(&d, "result", NULL) == 0 && fd_write_all(d.fd, "", "half", 4, NULL) == 0)
        raise(SIGKILL);
    _exit(1);
}

static void kill_a_writer(void (*prepare)(void))
{
    pid_t pid = fork();
    if (pid == 0) {
        if (prepare)
            prepare();
        write_and_be_killed();
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
}

ALL_TESTS(set_up, tear_down)

TEST(a_killed_writer_leaves_nothing)
{
    kill_a_writer(NULL);
    expect_names(NULL, 0);
    put("result", "old");
    kill_a_writer(NULL);
    expect_names((const char *const[]){"result"}, 1);
    expect_content("result", "old");
    assert_int_equal(unlink("result"), 0);
}

// openat() with O_TMPFILE fails, as on NFS.
static void take_o_tmpfile_away(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_TMPFILE & ~O_DIRECTORY, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EOPNOTSUPP),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {ARRAY_LEN(code), code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
        _exit(2);
}

static void run_in_child(void (*test)(void))
{
    pid_t pid = fork();
    if (pid == 0) {
        take_o_tmpfile_away();
        test();
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void write_after_a_kill(void)
{
    struct file_draft other = FILE_DRAFT_NONE;
    if (file_draft_begin(&other, "result", NULL) < 0 ||
        file_write("result", "new", 3, 0644, NULL) < 0)
        _exit(3);
    file_draft_abandon(&other);
}

TEST(what_a_killed_writer_left_is_removed_by_the_next)
{
    kill_a_writer(take_o_tmpfile_away);
    expect_names((const char *const[]){".result.kbuild-0"}, 1);
    run_in_child(write_after_a_kill);
    expect_names((const char *const[]){"result"}, 1);
    expect_content("result", "new");
    assert_int_equal(unlink("result"), 0);
}

TEST(a_draft_replaces_in_one_step_and_keeps_no_link)
{
    put("target", "old");
    assert_int_equal(symlink("target", "link"), 0);
    put("link", "new");
    expect_content("target", "old");
    expect_content("link", "new");
    assert_int_equal(unlink("link"), 0);
    assert_int_equal(unlink("target"), 0);
}

TEST(a_new_file_replaces_nothing)
{
    struct error *err = NULL;
    put("there", "old");
    struct file_draft d = FILE_DRAFT_NONE;
    assert_int_equal(file_draft_begin(&d, "there", NULL), 0);
    expect_error(file_draft_commit_new(&d, 0600, &err), &err, "File exists");
    expect_content("there", "old");
    expect_names((const char *const[]){"there"}, 1);
    assert_int_equal(unlink("there"), 0);
}

TEST(what_is_no_file_is_not_replaced)
{
    struct error *err = NULL;
    assert_int_equal(mkfifo("fifo", 0600), 0);
    expect_error(file_write("fifo", "x", 1, 0644, &err), &err, "special file");
    expect_error(file_write("/dev/stdout", "x", 1, 0644, &err), &err, "");
    expect_error(file_write("/dev/null", "x", 1, 0644, &err), &err, "special file");
    expect_error(file_write("..", "x", 1, 0644, &err), &err, "Is a directory");
    assert_int_equal(unlink("fifo"), 0);
}

TEST(a_file_that_may_not_grow_is_an_error)
{
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGXFSZ, SIG_IGN);
        struct rlimit limit = {2, 2};
        struct error *err = NULL;
        setrlimit(RLIMIT_FSIZE, &limit);
        int result = file_write("big", "xxxx", 4, 0644, &err);
        _exit(result < 0 && err->errnum == EFBIG && strstr(err->hint, "ulimit -f") ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    expect_names(NULL, 0);
}

// ---- folders ----

static int try_open(const char *path, int rules, struct error **err)
{
    int fd = folder_open(path, "cache", rules, err);
    if (fd < 0)
        return -1;
    close(fd);
    return 0;
}

TEST(own_links_are_followed)
{
    assert_int_equal(mkdir("real", 0755), 0);
    assert_int_equal(symlink("real", "link"), 0);
    assert_int_equal(symlink("link/../link", "second"), 0);
    assert_int_equal(symlink("circle", "circle"), 0);
    assert_int_equal(try_open("link", FOLDER_OWNER_WRITABLE, NULL), 0);
    assert_int_equal(try_open("./second//", FOLDER_OWNER_WRITABLE, NULL), 0);
    assert_int_equal(try_open("link/a/b", FOLDER_OWNER_WRITABLE | FOLDER_MAKE, NULL), 0);
    assert_true(is_directory("real/a/b"));
    struct error *err = NULL;
    expect_error(try_open("circle", 0, &err), &err, "symbolic links");
    expect_error(try_open("nothing", FOLDER_TRUSTED_OWNER, &err), &err, "No such file");
    assert_int_equal(try_open("/proc/self/cwd", 0, NULL), 0);
    remove_tree("real", NULL);
    unlink("link");
    unlink("second");
    unlink("circle");
}

TEST(a_folder_that_others_may_write_is_refused)
{
    struct error *err = NULL;
    assert_int_equal(mkdir("open", 0755), 0);
    assert_int_equal(chmod("open", 0775), 0);
    assert_int_equal(try_open("open", FOLDER_TRUSTED_OWNER, NULL), 0);
    put("open/x", "x");
    expect_error(try_open("open", FOLDER_OWNER_WRITABLE, &err), &err, "may be written by others");
    assert_int_equal(unlink("open/x"), 0);
    assert_int_equal(try_open("open", FOLDER_OWNER_WRITABLE, NULL),
                     0); // nobody had put anything in
    struct stat st;
    assert_int_equal(stat("open", &st), 0);
    assert_int_equal(st.st_mode & 0777, 0755);
    rmdir("open");
    mode_t mask = umask(0);
    assert_int_equal(try_open("made", FOLDER_OWNER_WRITABLE | FOLDER_MAKE, NULL), 0);
    umask(mask);
    rmdir("made");
}

// As root: what uid 1234 made.
TEST(what_somebody_else_made_is_refused)
{
    struct error *err = NULL;
    if (geteuid() != 0)
        skip();
    unsetenv("SUDO_UID");
    assert_int_equal(mkdir("theirs", 0755), 0);
    assert_int_equal(chown("theirs", 1234, 1234), 0);
    assert_int_equal(mkdir("ours", 0755), 0);
    assert_int_equal(symlink("ours", "trap"), 0);
    assert_int_equal(lchown("trap", 1234, 1234), 0);
    expect_error(try_open("theirs", FOLDER_TRUSTED_OWNER, &err), &err, "belongs to user 1234");
    expect_error(try_open("trap", FOLDER_TRUSTED_OWNER, &err), &err,
                 "is a link that user 1234 made");
    expect_error(try_open("trap/x", FOLDER_MAKE, &err), &err, "is a link that user 1234 made");
    expect_error(file_write("trap/x", "x", 1, 0644, &err), &err, "is a link that user 1234 made");
    assert_int_equal(file_write("theirs/x", "x", 1, 0644, NULL), 0);
    setenv("SUDO_UID", "1234", 1); // it was that user who called sudo
    assert_int_equal(try_open("theirs", FOLDER_TRUSTED_OWNER, NULL), 0);
    assert_int_equal(try_open("trap", FOLDER_TRUSTED_OWNER, NULL), 0);
    setenv("SUDO_UID", "12345", 1);
    assert_int_equal(try_open("theirs", FOLDER_TRUSTED_OWNER, NULL), -1);
    unsetenv("SUDO_UID");
    remove_tree("theirs", NULL);
    remove_tree("ours", NULL);
    unlink("trap");
}

TEST(a_directory_that_another_process_removes_is_made_again)
{
    pid_t parent = getpid(), child = fork();
    assert_true(child >= 0);
    if (!child) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        while (getppid() == parent)
            rmdir("shared/place");
        _exit(0);
    }
    struct error *err = NULL;
    int result = 0;
    for (unsigned i = 0; i < 20000 && result == 0; i++)
        result = make_directories("shared/place", 0777, &err);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    if (result < 0)
        print_message("%s\n", err->message);
    assert_int_equal(result, 0);
    remove_tree("shared", NULL);
}
