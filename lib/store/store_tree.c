// SPDX-License-Identifier: Apache-2.0
// Stores, verifies and lists trees in the store.
#include "store/internal.h"
#include "store/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

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
    if (!strlist_has(&s->whole, digest))
        strlist_add(&s->whole, digest);
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
