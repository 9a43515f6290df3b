// SPDX-License-Identifier: Apache-2.0
#include "kbuild.h"

#include "run/verify.h"

static void print_line(const char *line, void *context)
{
    puts(line);
}

int verb_verify(struct global_options *g, struct strlist *words, struct error **err)
{
    cleanup_strlist struct strlist storage = {0};
    struct verify_options o = {.diffoscope = true};
    bool no_diffoscope = false;
    const struct verb_option options[] = {
        {"--against", NULL, &o.against, NULL, NULL},
        {"--all", NULL, NULL, NULL, &o.all},
        {"--scratch", NULL, &o.world.scratch, NULL, NULL},
        {"--keep-processors", NULL, NULL, NULL, &o.world.keep_processors},
        {"--keep-clock", NULL, NULL, NULL, &o.world.keep_clock},
        {"--no-diffoscope", NULL, NULL, NULL, &no_diffoscope},
    };
    if (parse_verb_options("verify", words, options, ARRAY_LEN(options), &storage, err) < 0)
        return -1;
    if (words->n != 1)
        return usage_error(err, "verify", "name one target");
    o.diffoscope = !no_diffoscope;
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
