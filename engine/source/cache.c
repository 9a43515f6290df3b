// SPDX-License-Identifier: Apache-2.0
// Opens the cache, unless git brings what is in it: records are not signed, so whoever can commit
// to a repository could say what the results of its sources are.
//
// Each work tree that the cache lies in is looked at, from its index. Reading that takes
// milliseconds, so the answer is kept in the cache, with what the kernel says of the index file: a
// checkout cannot bring a memo that fits, as nobody chooses the inode and the ctime of a file that
// is still to be written.
#include "source/git_internal.h"

#include "base/error.h"
#include "base/file.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#define MEMO "indexes of git without the cache"

struct work_tree {
    char *folder, *index; // absolute
    char *inside;         // the cache, seen from the work tree: "", "cache/"
    struct stat st;       // of the index
};

static void work_tree_free(struct work_tree *t)
{
    free(t->folder);
    free(t->index);
    free(t->inside);
    *t = (struct work_tree){0};
}

static int refuse_unread(const struct store *s, const char *index, struct error **err)
{
    error_wrap(err, "whether git brings the cache %s cannot be found out from %s",
               store_directory(s), index);
    return error_hint(err, "name a cache outside of that work tree with --cache or KBUILD_CACHE");
}

// Of a work tree: <folder>/.git, or the folder that this file names ("gitdir: FOLDER").
static char *git_folder(const char *folder, const struct stat *st)
{
    cleanup_free char *git = xasprintf("%s/.git", folder);
    cleanup_buf struct buf text = {0};
    if (S_ISDIR(st->st_mode))
        return steal(git);
    if (!S_ISREG(st->st_mode) || file_read(git, PATH_MAX, &text, NULL) < 0 || !text.len ||
        !starts_with(text.data, "gitdir: "))
        return NULL;
    char *to = text.data + strlen("gitdir: ");
    to[strcspn(to, "\r\n")] = '\0';
    return *to == '/' ? xstrdup(to) : xasprintf("%s/%s", folder, to);
}

// 1: *out is the work tree of this folder; 0: it is the root of none, or that has no index; -1.
static int find_work_tree(const struct store *s, const char *folder, const char *cache,
                          struct work_tree *out, struct error **err)
{
    struct stat st;
    cleanup_free char *marker = xasprintf("%s/.git", folder);
    cleanup_free char *git = stat(marker, &st) == 0 ? git_folder(folder, &st) : NULL;
    if (!git)
        return 0;
    cleanup_free char *index = xasprintf("%s/index", git);
    if (stat(index, &st) < 0) {
        if (errno == ENOENT || errno == ENOTDIR)
            return 0;
        error_errno(err, errno, "reading it");
        return refuse_unread(s, index, err);
    }
    const char *inside = cache + strlen(folder);
    inside += *inside == '/';
    *out = (struct work_tree){.folder = xstrdup(*folder ? folder : "/"),
                              .index = steal(index),
                              .inside = xasprintf("%s%s", inside, *inside ? "/" : ""),
                              .st = st};
    return 1;
}

static void describe(const struct work_tree *t, struct buf *out)
{
    buf_printf(out, "%jx %ju %jd %jd.%09ld %jd.%09ld %s%s\n", (uintmax_t)t->st.st_dev,
               (uintmax_t)t->st.st_ino, (intmax_t)t->st.st_size, (intmax_t)t->st.st_mtim.tv_sec,
               t->st.st_mtim.tv_nsec, (intmax_t)t->st.st_ctim.tv_sec, t->st.st_ctim.tv_nsec,
               t->folder, t->inside);
}

// The entry itself (a submodule, a link), or one below it.
static bool has_entry(git_index *index, const char *path)
{
    cleanup_free char *below = xasprintf("%s/", path);
    return git_index_get_bypath(index, path, 0) || git_index_find_prefix(NULL, index, below) == 0;
}

static int refuse_tracked(const struct store *s, const struct work_tree *t, const char *entry,
                          struct error **err)
{
    error_user(err,
               "the cache %s comes with a git repository, which has %s in it: its records say what "
               "results are, and nobody signed them",
               store_directory(s), entry);
    return error_hint(err,
                      "name another directory with --cache or KBUILD_CACHE; or remove this one: "
                      "git -C %s rm -r %s",
                      t->folder, t->inside && *t->inside ? t->inside : entry);
}

static int check_index(const struct store *s, const struct work_tree *t, struct error **err)
{
    git_index *index = NULL;
    int result = 0;
    mirror_library_begin();
    if (git_index_open(&index, t->index) < 0) {
        git_failed(err, "reading it");
        return refuse_unread(s, t->index, err);
    }
    for (size_t i = 0; !result && store_folder_name(i); i++) {
        cleanup_free char *path = xasprintf("%s%s", t->inside, store_folder_name(i));
        if (has_entry(index, path))
            result = refuse_tracked(s, t, path, err);
    }
    git_index_free(index);
    return result;
}

// From the cache up to the root: a work tree can lie in another one. The texts of all that have an
// index, and with `reads` whether one of these has entries.
static int look_above(const struct store *s, const char *cache, bool reads, struct buf *found,
                      struct error **err)
{
    cleanup_free char *folder = xstrdup(strcmp(cache, "/") != 0 ? cache : "");
    for (char *end = folder + strlen(folder); end; end = strrchr(folder, '/')) {
        struct work_tree t = {0};
        *end = '\0';
        int result = find_work_tree(s, folder, cache, &t, err);
        if (result > 0) {
            describe(&t, found);
            result = reads ? check_index(s, &t, err) : 0;
        }
        work_tree_free(&t);
        if (result < 0)
            return -1;
    }
    return 0;
}

static int refuse_tracked_cache(struct store *s, struct error **err)
{
    cleanup_free char *cache = realpath(store_directory(s), NULL);
    cleanup_buf struct buf now = {0}, memo = {0}, read = {0};
    if (!cache)
        return error_errno(err, errno, "reading %s", store_directory(s));
    if (look_above(s, cache, false, &now, err) < 0)
        return -1;
    if (!now.len)
        return 0;
    if (store_memo_get(s, MEMO, &memo) && memo.len == now.len &&
        !memcmp(memo.data, now.data, now.len))
        return 0;
    if (look_above(s, cache, true, &read, err) < 0)
        return -1;
    // One that was replaced between the two looks is read again the next time.
    if (read.len == now.len && !memcmp(read.data, now.data, now.len))
        store_memo_put(s, MEMO, now.data);
    return 0;
}

struct store *cache_open(const char *directory, bool is_new, struct error **err)
{
    struct store *s = is_new ? store_open_new(directory, err) : store_open(directory, err);
    if (!s || refuse_tracked_cache(store_lasting(s), err) == 0)
        return s;
    store_close(s);
    return NULL;
}
