// SPDX-License-Identifier: Apache-2.0
// The content of a target's release, from recipes alone (nothing is planned, so no variable needs
// to be set); and the merge: the tarballs of a directory, kata-static-*.tar.*, joined to one
// release archive. Nothing is owned by the request of a merge.
#ifndef KBUILD_RELEASE_RELEASE_H
#define KBUILD_RELEASE_RELEASE_H

#include "graph/job.h"
#include "pack/pack.h"

struct release_item {
    char *output;      // "kernel": the tarball is kata-static-kernel.tar.*
    const char *maker; // the target that makes it; the recipe set's
};
struct release {
    char *target;
    const struct arch *arch;
    struct release_item *items;
    size_t n, cap;
};

// The outputs that `kbuild TARGET` places in the output directory (of a group: of all members),
// except those for guests only.
int release_of(const struct recipe_selection *c, const char *target, const struct arch *wanted,
               struct release *out, struct error **err);
void release_free(struct release *r);

// Adds to `out` the components for guests, not hosts, from the key `guest` of all recipes: names
// and patterns.
int release_guests(struct recipe_set *set, struct strlist *out, struct error **err);

// ---- merge ----
struct merge_request {
    const char *directory; // holds kata-static-*.tar.*
    const char *output;    // the file to write
    const char *versions_yaml;
    struct recipe_set *set;               // for what recipes say of a merge; may be NULL
    const struct source_choices *choices; // the user's folders of sources; may be NULL
    const char *cache;                    // directory; if unusable, the merge is only slower
    enum pack_format format;
    unsigned jobs; // bounds the threads
    bool rehash;   // ignore recorded digests
    // The required components; no others are taken: those of a target's release; or names
    // ("kernel", or file names). NULL or empty: all tarballs in the directory, and those listed in
    // its file "targets" (run/run.h) are required.
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
// The content of <prefix>/VERSION: what the tarball says in which `in_file` leads to `file` (for
// messages), both NULL for a new one; else that of the folder of the user's which the components'
// source was taken from, else release_version(), else "unknown" with a warning. A note says where
// it comes from, a warning which other place contradicts it. To be freed. NULL: versions.yaml
// cannot be read. `set` and `choices` may be NULL.
char *merged_version(const char *versions_yaml, struct recipe_set *set,
                     const struct source_choices *choices, const char *in_file, const char *file,
                     struct error **err);

#define RELEASE_VERSION_FILE "opt/kata/VERSION"
// The text of that file in a tarball, to be freed, with links in the tarball followed: 1; 0 if
// there is none; -1. An error, too: a link to nothing, more than one line, no text, more than 256
// bytes.
int tarball_version(int fd, const char *name, const struct listing *l, char **out,
                    struct error **err);
#define RELEASE_UNKNOWN "unknown" // what a merge writes if it does not know the version

#endif
