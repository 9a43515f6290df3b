// SPDX-License-Identifier: Apache-2.0
// Runs one GNU make jobserver for the whole run ("POSIX Jobserver Interaction" in make's manual): a
// pipe that holds a byte for each job that may run. kbuild takes one for each step that it starts
// (the step's own implicit job) and the makes inside take the rest, so that -j bounds everything.
//
// The pipe is shared with steps, which may empty it, fill it, or change the flags of what they
// hold. So kbuild never blocks on it: it reads and writes through file descriptions of its own, a
// byte that does not fit is dropped, and the number of bytes is restored when no step runs. Each
// step gets file descriptions of its own, so that no step can change another's flags.
#include "base/process.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>

static int pipe_fds[2] = {-1, -1};
static int try_fd = -1, give_fd = -1; // the same ends, as non-blocking file descriptions
static unsigned job_count;

static int open_again(int fd, int flags)
{
    cleanup_free char *path = xasprintf("/proc/self/fd/%d", fd);
    return open(path, flags | O_CLOEXEC);
}

int jobserver_open(unsigned jobs, struct error **err)
{
    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return error_errno(err, errno, "making the jobserver's pipe");
    try_fd = open_again(pipe_fds[0], O_RDONLY | O_NONBLOCK);
    give_fd = open_again(pipe_fds[1], O_WRONLY | O_NONBLOCK);
    if (try_fd < 0 || give_fd < 0)
        return error_errno(err, errno, "opening the jobserver's pipe");
    job_count = jobs;
    jobserver_refill();
    return 0;
}

void jobserver_refill(void)
{
    while (jobserver_take())
        ;
    for (unsigned i = 0; i < job_count; i++)
        jobserver_give();
}

void jobserver_close(void)
{
    int *const all[] = {&pipe_fds[0], &pipe_fds[1], &try_fd, &give_fd};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (*all[i] >= 0)
            close(steal_fd(all[i]));
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
        n = give_fd >= 0 ? write(give_fd, "+", 1) : 1;
    while (n < 0 && errno == EINTR);
}

int jobserver_wait_fd(void)
{
    return try_fd;
}

void jobserver_fds(int fds[static 2])
{
    fds[0] = fds[1] = 0;
    int in = jobserver_is_open() ? open_again(pipe_fds[0], O_RDONLY) : -1;
    int out = in >= 0 ? open_again(pipe_fds[1], O_WRONLY) : -1;
    if (out >= 0) {
        fds[0] = in;
        fds[1] = out;
    } else if (in >= 0) {
        close(in);
    }
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
