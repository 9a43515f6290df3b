// SPDX-License-Identifier: Apache-2.0
// The page: what the run did, its longest chain, what was made and why, sizes, and an entry for
// each node.
#include "report/internal.h"

#include <string.h>
#include <time.h>

// ---- the head ----

static void add_fact(struct buf *out, const char *name, const char *value)
{
    buf_printf(out, "<div><dt>%s</dt><dd>%s</dd></div>\n", name, value);
}

static void add_counts(struct buf *out, const struct report_run *run)
{
    cleanup_buf struct buf text = {0};
    for (enum node_fate f = 0; f < FATES; f++) {
        const size_t n = report_count(run, f);
        if (n && f != FATE_NOT_NEEDED)
            buf_printf(&text, "%s%zu %s", text.len ? ", " : "", n, fate_names[f]);
    }
    add_fact(out, "Nodes", text.data ? text.data : "none");
}

static void add_resources(struct buf *out, const struct report_run *run)
{
    long long cpu_ms = 0, peak_kib = 0, saved_ms = 0;
    bool all = true;
    cleanup_buf struct buf used = {0}, peak = {0}, saved = {0};
    for (size_t i = 0; i < run->n; i++) {
        const struct report_node *node = &run->nodes[i];
        if (!node->shown)
            continue;
        cpu_ms += node->cpu_ms;
        all = all && (!node->ran || node->measured);
        peak_kib = node->peak_kib > peak_kib ? node->peak_kib : peak_kib;
        if (node->fate == FATE_CACHED || node->fate == FATE_PULLED || node->fate == FATE_FOUND)
            saved_ms += node->made_ms;
    }
    html_time(&used, cpu_ms);
    if (!all)
        buf_puts(&used, ", and what the interrupted ones used");
    else if (run->all_ms)
        buf_printf(&used, " (%.1f on average)", (double)cpu_ms / (double)run->all_ms);
    add_fact(out, "Processor time", used.data);
    html_kib(&peak, peak_kib);
    if (peak_kib)
        add_fact(out, "Largest process", peak.data);
    html_time(&saved, saved_ms);
    if (saved_ms)
        add_fact(out, "Not made again", saved.data);
}

static void add_facts(struct buf *out, const struct report_run *run)
{
    cleanup_buf struct buf took = {0};
    html_time(&took, run->all_ms);
    buf_puts(out, "<dl class=\"facts\">\n");
    add_fact(out, "Time", took.data);
    add_counts(out, run);
    add_resources(out, run);
    buf_puts(out, "</dl>\n");
}

static const char *outcome_text(const struct report_run *run)
{
    return !strcmp(run->outcome, "done")          ? "succeeded"
           : !strcmp(run->outcome, "interrupted") ? "was interrupted"
                                                  : "failed";
}

static void add_head(struct buf *out, const struct report_run *run)
{
    buf_puts(out, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                  "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                  "style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">\n"
                  "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                  "<meta name=\"color-scheme\" content=\"light dark\">\n<title>kbuild: ");
    html_text(out, run->targets);
    buf_printf(out, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<header>\n<h1>", report_style);
    html_text(out, run->targets);
    buf_puts(out, "</h1>\n");
    char when[64] = "at an unknown time";
    const time_t began = (time_t)run->began;
    struct tm tm;
    if (run->began && gmtime_r(&began, &tm))
        strftime(when, sizeof when, "on %Y-%m-%d at %H:%M:%S UTC", &tm);
    buf_printf(out, "<p>This %s by kbuild ", !strcmp(run->verb, "fetch") ? "fetch" : "build");
    html_text(out, run->version);
    buf_printf(out, " began %s, with %lld jobs at once, and <strong>%s</strong>.</p>\n", when,
               run->jobs, outcome_text(run));
    if (run->error) {
        buf_puts(out, "<p class=\"failure\">");
        html_text(out, run->error);
        if (run->hint) {
            buf_puts(out, "\nwhat next: ");
            html_text(out, run->hint);
        }
        buf_puts(out, "</p>\n");
    }
    add_facts(out, run);
    buf_puts(out, "</header>\n<nav aria-label=\"Sections\"><ul>"
                  "<li><a href=\"#timeline\">Timeline</a></li>"
                  "<li><a href=\"#chain\">Longest chain</a></li>"
                  "<li><a href=\"#why\">Made, and why</a></li>"
                  "<li><a href=\"#sizes\">Sizes</a></li><li><a href=\"#graph\">Graph</a></li>"
                  "<li><a href=\"#nodes\">Nodes</a></li></ul></nav>\n<main>\n");
}

// ---- the longest chain ----

// How long it waited for a slot after the last of what it needs.
static long long waited_ms(const struct report_node *node)
{
    return node->begin_ms > node->ready_ms ? node->begin_ms - node->ready_ms : 0;
}

static double share_of(const struct report_run *run, long long ms)
{
    return run->all_ms ? 100.0 * (double)ms / (double)run->all_ms : 0;
}

static void add_chain_row(struct buf *out, const struct report_run *run, size_t place)
{
    const struct report_node *node = &run->nodes[place];
    const long long took = node->end_ms - node->begin_ms;
    buf_puts(out, "<tr><th scope=\"row\">");
    html_node(out, run, place);
    buf_puts(out, "</th><td class=\"num\">");
    html_time(out, waited_ms(node));
    buf_puts(out, "</td><td class=\"num\">");
    html_time(out, took);
    buf_printf(out,
               "</td><td class=\"num\">%.0f %%</td><td class=\"wide\"><span class=\"share\" "
               "style=\"width:%.1f%%\"></span></td></tr>\n",
               share_of(run, took), share_of(run, took));
}

// What would make the run shorter.
static void add_advice(struct buf *out, const struct report_run *run)
{
    long long busy = 0, waited = 0, longest = -1;
    size_t slowest = 0;
    for (size_t i = 0; i < run->chain_count; i++) {
        const struct report_node *node = &run->nodes[run->chain[i]];
        const long long took = node->end_ms - node->begin_ms;
        busy += took;
        waited += waited_ms(node);
        if (took > longest) {
            longest = took;
            slowest = run->chain[i];
        }
    }
    buf_puts(out, "<p>Each of these is the last that the next one waited for. They ran for ");
    html_time(out, busy);
    buf_puts(out, " of ");
    html_time(out, run->all_ms);
    if (!strcmp(run->outcome, "done"))
        buf_puts(out, ": however many jobs there are at once, the run takes no less than that");
    buf_puts(out, ". The longest is ");
    html_node(out, run, slowest);
    buf_printf(out, ", %.0f %% of the run.", share_of(run, longest));
    if (share_of(run, waited) >= 10) {
        buf_puts(out, " They waited ");
        html_time(out, waited);
        buf_printf(out,
                   " for one of the %lld slots: with more jobs at once (-j) the run may be "
                   "shorter, if the machine has the processors and the memory.",
                   run->jobs);
    }
    buf_puts(out, "</p>\n");
}

static void add_chain(struct buf *out, const struct report_run *run)
{
    buf_puts(out, "<section aria-labelledby=\"chain\"><h2 id=\"chain\">Longest chain</h2>\n");
    if (!run->chain_count) {
        buf_puts(out, "<p>Nothing ran.</p></section>\n");
        return;
    }
    add_advice(out, run);
    buf_puts(out, "<table><thead><tr><th scope=\"col\">Node</th><th scope=\"col\" "
                  "class=\"num\">Waited before</th><th scope=\"col\" class=\"num\">Time</th>"
                  "<th scope=\"col\" class=\"num\">Of the run</th><th class=\"wide\" "
                  "aria-hidden=\"true\"></th></tr></thead><tbody>\n");
    for (size_t i = 0; i < run->chain_count; i++)
        add_chain_row(out, run, run->chain[i]);
    buf_puts(out, "</tbody></table></section>\n");
}

// ---- why ----

static void add_why_row(struct buf *out, const struct report_run *run, size_t place)
{
    const struct report_node *node = &run->nodes[place];
    buf_puts(out, "<tr><th scope=\"row\">");
    html_node(out, run, place);
    buf_puts(out, "</th><td class=\"num\">");
    html_time(out, node->end_ms - node->begin_ms);
    buf_puts(out, "</td><td>");
    html_reason(out, run, node);
    buf_puts(out, "</td></tr>\n");
}

// Nodes with this fate in a folded list.
static void add_list(struct buf *out, const struct report_run *run, enum node_fate fate,
                     const char *what)
{
    const size_t n = report_count(run, fate);
    if (!n)
        return;
    buf_printf(out, "<details%s><summary>%zu %s</summary><ul>\n", n <= 12 ? " open" : "", n, what);
    for (size_t i = 0; i < run->n; i++) {
        const struct report_node *node = &run->nodes[i];
        if (!node->shown || node->fate != fate)
            continue;
        buf_puts(out, "<li>");
        html_node(out, run, i);
        if (node->made_ms) {
            buf_puts(out, " <span class=\"dim\">(making it took ");
            html_time(out, node->made_ms);
            buf_puts(out, ")</span>");
        }
        buf_puts(out, "</li>\n");
    }
    buf_puts(out, "</ul></details>\n");
}

static void add_why(struct buf *out, const struct report_run *run)
{
    bool any = false;
    buf_puts(out, "<section aria-labelledby=\"why\"><h2 id=\"why\">Made, and why</h2>\n");
    for (size_t i = 0; i < run->n; i++) {
        if (!run->nodes[i].shown || !run->nodes[i].ran || !run->nodes[i].why)
            continue;
        if (!any)
            buf_puts(out, "<table class=\"made\"><thead><tr><th scope=\"col\">Node</th><th "
                          "scope=\"col\" class=\"num\">Time</th><th scope=\"col\">Why it was "
                          "not cached</th>"
                          "</tr></thead><tbody>\n");
        any = true;
        add_why_row(out, run, i);
    }
    buf_puts(out, any ? "</tbody></table>\n" : "<p>Nothing was made.</p>\n");
    add_list(out, run, FATE_PULLED, "from the shared cache, or taken instead of made");
    add_list(out, run, FATE_FOUND, "made by another kbuild meanwhile");
    add_list(out, run, FATE_CACHED, "cached");
    add_list(out, run, FATE_SKIPPED, "skipped: they need one that failed");
    add_list(out, run, FATE_LEFT, "not reached");
    add_list(out, run, FATE_NOT_NEEDED, "not needed: what is made of them was there");
    buf_puts(out, "</section>\n");
}

// ---- sizes ----

// The entry of this name in the outputs of the last build.
static const json_t *before_of(const struct report_node *node, const char *name)
{
    for (size_t i = 0; i < json_array_size(node->before); i++) {
        const json_t *item = json_array_get(node->before, i);
        const char *other = report_string(item, "name");
        if (other && !strcmp(other, name))
            return item;
    }
    return NULL;
}

static void add_difference(struct buf *out, long long size, long long old)
{
    const long long change = size - old;
    if (!change) {
        buf_puts(out, "none, but other bytes");
        return;
    }
    buf_puts(out, change > 0 ? "+" : "&#8722;");
    html_size(out, change > 0 ? change : -change);
    if (old)
        buf_printf(out, " (%+.1f %%)", 100.0 * (double)change / (double)old);
}

static void add_size_row(struct buf *out, const struct report_node *node, const json_t *output)
{
    const char *name = report_string(output, "name");
    const json_t *old = name ? before_of(node, name) : NULL;
    const char *digest = report_string(output, "digest"), *before = report_string(old, "digest");
    const long long size = report_integer(output, "size");
    if (!name || !digest)
        return;
    buf_puts(out, "<tr><th scope=\"row\">");
    html_text(out, name);
    buf_puts(out, "</th><td class=\"num\">");
    html_size(out, size);
    buf_puts(out, "</td><td class=\"num\">");
    if (old)
        html_size(out, report_integer(old, "size"));
    buf_puts(out, "</td><td>");
    if (before && !strcmp(digest, before))
        buf_puts(out, "the same bytes");
    else if (old)
        add_difference(out, size, report_integer(old, "size"));
    else
        buf_puts(out, node->ran ? "no earlier build" : "as before (cached)");
    buf_puts(out, "</td></tr>\n");
}

static void add_sizes(struct buf *out, const struct report_run *run)
{
    cleanup_buf struct buf rows = {0};
    for (size_t i = 0; i < run->n; i++) {
        const struct report_node *node = &run->nodes[i];
        for (size_t k = 0; node->shown && node->placed && k < json_array_size(node->outputs); k++)
            add_size_row(&rows, node, json_array_get(node->outputs, k));
    }
    buf_puts(out, "<section aria-labelledby=\"sizes\"><h2 id=\"sizes\">Sizes</h2>\n");
    if (rows.len)
        buf_printf(out,
                   "<table><thead><tr><th scope=\"col\">Result</th><th scope=\"col\" class=\"num\">"
                   "Size</th><th scope=\"col\" class=\"num\">Last build</th><th scope=\"col\">"
                   "Difference</th></tr></thead><tbody>\n%s</tbody></table>",
                   rows.data);
    else
        buf_puts(out, "<p>This run has no result.</p>");
    buf_puts(out, "</section>\n");
}

// ---- an entry for each node ----

static void add_entry(struct buf *out, const char *name, const char *text)
{
    if (!text || !*text)
        return;
    buf_printf(out, "<dt>%s</dt><dd class=\"mono\">", name);
    html_text(out, text);
    buf_puts(out, "</dd>\n");
}

static void add_places(struct buf *out, const struct report_run *run, const char *name,
                       const size_t *places, size_t n)
{
    if (!n)
        return;
    buf_printf(out, "<dt>%s</dt><dd>", name);
    for (size_t i = 0; i < n; i++) {
        buf_puts(out, i ? ", " : "");
        html_node(out, run, places[i]);
    }
    buf_puts(out, "</dd>\n");
}

// The file's name in a URL.
static void add_url_name(struct buf *out, const char *name)
{
    for (const char *c = name; *c; c++) {
        const bool plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
                           (*c >= '0' && *c <= '9') || *c == '-' || *c == '_' ||
                           (*c == '.' && c != name);
        buf_printf(out, plain ? "%c" : "%%%02X", (unsigned char)*c);
    }
}

static void add_log(struct buf *out, const struct report_node *node, bool beside)
{
    if (!node->log)
        return;
    buf_puts(out, "<dt>log</dt><dd class=\"mono\">");
    if (beside) {
        buf_puts(out, "<a href=\"logs/");
        add_url_name(out, node->log);
        buf_puts(out, "\">");
    }
    buf_puts(out, "logs/");
    html_text(out, node->log);
    buf_puts(out, beside ? "</a></dd>\n" : "</dd>\n");
}

static void add_phases(struct buf *out, const struct report_node *node)
{
    if (!node->phase_count)
        return;
    buf_puts(out, "<dt>phases</dt><dd>");
    for (size_t i = 0; i < node->phase_count; i++) {
        buf_puts(out, i ? ", " : "");
        html_text(out, node->phases[i].name);
        buf_puts(out, " ");
        html_time(out, node->phases[i].end_ms - node->phases[i].begin_ms);
    }
    buf_puts(out, "</dd>\n");
}

static void add_process(struct buf *out, const struct report_node *node)
{
    if (!node->ran)
        return;
    buf_puts(out, "<dt>ran</dt><dd>for ");
    html_time(out, node->end_ms - node->begin_ms);
    buf_puts(out, ", from ");
    html_time(out, node->begin_ms);
    buf_puts(out, " on; processors ");
    if (node->measured)
        html_time(out, node->cpu_ms);
    else
        buf_puts(out, "not known, since it was interrupted");
    if (node->peak_kib) {
        buf_puts(out, "; largest process ");
        html_kib(out, node->peak_kib);
    }
    buf_puts(out, "</dd>\n");
    add_phases(out, node);
}

static void add_outputs(struct buf *out, const struct report_node *node)
{
    for (size_t i = 0; i < json_array_size(node->outputs); i++) {
        const json_t *o = json_array_get(node->outputs, i);
        const char *name = report_string(o, "name"), *digest = report_string(o, "digest");
        if (!name || !digest)
            continue;
        buf_puts(out, "<dt>output</dt><dd class=\"mono\">");
        html_text(out, name);
        buf_puts(out, " ");
        html_text(out, digest);
        if (report_integer(o, "size")) {
            buf_puts(out, " ");
            html_size(out, report_integer(o, "size"));
        }
        buf_puts(out, "</dd>\n");
    }
}

static void add_node(struct buf *out, const struct report_run *run, size_t place, bool beside)
{
    const struct report_node *node = &run->nodes[place];
    buf_printf(out, "<details id=\"n%zu\"><summary>", place);
    html_text(out, node->label);
    buf_puts(out, " <span class=\"dim\">");
    html_text(out, node->kind);
    buf_puts(out, " ");
    html_text(out, node->arch);
    buf_printf(out, "</span> %s", fate_names[node->fate]);
    if (node->ran) {
        buf_puts(out, ", ");
        html_time(out, node->end_ms - node->begin_ms);
    }
    buf_puts(out, "</summary><dl>\n");
    add_entry(out, "node", node->id);
    add_entry(out, "key", node->key);
    add_entry(out, "folder", node->local);
    add_entry(out, "machine", node->where);
    add_process(out, node);
    if (node->why) {
        buf_puts(out, "<dt>why</dt><dd>");
        html_reason(out, run, node);
        buf_puts(out, "</dd>\n");
    }
    add_places(out, run, "needs", node->needs, node->need_count);
    add_outputs(out, node);
    add_log(out, node, beside);
    buf_puts(out, "</dl></details>\n");
}

void html_page(struct buf *out, const struct report_run *run, bool beside)
{
    add_head(out, run);
    html_timeline(out, run);
    add_chain(out, run);
    add_why(out, run);
    add_sizes(out, run);
    html_graph(out, run);
    buf_puts(out,
             "<section class=\"nodes\" aria-labelledby=\"nodes\"><h2 id=\"nodes\">Nodes</h2>\n");
    for (size_t i = 0; i < run->n; i++)
        if (run->nodes[i].shown)
            add_node(out, run, i, beside);
    buf_puts(out, "</section>\n</main>\n</body>\n</html>\n");
}
