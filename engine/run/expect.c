// SPDX-License-Identifier: Apache-2.0
// How long a plan is likely to take, from the records of earlier builds.
#include "run/internal.h"

// By the index of a node: is it made in a build of the targets? From the last of the order to the
// first, as the scheduler does.
static bool *needed_nodes(const struct graph *g, struct node **order)
{
    bool *needed = xcalloc(g->n + 1, sizeof *needed);
    for (size_t i = g->n; i-- > 0;) {
        const struct node *node = order[i];
        const struct job *job = job_of(node);
        needed[node->index] |= job->placed || job->used;
        for (size_t k = 0; needed[node->index] && !node_is_stored(node) && k < node->need_count;
             k++)
            needed[node->needs[k].node->index] = true;
    }
    return needed;
}

void build_expected_time(struct build *b, struct node **order, struct expected_time *out)
{
    const struct graph *g = &b->graph;
    cleanup_free bool *needed = needed_nodes(g, order);
    cleanup_free long long *ends = xcalloc(g->n + 1, sizeof *ends);
    *out = (struct expected_time){0};
    for (size_t i = 0; i < g->n; i++) {
        const struct node *node = order[i];
        if (!needed[node->index] || node_is_stored(node))
            continue;
        json_auto_t *cost = build_expected_cost(b, node);
        const long long ms = json_integer_value(json_object_get(cost, "ms"));
        long long *end = &ends[node->index];
        for (size_t k = 0; k < node->need_count; k++)
            if (ends[node->needs[k].node->index] > *end)
                *end = ends[node->needs[k].node->index];
        *end += ms;
        out->to_make++;
        out->unknown += !cost;
        out->all_ms += ms;
        out->chain_ms = *end > out->chain_ms ? *end : out->chain_ms;
    }
    const long long shared = out->all_ms / (b->options.jobs ? b->options.jobs : 1);
    out->likely_ms = shared > out->chain_ms ? shared : out->chain_ms;
}
