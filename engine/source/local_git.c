// SPDX-License-Identifier: Apache-2.0
// Finds the files of a folder that git tracks or does not ignore, and compares those that were
// taken with the tree of the commit that is checked out there: kinds, executable bits, and blob ids
// computed from the taken bytes. libgit2 reads the index and the commit, local_ignore.c finds
// ignored files. Nothing is written, and no program of the repository's configuration runs.
#include "base/error.h"
#include "source/git_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// ---- the taken files and the commit's tree ----

#define EXPECTED_MAX ((size_t)5000000)

struct expect_context {
    struct local_tree *tree;
    const char *prefix;
};

static enum tree_kind kind_of_mode(git_filemode_t mode)
{
    switch (mode) {
    case GIT_FILEMODE_BLOB_EXECUTABLE:
        return TREE_EXECUTABLE;
    case GIT_FILEMODE_LINK:
        return TREE_LINK;
    case GIT_FILEMODE_COMMIT:
        return TREE_DIRECTORY;
    default:
        return TREE_FILE;
    }
}

static int expect_entry(const char *folder, const git_tree_entry *entry, void *context)
{
    const struct expect_context *x = context;
    struct local_tree *t = x->tree;
    git_filemode_t mode = git_tree_entry_filemode(entry);
    if (++t->visited > EXPECTED_MAX) // a few nested trees can mean any number of files
        return -1;
    if (mode == GIT_FILEMODE_TREE)
        return 0;
    t->expected = xgrow(t->expected, &t->expected_cap, t->expected_n + 1, sizeof *t->expected);
    struct local_expected *e = &t->expected[t->expected_n++];
    *e = (struct local_expected){.kind = kind_of_mode(mode)};
    e->path = xasprintf("%s%s%s", x->prefix, folder, git_tree_entry_name(entry));
    git_oid_tostr(e->id, sizeof e->id, git_tree_entry_id(entry));
    return 0;
}

static int expect_tree(struct local_tree *t, const git_tree *tree, const char *prefix,
                       struct error **err)
{
    struct expect_context x = {t, prefix};
    int walked = git_tree_walk(tree, GIT_TREEWALK_PRE, expect_entry, &x);
    if (t->visited > EXPECTED_MAX)
        return error_user(err, "the commit that is checked out in %s/%s has more than %zu entries",
                          t->folder, prefix, EXPECTED_MAX);
    if (walked < 0)
        return git_failed(err, "reading the commit that is checked out in %s/%s", t->folder,
                          prefix);
    return 0;
}

// The files of a tree of the repository that are below `below` ("" or "src/") are expected at
// `prefix` ("" or "lib/").
static int expect_files(struct local_tree *t, const git_tree *tree, const char *below,
                        const char *prefix, struct error **err)
{
    size_t n = strlen(below);
    if (!n)
        return expect_tree(t, tree, prefix, err);
    cleanup_free char *path = xstrndup(below, n - 1);
    git_tree_entry *entry = NULL;
    git_object *inner = NULL;
    int result = git_tree_entry_bypath(&entry, tree, path);
    if (result == GIT_ENOTFOUND) // then all files are new
        return 0;
    if (result == 0 && git_tree_entry_type(entry) == GIT_OBJECT_TREE)
        result = git_tree_entry_to_object(&inner, git_tree_owner(tree), entry);
    git_tree_entry_free(entry);
    if (result < 0)
        return git_failed(err, "reading the commit that is checked out in %s", t->folder);
    result = inner ? expect_tree(t, (const git_tree *)inner, prefix, err) : 0;
    git_object_free(inner);
    return result;
}

#define NESTING_MAX 16

struct git_collection {
    struct local_tree *tree;
    const char *prefix; // of the repository's files in the folder: "", or "lib/x/"
    const char *below;  // only these of the repository: "", or "src/"
    git_repository *repository;
    git_tree *head; // of the commit that is expected to be checked out, or NULL
    unsigned depth;
};

static int collect_repository(const struct git_collection *c, struct error **err);

static int refuse_git(const char *folder, struct error **err)
{
    struct stat st;
    cleanup_free char *git = xasprintf("%s/.git", folder);
    bool file = stat(git, &st) == 0 && S_ISREG(st.st_mode);
    if (file)
        error_user(err, "%s is a git work tree, but the repository that %s names is not there",
                   folder, git);
    else
        error_user(err, "%s is no usable git repository: what is ignored in %s is not known", git,
                   folder);
    return error_hint(err, "%s, or move it away; a copy of the files without .git is taken whole",
                      file ? "git worktree repair repairs a work tree that was moved"
                           : "restore it");
}

int local_check_git(const char *folder, struct error **err)
{
    git_repository *r = NULL;
    int found = git_repository_open_ext(&r, folder, GIT_REPOSITORY_OPEN_NO_SEARCH, NULL);
    git_repository_free(r);
    return found < 0 ? refuse_git(folder, err) : 0;
}

// An error with libgit2's reason, for a repository in an unknown format.
static int refuse_format(const char *doing, const char *folder, struct error **err)
{
    static const struct {
        const char *reason, *hint;
    } known[] = {
        {"'link'", "it is a split index: git update-index --no-split-index undoes that"},
        {"'sdir'", "it is a sparse index: git sparse-checkout reapply --no-sparse-index undoes "
                   "that"},
    };
    const git_error *last = git_error_last();
    const char *reason = last && last->message ? last->message : "", *hint = NULL;
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (strstr(reason, known[i].reason))
            hint = known[i].hint;
    git_failed(err, "%s %s", doing, folder);
    return error_hint(err, "%s",
                      hint ? hint
                           : "what libgit2 cannot read (SHA-256, say): a copy of the "
                             "files without .git is taken whole");
}

// The path in the folder of a path in the repository, to be freed; NULL if it is outside.
static char *path_in_tree(const struct git_collection *c, const char *path)
{
    size_t n = strlen(c->below);
    return strncmp(path, c->below, n) || !path[n] ? NULL : xasprintf("%s%s", c->prefix, path + n);
}

static int check_index_path(const struct git_collection *c, const char *path, struct error **err)
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

// The id of the submodule's commit in the outer commit at the path: false if there is none.
static bool pinned_commit(const struct git_collection *c, const char *path, git_oid *out)
{
    cleanup_free char *whole = xasprintf("%s%s", c->below, path + strlen(c->prefix));
    git_tree_entry *entry = NULL;
    bool found = c->head && git_tree_entry_bypath(&entry, c->head, whole) == 0 &&
                 git_tree_entry_type(entry) == GIT_OBJECT_COMMIT;
    if (found)
        git_oid_cpy(out, git_tree_entry_id(entry));
    git_tree_entry_free(entry);
    return found;
}

// The files that the outer commit expects there. If it pins a commit that is missing, they cannot
// be compared.
static int expect_nested(const struct git_collection *c, const char *path,
                         struct git_collection *inner, struct error **err)
{
    git_oid id;
    git_commit *commit = NULL;
    if (!c->tree->compare || !pinned_commit(c, path, &id))
        return 0;
    int result = 0;
    if (git_commit_lookup(&commit, inner->repository, &id) < 0)
        c->tree->dirty = true;
    else if (git_commit_tree(&inner->head, commit) < 0)
        result = git_failed(err, "reading the commit of %s/%s", c->tree->folder, path);
    git_commit_free(commit);
    return result;
}

static int open_nested(const struct git_collection *c, const char *folder, git_repository **out,
                       struct error **err)
{
    int found = git_repository_open_ext(out, folder, GIT_REPOSITORY_OPEN_NO_SEARCH, NULL);
    if (found == GIT_ENOTFOUND)
        return refuse_git(folder, err);
    if (found < 0)
        return refuse_format("reading the git repository", folder, err);
    const char *workdir = git_repository_workdir(*out);
    if (!workdir || !same_folder(workdir, folder))
        return error_user(err, "the git repository %s has its files elsewhere: %s", folder,
                          workdir ? workdir : "nowhere");
    if (c->depth + 1 > NESTING_MAX)
        return error_user(err, "%s: repositories are nested more than %d deep", folder,
                          NESTING_MAX);
    return 0;
}

static int collect_nested(const struct git_collection *c, const char *path, struct error **err)
{
    cleanup_free char *folder = xasprintf("%s/%s", c->tree->folder, path);
    cleanup_free char *prefix = xasprintf("%s/", path);
    struct git_collection inner = {
        .tree = c->tree, .prefix = prefix, .below = "", .depth = c->depth + 1};
    int result = open_nested(c, folder, &inner.repository, err);
    if (!result)
        result = expect_nested(c, path, &inner, err);
    if (!result)
        result = collect_repository(&inner, err);
    git_tree_free(inner.head);
    git_repository_free(inner.repository);
    return result;
}

// Whether upstream's export also has an empty folder there (git_tree.c): the submodule has no
// url, or is not to be updated.
static int is_left_out(const struct git_collection *c, const char *path, struct error **err)
{
    const char *name = path + strlen(c->prefix);
    const git_tree_entry *entry = c->head ? git_tree_entry_byname(c->head, ".gitmodules") : NULL;
    git_blob *blob = NULL;
    struct submodule_places places = {0};
    if (!entry || git_tree_entry_type(entry) != GIT_OBJECT_BLOB)
        return 0;
    if (git_blob_lookup(&blob, c->repository, git_tree_entry_id(entry)) < 0)
        return git_failed(err, "reading .gitmodules of %s", c->tree->folder);
    cleanup_free char *whole = xasprintf("%s%s", c->below, name);
    int result = submodule_places_parse(c->tree->folder, git_blob_rawcontent(blob),
                                        (size_t)git_blob_rawsize(blob), &places, err);
    const struct submodule_place *place = submodule_place_find(&places, whole);
    if (!result)
        result = !place || !place->url || place->skip;
    submodule_places_free(&places);
    git_blob_free(blob);
    return result;
}

static int add_submodule(const struct git_collection *c, const char *path, struct error **err)
{
    enum submodules wanted = c->tree->submodules;
    local_tree_add(c->tree, path, true, true);
    if (wanted == SUBMODULES_NO || (wanted == SUBMODULES_DIRECT && c->depth))
        return 0;
    if (is_repository(c->tree, path))
        return collect_nested(c, path, err);
    int left_out = is_left_out(c, path, err);
    if (left_out)
        return left_out < 0 ? -1 : 0;
    c->tree->dirty = true;
    log_warning("%s: the submodule %s of %s is not checked out: its directory stays empty "
                "(git submodule update --init)",
                c->tree->label, path, c->tree->folder);
    return 0;
}

// ---- one repository ----

static int add_tracked_files(const struct git_collection *c, struct error **err)
{
    git_index *index = NULL;
    if (git_repository_index(&index, c->repository) < 0)
        return refuse_format("reading the git repository of", c->tree->folder, err);
    int result = 0;
    for (size_t i = 0; !result && i < git_index_entrycount(index); i++) {
        const git_index_entry *e = git_index_get_byindex(index, i);
        cleanup_free char *path = path_in_tree(c, e->path);
        if (!path)
            continue;
        result = check_index_path(c, path, err);
        if (!result && e->mode == GIT_FILEMODE_COMMIT)
            result = add_submodule(c, path, err);
        else if (!result)
            local_tree_add(c->tree, path, false, true);
    }
    git_index_free(index);
    return result;
}

static int add_untracked_file(const struct git_collection *c, const char *name, struct error **err)
{
    size_t n = strlen(name);
    bool nested = n && name[n - 1] == '/';
    cleanup_free char *path = xasprintf("%s%.*s", c->prefix, (int)(nested ? n - 1 : n), name);
    if (local_is_own(c->tree, path, false))
        return 0;
    if (check_index_path(c, path, err) < 0)
        return -1;
    if (!nested)
        local_tree_add(c->tree, path, false, false);
    else if (is_repository(c->tree, path))
        return collect_nested(c, path, err);
    return 0;
}

static int add_untracked_files(const struct git_collection *c, const struct local_rules *rules,
                               struct error **err)
{
    cleanup_buf struct buf names = {0};
    int result = local_untracked(rules, &names, err);
    for (size_t at = 0; !result && at < names.len; at += strlen(names.data + at) + 1)
        result = add_untracked_file(c, names.data + at, err);
    return result;
}

// ---- unreadable folders ----

// libgit2 treats a folder that it may not open as missing. So each folder is opened; ignored ones
// may be unreadable. Paths are below the collected folder.
static int refuse_closed(const struct git_collection *c, const char *path, struct error **err)
{
    const struct local_rules rules = {.repository = c->repository};
    cleanup_free char *whole = xasprintf("%s%s", c->below, path);
    int ignored = local_ignored(&rules, whole, err);
    if (ignored)
        return ignored < 0 ? -1 : 0;
    return error_errno(err, EACCES, "reading %s/%s%s", c->tree->folder, c->prefix, path);
}

static int check_closed(const struct beneath_entry *e, int errnum, void *collecting,
                        struct error **err)
{
    bool refused = errnum == EACCES && strcmp(e->name, ".git") != 0;
    return refused ? refuse_closed(collecting, e->path, err) : 0;
}

// Not entered: git's own folder, kbuild's own, another repository, or deeper than any source is.
static int check_folder(const struct beneath_entry *e, void *collecting, struct error **err)
{
    const struct git_collection *c = collecting;
    if (e->event != BENEATH_ENTER || !e->depth)
        return 0;
    cleanup_free char *shown = xasprintf("%s%s", c->prefix, e->path);
    bool left_out = !strcmp(e->name, ".git") || e->depth > TREE_DEPTH_MAX ||
                    local_is_own(c->tree, shown, false) ||
                    faccessat(e->fd, ".git", F_OK, AT_SYMLINK_NOFOLLOW) == 0;
    return left_out ? BENEATH_SKIP : 0;
}

static int check_readable(const struct git_collection *c, struct error **err)
{
    cleanup_free char *top = xasprintf("%s/%s", c->tree->folder, c->prefix);
    cleanup_close int fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == EACCES ? refuse_closed(c, "", err)
                               : error_errno(err, errno, "reading %s", top);
    const struct beneath_walk walk = {
        .visit = check_folder, .closed = check_closed, .context = (void *)c};
    return beneath_walk(fd, top, &walk, err);
}

static int collect_repository(const struct git_collection *c, struct error **err)
{
    cleanup_free char *folder =
        xasprintf("%s%s%s", c->tree->folder, *c->prefix ? "/" : "", c->prefix);
    const struct local_rules rules = {
        .repository = c->repository, .folder = folder, .below = c->below};
    if (c->tree->compare && c->head && expect_files(c->tree, c->head, c->below, c->prefix, err) < 0)
        return -1;
    if (add_tracked_files(c, err) < 0 || add_untracked_files(c, &rules, err) < 0)
        return -1;
    return check_readable(c, err);
}

// ---- the repository of the folder ----

// *tree gets that of the commit; NULL if nothing was committed yet.
static int read_head(struct local_tree *t, git_repository *r, git_tree **tree, struct error **err)
{
    git_oid id;
    git_commit *commit = NULL;
    char hex[GIT_OID_HEXSZ + 1];
    int found = git_reference_name_to_id(&id, r, "HEAD");
    if (found == GIT_ENOTFOUND || found == GIT_EUNBORNBRANCH) { // nothing was committed yet
        t->dirty = true;
        return 0;
    }
    if (found < 0 || git_commit_lookup(&commit, r, &id) < 0 || git_commit_tree(tree, commit) < 0) {
        git_failed(err, "reading the commit that is checked out in %s", t->folder);
        git_commit_free(commit);
        return -1;
    }
    t->commit = xstrdup(git_oid_tostr(hex, sizeof hex, &id));
    t->time = git_commit_time(commit) > 0 ? git_commit_time(commit) : 0;
    git_commit_free(commit);
    return 0;
}

// The folder's path in the work tree: "" or "src/"; to be freed. NULL: outside.
static char *path_in_work_tree(const char *workdir, const char *folder)
{
    char real[PATH_MAX];
    if (!workdir || !realpath(workdir, real))
        return NULL;
    size_t n = strlen(real);
    while (n && real[n - 1] == '/')
        n--;
    real[n] = '\0';
    const char *below = path_below(folder, real);
    if (!below)
        return NULL;
    return *below ? xasprintf("%s/", below) : xstrdup("");
}

// Rejects a `.git` in the folder, or above it up to `top` (NULL: the root of the file system), that
// git did not accept as a repository: its rules are unknown, and the rules of a repository further
// up do not apply to the folder.
static int check_unused_git(const struct local_tree *t, const char *top, struct error **err)
{
    cleanup_free char *at = xstrdup(t->folder);
    while (*at && !(top && same_folder(at, top))) {
        cleanup_free char *git = xasprintf("%s/.git", at);
        struct stat st;
        if (lstat(git, &st) == 0) // a working one is behind a mount, where git does not look
            return local_check_git(at, err);
        *strrchr(at, '/') = '\0';
    }
    return 0;
}

static int refuse_bare(const struct local_tree *t, struct error **err)
{
    error_user(err, "%s is in a bare git repository, which has no files", t->folder);
    return error_hint(err, "name a work tree: git worktree add DIR");
}

static int collect_outermost(struct local_tree *t, git_repository *r, const char *below,
                             struct error **err)
{
    struct git_collection c = {.tree = t, .prefix = "", .below = below, .repository = r};
    t->git = true;
    local_ignore_note(t);
    int result = read_head(t, r, &c.head, err);
    if (!result)
        result = collect_repository(&c, err);
    git_tree_free(c.head);
    return result < 0 ? -1 : 1;
}

// A folder that git ignores is not part of the repository around it.
static int collect_unless_ignored(struct local_tree *t, git_repository *r, struct error **err)
{
    cleanup_free char *below = path_in_work_tree(git_repository_workdir(r), t->folder);
    const struct local_rules rules = {.repository = r};
    if (!below)
        return 0;
    cleanup_free char *path = xstrndup(below, *below ? strlen(below) - 1 : 0);
    int ignored = *path ? local_ignored(&rules, path, err) : 0;
    if (ignored)
        return ignored < 0 ? -1 : 0;
    return collect_outermost(t, r, below, err);
}

int local_git_entries(struct local_tree *t, struct error **err)
{
    git_repository *r = NULL;
    mirror_library_begin();
    int found = git_repository_open_ext(&r, t->folder, 0, NULL);
    if (found == GIT_ENOTFOUND)
        return check_unused_git(t, NULL, err);
    if (found < 0)
        return refuse_format("reading the git repository of", t->folder, err);
    int result = git_repository_is_bare(r) ? refuse_bare(t, err)
                                           : check_unused_git(t, git_repository_workdir(r), err);
    if (!result)
        result = collect_unless_ignored(t, r, err);
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
