// SPDX-License-Identifier: Apache-2.0
// Opens a folder component by component, and checks who owns each link and folder on the path.
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

enum { LINKS_MAX = 40 }; // as the kernel

bool owner_is_trusted(uid_t uid)
{
    uid_t mine = geteuid();
    if (uid == mine || uid == 0)
        return true;
    const char *sudo = mine == 0 ? getenv("SUDO_UID") : NULL;
    char *end = NULL;
    errno = 0;
    unsigned long caller = sudo && *sudo >= '0' && *sudo <= '9' ? strtoul(sudo, &end, 10) : 0;
    return end && !*end && !errno && caller == uid;
}

char *owner_name(uid_t uid)
{
    const struct passwd *user = getpwuid(uid);
    return user ? xasprintf("user %u (%s)", (unsigned)uid, user->pw_name)
                : xasprintf("user %u", (unsigned)uid);
}

static char *distrust(const char *path, const struct stat *st)
{
    if (!owner_is_trusted(st->st_uid)) {
        cleanup_free char *owner = owner_name(st->st_uid);
        return xasprintf("%s belongs to %s", path, owner);
    }
    bool open = !S_ISLNK(st->st_mode) && st->st_mode & S_IWOTH;
    return open ? xasprintf("%s can be written by everybody", path) : NULL;
}

static char *unreadable(const char *path)
{
    return xasprintf("%s cannot be read: %s", path, strerror(errno));
}

char *path_distrust(const char *path)
{
    struct stat st;
    return stat(path, &st) < 0 ? unreadable(path) : distrust(path, &st);
}

char *tree_distrust(const char *path)
{
    struct stat st;
    cleanup_strlist struct strlist names = {0};
    if (lstat(path, &st) < 0)
        return unreadable(path);
    char *why = distrust(path, &st);
    if (why || !S_ISDIR(st.st_mode))
        return why;
    if (list_directory(path, &names, NULL) < 0)
        return xasprintf("%s cannot be read", path);
    for (size_t i = 0; !why && i < names.n; i++) {
        cleanup_free char *entry = xasprintf("%s/%s", path, names.items[i]);
        why = tree_distrust(entry);
    }
    return why;
}

char *way_distrust(const char *top, const char *path)
{
    char *why = NULL;
    const char *below = path_below(path, top);
    for (const char *p = below; !why && p && *p;) {
        p += strcspn(p, "/");
        cleanup_free char *part = xstrndup(path, (size_t)(p - path));
        why = path_distrust(part);
        p += *p == '/';
    }
    return why;
}

struct path_walk {
    const char *path, *what; // for messages
    int rules;
    mode_t mode;     // of folders that are made
    int fd;          // the current folder, O_PATH
    struct buf rest; // the rest of the path
    struct buf done; // the path so far, for messages
    unsigned links;
};

static int fail(const struct path_walk *w, int errnum, struct error **err)
{
    return error_errno(err, errnum, "opening the %s %s", w->what, w->path);
}

static void take_over(struct path_walk *w, int fd)
{
    if (w->fd >= 0)
        close(w->fd);
    w->fd = fd;
}

// From "/" if the rest is absolute.
static int begin_at_root(struct path_walk *w, struct error **err)
{
    if (!w->rest.len || w->rest.data[0] != '/')
        return 0;
    int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return fail(w, errno, err);
    take_over(w, root);
    w->done.len = 0;
    buf_puts(&w->done, "/");
    return 0;
}

static int refuse_link(const struct path_walk *w, const char *name, uid_t uid, struct error **err)
{
    cleanup_free char *owner = owner_name(uid);
    error_user(err, "opening the %s %s: %s%s is a link that %s made", w->what, w->path,
               w->done.data ? w->done.data : "", name, owner);
    return error_hint(err, "name the directory by a path without that link");
}

// A link of procfs (/proc/self/fd/3) is more than its text: the kernel follows it.
static bool is_magic(int folder)
{
    struct statfs fs;
    return fstatfs(folder, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;
}

// Puts the link's target in front of the rest.
static int follow_link(struct path_walk *w, int link, const char *name, uid_t uid,
                       struct error **err)
{
    char target[PATH_MAX + 1];
    if (is_magic(w->fd)) {
        int fd = openat(w->fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
            return fail(w, errno, err);
        take_over(w, fd);
        return 0;
    }
    if (!owner_is_trusted(uid))
        return refuse_link(w, name, uid, err);
    if (++w->links > LINKS_MAX)
        return fail(w, ELOOP, err);
    ssize_t n = readlinkat(link, "", target, sizeof target - 1);
    if (n <= 0)
        return fail(w, n < 0 ? errno : ENOENT, err);
    struct buf rest = {0};
    buf_add(&rest, target, (size_t)n);
    buf_puts(&rest, "/");
    buf_add(&rest, w->rest.data, w->rest.len);
    buf_free(&w->rest);
    w->rest = rest;
    return begin_at_root(w, err);
}

static int enter(struct path_walk *w, const char *name, struct error **err)
{
    int fd = openat(w->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    // Another process may remove it as soon as it is there.
    while (fd < 0 && errno == ENOENT && (w->rules & FOLDER_MAKE)) {
        if (mkdirat(w->fd, name, w->mode) < 0 && errno != EEXIST)
            return error_errno(err, errno, "creating the directory %s%s",
                               w->done.data ? w->done.data : "", name);
        fd = openat(w->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    }
    cleanup_close int there = fd;
    struct stat st;
    if (there < 0 || fstat(there, &st) < 0)
        return fail(w, errno, err);
    if (S_ISLNK(st.st_mode))
        return follow_link(w, there, name, st.st_uid, err);
    if (!S_ISDIR(st.st_mode))
        return error_user(err, "opening the %s %s: %s%s is a file, not a directory", w->what,
                          w->path, w->done.data ? w->done.data : "", name);
    take_over(w, steal_fd(&there));
    buf_printf(&w->done, "%s/", name);
    return 0;
}

// Leaves w->fd at the folder.
static int walk_path(struct path_walk *w, struct error **err)
{
    buf_puts(&w->rest, w->path);
    w->fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (w->fd < 0)
        return fail(w, errno, err);
    int result = begin_at_root(w, err);
    while (!result && w->rest.len) {
        size_t length = strcspn(w->rest.data, "/");
        cleanup_free char *name = xstrndup(w->rest.data, length);
        size_t used = length + strspn(w->rest.data + length, "/");
        memmove(w->rest.data, w->rest.data + used, w->rest.len - used + 1);
        w->rest.len -= used;
        if (*name && strcmp(name, ".") != 0)
            result = enter(w, name, err);
    }
    buf_free(&w->rest);
    buf_free(&w->done);
    if (result)
        take_over(w, -1);
    return result;
}

// Whether it holds nothing but files of a checkout: README.md, .gitignore, .gitkeep.
static bool is_fresh(int fd)
{
    cleanup_strlist struct strlist names = {0};
    if (list_directory_at(fd, "", &names, NULL) < 0)
        return false;
    for (size_t i = 0; i < names.n; i++)
        if (!starts_with(names.items[i], "README") && !starts_with(names.items[i], ".git"))
            return false;
    return true;
}

// Closes a folder that was mounted (a tmpfs has mode 1777) or checked out (0775 with umask 002), if
// nobody has put anything into it.
static bool restrict_new_folder(int fd, const struct stat *st)
{
    if (st->st_uid != geteuid() || fchmod(fd, st->st_mode & 0755) < 0)
        return false;
    if (is_fresh(fd))
        return true;
    fchmod(fd, st->st_mode & 07777);
    return false;
}

static int check_folder(int fd, const char *shown, const char *what, int rules, struct error **err)
{
    struct stat st;
    if (!(rules & (FOLDER_TRUSTED_OWNER | FOLDER_OWNER_WRITABLE)))
        return 0;
    if (fstat(fd, &st) < 0)
        return error_errno(err, errno, "opening the %s %s", what, shown);
    if (!owner_is_trusted(st.st_uid)) {
        cleanup_free char *owner = owner_name(st.st_uid), *mine = owner_name(geteuid());
        error_user(err, "the %s %s belongs to %s, and kbuild is run by %s", what, shown, owner,
                   mine);
        return error_hint(err, "use a directory of your own, or change its owner: chown -R");
    }
    if ((rules & FOLDER_OWNER_WRITABLE) && (st.st_mode & 022) && !restrict_new_folder(fd, &st)) {
        error_user(err, "the %s %s may be written by others (mode %04o), who could put anything in",
                   what, shown, (unsigned)st.st_mode & 07777);
        return error_hint(err,
                          "if nobody else did, close it: chmod -R go-w %s; or name a directory "
                          "inside it, which kbuild makes",
                          shown);
    }
    return 0;
}

int folder_open(const char *path, const char *what, int rules, struct error **err)
{
    struct path_walk w = {.path = path,
                          .what = what,
                          .rules = rules,
                          .mode = rules & FOLDER_OWNER_WRITABLE ? 0755 : 0777,
                          .fd = -1};
    if (walk_path(&w, err) < 0)
        return -1;
    cleanup_close int here = w.fd;
    cleanup_close int fd = openat(here, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fail(&w, errno, err);
    return check_folder(fd, path, what, rules, err) < 0 ? -1 : steal_fd(&fd);
}

int make_directories(const char *path, mode_t mode, struct error **err)
{
    struct path_walk w = {
        .path = path, .what = "directory", .rules = FOLDER_MAKE, .mode = mode, .fd = -1};
    if (walk_path(&w, err) < 0)
        return -1;
    close(w.fd);
    return 0;
}

int make_parent(const char *path, struct error **err)
{
    const char *base = path_base(path);
    if (base == path)
        return 0;
    cleanup_free char *parent = xstrndup(path, (size_t)(base - path));
    return make_directories(parent, 0777, err);
}

int folder_open_parent(const char *path, const char **base, struct error **err)
{
    const char *slash = strrchr(path, '/');
    *base = slash ? slash + 1 : path;
    cleanup_free char *parent = slash ? xstrndup(path, (size_t)(slash - path) + 1) : xstrdup(".");
    struct path_walk w = {.path = parent, .what = "directory", .fd = -1};
    if (walk_path(&w, err) < 0)
        return -1;
    return w.fd;
}

char *folder_follow(const char *path, struct error **err)
{
    cleanup_free char *at = xstrdup(path);
    for (unsigned i = 0; i < 40; i++) { // as many as Linux follows
        const char *base;
        struct stat st;
        char target[PATH_MAX + 1];
        cleanup_close int folder = folder_open_parent(at, &base, err);
        if (folder < 0)
            return NULL;
        if (fstatat(folder, base, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISLNK(st.st_mode))
            return steal(at);
        if (!owner_is_trusted(st.st_uid)) {
            cleanup_free char *owner = owner_name(st.st_uid);
            error_user(err, "%s is a link that %s made", at, owner);
            error_hint(err, "name the file by a path without that link");
            return NULL;
        }
        ssize_t n = readlinkat(folder, base, target, PATH_MAX);
        if (n < 0)
            break;
        target[n] = '\0';
        char *next =
            *target == '/' ? xstrdup(target) : xasprintf("%.*s%s", (int)(base - at), at, target);
        free(at);
        at = next;
    }
    error_errno(err, ELOOP, "following the link %s", path);
    return NULL;
}

int folder_open_at(int folder, const char *name, const char *shown, const char *what, int rules,
                   struct error **err)
{
    mode_t mode = rules & FOLDER_OWNER_WRITABLE ? 0755 : 0777;
    int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    cleanup_close int fd = openat(folder, name, flags);
    if (fd < 0 && errno == ENOENT && (rules & FOLDER_MAKE)) {
        if (mkdirat(folder, name, mode) < 0 && errno != EEXIST)
            return error_errno(err, errno, "creating the directory %s", shown);
        fd = openat(folder, name, flags);
    }
    struct stat st;
    if (fd < 0 && (errno == ENOTDIR || errno == ELOOP)) {
        bool link = fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode);
        error_user(err, "opening the %s %s: it is %s", what, shown,
                   link ? "a link, which kbuild does not follow here" : "not a directory");
        return error_hint(err, "see who made it and why (ls -l %s), then remove it", shown);
    }
    if (fd < 0)
        return error_errno(err, errno, "opening the %s %s", what, shown);
    return check_folder(fd, shown, what, rules, err) < 0 ? -1 : steal_fd(&fd);
}

int folder_sync(int fd)
{
    if (fsync(fd) == 0)
        return 0;
    return errno == EINVAL || errno == ENOTSUP || errno == ENOSYS ? 0 : -1;
}
