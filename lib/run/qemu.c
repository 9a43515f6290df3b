// SPDX-License-Identifier: Apache-2.0
#include "run/qemu.h"

#include "base/file.h"
#include "base/log.h"
#include "base/process.h"
#include "base/visible.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <time.h>

// Machine and console by architecture.
static const struct machine_kind {
    const char *arch, *machine, *options;
    const char *console; // added to the command line where the kernel does not find it by itself
} machines[] = {
    {"s390x", "s390-ccw-virtio", "-chardev stdio,id=console -device sclpconsole,chardev=console",
     ""},
    {"x86_64", "q35", "-serial stdio", " console=ttyS0"},
    {"aarch64", "virt", "-serial stdio", " console=ttyAMA0"},
    {"ppc64le", "pseries", "-serial stdio", " console=hvc0"},
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

static char *find_qemu(const struct machine *m, struct error **err)
{
    if (m->program)
        return xstrdup(m->program);
    cleanup_free char *name = xasprintf("qemu-system-%s", m->arch->qemu);
    char *program = find_program(name);
    if (!program) {
        error_user(err, "%s is not on PATH", name);
        error_hint(err, "install QEMU for this architecture; Debian packages: qemu-system-x86, "
                        "qemu-system-misc (s390x), qemu-system-arm, qemu-system-ppc");
    }
    return program;
}

static void add_option(struct strlist *argv, const char *option, const char *value)
{
    if (!value)
        return;
    strlist_add(argv, option);
    strlist_add(argv, value);
}

static void build_command(const struct machine *m, const char *program, bool kvm,
                          struct strlist *argv)
{
    const struct machine_kind *kind = machine_of(m);
    cleanup_free char *memory = xasprintf("%u", MACHINE_MEMORY);
    cleanup_free char *line = m->append ? qemu_command_line(m) : NULL;
    strlist_add(argv, program);
    add_option(argv, "-L", m->data);
    add_option(argv, "-M", m->machine ? m->machine : kind->machine);
    strlist_split(argv, kind->options, " ");
    add_option(argv, "-m", memory);
    strlist_split(argv, "-smp 1 -display none -nodefaults -no-reboot", " ");
    add_option(argv, "-accel", kvm ? "kvm" : "tcg");
    add_option(argv, "-cpu", m->cpu ? m->cpu : "max");
    strlist_split(argv, m->options ? m->options : "", " ");
    add_option(argv, "-bios", m->firmware);
    add_option(argv, "-kernel", m->kernel);
    add_option(argv, "-initrd", m->initrd);
    add_option(argv, "-append", line);
}

// Seconds for a machine under KVM: one that works boots in a fraction of that.
enum { KVM_TIMEOUT = 20 };

struct watch {
    const struct machine *m;
    bool (*matches)(const char *line, void *context);
    void *context;
    struct buf line, tail;
    struct strlist seen; // of m->expect
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
        print_to(stderr, "%s\n", line);
    for (size_t i = 0; w->m->expect && i < w->m->expect->n; i++)
        if (strstr(line, w->m->expect->items[i]))
            strlist_add(&w->seen, w->m->expect->items[i]);
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

static int run_once(struct watch *w, const char *program, bool kvm, const char *awaited,
                    struct error **err)
{
    cleanup_strlist struct strlist argv = {0};
    int fds[2];
    build_command(w->m, program, kvm, &argv);
    cleanup_free char *words = strlist_join(&argv, " ");
    if (w->m->console)
        fprintf(w->m->console, "---- %s\n", words);
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

struct accelerators {
    bool kvm, tcg;
};

// What this QEMU was built with.
static int find_accelerators(const char *program, struct accelerators *out, struct error **err)
{
    char *const argv[] = {(char *)program, (char *)"-accel", (char *)"help", NULL};
    struct process p = {.argv = argv, .input = -1};
    cleanup_buf struct buf text = {0};
    cleanup_strlist struct strlist words = {0};
    if (process_run(&p, &text, err) < 0)
        return error_wrap(err, "asking %s what it can start", program);
    strlist_split(&words, text.data ? text.data : "", " \n");
    *out = (struct accelerators){strlist_has(&words, "kvm"), strlist_has(&words, "tcg")};
    return 0;
}

static int no_emulation(const char *program, const char *kvm, struct error **err)
{
    error_user(err, "%s was built without software emulation (TCG), and %s", path_base(program),
               kvm);
    return error_hint(err, "build it with QEMU_TCG=yes, or try the stack with this machine's QEMU: "
                           "--qemu host");
}

// Under KVM where it works. Where it does not (nested virtualization of some clouds starts
// nothing), the machine is emulated; a failure then counts.
static int run_somehow(struct watch *w, const char *program, const char *awaited,
                       struct error **err)
{
    struct accelerators can = {false, false};
    if (find_accelerators(program, &can, err) < 0)
        return -1;
    bool kvm = can.kvm && w->m->kvm;
    if (w->m->confidential && !kvm)
        return error_user(err, "%s was built without KVM, which a confidential guest needs",
                          path_base(program));
    if (!kvm && !can.tcg)
        return no_emulation(program, can.kvm ? "KVM cannot be used here" : "without KVM", err);
    if (kvm) {
        cleanup_error struct error *why = NULL;
        bool last = w->m->confidential || !can.tcg;
        w->timeout = last || w->m->timeout < KVM_TIMEOUT ? w->m->timeout : KVM_TIMEOUT;
        if (run_once(w, program, true, awaited, &why) == 0)
            return 0;
        if (w->m->confidential) {
            *err = steal(why);
            return -1;
        }
        if (last) {
            cleanup_free char *kvm_says = xasprintf("under KVM %s", why->message);
            return no_emulation(program, kvm_says, err);
        }
        log_warning("under KVM %s; trying again in software emulation",
                    w->trouble ? w->trouble : "it did not start");
        w->trouble = NULL;
        strlist_free(&w->seen);
    }
    w->timeout = w->m->timeout;
    return run_once(w, program, false, awaited, err);
}

static int check_expected(const struct watch *w, struct error **err)
{
    cleanup_strlist struct strlist missing = {0};
    for (size_t i = 0; w->m->expect && i < w->m->expect->n; i++)
        if (!strlist_has(&w->seen, w->m->expect->items[i]))
            strlist_addf(&missing, "'%s'", w->m->expect->items[i]);
    if (!missing.n)
        return 0;
    cleanup_free char *all = strlist_join(&missing, ", ");
    return error_set(err, ERROR_STEP, "it started, but the console did not show %s", all);
}

static int run(struct watch *w, const char *awaited, struct error **err)
{
    cleanup_free char *program = find_qemu(w->m, err);
    int result = program ? run_somehow(w, program, awaited, err) : -1;
    if (!result)
        result = check_expected(w, err);
    strlist_free(&w->seen);
    return result;
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
    if (run(&w, "the JSON line of smoke-init", err) == 0)
        return 0;
    json_decref(*report);
    *report = NULL;
    return -1;
}
