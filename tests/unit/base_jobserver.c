// SPDX-License-Identifier: Apache-2.0
// The tokens of GNU make that steps, packers and make itself share.
#include "test.h"

#include "base/process.h"

#include <unistd.h>

TEST(a_jobserver_holds_as_many_tokens_as_jobs)
{
    assert_int_equal(jobserver_open(3, NULL), 0);
    assert_true(jobserver_take() && jobserver_take() && jobserver_take());
    assert_false(jobserver_take());
    jobserver_give();
    int fds[2];
    jobserver_fds(fds);
    char token;
    assert_int_equal(read(fds[0], &token, 1), 1); // as a make inside a step does
    assert_false(jobserver_take());
    assert_int_equal(write(fds[1], &token, 1), 1);
    assert_int_equal(pack_threads_acquire(), 2); // the caller's own, and one more
    pack_threads_release(2);
    assert_true(jobserver_take());
    jobserver_close();
    assert_false(jobserver_take());
}
