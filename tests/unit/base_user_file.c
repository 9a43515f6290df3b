// SPDX-License-Identifier: Apache-2.0
// What the user names may be a pipe or a device; a secret stays in memory alone.
#include "test.h"

#include "base/file.h"
#include "base/input.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static char *scratch;

static int set_up(void **state)
{
    scratch = make_temporary_directory("/tmp", "kbuild-user-file", NULL);
    return scratch ? 0 : -1;
}

static int tear_down(void **state)
{
    int result = remove_tree(scratch, NULL);
    free(scratch);
    return result;
}

static char *in_scratch(const char *name)
{
    return xasprintf("%s/%s", scratch, name);
}

// A pipe that holds `text`, as the path that a shell makes of <(...).
static char *pipe_with(const char *text, size_t length, int *fd)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(fd_write_all(ends[1], "pipe", text, length, NULL), 0);
    close(ends[1]);
    *fd = ends[0];
    return xasprintf("/dev/fd/%d", ends[0]);
}

ALL_TESTS(set_up, tear_down)

TEST(pipes_and_devices_are_read_to_their_end)
{
    cleanup_close int fd = -1;
    cleanup_free char *path = pipe_with("panic=1\n", 8, &fd);
    cleanup_buf struct buf out = {0}, nothing = {0};
    assert_int_equal(user_file_read(path, 8, &out, NULL), 0);
    assert_string_equal(out.data, "panic=1\n");
    assert_int_equal(user_file_read("/dev/null", 8, &nothing, NULL), 0);
    assert_int_equal(nothing.len, 0);
    assert_non_null(nothing.data);
}

static void *write_later(void *path)
{
    cleanup_close int fd = open(path, O_WRONLY | O_CLOEXEC); // waits for the reader
    fd_write_all(fd, path, "late", 4, NULL);
    return NULL;
}

TEST(a_fifo_that_was_named_is_waited_for)
{
    cleanup_free char *path = in_scratch("fifo");
    pthread_t writer;
    cleanup_buf struct buf out = {0};
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(pthread_create(&writer, NULL, write_later, path), 0);
    assert_int_equal(user_file_read(path, 4, &out, NULL), 0);
    pthread_join(writer, NULL);
    assert_string_equal(out.data, "late");
}

// What was found must not make anybody wait.
TEST(a_fifo_that_was_found_is_refused)
{
    cleanup_free char *path = in_scratch("found");
    cleanup_buf struct buf out = {0};
    cleanup_error struct error *err = NULL;
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(file_read(path, 4, &out, &err), -1);
    assert_non_null(strstr(err->message, "it is a special file, not a file"));
}

TEST(a_pipe_can_be_read_at_any_position_and_is_bounded)
{
    cleanup_close int fd = -1, other = -1;
    cleanup_free char *path = pipe_with("0123456789", 10, &fd);
    cleanup_error struct error *err = NULL;
    char last[3] = "";
    uint64_t size;
    cleanup_close int copy = user_file_open(path, &size, &err);
    assert_true(copy >= 0);
    assert_int_equal(size, 10);
    assert_int_equal(pread(copy, last, 2, 8), 2);
    assert_string_equal(last, "89");
    cleanup_free char *large = pipe_with("0123456789", 10, &other);
    cleanup_buf struct buf out = {0};
    assert_int_equal(user_file_read(large, 9, &out, &err), -1);
    assert_non_null(strstr(err->message, "larger than the limit of 9 bytes"));
}

TEST(what_has_no_content_is_refused)
{
    cleanup_buf struct buf out = {0};
    cleanup_error struct error *folder = NULL, *missing = NULL, *endless = NULL;
    assert_int_equal(user_file_read(scratch, 9, &out, &folder), -1);
    assert_non_null(strstr(folder->message, "it is a directory, not a file"));
    cleanup_free char *nowhere = in_scratch("nowhere");
    assert_int_equal(user_file_read(nowhere, 9, &out, &missing), -1);
    assert_int_equal(user_file_read("/dev/zero", 4096, &out, &endless), -1);
    assert_non_null(strstr(endless->message, "larger than the limit"));
}

// ---- secrets ----

static bool in_no_core(const void *page)
{
    cleanup_buf struct buf maps = {0};
    cleanup_free char *start = xasprintf("%lx-", (unsigned long)(uintptr_t)page);
    cleanup_close int fd = open("/proc/self/smaps", O_RDONLY | O_CLOEXEC);
    assert_int_equal(fd_read_all(fd, "smaps", 64u << 20, &maps, NULL), 0);
    const char *at = strstr(maps.data, start);
    const char *flags = at ? strstr(at, "VmFlags:") : NULL;
    const char *end = flags ? strchr(flags, '\n') : NULL;
    return end && memmem(flags, (size_t)(end - flags), " dd", 3);
}

TEST(a_secret_is_in_no_core_file)
{
    cleanup_free char *path = in_scratch("secret");
    struct rlimit limit = {0};
    struct stat st;
    assert_int_equal(file_write(path, "TEST-secret", 11, 0600, NULL), 0);
    prctl(PR_SET_DUMPABLE, 1);
    struct secret_memory m = {0};
    assert_int_equal(secret_memory_read(path, 11, &m, &st, NULL), 0);
    assert_int_equal(prctl(PR_GET_DUMPABLE), 0);
    assert_int_equal(getrlimit(RLIMIT_CORE, &limit), 0);
    assert_int_equal(limit.rlim_cur, 0);
    assert_int_equal(m.length, 11);
    assert_memory_equal(m.bytes, "TEST-secret", 11);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_true(in_no_core(m.bytes));
    secret_memory_free(&m);
    assert_null(m.bytes);
    cleanup_error struct error *err = NULL;
    assert_int_equal(secret_memory_read(path, 10, &m, NULL, &err), -1);
    assert_non_null(strstr(err->message, "larger than the limit of 10 bytes"));
    assert_null(m.bytes);
}

TEST(a_secret_can_come_from_a_pipe)
{
    cleanup_close int fd = -1;
    cleanup_free char *path = pipe_with("TEST", 4, &fd);
    cleanup_secret_memory struct secret_memory m = {0};
    assert_int_equal(secret_memory_read(path, 64, &m, NULL, NULL), 0);
    assert_int_equal(m.length, 4);
}
