// SPDX-License-Identifier: Apache-2.0
// Implements `kbuild doctor`: runs the requested groups of checks, or those that apply to the
// machine, and reports what they found.
#include "doctor/internal.h"

#include "base/file.h"

#include <string.h>

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
                                 const char *requested, struct doctor_report *report)
{
    struct buf why = {0};
    if (requested ? !strcmp(requested, g->name) : g->applies(h, &why))
        run_group(h, g, report);
    else if (!requested)
        report->absent[report->absent_count++] =
            (struct doctor_absence){g->name, g->title, take_one_line(&why)};
}

static int check_request(const struct doctor_request *request, struct error **err)
{
    bool known = !request->group;
    for (size_t i = 0; !known && i < ARRAY_LEN(groups); i++)
        known = !strcmp(request->group, groups[i]->name);
    if (!known) {
        error_set(err, ERROR_USAGE, "doctor: there is no group of checks called '%s'",
                  request->group);
        return error_hint(
            err,
            "name build, se or snp; without a name, the groups that apply to this machine are run");
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
    error_user(err, "collecting what the checks read into %s: the directory is not empty", folder);
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
