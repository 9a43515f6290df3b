// SPDX-License-Identifier: Apache-2.0
// The graph as a drawing: nodes in columns, each right of what it needs. An edge that follows from
// others is left out.
#include "report/internal.h"

#include "base/print.h"

#include <string.h>

enum {
    DRAWN_MAX = 500, // nodes
    BOX_WIDTH = 176,
    BOX_HEIGHT = 38,
    GAP_X = 70,
    GAP_Y = 10,
    LABEL_COLUMNS = 24,
    SWEEPS = 4
};

struct drawing {
    const struct report_run *run;
    size_t *column; // by place
    double *row;
    size_t *order; // places, by column and row
    size_t *first; // where a column begins in order; first[columns] is their number
    size_t columns, tallest;
    bool *reach; // [a * n + b]: b is needed by a, if need be through others
};

// Right of what it needs; what needs nothing is as far right as those that need it let it be, so
// that the first column is not all of the sources.
static void choose_columns(struct drawing *d)
{
    const struct report_run *run = d->run;
    cleanup_free size_t *latest = xcalloc(run->n + 1, sizeof *latest);
    for (size_t i = 0; i < run->n; i++)
        for (size_t k = 0; k < run->nodes[i].need_count; k++)
            if (d->column[run->nodes[i].needs[k]] + 1 > d->column[i])
                d->column[i] = d->column[run->nodes[i].needs[k]] + 1;
    for (size_t i = 0; i < run->n; i++)
        for (size_t k = 0; run->nodes[i].shown && k < run->nodes[i].need_count; k++) {
            size_t *at = &latest[run->nodes[i].needs[k]];
            if (!*at || d->column[i] < *at)
                *at = d->column[i];
        }
    for (size_t i = 0; i < run->n; i++)
        if (!run->nodes[i].need_count && latest[i])
            d->column[i] = latest[i] - 1;
}

static void fill_columns(struct drawing *d)
{
    const struct report_run *run = d->run;
    size_t filled = 0;
    for (size_t i = 0; i < run->n; i++)
        if (run->nodes[i].shown && d->column[i] + 1 > d->columns)
            d->columns = d->column[i] + 1;
    d->first = xcalloc(d->columns + 1, sizeof *d->first);
    for (size_t c = 0; c < d->columns; c++) {
        d->first[c] = filled;
        for (size_t i = 0; i < run->n; i++)
            if (run->nodes[i].shown && d->column[i] == c) {
                d->row[i] = (double)(filled - d->first[c]);
                d->order[filled++] = i;
            }
        if (filled - d->first[c] > d->tallest)
            d->tallest = filled - d->first[c];
    }
    d->first[d->columns] = filled;
}

struct weight {
    double weight;
    size_t place;
};

static int by_weight(const void *a, const void *b)
{
    const struct weight *x = a, *y = b;
    if (x->weight < y->weight || x->weight > y->weight)
        return x->weight < y->weight ? -1 : 1;
    return x->place < y->place ? -1 : x->place > y->place;
}

static bool is_edge(const struct drawing *d, size_t from, size_t to)
{
    const struct report_node *node = &d->run->nodes[to];
    for (size_t k = 0; k < node->need_count; k++)
        if (node->needs[k] == from)
            return true;
    return false;
}

// The middle of a node's neighbours on one side; where it is if it has none.
static double middle(const struct drawing *d, size_t place, bool forward)
{
    double sum = 0;
    size_t n = 0;
    for (size_t i = 0; i < d->run->n; i++)
        if (d->run->nodes[i].shown && (forward ? is_edge(d, i, place) : is_edge(d, place, i))) {
            sum += d->row[i];
            n++;
        }
    return n ? sum / (double)n : d->row[place];
}

static void order_column(struct drawing *d, size_t column, bool forward)
{
    const size_t first = d->first[column], n = d->first[column + 1] - first;
    cleanup_free struct weight *weights = xcalloc(n + 1, sizeof *weights);
    for (size_t i = 0; i < n; i++)
        weights[i] = (struct weight){middle(d, d->order[first + i], forward), d->order[first + i]};
    qsort(weights, n, sizeof *weights, by_weight);
    for (size_t i = 0; i < n; i++) {
        d->order[first + i] = weights[i].place;
        d->row[weights[i].place] = (double)i;
    }
}

static void find_reach(struct drawing *d)
{
    const size_t n = d->run->n;
    d->reach = xcalloc(n * n + 1, sizeof *d->reach);
    for (size_t i = 0; i < n; i++) {
        const struct report_node *node = &d->run->nodes[i];
        for (size_t k = 0; k < node->need_count; k++) {
            d->reach[i * n + node->needs[k]] = true;
            for (size_t b = 0; b < node->needs[k]; b++)
                d->reach[i * n + b] |= d->reach[node->needs[k] * n + b];
        }
    }
}

static bool follows_from_others(const struct drawing *d, size_t from, size_t to)
{
    const struct report_node *node = &d->run->nodes[to];
    for (size_t k = 0; k < node->need_count; k++)
        if (d->reach[node->needs[k] * d->run->n + from])
            return true;
    return false;
}

// ---- SVG ----

static double left_of(const struct drawing *d, size_t place)
{
    return 4 + (double)d->column[place] * (BOX_WIDTH + GAP_X);
}

static double top_of(const struct drawing *d, size_t place)
{
    return 4 + d->row[place] * (BOX_HEIGHT + GAP_Y);
}

static bool is_chain_edge(const struct report_run *run, size_t from, size_t to)
{
    for (size_t i = 1; i < run->chain_count; i++)
        if (run->chain[i - 1] == from && run->chain[i] == to)
            return true;
    return false;
}

static void draw_edges(struct buf *out, const struct drawing *d)
{
    for (size_t to = 0; to < d->run->n; to++) {
        const struct report_node *node = &d->run->nodes[to];
        for (size_t k = 0; node->shown && k < node->need_count; k++) {
            const size_t from = node->needs[k];
            const bool chain = is_chain_edge(d->run, from, to);
            if (!chain && follows_from_others(d, from, to))
                continue;
            const double x = left_of(d, from) + BOX_WIDTH, y = top_of(d, from) + BOX_HEIGHT / 2.0;
            const double end_x = left_of(d, to), end_y = top_of(d, to) + BOX_HEIGHT / 2.0;
            const double bend = GAP_X * 0.6;
            buf_printf(
                out, "<path class=\"edge%s\" d=\"M%.0f %.0fC%.0f %.0f %.0f %.0f %.0f %.0f\"/>\n",
                chain ? " onchain" : "", x, y, x + bend, y, end_x - bend, end_y, end_x, end_y);
        }
    }
}

static const char *class_of(const struct report_node *node)
{
    return node->fate == FATE_NOT_NEEDED || node->fate == FATE_LEFT || node->fate == FATE_SKIPPED
               ? "unneeded"
               : fate_names[node->fate];
}

static void draw_node(struct buf *out, const struct drawing *d, size_t place)
{
    const struct report_node *node = &d->run->nodes[place];
    const double x = left_of(d, place), y = top_of(d, place);
    cleanup_free char *label = visible_columns(node->label, LABEL_COLUMNS);
    buf_printf(out, "<a href=\"#n%zu\" class=\"%s%s\"><title>", place, class_of(node),
               node->in_chain ? " onchain" : "");
    html_text(out, node->label);
    buf_printf(out, "</title><rect x=\"%.0f\" y=\"%.0f\" width=\"%d\" height=\"%d\" rx=\"3\"/>", x,
               y, BOX_WIDTH, BOX_HEIGHT);
    buf_printf(out, "<text x=\"%.0f\" y=\"%.0f\">", x + 7, y + 16);
    html_text(out, label);
    buf_printf(out, "</text><text class=\"small\" x=\"%.0f\" y=\"%.0f\">%s%s", x + 7, y + 31,
               node->in_chain ? "&#9670; " : "", fate_names[node->fate]);
    if (node->ran) {
        buf_puts(out, ", ");
        html_time(out, node->end_ms - node->begin_ms);
    }
    buf_puts(out, "</text></a>\n");
}

static void draw(struct buf *out, struct drawing *d)
{
    choose_columns(d);
    fill_columns(d);
    for (int i = 0; i < SWEEPS; i++) {
        for (size_t c = 1; c < d->columns; c++)
            order_column(d, c, true);
        for (size_t c = d->columns > 1 ? d->columns - 1 : 0; c-- > 0;)
            order_column(d, c, false);
    }
    find_reach(d);
    const double width = 8 + (double)d->columns * (BOX_WIDTH + GAP_X) - GAP_X;
    const double height = 8 + (double)d->tallest * (BOX_HEIGHT + GAP_Y);
    buf_printf(out,
               "<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"The graph as a "
               "drawing\"><svg width=\"%.0f\" height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\">\n",
               width, height, width, height);
    draw_edges(out, d);
    for (size_t i = 0; i < d->first[d->columns]; i++)
        draw_node(out, d, d->order[i]);
    buf_puts(out, "</svg></div>\n");
}

void html_graph(struct buf *out, const struct report_run *run)
{
    size_t shown = 0;
    for (size_t i = 0; i < run->n; i++)
        shown += run->nodes[i].shown;
    buf_puts(out, "<section aria-labelledby=\"graph\"><h2 id=\"graph\">Graph</h2>\n");
    if (!shown || shown > DRAWN_MAX || run->n > 4 * (size_t)DRAWN_MAX) {
        buf_printf(out,
                   "<p>A graph of %zu nodes is not drawn; name a target to see its part of it. "
                   "What each node needs is said below.</p></section>\n",
                   shown);
        return;
    }
    buf_puts(out, "<p class=\"dim\">Each node is right of what it needs; what follows from other "
                  "lines is not drawn. Solid: it ran; dashed: it was there; dotted: it was not "
                  "needed, or not reached; heavy: the longest chain, or a failure.</p>\n");
    struct drawing d = {.run = run,
                        .column = xcalloc(run->n + 1, sizeof(size_t)),
                        .row = xcalloc(run->n + 1, sizeof(double)),
                        .order = xcalloc(run->n + 1, sizeof(size_t))};
    draw(out, &d);
    free(d.column);
    free(d.row);
    free(d.order);
    free(d.first);
    free(d.reach);
    buf_puts(out, "</section>\n");
}
