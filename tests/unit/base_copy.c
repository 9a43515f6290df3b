// SPDX-License-Identifier: Apache-2.0
// A copy is the same to whoever reads it, and to make.
#include "test.h"

#include "base/file.h"
#include "base/process.h"

#include <stdint.h>
#include <string.h>

static char *scratch;

static int set_up(void **state)
{
    scratch = make_temporary_directory("/tmp", "kbuild-copy", NULL);
    return scratch ? 0 : -1;
}

static int tear_down(void **state)
{
    int result = remove_tree(scratch, NULL);
    free(scratch);
    return result;
}

static void run(const char *script)
{
    char *const argv[] = {(char *)"sh", (char *)"-euc", (char *)script, NULL};
    struct process p = {.argv = argv, .directory = scratch, .input = -1};
    struct error *err = NULL;
    if (process_run(&p, NULL, &err) < 0)
        fail_msg("%s", err->message);
}

static int copy(struct error **err)
{
    cleanup_free char *from = xasprintf("%s/from", scratch);
    cleanup_free char *to = xasprintf("%s/to", scratch);
    return copy_tree(from, to, err);
}

#define LIST "find . -mindepth 1 -printf '%P %y %m %T@ %s %l\\n' | sort"

EACH_TEST(set_up, tear_down)

TEST(content_modes_times_and_links_are_kept)
{
    struct error *err = NULL;
    run("mkdir -p from/a/b to/a; echo one >from/a/x; head -c 600000 /dev/zero >from/a/b/big; "
        "chmod 751 from/a/x; chmod 2750 from/a/b; ln -s ../nowhere from/a/l; : >from/empty; "
        "chmod 444 from/empty; touch -h -d '2001-02-03 04:05:06.123456789' from/a/l from/a/x; "
        "touch -d 1999-01-01 from/a/b");
    assert_int_equal(copy(&err), 0);
    // No setgid; else the same, to the nanosecond.
    run("chmod g-s from/a/b; touch -d 1999-01-01 from/a/b; touch -r from/a to/a; "
        "(cd from; " LIST ") >one; (cd to; " LIST
        ") >two; diff one two >&2; diff -r from/a/b to/a/b");
}

TEST(a_directory_that_nobody_may_write_is_copied)
{
    struct error *err = NULL;
    run("mkdir -p from/d to; echo x >from/d/x; chmod 555 from/d");
    assert_int_equal(copy(&err), 0);
    run("[ $(stat -c %a to/d) = 555 ]; [ $(cat to/d/x) = x ]; chmod 755 from/d to/d");
}

TEST(what_is_there_is_not_replaced)
{
    struct error *err = NULL;
    run("mkdir -p from to outside; echo new >from/x; ln -s ../outside/x to/x");
    assert_int_equal(copy(&err), -1);
    assert_non_null(strstr(err->message, "/to/x"));
    error_free(err);
    run("[ ! -e outside/x ]");
}

TEST(special_files_are_named)
{
    struct error *err = NULL;
    run("mkdir -p from/d to; mkfifo from/d/pipe");
    assert_int_equal(copy(&err), -1);
    assert_non_null(strstr(err->message, "from/d/pipe"));
    error_free(err);
}
