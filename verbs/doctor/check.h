// SPDX-License-Identifier: Apache-2.0
// A check is one row of a table. Also declares helpers of checks.
#ifndef KBUILD_DOCTOR_CHECK_H
#define KBUILD_DOCTOR_CHECK_H

#include "doctor/doctor.h"
#include "host/host.h"

struct host_check {
    const char *id, *title;
    // Writes what it saw to `seen`, and returns HOST_OK, only with evidence; HOST_FAIL, which
    // becomes `otherwise`; HOST_WARN; or HOST_SKIP, if unknown, with the reason in `seen`.
    enum host_state (*look)(const struct host *h, const struct host_check *c, struct buf *seen);
    const char *argument, *wanted; // for `look`
    enum host_state otherwise;     // HOST_FAIL or HOST_WARN
    const char *fix;
};

struct host_group {
    const char *name, *title;
    const struct host_check *checks;
    size_t count;
    // If not requested by name: is this machine set up for the group? If not, writes why.
    bool (*applies)(const struct host *h, struct buf *why);
};
extern const struct host_group build_group, se_group, snp_group;

typedef enum host_state host_look(const struct host *h, const struct host_check *c,
                                  struct buf *seen);
host_look look_file_value, // file `argument` holds the word `wanted` ("1|Y": any of these)
    look_kernel,           // release of at least `wanted`
    look_version,          // command `argument` prints a version of at least `wanted`
    look_object,           // command `argument` lists the QEMU object `wanted`
    look_program,          // all programs of `argument` exist ("git patch")
    look_device,           // /dev/... `argument` exists and is usable
    look_kvm;              // KVM starts a guest

// The machine as in uname ("s390x"), "" if unknown; to be freed.
char *host_machine(const struct host *h);
// The value of a field of /proc/cpuinfo, of the first processor; to be freed; NULL if missing.
char *host_cpu_field(const struct host *h, const char *name);
// The kernel's log; false with the reason in `seen` if it can't be read.
bool host_log(const struct host *h, struct buf *log, struct buf *seen);
bool host_has_word(const char *text, const char *word);
// Compares the first "N.N" of a text with a version; -1 less, 0 or 1; -2 if there is none.
int host_compare_version(const char *text, const char *version);

#endif
