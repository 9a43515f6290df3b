// SPDX-License-Identifier: Apache-2.0
// Implements `kbuild doctor`: runs the requested groups of checks, or those that apply to the
// machine; and the checks that several groups use.
#include "doctor/internal.h"

#include "base/file.h"

#include <ctype.h>
#include <string.h>

// ---- facts of a machine, for checks ----

bool doctor_has_word(const char *text, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = text; (p = strstr(p, word)); p++)
        if ((p == text || isspace((unsigned char)p[-1])) && (!p[n] || isspace((unsigned char)p[n])))
            return true;
    return false;
}

// One number of a version; moves *p past it and a following dot.
static unsigned long next_number(const char **p)
{
    unsigned long n = 0;
    for (; isdigit((unsigned char)**p); ++*p)
        n = 10 * n + (unsigned long)(**p - '0');
    if (**p == '.')
        ++*p;
    return n;
}

int doctor_compare_version(const char *text, const char *version)
{
    while (*text && !(isdigit((unsigned char)text[0]) && text[strspn(text, "0123456789")] == '.'))
        text += isdigit((unsigned char)*text) ? strspn(text, "0123456789") : 1;
    if (!*text)
        return -2;
    while (*version) {
        unsigned long have = next_number(&text), want = next_number(&version);
        if (have != want)
            return have < want ? -1 : 1;
    }
    return 0;
}

char *doctor_cpu_field(const struct host *h, const char *name)
{
    cleanup_buf struct buf text = {0};
    if (!host_read(h, "proc/cpuinfo", &text))
        return NULL;
    for (char *save = NULL, *line = strtok_r(text.data, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save)) {
        size_t n = strlen(name);
        const char *colon = line + n + (starts_with(line, name) ? strspn(line + n, " \t") : 0);
        if (starts_with(line, name) && *colon == ':')
            return xstrdup(colon + 1 + strspn(colon + 1, " \t"));
    }
    return NULL;
}

// Word `n` of uname -srm, to be freed, or NULL.
static char *read_uname_word(const struct host *h, size_t n)
{
    cleanup_buf struct buf text = {0};
    cleanup_strlist struct strlist words = {0};
    if (!host_command(h, "uname", &text))
        return NULL;
    strlist_split(&words, text.data, " \t\n");
    return n < words.n ? xstrdup(words.items[n]) : NULL;
}

char *doctor_machine(const struct host *h)
{
    static const struct {
        const char *vendor, *machine;
    } vendors[] = {{"IBM/S390", "s390x"}, {"AuthenticAMD", "x86_64"}, {"GenuineIntel", "x86_64"}};
    char *machine = read_uname_word(h, 2);
    if (machine)
        return machine;
    cleanup_free char *vendor = doctor_cpu_field(h, "vendor_id");
    for (size_t i = 0; vendor && i < ARRAY_LEN(vendors); i++)
        if (!strcmp(vendor, vendors[i].vendor))
            return xstrdup(vendors[i].machine);
    return xstrdup("");
}

bool doctor_kernel_log(const struct host *h, struct buf *log, struct buf *seen)
{
    if (!host_command(h, "dmesg", log)) {
        buf_puts(seen, "no output of dmesg");
        return false;
    }
    if (!strstr(log->data, "] ")) {
        buf_puts(seen, "the kernel's log cannot be read: run this as root");
        return false;
    }
    return true;
}

// ---- checks of several groups ----

enum doctor_state doctor_check_file_value(const struct host *h, const struct doctor_check *c,
                                          struct buf *seen)
{
    cleanup_buf struct buf text = {0};
    cleanup_strlist struct strlist wanted = {0}, words = {0};
    if (!host_read(h, c->argument, &text)) {
        buf_printf(seen, "/%s does not exist", c->argument);
        return DOCTOR_FAIL;
    }
    strlist_split(&wanted, c->wanted, "|");
    strlist_split(&words, text.data, " \t\n");
    buf_printf(seen, "/%s is %s", c->argument, words.n ? words.items[0] : "empty");
    return words.n == 1 && strlist_has(&wanted, words.items[0]) ? DOCTOR_OK : DOCTOR_FAIL;
}

enum doctor_state doctor_check_kernel(const struct host *h, const struct doctor_check *c,
                                      struct buf *seen)
{
    cleanup_free char *release = read_uname_word(h, 1);
    if (!release) {
        buf_puts(seen, "no output of uname");
        return DOCTOR_SKIP;
    }
    buf_printf(seen, "Linux %s, wanted %s or newer", release, c->wanted);
    return doctor_compare_version(release, c->wanted) >= 0 ? DOCTOR_OK : DOCTOR_FAIL;
}

enum doctor_state doctor_check_version(const struct host *h, const struct doctor_check *c,
                                       struct buf *seen)
{
    cleanup_buf struct buf text = {0};
    if (!host_command(h, c->argument, &text)) {
        buf_puts(seen, "it is not installed");
        return DOCTOR_FAIL;
    }
    buf_printf(seen, "%.*s, wanted %s or newer", (int)strcspn(text.data, "\n"), text.data,
               c->wanted);
    return doctor_compare_version(text.data, c->wanted) >= 0 ? DOCTOR_OK : DOCTOR_FAIL;
}

enum doctor_state doctor_check_qemu_object(const struct host *h, const struct doctor_check *c,
                                           struct buf *seen)
{
    cleanup_buf struct buf text = {0};
    if (!host_command(h, c->argument, &text)) {
        buf_puts(seen, "QEMU is not installed");
        return DOCTOR_SKIP;
    }
    bool there = doctor_has_word(text.data, c->wanted);
    buf_printf(seen, "%s %s", c->wanted, there ? "is there" : "is not one of QEMU's objects");
    return there ? DOCTOR_OK : DOCTOR_FAIL;
}

enum doctor_state doctor_check_programs(const struct host *h, const struct doctor_check *c,
                                        struct buf *seen)
{
    cleanup_buf struct buf text = {0};
    cleanup_strlist struct strlist names = {0}, words = {0}, missing = {0};
    host_command(h, "programs", &text);
    strlist_split(&names, c->argument, " ");
    strlist_split(&words, text.data, " \n");
    for (size_t i = 0; i < names.n; i++)
        if (!strlist_has(&words, names.items[i]))
            strlist_add(&missing, names.items[i]);
    cleanup_free char *which = strlist_join(missing.n ? &missing : &names, ", ");
    buf_printf(seen, "%s%s", missing.n ? "not installed: " : "", which);
    return missing.n ? DOCTOR_FAIL : DOCTOR_OK;
}

enum doctor_state doctor_check_device(const struct host *h, const struct doctor_check *c,
                                      struct buf *seen)
{
    return host_device(h, c->argument, seen) ? DOCTOR_OK : DOCTOR_FAIL;
}

enum doctor_state doctor_check_kvm(const struct host *h, const struct doctor_check *c,
                                   struct buf *seen)
{
    cleanup_buf struct buf text = {0};
    if (!host_device(h, "/dev/kvm", seen))
        return DOCTOR_FAIL;
    host_command(h, "kvm-guest", &text);
    size_t length = strcspn(text.data, "\n");
    if (!length) {
        buf_puts(seen, ", but starting a guest was not tried");
        return DOCTOR_SKIP;
    }
    bool failed = starts_with(text.data, "failed ");
    buf_printf(seen, failed ? ", but it cannot run a guest: %.*s" : ", and %.*s",
               (int)(length - (failed ? strlen("failed ") : 0)),
               text.data + (failed ? strlen("failed ") : 0));
    if (failed)
        return DOCTOR_FAIL;
    return starts_with(text.data, "ran a guest") || starts_with(text.data, "made a guest")
               ? DOCTOR_OK
               : DOCTOR_SKIP;
}

// ---- the verb ----

#define SEEN_LENGTH 200

static const struct doctor_group *const groups[DOCTOR_GROUPS] = {&build_group, &se_group,
                                                                 &snp_group};

const char *doctor_state_name(enum doctor_state state)
{
    static const char *const names[DOCTOR_STATES] = {"ok", "warn", "fail", "skip"};
    return names[state];
}

// One line of at most SEEN_LENGTH characters.
static char *take_one_line(struct buf *seen)
{
    buf_add(seen, "", 0);
    for (size_t i = 0; i < seen->len; i++)
        if (seen->data[i] == '\n' || seen->data[i] == '\t')
            seen->data[i] = ' ';
    if (seen->len > SEEN_LENGTH)
        memcpy(seen->data + SEEN_LENGTH - 3, "...", 4);
    return buf_take(seen);
}

static void run_group(const struct host *h, const struct doctor_group *g,
                      struct doctor_report *report)
{
    for (size_t i = 0; i < g->count; i++) {
        const struct doctor_check *c = &g->checks[i];
        struct buf seen = {0};
        enum doctor_state state = c->run(h, c, &seen);
        if (state == DOCTOR_FAIL)
            state = c->otherwise;
        report->findings =
            xgrow(report->findings, &report->cap, report->n + 1, sizeof *report->findings);
        report->findings[report->n++] = (struct doctor_finding){c->id,
                                                                g->name,
                                                                g->title,
                                                                c->title,
                                                                state == DOCTOR_OK ? NULL : c->fix,
                                                                state,
                                                                take_one_line(&seen)};
        report->counts[state]++;
    }
}

static void run_group_or_explain(const struct host *h, const struct doctor_group *g,
                                 const char *wanted, struct doctor_report *report)
{
    struct buf why = {0};
    if (wanted ? !strcmp(wanted, g->name) : g->applies(h, &why))
        run_group(h, g, report);
    else if (!wanted)
        report->absent[report->absent_count++] =
            (struct doctor_absence){g->name, g->title, take_one_line(&why)};
}

static int check_request(const struct doctor_request *request, struct error **err)
{
    bool known = !request->group;
    for (size_t i = 0; !known && i < ARRAY_LEN(groups); i++)
        known = !strcmp(request->group, groups[i]->name);
    if (!known) {
        error_set(err, ERROR_USAGE, "doctor: there are no checks for '%s'", request->group);
        return error_hint(err, "it can be build, se or snp");
    }
    if (request->root && request->collect)
        return error_set(
            err, ERROR_USAGE,
            "doctor: --collect reads this machine and --root another one: use one of them");
    return 0;
}

static int start_collection(const char *folder, struct error **err)
{
    cleanup_strlist struct strlist names = {0};
    if (make_directories(folder, 0755, err) < 0 || list_directory(folder, &names, err) < 0)
        return -1;
    if (!names.n)
        return 0;
    error_user(err, "collecting into %s: the directory is not empty", folder);
    return error_hint(err, "name a new directory");
}

int doctor_run(const struct doctor_request *request, struct doctor_report *report,
               struct error **err)
{
    struct host h = {.record = request->collect, .cache = request->cache};
    if (check_request(request, err) < 0 ||
        (request->collect && start_collection(request->collect, err) < 0) ||
        host_open(&h, request->root, err) < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_LEN(groups); i++)
        run_group_or_explain(&h, groups[i], request->group, report);
    host_close(&h);
    return 0;
}

void doctor_report_free(struct doctor_report *report)
{
    for (size_t i = 0; i < report->n; i++)
        free(report->findings[i].seen);
    free(report->findings);
    for (size_t i = 0; i < report->absent_count; i++)
        free(report->absent[i].why);
}

json_t *doctor_json(const struct doctor_report *report)
{
    json_t *checks = json_array(), *absent = json_array(), *summary = json_object();
    for (size_t i = 0; i < report->absent_count; i++)
        json_array_append_new(absent, json_pack("{s:s, s:s}", "group", report->absent[i].group,
                                                "why", report->absent[i].why));
    for (size_t i = 0; i < report->n; i++) {
        const struct doctor_finding *f = &report->findings[i];
        json_array_append_new(checks,
                              json_pack("{s:s, s:s, s:s, s:s, s:s, s:s?}", "id", f->id, "group",
                                        f->group, "state", doctor_state_name(f->state), "title",
                                        f->title, "seen", f->seen, "fix", f->fix));
    }
    for (enum doctor_state s = DOCTOR_OK; s < DOCTOR_STATES; s++)
        json_object_set_new(summary, doctor_state_name(s),
                            json_integer((json_int_t)report->counts[s]));
    return json_pack("{s:o, s:o, s:o}", "checks", checks, "does_not_apply", absent, "summary",
                     summary);
}
