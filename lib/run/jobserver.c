// SPDX-License-Identifier: Apache-2.0
// One GNU make jobserver for the whole run ("POSIX Jobserver Interaction" in make's manual): a pipe
// that holds a byte for each job that may run. kbuild takes one for each step that it starts (the
// step's own implicit job) and the makes inside take the rest, so that -j bounds everything.
#include "run/internal.h"

#include <errno.h>
#include <fcntl.h>

static int pipe_fds[2] = {-1, -1};
static int try_fd = -1; // the read end again, as a description of its own that does not block
static unsigned job_count;

int jobserver_open(unsigned jobs, struct error **err)
{
    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return error_errno(err, errno, "making the jobserver's pipe");
    // The makes inside need blocking ends and the flag belongs to the open description, so we read
    // through another one.
    cleanup_free char *path = xasprintf("/proc/self/fd/%d", pipe_fds[0]);
    try_fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (try_fd < 0)
        return error_errno(err, errno, "opening %s", path);
    job_count = jobs;
    for (unsigned i = 0; i < jobs; i++)
        jobserver_give();
    return 0;
}

void jobserver_close(void)
{
    for (int i = 0; i < 2; i++)
        if (pipe_fds[i] >= 0)
            close(steal_fd(&pipe_fds[i]));
    if (try_fd >= 0)
        close(steal_fd(&try_fd));
}

bool jobserver_is_open(void)
{
    return pipe_fds[0] >= 0;
}

bool jobserver_take(void)
{
    char token;
    return try_fd >= 0 && read(try_fd, &token, 1) == 1;
}

void jobserver_give(void)
{
    ssize_t n;
    do
        n = pipe_fds[1] >= 0 ? write(pipe_fds[1], "+", 1) : 1;
    while (n < 0 && errno == EINTR);
}

int jobserver_wait_fd(void)
{
    return try_fd;
}

void jobserver_fds(int fds[static 2])
{
    fds[0] = jobserver_is_open() ? pipe_fds[0] : 0;
    fds[1] = jobserver_is_open() ? pipe_fds[1] : 0;
}

unsigned pack_threads_acquire(void)
{
    unsigned threads = 1;
    while (threads < job_count && jobserver_take())
        threads++;
    return threads;
}

void pack_threads_release(unsigned threads)
{
    while (threads-- > 1)
        jobserver_give();
}
