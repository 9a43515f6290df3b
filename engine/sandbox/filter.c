// SPDX-License-Identifier: Apache-2.0
// Makes the seccomp filter of every sandbox: one table of refused calls, with reasons. All other
// calls are allowed, since builds run everything; calls that a build cannot need, or that reach
// state which no namespace separates, are refused. The table is also in docs/sandbox.md.
//
// On x86_64 the same rules apply to 32-bit programs. Programs of any other foreign ABI (x32, 32-bit
// ARM, 31-bit s390) get ENOSYS for every call: other call numbers cannot bypass the table.
#include "sandbox/internal.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/ioctl.h>

// ENOSYS where programs have a fallback: a kernel may lack the call.
static const struct {
    const char *name;
    int errnum;
    const char *why;
} refused[] = {
    {"keyctl", ENOSYS, "keys are shared by all processes of a user, and by no namespace separated"},
    {"add_key", ENOSYS, "the same"},
    {"request_key", ENOSYS, "the same; it also starts /sbin/request-key on the host"},
    {"bpf", EPERM, "programs in the kernel"},
    {"userfaultfd", EPERM, "holds the kernel in the middle of a copy: the usual help of exploits"},
    {"perf_event_open", EPERM, "sees the whole machine; a large part of the kernel to attack"},
    {"io_uring_setup", ENOSYS, "does calls that no seccomp filter sees"},
    {"io_uring_enter", ENOSYS, "the same"},
    {"io_uring_register", ENOSYS, "the same"},
    {"clone3", ENOSYS, "its flags are in memory, where a filter can't see new namespaces"},
    {"setns", EPERM, "into other namespaces"},
    {"mount", EPERM, "the mounts are the sandbox"},
    {"umount2", EPERM, "the same: below a mount may be something of the host"},
    {"pivot_root", EPERM, "the same"},
    {"open_tree", EPERM, "the same"},
    {"move_mount", EPERM, "the same"},
    {"fsopen", EPERM, "the same"},
    {"fsconfig", EPERM, "the same"},
    {"fsmount", EPERM, "the same"},
    {"fspick", EPERM, "the same"},
    {"mount_setattr", EPERM, "the same"},
    {"name_to_handle_at", EPERM, "handles name files past every mount"},
    {"open_by_handle_at", EPERM, "opens files by handle, past every mount"},
    {"kexec_load", EPERM, "another kernel"},
    {"kexec_file_load", EPERM, "another kernel"},
    {"init_module", EPERM, "code for the kernel"},
    {"finit_module", EPERM, "code for the kernel"},
    {"delete_module", EPERM, "code of the kernel"},
    {"reboot", EPERM, "the machine is not the step's"},
    {"swapon", EPERM, "the same"},
    {"swapoff", EPERM, "the same"},
    {"acct", EPERM, "writes to a file about every process"},
    {"quotactl", EPERM, "limits of the host's file systems"},
    {"syslog", EPERM, "the kernel's messages tell addresses and devices"},
    {"settimeofday", EPERM, "the clock is the host's"},
    {"clock_settime", EPERM, "the same"},
    {"clock_adjtime", EPERM, "the same"},
    {"fanotify_init", EPERM, "watches whole file systems"},
    {"lookup_dcookie", EPERM, "names files of the whole machine"},
    {"vhangup", EPERM, "ends sessions on the terminal"},
    {"iopl", EPERM, "access to devices"},
    {"ioperm", EPERM, "the same"},
};

// New namespaces bring capabilities back, and with them most of the kernel. CLONE_NEWTIME is no
// flag of clone(2), where that bit belongs to the signal.
static const unsigned namespaces[] = {CLONE_NEWNS,   CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC,
                                      CLONE_NEWUSER, CLONE_NEWPID,    CLONE_NEWNET};
#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

// Requests that put input into a terminal, as if the user typed it.
static const unsigned requests[] = {TIOCSTI, TIOCLINUX};

// clone(2), "C library/kernel differences": flags are the first argument, on s390 the second.
#if defined(__s390__)
#define CLONE_FLAGS 1
#else
#define CLONE_FLAGS 0
#endif

// The kernel uses only the lower half of these arguments, and so does the filter.
static int refuse_bits(scmp_filter_ctx filter, const char *name, unsigned argument, unsigned mask,
                       unsigned value)
{
    const struct scmp_arg_cmp compare =
        SCMP_CMP(argument, SCMP_CMP_MASKED_EQ, (scmp_datum_t)mask, (scmp_datum_t)value);
    return seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(EPERM), seccomp_syscall_resolve_name(name),
                                  1, &compare);
}

static int add_rules(scmp_filter_ctx filter)
{
    int result = 0;
    for (size_t i = 0; i < ARRAY_LEN(refused) && !result; i++) {
        int number = seccomp_syscall_resolve_name(refused[i].name);
        // A call that this architecture lacks also has a number, a negative one.
        result =
            number == __NR_SCMP_ERROR
                ? -ENOENT
                : seccomp_rule_add(filter, SCMP_ACT_ERRNO((uint32_t)refused[i].errnum), number, 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(namespaces) && !result; i++) {
        result = refuse_bits(filter, "clone", CLONE_FLAGS, namespaces[i], namespaces[i]);
        if (!result)
            result = refuse_bits(filter, "unshare", 0, namespaces[i], namespaces[i]);
    }
    if (!result)
        result = refuse_bits(filter, "unshare", 0, CLONE_NEWTIME, CLONE_NEWTIME);
    for (size_t i = 0; i < ARRAY_LEN(requests) && !result; i++)
        result = refuse_bits(filter, "ioctl", 1, UINT32_MAX, requests[i]);
    return result;
}

static int make_filter(scmp_filter_ctx filter, int fd)
{
    // The system's own errno, not ECANCELED for each.
    int result = seccomp_attr_set(filter, SCMP_FLTATR_API_SYSRAWRC, 1);
    if (!result)
        result = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
#if defined(__x86_64__)
    if (!result)
        result = seccomp_arch_add(filter, SCMP_ARCH_X86);
#endif
    if (!result)
        result = add_rules(filter);
    return result ? result : seccomp_export_bpf(filter, fd);
}

int bwrap_add_filter(struct bwrap_arguments *a, struct error **err)
{
    if (a->fd_count == ARRAY_LEN(a->fds))
        return error_user(err, "no room for the filter of system calls");
    cleanup_close int fd = memory_file("filter", "", 0, err);
    if (fd < 0)
        return -1;
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    int result = filter ? make_filter(filter, fd) : -ENOMEM;
    seccomp_release(filter);
    if (result)
        return error_errno(err, -result, "making the filter of system calls");
    if (lseek(fd, 0, SEEK_SET) < 0)
        return error_errno(err, errno, "making the filter of system calls");
    bwrap_add(a, "--seccomp");
    strlist_addf(&a->list, "%d", fd);
    a->fds[a->fd_count++] = steal_fd(&fd);
    return 0;
}
