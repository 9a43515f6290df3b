// SPDX-License-Identifier: Apache-2.0
// Runs a machine under QEMU: watches its console, decides what that proves, and serves its client.
#include "boot/qemu.h"

#include "base/process.h"
#include "base/file.h"
#include "base/error.h"
#include "base/print.h"

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
    const char *own;               // context of `matches`, or NULL
    bool may_panic;                // a panic is expected
    const struct strlist *serving; // console texts of the guest's service, or NULL
    json_t **report;               // place of init's JSON line, or NULL
    guest_talk *talk;              // the client, called after these texts; or NULL
    void *talk_context;
    int console; // pipe
    long long end;
    struct buf line, tail, input;
    struct strlist seen; // of m->expect and of `serving`
    bool found;
    bool ended;          // during a conversation
    bool panicked;       // the kernel
    const char *trouble; // a panic or the like
    unsigned timeout;    // seconds
};

// Linux, init/main.c: how the console shows the command line.
#define LINUX_COMMAND_LINE "Kernel command line: "
#define PANIC "Kernel panic"          // Linux, kernel/panic.c
#define INIT_REPORT "{\"smoke-init\"" // how the line of recipes/smoke-init begins

static void look_for(struct guest *w, const struct strlist *texts, const char *line)
{
    for (size_t i = 0; texts && i < texts->n; i++)
        if (strstr(line, texts->items[i]) && !strlist_has(&w->seen, texts->items[i]))
            strlist_add(&w->seen, texts->items[i]);
}

// Evaluates a line. Lines after a panic count for nothing.
static void judge_line(struct guest *w, const char *line)
{
    if (w->trouble)
        return;
    look_for(w, w->m->expect, line);
    look_for(w, w->serving, line);
    const char *command_line = strstr(line, LINUX_COMMAND_LINE);
    if (command_line && w->m->seen_command_line && !*w->m->seen_command_line)
        *w->m->seen_command_line = xstrdup(command_line + strlen(LINUX_COMMAND_LINE));
    if (w->matches(line, w->context))
        w->found = true;
    if (strstr(line, PANIC)) {
        w->trouble = "the kernel panicked";
        w->panicked = true;
    }
}

static void take_line(struct guest *w)
{
    while (w->line.len && (w->line.data[w->line.len - 1] == '\r' || !w->line.data[w->line.len - 1]))
        w->line.data[--w->line.len] = '\0';
    const char *line = w->line.data ? w->line.data : "";
    if (w->m->console)
        fprintf(w->m->console, "%s\n", line);
    if (w->m->verbose)
        print_to(stderr, "%s\n", line);
    judge_line(w, line);
    buf_printf(&w->tail, "    %s\n", line);
    if (w->tail.len > 8192) {
        char *cut = memchr(w->tail.data + w->tail.len - 2048, '\n', 2048);
        size_t from = cut ? (size_t)(cut + 1 - w->tail.data) : w->tail.len - 2048;
        memmove(w->tail.data, w->tail.data + from, w->tail.len - from + 1);
        w->tail.len -= from;
    }
    w->line.len = 0;
}

static void take_bytes(struct guest *w, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] == '\n')
            take_line(w);
        else if (bytes[i] && w->line.len < 65536)
            buf_add(&w->line, &bytes[i], 1);
    }
}

// Reads the available console text; false at its end.
static bool read_console(struct guest *w)
{
    char chunk[4096];
    ssize_t n = fd_read(w->console, chunk, sizeof chunk);
    if (n > 0)
        take_bytes(w, chunk, (size_t)n);
    else
        take_line(w); // a last message without a line break
    return n > 0;
}

static void watch_console(struct guest *w)
{
    w->end = now_ms() + w->timeout * 1000LL;
    while (!w->found && !w->trouble) {
        long long left = w->end - now_ms();
        struct pollfd p = {.fd = w->console, .events = POLLIN};
        if (left <= 0) {
            w->trouble = "the time is over";
            return;
        }
        if (poll(&p, 1, (int)left) > 0 && !read_console(w) && !w->found && !w->trouble)
            w->trouble = "the machine ended";
    }
}

// ---- a conversation ----

static bool next_line(struct buf *input, struct buf *line)
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
static bool last_line(struct buf *input, struct buf *line)
{
    if (!input->len)
        return false;
    line->len = 0;
    buf_add(line, input->data, input->len);
    input->len = 0;
    return true;
}

static int report_trouble(const struct guest *w, struct error **err)
{
    return error_set(err, ERROR_STEP, "%s", w->trouble);
}

// A request that ends the guest may be answered during its shutdown, and the client needs a moment
// to report that.
static void end_soon(struct guest *w)
{
    long long soon = now_ms() + AFTER_END_MS;
    w->ended = true;
    w->end = soon < w->end ? soon : w->end;
}

int guest_read_line(struct guest *w, int fd, struct buf *line, struct error **err)
{
    while (!next_line(&w->input, line)) {
        struct pollfd p[] = {{.fd = fd, .events = POLLIN},
                             {.fd = w->ended ? -1 : w->console, .events = POLLIN}};
        long long left = w->end - now_ms();
        if (left <= 0)
            w->trouble = w->ended ? "the machine ended" : "the time is over";
        if (w->trouble)
            return report_trouble(w, err);
        if (poll(p, ARRAY_LEN(p), (int)left) <= 0)
            continue;
        if (p[1].revents && !read_console(w))
            end_soon(w);
        char chunk[4096];
        ssize_t n = p[0].revents ? read(fd, chunk, sizeof chunk) : -1;
        if (n == 0)
            return last_line(&w->input, line);
        if (n > 0)
            buf_add(&w->input, chunk, (size_t)n);
        if (w->input.len > GUEST_LINE_MAX)
            return error_set(err, ERROR_STEP, "its line is longer than %d bytes", GUEST_LINE_MAX);
    }
    return 1;
}

int guest_wait(struct guest *w, pid_t pid, int *status, struct error **err)
{
    enum { STEP_MS = 10 };
    for (;;) {
        pid_t got = waitpid(pid, status, WNOHANG);
        if (got == pid)
            return 0;
        if (got < 0 && errno != EINTR)
            return error_errno(err, errno, "waiting for a program");
        if (now_ms() >= w->end) {
            w->trouble = w->ended ? "the machine ended" : "the time is over";
            return report_trouble(w, err);
        }
        struct pollfd p = {.fd = w->console, .events = POLLIN};
        if (poll(&p, !w->ended, STEP_MS) > 0 && !read_console(w))
            end_soon(w);
        if (w->trouble)
            return report_trouble(w, err);
    }
}

// Keeps watching for a moment: a panic may follow that explains the failure.
static void watch_on(struct guest *w, int ms)
{
    long long end = now_ms() + ms;
    for (long long left = ms; left >= 0 && !w->trouble && !w->ended; left = end - now_ms()) {
        struct pollfd p = {.fd = w->console, .events = POLLIN};
        int ready = poll(&p, 1, (int)left);
        if (!ready || (ready > 0 && !read_console(w)))
            return;
    }
}

enum { MOMENT_MS = 500 };

static int talk_to_guest(struct guest *w, struct error **err)
{
    struct error *why = NULL;
    w->end = now_ms() + w->m->timeout * 1000LL;
    if (w->talk(w, w->talk_context, &why) == 0) {
        watch_on(w, 0);
        return 0;
    }
    watch_on(w, MOMENT_MS);
    error_set(err, why->kind, "%s; the console's last lines:\n%s", why->message,
              w->tail.data ? w->tail.data : "    (nothing)\n");
    error_free(why);
    return -1;
}

// Rejects expected texts that are given to the guest or QEMU, since Linux and others print their
// command line: they would prove nothing.
static int refuse_given(const struct guest *w, const char *words, const struct strlist *texts,
                        struct error **err)
{
    for (size_t i = 0; texts && i < texts->n; i++) {
        const char *text = texts->items[i];
        if (!strstr(words, text) && !(w->m->told && strstr(w->m->told, text)))
            continue;
        error_user(err,
                   "the console is expected to show '%s', which is in what the machine is given",
                   text);
        return error_hint(err, "take it out of the command line, or expect another text");
    }
    return 0;
}

static int check_evidence(const struct guest *w, const char *program, struct error **err)
{
    cleanup_strlist struct strlist own = {0}, argv = {0};
    qemu_arguments(w->m, program, false, &argv);
    cleanup_free char *words = strlist_join(&argv, " ");
    if (w->own)
        strlist_add(&own, w->own);
    if (w->may_panic)
        strlist_add(&own, PANIC);
    return refuse_given(w, words, w->m->expect, err) < 0 ||
                   refuse_given(w, words, w->serving, err) < 0 ||
                   refuse_given(w, words, &own, err) < 0
               ? -1
               : 0;
}

static int judge_end(const struct guest *w, const char *awaited, struct error **err)
{
    const char *tail = w->tail.data ? w->tail.data : "    (nothing)\n";
    if (!w->found)
        return error_set(err, ERROR_STEP,
                         "%s, and the console did not show %s; its last lines:\n%s", w->trouble,
                         awaited, tail);
    if (w->trouble && !w->may_panic)
        return error_set(err, ERROR_STEP, "%s after the console had shown %s; its last lines:\n%s",
                         w->trouble, awaited, tail);
    return 0;
}

static int run_once(struct guest *w, const char *program, bool kvm, const char *awaited,
                    struct error **err)
{
    cleanup_strlist struct strlist argv = {0};
    int fds[2];
    qemu_arguments(w->m, program, kvm, &argv);
    cleanup_free char *words = strlist_join(&argv, " ");
    if (w->m->console)
        fprintf(w->m->console, "---- %s\n", words);
    if (pipe2(fds, O_CLOEXEC) < 0)
        return error_errno(err, errno, "starting QEMU");
    struct process p = {
        .argv = argv.items, .input = -1, .output = fds[1], .errors = fds[1], .own_group = true};
    pid_t pid = process_start(&p, err);
    close(fds[1]);
    w->console = fds[0];
    int result = pid > 0 ? 0 : -1;
    if (pid > 0) {
        watch_console(w);
        bool reported = w->report && *w->report;
        if (w->found && !w->trouble && w->talk && !reported)
            result = talk_to_guest(w, err);
        else if (w->found && !w->trouble && w->serving && !reported)
            watch_on(w, MOMENT_MS);
        process_stop(pid, 1000);
    }
    close(fds[0]);
    if (!result)
        result = judge_end(w, awaited, err);
    buf_free(&w->line);
    buf_free(&w->tail);
    buf_free(&w->input);
    return result;
}

struct accelerators {
    bool kvm, tcg;
};

// The accelerators of this QEMU.
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

// Uses KVM if it works. If not (nested virtualization of some clouds starts nothing), the machine
// is emulated, and its failure is final.
static int run_somehow(struct guest *w, const char *program, const char *awaited,
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
        // A guest that panicked has started, which is final.
        if (w->m->confidential || w->found || w->panicked) {
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
        if (w->m->seen_command_line)
            free(steal(*w->m->seen_command_line));
    }
    w->timeout = w->m->timeout;
    return run_once(w, program, false, awaited, err);
}

static int check_expected(const struct guest *w, struct error **err)
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

static int run(struct guest *w, const char *awaited, struct error **err)
{
    cleanup_free char *program = qemu_find(w->m, err);
    int result = program ? check_evidence(w, program, err) : -1;
    if (!result)
        result = run_somehow(w, program, awaited, err);
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
    struct guest w = {.m = m, .matches = contains, .context = copy, .own = copy};
    cleanup_free char *awaited = xasprintf("'%s'", text);
    return run(&w, awaited, err);
}

static bool is_report(const char *line, void *context)
{
    const char *start = strstr(line, INIT_REPORT);
    json_t *report = start ? json_loads(start, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
    if (report)
        *(json_t **)context = report;
    return report != NULL;
}

int qemu_expect_init(const struct machine *m, json_t **report, struct error **err)
{
    *report = NULL;
    struct guest w = {
        .m = m, .matches = is_report, .context = report, .own = INIT_REPORT, .report = report};
    if (run(&w, "the JSON line of smoke-init", err) == 0)
        return 0;
    json_decref(*report);
    *report = NULL;
    return -1;
}

static bool is_refused(const char *line, void *context)
{
    return is_report(line, context) || strstr(line, PANIC);
}

int qemu_expect_panic(const struct machine *m, struct error **err)
{
    json_t *report = NULL;
    struct error *why = NULL;
    struct guest w = {.m = m, .matches = is_refused, .context = &report, .may_panic = true};
    int result = run(&w, "a panic of the kernel", &why);
    if (report) {
        error_free(why);
        json_decref(report);
        return error_set(err, ERROR_STEP, "init was reached");
    }
    if (result < 0)
        *err = why;
    return result;
}

static bool is_serving(const char *line, void *context)
{
    const struct guest *w = context;
    if (w->report && is_report(line, w->report))
        return true;
    for (size_t i = 0; i < w->serving->n; i++)
        if (!strlist_has(&w->seen, w->serving->items[i]))
            return false;
    return true;
}

int qemu_expect_serving(const struct machine *m, const struct strlist *texts, json_t **report,
                        guest_talk *talk, void *context, struct error **err)
{
    struct guest w = {.m = m,
                      .matches = is_serving,
                      .serving = texts,
                      .own = report ? INIT_REPORT : NULL,
                      .report = report,
                      .talk = talk,
                      .talk_context = context};
    w.context = &w;
    cleanup_strlist struct strlist quoted = {0};
    for (size_t i = 0; i < texts->n; i++)
        strlist_addf(&quoted, "'%s'", texts->items[i]);
    cleanup_free char *all = strlist_join(&quoted, " and ");
    cleanup_free char *awaited =
        report ? xasprintf("%s, nor the JSON line of smoke-init", all) : xstrdup(all);
    if (report)
        *report = NULL;
    if (run(&w, awaited, err) == 0)
        return 0;
    if (report) {
        json_decref(*report);
        *report = NULL;
    }
    return -1;
}
