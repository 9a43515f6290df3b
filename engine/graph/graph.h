// SPDX-License-Identifier: Apache-2.0
// The graph: nodes of one shape, inputs -> key -> outputs. This header and graph.c know neither
// recipes nor the store: the planner (engine/run/plan.c) gives every node its identity and its
// needs; here the nodes get their order and keys, and a key is explained. What a node of kbuild is,
// and what its record says, is in the other header of the room, job.h.
//
// The key of a node is the SHA-256 of a canonical, printable text (docs/keys.md):
//
//   kbuild key 1                     the version of this format
//   node <kind> <name>
//   <identity lines>                 everything the planner lists that can change the output
//   epoch <seconds>                  the newest epoch of its inputs
//   input <name> <output> <digest>   one per output of each input, sorted; digests, never keys
//
// A node that is remade with the same bytes therefore stops a rebuild there.
//
// Ownership: the graph owns its nodes and everything in them.
#ifndef KBUILD_GRAPH_GRAPH_H
#define KBUILD_GRAPH_GRAPH_H

#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"

enum node_kind { NODE_SOURCE, NODE_BUILDER, NODE_ROOTFS, NODE_ARTIFACT };
extern const char *const node_kind_names[]; // by enum node_kind

struct node;
// State of a node in this run.
enum node_state {
    NODE_UNKNOWN, // its key is not known yet: an input is still to be made
    NODE_STALE,   // key known, outputs not
    NODE_LOST,    // outputs known by a record, but the store lacks one
    NODE_SHARED,  // the same, and the shared cache has them: its inputs may be absent
    NODE_CACHED,  // outputs known, and in the store
    NODE_RUNNING,
    NODE_DONE, // obtained in this run, here or from elsewhere: outputs in the store
    NODE_FAILED,
    NODE_INTERRUPTED, // stopped with the run
    NODE_SKIPPED      // not made because something it needs failed
};
const char *node_label(const struct node *node);
bool node_is_known(const struct node *node);  // its outputs are
bool node_is_stored(const struct node *node); // and in the store

struct node_output {
    char *name;
    char digest[DIGEST_HEX_SIZE];
    bool tree; // else a blob
    bool side; // a file for people, beside the tarballs: never an input
    uint64_t size;
};

struct node_need {
    struct node *node;
    bool input; // part of the key; else only built along with the node
};

struct node {
    enum node_kind kind;
    char *name; // name in keys, records and registries, the same in every graph
    char *id; // what it is, the same in every plan: the name, and what tells it from others of that
              // name, also those of other targets (docs/events.md)
    struct buf identity; // whole lines; complete once `identified`
    bool identified;
    struct node_need *needs;
    size_t need_count, need_cap;
    char *label; // name for people: "source linux"; NULL: the name
    void *data;  // the planner's data

    enum node_state state;
    char key[DIGEST_HEX_SIZE]; // "" until known
    char *key_text;
    struct node_output *outputs;
    size_t output_count;
    int64_t epoch; // seconds since 1970: newest time in its sources; the step's SOURCE_DATE_EPOCH

    size_t index; // position in graph->nodes
};

struct graph {
    struct node **nodes;
    size_t n, cap;
    struct node **buckets; // by name
    size_t bucket_count;
};

// The epoch of a node without any source: 1980-01-01, the first day that every format can hold.
#define GRAPH_EPOCH EPOCH_1980

// The id must be new.
struct node *graph_add(struct graph *g, enum node_kind kind, const char *name, const char *id);
struct node *graph_find(const struct graph *g, const char *id);
void graph_need(struct node *node, struct node *needed, bool input); // twice is once
// All nodes, each after its needs; ties keep the input order. The array is to be freed. A cycle is
// an error that lists it: "a -> b -> a".
struct node **graph_order(const struct graph *g, struct error **err);
// Are the outputs of all inputs known?
bool graph_ready(const struct node *node);
// Sets key_text, key and epoch of an identified node whose inputs are known.
void graph_key(struct node *node);
// The key text as far as it is known: of an input that is still to be made there is no line. To be
// freed.
char *graph_known_key_text(const struct node *node);
void graph_set_outputs(struct node *node, struct node_output *outputs, size_t count); // takes them
const struct node_output *node_output(const struct node *node, const char *name);     // or NULL
void graph_free(struct graph *g);

// Appends what changed between two key texts, one line each: "- old", "+ new". Lines are paired by
// all words but the last, so that a changed digest shows as a pair.
void graph_explain_change(const char *old_text, const char *new_text, struct buf *out);

#endif
