// SPDX-License-Identifier: Apache-2.0
// Reads the files of a machine, or of a tree that looks like one, and the output of its programs.
//
// Paths are relative to the root and resolved beneath it, whatever links say (openat2 with
// RESOLVE_IN_ROOT). Contents may be hostile: at most HOST_TEXT bytes are read, and every byte that
// is not printable ASCII, a tab or a line end becomes '?', so that a text is a string and safe to
// print.
//
// Ownership: the caller owns struct host and every text; host_close() closes the root.
#ifndef KBUILD_HOST_HOST_H
#define KBUILD_HOST_HOST_H

#include "base/error.h"
#include "base/memory.h"

#include <stdbool.h>

#define HOST_TEXT (4u << 20)

struct host {
    int root;           // the directory
    bool live;          // the root is this machine's own
    const char *record; // where everything that is read is kept, or NULL
    const char *cache;  // of struct doctor_request
};

int host_open(struct host *h, const char *root, struct error **err); // NULL: this machine
void host_close(struct host *h);

// The text of a regular file, added to out; false if there is none or it can't be read.
bool host_read(const struct host *h, const char *path, struct buf *out);

// The output of a program (standard output and errors) or of a collector of host.c. On this
// machine the program runs, at most 10 s; else the text is the file commands/<name>.txt of the
// tree, or what a collector finds in the tree. False if there is none.
bool host_command(const struct host *h, const char *name, struct buf *out);
// Whether this user can open the device ("/dev/kvm"); `seen` gets a sentence about it.
bool host_device(const struct host *h, const char *path, struct buf *seen);
// The line of `text` that holds `words`, to be freed, or NULL.
char *host_line_with(const char *text, const char *words);
// Tells whether KVM runs a guest on the processor. `device` is /dev/kvm, open for reading and
// writing, and closed here; -1 adds nothing. Adds one line to `out`: "ran a guest", "made a guest,
// ..." (on other machines than x86_64), or "failed CALL: reason" (Linux,
// Documentation/virt/kvm/api.rst). Takes two seconds at most.
void kvm_probe(int device, struct buf *out);

#endif
