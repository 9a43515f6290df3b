// SPDX-License-Identifier: Apache-2.0
// Implements `kbuild doctor`: prints the findings on this machine, and the fixes.
#include "kbuild.h"

#include "base/error.h"
#include "doctor/doctor.h"

#include <string.h>

static void print_report(const struct doctor_report *r)
{
    static const char *const colours[HOST_STATES] = {"\033[32m", "\033[33m", "\033[31m", "\033[2m"};
    bool colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
    const char *group = "";
    for (size_t i = 0; i < r->n; i++) {
        const struct host_finding *f = &r->findings[i];
        if (strcmp(group, f->group) != 0)
            print("%s%s\n", i ? "\n" : "", f->group_title);
        group = f->group;
        fputs(colour ? colours[f->state] : "", stdout);
        print("  %-4s", host_state_name(f->state));
        fputs(colour ? "\033[0m" : "", stdout);
        print("  %s: %s\n", f->title, f->seen);
        if (f->state == HOST_WARN || f->state == HOST_FAIL)
            print("        fix: %s\n", f->fix);
    }
    for (size_t i = 0; i < r->absent_count; i++)
        print("\n%s\n  does not apply: %s\n", r->absent[i].group_title, r->absent[i].why);
    print("\n%zu ok, %zu warn, %zu fail, %zu skip\n", r->counts[HOST_OK], r->counts[HOST_WARN],
          r->counts[HOST_FAIL], r->counts[HOST_SKIP]);
}

int verb_doctor(struct global_options *g, struct strlist *words, struct error **err)
{
    struct doctor_request request = {.cache = g->cache,
                                     .root = option_value(g, "--root"),
                                     .collect = option_value(g, "--collect")};
    request.group = words->n ? words->items[0] : NULL;
    struct doctor_report report = {0};
    if (doctor_run(&request, &report, err) < 0)
        return -1;
    if (g->json) {
        json_t *all = doctor_json(&report);
        print_json(stdout, all, JSON_COMPACT);
        json_decref(all);
    } else {
        print_report(&report);
    }
    if (request.collect)
        log_note("what the checks read is in %s; look through it before you send it",
                 request.collect);
    int status = report.counts[HOST_FAIL] ? 1 : 0;
    doctor_report_free(&report);
    return status;
}
