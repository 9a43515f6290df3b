// SPDX-License-Identifier: Apache-2.0
// DIR/kata-static-*.tar.xz -> one kata-static.tar.xz.
#include "run/merge.h"

#include "base/file.h"
#include "base/log.h"
#include "base/process.h"
#include "pack/pack.h"

#include <errno.h>
#include <fnmatch.h>
#include <string.h>

// Components that go into guests, not onto hosts: upstream's releases never hold them, and at the root
// of a host's file system they would be litter (kata-artifacts, 2.2 and 2.3).
static const char *const guest_only[] = {"agent",      "coco-guest-components", "pause-image",
                                         "busybox",    "smoke-init",            "*-modules",
                                         "*-headers"};

static bool is_guest_only(const char *file)
{
    cleanup_free char *name = xstrdup(file + strlen("kata-static-"));
    *strstr(name, ".tar.") = '\0';
    for (size_t i = 0; i < ARRAY_LEN(guest_only); i++)
        if (!fnmatch(guest_only[i], name, 0))
            return true;
    return false;
}

static int collect(const char *directory, struct strlist *paths, struct error **err)
{
    cleanup_strlist struct strlist names = {0};
    if (list_directory(directory, &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++) {
        if (fnmatch("kata-static-*.tar.*", names.items[i], 0))
            continue;
        if (is_guest_only(names.items[i]))
            log_note("%s is for guests, and is left out", names.items[i]);
        else
            strlist_addf(paths, "%s/%s", directory, names.items[i]);
    }
    if (paths->n)
        return 0;
    error_user(err, "%s holds no kata-static-*.tar.xz to merge", directory);
    return error_hint(err, "build something first, for example: kbuild boot-image-se");
}

// What VERSION says: the file VERSION for a release, else `git describe --tags` as upstream does, else
// the file.
static char *describe_version(void)
{
    const char *release = getenv("RELEASE");
    cleanup_buf struct buf text = {0};
    bool from_file = release && !strcmp(release, "yes");
    for (int i = 0; i < 2 && !text.len; i++, from_file = !from_file) {
        char *const argv[] = {(char *)"git", (char *)"describe", (char *)"--tags", NULL};
        struct process p = {.argv = argv, .input = -1};
        struct error *ignored = NULL;
        if (from_file ? file_read("VERSION", 4096, &text, &ignored) < 0
                      : process_run(&p, &text, &ignored) < 0)
            buf_free(&text);
        error_free(ignored);
    }
    while (text.len && strchr("\n ", text.data[text.len - 1]))
        text.data[--text.len] = '\0';
    return text.len ? buf_take(&text) : xstrdup("unknown");
}

int merge_directory(const char *directory, const char *versions_yaml, const char *output,
                    unsigned jobs, struct error **err)
{
    cleanup_strlist struct strlist paths = {0};
    cleanup_draft struct file_draft draft = FILE_DRAFT_NONE;
    if (collect(directory, &paths, err) < 0 || file_draft_begin(&draft, output, err) < 0)
        return -1;
    cleanup_free char *version = describe_version();
    struct merge_options options = {.version = version,
                                    .versions_yaml = versions_yaml,
                                    .prefix = "opt/kata",
                                    .pack = {.threads = jobs}};
    if (merge_archives(&paths, draft.fd, &options, err) < 0)
        return error_wrap(err, "merging %s", directory);
    if (file_draft_commit(&draft, 0644, err) < 0)
        return -1;
    log_note("%s: %zu components, version %s", output, paths.n, version);
    return 0;
}
