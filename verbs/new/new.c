// SPDX-License-Identifier: Apache-2.0
// Writes a new recipe: from a template, or as a copy.
#include "new/new.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

// ---- the template ----
// {name} is filled in.

static const char recipe_template[] =
    "# `kbuild {name}` makes build/kata-static-{name}.tar.xz of this. A key that begins with a # "
    "is left out;\n"
    "# docs/recipes.md has all keys.\n"
    "\n"
    "# One line, which `kbuild list` shows.\n"
    "description: {name}, in one line\n"
    "\n"
    "# What it can be built for; --arch chooses.\n"
    "architectures: [x86_64, s390x, aarch64, ppc64le]\n"
    "\n"
    "# The script in this directory that makes it. It has no network.\n"
    "run: build.sh\n"
    "\n"
    "# The root file system that the script runs in.\n"
    "builder:\n"
    "  # Recipes with the same name and packages here share one.\n"
    "  # name: {name}\n"
    "  # Packages of this machine's distribution.\n"
    "  packages: [bash, coreutils]\n"
    "  # Programs that --builder=host takes from this machine instead.\n"
    "  tools: [bash, install]\n"
    "  # More packages, for a target of another architecture than this machine's.\n"
    "  # cross: {s390x: [gcc-s390x-linux-gnu]}\n"
    "\n"
    "# What of your environment reaches the script; nothing else does.\n"
    "variables:\n"
    "  GREETING: {type: text, default: hello}\n"
    "\n"
    "# Constants in its environment.\n"
    "environment:\n"
    "  FILE: greeting.txt\n"
    "\n"
    "# Trees below /src. Their versions are in versions.yaml, their commits or digests in "
    "versions.lock.\n"
    "# sources:\n"
    "#   busybox:\n"
    "#     version: externals.busybox\n"
    "#     git: \"{url}\"\n"
    "#     ref: \"{version}\"\n"
    "\n"
    "# Other targets whose files the script finds below /deps.\n"
    "# needs: [kernel]\n"
    "\n"
    "# Directories beside this one that it finds below /shared.\n"
    "# shared: [my-common]\n"
    "\n"
    "# The names of the tarballs, if it is not one of the recipe's name.\n"
    "# outputs: [{name}, {name}-extra]\n"
    "\n"
    "# yes: it is for guests, and `kbuild install` leaves it out.\n"
    "guest: no\n"
    "\n"
    "# no: it only goes into other targets, and build/ gets it only if it is asked for by name.\n"
    "release: yes\n";

static const char script_template[] =
    "#!/bin/bash\n"
    "# Needs: /src/<source>, /deps/<target>, /recipe (this directory), none of which can be "
    "written to.\n"
    "# Leaves: /out/{name}, whose content becomes the tarball.\n"
    "# It runs in /build, which is empty; `kbuild shell {name}` opens a shell there.\n"
    "set -eu\n"
    "umask 022\n"
    "printf '%s, %s for %s\\n' \"$GREETING\" \"$TARGET\" \"$ARCH\" >\"$FILE\"\n"
    "install -D -m 0644 \"$FILE\" \"/out/{name}$PREFIX/share/{name}/$FILE\"\n";

static int write_file(const char *folder, const char *name, const char *text, mode_t mode,
                      struct error **err)
{
    cleanup_free char *path = xasprintf("%s/%s", folder, name);
    return file_write(path, text, strlen(text), mode, err);
}

static int write_template(const char *folder, const char *name, struct error **err)
{
    const struct placeholder names[] = {{"{name}", name}};
    cleanup_free char *recipe = placeholders_expand(recipe_template, names, 1);
    cleanup_free char *script = placeholders_expand(script_template, names, 1);
    return write_file(folder, "recipe.yaml", recipe, 0644, err) < 0
               ? -1
               : write_file(folder, "build.sh", script, 0755, err);
}

// ---- a copy ----

enum { TEXT_MAX = 1 << 20 };

// Scripts name their output's folder. A file that is no text, or names none, stays as it is.
static int rename_in_file(const char *path, const char *old, const char *new, struct error **err)
{
    cleanup_buf struct buf text = {0};
    struct stat st;
    if (lstat(path, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > TEXT_MAX)
        return 0;
    if (file_read(path, TEXT_MAX, &text, err) < 0)
        return -1;
    cleanup_free char *from = xasprintf("/out/%s", old), *to = xasprintf("/out/%s", new);
    if (!text.data || strlen(text.data) != text.len || !strstr(text.data, from))
        return 0;
    const struct placeholder folder = {from, to};
    cleanup_free char *changed = placeholders_expand(text.data, &folder, 1);
    return file_write(path, changed, strlen(changed), st.st_mode & 0777, err);
}

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || strchr("._-/", c) != NULL;
}

// Adds the line with the name where it means the recipe itself: in "outputs: [old, old-modules]",
// and in a part of its result, "old:opt/kata/share/x". Another recipe stays.
static void rename_in_line(const char *line, size_t n, const char *old, const char *new,
                           struct buf *out)
{
    size_t length = strlen(old);
    bool outputs = starts_with(line, "outputs:");
    for (size_t i = 0; i < n;) {
        bool begins = !i || !is_name_byte(line[i - 1]);
        bool found = begins && n - i > length && !strncmp(line + i, old, length);
        char next = found ? line[i + length] : '\0', after = next ? line[i + length + 1] : '\0';
        bool part = next == ':' && after && !strchr(" \t\r\n", after);
        if (found && (part || (outputs && (next == '-' || !is_name_byte(next))))) {
            buf_puts(out, new);
            i += length;
        } else {
            buf_add(out, &line[i++], 1);
        }
    }
}

static int rewrite_recipe(const char *folder, const char *old, const char *new, struct error **err)
{
    cleanup_free char *path = xasprintf("%s/recipe.yaml", folder);
    cleanup_buf struct buf text = {0}, out = {0};
    if (file_read(path, (size_t)4 << 20, &text, err) < 0)
        return -1;
    buf_printf(&out, "# A copy of %s, made by kbuild new.\n", old);
    for (const char *line = text.data ? text.data : ""; *line;) {
        size_t n = strcspn(line, "\n");
        n += line[n] == '\n';
        rename_in_line(line, n, old, new, &out);
        line += n;
    }
    return file_write(path, out.data, out.len, 0644, err);
}

static int copy_recipe(const char *folder, const struct recipe *like, const char *name,
                       struct error **err)
{
    cleanup_strlist struct strlist names = {0};
    if (copy_tree(like->folder, folder, err) < 0 || list_directory(folder, &names, err) < 0 ||
        rewrite_recipe(folder, like->name, name, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++) {
        cleanup_free char *path = xasprintf("%s/%s", folder, names.items[i]);
        if (rename_in_file(path, like->name, name, err) < 0)
            return -1;
    }
    return 0;
}

// ---- both ----

static int check_name(const struct new_request *r, struct error **err)
{
    if (!recipe_name_is_valid(r->name)) {
        error_set(err, ERROR_USAGE, "'%s' cannot be the name of a target", r->name);
        return error_hint(err,
                          "a name is made of a-z 0-9 . _ -, begins with a letter or digit, and "
                          "has at most 100 characters");
    }
    const char *reserved = recipe_name_reserved(r->name);
    if (reserved) {
        error_set(err, ERROR_USAGE, "'%s' cannot be the name of a target: it is that of %s",
                  r->name, reserved);
        return error_hint(err, "choose another name");
    }
    bool own = r->set && same_file(recipe_set_origin(r->set, r->name), r->recipes);
    if (r->set && recipe_exists(r->set, r->name) && (own || !r->like)) {
        const struct recipe *known = recipe_get(r->set, r->name, NULL);
        error_user(err, "there is a target %s already%s%s", r->name, known ? ": " : "",
                   known ? known->file : "");
        if (own)
            return error_hint(err, "choose another name, or change that one");
        return error_hint(err, "choose another name, or replace it by a copy: --like %s", r->name);
    }
    cleanup_strlist struct strlist names = {0};
    if (r->set && recipe_names(r->set, &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++) {
        const struct recipe *other = recipe_get(r->set, names.items[i], NULL);
        if (!other || !strlist_has(&other->outputs, r->name) || !strcmp(other->name, r->name))
            continue;
        error_user(err, "%s is an output of the target %s already", r->name, other->name);
        return error_hint(err, "choose another name");
    }
    return 0;
}

static int fill_and_place(const struct new_request *r, const struct recipe *like, const char *draft,
                          const char *folder, struct strlist *files, struct error **err)
{
    cleanup_strlist struct strlist names = {0};
    if ((like ? copy_recipe(draft, like, r->name, err) : write_template(draft, r->name, err)) < 0)
        return -1;
    if (chmod(draft, 0755) < 0 ||
        renameat2(AT_FDCWD, draft, AT_FDCWD, folder, RENAME_NOREPLACE) < 0)
        return error_errno(err, errno, "making %s", folder);
    if (list_directory(folder, &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++)
        strlist_addf(files, "%s/%s", folder, names.items[i]);
    return 0;
}

// As the next kbuild reads it: what it replaces may be loaded already.
static int check_result(const struct new_request *r, struct error **err)
{
    cleanup_strlist struct strlist directories = {0};
    strlist_add_all(&directories, recipe_set_directories(r->set));
    if (!same_file(directories.items[directories.n - 1], r->recipes))
        strlist_add(&directories, r->recipes);
    struct recipe_set *set = recipe_set_open(&directories, err);
    bool good = set && recipe_get(set, r->name, err);
    recipe_set_free(set);
    return good ? 0 : error_wrap(err, "the new recipe needs a change before it can be used");
}

int new_recipe(const struct new_request *r, struct strlist *files, struct error **err)
{
    cleanup_free char *folder = xasprintf("%s/%s", r->recipes, r->name);
    struct stat st;
    if (check_name(r, err) < 0)
        return -1;
    const struct recipe *like = r->like && r->set ? recipe_get(r->set, r->like, err) : NULL;
    if (r->like && !like)
        return r->set ? -1 : error_user(err, "there are no recipes to copy %s from", r->like);
    if (lstat(folder, &st) == 0) {
        error_user(err, "%s exists", folder);
        return error_hint(err, "nothing was overwritten: remove it, or choose another name");
    }
    if (make_directories(r->recipes, 0755, err) < 0)
        return -1;
    cleanup_free char *draft = make_temporary_directory(r->recipes, ".new-", err);
    if (!draft)
        return error_hint(err, "recipes of your own go into a directory of yours: --recipes DIR");
    int result = fill_and_place(r, like, draft, folder, files, err);
    remove_tree(draft, NULL); // a no-op after success
    return !result && r->set ? check_result(r, err) : result;
}
