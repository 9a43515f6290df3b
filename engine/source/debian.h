// SPDX-License-Identifier: Apache-2.0
// What is inside a distribution's packages. Only within this room.
#ifndef KBUILD_SOURCE_DEBIAN_H
#define KBUILD_SOURCE_DEBIAN_H

#include "base/error.h"

#include <stdint.h>

// Unpacks the content of a binary package into an empty folder with dpkg-deb. *newest gets the
// newest mtime of a file.
int deb_unpack(const char *deb, const char *folder, int64_t *newest, struct error **err);
// Finds the one file below `folder` whose path matches the glob and unpacks it, an archive with a
// top folder, into `destination`.
int deb_unpack_inside(const char *folder, const char *glob, const char *destination,
                      int64_t *newest, struct error **err);
// Unpacks a source package, its patches applied, with dpkg-source. *when gets the time of its
// newest changelog entry.
int dsc_unpack(const char *dsc, const char *destination, int64_t *when, struct error **err);

#endif
