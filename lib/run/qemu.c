// SPDX-License-Identifier: Apache-2.0
#include "run/qemu.h"

#include "base/file.h"
#include "base/log.h"
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <time.h>

// Machine and console by architecture. 2 GiB: an image with swiotlb=262144 sets 512 MiB aside.
static const struct machine_kind {
    const char *arch, *options;
    const char *console; // added to the command line where the kernel does not find it by itself
} machines[] = {
    {"s390x", "-M s390-ccw-virtio -chardev stdio,id=console -device sclpconsole,chardev=console", ""},
    {"x86_64", "-M q35 -serial stdio", " console=ttyS0"},
    {"aarch64", "-M virt -serial stdio", " console=ttyAMA0"},
    {"ppc64le", "-M pseries -serial stdio", " console=hvc0"},
};

static const struct machine_kind *machine_of(const struct machine *m)
{
    size_t i = 0;
    while (strcmp(machines[i].arch, m->arch->name)) // every architecture of arch_table is there
        i++;
    return &machines[i];
}

char *qemu_command_line(const struct machine *m)
{
    return xasprintf("%s%s", m->append, machine_of(m)->console);
}

static bool can_use_kvm(const struct machine *m)
{
    return m->arch == arch_host() && access("/dev/kvm", R_OK | W_OK) == 0;
}

static int build_command(const struct machine *m, bool kvm, struct strlist *argv,
                         struct error **err)
{
    cleanup_free char *name = xasprintf("qemu-system-%s", m->arch->qemu);
    cleanup_free char *program = find_program(name);
    if (!program) {
        error_user(err, "%s is not on PATH", name);
        return error_hint(err, "install QEMU for this architecture; Debian packages: "
                               "qemu-system-x86, qemu-system-misc (s390x), qemu-system-arm, "
                               "qemu-system-ppc");
    }
    strlist_add(argv, program);
    strlist_split(argv, machine_of(m)->options, " ");
    strlist_split(argv, "-m 2048 -smp 1 -display none -nodefaults -no-reboot -kernel", " ");
    strlist_add(argv, m->kernel);
    strlist_split(argv, kvm ? "-accel kvm -cpu max" : "-accel tcg -cpu max", " ");
    if (m->initrd) {
        strlist_add(argv, "-initrd");
        strlist_add(argv, m->initrd);
    }
    if (m->append) {
        strlist_add(argv, "-append");
        cleanup_free char *line = qemu_command_line(m);
        strlist_add(argv, line);
    }
    return 0;
}

// Seconds for a machine under KVM: one that works boots in a fraction of that.
enum { KVM_TIMEOUT = 20 };

struct watch {
    const struct machine *m;
    bool (*matches)(const char *line, void *context);
    void *context;
    struct buf line, tail;
    bool found;
    const char *trouble; // a panic or the like
    unsigned timeout;    // seconds
};

static void take_line(struct watch *w)
{
    while (w->line.len && (w->line.data[w->line.len - 1] == '\r' || !w->line.data[w->line.len - 1]))
        w->line.data[--w->line.len] = '\0';
    const char *line = w->line.data ? w->line.data : "";
    if (w->m->console)
        fprintf(w->m->console, "%s\n", line);
    if (w->m->verbose)
        fprintf(stderr, "%s\n", line);
    if (w->matches(line, w->context))
        w->found = true;
    if (strstr(line, "Kernel panic"))
        w->trouble = "the kernel panicked";
    buf_printf(&w->tail, "    %s\n", line);
    if (w->tail.len > 8192) {
        char *cut = memchr(w->tail.data + w->tail.len - 2048, '\n', 2048);
        size_t from = cut ? (size_t)(cut + 1 - w->tail.data) : w->tail.len - 2048;
        memmove(w->tail.data, w->tail.data + from, w->tail.len - from + 1);
        w->tail.len -= from;
    }
    w->line.len = 0;
}

static void take_bytes(struct watch *w, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] == '\n')
            take_line(w);
        else if (bytes[i] && w->line.len < 65536)
            buf_add(&w->line, &bytes[i], 1);
    }
}

static long long clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static void watch_console(struct watch *w, int fd)
{
    long long end = clock_ms() + w->timeout * 1000LL;
    while (!w->found && !w->trouble) {
        long long left = end - clock_ms();
        struct pollfd p = {.fd = fd, .events = POLLIN};
        char chunk[4096];
        if (left <= 0) {
            w->trouble = "the time is over";
            return;
        }
        if (poll(&p, 1, (int)left) <= 0)
            continue;
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n == 0 || (n < 0 && errno != EINTR)) {
            take_line(w); // a message without a line break at the end
            if (!w->found)
                w->trouble = "the machine ended";
            return;
        }
        if (n > 0)
            take_bytes(w, chunk, (size_t)n);
    }
}

static int run_once(struct watch *w, bool kvm, const char *awaited, struct error **err)
{
    cleanup_strlist struct strlist argv = {0};
    int fds[2];
    if (build_command(w->m, kvm, &argv, err) < 0)
        return -1;
    if (pipe2(fds, O_CLOEXEC) < 0)
        return error_errno(err, errno, "starting QEMU");
    struct process p = {
        .argv = argv.items, .input = -1, .output = fds[1], .errors = fds[1], .own_group = true};
    pid_t pid = process_start(&p, err);
    close(fds[1]);
    if (pid > 0) {
        watch_console(w, fds[0]);
        process_stop(pid, 1000);
    }
    close(fds[0]);
    if (pid > 0 && !w->found)
        error_set(err, ERROR_STEP, "%s, and the console did not show %s; its last lines:\n%s",
                  w->trouble, awaited, w->tail.data ? w->tail.data : "    (nothing)\n");
    buf_free(&w->line);
    buf_free(&w->tail);
    return w->found ? 0 : -1;
}

// Under KVM where it works. Where it does not (nested virtualization of some clouds starts nothing), the
// machine is emulated; a failure then counts.
static int run(struct watch *w, const char *awaited, struct error **err)
{
    if (can_use_kvm(w->m)) {
        struct error *why = NULL;
        w->timeout = w->m->timeout < KVM_TIMEOUT ? w->m->timeout : KVM_TIMEOUT;
        if (run_once(w, true, awaited, &why) == 0)
            return 0;
        error_free(why);
        log_warning("under KVM %s; trying again in software emulation",
                    w->trouble ? w->trouble : "it did not start");
        w->trouble = NULL;
    }
    w->timeout = w->m->timeout;
    return run_once(w, false, awaited, err);
}

static bool contains(const char *line, void *context)
{
    return strstr(line, context) != NULL;
}

int qemu_expect(const struct machine *m, const char *text, struct error **err)
{
    cleanup_free char *copy = xstrdup(text);
    struct watch w = {.m = m, .matches = contains, .context = copy};
    cleanup_free char *awaited = xasprintf("'%s'", text);
    return run(&w, awaited, err);
}

static bool is_report(const char *line, void *context)
{
    const char *start = strstr(line, "{\"smoke-init\"");
    json_t *report = start ? json_loads(start, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
    if (report)
        *(json_t **)context = report;
    return report != NULL;
}

int qemu_expect_init(const struct machine *m, json_t **report, struct error **err)
{
    *report = NULL;
    struct watch w = {.m = m, .matches = is_report, .context = report};
    return run(&w, "the JSON line of smoke-init", err);
}
