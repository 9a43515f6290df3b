// SPDX-License-Identifier: Apache-2.0
#include "kbuild.h"

#include <string.h>

int verb_versions(struct global_options *g, struct strlist *words, struct error **err)
{
    if (words->n != 2 || strcmp(words->items[0], "get"))
        return usage_error(err, "versions", "expected: get KEY");
    struct versions *v = versions_load(g->build.versions, err);
    if (!v)
        return -1;
    const struct yaml *node = versions_get(v, words->items[1], err);
    if (node) {
        cleanup_buf struct buf text = {0};
        yaml_print(node, &text);
        fputs(text.data ? text.data : "\n", stdout);
    }
    versions_free(v);
    return node ? 0 : -1;
}
