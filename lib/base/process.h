// SPDX-License-Identifier: Apache-2.0
// Running other programs.
#ifndef KBUILD_BASE_PROCESS_H
#define KBUILD_BASE_PROCESS_H

#include "base/buf.h"
#include "base/error.h"

#include <sys/types.h>

// What to run and how. Zero-initialise, then set what differs. Nothing is owned.
struct process {
    char *const *argv;        // argv[0] is looked up on PATH
    char *const *environment; // the whole environment, or NULL to inherit
    const char *directory;    // working directory, or NULL
    int input;                // fd for standard input, or 0 to inherit, or -1 for /dev/null
    int output, errors;       // fds, or 0 to inherit
    const int *keep;          // further fds to leave open; all others are closed
    size_t keep_count;
    mode_t mask;      // file mode creation mask, or 0 to inherit
    bool own_group;   // own process group, so that process_stop() ends all of it
    bool tree;        // its descendants belong to it (see process_start())
    bool own_keyring; // a new, anonymous session keyring instead of the user's
    bool terminal;    // `input` is a terminal that becomes the controlling one of a new session
};

// For the beginning of main(): remembers which of SIGINT, SIGTERM and SIGHUP were ignored when this
// process started (nohup). They stay ignored, here and in child processes.
void signals_on_entry(void);
bool signal_ignored_on_entry(int signal);

// Starts it. A program that cannot be executed is an error here. The child is killed if this
// process dies. Returns the pid, or -1. With `tree` it is the pid of a supervisor (supervise.h),
// which ends with the program's status once all descendants are dead, in whatever groups and
// sessions; process_stop(), and the end of this process, kill them all.
pid_t process_start(const struct process *p, struct error **err);
// Waits. *status gets the wait status; EINTR is handled.
int process_wait(pid_t pid, int *status, struct error **err);
// Runs to the end; anything but exit status 0 is an error that quotes the end of its standard error
// (unless p->errors is set). With `out` not NULL, standard output goes there, at most 64 MiB.
int process_run(const struct process *p, struct buf *out, struct error **err);
// SIGTERM to the group, and SIGKILL after `grace_ms` milliseconds. Reaps `pid`.
void process_stop(pid_t pid, int grace_ms);
// "exit status 2", "signal 9 (Killed)"; to be freed.
char *process_status_text(int status);

#endif
