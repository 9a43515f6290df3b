// SPDX-License-Identifier: Apache-2.0
// Implements `kbuild verify`.
#include "kbuild.h"

#include "prove/verify.h"

#include <errno.h>

static void print_line(const char *line, void *context)
{
    print("%s\n", line);
}

// A given file may have other inputs: a difference proves no more.
static void report_difference(const char *target, const char *against, int differing,
                              struct error **err)
{
    if (against) {
        error_user(err, "%s is not the same as what %s is here", against, target);
        error_hint(err,
                   "they may have been made of different inputs: compare their provenance; "
                   "`kbuild verify %s` tells whether this build gives the same bytes again",
                   target);
        return;
    }
    error_user(err, "%s is not reproducible: %d of its outputs differ", target, differing);
    error_hint(err,
               "find what wrote those bytes in the script of %s; docs/reproducibility.md lists the "
               "usual causes",
               target);
}

int verb_verify(struct global_options *g, struct strlist *words, struct error **err)
{
    struct verify_options o = {.against = option_value(g, "--against"),
                               .all = option_given(g, "--all"),
                               .diffoscope = !option_given(g, "--no-diffoscope")};
    o.world.scratch = option_value(g, "--scratch");
    o.world.keep_processors = option_given(g, "--keep-processors");
    o.world.keep_clock = option_given(g, "--keep-clock");
    if (command_line_mode(&g->line, o.against ? "comparing with a file" : "building again",
                          o.against ? "--against --no-diffoscope"
                                    : "--all --scratch --keep-processors --keep-clock "
                                      "--no-diffoscope",
                          err) < 0)
        return -1;
    // Checked before a build that may take an hour.
    if (o.against && access(o.against, R_OK) < 0)
        return error_errno(err, errno, "reading %s", o.against);
    struct build *b = open_with_targets(g, words, err);
    if (!b)
        return -1;
    int differing =
        build_evaluate(b, true, err) < 0 ? -1 : build_verify(b, &o, print_line, NULL, err);
    build_close(b);
    if (differing > 0)
        report_difference(words->items[0], o.against, differing, err);
    return differing ? -1 : 0;
}
