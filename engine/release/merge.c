// SPDX-License-Identifier: Apache-2.0
// Merges the tarballs of a directory, DIR/kata-static-*.tar.xz, to one kata-static.tar.xz.
#include "release/merge.h"

#include "base/input.h"
#include "base/file.h"
#include "base/error.h"
#include "graph/release_version.h"
#include "recipe/versions.h"
#include "run/run.h"
#include "run/wanted.h"
#include "store/tarball_listings.h"

#include <fnmatch.h>
#include <string.h>

char *merge_version(const char *versions_yaml, struct recipe_set *set, struct error **err)
{
    bool release; // release_version() uses it; other words than yes or no are rejected
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

int merge_directory(const struct merge_request *r, struct error **err)
{
    cleanup_strlist struct strlist paths = {0};
    cleanup_draft struct file_draft draft = FILE_DRAFT_NONE;
    if (merge_collect(r, &paths, err) < 0 || check_output(r, &paths, err) < 0 ||
        file_draft_begin(&draft, r->output, err) < 0)
        return -1;
    cleanup_free char *version = merge_version(r->versions_yaml, r->set, err);
    if (!version || note_ignored(r->set, err) < 0)
        return -1;
    if (merge_paths(r, &paths, version, draft.fd, err) < 0)
        return error_wrap(err, "merging %s", r->directory);
    if (file_draft_commit_unsynced(&draft, 0644, err) < 0)
        return -1;
    log_note("%s: %zu component%s, version %s", r->output, paths.n, paths.n == 1 ? "" : "s",
             version);
    return 0;
}

// ---- collect ----
// Selects the tarballs of a directory to merge, and the required ones.

// "kernel", "kata-static-kernel" and "kata-static-kernel.tar.xz" all name that component.
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

static void add_once(struct strlist *list, const char *text)
{
    if (!strlist_has(list, text))
        strlist_add(list, text);
}

// ---- --components ----

static int collect_named(const struct merge_request *r, const struct strlist *files,
                         struct strlist *paths, struct error **err)
{
    cleanup_strlist struct strlist missing = {0};
    for (size_t i = 0; i < r->components->n; i++) {
        cleanup_free char *stem = component_stem(r->components->items[i]);
        const char *file = find_component(files, stem);
        if (file)
            strlist_addf(paths, "%s/%s", r->directory, file);
        else
            strlist_add(&missing, stem);
    }
    if (!missing.n)
        return 0;
    cleanup_free char *names = strlist_join(&missing, ", ");
    error_user(err, "%s holds no kata-static tarball of %s", r->directory, names);
    return error_hint(err, "build what is missing first: kbuild %s", missing.items[0]);
}

// ---- what was built in the directory ----

static const struct wanted_item *find_wanted(const struct wanted *w, const char *file)
{
    for (size_t i = 0; i < w->n; i++)
        if (!strcmp(w->items[i].file, file))
            return &w->items[i];
    return NULL;
}

// Missing ones of the required tarballs: those removed, and those that a run failed to make.
struct shortage {
    struct strlist gone, pending, targets;
};

static void look_for(const struct wanted_item *item, const struct strlist *files,
                     struct shortage *s)
{
    bool there = strlist_has(files, item->file);
    if (there && *item->digest)
        return;
    add_once(*item->digest ? &s->gone : &s->pending, item->file);
    add_once(&s->targets, item->target);
}

static int report_shortage(const struct merge_request *r, const struct shortage *s,
                           struct error **err)
{
    cleanup_free char *gone = strlist_join(&s->gone, ", ");
    cleanup_free char *pending = strlist_join(&s->pending, ", ");
    cleanup_free char *targets = strlist_join(&s->targets, " ");
    if (!s->targets.n)
        return 0;
    if (s->pending.n)
        error_user(err, "%s was asked for in %s, and its last build did not finish", pending,
                   r->directory);
    else
        error_user(err, "%s was built in %s, but is not there any more", gone, r->directory);
    return error_hint(err,
                      "build it: kbuild %s; or say what is wanted with --target or --components; "
                      "or take its line out of %s/targets",
                      targets, r->directory);
}

static int check_wanted(const struct merge_request *r, const struct wanted *w,
                        const struct strlist *files, struct error **err)
{
    struct shortage s = {0};
    for (size_t i = 0; i < w->n; i++) {
        cleanup_free char *stem = component_stem(w->items[i].file);
        if (!release_is_guest(r->guests, stem))
            look_for(&w->items[i], files, &s);
    }
    int result = report_shortage(r, &s, err);
    strlist_free(&s.gone);
    strlist_free(&s.pending);
    strlist_free(&s.targets);
    return result;
}

static int collect_all(const struct merge_request *r, const struct wanted *w,
                       const struct strlist *files, struct strlist *paths, struct error **err)
{
    for (size_t i = 0; i < files->n; i++) {
        const char *file = files->items[i];
        cleanup_free char *stem = component_stem(file);
        if (release_is_guest(r->guests, stem)) {
            log_note("%s is for guests, and is left out", file);
            continue;
        }
        if (w->n && !find_wanted(w, file))
            log_note("%s was not built here; it is taken as it is", file);
        strlist_addf(paths, "%s/%s", r->directory, file);
    }
    if (check_wanted(r, w, files, err) < 0)
        return -1;
    if (paths->n)
        return 0;
    if (files->n)
        error_user(err, "%s holds nothing for hosts: all its tarballs are for guests",
                   r->directory);
    else
        error_user(err, "%s holds no kata-static-*.tar.xz to merge", r->directory);
    return error_hint(err, "build something first, for example: kbuild boot-image-se");
}

// ---- --target ----

static bool is_released(const struct release *release, const char *file)
{
    cleanup_free char *stem = component_stem(file);
    for (size_t i = 0; i < release->n; i++)
        if (!strcmp(release->items[i].output, stem))
            return true;
    return false;
}

// A tarball of that name for another architecture, or of an earlier run, does not count.
static const char *find_released(const struct release *release, const struct release_item *item,
                                 const struct wanted *w, const struct strlist *files,
                                 struct strlist *missing)
{
    const char *file = find_component(files, item->output);
    const struct wanted_item *noted = file ? find_wanted(w, file) : NULL;
    if (!file)
        strlist_add(missing, item->output);
    else if (noted && strcmp(noted->arch, release->arch->name) != 0)
        strlist_addf(missing, "%s (that which is there is for %s)", item->output, noted->arch);
    else if (noted && !*noted->digest)
        strlist_addf(missing, "%s (its last build did not finish)", item->output);
    else
        return file;
    return NULL;
}

static int collect_release(const struct merge_request *r, const struct wanted *w,
                           const struct strlist *files, struct strlist *paths, struct error **err)
{
    cleanup_strlist struct strlist missing = {0}, makers = {0};
    for (size_t i = 0; i < r->release->n; i++) {
        const struct release_item *item = &r->release->items[i];
        const char *file = find_released(r->release, item, w, files, &missing);
        if (file)
            strlist_addf(paths, "%s/%s", r->directory, file);
        else
            add_once(&makers, item->maker);
    }
    if (missing.n) {
        cleanup_free char *names = strlist_join(&missing, ", ");
        cleanup_free char *targets = strlist_join(&makers, " ");
        error_user(err, "%s lacks what belongs to %s for %s: %s", r->directory, r->release->target,
                   r->release->arch->name, names);
        return error_hint(err, "build it: kbuild --arch=%s -o %s %s", r->release->arch->name,
                          r->directory, targets);
    }
    for (size_t i = 0; i < files->n; i++)
        if (!is_released(r->release, files->items[i]))
            log_note("%s does not belong to %s, and is left out", files->items[i],
                     r->release->target);
    return 0;
}

int merge_collect(const struct merge_request *r, struct strlist *paths, struct error **err)
{
    cleanup_strlist struct strlist names = {0}, files = {0};
    cleanup_wanted struct wanted w = {0};
    if (list_directory(r->directory, &names, err) < 0 || wanted_read(r->directory, &w, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++)
        if (!fnmatch("kata-static-*.tar.*", names.items[i], 0))
            strlist_add(&files, names.items[i]);
    if (r->release)
        return collect_release(r, &w, &files, paths, err);
    if (r->components && r->components->n)
        return collect_named(r, &files, paths, err);
    return collect_all(r, &w, &files, paths, err);
}
