// SPDX-License-Identifier: Apache-2.0
// Uses the host's own tools (--builder=host): shows the paths in these tables as a step's root file
// system, and nothing else of the host; writes the tools and their versions into keys.
#include "base/digest.h"
#include "base/process.h"
#include "sandbox/internal.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

// ---- its root file system ----

// Shown unchanged: a directory read-only, a symbolic link (merged /usr) as a link.
static const char *const host_trees[] = {
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/nix/store",
    "/gnu/store", // where such hosts keep the programs that /usr links to
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/ssl/openssl.cnf",
    "/etc/perl",
    "/etc/magic",
};

const struct etc_file etc_files[] = {
    {"/etc/passwd", "root:x:0:0:root:/root:/bin/bash\n"
                    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"},
    {"/etc/group", "root:x:0:\nnogroup:x:65534:\n"},
    {"/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"},
    {"/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n"
                           "services: files\nprotocols: files\n"},
};
const size_t etc_file_count = ARRAY_LEN(etc_files);

static int add_host_tree(struct bwrap_arguments *a, const char *path, struct error **err)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        return errno == ENOENT || errno == ENOTDIR
                   ? 0
                   : error_errno(err, errno, "looking at the host's %s", path);
    if (!S_ISLNK(st.st_mode)) {
        bwrap_add(a, "--ro-bind", path, path);
        return 0;
    }
    char target[4096];
    ssize_t n = readlink(path, target, sizeof target - 1);
    if (n < 0)
        return error_errno(err, errno, "reading the link %s", path);
    target[n] = '\0';
    bwrap_add(a, "--symlink", target, path);
    return 0;
}

int bwrap_add_host_root(struct bwrap_arguments *a, struct error **err)
{
    bwrap_add(a, "--dir", "/root");
    for (size_t i = 0; i < ARRAY_LEN(host_trees); i++)
        if (add_host_tree(a, host_trees[i], err) < 0)
            return -1;
    for (size_t i = 0; i < etc_file_count; i++)
        if (bwrap_add_text(a, etc_files[i].path, etc_files[i].text, err) < 0)
            return -1;
    return 0;
}

// ---- tools in a key ----

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
static struct strlist known_tools;

static const char *known_tool_line(const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < known_tools.n; i++)
        if (starts_with(known_tools.items[i], name) && known_tools.items[i][n] == ' ')
            return known_tools.items[i];
    return NULL;
}

static int add_tool(struct store *s, const char *name, struct strlist *missing, struct buf *out,
                    struct error **err)
{
    const char *line = known_tool_line(name);
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
    if (store_digest_file(s, path, digest, err) < 0)
        return -1;
    cleanup_free char *version = version_line(path);
    strlist_addf(&known_tools, "%s %s %s", name, digest, version);
    buf_printf(out, "tool %s\n", known_tools.items[known_tools.n - 1]);
    return 0;
}

static int arch_index(const struct arch *a)
{
    return (int)(a - arch_table);
}

static int refuse_missing_tools(const struct recipe_builder *b, const struct arch *target,
                                const struct strlist *missing, struct error **err)
{
    struct strlist packages = {0};
    strlist_add_all(&packages, &b->packages);
    strlist_add_all(&packages, &b->libraries);
    if (target != arch_host())
        strlist_add_all(&packages, &b->cross[arch_index(target)]);
    cleanup_free char *tools = strlist_join(missing, ", ");
    cleanup_free char *names = strlist_join(&packages, " ");
    strlist_free(&packages);
    error_user(err, "--builder=host: not installed on this host: %s", tools);
    return error_hint(err, "install what the builder would have (Debian's names): apt install %s",
                      names);
}

int host_tools_key(struct store *s, const struct recipe_builder *b, const struct arch *target,
                   struct buf *out, struct error **err)
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
        result = add_tool(s, names.items[i], &missing, out, err);
    if (!result && missing.n)
        result = refuse_missing_tools(b, target, &missing, err);
    strlist_free(&names);
    strlist_free(&missing);
    return result;
}
