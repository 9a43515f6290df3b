// SPDX-License-Identifier: Apache-2.0
// `kbuild report`: what the last run left in the output directory (run.json, engine/run/last_run.c)
// becomes one HTML file, for people: where the time went, what was made and why, how large the
// results are. The file needs no network and has no script; all of its text is escaped, since names
// and messages come from recipes, servers and users (docs/report.md).
//
//   report.c    files: reads run.json and records, writes the page
//   model.c     run.json -> struct report_run, checked; the choice of targets
//   page.c      the page and its tables            timeline.c  what ran when
//   reasons.c   why a node was made, and its lines html.c      text and style
//   drawing.c   the graph
//
// Nothing that is passed in is kept.
#ifndef KBUILD_REPORT_REPORT_H
#define KBUILD_REPORT_REPORT_H

#include "base/error.h"
#include "base/memory.h"

struct store;

struct report_request {
    const char *directory;         // the output directory
    const char *cache;             // has the records of what was cached; it need not exist
    const struct strlist *targets; // only these and what they need; empty: all of the run
    const char *file;              // NULL: report.html in the directory; "-": standard output
};
// *written (to be freed) gets the path of the page, NULL for standard output. Errors: there is no
// record of a run; it is damaged or of another version of kbuild; it does not have a target.
int report_write(const struct report_request *r, char **written, struct error **err);

// The page of the text of a run.json. `name` is its path, for messages; `store` may be NULL; logs
// are linked if the page is `beside` them.
int report_page(const char *text, size_t length, const char *name, const struct strlist *targets,
                struct store *store, bool beside, struct buf *out, struct error **err);

#endif
