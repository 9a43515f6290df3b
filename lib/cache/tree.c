// SPDX-License-Identifier: Apache-2.0
// Walking a directory tree once: every name looked up in its open directory, every file read once.
#include "cache/tree.h"
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

enum {
    CHUNK_SIZE = 1 << 18,
    SYNC_SINGLY =
        64 // up to so many entries are synced one by one, then the whole file system at once
};

struct walk {
    bool adopt;
    const char *root;
    struct buf *listing;
    struct buf path; // of the entry in hand, below the root
    char *chunk;
    uint64_t bytes;
    size_t entries;
};

// "<root>/<path>" for messages; to be freed.
static char *shown(const struct walk *w)
{
    struct buf text = {0};
    buf_printf(&text, "%s/", w->root);
    tree_escape(&text, w->path.len ? w->path.data : "");
    return buf_take(&text);
}

static int fail(const struct walk *w, const char *doing, struct error **err)
{
    int errnum = errno;
    cleanup_free char *path = shown(w);
    return error_errno(err, errnum, "%s %s", doing, path);
}

static int sync_one(const struct walk *w, int fd, struct error **err)
{
    if (!w->adopt || w->entries > SYNC_SINGLY || fsync(fd) == 0)
        return 0;
    return fail(w, "syncing", err);
}

// Opens an entry. A tree that is to be kept may hold files that their own owner can't read.
static int open_entry(const struct walk *w, int parent, const char *name, int flags, mode_t access)
{
    flags |= O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    int fd = openat(parent, name, flags);
    struct stat st;
    if (fd < 0 && errno == EACCES && w->adopt &&
        fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISLNK(st.st_mode) &&
        fchmodat(parent, name, (st.st_mode & 07777) | access, 0) == 0)
        fd = openat(parent, name, flags);
    return fd;
}

static int hash_file(struct walk *w, int fd, char digest[static DIGEST_HEX_SIZE], uint64_t *size,
                     struct error **err)
{
    struct digest_stream *d = digest_begin();
    *size = 0;
    ssize_t n;
    while ((n = read(fd, w->chunk, CHUNK_SIZE)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break;
        digest_add(d, w->chunk, (size_t)n);
        *size += (uint64_t)n;
    }
    int errnum = errno;
    digest_end(d, digest);
    errno = errnum;
    return n < 0 ? fail(w, "reading", err) : 0;
}

static int add_file(struct walk *w, int parent, const char *name, struct error **err)
{
    cleanup_close int fd = open_entry(w, parent, name, 0, 0400);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return fail(w, "reading", err);
    if (!S_ISREG(st.st_mode)) {
        cleanup_free char *path = shown(w);
        return error_user(err, "%s was a file and is none any more", path);
    }
    char digest[DIGEST_HEX_SIZE];
    uint64_t size;
    if (hash_file(w, fd, digest, &size, err) < 0 || sync_one(w, fd, err) < 0)
        return -1;
    buf_printf(w->listing, "%c %" PRIu64 " %s ",
               (st.st_mode & S_IXUSR) ? TREE_EXECUTABLE : TREE_FILE, size, digest);
    tree_escape(w->listing, w->path.data);
    buf_puts(w->listing, "\n");
    w->bytes += size;
    progress("hashing files", w->bytes, 0, "bytes");
    return 0;
}

static int add_link(struct walk *w, int parent, const char *name, struct error **err)
{
    char target[PATH_MAX + 1];
    ssize_t n = readlinkat(parent, name, target, sizeof target - 1);
    if (n < 0)
        return fail(w, "reading the link", err);
    target[n] = '\0';
    buf_puts(w->listing, "l ");
    tree_escape(w->listing, target);
    buf_puts(w->listing, " ");
    tree_escape(w->listing, w->path.data);
    buf_puts(w->listing, "\n");
    return 0;
}

static int add_contents(struct walk *w, int fd, unsigned depth, struct error **err);

static int add_directory(struct walk *w, int parent, const char *name, unsigned depth,
                         struct error **err)
{
    if (depth == TREE_DEPTH_MAX) {
        cleanup_free char *path = shown(w);
        return error_user(err, "reading %s: more than %d directories are inside one another", path,
                          TREE_DEPTH_MAX);
    }
    cleanup_close int fd = open_entry(w, parent, name, O_DIRECTORY, 0700);
    if (fd < 0)
        return fail(w, "reading", err);
    if (depth > 0) {
        buf_puts(w->listing, "d ");
        tree_escape(w->listing, w->path.data);
        buf_puts(w->listing, "\n");
    }
    struct stat st;
    if (w->adopt && fstat(fd, &st) == 0 && (st.st_mode & 0700) != 0700)
        fchmod(fd, (st.st_mode & 07777) | 0700); // it must be possible to list and remove it
    if (add_contents(w, fd, depth, err) < 0)
        return -1;
    return sync_one(w, fd, err);
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

static int add_entry(struct walk *w, int parent, const char *name, unsigned char type,
                     unsigned depth, struct error **err)
{
    struct stat st;
    w->entries++;
    if (type == DT_UNKNOWN) {
        if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            return fail(w, "reading", err);
        type = IFTODT(st.st_mode);
    }
    switch (type) {
    case DT_REG:
        return add_file(w, parent, name, err);
    case DT_DIR:
        return add_directory(w, parent, name, depth + 1, err);
    case DT_LNK:
        return add_link(w, parent, name, err);
    default: {
        cleanup_free char *path = shown(w);
        error_user(err, "%s is %s: a tree in the cache has files, directories and links only", path,
                   special_name(type));
        return error_hint(err, "remove it in the step that made it");
    }
    }
}

struct name {
    unsigned char type;
    char *text;
};
struct names {
    struct name *items;
    size_t n, cap;
};

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct name *)a)->text, ((const struct name *)b)->text);
}

static void names_free(struct names *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->items[i].text);
    free(l->items);
}

// Reads the names in fd, which stays open and the caller's.
static int read_names(const struct walk *w, int fd, struct names *out, struct error **err)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    if (!dir) {
        fail(w, "listing", err);
        if (copy >= 0)
            close(copy);
        return -1;
    }
    struct dirent *e;
    for (errno = 0; (e = readdir(dir)); errno = 0) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
            continue;
        out->items = xgrow(out->items, &out->cap, out->n + 1, sizeof *out->items);
        out->items[out->n++] = (struct name){e->d_type, xstrdup(e->d_name)};
    }
    int result = errno ? fail(w, "listing", err) : 0;
    closedir(dir);
    if (out->n)
        qsort(out->items, out->n, sizeof *out->items, compare_names);
    return result;
}

static int add_contents(struct walk *w, int fd, unsigned depth, struct error **err)
{
    struct names names = {0};
    size_t before = w->path.len;
    int result = read_names(w, fd, &names, err);
    for (size_t i = 0; i < names.n && !result; i++) {
        if (before)
            buf_puts(&w->path, "/");
        buf_puts(&w->path, names.items[i].text);
        result = add_entry(w, fd, names.items[i].text, names.items[i].type, depth, err);
        w->path.len = before;
        w->path.data[before] = '\0';
    }
    names_free(&names);
    return result;
}

int tree_list(const char *path, const struct tree_options *o, struct buf *listing,
              struct error **err)
{
    struct walk w = {.adopt = o->adopt, .root = path, .listing = listing};
    w.chunk = xmalloc(CHUNK_SIZE);
    buf_puts(listing, "kbuild-tree 1\n");
    int result = add_directory(&w, AT_FDCWD, path, 0, err);
    if (!result && o->adopt && w.entries > SYNC_SINGLY) {
        // One call for all of it: an fsync for each of 80,000 files would take minutes.
        cleanup_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || syncfs(fd) < 0)
            result = fail(&w, "syncing", err);
    }
    free(w.chunk);
    buf_free(&w.path);
    return result;
}
