// SPDX-License-Identifier: Apache-2.0
// The timeline: a row for each node that ran, with its phases; above them how many ran at once, and
// the processors that they used.
#include "report/internal.h"

#include <string.h>

enum { TICKS_MAX = 7 };

// ---- phases ----

// How phases are drawn. What is not listed is work: the phases of a recipe have names of its own.
static const struct phase_style {
    const char *style, *meaning;
    const char *const names[12];
} phase_styles[] = {
    {"work", "the node's own work", {NULL}},
    {"net",
     "network",
     {"fetching", "downloading", "pulling", "pushing", "asking the shared cache",
      "asking the registry"}},
    {"prep",
     "preparing and waiting",
     {"preparing", "unpacking", "copying", "installing packages", "collecting", "starting",
      "waiting for another kbuild", "listing"}},
    {"pack",
     "packing and storing",
     {"packing", "storing", "writing the cpio", "making the file system", "measuring"}},
};

static const char *style_of(const char *phase)
{
    for (size_t i = 1; i < ARRAY_LEN(phase_styles); i++)
        for (size_t k = 0; phase_styles[i].names[k]; k++)
            if (!strcmp(phase_styles[i].names[k], phase))
                return phase_styles[i].style;
    return phase_styles[0].style;
}

static double percent(const struct report_run *run, long long ms)
{
    return run->all_ms ? 100.0 * (double)ms / (double)run->all_ms : 0;
}

static void place_style(struct buf *out, const struct report_run *run, long long begin,
                        long long end)
{
    buf_printf(out, "style=\"left:%.3f%%;width:%.3f%%\"", percent(run, begin),
               percent(run, end - begin));
}

static void add_bar(struct buf *out, const struct report_run *run, const char *name,
                    long long begin, long long end)
{
    const double width = percent(run, end - begin);
    buf_printf(out, "<i class=\"%s%s\" ", style_of(name), width < 2 ? " tiny" : "");
    place_style(out, run, begin, end);
    buf_puts(out, " title=\"");
    html_text(out, name);
    buf_puts(out, ": ");
    html_time(out, end - begin);
    buf_puts(out, "\">");
    if (width >= 6) {
        buf_puts(out, "<b>");
        html_text(out, name);
        buf_puts(out, "</b>");
    }
    buf_puts(out, "</i>");
}

// "began at 12 s; preparing 0.1 s, building 4.0 s"
static void add_description(struct buf *out, const struct report_node *node)
{
    buf_puts(out, "began at ");
    html_time(out, node->begin_ms);
    for (size_t i = 0; i < node->phase_count; i++) {
        buf_puts(out, i ? ", " : "; ");
        html_text(out, node->phases[i].name);
        buf_puts(out, " ");
        html_time(out, node->phases[i].end_ms - node->phases[i].begin_ms);
    }
}

static void add_lane(struct buf *out, const struct report_run *run, const struct report_node *node)
{
    buf_puts(out, "<div class=\"lane\" role=\"img\" aria-label=\"");
    add_description(out, node);
    buf_puts(out, "\">");
    if (node->ready_ms < node->begin_ms) {
        buf_puts(out, "<u ");
        place_style(out, run, node->ready_ms, node->begin_ms);
        buf_puts(out, "></u>");
    }
    const long long first = node->phase_count ? node->phases[0].begin_ms : node->end_ms;
    if (first > node->begin_ms || !node->phase_count)
        add_bar(out, run, node->phase_count ? "starting" : "working", node->begin_ms, first);
    for (size_t i = 0; i < node->phase_count; i++)
        if (node->phases[i].end_ms > node->phases[i].begin_ms)
            add_bar(out, run, node->phases[i].name, node->phases[i].begin_ms,
                    node->phases[i].end_ms);
    buf_puts(out, "</div>");
}

static void add_number(struct buf *out, const char *name)
{
    buf_printf(out, "</td><td class=\"num\" data-name=\"%s\">", name);
}

static void add_row(struct buf *out, const struct report_run *run, size_t place)
{
    const struct report_node *node = &run->nodes[place];
    buf_printf(out, "<tr%s><th scope=\"row\" class=\"name\">",
               node->in_chain ? " class=\"chain\"" : "");
    html_node(out, run, place);
    if (node->fate != FATE_MADE)
        buf_printf(out, " <span class=\"dim\">%s</span>", fate_names[node->fate]);
    buf_puts(out, "</th><td class=\"track\">");
    add_lane(out, run, node);
    add_number(out, "time");
    html_time(out, node->end_ms - node->begin_ms);
    add_number(out, "processor");
    if (node->measured)
        html_time(out, node->cpu_ms);
    else
        buf_puts(out, "not known");
    add_number(out, "memory");
    if (node->peak_kib)
        html_kib(out, node->peak_kib);
    buf_puts(out, "</td></tr>\n");
}

// ---- curves ----

struct change {
    long long at_ms;
    double by;
};

static int by_time(const void *a, const void *b)
{
    const struct change *x = a, *y = b;
    if (x->at_ms != y->at_ms)
        return x->at_ms < y->at_ms ? -1 : 1;
    return x->by < y->by ? -1 : x->by > y->by; // an end before a start
}

// How much a node adds to a curve while it runs.
static double one(const struct report_node *node)
{
    return 1;
}

static double processors_of(const struct report_node *node)
{
    const long long ms = node->end_ms - node->begin_ms;
    return ms ? (double)node->cpu_ms / (double)ms : 0;
}

static void add_curve(struct buf *out, const struct report_run *run, const char *name,
                      double (*amount)(const struct report_node *))
{
    cleanup_free struct change *changes = xcalloc(2 * run->n + 1, sizeof *changes);
    size_t n = 0;
    for (size_t i = 0; i < run->n; i++) {
        const struct report_node *node = &run->nodes[i];
        if (!node->ran || !node->shown)
            continue;
        changes[n++] = (struct change){node->begin_ms, amount(node)};
        changes[n++] = (struct change){node->end_ms, -amount(node)};
    }
    qsort(changes, n, sizeof *changes, by_time);
    cleanup_buf struct buf path = {0};
    double level = 0, most = 0, area = 0;
    buf_puts(&path, "M0 0");
    for (size_t i = 0; i < n; i++) {
        const long long before = i ? changes[i - 1].at_ms : 0;
        area += level * (double)(changes[i].at_ms - before);
        buf_printf(&path, "H%lld", changes[i].at_ms);
        level += changes[i].by;
        most = level > most ? level : most;
        buf_printf(&path, "V%.2f", level < 0.005 ? 0 : level);
    }
    buf_printf(&path, "H%lldV0Z", run->all_ms);
    buf_printf(
        out,
        "<tr><th scope=\"row\" class=\"name\">%s</th><td class=\"track\"><svg class=\"curve\" "
        "role=\"img\" aria-label=\"%s: %.1f on average, %.1f at most\" "
        "preserveAspectRatio=\"none\" viewBox=\"0 0 %lld %.2f\"><path "
        "transform=\"matrix(1 0 0 -1 0 %.2f)\" d=\"%s\"/></svg></td>",
        name, name, area / (double)run->all_ms, most, run->all_ms, most * 1.1 + 0.1,
        most * 1.1 + 0.1, path.data);
    buf_printf(out,
               "<td class=\"num\">&#8960; %.1f</td><td class=\"num\">max %.1f</td><td "
               "class=\"num\"></td></tr>\n",
               area / (double)run->all_ms, most);
}

// ---- the table ----

static long long tick_ms(long long all_ms)
{
    static const int steps[] = {10,    20,     50,     100,    200,    500,
                                1000,  2000,   5000,   10000,  15000,  30000,
                                60000, 120000, 300000, 600000, 900000, 1800000};
    for (size_t i = 0; i < ARRAY_LEN(steps); i++)
        if (all_ms / steps[i] < TICKS_MAX)
            return steps[i];
    return all_ms / (TICKS_MAX - 1);
}

static void add_tick(struct buf *out, const struct report_run *run, long long ms)
{
    buf_printf(out, "<span style=\"left:%.3f%%\">", percent(run, ms));
    if (ms >= 60000 && ms % 60000 == 0)
        buf_printf(out, "%lld min", ms / 60000);
    else if (ms % 1000 == 0)
        buf_printf(out, "%lld s", ms / 1000);
    else
        buf_printf(out, "%lld ms", ms);
    buf_puts(out, "</span>");
}

static void add_axis(struct buf *out, const struct report_run *run)
{
    const long long step = tick_ms(run->all_ms);
    buf_puts(out, "<div class=\"axis\">");
    for (long long ms = 0; ms <= run->all_ms - step; ms += step)
        add_tick(out, run, ms);
    buf_puts(out, "<span style=\"left:100%\">");
    html_time(out, run->all_ms);
    buf_puts(out, "</span></div>");
}

static void add_key(struct buf *out)
{
    buf_puts(out, "<ul class=\"key\">");
    for (size_t i = 0; i < ARRAY_LEN(phase_styles); i++)
        buf_printf(out, "<li><i class=\"%s\"></i>%s</li>", phase_styles[i].style,
                   phase_styles[i].meaning);
    buf_puts(out, "<li><u></u>its inputs are there, and it waits for a slot</li>"
                  "<li>&#9670; in the longest chain</li></ul>\n");
}

struct start {
    long long begin_ms;
    size_t place;
};

static int by_begin(const void *a, const void *b)
{
    const struct start *x = a, *y = b;
    if (x->begin_ms != y->begin_ms)
        return x->begin_ms < y->begin_ms ? -1 : 1;
    return x->place < y->place ? -1 : x->place > y->place;
}

// The nodes that ran, by their start; to be freed.
static struct start *ran_nodes(const struct report_run *run, size_t *n)
{
    struct start *starts = xcalloc(run->n + 1, sizeof *starts);
    *n = 0;
    for (size_t i = 0; i < run->n; i++)
        if (run->nodes[i].ran && run->nodes[i].shown)
            starts[(*n)++] = (struct start){run->nodes[i].begin_ms, i};
    qsort(starts, *n, sizeof *starts, by_begin);
    return starts;
}

static void add_own_row(struct buf *out, const struct report_run *run, const char *what,
                        long long begin, long long end)
{
    buf_printf(out,
               "<tr><th scope=\"row\" class=\"name dim\">%s</th><td class=\"track\"><div "
               "class=\"lane\"><i class=\"prep tiny\" ",
               what);
    place_style(out, run, begin, end);
    buf_puts(out, "></i></div></td><td class=\"num\" data-name=\"time\">");
    html_time(out, end - begin);
    buf_puts(out, "</td><td class=\"num\"></td><td class=\"num\"></td></tr>\n");
}

void html_timeline(struct buf *out, const struct report_run *run)
{
    size_t n;
    cleanup_free struct start *starts = ran_nodes(run, &n);
    buf_puts(out, "<section aria-labelledby=\"timeline\"><h2 id=\"timeline\">Timeline</h2>\n");
    if (!n || !run->all_ms) {
        buf_puts(out, "<p>Nothing ran: all of it was there.</p></section>\n");
        return;
    }
    add_key(out);
    buf_puts(out,
             "<table class=\"timeline\"><thead><tr><th scope=\"col\" class=\"name\">Node</th><th "
             "scope=\"col\" class=\"track\">");
    add_axis(out, run);
    buf_puts(out, "</th><th scope=\"col\" class=\"num\">Time</th><th scope=\"col\" "
                  "class=\"num\">Processor</th><th scope=\"col\" class=\"num\">Peak memory</th>"
                  "</tr></thead><tbody>\n");
    add_curve(out, run, "Nodes at once", one);
    add_curve(out, run, "Processors in use", processors_of);
    add_own_row(out, run, "planning", 0, run->planned_ms);
    for (size_t i = 0; i < n; i++)
        add_row(out, run, starts[i].place);
    add_own_row(out, run, "placing and pushing", run->made_ms, run->all_ms);
    buf_puts(out,
             "</tbody></table>\n<p class=\"dim\">Processor time is that of all processes of the "
             "node; peak memory is that of its largest process. The processors in use are the "
             "average of each node over its time.</p></section>\n");
}
