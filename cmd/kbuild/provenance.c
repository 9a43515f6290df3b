// SPDX-License-Identifier: Apache-2.0
#include "kbuild.h"

#include "run/provenance.h"

static void say(const char *path, void *context)
{
    puts(path);
}

int verb_provenance(struct global_options *g, struct strlist *words, struct error **err)
{
    cleanup_strlist struct strlist storage = {0};
    struct provenance_request r = {0};
    const struct verb_option options[] = {{"--spdx", NULL, NULL, NULL, &r.spdx},
                                          {"--output", "-o", &r.file, NULL, NULL}};
    if (parse_verb_options("provenance", words, options, ARRAY_LEN(options), &storage, err) < 0)
        return -1;
    if (words->n != 1)
        return usage_error(err, "provenance", "name one target");
    r.target = words->items[0];
    struct build *b = build_open(&g->build, err);
    int result = b ? provenance_write(b, &r, say, NULL, err) : -1;
    build_close(b);
    return result;
}
