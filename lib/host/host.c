// SPDX-License-Identifier: Apache-2.0
// Reads files below a root, whatever their links say, and the output of programs, as text that
// is safe to print.
#include "host/host.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

int host_open_beneath(const struct host *h, const char *path, int flags)
{
    // O_NONBLOCK so that a fifo is not waited for.
    flags |= O_CLOEXEC | (flags & O_PATH ? 0 : O_NONBLOCK | O_NOCTTY);
    int fd = beneath_open_in_root(h->root, path, flags);
    // Linux before 5.6, and containers that do not know the call: this machine's own root needs no
    // protection.
    if (fd < 0 && (errno == ENOSYS || errno == EPERM) && h->live)
        fd = openat(h->root, path, flags);
    return fd;
}

int host_open(struct host *h, const char *root, struct error **err)
{
    h->live = !root;
    h->root = open(root ? root : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (h->root < 0)
        return error_errno(err, errno, "opening the tree %s", root ? root : "/");
    cleanup_close int probe = host_open_beneath(h, ".", O_PATH);
    if (probe >= 0)
        return 0;
    error_errno(err, errno, "looking into the tree %s", root ? root : "/");
    host_close(h);
    return error_hint(err, "--root needs Linux 5.6 or newer");
}

void host_close(struct host *h)
{
    close(steal_fd(&h->root));
}

static void make_printable(char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if ((text[i] < 0x20 && text[i] != '\n' && text[i] != '\t') || text[i] >= 0x7f)
            text[i] = '?';
}

// Up to the limit, and no error beyond it.
static bool read_text(int fd, struct buf *out)
{
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return false;
    buf_add(out, "", 0);
    size_t start = out->len;
    char chunk[65536];
    ssize_t n = 1;
    while (n && out->len - start < HOST_TEXT) {
        size_t room = HOST_TEXT - (out->len - start);
        n = fd_read(fd, chunk, room < sizeof chunk ? room : sizeof chunk);
        if (n < 0)
            return false;
        make_printable(chunk, (size_t)n);
        buf_add(out, chunk, (size_t)n);
    }
    return true;
}

// Recording is for later inspection; a failed write is ignored.
static void keep_text(const struct host *h, const char *path, const char *text, size_t length)
{
    if (!h->record)
        return;
    cleanup_free char *file = xasprintf("%s/%s", h->record, path);
    cleanup_error struct error *err = NULL;
    if (make_parent(file, &err) == 0)
        file_write(file, text, length, 0644, &err);
}

bool host_read(const struct host *h, const char *path, struct buf *out)
{
    cleanup_close int fd = host_open_beneath(h, path, O_RDONLY);
    buf_add(out, "", 0);
    size_t start = out->len;
    if (fd < 0 || !read_text(fd, out))
        return false;
    keep_text(h, path, out->data + start, out->len - start);
    return true;
}

bool host_command(const struct host *h, const char *name, struct buf *out)
{
    cleanup_free char *path = xasprintf("commands/%s.txt", name);
    buf_add(out, "", 0);
    if (!h->live && host_read(h, path, out))
        return true;
    size_t start = out->len;
    if (!host_gather(h, name, out))
        return false;
    make_printable(out->data + start, out->len - start);
    keep_text(h, path, out->data + start, out->len - start);
    return true;
}

char *host_line_with(const char *text, const char *words)
{
    const char *at = strstr(text, words);
    if (!at)
        return NULL;
    while (at > text && at[-1] != '\n')
        at--;
    return xstrndup(at, strcspn(at, "\n"));
}

bool host_device(const struct host *h, const char *path, struct buf *seen)
{
    cleanup_buf struct buf text = {0};
    host_command(h, "devices", &text);
    cleanup_free char *wanted = xasprintf("%s ", path);
    cleanup_free char *line = host_line_with(text.data, wanted);
    if (!line) {
        buf_printf(seen, "there is no %s", path);
        return false;
    }
    bool usable = ends_with(line, " usable");
    buf_printf(seen, "%s is there%s", path, usable ? "" : ", but this user can't open it");
    return usable;
}
