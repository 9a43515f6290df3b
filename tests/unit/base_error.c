// SPDX-License-Identifier: Apache-2.0
// Messages, their causes and hints, and what of them is shown.
#include "test.h"

#include "base/error.h"
#include "base/memory.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

TEST(errors_read_from_the_outside_in)
{
    cleanup_error struct error *err = NULL;
    assert_int_equal(error_errno(&err, ENOSPC, "writing %s", "a"), -1);
    error_wrap(&err, "packing %s", "kernel");
    assert_string_equal(err->message, "packing kernel: writing a: No space left on device");
    assert_non_null(strstr(err->hint, "disk is full"));
    assert_int_equal(err->kind, ERROR_USER);
}

TEST(a_failure_of_this_machine_says_nothing_of_content)
{
    static const int errnums[] = {ENOENT, ENAMETOOLONG, ENOSPC, EMFILE, EIO};
    for (size_t i = 0; i < ARRAY_LEN(errnums); i++) {
        cleanup_error struct error *err = NULL;
        error_errno(&err, errnums[i], "unpacking");
        assert_int_equal(error_may_blame_content(err), i < 2);
    }
    cleanup_error struct error *bad = NULL, *ended = NULL;
    error_user(&bad, "it is no archive");
    error_set(&ended, ERROR_INTERRUPT, "interrupted");
    assert_true(error_may_blame_content(bad));
    assert_false(error_may_blame_content(ended));
}

TEST(the_nearest_name_is_found)
{
    struct strlist names = {0};
    strlist_split(&names, "kernel kernel-confidential boot-image-se qemu", " ");
    assert_string_equal(nearest_name("kernel-confidental", &names), "kernel-confidential");
    assert_string_equal(nearest_name("boot-imgae-se", &names), "boot-image-se");
    assert_null(nearest_name("zzzzzzzz", &names));
    strlist_free(&names);
}
