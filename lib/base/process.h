// SPDX-License-Identifier: Apache-2.0
// Running other programs, threads, the processors that all of them share, and time.
#ifndef KBUILD_BASE_PROCESS_H
#define KBUILD_BASE_PROCESS_H

#include "base/error.h"
#include "base/memory.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/time.h>
#include <sys/types.h>
#include <time.h>

// ---- programs ----

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
    // process_run(), in a program that blocks the ending signals: so long after one of them came
    // it ends the program, with ERROR_INTERRUPT. The signal stays pending. 0: it waits.
    int interrupt_ms;
};

// For the beginning of main(), before anything is opened: a standard stream that is closed is
// opened such that using it fails as before (EBADF), and so that no file of ours gets its number,
// into which output would go.
void standard_streams_on_entry(void);

// For the beginning of main(): remembers which of SIGINT, SIGTERM and SIGHUP were ignored when this
// process started (nohup). They stay ignored, here and in child processes.
void signals_on_entry(void);
bool signal_ignored_on_entry(int signal);

// The signals that end a run in an orderly way: SIGINT, SIGTERM and SIGHUP, but for those that were
// ignored on entry. (Ignored ones must not be blocked: they would arrive.)
void ending_signals(sigset_t *out);
// Whether one of them is pending, in a program that blocks them.
bool interrupt_is_pending(void);

// Between these two an ending signal is held back: what runs there looks for it, and ends in order,
// with its report. Calls can be nested; only the outermost pair changes anything. Where the work
// failed, the interrupt is a part of that, or too late, and is dropped; else it arrives after the
// end.
void interrupts_hold(void);
void interrupts_release(bool failed);
// The signal mask before the outermost interrupts_hold(): for child processes, which a signal may
// end at once.
const sigset_t *interrupts_mask_before(void);
// ERROR_INTERRUPT if one is pending.
int interrupts_check(struct error **err);

// Starts it. A program that cannot be executed is an error here. The child is killed if this
// process dies. Returns the pid, or -1. With `tree` it is the pid of a supervisor,
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

// Every supervisor keeps this descriptor open until it ends, so that a reader of the other end
// knows when all have ended. -1: none.
void supervisors_keep_open(int fd);

// ---- threads ----
// No thread that is started here takes signals: they are for the thread that runs the program.

// 0, or the number of an error (EAGAIN: there are too many).
int thread_start(pthread_t *thread, void *(*run)(void *context), void *context);

// Runs `work` in this thread and in up to `threads` - 1 others, WORKERS_MAX at most, and returns
// when all have ended. If no other thread can be made, this one does everything: `work` returns
// when no work is left. The context is shared; `work` does the locking.
#define WORKERS_MAX 64u
void workers_run(size_t threads, void *(*work)(void *context), void *context);

// The processors that this process may use.
unsigned processors(void);
// The bytes of this machine's memory; 0: unknown.
uint64_t memory_size(void);
// The number of threads whose `per_thread` bytes fit into a quarter of the memory, one for each
// processor at most; `wanted` if that is not 0.
unsigned threads_that_fit(unsigned wanted, uint64_t per_thread);

// ---- ring ----
// Passes buffers from the caller, which fills them, to a thread of the ring, which takes them in
// order, at the same time. The caller owns the ring, the ring its buffers; only a take can fail.

// Takes one given buffer. False: it failed, and is not called again.
typedef bool ring_take(void *context, const void *bytes, size_t length);
struct ring;
// A ring of `slots` buffers of `slot_size` bytes, each made at its first use; the thread is started
// at the second buffer. If no thread can be made, the calling thread takes. The context must live
// until ring_end().
struct ring *ring_begin(size_t slots, size_t slot_size, ring_take *take, void *context);
// A buffer to fill; waits until one is free.
void *ring_slot(struct ring *r);
// Gives the first `length` bytes of the buffer that ring_slot() returned last. It stays readable
// and unchanged until the next call of ring_slot().
void ring_give(struct ring *r, size_t length);
// Waits until everything is taken, wipes the buffers and frees the ring. False if a take failed.
// NULL is allowed.
bool ring_end(struct ring *r);

// ---- the tokens of GNU make's jobserver ----
// GNU make, "POSIX Jobserver Interaction": each stands for one processor. Steps, their compilers
// and packing share them.

int jobserver_open(unsigned jobs, struct error **err);
void jobserver_close(void);
bool jobserver_is_open(void);
bool jobserver_take(void);   // false: none free now
void jobserver_give(void);   // never waits
void jobserver_refill(void); // when no step runs: restores the exact number of tokens
int jobserver_wait_fd(void); // readable when a token may be free
// For a step, in its child: new descriptors {read, write} that nobody shares, or {0, 0}.
void jobserver_fds(int fds[static 2]);
unsigned pack_threads_acquire(void); // tokens for packing, besides our own
void pack_threads_release(unsigned threads);

// ---- time ----

// The milliseconds of the monotonic clock, for durations.
static inline long long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static inline long long timeval_ms(struct timeval t)
{
    return t.tv_sec * 1000LL + t.tv_usec / 1000;
}

#endif
