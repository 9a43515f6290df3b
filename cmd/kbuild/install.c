// SPDX-License-Identifier: Apache-2.0
// Implements `kbuild install`.
#include "kbuild.h"

#include "install/install.h"

#include "base/error.h"

static void say(const char *path, void *context)
{
    print("%s\n", path);
    ++*(size_t *)context;
}

int verb_install(struct global_options *g, struct strlist *words, struct error **err)
{
    size_t count = 0;
    struct install_request r = {.say = say,
                                .context = &count,
                                .prefix = option_value(g, "--prefix"),
                                .root = option_value(g, "--root"),
                                .dry_run = option_given(g, "--dry-run")};
    if (r.prefix && *r.prefix != '/')
        return usage_error(err, "install", "--prefix has to be an absolute path");
    struct build *b = open_with_targets(g, words, err);
    int result = b && build_evaluate(b, true, err) == 0 && build_run(b, err) == 0
                     ? build_install(b, &r, err)
                     : -1;
    build_close(b);
    if (result < 0)
        return -1;
    fflush(stdout);
    const char *files = count == 1 ? "file" : "files and links";
    if (r.dry_run)
        log_note("nothing was written (--dry-run): %zu %s", count, files);
    else
        log_note("installed %zu %s below %s", count, files, r.root ? r.root : "/");
    return 0;
}
