// SPDX-License-Identifier: Apache-2.0
// Writes a commit's tree as files. Repositories are hostile: a tree may name "..", ".git", the same
// name twice (once as a link, once as a folder), or expand to more than any disk holds. Every name
// is created new (O_EXCL) relative to an open folder, so nothing is written through a link.
//
// libgit2 hashes objects as it reads them, so the tree's id verifies every file.
#include "source/git.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define ENTRIES_MAX 5000000u
#define BYTES_MAX ((uint64_t)64 << 30)
#define DEPTH_MAX 256

struct export_walk {
    const struct mirror *mirror;
    git_odb *odb;
    struct export *e;
    bool *damaged;
    struct buf path; // from the source's root, for messages
};

static int tree_export(struct export_walk *w, const git_oid *id, int folder, unsigned depth,
                       struct error **err);

static int refuse(const struct export_walk *w, struct error **err, const char *why)
{
    w->e->refused = true;
    return error_user(err, "%s: its file \"%s\" %s", w->mirror->shown, w->path.data, why);
}

// Is the name the cause? The caller checks errno.
static int write_failed(const struct export_walk *w, struct error **err)
{
    w->e->refused = true;
    return error_errno(err, errno, "writing \"%s\" of %s", w->path.data, w->mirror->shown);
}

static int damaged(struct export_walk *w, struct error **err, const git_oid *id)
{
    char hex[GIT_OID_HEXSZ + 1];
    git_oid_tostr(hex, sizeof hex, id);
    *w->damaged = true;
    return git_failed(err, "the mirror %s is damaged at object %s", w->mirror->path, hex);
}

static bool name_is_safe(const char *name)
{
    return *name && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
           strcasecmp(name, ".git") != 0;
}

static int set_time(int fd, int64_t when)
{
    const struct timespec times[2] = {{.tv_sec = when}, {.tv_sec = when}};
    return futimens(fd, times);
}

static int file_export(struct export_walk *w, git_odb_object *object, int folder, const char *name,
                       bool executable, struct error **err)
{
    cleanup_close int fd =
        openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return write_failed(w, err);
    if (fd_write_all(fd, w->path.data, git_odb_object_data(object), git_odb_object_size(object),
                     err) < 0)
        return -1;
    if (fchmod(fd, executable ? 0755 : 0644) < 0 || set_time(fd, w->e->time) < 0)
        return write_failed(w, err);
    return 0;
}

static int link_export(struct export_walk *w, git_odb_object *object, int folder, const char *name,
                       struct error **err)
{
    size_t length = git_odb_object_size(object);
    const char *bytes = git_odb_object_data(object);
    if (length == 0 || length >= PATH_MAX || memchr(bytes, '\0', length))
        return refuse(w, err, "is a symbolic link to nowhere");
    cleanup_free char *target = xstrndup(bytes, length);
    const struct timespec times[2] = {{.tv_sec = w->e->time}, {.tv_sec = w->e->time}};
    if (symlinkat(target, folder, name) < 0 ||
        utimensat(folder, name, times, AT_SYMLINK_NOFOLLOW) < 0)
        return write_failed(w, err);
    return 0;
}

static int blob_export(struct export_walk *w, const git_tree_entry *entry, git_filemode_t mode,
                       int folder, struct error **err)
{
    git_odb_object *object = NULL;
    const git_oid *id = git_tree_entry_id(entry);
    const char *name = git_tree_entry_name(entry);
    if (git_odb_read(&object, w->odb, id) < 0 || git_odb_object_type(object) != GIT_OBJECT_BLOB) {
        git_odb_object_free(object);
        return damaged(w, err, id);
    }
    int result;
    w->e->bytes += git_odb_object_size(object);
    if (w->e->bytes > BYTES_MAX)
        result = refuse(w, err, "makes the whole larger than 64 GiB");
    else if (mode == GIT_FILEMODE_LINK)
        result = link_export(w, object, folder, name, err);
    else
        result = file_export(w, object, folder, name, mode == GIT_FILEMODE_BLOB_EXECUTABLE, err);
    git_odb_object_free(object);
    return result;
}

static int folder_make(struct export_walk *w, int parent, const char *name, struct error **err)
{
    if (mkdirat(parent, name, 0755) < 0) {
        write_failed(w, err);
        return -1;
    }
    cleanup_close int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fchmod(fd, 0755) < 0) {
        write_failed(w, err);
        return -1;
    }
    return steal_fd(&fd);
}

static void submodule_note(struct export_walk *w, const git_oid *commit)
{
    struct export *e = w->e;
    char hex[GIT_OID_HEXSZ + 1];
    git_oid_tostr(hex, sizeof hex, commit);
    e->submodules =
        xgrow(e->submodules, &e->submodule_cap, e->submodule_count + 1, sizeof *e->submodules);
    e->submodules[e->submodule_count++] = (struct submodule){xstrdup(w->path.data), xstrdup(hex)};
}

static int entry_export(struct export_walk *w, const git_tree_entry *entry, int folder,
                        unsigned depth, struct error **err)
{
    const char *name = git_tree_entry_name(entry);
    if (!name_is_safe(name))
        return refuse(w, err, "has a name that no repository may use");
    if (++w->e->entries > ENTRIES_MAX)
        return refuse(w, err, "is one of more than 5,000,000");
    progress(w->mirror->label, w->e->entries, 0, "files");
    git_filemode_t mode = git_tree_entry_filemode_raw(entry);
    if ((mode & S_IFMT) == S_IFREG) // 0100664 is in some old repositories
        mode = mode & 0100 ? GIT_FILEMODE_BLOB_EXECUTABLE : GIT_FILEMODE_BLOB;
    switch (mode) {
    case GIT_FILEMODE_BLOB:
    case GIT_FILEMODE_BLOB_EXECUTABLE:
    case GIT_FILEMODE_LINK:
        return blob_export(w, entry, mode, folder, err);
    case GIT_FILEMODE_TREE:
    case GIT_FILEMODE_COMMIT: {
        cleanup_close int fd = folder_make(w, folder, name, err);
        if (fd < 0)
            return -1;
        if (mode == GIT_FILEMODE_TREE)
            return tree_export(w, git_tree_entry_id(entry), fd, depth + 1, err);
        submodule_note(w, git_tree_entry_id(entry));
        return set_time(fd, w->e->time) < 0 ? write_failed(w, err) : 0;
    }
    default:
        return refuse(w, err, "is neither file, folder, link nor submodule");
    }
}

static int tree_export(struct export_walk *w, const git_oid *id, int folder, unsigned depth,
                       struct error **err)
{
    if (depth > DEPTH_MAX)
        return refuse(w, err, "is more than 256 folders deep");
    git_tree *tree = NULL;
    if (git_tree_lookup(&tree, w->mirror->repository, id) < 0)
        return damaged(w, err, id);
    size_t length = w->path.len;
    int result = 0;
    for (size_t i = 0; result == 0 && i < git_tree_entrycount(tree); i++) {
        const git_tree_entry *entry = git_tree_entry_byindex(tree, i);
        buf_printf(&w->path, "%s%s", length ? "/" : "", git_tree_entry_name(entry));
        result = entry_export(w, entry, folder, depth, err);
        w->path.len = length;
        w->path.data[length] = '\0';
    }
    git_tree_free(tree);
    if (result == 0 && set_time(folder, w->e->time) < 0)
        return write_failed(w, err);
    return result;
}

int git_export(const struct mirror *m, const char *commit, int folder, struct export *e,
               git_oid *tree, bool *damaged_, struct error **err)
{
    struct export_walk w = {.mirror = m, .e = e, .damaged = damaged_};
    git_commit *c = NULL;
    git_oid id;
    int result = 0;
    buf_puts(&w.path, "");
    git_oid_fromstr(&id, commit);
    if (git_commit_lookup(&c, m->repository, &id) < 0 || git_repository_odb(&w.odb, m->repository))
        result = damaged(&w, err, &id);
    if (result == 0) {
        *tree = *git_commit_tree_id(c);
        if (e->time < 0)
            e->time = git_commit_time(c) > 0 ? git_commit_time(c) : 0;
        result = tree_export(&w, tree, folder, 0, err);
    }
    git_odb_free(w.odb);
    git_commit_free(c);
    buf_free(&w.path);
    return result;
}

void export_free(struct export *e)
{
    for (size_t i = 0; i < e->submodule_count; i++) {
        free(e->submodules[i].path);
        free(e->submodules[i].commit);
    }
    free(e->submodules);
    *e = (struct export){0};
}
