// SPDX-License-Identifier: Apache-2.0
// Proves what a result is: `kbuild verify` checks that a second build gives the same bytes,
// `kbuild provenance` writes what it was made of to files. Both work on an open build (run/run.h);
// nothing that is passed in is kept.
#ifndef KBUILD_PROVE_PROVE_H
#define KBUILD_PROVE_PROVE_H

#include "run/run.h"

// A line for people, or a path.
typedef void prove_print(const char *line, void *context);

struct verify_options {
    struct variation variation;
    bool all;            // also the artifacts in the target's needs
    const char *against; // a tarball to compare with instead of a second build; or NULL
    bool diffoscope;     // show its report too, if it is installed
    bool not_made;       // the report names what build_not_made() finds
};
// The target of `b` (one, or the members of a group, evaluated) is built if it is not in the cache,
// then again in a different environment, and the two results are compared; or it is compared with a
// file. `print` gets the lines of the report. Returns the number of outputs that differ, -1 on an
// error. The build cannot be used for anything else afterwards.
int build_verify(struct build *b, const struct verify_options *o, prove_print *print, void *context,
                 struct error **err);

// After build_verify(): what the targets were made of, themselves among it, and this process did
// not make: the labels of nodes that were found in the cache or came from a registry.
struct not_made {
    struct strlist found;  // in the cache, which says that it was made on this machine
    struct strlist shared; // in the shared cache, now or earlier
    struct strlist named;  // taken because a recipe or the user names it: images, --prebuilt
    bool foreign_target;   // a target is one of the last two
};
void build_not_made(struct build *b, struct not_made *out);
void not_made_free(struct not_made *n);

struct provenance_request {
    const char *target;
    const char *file; // NULL: beside the tarballs, <target>-provenance.json and <target>-spdx.json
    bool spdx;        // SPDX only; with a file and without this, the statement only
};
// Writes the documents; `print` gets the path of each. Of a group: those of its members; with a
// file this is a usage error, unless it has one member.
int provenance_write(struct build *b, const struct provenance_request *r, prove_print *print,
                     void *context, struct error **err);

#endif
