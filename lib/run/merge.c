// SPDX-License-Identifier: Apache-2.0
// DIR/kata-static-*.tar.xz -> one kata-static.tar.xz.
#include "run/merge.h"

#include "run/listings.h"

#include "base/file.h"
#include "base/log.h"
#include "base/process.h"

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

// "kernel", "kata-static-kernel" and "kata-static-kernel.tar.xz" all mean that component.
static char *component_stem(const char *name)
{
    static const char prefix[] = "kata-static-";
    char *stem = xstrdup(starts_with(name, prefix) ? name + strlen(prefix) : name);
    char *extension = strstr(stem, ".tar.");
    if (extension)
        *extension = '\0';
    return stem;
}

static const char *find_component(const struct strlist *files, const char *stem)
{
    for (size_t i = 0; i < files->n; i++) {
        cleanup_free char *own = component_stem(files->items[i]);
        if (!strcmp(own, stem))
            return files->items[i];
    }
    return NULL;
}

// What was built into this directory and is gone would make a smaller release.
static int check_built(const struct merge_request *r, const struct strlist *files,
                       struct error **err)
{
    struct listings built;
    struct strlist missing = {0};
    listings_open(&built, NULL, r->directory);
    for (size_t i = 0; i < built.sums.n; i++) {
        const char *name = built.sums.items[i] + 66;
        if (!fnmatch("kata-static-*.tar.*", name, 0) && !strlist_has(files, name))
            strlist_add(&missing, name);
    }
    listings_close(&built);
    int result = 0;
    if (missing.n) {
        cleanup_free char *names = strlist_join(&missing, ", ");
        result = error_user(err, "%s was built in %s, but is not there any more", names, r->directory);
        error_hint(err, "build it again, remove its -sha256sum file, or name what is wanted with "
                        "--components");
    }
    strlist_free(&missing);
    return result;
}

static int collect_named(const struct merge_request *r, const struct strlist *files,
                         struct strlist *paths, struct error **err)
{
    struct strlist missing = {0};
    for (size_t i = 0; i < r->components->n; i++) {
        cleanup_free char *stem = component_stem(r->components->items[i]);
        const char *file = find_component(files, stem);
        if (file)
            strlist_addf(paths, "%s/%s", r->directory, file);
        else
            strlist_add(&missing, stem);
    }
    int result = 0;
    if (missing.n) {
        cleanup_free char *names = strlist_join(&missing, ", ");
        result = error_user(err, "%s holds no kata-static tarball of %s", r->directory, names);
        error_hint(err, "build what is missing first: kbuild %s", missing.items[0]);
    }
    strlist_free(&missing);
    return result;
}

int merge_collect(const struct merge_request *r, struct strlist *paths, struct error **err)
{
    cleanup_strlist struct strlist names = {0}, files = {0};
    if (list_directory(r->directory, &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++)
        if (!fnmatch("kata-static-*.tar.*", names.items[i], 0))
            strlist_add(&files, names.items[i]);
    if (r->components && r->components->n)
        return collect_named(r, &files, paths, err);
    for (size_t i = 0; i < files.n; i++) {
        if (is_guest_only(files.items[i]))
            log_note("%s is for guests, and is left out", files.items[i]);
        else
            strlist_addf(paths, "%s/%s", r->directory, files.items[i]);
    }
    if (paths->n)
        return check_built(r, &files, err);
    error_user(err, "%s holds no kata-static-*.tar.xz to merge", r->directory);
    return error_hint(err, "build something first, for example: kbuild boot-image-se");
}

char *merge_version(void)
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

static int merge_paths(const struct merge_request *r, const struct strlist *paths,
                       const char *version, int fd, struct error **err)
{
    const char *base = path_base(r->output);
    cleanup_free char *scratch =
        base == r->output ? xstrdup(".") : xstrndup(r->output, (size_t)(base - r->output));
    struct error *ignored = NULL;
    struct store *store = store_open(r->cache, &ignored);
    error_free(ignored);
    struct listings listings = {0};
    if (store)
        listings_open(&listings, store, r->directory);
    struct merge_options options = {.version = version,
                                    .versions_yaml = r->versions_yaml,
                                    .prefix = "opt/kata",
                                    .scratch = scratch,
                                    .rehash = r->rehash,
                                    .keeper = store ? &listings.keeper : NULL,
                                    .pack = {.threads = r->jobs, .format = r->format}};
    int result = merge_archives(paths, fd, &options, err);
    listings_close(&listings);
    store_close(store);
    return result;
}

int merge_directory(const struct merge_request *r, struct error **err)
{
    cleanup_strlist struct strlist paths = {0};
    cleanup_draft struct file_draft draft = FILE_DRAFT_NONE;
    if (merge_collect(r, &paths, err) < 0 || file_draft_begin(&draft, r->output, err) < 0)
        return -1;
    cleanup_free char *version = merge_version();
    if (merge_paths(r, &paths, version, draft.fd, err) < 0)
        return error_wrap(err, "merging %s", r->directory);
    if (file_draft_commit_unsynced(&draft, 0644, err) < 0)
        return -1;
    log_note("%s: %zu components, version %s", r->output, paths.n, version);
    return 0;
}
