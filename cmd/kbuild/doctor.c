// SPDX-License-Identifier: Apache-2.0
#include "kbuild.h"

#include "base/log.h"
#include "host/doctor.h"

#include <string.h>

static void print_report(const struct doctor_report *r)
{
    static const char *const colours[HOST_STATES] = {"\033[32m", "\033[33m", "\033[31m", "\033[2m"};
    bool colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
    const char *group = "";
    for (size_t i = 0; i < r->n; i++) {
        const struct host_finding *f = &r->findings[i];
        if (strcmp(group, f->group) != 0)
            printf("%s%s\n", i ? "\n" : "", f->group_title);
        group = f->group;
        printf("  %s%-4s%s  %s: %s\n", colour ? colours[f->state] : "", host_state_name(f->state),
               colour ? "\033[0m" : "", f->title, f->seen);
        if (f->state == HOST_WARN || f->state == HOST_FAIL)
            printf("        mend: %s\n", f->mend);
    }
    printf("\n%zu ok, %zu warn, %zu fail, %zu skip\n", r->counts[HOST_OK], r->counts[HOST_WARN],
           r->counts[HOST_FAIL], r->counts[HOST_SKIP]);
}

int verb_doctor(struct global_options *g, struct strlist *words, struct error **err)
{
    cleanup_strlist struct strlist storage = {0};
    struct doctor_request request = {.cache = g->cache};
    const struct verb_option options[] = {
        {"--root", NULL, &request.root, NULL, NULL},
        {"--collect", NULL, &request.collect, NULL, NULL},
    };
    if (parse_verb_options("doctor", words, options, ARRAY_LEN(options), &storage, err) < 0)
        return -1;
    if (words->n > 1)
        return usage_error(err, "doctor", "expected at most one group of checks");
    request.group = words->n ? words->items[0] : NULL;
    struct doctor_report report = {0};
    if (doctor_run(&request, &report, err) < 0)
        return -1;
    if (g->json) {
        json_t *all = doctor_json(&report);
        cleanup_free char *line = json_dumps(all, JSON_COMPACT);
        json_decref(all);
        puts(line);
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
