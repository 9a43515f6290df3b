// SPDX-License-Identifier: Apache-2.0
// Who vouched for what is in the local cache. A result that came from a registry has a mark in its
// local record: the statement that was checked and the signature that was found. Whether it counts
// as cached is judged each time, by the keys of today; what was made here needs no signature.
#ifndef KBUILD_SHARE_VOUCH_H
#define KBUILD_SHARE_VOUCH_H

#include "graph/job.h"

#include "share/signature.h"

// In a local record; not part of what travels. An object {"statement", "key", "value"}, which is
// empty if nobody asked for a signature (`true` in records of older versions).
#define SHARED_MARK "shared"

// `by` NULL: nobody asked. To be put into a record.
json_t *vouch_mark(const struct buf *statement, const struct signature *by);
// Whether a local record may be used: what came from a registry is signed by one of today's keys,
// if there are any, leaves only files that its recipe allows, and is no source that has to come
// from its origin.
bool vouch_holds(const struct build *b, const struct node *node, const json_t *record);

// Whether the node may have this output. Names become files in the output directory, so a record
// that came from elsewhere may only have those that the recipe itself would leave.
struct output_claim {
    const char *name, *kind; // kind: "tree", "blob"
    bool side;               // beside the tarballs
};
bool output_allowed(const struct node *node, const struct output_claim *o);
// The same for all outputs of a record, each once, and none missing a digest.
bool outputs_allowed(const struct node *node, const json_t *record);

#endif
