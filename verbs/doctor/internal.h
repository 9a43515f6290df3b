// SPDX-License-Identifier: Apache-2.0
// Declarations shared by the files of `kbuild doctor`. A check is one row of a table. Not for
// others.
#ifndef KBUILD_DOCTOR_INTERNAL_H
#define KBUILD_DOCTOR_INTERNAL_H

#include "doctor/doctor.h"
#include "host/host.h"

struct doctor_check {
    const char *id, *title;
    // Writes what it saw to `seen`, and returns DOCTOR_OK, only with evidence; DOCTOR_FAIL, which
    // becomes `otherwise`; DOCTOR_WARN; or DOCTOR_SKIP, if unknown, with the reason in `seen`.
    enum doctor_state (*run)(const struct host *h, const struct doctor_check *c, struct buf *seen);
    const char *argument, *value; // for `run`
    enum doctor_state otherwise;  // DOCTOR_FAIL or DOCTOR_WARN
    const char *fix;
};

struct doctor_group {
    const char *name, *title;
    const struct doctor_check *checks;
    size_t count;
    // If not requested by name: is this machine set up for the group? If not, writes why.
    bool (*applies)(const struct host *h, struct buf *why);
};
extern const struct doctor_group build_group, se_group, snp_group;

// ---- checks.c: checks of several groups, and facts of a machine ----

typedef enum doctor_state doctor_check_function(const struct host *h, const struct doctor_check *c,
                                                struct buf *seen);
doctor_check_function
    doctor_check_file_value,  // file `argument` holds the word `value` ("1|Y": any of these)
    doctor_check_kernel,      // release of at least `value`
    doctor_check_version,     // command `argument` prints a version of at least `value`
    doctor_check_qemu_object, // command `argument` lists the QEMU object `value`
    doctor_check_programs,    // all programs of `argument` exist ("git patch")
    doctor_check_device,      // /dev/... `argument` exists and is usable
    doctor_check_kvm;         // KVM starts a guest

// The machine as in uname ("s390x"), "" if unknown; to be freed.
char *doctor_machine(const struct host *h);
// The value of a field of /proc/cpuinfo, of the first processor; to be freed; NULL if missing.
char *doctor_cpu_field(const struct host *h, const char *name);
// The kernel's log; false with the reason in `seen` if it can't be read.
bool doctor_kernel_log(const struct host *h, struct buf *log, struct buf *seen);
bool doctor_has_word(const char *text, const char *word);
// Compares the first "N.N" of a text with a version; -1 less, 0 or 1; -2 if there is none.
int doctor_compare_version(const char *text, const char *version);

#endif
