// SPDX-License-Identifier: Apache-2.0
// `kbuild install`: installs the results of an open build (run/run.h) into a host's tree. Nothing
// that is passed in is kept.
#ifndef KBUILD_INSTALL_INSTALL_H
#define KBUILD_INSTALL_INSTALL_H

#include "run/run.h"

struct install_request {
    const char *prefix; // NULL: /opt/kata, which the tarballs are made for
    const char *root;   // NULL: /
    bool dry_run;
    void (*print)(const char *path, void *context); // for each file and link
    void *context;
};
// Installs the targets, which must be built: their tarballs for hosts below the root, with the
// links of their recipes. Components for guests only are left out, with a note.
int build_install(struct build *b, const struct install_request *r, struct error **err);

#endif
