// SPDX-License-Identifier: Apache-2.0
// `kbuild verify`.
#include "kbuild.h"

#include "run/verify.h"

static void print_line(const char *line, void *context)
{
    print("%s\n", line);
}

int verb_verify(struct global_options *g, struct strlist *words, struct error **err)
{
    struct verify_options o = {.against = option_value(g, "--against"),
                               .all = option_given(g, "--all"),
                               .diffoscope = !option_given(g, "--no-diffoscope")};
    o.world.scratch = option_value(g, "--scratch");
    o.world.keep_processors = option_given(g, "--keep-processors");
    o.world.keep_clock = option_given(g, "--keep-clock");
    struct build *b = open_with_targets(g, words, err);
    if (!b)
        return -1;
    int differing = build_evaluate(b, true, err) < 0 ? -1 : build_verify(b, &o, print_line, NULL, err);
    build_close(b);
    if (differing > 0) {
        error_user(err, "%s is not reproducible: %d of its outputs differ", words->items[0], differing);
        error_hint(err, o.against ? "compare what both were built from: `kbuild explain %s`"
                                  : "find what wrote those bytes in the script of %s; docs/reproducibility.md "
                                    "lists the usual causes",
                   words->items[0]);
    }
    return differing ? -1 : 0;
}
