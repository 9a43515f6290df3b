// SPDX-License-Identifier: Apache-2.0
#ifndef KBUILD_RELEASE_MERGE_H
#define KBUILD_RELEASE_MERGE_H

#include "base/buf.h"
#include "base/error.h"
#include "pack/pack.h"
#include "release/release.h"

struct merge_request {
    const char *directory; // holds kata-static-*.tar.*
    const char *output;    // the file to write
    const char *versions_yaml;
    struct recipe_set *set; // for what recipes say of a merge; NULL: there are none
    const char *cache; // directory; one that cannot be used only makes the merge slower
    enum pack_format format;
    unsigned jobs; // bounds the threads
    bool rehash;   // trust no recorded digest
    // What has to be there, and then nothing else is taken: what a release of a target holds; or
    // names ("kernel", or file names). NULL or empty: all that is there, and what was built in the
    // directory (its file "targets", wanted.h) has to be there.
    const struct release *release;
    const struct strlist *components;
    // Of the latter, what is left out (release_guests); with the others it is not looked at.
    const struct strlist *guests;
};
// Joins the components, with VERSION and versions.yaml where upstream puts them, in one step.
// Components for guests are left out, with a note, unless they are asked for. What two components
// disagree about, and members that would overwrite a host's own configuration, are errors
// (lib/pack, merge_archives).
int merge_directory(const struct merge_request *r, struct error **err);

// The paths of those components: what in r->directory is to be on a host.
int merge_collect(const struct merge_request *r, struct strlist *paths, struct error **err);
// What <prefix>/VERSION says: release_version(), or "unknown", with a warning. To be freed. NULL:
// versions.yaml cannot be read. set: may be NULL.
char *merge_version(const char *versions_yaml, struct recipe_set *set, struct error **err);

#endif
