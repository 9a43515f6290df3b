// SPDX-License-Identifier: Apache-2.0
// Declarations shared by the files of this directory. Not for others.
#ifndef KBUILD_REPORT_INTERNAL_H
#define KBUILD_REPORT_INTERNAL_H

#include "report/report.h"

#include <jansson.h>

// ---- model.c ----
// Strings are borrowed from the JSON.

enum node_fate {
    FATE_MADE,
    FATE_PULLED,
    FATE_FOUND,
    FATE_CACHED,
    FATE_FAILED,
    FATE_INTERRUPTED,
    FATE_SKIPPED,
    FATE_LEFT,
    FATE_NOT_NEEDED,
    FATES
};
extern const char *const fate_names[FATES];

struct report_phase {
    const char *name;
    long long begin_ms, end_ms;
};

struct report_node {
    const char *id, *kind, *label, *arch, *key;
    const char *recipe, *local, *log, *where; // or NULL
    enum node_fate fate;
    bool asked, placed;
    size_t *needs; // places of earlier nodes
    size_t need_count;
    bool ran;      // a process of it ran, from begin to end, in milliseconds since kbuild began
    bool measured; // cpu_ms and peak_kib are known; not of what was interrupted
    long long begin_ms, end_ms, cpu_ms, peak_kib;
    long long ready_ms; // when the last of its inputs was there
    struct report_phase *phases;
    size_t phase_count;
    const char *why;       // or NULL
    const json_t *because; // reasons, or NULL
    const json_t *change;  // lines, or NULL
    const json_t *outputs; // lists, or NULL
    const json_t *before;
    long long made_ms; // what making its result took, wherever and whenever that was; 0: unknown
    bool in_chain;
    bool shown;
};

struct report_run {
    json_t *json;
    const char *verb, *outcome, *error, *hint, *version;
    long long began, planned_ms, made_ms, all_ms, jobs;
    struct report_node *nodes; // needs first
    size_t n;
    size_t *chain, chain_count; // places
    char *targets;              // for people
};
int report_run_read(const char *text, size_t length, const char *name, struct report_run *out,
                    struct error **err);
// Shows only these targets and what they need.
int report_run_select(struct report_run *run, const struct strlist *targets, const char *name,
                      struct error **err);
// What making the cached nodes took, from the records in the store.
void report_run_costs(struct report_run *run, struct store *store);
void report_run_free(struct report_run *run);
size_t report_count(const struct report_run *run, enum node_fate fate); // of those shown
long long report_integer(const json_t *object, const char *name);       // 0 unless it is one, >= 0
const char *report_string(const json_t *object, const char *name);      // or NULL

// ---- html.c ----
extern const char report_style[];
// Appends text as the content of an element or of an attribute in quotes.
void html_text(struct buf *out, const char *text);
void html_time(struct buf *out, long long ms);
void html_kib(struct buf *out, long long kib);
void html_size(struct buf *out, long long bytes);
// A link to the node's entry, with its label.
void html_node(struct buf *out, const struct report_run *run, size_t place);

// ---- timeline.c, drawing.c ----
void html_timeline(struct buf *out, const struct report_run *run);
void html_graph(struct buf *out, const struct report_run *run);
// ---- reasons.c ----
// Why the node was made, which it was.
void html_reason(struct buf *out, const struct report_run *run, const struct report_node *node);
// ---- page.c ----
void html_page(struct buf *out, const struct report_run *run, bool beside);

#endif
