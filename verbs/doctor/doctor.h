// SPDX-License-Identifier: Apache-2.0
// `kbuild doctor`: checks whether this machine can build, and host Secure Execution or SEV-SNP
// guests.
//
// Each check is a row of a table (check_build.c, check_se.c, check_snp.c): what it examines, what
// it saw, and how to fix it. Nothing is changed on the machine. All input of checks comes through
// host_read() and host_command() (host/host.h), so that a tree of collected files can replace a
// machine; docs/doctor.md describes its layout.
//
// A request owns nothing; doctor_report_free() frees what a report owns.
#ifndef KBUILD_DOCTOR_DOCTOR_H
#define KBUILD_DOCTOR_DOCTOR_H

#include "base/error.h"
#include "base/memory.h"

#include <jansson.h>

enum doctor_state { DOCTOR_OK, DOCTOR_WARN, DOCTOR_FAIL, DOCTOR_SKIP };
#define DOCTOR_STATES 4
const char *doctor_state_name(enum doctor_state state); // "ok", "warn", "fail", "skip"

// Zero-initialise; nothing is owned.
struct doctor_request {
    const char *group;   // "build", "se" or "snp"; NULL: build, and the groups the machine is set
                         // up for
    const char *root;    // a tree that replaces the machine; NULL: this machine
    const char *collect; // new directory for a copy of what the checks read, for `root` elsewhere
    const char *cache;   // directory of builds: its free space is checked
};

struct doctor_finding {
    const char *id, *group, *group_title, *title;
    const char *fix; // what to do unless the state is ok
    enum doctor_state state;
    char *seen; // printable ASCII, at most 200 characters; for skip: the reason
};

// A group that was not requested by name, and that this machine is not set up for.
struct doctor_absence {
    const char *group, *group_title;
    char *why;
};
#define DOCTOR_GROUPS 3

// Zero-initialise.
struct doctor_report {
    struct doctor_absence absent[DOCTOR_GROUPS];
    size_t absent_count;
    struct doctor_finding *findings; // in the order of the tables
    size_t n, cap;
    size_t counts[DOCTOR_STATES];
};

// Runs the checks. Failed checks are no error: see counts[DOCTOR_FAIL].
int doctor_run(const struct doctor_request *request, struct doctor_report *report,
               struct error **err);
void doctor_report_free(struct doctor_report *report);
// {"checks": [{"id", "group", "state", "title", "seen", "fix"}...],
//  "does_not_apply": [{"group", "why"}...],
//  "summary": {"ok", "warn", "fail", "skip"}}; fix is null for ok. The caller's.
json_t *doctor_json(const struct doctor_report *report);

#endif
