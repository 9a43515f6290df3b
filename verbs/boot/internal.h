// SPDX-License-Identifier: Apache-2.0
// Declarations shared by the files of `kbuild boot`. Not for others.
#ifndef KBUILD_BOOT_INTERNAL_H
#define KBUILD_BOOT_INTERNAL_H

#include "boot/boot.h"

#include "base/memory.h"
#include "disk/disk.h"
#include "graph/job.h"
#include "host/host.h"
#include "pack/pack.h"
#include "recipe/platform.h"

#include <jansson.h>
#include <stdio.h>

// ---- qemu.c: QEMU and its command line ----

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
    const char *image_command_line;       // the command line inside an image; or NULL
    char **seen_command_line;             // gets the command line that Linux prints on the console,
                                          // to be freed, if any; or NULL
    bool kvm;                             // this machine has a usable KVM
    bool confidential;                    // such a guest requires KVM
    unsigned timeout;                     // seconds
    FILE *console;                        // gets a copy of the console, or NULL
    bool verbose;                         // also copies it to standard error
};
// The kernel command line of this machine (append, and the console if the kernel does not find it
// by itself); to be freed.
char *qemu_command_line(const struct machine *m);
// The program that starts it, to be freed; an error says what to install.
char *qemu_find(const struct machine *m, struct error **err);
// All words of the QEMU command line, the program first.
void qemu_arguments(const struct machine *m, const char *program, bool kvm, struct strlist *argv);
struct accelerators {
    bool kvm, tcg;
};
// The accelerators that this QEMU was built with.
int qemu_find_accelerators(const char *program, struct accelerators *out, struct error **err);

// ---- guest.c: a machine that runs ----
// Under KVM if it is usable and works, else in software emulation; an error if this QEMU was built
// without it.
//
// Expected console texts must not be in the machine's command line, in that of its image, or in
// QEMU's arguments: guests print these. That is an error before anything is started. Texts after a
// panic of the kernel do not count.

// Runs until a line of the console contains `text`. It is an error if the machine ends, panics, or
// times out before.
int guest_expect_text(const struct machine *m, const char *text, struct error **err);
// Runs until init has printed its JSON line, an object with the key "smoke-init", which *report
// gets (to be released with json_decref()). It is an error if a text of m->expect did not appear
// before.
int guest_expect_init(const struct machine *m, json_t **report, struct error **err);
// For a guest that must not start: runs until the kernel panics, which must happen, after each text
// of m->expect has appeared. Init's JSON line is an error.
int guest_expect_panic(const struct machine *m, struct error **err);

// For clients of a service in the machine.
struct guest;
enum { GUEST_LINE_MAX = 1 << 20 };
typedef int guest_client(struct guest *g, void *context, struct error **err);
// The next line of a pipe, without its end, while the console is still watched: 1; 0 at the end of
// the pipe. The last line needs no line break. It is an error if the machine panics or times out,
// or if it has ended and the pipe is still open two seconds later.
int guest_read_line(struct guest *g, int pipe, struct buf *line, struct error **err);
// Waits for a child, as process_wait() does, with the same time limit as for a line.
int guest_wait(struct guest *g, pid_t pid, int *status, struct error **err);
// Runs until the console has shown each of `texts`, in any order, and then calls `client` (may be
// NULL) of the service, for up to m->timeout seconds more. Its error gets the console's last lines.
// If the service may be absent, `report` is not NULL: then init's JSON line, which *report gets,
// also counts.
int guest_expect_service(const struct machine *m, const struct strlist *texts, json_t **report,
                         guest_client *client, void *context, struct error **err);

// ---- confidential.c: kinds of confidential guests ----

extern const char *const confidential_names[]; // by enum recipe_confidential: "SNP"

// The values of a recipe's placeholders.
struct confidential_host {
    unsigned cbitpos; // {cbitpos}: the address bit that marks an encrypted page
};
// 1: this machine can start guests of this kind. 0: it is no host of them. An error: it is a host,
// but not usable in its current state, with the reason.
int confidential_host(const struct host *h, enum recipe_confidential kind,
                      struct confidential_host *out, struct error **err);

// The launch, for the digest that the guest must report.
struct confidential_launch {
    const char *firmware, *kernel, *initrd, *append;
    const char *cpu; // QEMU's name of the model; an unknown name is an error
};
// The attestation report in init's JSON line must be present and complete, contain init's data, and
// have the expected launch digest. Its signature is not checked: that needs the processor's
// certificate, which AMD issues. `proof` gets a line for people, to be freed.
int confidential_check(enum recipe_confidential kind, const json_t *report,
                       const struct confidential_launch *launch, char **proof, struct error **err);

// ---- one run of the verb ----

struct boot_run {
    struct build *b;
    const struct recipe *recipe; // NULL: with a given image
    const struct arch *arch;
    const struct node *node; // of the recipe; NULL for a group or a given image
    const struct boot_options *o;
    char *folder; // scratch
    FILE *console;
    struct machine machine;
    char *disk, *append; // owned; of the machine, if it has a disk
    bool measured;       // the disk is, by `verity`
    struct verity verity;
    const struct recipe_service *service; // that the guest has or may have, or NULL
    bool service_is_sure;
    bool tools;                   // the client and the cpio of the service are available
    char *socket, *socket_folder; // owned; this side of the port
};

// ---- boot.c ----

// Builds a target first, with a message: sets recipe, architecture and node.
int boot_build(struct boot_run *run, const char *target, struct error **err);
// The same without building: targets that are not in the cache are missing.
int boot_evaluate(struct boot_run *run, const char *target, struct error **err);

// ---- parts.c: "<target>:<path>" of a boot section ----

// Extracts one member of a tarball to the scratch folder, as the file `name`; to be freed.
char *boot_extract_member(struct boot_run *run, const struct node_output *o, const char *member,
                          const char *name, struct error **err);
// The node of a part's target, or NULL.
const struct node *boot_part_node(const struct boot_run *run, const char *reference,
                                  const struct arch *arch);
// The same; one that has no result is an error.
const struct node *boot_find_part(struct boot_run *run, const char *reference,
                                  const struct arch *arch, struct error **err);
// Extracts a part to the scratch folder, as the file `name` (NULL: its own). *out, to be freed,
// stays NULL for the reference NULL.
int boot_extract_part(struct boot_run *run, const char *reference, const struct arch *arch,
                      const char *name, char **out, struct error **err);
// Finds out whether the disk is measured, and makes the command line that names its root.
int boot_find_root(struct boot_run *run, struct error **err);
// That command line for other values of `v` (NULL: not measured); to be freed.
char *boot_root_command_line(struct boot_run *run, const struct verity *v);

// ---- stack.c: a kernel and an initrd or disk, with a firmware and a QEMU that kbuild built ----

int boot_stack(struct boot_run *run, struct error **err);

// ---- service.c: what a guest that is up shows ----

// Finds the guest's service: that of the recipe of its initrd, if one of the service's parts is
// inside. If that cannot be known, the guest may have it.
int boot_find_service(struct boot_run *run, struct error **err);
// Adds the targets of the service's client and cpio to the graph.
int boot_add_tools(struct boot_run *run, struct error **err);
// Starts the machine. Without a service in it, waits for init and compares the command line; with
// one, proves that it runs, with a client if there is one. *report (report may be NULL) stays NULL
// unless init reported.
int boot_prove_guest(struct boot_run *run, const char *what, json_t **report, struct error **err);
// The same of an image that is started unchanged, so without a client; it has its own command line.
int boot_prove_unchanged(struct boot_run *run, const char *what, const char *command_line,
                         struct error **err);

#endif
