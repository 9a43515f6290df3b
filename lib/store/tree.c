// SPDX-License-Identifier: Apache-2.0
// Lists a directory tree in one walk: looks up each name in its open directory, reads each file
// once.
#include "store/tree.h"
#include "base/file.h"
#include "base/error.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

enum {
    CHUNK_SIZE = 1 << 18,
    SYNC_SINGLY =
        64 // up to this number entries are synced one by one, above it the whole file system
};

struct tree_walk {
    bool adopt;
    const char *root;
    struct buf *listing;
    const char *path; // of the current entry, below the root
    char *chunk;
    uint64_t bytes;
    size_t entries;
};

// "<root>/<path>" for messages; to be freed.
static char *shown(const struct tree_walk *w)
{
    struct buf text = {0};
    buf_printf(&text, "%s/", w->root);
    tree_escape(&text, w->path);
    return buf_take(&text);
}

static int fail(const struct tree_walk *w, const char *doing, struct error **err)
{
    int errnum = errno;
    cleanup_free char *path = shown(w);
    return error_errno(err, errnum, "%s %s", doing, path);
}

static int sync_one(const struct tree_walk *w, int fd, struct error **err)
{
    if (!w->adopt || w->entries > SYNC_SINGLY || fsync(fd) == 0)
        return 0;
    return fail(w, "syncing", err);
}

// Opens an entry. A tree that will be kept may hold files that their owner can't read.
static int open_entry(const struct tree_walk *w, int parent, const char *name, int flags)
{
    flags |= O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    int fd = openat(parent, name, flags);
    struct stat st;
    if (fd < 0 && errno == EACCES && w->adopt &&
        fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        beneath_chmod(parent, name, (st.st_mode & 0777) | 0400) == 0)
        fd = openat(parent, name, flags);
    return fd;
}

static int hash_file(struct tree_walk *w, int fd, char digest[static DIGEST_HEX_SIZE],
                     uint64_t *size, struct error **err)
{
    struct digest_stream *d = digest_begin();
    *size = 0;
    ssize_t n;
    while ((n = fd_read(fd, w->chunk, CHUNK_SIZE)) > 0) {
        digest_add(d, w->chunk, (size_t)n);
        *size += (uint64_t)n;
    }
    int errnum = errno;
    digest_end(d, digest);
    errno = errnum;
    return n < 0 ? fail(w, "reading", err) : 0;
}

static int add_file(struct tree_walk *w, int parent, const char *name, struct error **err)
{
    cleanup_close int fd = open_entry(w, parent, name, 0);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return fail(w, "reading", err);
    if (!S_ISREG(st.st_mode)) {
        cleanup_free char *path = shown(w);
        return error_user(err, "%s was a file and is none any more", path);
    }
    // Everybody who can read the cache could run a setuid program in it.
    if (w->adopt && (st.st_mode & 07000) && fchmod(fd, st.st_mode & 0777) < 0)
        return fail(w, "changing the mode of", err);
    char digest[DIGEST_HEX_SIZE];
    uint64_t size;
    if (hash_file(w, fd, digest, &size, err) < 0 || sync_one(w, fd, err) < 0)
        return -1;
    buf_printf(w->listing, "%c %" PRIu64 " %s ",
               (st.st_mode & S_IXUSR) ? TREE_EXECUTABLE : TREE_FILE, size, digest);
    tree_escape(w->listing, w->path);
    buf_puts(w->listing, "\n");
    w->bytes += size;
    progress("hashing files", w->bytes, 0, "bytes");
    return 0;
}

static int add_link(struct tree_walk *w, int parent, const char *name, struct error **err)
{
    char target[PATH_MAX + 1];
    ssize_t n = readlinkat(parent, name, target, sizeof target - 1);
    if (n < 0)
        return fail(w, "reading the link", err);
    target[n] = '\0';
    buf_puts(w->listing, "l ");
    tree_escape(w->listing, target);
    buf_puts(w->listing, " ");
    tree_escape(w->listing, w->path);
    buf_puts(w->listing, "\n");
    return 0;
}

static int enter_directory(struct tree_walk *w, const struct beneath_entry *e, struct error **err)
{
    struct stat st;
    if (e->depth > 0) {
        buf_puts(w->listing, "d ");
        tree_escape(w->listing, w->path);
        buf_puts(w->listing, "\n");
    }
    if (w->adopt && fstat(e->fd, &st) == 0 && (st.st_mode & 07000) &&
        fchmod(e->fd, st.st_mode & 0777) < 0)
        return fail(w, "changing the mode of", err);
    return 0;
}

static const char *special_name(unsigned char type)
{
    switch (type) {
    case DT_BLK:
        return "a block device";
    case DT_CHR:
        return "a character device";
    case DT_FIFO:
        return "a fifo";
    case DT_SOCK:
        return "a socket";
    default:
        return "a special file";
    }
}

static int visit(const struct beneath_entry *e, void *context, struct error **err)
{
    struct tree_walk *w = context;
    w->path = e->path;
    if (e->event == BENEATH_LEAVE)
        return sync_one(w, e->fd, err);
    w->entries += e->depth > 0;
    switch (e->type) {
    case DT_REG:
        return add_file(w, e->directory, e->name, err);
    case DT_DIR:
        return enter_directory(w, e, err);
    case DT_LNK:
        return add_link(w, e->directory, e->name, err);
    default: {
        cleanup_free char *path = shown(w);
        error_user(err, "%s is %s: a tree in the cache has files, directories and links only", path,
                   special_name(e->type));
        return error_hint(err, "remove it in the step that made it");
    }
    }
}

static int list_open(int root, const char *name, const struct tree_options *o, struct buf *listing,
                     struct error **err)
{
    struct tree_walk w = {.adopt = o->adopt, .root = name, .listing = listing, .path = ""};
    const struct beneath_walk walk = {.visit = visit,
                                      .context = &w,
                                      .sorted = true,
                                      .access = o->adopt,
                                      .depth_limit = TREE_DEPTH_MAX};
    w.chunk = xmalloc(CHUNK_SIZE);
    buf_puts(listing, "kbuild-tree 1\n");
    int result = beneath_walk(root, name, &walk, err);
    w.path = "";
    // One call for the whole tree: an fsync for each of 80,000 files would take minutes.
    if (!result && o->adopt && w.entries > SYNC_SINGLY && syncfs(root) < 0)
        result = fail(&w, "syncing", err);
    free(w.chunk);
    return result;
}

int tree_list(const char *path, const struct tree_options *o, struct buf *listing,
              struct error **err)
{
    int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    cleanup_close int root = o->adopt ? beneath_open_owned(AT_FDCWD, path) : open(path, flags);
    if (root < 0)
        return error_errno(err, errno, "reading %s/", path);
    return list_open(root, path, o, listing, err);
}
