// SPDX-License-Identifier: Apache-2.0
// Implements `kbuild versions get`.
#include "kbuild.h"

int verb_versions_get(struct global_options *g, struct strlist *words, struct error **err)
{
    struct versions *v = versions_load(g->build.versions, err);
    if (!v)
        return -1;
    const struct yaml *node = versions_get(v, words->items[0], err);
    if (node) {
        cleanup_buf struct buf text = {0};
        yaml_print(node, &text);
        print_text(stdout, text.data ? text.data : "\n", text.data ? text.len : 1);
    }
    versions_free(v);
    return node ? 0 : -1;
}
