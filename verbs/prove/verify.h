// SPDX-License-Identifier: Apache-2.0
// `kbuild verify`: checks that a second build gives the same bytes.
#ifndef KBUILD_PROVE_VERIFY_H
#define KBUILD_PROVE_VERIFY_H

#include "run/run.h"
#include "run/world.h"

struct verify_options {
    struct world world;
    bool all;            // also the artifacts in the target's needs
    const char *against; // a tarball to compare with instead of a second build; or NULL
    bool diffoscope;     // show its report too, if it is installed
};
// The target of `b` (one, or the members of a group, evaluated) is built if it is not in the cache,
// then again in a different environment, and the two results are compared; or it is compared with a
// file. Lines for people go to `say`. Returns the number of outputs that differ, -1 on an error.
// The build cannot be used for anything else afterwards.
int build_verify(struct build *b, const struct verify_options *o,
                 void (*say)(const char *line, void *context), void *context, struct error **err);

#endif
