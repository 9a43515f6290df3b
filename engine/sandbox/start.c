// SPDX-License-Identifier: Apache-2.0
// Starts sandboxes: collects bwrap's arguments (the root, mounts, devices and environment of a
// step), and starts it.
#include "base/process.h"
#include "sandbox/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

// ---- devices ----
// bwrap shows the host's device nodes. If root runs kbuild they belong to the step's user: a build
// that sets the mode of its output to 0600 and writes it to /dev/null (some do) would change the
// host's node. So kbuild has its own nodes, in the host's /dev because a /tmp or /run may be
// mounted without devices.

#define DEVICE_FOLDER "/dev/kbuild"

// Numbers: Documentation/admin-guide/devices.txt of Linux.
static const struct {
    const char *name;
    unsigned major, minor;
} device_nodes[] = {{"null", 1, 3},   {"zero", 1, 5},    {"full", 1, 7},
                    {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0}};

// True if the node exists in the right form: also one of an earlier run, whose mode a step changed.
static bool make_device_node(const char *path, dev_t device)
{
    struct stat st;
    if (mknod(path, S_IFCHR | 0666, device) < 0 && errno != EEXIST)
        return false;
    if (lstat(path, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != device)
        return false;
    return chmod(path, 0666) == 0; // whatever the mask is
}

// A /dev whose nodes a step can't change for the host.
static void add_devices(struct bwrap_arguments *a)
{
    bwrap_add(a, "--dev", "/dev");
    if (geteuid() != 0)
        return;
    // If root may make neither, as in some containers, the host's nodes are used.
    struct stat st;
    if (mkdir(DEVICE_FOLDER, 0755) < 0 && errno != EEXIST)
        return;
    if (lstat(DEVICE_FOLDER, &st) < 0 || !S_ISDIR(st.st_mode) || st.st_uid != 0)
        return;
    for (size_t i = 0; i < ARRAY_LEN(device_nodes); i++) {
        cleanup_free char *path = xasprintf(DEVICE_FOLDER "/%s", device_nodes[i].name);
        cleanup_free char *inside = xasprintf("/dev/%s", device_nodes[i].name);
        if (make_device_node(path, makedev(device_nodes[i].major, device_nodes[i].minor)))
            bwrap_add(a, "--dev-bind", path, inside);
    }
}

// ---- a step's arguments ----

// An empty top-level directory that contains mounts ("/src" for "/src/linux") must be in the new
// root, since no mount point can be made in a read-only one.
static bool holds_mounts(const struct sandbox *s, const char *path, const char *inside)
{
    bool wanted = false;
    for (size_t i = 0; i < s->mount_count && !wanted; i++)
        wanted = starts_with(s->mounts[i].destination, inside) &&
                 s->mounts[i].destination[strlen(inside)] == '/';
    struct strlist names = {0};
    bool empty = wanted && list_directory(path, &names, NULL) == 0 && names.n == 0;
    strlist_free(&names);
    return empty;
}

// Shows each top-level entry of the root file system on a new, empty root, so that every mount
// point can be made there, whoever made the root file system.
static int add_root_entries(struct bwrap_arguments *a, const struct sandbox *s, struct error **err)
{
    const char *root = s->root;
    // Made by bwrap, or by the kernel: their content in the root file system is not shown.
    static const char *const replaced[] = {"dev", "proc", "sys", "tmp", "run"};
    struct strlist names = {0};
    int result = list_directory(root, &names, err);
    for (size_t i = 0; !result && i < names.n; i++) {
        const char *name = names.items[i];
        bool skip = false;
        for (size_t k = 0; k < ARRAY_LEN(replaced); k++)
            skip = skip || !strcmp(name, replaced[k]);
        if (skip)
            continue;
        cleanup_free char *path = xasprintf("%s/%s", root, name);
        cleanup_free char *inside = xasprintf("/%s", name);
        struct stat st;
        char target[4096];
        if (lstat(path, &st) < 0) {
            result = error_errno(err, errno, "looking at %s", path);
        } else if (S_ISLNK(st.st_mode)) {
            ssize_t n = readlink(path, target, sizeof target - 1);
            target[n > 0 ? n : 0] = '\0';
            bwrap_add(a, "--symlink", target, inside);
        } else if (S_ISREG(st.st_mode) || (S_ISDIR(st.st_mode) && !holds_mounts(s, path, inside))) {
            bwrap_add(a, "--ro-bind", path, inside);
        }
    }
    strlist_free(&names);
    return result;
}

static int add_root(struct bwrap_arguments *a, const struct sandbox *s, struct error **err)
{
    if (!s->root)
        return bwrap_add_host_root(a, err);
    if (!is_directory(s->root))
        return error_user(err, "the root file system %s is not a directory", s->root);
    if (!s->root_writable) {
        bwrap_add(a, "--dir", "/run");
        return add_root_entries(a, s, err);
    }
    bwrap_add(a, "--bind", s->root, "/");
    return 0;
}

// The parts of /proc that the host's root can write, which is uid 0 inside if root runs kbuild.
// bwrap itself skips those directories that are closed to it only because it lacks capabilities.
static void add_proc(struct bwrap_arguments *a)
{
    static const char *const read_only[] = {
        "/proc/sys",  "/proc/sysrq-trigger", "/proc/irq",  "/proc/bus",    "/proc/fs",
        "/proc/scsi", "/proc/acpi",          "/proc/mtrr", "/proc/driver", "/proc/asound",
    };
    static const char *const hidden[] = {
        "/proc/kcore", "/proc/keys", "/proc/key-users", "/proc/timer_list", "/proc/sched_debug",
    };
    bwrap_add(a, "--proc", "/proc");
    for (size_t i = 0; i < ARRAY_LEN(read_only); i++)
        if (path_exists(read_only[i]))
            bwrap_add(a, "--ro-bind", read_only[i], read_only[i]);
    for (size_t i = 0; i < ARRAY_LEN(hidden); i++)
        if (path_exists(hidden[i]))
            bwrap_add(a, "--ro-bind", "/dev/null", hidden[i]);
}

static int add_mounts(struct bwrap_arguments *a, const struct sandbox *s, struct error **err)
{
    for (size_t i = 0; i < s->mount_count; i++) {
        const struct sandbox_mount *m = &s->mounts[i];
        if (m->destination[0] != '/')
            return error_user(err, "the mount point '%s' is not absolute", m->destination);
        if (!path_exists(m->source))
            return error_errno(err, ENOENT, "showing %s as %s", m->source, m->destination);
        bwrap_add(a, m->writable ? "--bind" : "--ro-bind", m->source, m->destination);
    }
    return 0;
}

static int add_environment(struct bwrap_arguments *a, const struct sandbox *s, struct error **err)
{
    bwrap_add(a, "--clearenv");
    for (size_t i = 0; s->environment && i < s->environment->n; i++) {
        const char *pair = s->environment->items[i], *equals = strchr(pair, '=');
        if (!equals || equals == pair)
            return error_user(err, "'%s' is no NAME=value for the environment of a step", pair);
        cleanup_free char *name = xstrndup(pair, (size_t)(equals - pair));
        bwrap_add(a, "--setenv", name, equals + 1);
    }
    return 0;
}

static int collect_arguments(struct bwrap_arguments *a, const struct sandbox *s, struct error **err)
{
    // All capabilities are dropped, so that uid 0 inside may do no more than the user. A step of
    // the host's root behaves the same as an ordinary user's.
    cleanup_free char *id = xasprintf("%u", s->uid);
    bwrap_add(a, "--unshare-all", "--unshare-user", "--die-with-parent", "--uid", id, "--gid", id,
              "--cap-drop", "ALL", "--hostname", s->hostname ? s->hostname : "kbuild");
    // A separate session. A shell already has one, with a terminal of kbuild (interact.c).
    if (!s->interactive)
        strlist_add(&a->list, "--new-session");
    if (add_root(a, s, err) < 0)
        return -1;
    add_proc(a);
    add_devices(a);
    bwrap_add(a, "--perms", "1777", "--tmpfs", "/tmp");
    if (add_mounts(a, s, err) < 0)
        return -1;
    if (s->clock)
        bwrap_add(a, "--ro-bind", s->clock, SANDBOX_CLOCK);
    if (!s->root || !s->root_writable)
        bwrap_add(a, "--remount-ro", "/");
    if (s->directory)
        bwrap_add(a, "--chdir", s->directory);
    return add_environment(a, s, err);
}

// bwrap reads its arguments, each ended by a NUL, from a file: the environment of a step does not
// show in the host's process list, and no limit of the command line applies.
static int arguments_file(const struct bwrap_arguments *a, struct error **err)
{
    cleanup_buf struct buf text = {0};
    for (size_t i = 0; i < a->list.n; i++)
        buf_add(&text, a->list.items[i], strlen(a->list.items[i]) + 1);
    return memory_file("arguments", text.data, text.len, err);
}

static pid_t start_bwrap(const char *bwrap, struct bwrap_arguments *a, const struct sandbox *s,
                         struct error **err)
{
    if (collect_arguments(a, s, err) < 0 || bwrap_add_filter(a, err) < 0)
        return -1;
    cleanup_close int file = arguments_file(a, err);
    if (file < 0)
        return -1;

    int keep[ARRAY_LEN(a->fds) + 3];
    size_t count = 0;
    keep[count++] = file;
    for (size_t i = 0; i < a->fd_count; i++)
        keep[count++] = a->fds[i];
    for (size_t i = 0; i < 2 && (s->jobserver[0] || s->jobserver[1]); i++)
        keep[count++] = s->jobserver[i];

    struct strlist argv = {0};
    strlist_add(&argv, bwrap);
    strlist_add(&argv, "--args");
    strlist_addf(&argv, "%d", file);
    strlist_add(&argv, "--");
    for (char *const *p = s->argv; *p; p++)
        strlist_add(&argv, *p);
    // bwrap remains inside as process 1: with an empty environment it reveals nothing.
    static char *const nothing[] = {NULL};
    struct process process = {
        .argv = argv.items,
        .environment = nothing,
        .directory = "/",
        .input = s->input,
        .output = s->output,
        .errors = s->errors ? s->errors : s->output,
        .keep = keep,
        .keep_count = count,
        .mask = s->umask ? s->umask : 022,
        .own_group = true,
        .tree = true,
        .own_keyring = true,
        .terminal = s->interactive,
    };
    pid_t pid = process_start(&process, err);
    strlist_free(&argv);
    return pid;
}

pid_t sandbox_start(const struct sandbox *s, struct error **err)
{
    cleanup_free char *bwrap = bwrap_check(err);
    if (!bwrap)
        return -1;
    struct bwrap_arguments arguments = {0};
    pid_t pid = start_bwrap(bwrap, &arguments, s, err);
    bwrap_arguments_free(&arguments);
    return pid < 0 ? error_wrap(err, "starting a sandbox for %s", s->argv[0]) : pid;
}

int sandbox_wait(pid_t pid, int *status, struct error **err)
{
    return process_wait(pid, status, err);
}
