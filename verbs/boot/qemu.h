// SPDX-License-Identifier: Apache-2.0
// Starts a machine of any architecture under QEMU, watches its console, and runs a client of the
// guest's service.
#ifndef KBUILD_BOOT_QEMU_H
#define KBUILD_BOOT_QEMU_H

#include "base/memory.h"
#include "base/error.h"
#include "recipe/arch.h"

#include <jansson.h>
#include <stdio.h>

#define MACHINE_MEMORY 2048u // MiB: an image with swiotlb=262144 reserves 512 MiB

struct machine {
    const struct arch *arch;
    const char *kernel, *initrd, *append; // initrd and append may be NULL
    const char *disk;                     // a raw file, read-only for the guest; or NULL
    const char *program;                  // QEMU; NULL: the architecture's, from PATH
    const char *data, *firmware;          // its data directory; firmware; NULL: its own
    const char *machine, *cpu;            // -M and -cpu; NULL: the default
    const char *options;                  // further words of its command line, or NULL
    const struct strlist *expect;         // texts that must also appear on the console, or NULL
    const char *port, *socket;            // a virtio serial port of this name, connected to the
                                          // unix socket at this path; or NULL
    const char *told;                     // the command line inside an image; or NULL
    char **seen_command_line;             // gets the command line that Linux prints on the console,
                                          // to be freed, if any; or NULL
    bool kvm;                             // this machine has a usable KVM
    bool confidential;                    // such a guest requires KVM
    unsigned timeout;                     // seconds
    FILE *console;                        // gets a copy of the console, or NULL
    bool verbose;                         // also copies it to standard error
};

// Under KVM if it is usable and works, else in software emulation; an error if this QEMU was built
// without it.

// The kernel command line of this machine (append, and the console if the kernel does not find it
// by itself); to be freed.
char *qemu_command_line(const struct machine *m);
// The program that starts it, to be freed; an error says what to install.
char *qemu_find(const struct machine *m, struct error **err);
// All words of the QEMU command line, the program first.
void qemu_arguments(const struct machine *m, const char *program, bool kvm, struct strlist *argv);
// Expected console texts must not be in the machine's command line, in `told` or in QEMU's
// arguments: guests print these. That is an error before anything is started. Texts after a panic
// of the kernel do not count.

// Runs until a line of the console contains `text`. It is an error if the machine ends, panics, or
// times out before.
int qemu_expect(const struct machine *m, const char *text, struct error **err);
// Runs until init has printed its JSON line, an object with the key "smoke-init", which *report
// gets (to be released with json_decref()). It is an error if a text of m->expect did not appear
// before.
int qemu_expect_init(const struct machine *m, json_t **report, struct error **err);

// For a guest that must not start: runs until the kernel panics, which must happen, after each text
// of m->expect has appeared. Init's JSON line is an error.
int qemu_expect_panic(const struct machine *m, struct error **err);

// For clients of a service in the machine.
struct guest;
enum { GUEST_LINE_MAX = 1 << 20 };
typedef int guest_talk(struct guest *g, void *context, struct error **err);
// The next line of a pipe, without its end, while the console is still watched: 1; 0 at the end of
// the pipe. The last line needs no line break. It is an error if the machine panics or times out,
// or if it has ended and the pipe is still open two seconds later.
int guest_read_line(struct guest *g, int pipe, struct buf *line, struct error **err);
// Waits for a child, as process_wait() does, with the same time limit as for a line.
int guest_wait(struct guest *g, pid_t pid, int *status, struct error **err);
// Runs until the console has shown each of `texts`, in any order, and then calls `talk` (may be
// NULL) as the client of the service, for up to m->timeout seconds more. Its error gets the
// console's last lines. If the service may be absent, `report` is not NULL: then init's JSON line,
// which *report gets, also counts.
int qemu_expect_serving(const struct machine *m, const struct strlist *texts, json_t **report,
                        guest_talk *talk, void *context, struct error **err);

#endif
