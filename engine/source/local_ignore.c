// SPDX-License-Identifier: Apache-2.0
// Finds the files that git ignores in a work tree. The program git is exact; libgit2, used if git
// is missing, drops a negation ("!x.o") whose pattern is in another file.
//
// The repository is untrusted, and git's configuration can name programs: for a file system monitor
// (core.fsmonitor), for hooks, and for a server that is asked for a missing object (a partial
// clone: core.sshCommand, ext::). `ls-files` and `check-ignore` with the settings here run none of
// them, and write nothing.
#include "base/error.h"
#include "base/process.h"
#include "source/git_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

extern char **environ;

void local_ignore_note(const struct local_tree *t)
{
    cleanup_free char *git = find_program("git");
    if (!git)
        log_warning("%s: git is not installed: libgit2 decides what %s ignores, and applies "
                    "\"!\" only within one .gitignore",
                    t->label, t->folder);
}

// ---- the program ----

// Of the user's git variables, keeps only those for the location of the configuration.
static bool is_kept_variable(const char *variable)
{
    static const char *const kept[] = {
        "GIT_CONFIG_GLOBAL=", "GIT_CONFIG_SYSTEM=", "GIT_CONFIG_NOSYSTEM=", "GIT_EXEC_PATH="};
    for (size_t i = 0; i < ARRAY_LEN(kept); i++)
        if (starts_with(variable, kept[i]))
            return true;
    return !starts_with(variable, "GIT_") && !starts_with(variable, "LC_ALL=");
}

static void git_environment(struct strlist *out)
{
    for (char *const *v = environ; v && *v; v++)
        if (is_kept_variable(*v))
            strlist_add(out, *v);
    strlist_add(out, "LC_ALL=C");
    strlist_add(out, "GIT_OPTIONAL_LOCKS=0");
    strlist_add(out, "GIT_TERMINAL_PROMPT=0");
    strlist_add(out, "GIT_NO_LAZY_FETCH=1");     // since git 2.45, and 2.39.4 of the older ones
    strlist_add(out, "GIT_ALLOW_PROTOCOL=none"); // for all the others
}

// The repository is given, not searched for: libgit2 found it, and checked its owner.
static void git_command(const struct local_rules *r, struct strlist *out)
{
    strlist_add(out, "git");
    strlist_addf(out, "--git-dir=%s", git_repository_path(r->repository));
    strlist_addf(out, "--work-tree=%s", git_repository_workdir(r->repository));
    static const char *const settings[] = {"--no-pager",
                                           "-c",
                                           "core.fsmonitor=",
                                           "-c",
                                           "core.untrackedCache=false",
                                           "-c",
                                           "core.hooksPath=/dev/null"};
    for (size_t i = 0; i < ARRAY_LEN(settings); i++)
        strlist_add(out, settings[i]);
}

static int program_untracked(const struct local_rules *r, struct buf *names, struct error **err)
{
    cleanup_strlist struct strlist argv = {0}, environment = {0};
    git_command(r, &argv);
    strlist_split(&argv, "ls-files -z --others --exclude-standard", " ");
    git_environment(&environment);
    const struct process p = {
        .argv = argv.items, .environment = environment.items, .directory = r->folder, .input = -1};
    if (process_run(&p, names, err) < 0)
        return error_wrap(err, "asking git for the files of %s", r->folder);
    return 0;
}

static int program_ignored(const struct local_rules *r, const char *path, struct error **err)
{
    cleanup_close int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    cleanup_strlist struct strlist argv = {0}, environment = {0};
    git_command(r, &argv);
    strlist_split(&argv, "check-ignore -q --", " ");
    strlist_addf(&argv, "./%s", path); // a name can begin with ':'
    git_environment(&environment);
    const struct process p = {.argv = argv.items,
                              .environment = environment.items,
                              .directory = git_repository_workdir(r->repository),
                              .input = -1,
                              .output = nowhere,
                              .errors = nowhere};
    int status = 0;
    pid_t pid = nowhere < 0 ? error_errno(err, errno, "opening /dev/null") : process_start(&p, err);
    if (pid < 0 || process_wait(pid, &status, err) < 0)
        return -1;
    if (!WIFEXITED(status) || WEXITSTATUS(status) > 1) {
        cleanup_free char *how = process_status_text(status);
        return error_user(err, "asking git whether %s is ignored in %s: %s", path,
                          git_repository_workdir(r->repository), how);
    }
    return WEXITSTATUS(status) == 0;
}

// ---- libgit2 ----

static int add_status(const struct local_rules *r, const git_status_entry *e, struct buf *names,
                      struct error **err)
{
    const char *path = e->index_to_workdir ? e->index_to_workdir->new_file.path : "";
    size_t n = strlen(r->below);
    if (strncmp(path, r->below, n) || !path[n])
        return 0;
    if (e->status & GIT_STATUS_WT_UNREADABLE)
        return error_errno(err, EACCES, "reading %s/%s", r->folder, path + n);
    if (e->status & GIT_STATUS_WT_NEW)
        buf_add(names, path + n, strlen(path + n) + 1);
    return 0;
}

static int library_untracked(const struct local_rules *r, struct buf *names, struct error **err)
{
    git_status_list *list = NULL;
    git_status_options o;
    char *below = (char *)r->below;
    git_status_options_init(&o, GIT_STATUS_OPTIONS_VERSION);
    o.show = GIT_STATUS_SHOW_WORKDIR_ONLY;
    o.flags = GIT_STATUS_OPT_INCLUDE_UNTRACKED | GIT_STATUS_OPT_RECURSE_UNTRACKED_DIRS |
              GIT_STATUS_OPT_INCLUDE_UNREADABLE | GIT_STATUS_OPT_EXCLUDE_SUBMODULES |
              GIT_STATUS_OPT_DISABLE_PATHSPEC_MATCH;
    if (*below)
        o.pathspec = (git_strarray){&below, 1};
    if (git_status_list_new(&list, r->repository, &o) < 0)
        return git_failed(err, "asking libgit2 for the files of %s", r->folder);
    int result = 0;
    for (size_t i = 0; !result && i < git_status_list_entrycount(list); i++)
        result = add_status(r, git_status_byindex(list, i), names, err);
    git_status_list_free(list);
    return result;
}

// A folder with tracked files is not ignored, whatever the rules say.
static int library_ignored(const struct local_rules *r, const char *path, struct error **err)
{
    int ignored = 0;
    git_index *index = NULL;
    cleanup_free char *folder = xasprintf("%s/", path);
    if (git_ignore_path_is_ignored(&ignored, r->repository, folder) < 0 ||
        (ignored && git_repository_index(&index, r->repository) < 0))
        return git_failed(err, "asking libgit2 whether %s is ignored", path);
    if (ignored && git_index_find_prefix(NULL, index, folder) == 0)
        ignored = 0;
    git_index_free(index);
    return ignored != 0;
}

// ---- git or libgit2 ----

int local_untracked(const struct local_rules *r, struct buf *names, struct error **err)
{
    cleanup_free char *git = find_program("git");
    return git ? program_untracked(r, names, err) : library_untracked(r, names, err);
}

int local_ignored(const struct local_rules *r, const char *path, struct error **err)
{
    cleanup_free char *git = find_program("git");
    return git ? program_ignored(r, path, err) : library_ignored(r, path, err);
}
