// SPDX-License-Identifier: Apache-2.0
// Installs the members of tarballs into a tree that is in use: files are written beside their
// places, and then get their names by renaming.
#include "pack/internal.h"

#include "base/error.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

// ---- files beside their places ----
// Writes files into a tree that is in use, such as a host's: each beside its place; when all are
// complete, one rename each gives them their names. Until then the old files are unchanged.
//
// Links in the tree are followed as if the tree were "/" (openat2(2), RESOLVE_IN_ROOT), so nothing
// is written outside.

struct staged {
    char *folder, *temporary, *base;
};
struct staging {
    int root;
    struct staged *items;
    size_t n, cap;
    char *folder; // the last one that was opened
    int folder_fd;
};
#define STAGING_NONE ((struct staging){.root = -1, .folder_fd = -1})

// `root` is made if it does not exist. Paths below are clean and relative to it.
static int staging_open(struct staging *s, const char *root, struct error **err)
{
    if (make_directories(root, 0755, err) < 0)
        return -1;
    s->root = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->root < 0)
        return error_errno(err, errno, "opening %s", root);
    // One process at a time, so that an existing temporary name was left by a killed process.
    if (flock(s->root, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK)
            return error_errno(err, errno, "locking %s", root);
        error_user(err, "another kbuild is installing into %s", root);
        return error_hint(err, "try again when it has ended");
    }
    return 0;
}

// ---- folders ----

static int look_up(const struct staging *s, const char *path)
{
    return beneath_open_in_root(s->root, *path ? path : ".", O_RDONLY | O_DIRECTORY);
}

// Opens the folder, and makes missing parts.
static int open_folder(const struct staging *s, const char *path, struct error **err)
{
    int fd = look_up(s, path);
    if (fd >= 0)
        return fd;
    if (errno == ENOSYS)
        return error_user(err, "this needs Linux 5.6 or newer (openat2)");
    if (errno != ENOENT || !*path)
        return error_errno(err, errno, "opening the directory /%s", path);
    const char *base = path_base(path);
    cleanup_free char *above = xstrndup(path, base == path ? 0 : (size_t)(base - path) - 1);
    cleanup_close int parent = open_folder(s, above, err);
    if (parent < 0)
        return -1;
    if (mkdirat(parent, base, 0755) < 0 && errno != EEXIST)
        return error_errno(err, errno, "making the directory /%s", path);
    fd = look_up(s, path);
    if (fd < 0 && errno == ENOENT)
        return error_user(err, "the directory /%s is a link that leads nowhere", path);
    return fd < 0 ? error_errno(err, errno, "opening the directory /%s", path) : fd;
}

// The same, and keeps the folder open until the next call.
static int enter(struct staging *s, const char *path, struct error **err)
{
    if (s->folder && !strcmp(s->folder, path))
        return s->folder_fd;
    int fd = open_folder(s, path, err);
    if (fd < 0)
        return -1;
    if (s->folder_fd >= 0)
        close(s->folder_fd);
    free(s->folder);
    s->folder = xstrdup(path);
    s->folder_fd = fd;
    return fd;
}

// Makes a directory and its parents (0755); existing ones are unchanged.
static int staging_directory(struct staging *s, const char *path, struct error **err)
{
    return enter(s, path, err) < 0 ? -1 : 0;
}

// ---- files and links ----

// The next item, with a name for its temporary; *folder gets its folder, open.
static struct staged *add(struct staging *s, const char *path, int *folder, struct error **err)
{
    const char *base = path_base(path);
    cleanup_free char *above = xstrndup(path, base == path ? 0 : (size_t)(base - path) - 1);
    struct stat st;
    *folder = enter(s, above, err);
    if (*folder < 0)
        return NULL;
    if (fstatat(*folder, base, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode)) {
        error_user(err, "/%s is a directory", path);
        return NULL;
    }
    s->items = xgrow(s->items, &s->cap, s->n + 1, sizeof *s->items);
    struct staged *item = &s->items[s->n];
    *item = (struct staged){.folder = xstrdup(above),
                            .temporary = xasprintf(".%.200s.kbuild-new", base),
                            .base = xstrdup(base)};
    s->n++;
    unlinkat(*folder, item->temporary, 0); // left by a killed process (see the lock)
    return item;
}

// A new file, to be written; its folder is made. The caller closes it. -1: error.
static int staging_file(struct staging *s, const char *path, struct error **err)
{
    int folder;
    const struct staged *item = add(s, path, &folder, err);
    if (!item)
        return -1;
    int fd =
        openat(folder, item->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    return fd < 0 ? error_errno(err, errno, "writing /%s", path) : fd;
}

static int staging_link(struct staging *s, const char *path, const char *target, struct error **err)
{
    int folder;
    const struct staged *item = add(s, path, &folder, err);
    if (!item)
        return -1;
    return symlinkat(target, folder, item->temporary) < 0
               ? error_errno(err, errno, "making the link /%s", path)
               : 0;
}

// Another name for item `index` (in staging order, from 0).
static int staging_hard_link(struct staging *s, const char *path, size_t index, struct error **err)
{
    int folder;
    const struct staged *item = add(s, path, &folder, err);
    if (!item)
        return -1;
    const struct staged *first = &s->items[index];
    cleanup_close int from = open_folder(s, first->folder, err);
    if (from < 0)
        return -1;
    return linkat(from, first->temporary, folder, item->temporary, 0) < 0
               ? error_errno(err, errno, "making the link /%s", path)
               : 0;
}

// ---- commit ----

static void free_item(struct staged *item)
{
    free(item->folder);
    free(item->temporary);
    free(item->base);
}

static int staging_commit(struct staging *s, struct error **err)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct staged *item = &s->items[i];
        int folder = enter(s, item->folder, err);
        if (folder < 0)
            return -1;
        if (renameat(folder, item->temporary, folder, item->base) < 0)
            return error_errno(err, errno, "replacing /%s/%s", item->folder, item->base);
        // rename() does nothing if both are names of one file.
        unlinkat(folder, item->temporary, 0);
    }
    for (size_t i = 0; i < s->n; i++)
        free_item(&s->items[i]);
    s->n = 0;
    return 0;
}

// Removes what was not committed, and closes.
static void staging_close(struct staging *s)
{
    for (size_t i = 0; i < s->n; i++) {
        int folder = enter(s, s->items[i].folder, NULL);
        if (folder >= 0)
            unlinkat(folder, s->items[i].temporary, 0);
        free_item(&s->items[i]);
    }
    free(s->items);
    free(s->folder);
    if (s->folder_fd >= 0)
        close(s->folder_fd);
    if (s->root >= 0)
        close(s->root);
    *s = STAGING_NONE;
}

// ---- the members of a tarball ----

struct installation {
    const struct install_options *o;
    struct merge_plan plan;
    struct staging staging;
    struct map staged; // name of a member -> number of the item
    bool attributes_lost;
};

// The part of a member's name after `from`, or NULL.
static const char *below(const struct install_options *o, const char *path)
{
    size_t n = strlen(o->from);
    return !strncmp(path, o->from, n) && path[n] == '/' ? path + n + 1 : NULL;
}

// Whether it is `from` or a folder above it.
static bool is_prefix_or_parent(const struct install_options *o, const struct listing_entry *e)
{
    size_t n = strlen(e->path);
    return S_ISDIR(e->mode) &&
           (!n || (!strncmp(o->from, e->path, n) && (o->from[n] == '/' || !o->from[n])));
}

// The place below the root; to be freed.
static char *place_of(const struct install_options *o, const char *path)
{
    const char *prefix = o->prefix + strspn(o->prefix, "/");
    return *prefix ? xasprintf("%s/%s", prefix, path) : xstrdup(path);
}

// ---- checks ----

static int check_entry(const struct installation *i, const struct component *c,
                       const struct listing_entry *e, struct error **err)
{
    const struct install_options *o = i->o;
    const char *rest = below(o, e->path);
    if (!rest)
        return is_prefix_or_parent(o, e)
                   ? 0
                   : error_user(err, "%s: \"%s\" is not below /%s", c->name, e->path, o->from);
    cleanup_free char *place = place_of(o, rest);
    if (merge_host_path(place))
        return error_user(err, "%s: \"%s\" would become /%s, which is the host's own", c->name,
                          e->path, place);
    if (S_ISLNK(e->mode) && !e->hardlink && link_reach(rest, e->link) != LINK_INSIDE) {
        cleanup_free char *shown = printable(e->link);
        return error_user(err, "%s: \"%s\" is a link that leads out of /%s: %s", c->name, e->path,
                          o->from, shown);
    }
    return 0;
}

static int check_link(const struct installation *i, const struct install_link *link,
                      struct error **err)
{
    const char *from = i->o->from;
    cleanup_free char *path = xasprintf("%s/%s", from, link->path);
    cleanup_free char *target =
        xasprintf("%.*s%s", (int)(path_base(path) - path), path, link->target);
    if (map_find(&i->plan.by_path, path))
        return error_user(err, "the link %s is in a tarball already", link->path);
    if (!map_find(&i->plan.by_path, target))
        return error_user(err, "the link %s would lead to nothing: there is no \"%s\"", link->path,
                          target);
    return 0;
}

static int check(const struct installation *i, struct error **err)
{
    if (*i->o->prefix != '/' || (i->o->prefix[1] && !path_is_clean(i->o->prefix + 1)))
        return error_user(err, "the prefix '%s' is no absolute path", i->o->prefix);
    for (size_t c = 0; c < i->plan.n; c++) {
        const struct component *from = &i->plan.components[c];
        for (size_t k = 0; k < from->listing.n; k++)
            if (check_entry(i, from, &from->listing.entries[k], err) < 0)
                return -1;
    }
    for (size_t k = 0; k < i->o->link_count; k++)
        if (check_link(i, &i->o->links[k], err) < 0)
            return -1;
    return 0;
}

// ---- writing ----

static int write_file(struct installation *i, struct reader *r, const struct reader_member *m,
                      const char *place, struct error **err)
{
    cleanup_close int fd = staging_file(&i->staging, place, err);
    const struct timespec times[] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = m->mtime}};
    if (fd < 0 || reader_content_to(r, fd, place, err) < 0 ||
        attributes_to_file(m->attributes, fd, &i->attributes_lost, err) < 0)
        return -1;
    if (fchmod(fd, m->mode & 0777) < 0 || futimens(fd, times) < 0 || fsync(fd) < 0)
        return error_errno(err, errno, "writing /%s", place);
    return 0;
}

static int write_member(struct installation *i, struct reader *r, const struct reader_member *m,
                        struct error **err)
{
    const char *rest = below(i->o, m->path);
    if (!rest)
        return 0;
    cleanup_free char *place = place_of(i->o, rest);
    if (S_ISDIR(m->mode))
        return staging_directory(&i->staging, place, err);
    size_t number = i->staging.n;
    int result;
    if (m->hardlink) { // the plan has checked that its target comes first
        const size_t *first = map_find(&i->staged, m->link);
        result = first ? staging_hard_link(&i->staging, place, *first, err)
                       : error_user(err, "it is a hard link to no file that came before it");
    } else if (S_ISLNK(m->mode)) {
        result = staging_link(&i->staging, place, m->link, err);
    } else {
        result = write_file(i, r, m, place, err);
    }
    map_put(&i->staged, m->path, number);
    return result;
}

static int write_component(struct installation *i, size_t number, struct error **err)
{
    const struct component *c = &i->plan.components[number];
    cleanup_reader struct reader *r = reader_open(c->fd, c->path, 0, err);
    struct reader_member m;
    int n = r ? 1 : -1;
    for (size_t entry = 0; n > 0 && (n = reader_next(r, &m, err)) > 0; entry++) {
        if (merge_plan_writes(&i->plan, m.path, number, entry) && write_member(i, r, &m, err) < 0)
            return reader_wrap(r, err);
        reader_progress(r, "installing");
    }
    return n;
}

static int write_all(struct installation *i, struct error **err)
{
    if (staging_open(&i->staging, i->o->root, err) < 0)
        return -1;
    for (size_t c = 0; c < i->plan.n; c++)
        if (write_component(i, c, err) < 0)
            return -1;
    for (size_t k = 0; k < i->o->link_count; k++) {
        cleanup_free char *place = place_of(i->o, i->o->links[k].path);
        if (staging_link(&i->staging, place, i->o->links[k].target, err) < 0)
            return -1;
    }
    return staging_commit(&i->staging, err);
}

// ---- installing ----

static void say(const struct install_options *o, const char *path)
{
    cleanup_free char *place = place_of(o, path);
    cleanup_free char *absolute = xasprintf("/%s", place);
    if (o->say)
        o->say(absolute, o->context);
}

static void say_all(const struct installation *i)
{
    for (size_t k = 0; k < i->plan.claim_n; k++) {
        const struct claim *c = &i->plan.claims[k];
        const struct listing_entry *e = &i->plan.components[c->component].listing.entries[c->entry];
        if (!S_ISDIR(e->mode))
            say(i->o, below(i->o, e->path));
    }
    for (size_t k = 0; k < i->o->link_count; k++)
        say(i->o, i->o->links[k].path);
}

int install_archives(const struct strlist *paths, const struct install_options *o,
                     struct error **err)
{
    WITH_UTF8_NAMES;
    const struct merge_options merge = {.cache = o->cache};
    struct installation i = {.o = o, .staging = STAGING_NONE};
    int result = merge_plan_make(&i.plan, paths, &merge, err);
    if (!result)
        result = check(&i, err);
    if (!result && !o->dry_run)
        result = write_all(&i, err);
    if (!result)
        say_all(&i);
    if (i.attributes_lost)
        log_warning("some extended attributes (file capabilities) could not be set in %s", o->root);
    staging_close(&i.staging);
    map_free(&i.staged);
    merge_plan_free(&i.plan);
    return result;
}

int install_concerns(const char *path, const struct install_options *o, struct error **err)
{
    cleanup_strlist struct strlist one = {0};
    const struct merge_options merge = {.cache = o->cache};
    struct merge_plan plan = {0};
    strlist_add(&one, path);
    int result = merge_plan_make(&plan, &one, &merge, err);
    for (size_t i = 0; !result && i < plan.claim_n; i++)
        if (below(o, plan.components[0].listing.entries[plan.claims[i].entry].path))
            result = 1;
    merge_plan_free(&plan);
    return result;
}
