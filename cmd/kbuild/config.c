// SPDX-License-Identifier: Apache-2.0
// `kbuild config`.
#include "kbuild.h"

#include "base/log.h"
#include "host/config.h"

int verb_config(struct global_options *g, struct strlist *words, struct error **err)
{
    cleanup_strlist struct strlist settings = {0};
    const char *prefix = option_value(g, "--prefix");
    bool dry_run = option_given(g, "--dry-run");
    option_values(g, "--set", &settings);
    struct config_request request = {
        .prefix = prefix, .release = option_value(g, "--release"), .settings = &settings};
    request.kind = config_kind_find(words->items[0], err);
    if (!request.kind)
        return -1;
    struct config_result r;
    int result = config_edit_file(words->items[1], &request, dry_run, &r, err);
    if (result == 0) {
        print_text(stdout, r.diff.data, r.diff.len);
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
