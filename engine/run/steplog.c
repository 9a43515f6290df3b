// SPDX-License-Identifier: Apache-2.0
// Copies a node's log from its pipe into its file.
#include "run/steplog.h"

#include "base/file.h"
#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TAIL_LINES = 20, TAIL_BYTES = 16384 };

int steplog_open(struct steplog *l, char *path, int file, struct error **err)
{
    int ends[2];
    steplog_close(l);
    l->path = path;
    if (pipe2(ends, O_CLOEXEC) < 0) {
        close(file);
        return error_errno(err, errno, "making a pipe for the log %s", path);
    }
    l->file = file;
    l->pipe = ends[0];
    return ends[1];
}

bool steplog_copy(struct steplog *l)
{
    char chunk[65536];
    ssize_t n = fd_read(l->pipe, chunk, sizeof chunk);
    if (n <= 0) {
        close(steal_fd(&l->pipe));
        return false;
    }
    cleanup_error struct error *why = NULL;
    if (!l->cut && fd_write_all(l->file, l->path, chunk, (size_t)n, &why) < 0) {
        l->cut = true; // the step continues
        log_warning("%s; the rest of it is lost", why->message);
    }
    return true;
}

void steplog_tail(const struct steplog *l, struct buf *out)
{
    struct stat st;
    char bytes[TAIL_BYTES];
    if (l->file < 0 || fstat(l->file, &st) < 0)
        return;
    size_t want = st.st_size < TAIL_BYTES ? (size_t)st.st_size : TAIL_BYTES, have = 0;
    off_t start = st.st_size - (off_t)want;
    for (ssize_t n = 1; have < want && n > 0; have += n > 0 ? (size_t)n : 0)
        n = pread(l->file, bytes + have, want - have, start + (off_t)have);
    size_t from = have, lines = 0;
    // The newline at the end of the last line begins no further line.
    while (from > 0 && (bytes[from - 1] != '\n' || from == have || ++lines < TAIL_LINES))
        from--;
    if (from == 0 && start > 0)
        buf_puts(out, "... ");
    buf_add(out, bytes + from, have - from);
}

void steplog_end(struct steplog *l)
{
    if (l->pipe >= 0)
        close(steal_fd(&l->pipe));
    if (l->file >= 0)
        close(steal_fd(&l->file));
}

void steplog_close(struct steplog *l)
{
    steplog_end(l);
    free(l->path);
    *l = (struct steplog)STEPLOG_NONE;
}
