// SPDX-License-Identifier: Apache-2.0
// Declarations shared by the files of `kbuild boot`. Not for others.
#ifndef KBUILD_BOOT_INTERNAL_H
#define KBUILD_BOOT_INTERNAL_H

#include "boot/boot.h"
#include "boot/qemu.h"
#include "disk/disk.h"
#include "graph/job.h"
#include "pack/pack.h"

struct trial {
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
// Extracts one member of a tarball to the scratch folder, as the file `name`; to be freed.
char *boot_take_out(struct trial *t, const struct node_output *o, const char *member,
                    const char *name, struct error **err);
// Starts the machine, waits for init, and compares the command line. *report may be NULL; else it
// gets init's report.
int boot_prove(struct trial *t, const char *what, const char *command_line, json_t **report,
               struct error **err);
// The last part of boot_prove().
int boot_judge_report(struct trial *t, const char *what, const char *command_line,
                      const json_t *report, struct error **err);
int boot_compare_command_lines(const struct trial *t, const char *got, const char *wanted,
                               struct error **err);

// Builds a target first, with a message: sets recipe, architecture and node.
int boot_build(struct trial *t, const char *target, struct error **err);
// The same without building: targets that are not in the cache are missing.
int boot_look(struct trial *t, const char *target, struct error **err);
// Adds the nodes to build for a part ("<target>:<path>", or NULL) to `out`; 1 if there are any.
int boot_part_missing(struct trial *t, const char *reference, struct strlist *out);

// ---- sealed.c ----
int boot_sealed(struct trial *t, const char *image, struct error **err);

// ---- parts.c: a kernel and an initrd, with a firmware and a QEMU that kbuild built ----
int boot_parts(struct trial *t, struct error **err);
// Extracts a part, "<target>:<path>" of a boot section, to the scratch folder, as the file `name`
// (NULL: its own). *out, to be freed, stays NULL for the reference NULL.
int boot_take_part(struct trial *t, const char *reference, const struct arch *arch,
                   const char *name, char **out, struct error **err);

// ---- disk.c: a disk with a root file system ----
// Finds the disk's root, and whether it is measured: sets t->append to the command line.
int boot_find_root(struct trial *t, struct error **err);
// The same, and extracts the disk.
int boot_take_disk(struct trial *t, struct error **err);
// For a measured disk: a guest must not start if one byte of the disk, or one digit of the root
// hash, is changed.
int boot_prove_refusals(struct trial *t, struct error **err);

// ---- service.c: a guest that serves ----
// Finds the guest's service: that of the recipe of its initrd, if one of the service's parts is
// inside. If that cannot be known, the guest may have it.
int boot_find_service(struct trial *t, struct error **err);
// Adds the targets of the service's client and cpio to the graph.
int boot_add_tools(struct trial *t, struct error **err);
// Starts the machine as boot_prove() does and proves that the service runs, with a client if there
// is one; without a service, that init was reached. *report (report may be NULL) stays NULL unless
// init reported.
int boot_prove_guest(struct trial *t, const char *what, json_t **report, struct error **err);
// Starts a given image unchanged and without a client; the image has its own command line.
int boot_watch_service(struct trial *t, const char *what, const char *command_line,
                       struct error **err);

#endif
