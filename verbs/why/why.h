// SPDX-License-Identifier: Apache-2.0
// Why something is made again: compares each node of an evaluated build with its last build here
// (graph/reason.h), and follows inputs to the cause. Makes nothing and asks no network.
//
// Ownership: a struct why owns its reasons; nodes belong to the build.
#ifndef KBUILD_WHY_WHY_H
#define KBUILD_WHY_WHY_H

#include "graph/reason.h"
#include "run/run.h"

enum why_state {
    WHY_CACHED,  // its result is in the cache
    WHY_CHANGED, // also, but it is not what the result that needs it was made from
    WHY_NEW,     // to be made; it was never built here
    WHY_AGAIN,   // to be made; it was built here
};
extern const char *const why_state_names[]; // "cached", "changed", "new", "again"

struct why_node {
    const struct node *node;
    enum why_state state;
    struct reasons reasons; // but for the first state
    bool expected; // its key is not known yet: it is taken from the cache if its inputs come out
                   // with the same bytes
};
struct why {
    struct why_node *nodes; // each after those that need it
    size_t n, cap;
};

// The nodes that a run for the targets would look at: what they need only as far as it must be
// made, or has changed. The build must be evaluated.
void why_find(struct build *b, struct why *out);
// The answer for one node, whatever needs it.
void why_of(struct build *b, const struct node *node, struct why *out);
void why_free(struct why *w);
#define cleanup_why __attribute__((cleanup(why_free)))

// "initrd is made again because its input kernel is"; to be freed.
char *why_sentence(const struct why_node *n);
// {"node", "label", "kind", "arch", "state", "key", "because": [facts], "text": the sentence}
json_t *why_json(const struct why_node *n);
// All sentences; the cached nodes share one.
void why_print(const struct why *w, struct buf *out);

#endif
