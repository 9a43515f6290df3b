// SPDX-License-Identifier: Apache-2.0
// Proves that a guest is up: init reports, or the guest has a service that appears on the console,
// and a client on this machine talks to it, over a serial port that is a unix socket here. The
// guest's side of that needs a cpio appended to the initrd, and words appended to the command line:
// for the test only, and with a message.
#include "boot/internal.h"
#include "run/run.h"

#include "base/error.h"
#include "base/file.h"
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/un.h>
#include <sys/wait.h>

// ---- choosing the service ----

// The recipe of the started parts: for an image, that of its initrd. NULL: an error, or none.
static const struct recipe *guest_recipe(struct boot_run *run, struct error **err)
{
    const struct recipe *r = run->recipe;
    const struct recipe_boot *boot = r->boot;
    const char *part = r->image ? r->image->initrd
                       : boot   ? (boot->initrd ? boot->initrd : boot->disk)
                                : NULL;
    cleanup_free char *name = part ? xstrndup(part, strcspn(part, ":")) : NULL;
    return name ? recipe_get(run->b->recipes, name, err) : NULL;
}

// Falls back to the recipe named by `like`.
static const struct recipe_service *service_of(const struct recipe *guest)
{
    const struct recipe_boot *own = guest->boot, *other = guest->like ? guest->like->boot : NULL;
    return own && own->service ? own->service : other ? other->service : NULL;
}

// Whether one of the service's parts is in the guest: 1 or 0; -1: unknown.
static int service_is_inside(const struct boot_run *run, const struct recipe *guest,
                             const struct recipe_service *service)
{
    cleanup_free char *name = run->arch ? xasprintf("%s:%s", guest->name, run->arch->name) : NULL;
    const struct node *node = name ? graph_find(&run->b->graph, name) : NULL;
    if (!node || job_of(node)->prebuilt)
        return -1;
    const struct strlist *of = &service->of;
    for (size_t i = 0; i < of->n; i++)
        if (job_has(job_of(node), of->items[i]))
            return 1;
    return 0;
}

int boot_find_service(struct boot_run *run, struct error **err)
{
    struct error *why = NULL;
    const struct recipe *guest = guest_recipe(run, &why);
    if (why) {
        *err = why;
        return -1;
    }
    const struct recipe_service *service = guest ? service_of(guest) : NULL;
    int inside = service ? service_is_inside(run, guest, service) : 0;
    run->service = inside ? service : NULL;
    run->service_is_sure = inside > 0;
    return 0;
}

// Adds the target of a part to the graph, to be made. It is left out if the available sources do
// not allow it.
static int add_service_tool(struct boot_run *run, const char *part, const struct arch *arch,
                            bool *found, struct error **err)
{
    struct recipe_need need = {.optional = true};
    cleanup_free char *name = xstrndup(part, strcspn(part, ":"));
    if (!recipe_get(run->b->recipes, name, err)) // which explains an error in the name
        return error_wrap(err, "boot.service");
    strlist_add(&need.any, name);
    struct source_options o;
    const struct recipe_selection c = recipe_selection_of(run->b, &o);
    const struct recipe *r = choose_recipe(&c, run->recipe, &need, arch, err);
    strlist_free(&need.any);
    *found = r != NULL;
    struct node *node = r ? plan_artifact(run->b, r, arch, err) : NULL;
    if (node)
        job_of(node)->used = true;
    return r && !node ? -1 : 0;
}

int boot_add_tools(struct boot_run *run, struct error **err)
{
    const struct recipe_service *s = run->service;
    bool beside = true, client = true;
    if (!s || (s->beside && add_service_tool(run, s->beside, run->arch, &beside, err) < 0) ||
        add_service_tool(run, s->client, arch_host(), &client, err) < 0)
        return s ? -1 : 0;
    run->tools = beside && client;
    if (!run->tools) {
        const char *part = beside ? s->client : s->beside;
        log_note("no client will test the guest's service: %.*s cannot be built from these sources",
                 (int)strcspn(part, ":"), part);
    }
    return 0;
}

// ---- additions for the test ----

// Linux' initramfs buffer format: consecutive archives, each aligned to four bytes.
static int append_cpio(struct boot_run *run, const char *initrd, const char *more, char **out,
                       struct error **err)
{
    static const char zeros[4];
    *out = xasprintf("%s/initrd-with-tools", run->folder);
    cleanup_close int to = open(*out, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (to < 0)
        return error_errno(err, errno, "creating %s", *out);
    const char *const files[] = {initrd, more};
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        cleanup_close int from = files[i] ? open(files[i], O_RDONLY | O_CLOEXEC) : -1;
        cleanup_buf struct buf bytes = {0};
        if (!files[i])
            continue;
        if (from < 0)
            return error_errno(err, errno, "opening %s", files[i]);
        if (fd_read_all(from, files[i], SIZE_MAX, &bytes, err) < 0 ||
            fd_write_all(to, *out, bytes.data, bytes.len, err) < 0 ||
            fd_write_all(to, *out, zeros, -bytes.len % 4, err) < 0)
            return -1;
    }
    return 0;
}

// A path short enough for a socket address.
static int choose_socket_path(struct boot_run *run, struct error **err)
{
    const size_t most = sizeof((struct sockaddr_un *)0)->sun_path - 1;
    const char *temporary = getenv("TMPDIR");
    run->socket = xasprintf("%s/port", run->folder);
    if (strlen(run->socket) <= most)
        return 0;
    free(steal(run->socket));
    bool fits = temporary && *temporary == '/' && strlen(temporary) + 40 < most;
    run->socket_folder = make_temporary_directory(fits ? temporary : "/tmp", "kbuild-boot", err);
    if (!run->socket_folder)
        return -1;
    run->socket = xasprintf("%s/port", run->socket_folder);
    return 0;
}

struct test_additions {
    char *more, *initrd, *append, *client;
};

static void test_additions_free(struct test_additions *a)
{
    free(a->more);
    free(a->initrd);
    free(a->append);
    free(a->client);
}

static int add_for_test(struct boot_run *run, struct test_additions *a, struct error **err)
{
    const struct recipe_service *s = run->service;
    struct machine *m = &run->machine;
    if (boot_extract_part(run, s->beside, run->arch, "beside", &a->more, err) < 0 ||
        boot_extract_part(run, s->client, arch_host(), "client", &a->client, err) < 0 ||
        choose_socket_path(run, err) < 0)
        return -1;
    if (chmod(a->client, 0700) < 0)
        return error_errno(err, errno, "making %s executable", a->client);
    if (a->more && append_cpio(run, m->initrd, a->more, &a->initrd, err) < 0)
        return -1;
    a->append = s->append ? xasprintf("%s%s%s", m->append, *m->append ? " " : "", s->append) : NULL;
    m->initrd = a->initrd ? a->initrd : m->initrd;
    m->append = a->append ? a->append : m->append;
    m->port = s->port;
    m->socket = run->socket;
    log_note("for this test only:%s%s%s%s%s%s", a->more ? " appended to the initrd: " : "",
             a->more ? s->beside : "", a->more && s->append ? "," : "",
             s->append ? " appended to the command line: '" : "", s->append ? s->append : "",
             s->append ? "'" : "");
    return 0;
}

// ---- the client ----

struct client_run {
    struct boot_run *run;
    const char *client;
    size_t proven;
    struct buf other_output; // lines that are no step
};

// "exit_status 3, stdout "hello\n"": the other fields of a step.
static char *describe_step(const json_t *line)
{
    static const char *const known[] = {"step", "ok", "error", "seconds"};
    cleanup_buf struct buf out = {0};
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)line, key, value)
    {
        bool skip = false;
        for (size_t i = 0; i < ARRAY_LEN(known); i++)
            skip |= !strcmp(key, known[i]);
        cleanup_free char *text = skip ? NULL : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        bool cut = text && strlen(text) > 400;
        if (text)
            buf_printf(&out, "%s %s %.*s%s", out.len ? "," : ":", key, cut ? 400 : INT_MAX, text,
                       cut ? "..." : "");
    }
    return buf_take(&out);
}

// {"step": NAME, "ok": true or false, ...}
static int check_step(struct client_run *c, const json_t *line, struct error **err)
{
    const char *step = json_string_value(json_object_get(line, "step"));
    const char *why = json_string_value(json_object_get(line, "error"));
    const json_t *ok = json_object_get(line, "ok");
    if (!step || !*step || !json_is_boolean(ok))
        return error_set(err, ERROR_STEP, "its output has a line that is not a valid step%s%s",
                         why ? ": " : "", why ? why : "");
    if (!json_is_true(ok) || json_object_get(line, "error"))
        return error_set(err, ERROR_STEP, "%s: %s", step, why ? why : "it failed");
    cleanup_free char *more = describe_step(line);
    log_note("proven: %s%s", step, more);
    c->proven++;
    return 0;
}

// A line that looks like a step must be a valid one, since an unreadable one may be a failure.
// Standard error uses the same pipe, so a step can have words before it.
static bool looks_like_step(const char *text)
{
    return text[strspn(text, " \t")] == '{' || strstr(text, "\"step\"") || strstr(text, "\"ok\"");
}

static int process_client_line(struct client_run *c, const struct buf *text, struct error **err)
{
    fprintf(c->run->console, "---- client: %s\n", text->data);
    if (!looks_like_step(text->data)) {
        c->other_output.len = 0;
        buf_puts(&c->other_output, text->data);
        return 0;
    }
    json_error_t wrong;
    json_t *line =
        json_loadb(text->data, text->len, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &wrong);
    int result =
        line ? check_step(c, line, err)
             : error_set(err, ERROR_STEP, "its output has a line that is not a valid step: %s: %s",
                         wrong.text, text->data);
    json_decref(line);
    return result;
}

static int read_client_output(struct client_run *c, struct guest *g, int fd, pid_t pid,
                              struct error **err)
{
    cleanup_buf struct buf line = {0};
    int status, more;
    while ((more = guest_read_line(g, fd, &line, err)) > 0 &&
           process_client_line(c, &line, err) == 0)
        ;
    // The client may have closed its output and still run.
    if (more || guest_wait(g, pid, &status, err) < 0) {
        process_stop(pid, 1000);
        return -1;
    }
    cleanup_free char *ended = process_status_text(status);
    if (status || !c->proven)
        return error_set(err, ERROR_STEP, "%s: %s%s%s", path_base(c->run->service->client),
                         status ? ended : "it reported no step", c->other_output.len ? ": " : "",
                         c->other_output.len ? c->other_output.data : "");
    return 0;
}

static int run_service_client(struct guest *g, void *context, struct error **err)
{
    struct client_run *c = context;
    cleanup_free char *timeout = xasprintf("%u", c->run->machine.timeout);
    const struct placeholder names[] = {{"{socket}", c->run->socket}, {"{timeout}", timeout}};
    cleanup_strlist struct strlist words = {0}, argv = {0};
    int fds[2];
    strlist_split(&words, c->run->service->arguments, " ");
    strlist_add(&argv, c->client);
    for (size_t i = 0; i < words.n; i++) {
        cleanup_free char *word = placeholders_expand(words.items[i], names, ARRAY_LEN(names));
        strlist_add(&argv, word);
    }
    if (pipe2(fds, O_CLOEXEC) < 0)
        return error_errno(err, errno, "starting %s", c->client);
    struct process p = {
        .argv = argv.items, .input = -1, .output = fds[1], .errors = fds[1], .own_group = true};
    pid_t pid = process_start(&p, err);
    close(fds[1]);
    int result = pid > 0 ? read_client_output(c, g, fds[0], pid, err) : -1;
    close(fds[0]);
    return result;
}

// ---- the proof by init ----

// OVMF appends the initrd's name in its own file system for QEMU's files (QemuLoadImageLib).
#define ADDED_BY_FIRMWARE " initrd=initrd"

static int compare_command_lines(const struct boot_run *run, const char *got, const char *expected,
                                 struct error **err)
{
    size_t n = strlen(expected);
    if (got && !strncmp(got, expected, n) &&
        (!got[n] || (run->machine.firmware && !strcmp(got + n, ADDED_BY_FIRMWARE))))
        return 0;
    return error_set(err, ERROR_STEP, "the guest's command line is '%s' instead of '%s'",
                     got ? got : "", expected);
}

static int check_report(struct boot_run *run, const char *what, const char *command_line,
                        const json_t *report, struct error **err)
{
    const char *release = json_string_value(json_object_get(report, "release"));
    const char *seen = json_string_value(json_object_get(report, "cmdline"));
    if (compare_command_lines(run, seen, command_line, err) < 0)
        return error_wrap(err, "%s", what);
    log_note("proven: %s: /init reached, Linux %s, command line as expected", what,
             release ? release : "?");
    return 0;
}

// Starts the machine, waits for init, and compares the command line. *out (out may be NULL) gets
// init's report.
static int prove_init(struct boot_run *run, const char *what, const char *command_line,
                      json_t **out, struct error **err)
{
    json_t *report = NULL;
    fprintf(run->console, "==== %s\n", what);
    if (guest_expect_init(&run->machine, &report, err) < 0)
        return error_wrap(err, "%s", what);
    int result = check_report(run, what, command_line, report, err);
    if (out && !result)
        *out = json_incref(report);
    json_decref(report);
    return result;
}

// ---- the proof by the service ----

static int check_console_command_line(struct boot_run *run, const char *what, const char *seen,
                                      const char *expected, struct error **err)
{
    if (!seen) {
        log_note("proven: %s: the service runs; the console does not show the command line", what);
        return 0;
    }
    if (compare_command_lines(run, seen, expected, err) < 0)
        return -1;
    log_note("proven: %s: the service runs, command line as expected", what);
    return 0;
}

// `report` as in guest_expect_service(); without a client the service is only watched.
static int prove_service(struct boot_run *run, const char *what, const char *command_line,
                         const char *client, json_t **report, struct error **err)
{
    struct machine *m = &run->machine;
    struct client_run c = {.run = run, .client = client};
    cleanup_free char *seen = NULL;
    m->seen_command_line = &seen;
    fprintf(run->console, "==== %s\n", what);
    int result = guest_expect_service(m, &run->service->expect, report,
                                      client ? run_service_client : NULL, &c, err);
    m->seen_command_line = NULL;
    buf_free(&c.other_output);
    if (!result && report && *report)
        return check_report(run, what, command_line, *report, err);
    if (!result)
        result = check_console_command_line(run, what, seen, command_line, err);
    return result < 0 ? error_wrap(err, "%s", what) : 0;
}

int boot_prove_unchanged(struct boot_run *run, const char *what, const char *command_line,
                         struct error **err)
{
    if (!run->service)
        return prove_init(run, what, command_line, NULL, err);
    json_t *report = NULL;
    int result =
        prove_service(run, what, command_line, NULL, run->service_is_sure ? NULL : &report, err);
    json_decref(report);
    return result;
}

int boot_prove_guest(struct boot_run *run, const char *what, json_t **out, struct error **err)
{
    const struct machine before = run->machine;
    struct test_additions a = {0};
    json_t *report = NULL;
    int result = run->service && run->tools ? add_for_test(run, &a, err) : 0;
    cleanup_free char *line = qemu_command_line(&run->machine);
    if (!run->service)
        return prove_init(run, what, line, out, err);
    if (!result)
        result =
            prove_service(run, what, line, a.client, run->service_is_sure ? NULL : &report, err);
    if (!result && !a.client && !report)
        log_note("not proven: that the service answers: no client talked to it");
    if (out && !result)
        *out = json_incref(report);
    json_decref(report);
    run->machine = before;
    test_additions_free(&a);
    return result;
}
