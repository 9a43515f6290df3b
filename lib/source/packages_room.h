// SPDX-License-Identifier: Apache-2.0
// What the two files of packages share.
#ifndef KBUILD_SOURCE_PACKAGES_ROOM_H
#define KBUILD_SOURCE_PACKAGES_ROOM_H

#include "source/packages.h"

// Refuses what apt would take as something else than the name of a package (an option, a path, a
// pattern).
int packages_check_names(const struct packages_request *r, struct error **err);
// Has apt resolve the request against today's indexes.
int packages_ask(const struct packages_request *r, const struct source_options *o,
                 struct package_set *out, struct error **err);

// Appends the files that `apt-get --print-uris` names; `of` NULL: any files, not those of binary
// packages for this architecture. Lines that begin otherwise are passed over.
int packages_of_uris(const char *text, const char *of, struct package_set *out, struct error **err);

#endif
