// SPDX-License-Identifier: Apache-2.0
// What the files of `kbuild boot` share. Not for others.
#ifndef KBUILD_BOOT_INTERNAL_H
#define KBUILD_BOOT_INTERNAL_H

#include "boot/boot.h"
#include "boot/qemu.h"
#include "disk/disk.h"
#include "graph/job.h"
#include "pack/pack.h"

struct trial {
    struct build *b;
    const struct recipe *recipe; // NULL: an image is given
    const struct arch *arch;
    const struct node *node; // of the recipe; NULL for a group and for a given image
    const struct boot_options *o;
    char *folder; // scratch
    FILE *console;
    struct machine machine;
    char *disk, *append; // owned; of the machine, when there is a disk
    bool measured;       // it is, by `verity`
    struct verity verity;
    const struct recipe_service *service; // that the guest has or may have, or NULL
    bool service_is_sure;
    bool tools;                   // what talks to it is there
    char *socket, *socket_folder; // owned; its end here
};

// ---- boot.c ----
// Takes one member of a tarball out into the scratch folder, as the file `name`; to be freed.
char *boot_take_out(struct trial *t, const struct node_output *o, const char *member,
                    const char *name, struct error **err);
// Starts the machine, waits for init, and compares the command line. *report may be NULL; else it
// gets init's report.
int boot_prove(struct trial *t, const char *what, const char *command_line, json_t **report,
               struct error **err);
// The last part of that.
int boot_judge_report(struct trial *t, const char *what, const char *command_line,
                      const json_t *report, struct error **err);
int boot_compare_command_lines(const struct trial *t, const char *got, const char *wanted,
                               struct error **err);

// Builds a target first, and says so: sets recipe, architecture and node.
int boot_build(struct trial *t, const char *target, struct error **err);
// The same without building: what is not in the cache is missing.
int boot_look(struct trial *t, const char *target, struct error **err);
// Adds whoever would have to be built for a part ("<target>:<path>", or NULL) to `out`; 1 if so.
int boot_part_missing(struct trial *t, const char *reference, struct strlist *out);

// ---- sealed.c ----
int boot_sealed(struct trial *t, const char *image, struct error **err);

// ---- parts.c: a kernel and an initrd, with a firmware and a QEMU that were built ----
int boot_parts(struct trial *t, struct error **err);
// Takes a part, "<target>:<path>" of a boot section, out into the scratch folder, as the file
// `name` (NULL: its own). *out, to be freed, stays NULL for the reference NULL.
int boot_take_part(struct trial *t, const char *reference, const struct arch *arch,
                   const char *name, char **out, struct error **err);

// ---- disk.c: a disk with a root file system ----
// Finds out where the disk's root is, and whether it is measured: t->append is the command line.
int boot_find_root(struct trial *t, struct error **err);
// The same, and takes the disk out.
int boot_take_disk(struct trial *t, struct error **err);
// Of a measured one: a guest must not start with one byte of it changed, nor with one digit of the
// root hash changed.
int boot_prove_refusals(struct trial *t, struct error **err);

// ---- service.c: a guest that serves ----
// Finds out which service the guest has: of the recipe that its initrd is made by, if something of
// it is inside. Where that cannot be known, it may.
int boot_find_service(struct trial *t, struct error **err);
// Adds what talks to it to the graph.
int boot_add_tools(struct trial *t, struct error **err);
// Starts the machine as boot_prove() does and proves that it serves, with what a client of the
// service finds out; where there is no service, that init was reached. *report (report may be NULL)
// stays NULL unless init reported.
int boot_prove_guest(struct trial *t, const char *what, json_t **report, struct error **err);
// As it is, with nothing added and nobody who talks to it; the command line is in what is started.
int boot_watch_service(struct trial *t, const char *what, const char *command_line,
                       struct error **err);

#endif
