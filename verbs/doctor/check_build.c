// SPDX-License-Identifier: Apache-2.0
// Checks the requirements of building. Steps run under bubblewrap, so user namespaces come first
// (docs/sandbox.md).
#include "doctor/internal.h"

#include <string.h>

#define GIB (1ull << 30)
#define PERSISTENT " (to keep it after a reboot, write it to a file in /etc/sysctl.d)"
#define NAMESPACES                                                                                 \
    "install bubblewrap and allow user namespaces (the checks above); in a container, also allow " \
    "nested ones: start it with --privileged, or with --security-opt seccomp=unconfined "          \
    "--security-opt apparmor=unconfined --security-opt systempaths=unconfined"

static bool sandbox_works(const struct host *h)
{
    cleanup_buf struct buf text = {0};
    return host_command(h, "sandbox", &text) && starts_with(text.data, "bubblewrap ");
}

// A sysctl; `value` is the one that prevents a sandbox. If a sandbox works, none does.
static enum doctor_state check_sysctl(const struct host *h, const struct doctor_check *c,
                                      struct buf *seen)
{
    cleanup_buf struct buf text = {0};
    cleanup_strlist struct strlist words = {0};
    const char *name = c->argument + strlen("proc/sys/");
    if (!host_read(h, c->argument, &text)) {
        buf_printf(seen, "this kernel has no sysctl %s", name);
        return DOCTOR_SKIP;
    }
    strlist_split(&words, text.data, " \t\n");
    buf_printf(seen, "%s is %s", name, words.n ? words.items[0] : "empty");
    if (!words.n || words.items[0][strspn(words.items[0], "0123456789")])
        return DOCTOR_SKIP;
    if (!strlist_has(&words, c->value))
        return DOCTOR_OK;
    if (!sandbox_works(h))
        return DOCTOR_FAIL;
    buf_puts(seen, ", but a sandbox works for this user");
    return DOCTOR_OK;
}

static enum doctor_state check_sandbox(const struct host *h, const struct doctor_check *c,
                                       struct buf *seen)
{
    cleanup_buf struct buf text = {0};
    if (!host_command(h, "sandbox", &text)) {
        buf_puts(seen, h->live ? "bubblewrap is not installed" : "not tried");
        return DOCTOR_SKIP;
    }
    bool works = starts_with(text.data, "bubblewrap ");
    buf_printf(seen, "%s%.*s", works ? "an empty sandbox works: " : "",
               (int)strcspn(text.data, "\n"), text.data);
    return works ? DOCTOR_OK : DOCTOR_FAIL;
}

static enum doctor_state check_package_sources(const struct host *h, const struct doctor_check *c,
                                               struct buf *seen)
{
    cleanup_buf struct buf text = {0};
    cleanup_strlist struct strlist lines = {0};
    host_command(h, "package-sources", &text);
    strlist_split(&lines, text.data, "\n");
    if (!lines.n) {
        buf_puts(seen, "no file in /etc/apt contains a package source");
        return DOCTOR_FAIL;
    }
    for (size_t i = 0; i < lines.n; i++) { // "FILE N"
        const char *line = lines.items[i], *space = strrchr(line, ' ');
        buf_printf(seen, "%s%.*s (%s)", i ? ", " : "", (int)(space ? space - line : 0), line,
                   space ? space + 1 : line);
    }
    return DOCTOR_OK;
}

// The state of an amount of bytes: less than `low` fails, less than `enough` warns.
static enum doctor_state compare_with_limits(unsigned long long bytes, unsigned long long low,
                                             unsigned long long enough)
{
    return bytes < low ? DOCTOR_FAIL : bytes < enough ? DOCTOR_WARN : DOCTOR_OK;
}

static enum doctor_state check_disk(const struct host *h, const struct doctor_check *c,
                                    struct buf *seen)
{
    cleanup_buf struct buf text = {0};
    char *end;
    host_command(h, "disk", &text);
    unsigned long long bytes = strtoull(text.data, &end, 10);
    if (end == text.data) {
        buf_puts(seen, "not measured");
        return DOCTOR_SKIP;
    }
    buf_printf(seen, "%.1f GiB free in%.*s", (double)bytes / GIB, (int)strcspn(end, "\n"), end);
    return compare_with_limits(bytes, 5 * GIB, 15 * GIB);
}

static enum doctor_state check_execution(const struct host *h, const struct doctor_check *c,
                                         struct buf *seen)
{
    cleanup_buf struct buf text = {0};
    host_command(h, "disk", &text);
    if (!text.len) {
        buf_puts(seen, "not checked");
        return DOCTOR_SKIP;
    }
    bool refused = strstr(text.data, "\nnoexec\n");
    buf_puts(seen, refused ? "its file system is mounted noexec" : "its file system allows it");
    return refused ? DOCTOR_FAIL : DOCTOR_OK;
}

static enum doctor_state check_memory(const struct host *h, const struct doctor_check *c,
                                      struct buf *seen)
{
    cleanup_buf struct buf text = {0};
    host_read(h, "proc/meminfo", &text);
    cleanup_free char *line = host_line_with(text.data, "MemTotal:");
    if (!line) {
        buf_puts(seen, "no /proc/meminfo");
        return DOCTOR_SKIP;
    }
    unsigned long long kib = strtoull(line + strcspn(line, "0123456789"), NULL, 10);
    buf_printf(seen, "%.1f GiB", (double)kib * 1024 / GIB);
    // Inside a machine with 1 GB, slightly less memory is visible.
    return compare_with_limits(kib * 1024, GIB * 7 / 8, GIB * 7 / 2);
}

// "0-3,8" is 5 processors.
static enum doctor_state check_processors(const struct host *h, const struct doctor_check *c,
                                          struct buf *seen)
{
    cleanup_buf struct buf text = {0};
    unsigned long n = 0;
    if (!host_read(h, "sys/devices/system/cpu/online", &text)) {
        buf_puts(seen, "no /sys/devices/system/cpu/online");
        return DOCTOR_SKIP;
    }
    for (char *p = text.data; *p >= '0' && *p <= '9'; p += *p == ',') {
        unsigned long first = strtoul(p, &p, 10), last = first;
        if (*p == '-')
            last = strtoul(p + 1, &p, 10);
        n += last >= first && last < 65536 ? last - first + 1 : 0;
    }
    buf_printf(seen, "%lu online", n);
    return n > 1 ? DOCTOR_OK : DOCTOR_FAIL;
}

#define SYSCTL "proc/sys/"
static const struct doctor_check checks[] = {
    {"build-bubblewrap", "bubblewrap", doctor_check_version, "bwrap-version", "0.5", DOCTOR_FAIL,
     "apt install bubblewrap, or dnf install bubblewrap"},
    {"build-namespaces", "user namespaces", check_sysctl, SYSCTL "user/max_user_namespaces", "0",
     DOCTOR_FAIL, "as root: sysctl user.max_user_namespaces=15000" PERSISTENT},
    {"build-namespaces-unprivileged", "user namespaces for ordinary users", check_sysctl,
     SYSCTL "kernel/unprivileged_userns_clone", "0", DOCTOR_FAIL,
     "as root: sysctl kernel.unprivileged_userns_clone=1" PERSISTENT},
    {"build-namespaces-apparmor", "AppArmor and user namespaces", check_sysctl,
     SYSCTL "kernel/apparmor_restrict_unprivileged_userns", "1", DOCTOR_WARN,
     "add an AppArmor profile for bwrap that allows userns; or, as root: sysctl "
     "kernel.apparmor_restrict_unprivileged_userns=0" PERSISTENT},
    {"build-sandbox", "sandbox", check_sandbox, NULL, NULL, DOCTOR_FAIL, NAMESPACES},
    {"build-mmdebstrap", "mmdebstrap", doctor_check_programs, "mmdebstrap", NULL, DOCTOR_FAIL,
     "apt install mmdebstrap; without it only --builder=host works"},
    {"build-package-sources", "package sources", check_package_sources, NULL, NULL, DOCTOR_FAIL,
     "add your distribution's archive to /etc/apt/sources.list.d, or set REPO_URL and "
     "REPO_COMPONENTS"},
    {"build-tools", "tools", doctor_check_programs, "apt-get dpkg-deb git patch xz", NULL,
     DOCTOR_FAIL, "apt install apt dpkg-dev git patch xz-utils"},
    {"build-compilers", "cross compilers", doctor_check_programs,
     "s390x-linux-gnu-gcc x86_64-linux-gnu-gcc aarch64-linux-gnu-gcc powerpc64le-linux-gnu-gcc",
     NULL, DOCTOR_WARN,
     "needed with --builder=host only, and gcc-s390x-linux-gnu to build kbuild itself: apt install "
     "gcc-<triplet>; builder images contain their own"},
    {"build-qemu", "QEMU to test that results boot", doctor_check_programs,
     "qemu-system-s390x qemu-system-x86_64", NULL, DOCTOR_WARN,
     "apt install qemu-system-misc qemu-system-x86"},
    {"build-kvm", "KVM to boot faster", doctor_check_kvm, NULL, NULL, DOCTOR_WARN,
     "optional, since guests are emulated without it: add the user to the group kvm and log in "
     "again; enable virtualization in the BIOS or, on a virtual machine, nested virtualization"},
    {"build-disk", "free space for the cache", check_disk, NULL, NULL, DOCTOR_FAIL,
     "kbuild cache gc --max-size=10G, or put the cache elsewhere: --cache=DIR, KBUILD_CACHE"},
    {"build-execution", "programs run from the cache", check_execution, NULL, NULL, DOCTOR_FAIL,
     "put the cache on a file system without the option noexec: --cache=DIR, KBUILD_CACHE"},
    {"build-memory", "memory", check_memory, NULL, NULL, DOCTOR_FAIL,
     "linking a kernel and compressing need memory: use a machine with 3.5 GiB or more, or build "
     "with -j 1"},
    {"build-processors", "processors", check_processors, NULL, NULL, DOCTOR_WARN,
     "builds will be slow: use a machine with two processors or more"},
};

static bool always(const struct host *h, struct buf *why)
{
    (void)h, (void)why;
    return true;
}

const struct doctor_group build_group = {"build", "Building", checks, ARRAY_LEN(checks), always};
