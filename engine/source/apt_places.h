// SPDX-License-Identifier: Apache-2.0
// What apt says of the repositories that it is configured with, and what they say of themselves.
// Only within this room.
#ifndef KBUILD_SOURCE_APT_PLACES_H
#define KBUILD_SOURCE_APT_PLACES_H

#include "base/buf.h"

// One suite of one repository that apt is configured with.
struct apt_place {
    char *entry, *uri, *suite;
    struct strlist components, architectures, options;
    char *release_path;      // of its Release file without the last word, as apt would keep it
    char *codename, *origin; // as its Release file says; NULL: unknown
};
struct apt_places {
    struct apt_place *items;
    size_t n, cap;
};
// Appends those in the text of `apt-get indextargets`: a line a target, fields divided by tabs
// (entry, URI, suite, component, architecture, file). Lines of any other form are passed over.
void apt_places_parse(const char *text, struct apt_places *out);
void apt_places_free(struct apt_places *l);
#define cleanup_apt_places __attribute__((cleanup(apt_places_free)))

// The value of a field of a Release file, to be freed; NULL if it has none.
char *apt_release_field(const char *text, const char *name);

#endif
