// SPDX-License-Identifier: Apache-2.0
// Implements `kbuild config`.
#include "kbuild.h"

#include "base/error.h"
#include "config/config.h"

// Each kind of file has its own options.
static int check_options(const struct config_request *r, struct error **err)
{
    bool containerd = r->kind->reader == CONFIG_CONTAINERD;
    if (containerd && r->release)
        return usage_error(err, "config", "--release: containerd's file says its version itself");
    if (!containerd && (r->runtime_class || r->configuration))
        return usage_error(err, "config", "--class and --configuration are for containerd's file");
    return 0;
}

int verb_config(struct global_options *g, struct strlist *words, struct error **err)
{
    cleanup_strlist struct strlist settings = {0};
    const char *prefix = option_value(g, "--prefix");
    bool dry_run = option_given(g, "--dry-run");
    option_values(g, "--set", &settings);
    struct config_request request = {.prefix = prefix,
                                     .release = option_value(g, "--release"),
                                     .runtime_class = option_value(g, "--class"),
                                     .configuration = option_value(g, "--configuration"),
                                     .settings = &settings};
    request.kind = config_kind_find(words->items[0], err);
    if (!request.kind || check_options(&request, err) < 0)
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
            log_note("%s was changed; the original is %s%s", r.file, r.backup,
                     request.kind->reader == CONFIG_CONTAINERD
                         ? "; containerd reads it when it starts"
                         : "");
        if (r.absent)
            log_note(
                "%s is not on this machine: the class cannot start anything before it is there",
                r.absent);
    }
    config_result_free(&r);
    return result;
}
