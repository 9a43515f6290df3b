// SPDX-License-Identifier: Apache-2.0
// The log of a node: a pipe that its process and its steps write to, and a file that kbuild alone
// holds. A step that had the file itself could change its mode, its content, or write to it after
// its end.
#include "base/log.h"
#include "run/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

enum { TAIL_LINES = 20, TAIL_BYTES = 16384 };

int steplog_create(struct build *b, struct job *job, struct error **err)
{
    free(job->log_path);
    job->log_path = build_log_path(&b->options, job->label);
    int fd = output_log_open(b, job->log_path, err);
    int pipe_fds[2];
    if (fd < 0)
        return -1;
    if (pipe2(pipe_fds, O_CLOEXEC) < 0) {
        close(fd);
        return error_errno(err, errno, "making a pipe for the log %s", job->log_path);
    }
    steplog_close(job);
    job->log_file = fd;
    job->log_pipe = pipe_fds[0];
    return pipe_fds[1];
}

void steplog_copy(struct job *job)
{
    char chunk[65536];
    ssize_t n = read(job->log_pipe, chunk, sizeof chunk);
    if (n < 0 && errno == EINTR)
        return;
    if (n <= 0) {
        close(steal_fd(&job->log_pipe));
        return;
    }
    cleanup_error struct error *why = NULL;
    if (!job->log_cut && fd_write_all(job->log_file, job->log_path, chunk, (size_t)n, &why) < 0) {
        job->log_cut = true; // the step continues all the same
        log_warning("%s; the rest of it is lost", why->message);
    }
}

void steplog_tail(const struct job *job, struct buf *out)
{
    struct stat st;
    char bytes[TAIL_BYTES];
    if (job->log_file < 0 || fstat(job->log_file, &st) < 0)
        return;
    size_t want = st.st_size < TAIL_BYTES ? (size_t)st.st_size : TAIL_BYTES, have = 0;
    off_t start = st.st_size - (off_t)want;
    for (ssize_t n = 1; have < want && n > 0; have += n > 0 ? (size_t)n : 0)
        n = pread(job->log_file, bytes + have, want - have, start + (off_t)have);
    size_t from = have, lines = 0;
    // The newline that ends the last line starts no further one.
    while (from > 0 && (bytes[from - 1] != '\n' || from == have || ++lines < TAIL_LINES))
        from--;
    if (from == 0 && start > 0)
        buf_puts(out, "... ");
    buf_add(out, bytes + from, have - from);
}

void steplog_close(struct job *job)
{
    if (job->log_pipe >= 0)
        close(steal_fd(&job->log_pipe));
    if (job->log_file >= 0)
        close(steal_fd(&job->log_file));
    job->log_cut = false;
}
