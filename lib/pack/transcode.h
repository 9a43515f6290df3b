// SPDX-License-Identifier: Apache-2.0
// A component that cannot be spliced as it is, written anew as pack_tree() would.
#ifndef KBUILD_PACK_TRANSCODE_H
#define KBUILD_PACK_TRANSCODE_H

#include "pack/merge_plan.h"

// Writes component `number` of the plan to fd: what it has and no component before it.
int transcode_component(const struct merge_plan *plan, size_t number, int fd,
                        const struct pack_options *o, struct error **err);

#endif
