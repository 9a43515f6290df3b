// SPDX-License-Identifier: Apache-2.0
#include "kbuild.h"
#include "run/merge.h"

int verb_merge(struct global_options *g, struct strlist *words, struct error **err)
{
    cleanup_strlist struct strlist storage = {0};
    const char *output = "kata-static.tar.xz";
    const struct verb_option options[] = {{"--output", "-o", &output, NULL, NULL}};
    if (parse_verb_options("merge", words, options, ARRAY_LEN(options), &storage, err) < 0)
        return -1;
    // Upstream's script takes versions.yaml as a second word.
    if (words->n < 1 || words->n > 2)
        return usage_error(err, "merge", "name the directory with the tarballs");
    return merge_directory(words->items[0], words->n == 2 ? words->items[1] : g->build.versions,
                           output, g->build.jobs, err);
}
