// SPDX-License-Identifier: Apache-2.0
// bwrap: checks once that it can make a sandbox on this machine, and holds the arguments of one.
#include "base/process.h"
#include "sandbox/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

// ---- whether this machine can make a sandbox ----

// A switch of the kernel that keeps ordinary users from making user namespaces.
static const struct {
    const char *file; // below /proc/sys
    const char *off;  // its value when namespaces are off
    const char *advice;
} namespace_switches[] = {
    {"user/max_user_namespaces", "0",
     "user namespaces are switched off; as root: sysctl user.max_user_namespaces=15000"},
    {"kernel/unprivileged_userns_clone", "0",
     "user namespaces are switched off for ordinary users; as root: "
     "sysctl kernel.unprivileged_userns_clone=1"},
    {"kernel/apparmor_restrict_unprivileged_userns", "1",
     "AppArmor keeps ordinary users from user namespaces; as root: "
     "sysctl kernel.apparmor_restrict_unprivileged_userns=0, or add an AppArmor profile for "
     "bwrap that allows userns"},
};

#define DOCKER_OPTIONS                                                                             \
    "docker run --privileged, or --security-opt seccomp=unconfined --security-opt "                \
    "apparmor=unconfined --security-opt systempaths=unconfined"

#define CHROOT_ADVICE                                                                              \
    "a chroot can make no user namespaces; enter it in another way: systemd-nspawn -D DIRECTORY, " \
    "or bwrap --bind DIRECTORY / --dev /dev --proc /proc SHELL"

// Messages of bwrap, for failures without a kernel switch.
static const struct {
    const char *words, *advice;
} bwrap_messages[] = {
    {"Unknown option", "this needs bubblewrap 0.5 or newer"},
    {"mount proc", "in a container, /proc must be whole: " DOCKER_OPTIONS},
    // "No permissions to create new namespace", "... Operation not permitted"
    {"ermission", "in a container, namespaces must be allowed: " DOCKER_OPTIONS},
    {"not permitted", "in a container, namespaces must be allowed: " DOCKER_OPTIONS},
    {"No space left", "too many namespaces; as root: sysctl user.max_user_namespaces=15000"},
};

// What /proc/self/mountinfo (proc(5): root and mount point are its fourth and fifth field) says of
// "/": 1 if nothing is mounted there, as in most chroots; 0 if it is a whole file system; -1 if it
// is a directory of one, which is bound there in containers and in some chroots.
static int root_is_of_chroot(const char *mounts)
{
    int result = 1;
    for (const char *line = mounts; *line;) {
        size_t n = strcspn(line, "\n");
        cleanup_free char *text = xstrndup(line, n);
        cleanup_strlist struct strlist fields = {0};
        strlist_split(&fields, text, " ");
        const char *root = fields.n > 4 && !strcmp(fields.items[4], "/") ? fields.items[3] : NULL;
        if (root)
            result = !strcmp(root, "/") || !strcmp(root, "/@") ? 0 : -1; // the last is on top
        line += n + (line[n] == '\n');
    }
    return result;
}

// In a chroot the kernel refuses new user namespaces (user_namespaces(7), EPERM), whatever the
// switches are. The root of the first process then differs; without permission to see it, the
// mounts are asked. -1: perhaps.
static int in_chroot(void)
{
    struct statx own, first;
    if (statx(AT_FDCWD, "/", 0, STATX_INO | STATX_MNT_ID, &own) == 0 &&
        statx(AT_FDCWD, "/proc/1/root/", 0, STATX_INO | STATX_MNT_ID, &first) == 0)
        return own.stx_ino != first.stx_ino || own.stx_dev_minor != first.stx_dev_minor ||
               own.stx_dev_major != first.stx_dev_major || own.stx_mnt_id != first.stx_mnt_id;
    cleanup_buf struct buf mounts = {0};
    if (file_read("/proc/self/mountinfo", (size_t)16 << 20, &mounts, NULL) < 0 || !mounts.len)
        return 0;
    return root_is_of_chroot(mounts.data);
}

char *namespace_advice(const char *proc, const char *message)
{
    for (size_t i = 0; i < ARRAY_LEN(namespace_switches); i++) {
        cleanup_free char *path = xasprintf("%s/%s", proc, namespace_switches[i].file);
        cleanup_buf struct buf value = {0};
        if (file_read(path, 64, &value, NULL) < 0)
            continue;
        buf_trim_end(&value);
        if (value.len && !strcmp(value.data, namespace_switches[i].off))
            return xstrdup(namespace_switches[i].advice);
    }
    int chroot = strstr(message, "ermi") ? in_chroot() : 0;
    if (chroot > 0)
        return xstrdup(CHROOT_ADVICE);
    for (size_t i = 0; i < ARRAY_LEN(bwrap_messages); i++)
        if (strstr(message, bwrap_messages[i].words))
            return chroot ? xasprintf("%s; " CHROOT_ADVICE, bwrap_messages[i].advice)
                          : xstrdup(bwrap_messages[i].advice);
    return NULL;
}

// Makes a sandbox like a step's and runs bwrap itself in it, since no other program may exist.
static int probe_sandbox(const char *bwrap, struct error **err)
{
    cleanup_strlist struct strlist argv = {0}, environment = {0};
    strlist_add(&argv, bwrap);
    strlist_split(&argv,
                  "--unshare-all --unshare-user --die-with-parent --uid 0 --gid 0 --cap-drop ALL "
                  "--hostname kbuild --clearenv --ro-bind / / --proc /proc --dev /dev --perms 1777 "
                  "--tmpfs /tmp --",
                  " ");
    strlist_add(&argv, bwrap);
    strlist_add(&argv, "--version");
    strlist_add(&environment, "LC_ALL=C");
    cleanup_buf struct buf version = {0};
    struct process p = {.argv = argv.items, .environment = environment.items, .input = -1};
    struct error *why = NULL;
    if (process_run(&p, &version, &why) == 0)
        return 0;
    cleanup_free char *advice = namespace_advice("/proc/sys", why->message);
    error_user(err, "this machine can't make a sandbox: %s", why->message);
    error_hint(err, "%s",
               advice ? advice : "steps need bubblewrap and user namespaces: see docs/sandbox.md");
    error_free(why);
    return -1;
}

char *bwrap_check(struct error **err)
{
    static bool works; // checked once per process
    cleanup_free char *bwrap = find_program("bwrap");
    if (!bwrap) {
        error_user(err, "bwrap is not installed: steps can't be run");
        error_hint(err, "install bubblewrap (apt install bubblewrap, dnf install bubblewrap)");
        return NULL;
    }
    if (!works && probe_sandbox(bwrap, err) < 0)
        return NULL;
    works = true;
    return steal(bwrap);
}

// ---- arguments of bwrap ----

void bwrap_add_all(struct bwrap_arguments *a, const char *const *texts)
{
    for (; *texts; texts++)
        strlist_add(&a->list, *texts);
}

int memory_file(const char *name, const void *bytes, size_t length, struct error **err)
{
    cleanup_close int fd = memfd_create(name, MFD_CLOEXEC);
    if (fd < 0)
        return error_errno(err, errno, "making a memory file for %s", name);
    if (fd_write_all(fd, name, bytes, length, err) < 0)
        return -1;
    if (lseek(fd, 0, SEEK_SET) < 0)
        return error_errno(err, errno, "rewinding a memory file for %s", name);
    return steal_fd(&fd);
}

int bwrap_add_text(struct bwrap_arguments *a, const char *path, const char *text,
                   struct error **err)
{
    if (a->fd_count == ARRAY_LEN(a->fds))
        return error_user(err, "no room for the text of %s", path);
    int fd = memory_file(path, text, strlen(text), err);
    if (fd < 0)
        return -1;
    a->fds[a->fd_count++] = fd;
    bwrap_add(a, "--perms", "0644", "--ro-bind-data");
    strlist_addf(&a->list, "%d", fd);
    strlist_add(&a->list, path);
    return 0;
}

void bwrap_arguments_free(struct bwrap_arguments *a)
{
    for (size_t i = 0; i < a->fd_count; i++)
        close(a->fds[i]);
    strlist_free(&a->list);
    *a = (struct bwrap_arguments){0};
}
