// SPDX-License-Identifier: Apache-2.0
// Runs a shell script in a sandbox and collects what it wrote.
#ifndef KBUILD_TESTS_SANDBOX_HELP_H
#define KBUILD_TESTS_SANDBOX_HELP_H

#include "base/file.h"
#include "base/process.h"
#include "sandbox/sandbox.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

static inline void fail_with(struct error *err)
{
    if (err)
        fail_msg("%s (%s)", err->message, err->hint ? err->hint : "no hint");
}

// Returns the wait status; what was written (both streams) is appended to out.
static inline int run_script(struct sandbox s, const char *script, struct buf *out)
{
    struct error *err = NULL;
    struct strlist argv = {0}, environment = {0};
    strlist_split(&argv, "/bin/sh -c", " ");
    strlist_add(&argv, script);
    strlist_add(&environment, "PATH=/usr/sbin:/usr/bin:/sbin:/bin");
    if (!s.argv)
        s.argv = argv.items;
    if (!s.environment)
        s.environment = &environment;
    if (!s.input)
        s.input = -1;
    int pipe_fds[2], status = -1;
    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    s.output = pipe_fds[1];
    pid_t pid = sandbox_start(&s, &err);
    close(pipe_fds[1]);
    fail_with(err);
    assert_true(pid > 0);
    assert_int_equal(fd_read_all(pipe_fds[0], "output", 1 << 20, out, &err), 0);
    close(pipe_fds[0]);
    assert_int_equal(process_wait(pid, &status, &err), 0);
    strlist_free(&argv);
    strlist_free(&environment);
    return status;
}

// The script must end with status 0; returns its output, to be freed.
static inline char *output_of(struct sandbox s, const char *script)
{
    struct buf out = {0};
    int status = run_script(s, script, &out);
    if (status != 0)
        fail_msg("status %d: %s", status, out.data ? out.data : "");
    return buf_take(&out);
}

static inline void expect_output(struct sandbox s, const char *script, const char *expected)
{
    char *got = output_of(s, script);
    assert_string_equal(got, expected);
    free(got);
}

// The script must fail on its own (not because the sandbox could not be made).
static inline void expect_refusal(struct sandbox s, const char *script, const char *words)
{
    struct buf out = {0};
    int status = run_script(s, script, &out);
    if (status == 0 || !out.data || !strstr(out.data, words))
        fail_msg("'%s' was not refused with '%s': status %d: %s", script, words, status,
                 out.data ? out.data : "");
    buf_free(&out);
}

static inline char *temporary_folder(void)
{
    struct error *err = NULL;
    char *path = make_temporary_directory("/tmp", "sandbox-test", &err);
    fail_with(err);
    return path;
}

static inline void write_text(const char *folder, const char *name, const char *text)
{
    struct error *err = NULL;
    char *path = xasprintf("%s/%s", folder, name);
    assert_int_equal(make_parent(path, &err), 0);
    assert_int_equal(file_write(path, text, strlen(text), 0644, &err), 0);
    free(path);
}

#endif
