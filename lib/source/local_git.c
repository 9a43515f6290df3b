// SPDX-License-Identifier: Apache-2.0
// Which files of a folder git cares for. libgit2 reads the index and the rules of .gitignore; no
// program is started and nothing is written, whatever the repository's configuration says.
#include "source/local.h"

#include "base/log.h"
#include "cache/tree.h"
#include "source/git.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NESTING_MAX 16

struct collecting {
    struct local_tree *tree;
    const char *prefix; // of the repository's files in the folder: "", or "lib/x/"
    const char *below;  // only these of the repository: "", or "src/"
    git_repository *repository;
    unsigned depth;
};

static int collect(const struct collecting *c, struct error **err);

// The path in the folder of a path in the repository, to be freed; NULL if it is not in there.
static char *path_in_tree(const struct collecting *c, const char *path)
{
    size_t n = strlen(c->below);
    return strncmp(path, c->below, n) || !path[n] ? NULL : xasprintf("%s%s", c->prefix, path + n);
}

static int check_path(const struct collecting *c, const char *path, struct error **err)
{
    if (path_is_clean(path) && strlen(path) < PATH_MAX)
        return 0;
    return error_user(err, "%s: git's index there names the file \"%s\"", c->tree->folder, path);
}

// ---- repositories inside ----

static bool is_repository(const struct local_tree *t, const char *path)
{
    cleanup_free char *git = xasprintf("%s/%s/.git", t->folder, path);
    struct stat st;
    return lstat(git, &st) == 0;
}

static bool same_folder(const char *a, const char *b)
{
    char one[PATH_MAX], other[PATH_MAX];
    return realpath(a, one) && realpath(b, other) && !strcmp(one, other);
}

static int collect_nested(const struct collecting *c, const char *path, const git_oid *expected,
                          struct error **err)
{
    cleanup_free char *folder = xasprintf("%s/%s", c->tree->folder, path);
    cleanup_free char *prefix = xasprintf("%s/", path);
    struct collecting inner = {
        .tree = c->tree, .prefix = prefix, .below = "", .depth = c->depth + 1};
    if (inner.depth > NESTING_MAX)
        return error_user(err, "%s: repositories are nested more than %d deep", folder,
                          NESTING_MAX);
    if (git_repository_open_ext(&inner.repository, folder, GIT_REPOSITORY_OPEN_NO_SEARCH, NULL) < 0)
        return git_failed(err, "reading the git repository %s", folder);
    git_oid head;
    const char *workdir = git_repository_workdir(inner.repository);
    int result = 0;
    if (!workdir || !same_folder(workdir, folder))
        result = error_user(err, "the git repository %s has its files elsewhere: %s", folder,
                            workdir ? workdir : "nowhere");
    else if (!expected || git_reference_name_to_id(&head, inner.repository, "HEAD") < 0 ||
             !git_oid_equal(&head, expected))
        c->tree->dirty = true;
    if (!result)
        result = collect(&inner, err);
    git_repository_free(inner.repository);
    return result;
}

static int add_submodule(const struct collecting *c, const char *path, const git_oid *commit,
                         struct error **err)
{
    enum submodules wanted = c->tree->submodules;
    local_tree_add(c->tree, path, true, true);
    if (wanted == SUBMODULES_NO || (wanted == SUBMODULES_DIRECT && c->depth))
        return 0;
    if (is_repository(c->tree, path))
        return collect_nested(c, path, commit, err);
    log_warning("%s: the submodule %s of %s is not checked out: its folder stays empty "
                "(git submodule update --init)",
                c->tree->label, path, c->tree->folder);
    return 0;
}

// ---- one repository ----

static int hint_no_git(struct error **err)
{
    return error_hint(err,
                      "what libgit2 cannot read (SHA-256, a sparse index): a copy of the files "
                      "without .git is taken whole");
}

static int add_tracked(const struct collecting *c, struct error **err)
{
    git_index *index = NULL;
    if (git_repository_index(&index, c->repository) < 0)
        return git_failed(err, "reading git's index of %s", c->tree->folder);
    int result = 0;
    for (size_t i = 0; !result && i < git_index_entrycount(index); i++) {
        const git_index_entry *e = git_index_get_byindex(index, i);
        cleanup_free char *path = path_in_tree(c, e->path);
        if (!path)
            continue;
        result = check_path(c, path, err);
        if (!result && e->mode == GIT_FILEMODE_COMMIT)
            result = add_submodule(c, path, &e->id, err);
        else if (!result)
            local_tree_add(c->tree, path, false, true);
    }
    git_index_free(index);
    return result;
}

static int add_untracked(const struct collecting *c, const char *path, struct error **err)
{
    size_t n = strlen(path);
    cleanup_free char *name = xstrndup(path, n && path[n - 1] == '/' ? n - 1 : n);
    if (check_path(c, name, err) < 0)
        return -1;
    if (name[0] && path[n - 1] == '/' && is_repository(c->tree, name))
        return collect_nested(c, name, NULL, err);
    if (path[n - 1] != '/')
        local_tree_add(c->tree, name, false, false);
    return 0;
}

static int add_changes(const struct collecting *c, git_status_list *list, struct error **err)
{
    for (size_t i = 0; i < git_status_list_entrycount(list); i++) {
        const git_status_entry *e = git_status_byindex(list, i);
        const char *name = e->index_to_workdir ? e->index_to_workdir->new_file.path
                                               : e->head_to_index->new_file.path;
        cleanup_free char *path = path_in_tree(c, name);
        if (!path || local_is_own(c->tree, path, !(e->status & GIT_STATUS_WT_NEW)))
            continue;
        if (e->status & GIT_STATUS_WT_UNREADABLE)
            return error_errno(err, EACCES, "reading %s/%s", c->tree->folder, path);
        c->tree->dirty = true;
        if (e->status & GIT_STATUS_WT_NEW && add_untracked(c, path, err) < 0)
            return -1;
    }
    return 0;
}

// ---- what cannot be read ----

// libgit2 takes a folder that it may not open for one that is not there. So each is opened; one
// that git ignores may be closed. Paths are below the collected folder.
static int refuse_closed(const struct collecting *c, const char *path, const char *shown,
                         struct error **err)
{
    int ignored = 0;
    cleanup_free char *inside = xasprintf("%s%s/", c->below, path);
    if (git_ignore_path_is_ignored(&ignored, c->repository, inside) == 0 && ignored)
        return 0;
    return error_errno(err, EACCES, "reading %s/%s", c->tree->folder, shown);
}

static int check_folder(const struct collecting *c, int parent, const char *path, unsigned depth,
                        struct error **err);

static int check_folders_in(const struct collecting *c, int fd, const char *path, unsigned depth,
                            struct error **err)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0), result = 0;
    DIR *stream = copy < 0 ? NULL : fdopendir(copy);
    if (!stream) {
        error_errno(err, errno, "reading %s/%s%s", c->tree->folder, c->prefix, path);
        if (copy >= 0)
            close(copy);
        return -1;
    }
    for (struct dirent *e; !result && (e = readdir(stream));) {
        const char *name = e->d_name;
        bool other = e->d_type != DT_DIR && e->d_type != DT_UNKNOWN;
        if (other || !strcmp(name, ".") || !strcmp(name, "..") || !strcmp(name, ".git"))
            continue;
        cleanup_free char *inner = xasprintf("%s%s%s", path, *path ? "/" : "", name);
        result = check_folder(c, fd, inner, depth + 1, err);
    }
    closedir(stream);
    return result;
}

static int check_folder(const struct collecting *c, int parent, const char *path, unsigned depth,
                        struct error **err)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    cleanup_close int fd = openat(parent, *path ? path_base(path) : ".", flags);
    cleanup_free char *shown = xasprintf("%s%s", c->prefix, path);
    if (fd < 0)
        return errno == EACCES ? refuse_closed(c, path, shown, err) : 0;
    // kbuild's own, a repository of its own, or deeper than any source is
    if ((*path && (local_is_own(c->tree, shown, false) ||
                   faccessat(fd, ".git", F_OK, AT_SYMLINK_NOFOLLOW) == 0)) ||
        depth > TREE_DEPTH_MAX)
        return 0;
    return check_folders_in(c, fd, path, depth, err);
}

static int check_readable(const struct collecting *c, struct error **err)
{
    cleanup_free char *top = xasprintf("%s/%s", c->tree->folder, c->prefix);
    cleanup_close int fd = open(top, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? error_errno(err, errno, "reading %s", top) : check_folder(c, fd, "", 0, err);
}

static int collect(const struct collecting *c, struct error **err)
{
    git_status_list *list = NULL;
    git_status_options o;
    char *below = (char *)c->below;
    git_status_options_init(&o, GIT_STATUS_OPTIONS_VERSION);
    o.flags = GIT_STATUS_OPT_INCLUDE_UNTRACKED | GIT_STATUS_OPT_RECURSE_UNTRACKED_DIRS |
              GIT_STATUS_OPT_INCLUDE_UNREADABLE | GIT_STATUS_OPT_EXCLUDE_SUBMODULES |
              GIT_STATUS_OPT_DISABLE_PATHSPEC_MATCH;
    if (*below)
        o.pathspec = (git_strarray){&below, 1};
    if (git_status_list_new(&list, c->repository, &o) < 0) {
        git_failed(err, "asking git for the files of %s", c->tree->folder);
        return hint_no_git(err);
    }
    int result = add_changes(c, list, err);
    git_status_list_free(list);
    return result < 0 || check_readable(c, err) < 0 ? -1 : add_tracked(c, err);
}

// ---- the repository that the folder is in ----

static int read_head(struct local_tree *t, git_repository *r, struct error **err)
{
    git_oid id;
    git_commit *commit = NULL;
    char hex[GIT_OID_HEXSZ + 1];
    if (git_reference_name_to_id(&id, r, "HEAD") < 0) { // nothing was committed yet
        t->dirty = true;
        return 0;
    }
    if (git_commit_lookup(&commit, r, &id) < 0)
        return git_failed(err, "reading the commit that is checked out in %s", t->folder);
    t->commit = xstrdup(git_oid_tostr(hex, sizeof hex, &id));
    t->time = git_commit_time(commit) > 0 ? git_commit_time(commit) : 0;
    git_commit_free(commit);
    return 0;
}

// Where the folder is in the work tree: "" or "src/"; to be freed. NULL: nowhere.
static char *place_in(const char *workdir, const char *folder)
{
    char real[PATH_MAX];
    if (!workdir || !realpath(workdir, real))
        return NULL;
    size_t n = strlen(real);
    while (n && real[n - 1] == '/')
        n--;
    if (strncmp(folder, real, n) || (folder[n] && folder[n] != '/'))
        return NULL;
    return folder[n] && folder[n + 1] ? xasprintf("%s/", folder + n + 1) : xstrdup("");
}

// A folder that git ignores is none of the repository's, whatever lies around it.
static bool is_ignored(git_repository *r, const char *below)
{
    int ignored = 0;
    git_index *index = NULL;
    if (!*below || git_ignore_path_is_ignored(&ignored, r, below) < 0 || !ignored ||
        git_repository_index(&index, r) < 0)
        return false;
    bool tracked = git_index_find_prefix(NULL, index, below) == 0;
    git_index_free(index);
    return !tracked;
}

// A file `.git` names the repository of a work tree. Without that nobody knows what it ignores.
static int check_no_git(const struct local_tree *t, struct error **err)
{
    cleanup_free char *link = xasprintf("%s/.git", t->folder);
    struct stat st;
    if (lstat(link, &st) < 0 || !S_ISREG(st.st_mode))
        return 0;
    error_user(err, "%s is a git work tree, but the repository that %s names is not there",
               t->folder, link);
    return error_hint(err, "git worktree repair mends it; a copy of the files without .git is "
                           "taken whole");
}

int local_git_entries(struct local_tree *t, struct error **err)
{
    git_repository *r = NULL;
    mirror_library_begin();
    int found = git_repository_open_ext(&r, t->folder, 0, NULL);
    if (found == GIT_ENOTFOUND)
        return check_no_git(t, err);
    if (found < 0) { // of a format that libgit2 does not know, say
        git_failed(err, "reading the git repository of %s", t->folder);
        return hint_no_git(err);
    }
    int result = 1;
    cleanup_free char *below = place_in(git_repository_workdir(r), t->folder);
    if (git_repository_is_bare(r)) {
        error_user(err, "%s is in a bare git repository, which has no files", t->folder);
        result = error_hint(err, "name a work tree: git worktree add DIR");
    } else if (!below || is_ignored(r, below)) {
        result = 0;
    } else {
        const struct collecting c = {.tree = t, .prefix = "", .below = below, .repository = r};
        t->git = true;
        result = read_head(t, r, err) < 0 || collect(&c, err) < 0 ? -1 : 1;
    }
    git_repository_free(r);
    return result;
}

char *git_work_tree_of(const char *file)
{
    char real[PATH_MAX];
    git_repository *r = NULL;
    if (!realpath(file, real))
        return NULL;
    *strrchr(real, '/') = '\0';
    mirror_library_begin();
    if (git_repository_open_ext(&r, *real ? real : "/", 0, NULL) < 0)
        return NULL;
    const char *top = git_repository_workdir(r);
    char *out = top && realpath(top, real) ? xstrdup(real) : NULL;
    git_repository_free(r);
    return out;
}
