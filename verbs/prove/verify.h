// SPDX-License-Identifier: Apache-2.0
// Does building again give the same bytes?
#ifndef KBUILD_PROVE_VERIFY_H
#define KBUILD_PROVE_VERIFY_H

#include "run/run.h"
#include "run/world.h"

struct verify_options {
    struct world world;
    bool all;            // also the artifacts that the target is made of
    const char *against; // a tarball to compare with instead of building again; or NULL
    bool diffoscope;     // show its report too, if it is installed
};
// The target of `b` (one, or the members of a group, evaluated) is built if it is not in the cache,
// then again in another world, and the two are compared; or it is compared with a file. Lines for
// people go to `say`. Returns the number of outputs that differ, -1 on an error. The build cannot
// be used for anything else afterwards.
int build_verify(struct build *b, const struct verify_options *o,
                 void (*say)(const char *line, void *context), void *context, struct error **err);

#endif
