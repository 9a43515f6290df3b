// SPDX-License-Identifier: Apache-2.0
// Checks the requirements of building. Steps run under bubblewrap, so user namespaces come first
// (docs/sandbox.md).
#include "doctor/check.h"

#include <string.h>

#define GIB (1ull << 30)
#define NAMESPACES_IN_A_CONTAINER                                                                  \
    "in a container, allow nested namespaces: --privileged, or --security-opt "                    \
    "seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined"

static bool sandbox_works(const struct host *h)
{
    cleanup_buf struct buf text = {0};
    return host_command(h, "sandbox", &text) && starts_with(text.data, "bubblewrap ");
}

// Kernel switches: `wanted` is the value that prevents a sandbox. If a sandbox works, none does.
static enum host_state look_switch(const struct host *h, const struct host_check *c,
                                   struct buf *seen)
{
    cleanup_buf struct buf text = {0};
    cleanup_strlist struct strlist words = {0};
    const char *name = c->argument + strlen("proc/sys/");
    if (!host_read(h, c->argument, &text)) {
        buf_printf(seen, "this kernel has no switch %s", name);
        return HOST_SKIP;
    }
    strlist_split(&words, text.data, " \t\n");
    buf_printf(seen, "%s is %s", name, words.n ? words.items[0] : "empty");
    if (!words.n || words.items[0][strspn(words.items[0], "0123456789")])
        return HOST_SKIP;
    if (!strlist_has(&words, c->wanted))
        return HOST_OK;
    if (!sandbox_works(h))
        return HOST_FAIL;
    buf_puts(seen, ", but a sandbox works for this user");
    return HOST_OK;
}

static enum host_state look_sandbox(const struct host *h, const struct host_check *c,
                                    struct buf *seen)
{
    cleanup_buf struct buf text = {0};
    if (!host_command(h, "sandbox", &text)) {
        buf_puts(seen, h->live ? "bubblewrap is not installed" : "it was not tried");
        return HOST_SKIP;
    }
    bool works = starts_with(text.data, "bubblewrap ");
    buf_printf(seen, "%s%.*s", works ? "an empty one works: " : "", (int)strcspn(text.data, "\n"),
               text.data);
    return works ? HOST_OK : HOST_FAIL;
}

static enum host_state look_package_sources(const struct host *h, const struct host_check *c,
                                            struct buf *seen)
{
    cleanup_buf struct buf text = {0};
    cleanup_strlist struct strlist lines = {0};
    host_command(h, "package-sources", &text);
    strlist_split(&lines, text.data, "\n");
    if (!lines.n) {
        buf_puts(seen, "no file in /etc/apt names a package source");
        return HOST_FAIL;
    }
    for (size_t i = 0; i < lines.n; i++) { // "FILE N"
        const char *line = lines.items[i], *space = strrchr(line, ' ');
        buf_printf(seen, "%s%.*s (%s)", i ? ", " : "", (int)(space ? space - line : 0), line,
                   space ? space + 1 : line);
    }
    return HOST_OK;
}

// The state of an amount of bytes: less than `low` fails, less than `enough` warns.
static enum host_state judge(unsigned long long bytes, unsigned long long low,
                             unsigned long long enough)
{
    return bytes < low ? HOST_FAIL : bytes < enough ? HOST_WARN : HOST_OK;
}

static enum host_state look_disk(const struct host *h, const struct host_check *c, struct buf *seen)
{
    cleanup_buf struct buf text = {0};
    char *end;
    host_command(h, "disk", &text);
    unsigned long long bytes = strtoull(text.data, &end, 10);
    if (end == text.data) {
        buf_puts(seen, "not measured");
        return HOST_SKIP;
    }
    buf_printf(seen, "%.1f GiB free in%.*s", (double)bytes / GIB, (int)strcspn(end, "\n"), end);
    return judge(bytes, 5 * GIB, 15 * GIB);
}

static enum host_state look_execution(const struct host *h, const struct host_check *c,
                                      struct buf *seen)
{
    cleanup_buf struct buf text = {0};
    host_command(h, "disk", &text);
    if (!text.len) {
        buf_puts(seen, "not looked at");
        return HOST_SKIP;
    }
    bool refused = strstr(text.data, "\nnoexec\n");
    buf_puts(seen, refused ? "its file system is mounted noexec" : "its file system allows it");
    return refused ? HOST_FAIL : HOST_OK;
}

static enum host_state look_memory(const struct host *h, const struct host_check *c,
                                   struct buf *seen)
{
    cleanup_buf struct buf text = {0};
    host_read(h, "proc/meminfo", &text);
    cleanup_free char *line = host_line_with(text.data, "MemTotal:");
    if (!line) {
        buf_puts(seen, "no /proc/meminfo");
        return HOST_SKIP;
    }
    unsigned long long kib = strtoull(line + strcspn(line, "0123456789"), NULL, 10);
    buf_printf(seen, "%.1f GiB", (double)kib * 1024 / GIB);
    // Inside a machine with 1 GB, slightly less memory is visible.
    return judge(kib * 1024, GIB * 7 / 8, GIB * 7 / 2);
}

// "0-3,8" is 5 processors.
static enum host_state look_processors(const struct host *h, const struct host_check *c,
                                       struct buf *seen)
{
    cleanup_buf struct buf text = {0};
    unsigned long n = 0;
    if (!host_read(h, "sys/devices/system/cpu/online", &text)) {
        buf_puts(seen, "no /sys/devices/system/cpu/online");
        return HOST_SKIP;
    }
    for (char *p = text.data; *p >= '0' && *p <= '9'; p += *p == ',') {
        unsigned long first = strtoul(p, &p, 10), last = first;
        if (*p == '-')
            last = strtoul(p + 1, &p, 10);
        n += last >= first && last < 65536 ? last - first + 1 : 0;
    }
    buf_printf(seen, "%lu online", n);
    return n > 1 ? HOST_OK : HOST_FAIL;
}

#define SYSCTL "proc/sys/"
static const struct host_check checks[] = {
    {"build-bubblewrap", "bubblewrap", look_version, "bwrap-version", "0.5", HOST_FAIL,
     "apt install bubblewrap, or dnf install bubblewrap"},
    {"build-namespaces", "user namespaces", look_switch, SYSCTL "user/max_user_namespaces", "0",
     HOST_FAIL, "as root: sysctl user.max_user_namespaces=15000"},
    {"build-namespaces-unprivileged", "user namespaces for ordinary users", look_switch,
     SYSCTL "kernel/unprivileged_userns_clone", "0", HOST_FAIL,
     "as root: sysctl kernel.unprivileged_userns_clone=1"},
    {"build-namespaces-apparmor", "AppArmor and user namespaces", look_switch,
     SYSCTL "kernel/apparmor_restrict_unprivileged_userns", "1", HOST_WARN,
     "as root: sysctl kernel.apparmor_restrict_unprivileged_userns=0, or add an AppArmor profile "
     "for "
     "bwrap that allows userns"},
    {"build-sandbox", "sandbox", look_sandbox, NULL, NULL, HOST_FAIL, NAMESPACES_IN_A_CONTAINER},
    {"build-mmdebstrap", "mmdebstrap", look_program, "mmdebstrap", NULL, HOST_FAIL,
     "apt install mmdebstrap; without it only --builder=host works"},
    {"build-package-sources", "package sources", look_package_sources, NULL, NULL, HOST_FAIL,
     "name your distribution's archive in /etc/apt/sources.list.d, or give REPO_URL and "
     "REPO_COMPONENTS"},
    {"build-tools", "tools", look_program, "apt-get dpkg-deb git patch xz", NULL, HOST_FAIL,
     "apt install apt dpkg-dev git patch xz-utils"},
    {"build-compilers", "cross compilers", look_program,
     "s390x-linux-gnu-gcc x86_64-linux-gnu-gcc aarch64-linux-gnu-gcc powerpc64le-linux-gnu-gcc",
     NULL, HOST_WARN,
     "needed with --builder=host only, and gcc-s390x-linux-gnu to build kbuild itself: apt install "
     "gcc-<triplet>; builder images bring their own"},
    {"build-qemu", "QEMU to prove that results boot", look_program,
     "qemu-system-s390x qemu-system-x86_64", NULL, HOST_WARN,
     "apt install qemu-system-misc qemu-system-x86"},
    {"build-kvm", "KVM to boot faster", look_kvm, NULL, NULL, HOST_WARN,
     "optional: add the user to the group kvm, or allow nested virtualization; without it booting "
     "is "
     "emulated"},
    {"build-disk", "free space for the cache", look_disk, NULL, NULL, HOST_FAIL,
     "kbuild cache gc --max-size=10G, or put the cache elsewhere: --cache=DIR, KBUILD_CACHE"},
    {"build-execution", "programs run from the cache", look_execution, NULL, NULL, HOST_FAIL,
     "put the cache on a file system without the option noexec: --cache=DIR, KBUILD_CACHE"},
    {"build-memory", "memory", look_memory, NULL, NULL, HOST_FAIL,
     "linking a kernel and compressing need memory: add some, or build with -j 1"},
    {"build-processors", "processors", look_processors, NULL, NULL, HOST_WARN,
     "builds will be slow: add processors"},
};

static bool always(const struct host *h, struct buf *why)
{
    (void)h, (void)why;
    return true;
}

const struct host_group build_group = {"build", "Building", checks, ARRAY_LEN(checks), always};
