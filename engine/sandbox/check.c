// SPDX-License-Identifier: Apache-2.0
// Checks, once, whether this machine can make a sandbox, by making an empty one; if not, explains
// why and how to fix it.
#include "base/process.h"
#include "sandbox/internal.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

// A switch of the kernel that keeps ordinary users from making user namespaces.
static const struct {
    const char *file; // below /proc/sys
    const char *off;  // its value when namespaces are off
    const char *advice;
} switches[] = {
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

// Messages of bwrap, for failures without a kernel switch.
static const struct {
    const char *words, *advice;
} messages[] = {
    {"Unknown option", "this needs bubblewrap 0.5 or newer"},
    {"mount proc", "in a container, /proc must be whole: docker run --privileged, or "
                   "--security-opt seccomp=unconfined --security-opt apparmor=unconfined "
                   "--security-opt systempaths=unconfined"},
    {"ermission", // "No permissions to create new namespace", "... Operation not permitted"
     "in a container, namespaces must be allowed: docker run --privileged, or "
     "--security-opt seccomp=unconfined --security-opt apparmor=unconfined "
     "--security-opt systempaths=unconfined"},
    {"not permitted", "in a container, namespaces must be allowed: docker run --privileged, or "
                      "--security-opt seccomp=unconfined --security-opt apparmor=unconfined "
                      "--security-opt systempaths=unconfined"},
    {"No space left", "too many namespaces; as root: sysctl user.max_user_namespaces=15000"},
};

// In a chroot the kernel refuses new user namespaces (user_namespaces(7), EPERM), whatever the
// switches are. The root of the first process then differs; without permission to see it, check
// whether "/" is a mount point, which a chroot's folder usually is not.
static bool in_chroot(void)
{
    struct statx own, first;
    if (statx(AT_FDCWD, "/", 0, STATX_INO | STATX_MNT_ID, &own) == 0 &&
        statx(AT_FDCWD, "/proc/1/root/", 0, STATX_INO | STATX_MNT_ID, &first) == 0)
        return own.stx_ino != first.stx_ino || own.stx_dev_minor != first.stx_dev_minor ||
               own.stx_dev_major != first.stx_dev_major || own.stx_mnt_id != first.stx_mnt_id;
    cleanup_buf struct buf mounts = {0};
    return file_read("/proc/self/mountinfo", (size_t)16 << 20, &mounts, NULL) == 0 && mounts.len &&
           !strstr(mounts.data, " / / ") && !strstr(mounts.data, " /@ / ");
}

char *namespace_advice(const char *proc, const char *message)
{
    for (size_t i = 0; i < ARRAY_LEN(switches); i++) {
        cleanup_free char *path = xasprintf("%s/%s", proc, switches[i].file);
        cleanup_buf struct buf value = {0};
        if (file_read(path, 64, &value, NULL) == 0 && value.len &&
            strcspn(value.data, "\n") == strlen(switches[i].off) &&
            starts_with(value.data, switches[i].off))
            return xstrdup(switches[i].advice);
    }
    if (strstr(message, "ermi") && in_chroot())
        return xstrdup("a chroot can make no user namespaces; enter it in another way: "
                       "systemd-nspawn -D DIRECTORY, or bwrap --bind DIRECTORY / --dev /dev --proc "
                       "/proc SHELL");
    for (size_t i = 0; i < ARRAY_LEN(messages); i++)
        if (strstr(message, messages[i].words))
            return xstrdup(messages[i].advice);
    return NULL;
}

// Makes a sandbox like a step's and runs bwrap itself in it, since no other program may exist.
static int probe(const char *bwrap, struct error **err)
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
    if (!works && probe(bwrap, err) < 0)
        return NULL;
    works = true;
    return steal(bwrap);
}
