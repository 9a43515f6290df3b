// SPDX-License-Identifier: Apache-2.0
// Joins the tarballs of a directory, kata-static-*.tar.*, to one release archive. Nothing is owned
// by the request.
#ifndef KBUILD_RELEASE_MERGE_H
#define KBUILD_RELEASE_MERGE_H

#include "base/memory.h"
#include "base/error.h"
#include "pack/pack.h"
#include "release/release.h"

struct merge_request {
    const char *directory; // holds kata-static-*.tar.*
    const char *output;    // the file to write
    const char *versions_yaml;
    struct recipe_set *set; // for what recipes say of a merge; may be NULL
    const char *cache; // directory; if unusable, the merge is only slower
    enum pack_format format;
    unsigned jobs; // bounds the threads
    bool rehash;   // ignore recorded digests
    // The required components; no others are taken: those of a target's release; or names
    // ("kernel", or file names). NULL or empty: all tarballs in the directory, and those listed in
    // its file "targets" (wanted.h) are required.
    const struct release *release;
    const struct strlist *components;
    // With the latter, the components to leave out (release_guests); else ignored.
    const struct strlist *guests;
};
// Joins the components, with VERSION and versions.yaml at upstream's paths, and replaces the output
// atomically. Components for guests are left out, with a note, unless they are requested.
// Components that contradict each other, and members that would overwrite a host's configuration,
// are errors (lib/pack, merge_archives).
int merge_directory(const struct merge_request *r, struct error **err);

// The paths of the components that a merge of r->directory takes.
int merge_collect(const struct merge_request *r, struct strlist *paths, struct error **err);
// The content of <prefix>/VERSION: release_version(), or "unknown" with a warning. To be freed.
// NULL: versions.yaml cannot be read. set: may be NULL.
char *merge_version(const char *versions_yaml, struct recipe_set *set, struct error **err);

#endif
