// SPDX-License-Identifier: Apache-2.0
#include "kbuild.h"

#include "base/log.h"
#include "host/config.h"

int verb_config(struct global_options *g, struct strlist *words, struct error **err)
{
    cleanup_strlist struct strlist storage = {0}, settings = {0};
    const char *prefix = NULL;
    bool dry_run = false;
    const struct verb_option options[] = {
        {"--prefix", NULL, &prefix, NULL, NULL},
        {"--set", NULL, NULL, &settings, NULL},
        {"--dry-run", NULL, NULL, NULL, &dry_run},
    };
    if (parse_verb_options("config", words, options, ARRAY_LEN(options), &storage, err) < 0)
        return -1;
    if (words->n != 2)
        return usage_error(err, "config", "expected a kind of guest and a file");
    struct config_request request = {.prefix = prefix, .settings = &settings};
    request.kind = config_kind_find(words->items[0], err);
    if (!request.kind)
        return -1;
    struct config_result r;
    int result = config_edit_file(words->items[1], &request, dry_run, &r, err);
    if (result == 0) {
        fwrite(r.diff.data, 1, r.diff.len, stdout);
        fflush(stdout);
        if (!r.diff.len)
            log_note("%s is as %s needs it", r.file, request.kind->title);
        else if (dry_run)
            log_note("nothing was written (--dry-run)");
        else
            log_note("%s was changed; the original is %s", r.file, r.backup);
    }
    config_result_free(&r);
    return result;
}
