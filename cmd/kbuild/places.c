// SPDX-License-Identifier: Apache-2.0
// Finds the project that kbuild is run in, and the file with its settings; refuses those above the
// current directory that somebody else made.
#include "kbuild.h"

#include "base/file.h"

#include <limits.h>
#include <string.h>
#include <sys/stat.h>

// As git's safe.directory: kbuild runs the scripts of a project and does what its settings say, and
// who stands in a directory has not looked at all those above it. Why the folder, or what it has of
// these names, is not to be trusted; to be freed. NULL: it is.
static char *distrust_any(const char *folder, const char *const *names)
{
    char *why = path_distrust(*folder ? folder : "/");
    for (size_t i = 0; !why && names[i]; i++) {
        cleanup_free char *path = xasprintf("%s/%s", folder, names[i]);
        if (path_exists(path))
            why = path_distrust(path);
        if (!why && is_directory(path))
            why = tree_distrust(path);
    }
    return why;
}

static void check_project(struct places *p, const char *folder)
{
    static const char *const names[] = {"versions.yaml", "versions.lock", "recipes", NULL};
    cleanup_free char *why = distrust_any(folder, names);
    if (!why)
        return;
    error_user(&p->project_fault, "the project in %s, above the current directory: %s", folder,
               why);
    error_hint(&p->project_fault,
               "it could run anything as you. If you trust it: run kbuild in %s itself, or give "
               "--versions %s/versions.yaml --recipes %s/recipes",
               folder, folder, folder);
}

static void check_settings(struct places *p, const char *folder)
{
    static const char *const names[] = {NULL}; // settings_read() looks at the file
    cleanup_free char *why = distrust_any(folder, names);
    if (!why)
        return;
    error_user(&p->settings_fault, "the settings in %s, above the current directory: %s",
               p->settings, why);
    error_hint(&p->settings_fault,
               "they could say what is built, and from what. If you trust them: --settings %s; "
               "without them: --settings none",
               p->settings);
}

static bool is_project(const char *folder)
{
    cleanup_free char *versions = xasprintf("%s/versions.yaml", folder);
    cleanup_free char *recipes = xasprintf("%s/recipes", folder);
    return path_exists(versions) && is_directory(recipes);
}

// Calls `look` for the folder and those above it until it returns true.
static bool climb(const char *start, bool (*look)(struct places *p, const char *folder, bool first),
                  struct places *p)
{
    cleanup_free char *folder = xstrdup(start);
    bool first = true;
    for (char *end = folder + strlen(folder); end; end = strrchr(folder, '/'), first = false) {
        *end = '\0';
        if (look(p, folder, first))
            return true;
    }
    return false;
}

static bool look_here(struct places *p, const char *folder, bool here)
{
    struct stat st;
    cleanup_free char *settings = xasprintf("%s/kbuild.yaml", folder);
    if (!p->settings && lstat(settings, &st) == 0) {
        p->settings = steal(settings);
        if (!here)
            check_settings(p, folder);
    }
    p->installed = ends_with(folder, "/share/kbuild");
    if (!is_project(folder))
        return false;
    p->project = xstrdup(folder);
    if (!here)
        check_project(p, folder);
    return true;
}

// What lies by the program itself is as trustworthy as that.
static bool look_by_program(struct places *p, const char *folder, bool first)
{
    cleanup_free char *shared = xasprintf("%s/share/kbuild", folder);
    p->installed = ends_with(folder, "/share/kbuild");
    if (!is_project(folder)) {
        p->installed = is_project(shared);
        if (!p->installed)
            return false;
        folder = shared;
    }
    p->project = xstrdup(folder);
    return true;
}

void places_find(struct places *out)
{
    cleanup_free char *here = getcwd(NULL, 0);
    char program[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    program[n > 0 ? n : 0] = '\0';
    *out = (struct places){0};
    if (climb(here ? here : "/", look_here, out) || climb(program, look_by_program, out))
        return;
    out->installed = false;
    out->project = xstrdup(here ? here : ".");
}

void places_free(struct places *p)
{
    free(p->project);
    free(p->settings);
    error_free(p->project_fault);
    error_free(p->settings_fault);
    *p = (struct places){0};
}
