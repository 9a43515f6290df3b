// SPDX-License-Identifier: Apache-2.0
// Lists a directory tree in one walk, and keeps trees in the store.
#include "store/internal.h"

#include "base/error.h"
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

// ---- listing a tree ----
// Lists a directory tree in one walk: looks up each name in its open directory, reads each file
// once.

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

// ---- trees in the store ----
// Stores, verifies and lists trees in the store.

// A listing of a few million names.
#define LISTING_LIMIT ((size_t)1 << 30)

char *store_tree_path(const struct store *s, const char *digest)
{
    return digest && digest_is_hex(digest) ? object_path(s, "trees", digest) : NULL;
}

static int check_temporary(const struct store *s, const char *path, struct error **err)
{
    cleanup_free char *tmp = xasprintf("%s/tmp/", s->directory);
    struct stat st;
    if (!starts_with(path, tmp) || !path_is_clean(path + strlen(tmp)))
        return error_user(err, "%s is not below %s", path, tmp);
    if (at_stat(s, path, &st) < 0)
        return error_errno(err, errno, "reading %s", path);
    if (!S_ISDIR(st.st_mode))
        return error_user(err, "%s is not a directory", path);
    return 0;
}

// Moves the tree to its name: 1. If an equal tree has the name already, this one is removed: 0. The
// private folder gets the usual mode, which its owner can write, as moving it requires.
static int move_in(struct store *s, const char *path, const char *digest, struct error **err)
{
    cleanup_close int fd = at_open(s, path, O_RDONLY | O_DIRECTORY, 0);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0 || fchmod(fd, 0755) < 0)
        return error_errno(err, errno, "reading %s", path);
    int moved = publish(s, path, "trees", digest, false, err);
    if (moved == 0)
        return at_remove(s, path, err);
    if (moved < 0)
        return -1;
    // Some file systems count the move as a change of the folder.
    struct timespec times[2] = {st.st_atim, st.st_mtim};
    futimens(fd, times);
    return 1;
}

int store_put_tree(struct store *s, const char *path, char digest[static DIGEST_HEX_SIZE],
                   struct error **err)
{
    cleanup_buf struct buf listing = {0};
    static const struct tree_options adopt = {.adopt = true};
    int moved = -1;
    if (check_temporary(s, path, err) == 0 && tree_list(path, &adopt, &listing, err) == 0 &&
        store_put_bytes(s, listing.data, listing.len, digest, err) == 0)
        moved = move_in(s, path, digest, err);
    if (moved < 0)
        return error_wrap(err, "adding a tree to the cache %s", s->directory);
    if (moved)
        strlist_add(&s->whole, digest);
    else
        verified_touch(s, digest);
    return 0;
}

static void damaged(struct store *s, const char *digest, const char *path, const char *why)
{
    cleanup_free char *label = xasprintf("tree-%s", digest);
    move_damaged(s, path, label, why);
}

// Reports which entry differs, if the listing is available.
static void damaged_tree(struct store *s, const char *digest, const char *path,
                         const struct buf *found)
{
    cleanup_buf struct buf expected = {0};
    cleanup_close int fd = -1;
    cleanup_free char *what = NULL;
    if (store_has_blob(s, digest, NULL) == 1 && (fd = store_open_blob(s, digest, NULL)) >= 0 &&
        fd_read_all(fd, path, LISTING_LIMIT, &expected, NULL) == 0)
        what = tree_difference(&expected, found);
    damaged(s, digest, path, what ? what : "it does not have that digest");
}

// 1: it exists; 0: it does not, or was no directory; -1: error.
static int tree_present(struct store *s, const char *digest, const char *path, struct error **err)
{
    struct stat st;
    if (at_stat(s, path, &st) < 0)
        return errno == ENOENT ? 0 : error_errno(err, errno, "reading %s", path);
    const char *why = S_ISDIR(st.st_mode) ? at_foreign(&st) : "it is not a directory";
    if (!why)
        return 1;
    damaged(s, digest, path, why);
    return 0;
}

// Whether an errno is a failure of this machine, not of the tree.
static bool is_ours(int errnum)
{
    return errnum == EACCES || errnum == EPERM || errnum == EMFILE || errnum == ENFILE ||
           errnum == ENOMEM;
}

// Lists the tree again, into `listing`. A file that can't be read counts as damage.
static int list_again(struct store *s, const char *digest, const char *path, struct buf *listing,
                      struct error **err)
{
    static const struct tree_options as_it_is = {0};
    cleanup_error struct error *why = NULL;
    if (tree_list(path, &as_it_is, listing, &why) < 0) {
        if (is_ours(why->errnum)) {
            if (err)
                *err = steal(why);
            return error_wrap(err, "verifying the tree %s", digest);
        }
        damaged(s, digest, path, why->message);
        return 0;
    }
    char found[DIGEST_HEX_SIZE];
    digest_bytes(listing->data, listing->len, found);
    if (strcmp(found, digest) != 0) {
        damaged_tree(s, digest, path, listing);
        return 0;
    }
    // Has an effect only if the listing was lost or is damaged.
    store_put_bytes(s, listing->data, listing->len, found, NULL);
    strlist_add_once(&s->whole, digest);
    return 1;
}

int tree_verify(struct store *s, const char *digest, struct error **err)
{
    if (check_digest(digest, "the digest of a tree", err) < 0)
        return -1;
    cleanup_free char *path = object_path(s, "trees", digest);
    cleanup_buf struct buf listing = {0};
    int present = tree_present(s, digest, path, err);
    return present <= 0 ? present : list_again(s, digest, path, &listing, err);
}

int store_has_tree(struct store *s, const char *digest, bool deep, struct error **err)
{
    if (check_digest(digest, "the digest of a tree", err) < 0)
        return -1;
    cleanup_free char *path = object_path(s, "trees", digest);
    int present = tree_present(s, digest, path, err);
    if (present <= 0)
        return present;
    if (deep && !strlist_has(&s->whole, digest))
        return tree_verify(s, digest, err);
    verified_touch(s, digest);
    return 1;
}

int store_tree_listing(struct store *s, const char *digest, struct buf *out, struct error **err)
{
    if (check_digest(digest, "the digest of a tree", err) < 0)
        return -1;
    cleanup_free char *path = object_path(s, "trees", digest);
    int present = tree_present(s, digest, path, err);
    if (present <= 0)
        return present;
    int has = store_has_blob(s, digest, err);
    if (has < 0)
        return -1;
    if (has == 0)
        return list_again(s, digest, path, out, err);
    cleanup_close int fd = store_open_blob(s, digest, err);
    return fd < 0 || fd_read_all(fd, path, LISTING_LIMIT, out, err) < 0 ? -1 : 1;
}
