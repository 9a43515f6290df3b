// SPDX-License-Identifier: Apache-2.0
// DIR/kata-static-*.tar.xz -> one kata-static.tar.xz.
#include "release/merge.h"

#include "graph/release_version.h"
#include "recipe/versions.h"
#include "run/run.h"
#include "store/tarball_listings.h"

#include "base/environment.h"
#include "base/file.h"
#include "base/log.h"

#include <string.h>

struct recipe_set *merge_recipes(const char *directory)
{
    return recipe_set_open(directory, NULL);
}

char *merge_version(const char *versions_yaml, struct recipe_set *set, struct error **err)
{
    bool release; // release_version() goes by it; another word than yes or no is no answer
    if (environment_yes_no("RELEASE", false, &release, err) < 0)
        return NULL;
    struct versions *v = versions_load(versions_yaml, err);
    if (!v)
        return NULL;
    char *version = release_version(v, set);
    versions_free(v);
    if (version)
        return version;
    log_warning("the version of Kata Containers is not known, and VERSION says so: %s has no "
                "externals.kata.version, and is in no checkout of Kata",
                versions_yaml);
    return xstrdup("unknown");
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

static int check_output(const struct merge_request *r, const struct strlist *paths,
                        struct error **err)
{
    for (size_t i = 0; i < paths->n; i++)
        if (same_file(r->output, paths->items[i])) {
            error_user(err, "merging %s: the result would replace its component %s", r->directory,
                       paths->items[i]);
            return error_hint(err, "name another file with -o");
        }
    return 0;
}

static int note_ignored(struct recipe_set *set, struct error **err)
{
    cleanup_strlist struct strlist texts = {0};
    if (set && ignored_texts(set, &texts, err) < 0)
        return -1;
    for (size_t i = 0; i < texts.n; i++)
        log_note("%s", texts.items[i]);
    return 0;
}

// What the recipes say of a merge: the version to be freed, and notes.
static char *heed_recipes(const struct merge_request *r, struct error **err)
{
    struct recipe_set *set = merge_recipes(r->recipes);
    char *version = merge_version(r->versions_yaml, set, err);
    if (version && note_ignored(set, err) < 0) {
        free(version);
        version = NULL;
    }
    recipe_set_free(set);
    return version;
}

int merge_directory(const struct merge_request *r, struct error **err)
{
    cleanup_strlist struct strlist paths = {0};
    cleanup_draft struct file_draft draft = FILE_DRAFT_NONE;
    if (merge_collect(r, &paths, err) < 0 || check_output(r, &paths, err) < 0 ||
        file_draft_begin(&draft, r->output, err) < 0)
        return -1;
    cleanup_free char *version = heed_recipes(r, err);
    if (!version)
        return -1;
    if (merge_paths(r, &paths, version, draft.fd, err) < 0)
        return error_wrap(err, "merging %s", r->directory);
    if (file_draft_commit_unsynced(&draft, 0644, err) < 0)
        return -1;
    log_note("%s: %zu component%s, version %s", r->output, paths.n, paths.n == 1 ? "" : "s",
             version);
    return 0;
}
