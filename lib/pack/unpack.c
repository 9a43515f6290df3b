// SPDX-License-Identifier: Apache-2.0
// Unpacks an archive into a folder, never outside it; directories get their modes and times at the
// end.
#include "pack/pack.h"
#include "pack/reader.h"

#include "base/error.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

// A directory gets its mode and time after the last write into it.
struct late_directory {
    char *path;
    unsigned mode;
    struct timespec mtime;
    size_t order;
    bool implied; // it has no entry: newest time, mode unchanged
};

struct unpack {
    const char *folder;
    struct reader *reader;
    struct beneath beneath;
    struct late_directory *late;
    size_t late_n, late_cap, late_limit, late_order;
    struct strlist doubtful; // links that are checked at the end
    char *parent;            // of the last member
    char *top;               // with strip_first: the folder that is dropped
    int64_t newest;
    bool attributes, attributes_lost, root;
};

static struct timespec member_time(const struct reader_member *m)
{
    bool sane = m->mtime_ns >= 0 && m->mtime_ns < 1000000000;
    return (struct timespec){.tv_sec = m->mtime, .tv_nsec = sane ? m->mtime_ns : 0};
}

static int set_time(int parent, const char *base, struct timespec mtime, struct error **err)
{
    const struct timespec times[] = {{.tv_nsec = UTIME_OMIT}, mtime};
    if (utimensat(parent, base, times, AT_SYMLINK_NOFOLLOW) < 0)
        return error_errno(err, errno, "setting its time");
    return 0;
}

// Removes an older file or link of that name, never a directory.
static int remove_existing_name(int parent, const char *base, struct error **err)
{
    if (unlinkat(parent, base, 0) == 0 || errno == ENOENT)
        return 0;
    struct stat st;
    if (fstatat(parent, base, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode))
        return error_user(err, "there is a directory of that name already");
    return error_errno(err, errno, "replacing it");
}

static int write_content(struct unpack *u, int fd, struct error **err)
{
    uint64_t written = 0;
    for (;;) {
        const void *bytes;
        size_t length;
        uint64_t offset;
        int n = reader_piece(u->reader, &bytes, &length, &offset, err);
        if (n < 0)
            return -1;
        if (n == 0) { // a hole at the end
            if (offset > written && ftruncate(fd, (off_t)offset) < 0)
                return error_errno(err, errno, "writing it");
            return 0;
        }
        if (fd_write_at(fd, "it", bytes, length, offset, err) < 0)
            return -1;
        written = offset + length;
    }
}

static int finish_file(struct unpack *u, int fd, const struct reader_member *m, struct error **err)
{
    const struct timespec times[] = {{.tv_nsec = UTIME_OMIT}, member_time(m)};
    if (u->attributes && attributes_to_file(m->attributes, fd, &u->attributes_lost, err) < 0)
        return -1;
    if (fchmod(fd, (m->mode & 0777) | 0400) < 0 || futimens(fd, times) < 0)
        return error_errno(err, errno, "setting its mode and time");
    return 0;
}

static int unpack_file(struct unpack *u, int parent, const char *base,
                       const struct reader_member *m, struct error **err)
{
    int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    cleanup_close int fd = openat(parent, base, flags, 0600);
    if (fd < 0 && errno == EEXIST) {
        if (remove_existing_name(parent, base, err) < 0)
            return -1;
        fd = openat(parent, base, flags, 0600);
    }
    if (fd < 0)
        return error_errno(err, errno, "creating it");
    if (write_content(u, fd, err) < 0 || finish_file(u, fd, m, err) < 0)
        return -1;
    if (close(steal_fd(&fd)) < 0)
        return error_errno(err, errno, "writing it");
    return 0;
}

static int deepest_first(const void *a, const void *b)
{
    const struct late_directory *x = a, *y = b;
    int c = strcmp(y->path, x->path);
    if (!c && x->implied != y->implied)
        return x->implied ? 1 : -1;
    return c ? c : (x->order < y->order) - (x->order > y->order);
}

// Of two entries for one directory the later one counts; an entry counts before an implied one.
static void sort_late(struct unpack *u)
{
    size_t n = 0;
    if (u->late_n)
        qsort(u->late, u->late_n, sizeof *u->late, deepest_first);
    for (size_t i = 0; i < u->late_n; i++)
        if (n && !strcmp(u->late[i].path, u->late[n - 1].path))
            free(u->late[i].path);
        else
            u->late[n++] = u->late[i];
    u->late_n = n;
}

// Keeps the list about as long as the number of directories, however often an archive repeats them.
static void add_late(struct unpack *u, struct late_directory d)
{
    if (u->late_n >= u->late_limit) {
        sort_late(u);
        u->late_limit = 2 * u->late_n + 1024;
    }
    d.order = u->late_order++;
    u->late = xgrow(u->late, &u->late_cap, u->late_n + 1, sizeof *u->late);
    u->late[u->late_n++] = d;
}

static int unpack_directory(struct unpack *u, int parent, const char *base,
                            const struct reader_member *m, const char *path, struct error **err)
{
    struct stat st;
    if (mkdirat(parent, base, 0755) < 0) {
        if (errno != EEXIST)
            return error_errno(err, errno, "creating the directory");
        if (fstatat(parent, base, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
            return error_user(err, "it is a directory, but a file or link of that name is there");
    }
    add_late(u, (struct late_directory){.path = xstrdup(path),
                                        .mode = (m->mode & 0777) | 0700,
                                        .mtime = member_time(m)});
    return 0;
}

// Records the parent folders of a member, which an archive need not list. Otherwise they would have
// the time of unpacking.
static void note_parents(struct unpack *u, const char *path)
{
    const char *base = strrchr(path, '/');
    size_t n = base ? (size_t)(base - path) : 0;
    if (!n || (u->parent && strncmp(u->parent, path, n) == 0 && !u->parent[n]))
        return;
    free(u->parent);
    u->parent = xstrndup(path, n);
    for (size_t i = 1; i <= n; i++) {
        if (i < n && path[i] != '/')
            continue;
        add_late(u, (struct late_directory){.path = xstrndup(path, i), .implied = true});
    }
}

static int unpack_link(struct unpack *u, int parent, const char *base, const char *target,
                       struct timespec mtime, const char *path, struct error **err)
{
    switch (u->root ? LINK_INSIDE : link_reach(path, target)) {
    case LINK_OUTSIDE: {
        cleanup_free char *shown = printable(target);
        return error_user(err, "it is a link that leads out: %s", shown);
    }
    case LINK_UNDECIDED:
        strlist_add(&u->doubtful, path);
        break;
    case LINK_INSIDE:
        break;
    }
    int result = symlinkat(target, parent, base);
    if (result < 0 && errno == EEXIST) {
        if (remove_existing_name(parent, base, err) < 0)
            return -1;
        result = symlinkat(target, parent, base);
    }
    if (result < 0)
        return error_errno(err, errno, "creating the link");
    return set_time(parent, base, mtime, err);
}

// Makes a second name of an earlier member. A hard link to a symlink becomes a separate symlink,
// checked at its own place.
static int unpack_hard_link(struct unpack *u, const char *path, const char *target,
                            const struct reader_member *m, struct error **err)
{
    const char *base, *target_base;
    int parent = beneath_parent(&u->beneath, target, &target_base, err);
    if (parent < 0 || !strcmp(path, target))
        return parent < 0 ? -1 : error_user(err, "it is a hard link to itself");
    cleanup_close int from = fcntl(parent, F_DUPFD_CLOEXEC, 0);
    struct stat st;
    if (from < 0 || fstatat(from, target_base, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return error_errno(err, errno, "it is a hard link to %s", target);
    parent = beneath_parent(&u->beneath, path, &base, err);
    if (parent < 0 || remove_existing_name(parent, base, err) < 0)
        return -1;
    if (S_ISLNK(st.st_mode)) {
        char text[NAME_LIMIT + 1];
        ssize_t n = readlinkat(from, target_base, text, sizeof text - 1);
        if (n < 0)
            return error_errno(err, errno, "it is a hard link to %s", target);
        text[n] = '\0';
        return unpack_link(u, parent, base, text, member_time(m), path, err);
    }
    if (!S_ISREG(st.st_mode))
        return error_user(err, "it is a hard link to %s, which is not a file", target);
    if (linkat(from, target_base, parent, base, 0) < 0)
        return error_errno(err, errno, "linking it to %s", target);
    if (!m->size) // the usual case; in cpio the last name has the content
        return 0;
    cleanup_close int fd = openat(parent, base, O_WRONLY | O_TRUNC | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, errno, "writing it");
    return write_content(u, fd, err) < 0 ? -1 : finish_file(u, fd, m, err);
}

// Drops the first component of *path, which must be the same for all; the folder itself becomes "".
static int strip(struct unpack *u, const char **path, bool directory, struct error **err)
{
    const char *p = *path;
    size_t n = strcspn(p, "/");
    bool inside = p[n] || directory;
    if (!u->top && inside)
        u->top = xstrndup(p, n);
    if (!inside || strncmp(u->top, p, n) != 0 || u->top[n])
        return error_user(err,
                          "it is not in the one top directory that a source archive should have");
    *path = p + n + (p[n] == '/');
    return 0;
}

static int unpack_entry(struct unpack *u, const struct reader_member *m, bool strip_first,
                        struct error **err)
{
    const char *path = m->path, *link = m->link, *base;
    if (!*path)
        return 0; // the folder itself is unchanged
    if (m->mtime > u->newest)
        u->newest = m->mtime;
    if (strip_first && strip(u, &path, S_ISDIR(m->mode), err) < 0)
        return -1;
    if (strip_first && m->hardlink && strip(u, &link, false, err) < 0)
        return -1;
    if (!*path)
        return 0;
    if (!u->beneath.in_root) // with links followed, names are not places
        note_parents(u, path);
    if (m->hardlink)
        return unpack_hard_link(u, path, link, m, err);
    int parent = beneath_parent(&u->beneath, path, &base, err);
    if (parent < 0)
        return -1;
    switch (m->mode & S_IFMT) {
    case S_IFREG:
        return unpack_file(u, parent, base, m, err);
    case S_IFDIR:
        return unpack_directory(u, parent, base, m, path, err);
    case S_IFLNK:
        return unpack_link(u, parent, base, link, member_time(m), path, err);
    default:
        return error_user(err, "it is a device node, fifo or socket, which is refused");
    }
}

// The kernel resolves links like "a/../b", and fails if they leave the folder.
static int check_undecided_links(struct unpack *u, struct error **err)
{
    for (size_t i = 0; i < u->doubtful.n; i++) {
        cleanup_close int fd = beneath_follow(u->beneath.root, u->doubtful.items[i], O_PATH);
        if (fd >= 0 || (errno != EXDEV && errno != ENOSYS && errno != EPERM))
            continue;
        cleanup_free char *shown = printable(u->doubtful.items[i]);
        return error_user(err, "\"%s\": it is a link that leads out by way of another link", shown);
    }
    return 0;
}

static int finish_directories(struct unpack *u, struct error **err)
{
    sort_late(u);
    for (size_t i = 0; i < u->late_n; i++) {
        const struct late_directory *d = &u->late[i];
        const char *base;
        int parent = beneath_parent(&u->beneath, d->path, &base, err);
        if (parent < 0)
            return error_wrap(err, "%s", d->path);
        if (d->implied) {
            if (set_time(parent, base, (struct timespec){.tv_sec = u->newest}, err) < 0)
                return error_wrap(err, "%s", d->path);
            continue;
        }
        if (fchmodat(parent, base, d->mode, 0) < 0)
            return error_errno(err, errno, "setting the mode of %s", d->path);
        if (set_time(parent, base, d->mtime, err) < 0)
            return error_wrap(err, "%s", d->path);
    }
    return 0;
}

static int unpack_all(struct unpack *u, const struct unpack_options *o, struct error **err)
{
    struct reader_member m;
    int n;
    while ((n = reader_next(u->reader, &m, err)) > 0) {
        if (o->skip && o->skip(m.path, m.mode))
            continue;
        if (unpack_entry(u, &m, o->strip_first, err) < 0)
            return reader_wrap(u->reader, err);
        reader_progress(u->reader, "unpacking");
    }
    if (n < 0 || check_undecided_links(u, err) < 0 || finish_directories(u, err) < 0)
        return -1;
    return 0;
}

uint64_t unpack_limit(uint64_t size)
{
    static const uint64_t most = (uint64_t)64 << 30, free_bytes = (uint64_t)256 << 20;
    return size > most / 128 ? most : free_bytes + size * 100;
}

int unpack(int fd, const char *name, const char *folder, const struct unpack_options *o,
           int64_t *newest, struct error **err)
{
    WITH_UTF8_NAMES;
    static const struct unpack_options defaults = {0};
    if (!o)
        o = &defaults;
    const char *shown = o->shown ? o->shown : folder;
    cleanup_close int root = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return error_errno(err, errno, "unpacking %s into %s", name, shown);
    cleanup_reader struct reader *reader = reader_open(fd, name, o->max_bytes, err);
    if (!reader)
        return error_wrap(err, "unpacking into %s", shown);
    if (o->follow)
        reader_accept_absolute(reader);
    struct unpack u = {.folder = folder,
                       .reader = reader,
                       .beneath.root = root,
                       .beneath.in_root = o->follow,
                       .attributes = o->attributes,
                       .root = o->root};
    int result = unpack_all(&u, o, err);
    if (result < 0)
        error_wrap(err, "unpacking into %s", shown);
    else if (newest)
        *newest = u.newest;
    if (u.attributes_lost)
        log_warning("%s: some extended attributes (file capabilities) could not be set in %s", name,
                    folder);
    for (size_t i = 0; i < u.late_n; i++)
        free(u.late[i].path);
    free(u.late);
    free(u.top);
    free(u.parent);
    strlist_free(&u.doubtful);
    beneath_close(&u.beneath);
    return result;
}

// ---- a new folder ----

static bool is_empty(const char *folder)
{
    cleanup_strlist struct strlist names = {0};
    return list_directory(folder, &names, NULL) == 0 && !names.n;
}

int unpack_new(const char *file, const char *folder, struct error **err)
{
    cleanup_free char *target = xstrdup(folder);
    for (size_t n = strlen(target); n > 1 && target[n - 1] == '/'; n--)
        target[n - 1] = '\0';
    if (path_exists(target) && !(is_directory(target) && is_empty(target))) {
        error_user(err, "unpacking into %s: there is something already", target);
        return error_hint(err, "name a directory that is empty or does not exist");
    }
    cleanup_close int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, errno, "opening %s", file);
    const char *base = path_base(target);
    cleanup_free char *parent =
        base == target ? xstrdup(".") : xstrndup(target, (size_t)(base - target));
    if (make_directories(parent, 0777, err) < 0)
        return -1;
    cleanup_folder_draft struct folder_draft fresh = FOLDER_DRAFT_NONE;
    if (folder_draft_begin(&fresh, target, err) < 0)
        return -1;
    const struct unpack_options o = {.attributes = true, .shown = target};
    mode_t mask = umask(0);
    umask(mask);
    if (unpack(fd, file, fresh.temporary, &o, NULL, err) < 0)
        return -1;
    return folder_draft_commit(&fresh, 0777 & ~mask, err);
}
