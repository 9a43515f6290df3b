// SPDX-License-Identifier: Apache-2.0
// Runs a guest under QEMU: watches its console, decides what that proves, and runs the client of
// its service.
#include "boot/internal.h"

#include "base/error.h"
#include "base/file.h"
#include "base/print.h"
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

// Seconds for a machine under KVM: a working one boots in a fraction of that.
enum { KVM_TIMEOUT = 20 };
// The longest time of a conversation after the end of its machine.
enum { AFTER_END_MS = 2000 };

// A machine that runs, or will run.
struct guest {
    const struct machine *m;
    bool (*matches)(const char *line, void *context);
    void *context;
    const char *awaited_text;            // context of `matches`, or NULL
    bool may_panic;                      // a panic is expected
    const struct strlist *service_texts; // console texts of the guest's service, or NULL
    json_t **report;                     // place of init's JSON line, or NULL
    guest_client *client;                // the client, called after these texts; or NULL
    void *client_context;
    int console; // pipe
    long long end;
    struct buf line, tail, input;
    struct strlist seen; // of m->expect and of `serving`
    bool found;
    bool ended;          // during a conversation
    bool panicked;       // the kernel
    const char *failure; // a panic or the like
    unsigned timeout;    // seconds
};

// Linux, init/main.c: how the console shows the command line.
#define LINUX_COMMAND_LINE "Kernel command line: "
#define PANIC "Kernel panic"          // Linux, kernel/panic.c
#define INIT_REPORT "{\"smoke-init\"" // how the line of recipes/smoke-init begins

static void record_seen_texts(struct guest *g, const struct strlist *texts, const char *line)
{
    for (size_t i = 0; texts && i < texts->n; i++)
        if (strstr(line, texts->items[i]) && !strlist_has(&g->seen, texts->items[i]))
            strlist_add(&g->seen, texts->items[i]);
}

// Evaluates a line. Lines after a panic count for nothing.
static void evaluate_line(struct guest *g, const char *line)
{
    if (g->failure)
        return;
    record_seen_texts(g, g->m->expect, line);
    record_seen_texts(g, g->service_texts, line);
    const char *command_line = strstr(line, LINUX_COMMAND_LINE);
    if (command_line && g->m->seen_command_line && !*g->m->seen_command_line)
        *g->m->seen_command_line = xstrdup(command_line + strlen(LINUX_COMMAND_LINE));
    if (g->matches(line, g->context))
        g->found = true;
    if (strstr(line, PANIC)) {
        g->failure = "the kernel panicked";
        g->panicked = true;
    }
}

static void finish_line(struct guest *g)
{
    while (g->line.len && (g->line.data[g->line.len - 1] == '\r' || !g->line.data[g->line.len - 1]))
        g->line.data[--g->line.len] = '\0';
    const char *line = g->line.data ? g->line.data : "";
    if (g->m->console)
        fprintf(g->m->console, "%s\n", line);
    if (g->m->verbose)
        print_to(stderr, "%s\n", line);
    evaluate_line(g, line);
    buf_printf(&g->tail, "    %s\n", line);
    if (g->tail.len > 8192) {
        char *cut = memchr(g->tail.data + g->tail.len - 2048, '\n', 2048);
        size_t from = cut ? (size_t)(cut + 1 - g->tail.data) : g->tail.len - 2048;
        memmove(g->tail.data, g->tail.data + from, g->tail.len - from + 1);
        g->tail.len -= from;
    }
    g->line.len = 0;
}

static void add_console_bytes(struct guest *g, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] == '\n')
            finish_line(g);
        else if (bytes[i] && g->line.len < 65536)
            buf_add(&g->line, &bytes[i], 1);
    }
}

// Reads the available console text; false at its end.
static bool read_console(struct guest *g)
{
    char chunk[4096];
    ssize_t n = fd_read(g->console, chunk, sizeof chunk);
    if (n > 0)
        add_console_bytes(g, chunk, (size_t)n);
    else
        finish_line(g); // a last message without a line break
    return n > 0;
}

static void watch_console(struct guest *g)
{
    g->end = now_ms() + g->timeout * 1000LL;
    while (!g->found && !g->failure) {
        long long left = g->end - now_ms();
        struct pollfd p = {.fd = g->console, .events = POLLIN};
        if (left <= 0) {
            g->failure = "the time limit is reached";
            return;
        }
        if (poll(&p, 1, (int)left) > 0 && !read_console(g) && !g->found && !g->failure)
            g->failure = "the machine ended";
    }
}

// ---- a conversation ----

static bool take_next_line(struct buf *input, struct buf *line)
{
    const char *end = input->len ? memchr(input->data, '\n', input->len) : NULL;
    if (!end)
        return false;
    size_t n = (size_t)(end - input->data);
    line->len = 0;
    buf_add(line, input->data, n);
    memmove(input->data, input->data + n + 1, input->len - n);
    input->len -= n + 1;
    return true;
}

// The text before the end without a line break.
static bool take_last_line(struct buf *input, struct buf *line)
{
    if (!input->len)
        return false;
    line->len = 0;
    buf_add(line, input->data, input->len);
    input->len = 0;
    return true;
}

static int failure_error(const struct guest *g, struct error **err)
{
    return error_set(err, ERROR_STEP, "%s", g->failure);
}

// A request that ends the guest may be answered during its shutdown, and the client needs a moment
// to report that.
static void limit_time_after_end(struct guest *g)
{
    long long soon = now_ms() + AFTER_END_MS;
    g->ended = true;
    g->end = soon < g->end ? soon : g->end;
}

int guest_read_line(struct guest *g, int fd, struct buf *line, struct error **err)
{
    while (!take_next_line(&g->input, line)) {
        struct pollfd p[] = {{.fd = fd, .events = POLLIN},
                             {.fd = g->ended ? -1 : g->console, .events = POLLIN}};
        long long left = g->end - now_ms();
        if (left <= 0)
            g->failure = g->ended ? "the machine ended" : "the time limit is reached";
        if (g->failure)
            return failure_error(g, err);
        if (poll(p, ARRAY_LEN(p), (int)left) <= 0)
            continue;
        if (p[1].revents && !read_console(g))
            limit_time_after_end(g);
        char chunk[4096];
        ssize_t n = p[0].revents ? read(fd, chunk, sizeof chunk) : -1;
        if (n == 0)
            return take_last_line(&g->input, line);
        if (n > 0)
            buf_add(&g->input, chunk, (size_t)n);
        if (g->input.len > GUEST_LINE_MAX)
            return error_set(err, ERROR_STEP, "a line of its output is longer than %d bytes",
                             GUEST_LINE_MAX);
    }
    return 1;
}

int guest_wait(struct guest *g, pid_t pid, int *status, struct error **err)
{
    enum { STEP_MS = 10 };
    for (;;) {
        pid_t got = waitpid(pid, status, WNOHANG);
        if (got == pid)
            return 0;
        if (got < 0 && errno != EINTR)
            return error_errno(err, errno, "waiting for a program");
        if (now_ms() >= g->end) {
            g->failure = g->ended ? "the machine ended" : "the time limit is reached";
            return failure_error(g, err);
        }
        struct pollfd p = {.fd = g->console, .events = POLLIN};
        if (poll(&p, !g->ended, STEP_MS) > 0 && !read_console(g))
            limit_time_after_end(g);
        if (g->failure)
            return failure_error(g, err);
    }
}

// Keeps watching for a moment: a panic may follow that explains the failure.
static void watch_console_for(struct guest *g, int ms)
{
    long long end = now_ms() + ms;
    for (long long left = ms; left >= 0 && !g->failure && !g->ended; left = end - now_ms()) {
        struct pollfd p = {.fd = g->console, .events = POLLIN};
        int ready = poll(&p, 1, (int)left);
        if (!ready || (ready > 0 && !read_console(g)))
            return;
    }
}

enum { MOMENT_MS = 500 };

static int run_client(struct guest *g, struct error **err)
{
    struct error *why = NULL;
    g->end = now_ms() + g->m->timeout * 1000LL;
    if (g->client(g, g->client_context, &why) == 0) {
        watch_console_for(g, 0);
        return 0;
    }
    watch_console_for(g, MOMENT_MS);
    error_set(err, why->kind, "%s; the console's last lines:\n%s", why->message,
              g->tail.data ? g->tail.data : "    (nothing)\n");
    error_free(why);
    return -1;
}

// Rejects expected texts that are given to the guest or QEMU, since Linux and others print their
// command line: they would prove nothing.
static int reject_known_texts(const struct guest *g, const char *words, const struct strlist *texts,
                              struct error **err)
{
    for (size_t i = 0; texts && i < texts->n; i++) {
        const char *text = texts->items[i];
        if (!strstr(words, text) &&
            !(g->m->image_command_line && strstr(g->m->image_command_line, text)))
            continue;
        error_user(err,
                   "the text '%s' that is expected on the console is also in the machine's command "
                   "line, so it would prove nothing",
                   text);
        return error_hint(err, "remove it from the command line, or expect another text");
    }
    return 0;
}

static int check_expected_texts(const struct guest *g, const char *program, struct error **err)
{
    cleanup_strlist struct strlist awaited_text = {0}, argv = {0};
    qemu_arguments(g->m, program, false, &argv);
    cleanup_free char *words = strlist_join(&argv, " ");
    if (g->awaited_text)
        strlist_add(&awaited_text, g->awaited_text);
    if (g->may_panic)
        strlist_add(&awaited_text, PANIC);
    return reject_known_texts(g, words, g->m->expect, err) < 0 ||
                   reject_known_texts(g, words, g->service_texts, err) < 0 ||
                   reject_known_texts(g, words, &awaited_text, err) < 0
               ? -1
               : 0;
}

static int check_end(const struct guest *g, const char *awaited, struct error **err)
{
    const char *tail = g->tail.data ? g->tail.data : "    (nothing)\n";
    if (!g->found)
        return error_set(err, ERROR_STEP,
                         "%s, and the console did not show %s; the console's last lines:\n%s",
                         g->failure, awaited, tail);
    if (g->failure && !g->may_panic)
        return error_set(err, ERROR_STEP,
                         "%s after the console had shown %s; the console's last lines:\n%s",
                         g->failure, awaited, tail);
    return 0;
}

static int run_machine(struct guest *g, const char *program, bool kvm, const char *awaited,
                       struct error **err)
{
    cleanup_strlist struct strlist argv = {0};
    int fds[2];
    qemu_arguments(g->m, program, kvm, &argv);
    cleanup_free char *words = strlist_join(&argv, " ");
    if (g->m->console)
        fprintf(g->m->console, "---- %s\n", words);
    if (pipe2(fds, O_CLOEXEC) < 0)
        return error_errno(err, errno, "starting QEMU");
    struct process p = {
        .argv = argv.items, .input = -1, .output = fds[1], .errors = fds[1], .own_group = true};
    pid_t pid = process_start(&p, err);
    close(fds[1]);
    g->console = fds[0];
    int result = pid > 0 ? 0 : -1;
    if (pid > 0) {
        watch_console(g);
        bool reported = g->report && *g->report;
        if (g->found && !g->failure && g->client && !reported)
            result = run_client(g, err);
        else if (g->found && !g->failure && g->service_texts && !reported)
            watch_console_for(g, MOMENT_MS);
        process_stop(pid, 1000);
    }
    close(fds[0]);
    if (!result)
        result = check_end(g, awaited, err);
    buf_free(&g->line);
    buf_free(&g->tail);
    buf_free(&g->input);
    return result;
}

static int emulation_error(const char *program, const char *kvm, struct error **err)
{
    error_user(err, "%s was built without software emulation (TCG), and %s", path_base(program),
               kvm);
    return error_hint(err, "build it with QEMU_TCG=yes, or try the stack with this machine's QEMU: "
                           "--qemu host");
}

// Uses KVM if it works. If not (nested virtualization of some clouds starts nothing), the machine
// is emulated, and its failure is final.
static int run_accelerated(struct guest *g, const char *program, const char *awaited,
                           struct error **err)
{
    struct accelerators can = {false, false};
    if (qemu_find_accelerators(program, &can, err) < 0)
        return -1;
    bool kvm = can.kvm && g->m->kvm;
    if (g->m->confidential && !kvm)
        return error_user(err, "%s was built without KVM, which a confidential guest needs",
                          path_base(program));
    if (!kvm && !can.tcg)
        return emulation_error(program, can.kvm ? "KVM cannot be used here" : "without KVM", err);
    if (kvm) {
        cleanup_error struct error *why = NULL;
        bool last = g->m->confidential || !can.tcg;
        g->timeout = last || g->m->timeout < KVM_TIMEOUT ? g->m->timeout : KVM_TIMEOUT;
        if (run_machine(g, program, true, awaited, &why) == 0)
            return 0;
        // A guest that panicked has started, which is final.
        if (g->m->confidential || g->found || g->panicked) {
            *err = steal(why);
            return -1;
        }
        if (last) {
            cleanup_free char *kvm_says = xasprintf("under KVM %s", why->message);
            return emulation_error(program, kvm_says, err);
        }
        log_warning("under KVM %s; trying again in software emulation",
                    g->failure ? g->failure : "it did not start");
        g->failure = NULL;
        strlist_free(&g->seen);
        if (g->m->seen_command_line)
            free(steal(*g->m->seen_command_line));
    }
    g->timeout = g->m->timeout;
    return run_machine(g, program, false, awaited, err);
}

static int check_seen_texts(const struct guest *g, struct error **err)
{
    cleanup_strlist struct strlist missing = {0};
    for (size_t i = 0; g->m->expect && i < g->m->expect->n; i++)
        if (!strlist_has(&g->seen, g->m->expect->items[i]))
            strlist_addf(&missing, "'%s'", g->m->expect->items[i]);
    if (!missing.n)
        return 0;
    cleanup_free char *all = strlist_join(&missing, ", ");
    return error_set(err, ERROR_STEP, "it started, but the console did not show %s", all);
}

static int run_guest(struct guest *g, const char *awaited, struct error **err)
{
    cleanup_free char *program = qemu_find(g->m, err);
    int result = program ? check_expected_texts(g, program, err) : -1;
    if (!result)
        result = run_accelerated(g, program, awaited, err);
    if (!result)
        result = check_seen_texts(g, err);
    strlist_free(&g->seen);
    return result;
}

static bool line_contains(const char *line, void *context)
{
    return strstr(line, context) != NULL;
}

int guest_expect_text(const struct machine *m, const char *text, struct error **err)
{
    cleanup_free char *copy = xstrdup(text);
    struct guest g = {.m = m, .matches = line_contains, .context = copy, .awaited_text = copy};
    cleanup_free char *awaited = xasprintf("'%s'", text);
    return run_guest(&g, awaited, err);
}

static bool is_init_report(const char *line, void *context)
{
    const char *start = strstr(line, INIT_REPORT);
    json_t *report = start ? json_loads(start, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
    if (report)
        *(json_t **)context = report;
    return report != NULL;
}

int guest_expect_init(const struct machine *m, json_t **report, struct error **err)
{
    *report = NULL;
    struct guest g = {.m = m,
                      .matches = is_init_report,
                      .context = report,
                      .awaited_text = INIT_REPORT,
                      .report = report};
    if (run_guest(&g, "the JSON line of smoke-init", err) == 0)
        return 0;
    json_decref(*report);
    *report = NULL;
    return -1;
}

static bool is_panic_or_report(const char *line, void *context)
{
    return is_init_report(line, context) || strstr(line, PANIC);
}

int guest_expect_panic(const struct machine *m, struct error **err)
{
    json_t *report = NULL;
    struct error *why = NULL;
    struct guest g = {.m = m, .matches = is_panic_or_report, .context = &report, .may_panic = true};
    int result = run_guest(&g, "a panic of the kernel", &why);
    if (report) {
        error_free(why);
        json_decref(report);
        return error_set(err, ERROR_STEP, "the guest started: init was reached");
    }
    if (result < 0)
        *err = why;
    return result;
}

static bool service_is_shown(const char *line, void *context)
{
    const struct guest *g = context;
    if (g->report && is_init_report(line, g->report))
        return true;
    for (size_t i = 0; i < g->service_texts->n; i++)
        if (!strlist_has(&g->seen, g->service_texts->items[i]))
            return false;
    return true;
}

int guest_expect_service(const struct machine *m, const struct strlist *texts, json_t **report,
                         guest_client *client, void *context, struct error **err)
{
    struct guest g = {.m = m,
                      .matches = service_is_shown,
                      .service_texts = texts,
                      .awaited_text = report ? INIT_REPORT : NULL,
                      .report = report,
                      .client = client,
                      .client_context = context};
    g.context = &g;
    cleanup_strlist struct strlist quoted = {0};
    for (size_t i = 0; i < texts->n; i++)
        strlist_addf(&quoted, "'%s'", texts->items[i]);
    cleanup_free char *all = strlist_join(&quoted, " and ");
    cleanup_free char *awaited =
        report ? xasprintf("%s, nor the JSON line of smoke-init", all) : xstrdup(all);
    if (report)
        *report = NULL;
    if (run_guest(&g, awaited, err) == 0)
        return 0;
    if (report) {
        json_decref(*report);
        *report = NULL;
    }
    return -1;
}
