// SPDX-License-Identifier: Apache-2.0
// Implements `kbuild provenance`.
#include "kbuild.h"

#include "prove/documents.h"

static void say(const char *path, void *context)
{
    print("%s\n", path);
}

int verb_provenance(struct global_options *g, struct strlist *words, struct error **err)
{
    struct provenance_request r = {.spdx = option_given(g, "--spdx"),
                                   .file = option_value(g, "--output"),
                                   .target = words->items[0]};
    struct build *b = build_open(&g->build, err);
    int result = b ? provenance_write(b, &r, say, NULL, err) : -1;
    build_close(b);
    return result;
}
