// SPDX-License-Identifier: Apache-2.0
// Appends the host's tools to an action key (--builder=host).
#include "base/digest.h"
#include "base/process.h"
#include "sandbox/internal.h"

#include <string.h>

// Compiler and binutils tools: there is one per target, named <triplet>-<name>.
static const char *const target_tools[] = {"gcc",     "g++",     "cpp",    "ld",
                                           "as",      "ar",      "nm",     "strip",
                                           "objcopy", "objdump", "ranlib", "readelf"};

// On the PATH of a step, not the user's.
static char *find_tool(const char *name)
{
    struct strlist folders = {0};
    strlist_split(&folders, SANDBOX_PATH, ":");
    char *found = NULL;
    for (size_t i = 0; !found && i < folders.n; i++) {
        cleanup_free char *path = xasprintf("%s/%s", folders.items[i], name);
        if (access(path, X_OK) == 0 && !is_directory(path))
            found = steal(path);
    }
    strlist_free(&folders);
    return found;
}

// The first line of the output of "--version"; "-" if the tool has no such option.
static char *version_line(char *path)
{
    char option[] = "--version", locale[] = "LC_ALL=C", search[] = "PATH=" SANDBOX_PATH;
    char *argv[] = {path, option, NULL}, *environment[] = {locale, search, NULL};
    struct process p = {.argv = argv, .environment = environment, .input = -1};
    cleanup_buf struct buf out = {0};
    cleanup_error struct error *ignored = NULL;
    if (process_run(&p, &out, &ignored) < 0 || !out.data)
        return xstrdup("-");
    const char *line = out.data + strspn(out.data, " \t\r\n");
    return *line ? xstrndup(line, strcspn(line, "\r\n")) : xstrdup("-");
}

// The lines of the tools found so far, "<name> <digest> <version>": many recipes use the same
// tools.
static struct strlist known;

static const char *known_line(const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < known.n; i++)
        if (starts_with(known.items[i], name) && known.items[i][n] == ' ')
            return known.items[i];
    return NULL;
}

static int add_tool(const char *name, struct strlist *missing, struct buf *out, struct error **err)
{
    const char *line = known_line(name);
    if (line) {
        buf_printf(out, "tool %s\n", line);
        return 0;
    }
    cleanup_free char *path = find_tool(name);
    if (!path) {
        strlist_add(missing, name);
        return 0;
    }
    char digest[DIGEST_HEX_SIZE];
    if (digest_file(path, digest, NULL, err) < 0)
        return -1;
    cleanup_free char *version = version_line(path);
    strlist_addf(&known, "%s %s %s", name, digest, version);
    buf_printf(out, "tool %s\n", known.items[known.n - 1]);
    return 0;
}

static int index_of(const struct arch *a)
{
    return (int)(a - arch_table);
}

static int refuse(const struct recipe_builder *b, const struct arch *target,
                  const struct strlist *missing, struct error **err)
{
    struct strlist packages = {0};
    strlist_add_all(&packages, &b->packages);
    strlist_add_all(&packages, &b->libraries);
    if (target != arch_host())
        strlist_add_all(&packages, &b->cross[index_of(target)]);
    cleanup_free char *tools = strlist_join(missing, ", ");
    cleanup_free char *names = strlist_join(&packages, " ");
    strlist_free(&packages);
    error_user(err, "--builder=host: not installed on this host: %s", tools);
    return error_hint(err, "install what the builder would have (Debian's names): apt install %s",
                      names);
}

int host_tools_key(const struct recipe_builder *b, const struct arch *target, struct buf *out,
                   struct error **err)
{
    struct strlist names = {0}, missing = {0};
    strlist_add_all(&names, &b->tools);
    for (size_t i = 0; target != arch_host() && i < b->tools.n; i++)
        for (size_t k = 0; k < ARRAY_LEN(target_tools); k++)
            if (!strcmp(b->tools.items[i], target_tools[k]))
                strlist_addf(&names, "%s-%s", target->triplet, target_tools[k]);
    strlist_sort(&names);
    int result = 0;
    for (size_t i = 0; !result && i < names.n; i++)
        result = add_tool(names.items[i], &missing, out, err);
    if (!result && missing.n)
        result = refuse(b, target, &missing, err);
    strlist_free(&names);
    strlist_free(&missing);
    return result;
}
