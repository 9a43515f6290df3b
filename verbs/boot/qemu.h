// SPDX-License-Identifier: Apache-2.0
// Starting a machine of any architecture under QEMU, watching its console, and talking to what runs
// in it.
#ifndef KBUILD_BOOT_QEMU_H
#define KBUILD_BOOT_QEMU_H

#include "base/buf.h"
#include "base/error.h"
#include "recipe/arch.h"

#include <jansson.h>
#include <stdio.h>

#define MACHINE_MEMORY 2048u // MiB: an image with swiotlb=262144 sets 512 MiB aside

struct machine {
    const struct arch *arch;
    const char *kernel, *initrd, *append; // initrd and append may be NULL
    const char *disk;                     // a raw file that the guest may only read; or NULL
    const char *program;                  // QEMU; NULL: the architecture's, from PATH
    const char *data, *firmware;          // its data directory; firmware; NULL: its own
    const char *machine, *cpu;            // -M and -cpu; NULL: the usual
    const char *options;                  // further words of its command line, or NULL
    const struct strlist *expect;         // texts that the console has to show as well, or NULL
    const char *port, *socket;            // a virtio serial port of this name, which is the unix
                                          // socket at this path; or NULL
    const char *told;                     // the command line that is inside an image; or NULL
    char **seen_command_line;             // gets the command line that Linux shows on the console,
                                          // to be freed, if it does; or NULL
    bool kvm;                             // KVM can be used on this machine
    bool confidential;                    // only KVM starts such a guest
    unsigned timeout;                     // seconds
    FILE *console;                        // where the console is copied to, or NULL
    bool verbose;                         // and to standard error
};

// Under KVM where it can be used and works, else in software emulation: where QEMU was built
// without that, it is an error.

// The kernel command line that this machine is started with (append, and the console where the
// kernel does not find it by itself); to be freed.
char *qemu_command_line(const struct machine *m);
// The program that starts it, to be freed; an error says what to install.
char *qemu_find(const struct machine *m, struct error **err);
// All words that it is called with, the program's first.
void qemu_arguments(const struct machine *m, const char *program, bool kvm, struct strlist *argv);
// Whatever the console has to show must not be in the machine's command line, in `told` or in
// QEMU's arguments: guests show what they are given. That is an error before anything is started.
// What comes after a panic of the kernel counts for nothing.

// Runs until a line of the console holds `text`. It is an error if the machine ends, panics, or the
// time is over before.
int qemu_expect(const struct machine *m, const char *text, struct error **err);
// Runs until init has printed its JSON line, an object with the key "smoke-init", which *report
// gets (to be released with json_decref()). A text of m->expect that the console did not show
// before is an error.
int qemu_expect_init(const struct machine *m, json_t **report, struct error **err);

// Runs until the kernel panics, which it has to, and not before the console has shown each text of
// m->expect: a guest that must not start. Init's JSON line is an error.
int qemu_expect_panic(const struct machine *m, struct error **err);

// For those who talk to what runs in a machine.
struct guest;
enum { GUEST_LINE_MAX = 1 << 20 };
typedef int guest_talk(struct guest *g, void *context, struct error **err);
// The next line of a pipe, without its end, while the console is watched on: 1; 0 at the end of the
// pipe. The last line needs no line break. It is an error if the machine panics or its time is
// over, or if it has ended and the pipe is still open two seconds later.
int guest_read_line(struct guest *g, int pipe, struct buf *line, struct error **err);
// Waits for a child, as process_wait() does, and no longer than a line would be waited for.
int guest_wait(struct guest *g, pid_t pid, int *status, struct error **err);
// Runs until the console has shown each of `texts`, in any order, and then has `talk` (NULL:
// nobody) talk to what serves there, for m->timeout seconds more. An error of that gets the
// console's last lines. Where it is not known whether a service is inside, `report` is not NULL:
// then init's JSON line, which *report gets, is as good.
int qemu_expect_serving(const struct machine *m, const struct strlist *texts, json_t **report,
                        guest_talk *talk, void *context, struct error **err);

#endif
