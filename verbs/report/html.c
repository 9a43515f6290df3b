// SPDX-License-Identifier: Apache-2.0
// Text of others in HTML, numbers for people, and the style of the page: light and dark, narrow, on
// paper. What colours say, words, patterns or borders say, too.
#include "report/internal.h"

#include "base/print.h"

#include <string.h>

// clang-format off
const char report_style[] =
    ":root{color-scheme:light dark;--page:#fff;--text:#1b1f24;--dim:#59626d;--line:#c9d0d8;--soft:#f1f3f6;--link:#0b57a8;"
    "--work:#2f6fb5;--net:#8a5a00;--prep:#6b7683;--pack:#2d7a46;--chain:#a8290f;--old:#a8290f;--new:#1d6b35}\n"
    "@media (prefers-color-scheme:dark){:root{--page:#14171b;--text:#e4e8ec;--dim:#9ba6b2;--line:#3a424c;--soft:#1e2329;"
    "--link:#7db8f5;--work:#5b9bde;--net:#d59a35;--prep:#8b97a5;--pack:#55b274;--chain:#ff8e73;--old:#ff8e73;--new:#6fcf8d}}\n"
    "*{box-sizing:border-box}\n"
    "html{scroll-padding-top:3rem}\n"
    "body{margin:0 auto;max-width:90rem;padding:0 1.25rem 3rem;background:var(--page);color:var(--text);"
    "font:15px/1.45 system-ui,'DejaVu Sans',sans-serif}\n"
    "h1{font-size:1.5rem;margin:1.2rem 0 .2rem;overflow-wrap:anywhere}\n"
    "h2{font-size:1.15rem;margin:2.2rem 0 .5rem;padding-top:.5rem;border-top:1px solid var(--line)}\n"
    "h3{font-size:1rem;margin:1.2rem 0 .3rem}\n"
    "p{margin:.4rem 0;max-width:60rem}\n"
    "a{color:var(--link)}\n"
    "a:focus-visible,summary:focus-visible,[tabindex]:focus-visible{outline:3px solid var(--link);outline-offset:2px}\n"
    ".dim{color:var(--dim)}\n"
    ".mono,pre{font-family:ui-monospace,'DejaVu Sans Mono',monospace;font-size:.86rem;overflow-wrap:anywhere}\n"
    "nav ul{display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;list-style:none;padding:0;margin:.8rem 0}\n"
    ".facts{display:flex;flex-wrap:wrap;gap:.5rem 2.2rem;margin:.9rem 0}\n"
    ".facts div{min-width:7rem}\n"
    ".facts dt{color:var(--dim);font-size:.85rem}\n"
    ".facts dd{margin:0;font-size:1.15rem;font-weight:600}\n"
    ".failure{border:2px solid var(--chain);padding:.5rem .8rem;white-space:pre-wrap;overflow-wrap:anywhere}\n"
    "table{border-collapse:collapse;width:100%}\n"
    "th,td{text-align:left;vertical-align:top;padding:.22rem .6rem .22rem 0;border-bottom:1px solid var(--line);font-weight:400;"
    "overflow-wrap:anywhere}\n"
    "thead th{font-weight:600;color:var(--dim);font-size:.85rem}\n"
    ".num{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}\n"
    "pre{margin:.2rem 0;white-space:pre-wrap}\n"
    ".made th:first-child{min-width:9rem}\n"
    ".because{list-style:none;margin:0;padding:0}\n"
    ".because pre{margin-left:.8rem}\n"
    "pre del{color:var(--old);text-decoration:none}\n"
    "pre ins{color:var(--new);text-decoration:none}\n"
    // the timeline
    ".timeline{table-layout:fixed}\n"
    ".timeline thead th{position:sticky;top:0;background:var(--page);z-index:2}\n"
    ".timeline .name{width:15rem}\n"
    ".timeline .num{width:7rem}\n"
    ".timeline td,.timeline th{vertical-align:middle}\n"
    ".axis,.lane{position:relative;height:1.25rem}\n"
    ".axis span{position:absolute;bottom:0;transform:translateX(-50%);white-space:nowrap}\n"
    ".axis span:first-child{transform:none}\n"
    ".axis span:last-child{transform:translateX(-100%)}\n"
    ".lane i,.key i{position:absolute;top:.1rem;bottom:.1rem;border:1px solid var(--text);overflow:hidden;white-space:nowrap;"
    "font-style:normal;font-size:.72rem;line-height:1rem;padding:0 .2rem;min-width:2px;background-color:var(--page)}\n"
    ".lane i.tiny{padding:0}\n"
    ".lane b,.key i b{font-weight:400;background:var(--page);padding:0 .15rem}\n"
    "i.work{background-color:var(--work)}\n"
    "i.net{background-image:repeating-linear-gradient(45deg,var(--net) 0 2px,transparent 2px 6px)}\n"
    "i.prep{background-image:repeating-linear-gradient(90deg,var(--prep) 0 1px,transparent 1px 5px)}\n"
    "i.pack{background-image:repeating-linear-gradient(0deg,var(--pack) 0 2px,transparent 2px 5px)}\n"
    ".lane u,.key u{position:absolute;top:50%;border-top:2px dotted var(--dim);text-decoration:none}\n"
    ".key{display:flex;flex-wrap:wrap;gap:.3rem 1.4rem;list-style:none;padding:0;margin:.4rem 0;font-size:.85rem}\n"
    ".key li{display:flex;align-items:center;gap:.4rem}\n"
    ".key i,.key u{position:static;display:inline-block;width:2rem;height:.9rem}\n"
    ".key u{height:0}\n"
    "tr.chain th::before{content:'\\25c6\\00a0';color:var(--chain)}\n"
    "tr.chain th{font-weight:600}\n"
    ".curve{display:block;width:100%;height:2.2rem;background:var(--soft)}\n"
    ".curve path{fill:var(--work);fill-opacity:.55;stroke:var(--text);stroke-width:1;vector-effect:non-scaling-stroke}\n"
    ".share{display:inline-block;height:.7rem;background:var(--work);border:1px solid var(--text);vertical-align:middle;margin-right:.4rem}\n"
    // the graph
    ".scroll{overflow:auto;border:1px solid var(--line);max-height:80vh;padding:.5rem}\n"
    "svg text{fill:var(--text);font-size:12px;font-family:system-ui,'DejaVu Sans',sans-serif}\n"
    "svg text.small{fill:var(--dim);font-size:10.5px}\n"
    "svg rect{fill:var(--page);stroke:var(--text);stroke-width:1.5}\n"
    "svg .cached rect,svg .found rect{stroke-dasharray:6 3;stroke:var(--dim)}\n"
    "svg .unneeded rect{stroke-dasharray:1.5 4;stroke:var(--dim)}\n"
    "svg .failed rect,svg .interrupted rect{stroke-width:4;stroke:var(--chain)}\n"
    "svg .onchain rect{stroke-width:3}\n"
    "svg path.edge{fill:none;stroke:var(--dim);stroke-width:1;opacity:.6}\n"
    "svg path.onchain{stroke:var(--chain);stroke-width:3;opacity:1}\n"
    // the nodes
    "details{margin:.15rem 0}\n"
    "summary{cursor:pointer;padding:.15rem 0}\n"
    ".nodes>details{border-bottom:1px solid var(--line)}\n"
    ".nodes>details:target{background:var(--soft);outline:2px solid var(--link)}\n"
    ".nodes dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;margin:.3rem 0 .8rem 1.1rem}\n"
    ".nodes dt{color:var(--dim)}\n"
    ".nodes dd{margin:0;overflow-wrap:anywhere}\n"
    "@media (max-width:52rem){\n"
    " body{padding:0 .75rem 2rem}\n"
    " .timeline thead{display:none}\n"
    " .timeline tr{display:flex;flex-wrap:wrap;gap:0 1rem;border-bottom:1px solid var(--line);padding:.25rem 0}\n"
    " .timeline td,.timeline th{border:0;padding:.05rem 0}\n"
    " .timeline .name,.timeline .track{width:100%}\n"
    " .timeline .num{width:auto;text-align:left;font-size:.82rem;color:var(--dim)}\n"
    " .timeline .num[data-name]:not(:empty)::before{content:attr(data-name) ' '}\n"
    " .nodes dl{grid-template-columns:1fr}\n"
    " .nodes dt{margin-top:.3rem}\n"
    " .wide{display:none}\n"
    " .made thead{display:none}\n"
    " .made tr,.made th,.made td{display:block;text-align:left}\n"
    " .made th,.made td{border:0;padding:.05rem 0}\n"
    " .made tr{border-bottom:1px solid var(--line);padding:.25rem 0}\n"
    "}\n"
    "@media print{\n"
    " :root{color-scheme:light;--page:#fff;--text:#000;--dim:#444;--line:#999;--soft:#f1f3f6;--link:#000;--work:#2f6fb5;"
    "--net:#8a5a00;--prep:#6b7683;--pack:#2d7a46;--chain:#a8290f;--old:#a8290f;--new:#1d6b35}\n"
    " body{max-width:none;padding:0;font-size:10pt}\n"
    " nav{display:none}\n"
    " .timeline thead th{position:static}\n"
    " .lane i,.curve,.share{-webkit-print-color-adjust:exact;print-color-adjust:exact}\n"
    " tr,.nodes>details{break-inside:avoid}\n"
    " h2,h3{break-after:avoid}\n"
    " details::details-content{content-visibility:visible;height:auto}\n"
    " .scroll{max-height:none;overflow:visible;border:0;padding:0}\n"
    " .scroll svg{max-width:100%;height:auto}\n"
    "}\n";
// clang-format on

void html_text(struct buf *out, const char *text)
{
    static const char *const escapes[256] = {
        ['&'] = "&amp;", ['<'] = "&lt;", ['>'] = "&gt;", ['"'] = "&quot;", ['\''] = "&#39;"};
    cleanup_buf struct buf visible = {0};
    visible_line(&visible, text, strlen(text), VISIBLE_LINE_MAX);
    for (size_t i = 0; i < visible.len; i++) {
        const char *escape = escapes[(unsigned char)visible.data[i]];
        if (escape)
            buf_puts(out, escape);
        else
            buf_add(out, &visible.data[i], 1);
    }
}

void html_time(struct buf *out, long long ms)
{
    char text[40];
    format_time(ms, text);
    if (ms && ms < 100)
        buf_printf(out, "%lld ms", ms);
    else
        buf_puts(out, text);
}

void html_kib(struct buf *out, long long kib)
{
    if (kib < 10240)
        buf_printf(out, "%.1f MB", (double)kib / 1024);
    else if (kib < 1048576)
        buf_printf(out, "%lld MB", kib / 1024);
    else
        buf_printf(out, "%.1f GB", (double)kib / 1048576);
}

void html_size(struct buf *out, long long bytes)
{
    if (bytes < 1000000)
        buf_printf(out, "%.1f kB", (double)bytes / 1e3);
    else
        buf_printf(out, "%.1f MB", (double)bytes / 1e6);
}

void html_node(struct buf *out, const struct report_run *run, size_t place)
{
    buf_printf(out, "<a href=\"#n%zu\">", place);
    html_text(out, run->nodes[place].label);
    buf_puts(out, "</a>");
}
