// SPDX-License-Identifier: Apache-2.0
// Computes the content of a release (the outputs of its targets, and the components for guests
// only), and merges the tarballs of a directory, DIR/kata-static-*.tar.xz, to one
// kata-static.tar.xz.
#include "release/release.h"

#include "base/error.h"
#include "base/file.h"
#include "base/input.h"
#include "graph/job.h"
#include "recipe/versions.h"
#include "run/run.h"
#include "store/tarball_listings.h"

#include <fnmatch.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// ---- components for guests ----

int release_guests(struct recipe_set *set, struct strlist *out, struct error **err)
{
    cleanup_strlist struct strlist names = {0};
    if (recipe_names(set, &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++) {
        const struct recipe *r = recipe_get(set, names.items[i], err);
        if (!r)
            return error_wrap(err, "the components for guests are read from all recipes");
        for (size_t k = 0; k < r->guest.n; k++)
            strlist_add_once(out, r->guest.items[k]);
    }
    return 0;
}

// Whether this component is one of them.
static bool is_for_guests(const struct strlist *guests, const char *component)
{
    for (size_t i = 0; i < guests->n; i++)
        if (!fnmatch(guests->items[i], component, 0))
            return true;
    return false;
}

// ---- what belongs to a release ----

struct release_walk {
    const struct recipe_selection *selection;
    struct recipe_set *set;
    struct release *out;
    struct strlist seen, released; // targets
    struct strlist guests;
};

static void release_outputs(struct release_walk *w, const struct recipe *r)
{
    struct release *out = w->out;
    if (strlist_has(&w->released, r->name))
        return;
    strlist_add(&w->released, r->name);
    for (size_t i = 0; i < r->outputs.n; i++) {
        if (is_for_guests(&w->guests, r->outputs.items[i]))
            continue;
        out->items = xgrow(out->items, &out->cap, out->n + 1, sizeof *out->items);
        out->items[out->n++] =
            (struct release_item){.output = xstrdup(r->outputs.items[i]), .maker = r->name};
    }
}

// Follows the planner: a need is released unless its recipe forbids it; requested targets and their
// companions always are.
static int walk_recipe(struct release_walk *w, const struct recipe *r, bool placed,
                       struct error **err)
{
    if (r->action == ACTION_GROUP)
        return error_user(err, "%s is a group of targets: it cannot be an input of another target",
                          r->name);
    bool again = strlist_has(&w->seen, r->name);
    strlist_add(&w->seen, r->name);
    for (size_t i = 0; i < r->need_count && !again; i++) {
        struct error *why = NULL;
        if (!condition_expected(r, &r->needs[i].when))
            continue;
        const struct recipe *chosen =
            choose_recipe(w->selection, r, &r->needs[i], w->out->arch, &why);
        if (why) {
            *err = why;
            return -1;
        }
        if (chosen && walk_recipe(w, chosen, false, err) < 0)
            return -1;
    }
    if (placed || r->release)
        release_outputs(w, r);
    return 0;
}

static int walk_target(struct release_walk *w, const struct recipe *r, struct error **err)
{
    if (walk_recipe(w, r, true, err) < 0)
        return -1;
    for (size_t i = 0; i < r->with.n; i++) {
        const struct recipe *other = recipe_get(w->set, r->with.items[i], err);
        if (!other)
            return error_wrap(err, "%s: with", r->file);
        if (recipe_supports(other, w->out->arch) && walk_recipe(w, other, true, err) < 0)
            return -1;
    }
    return 0;
}

static int walk_group(struct release_walk *w, const struct recipe *group, struct error **err)
{
    const struct recipe_needs *members = &group->members[w->out->arch - arch_table];
    for (size_t i = 0; i < members->count; i++) {
        struct error *why = NULL;
        const struct recipe *r =
            choose_recipe(w->selection, group, &members->list[i], w->out->arch, &why);
        if (why) {
            *err = why;
            return -1;
        }
        if (r && walk_target(w, r, err) < 0)
            return -1;
    }
    return 0;
}

int release_of(const struct recipe_selection *c, const char *target, const struct arch *wanted,
               struct release *out, struct error **err)
{
    const struct recipe *r = recipe_get(c->set, target, err);
    struct release_walk w = {.selection = c, .set = c->set, .out = out};
    *out =
        (struct release){.target = xstrdup(target), .arch = r ? choose_arch(r, wanted, err) : NULL};
    int result = !r || !out->arch || release_guests(c->set, &w.guests, err) < 0 ? -1
                 : r->action == ACTION_GROUP ? walk_group(&w, r, err)
                                             : walk_target(&w, r, err);
    strlist_free(&w.seen);
    strlist_free(&w.released);
    strlist_free(&w.guests);
    return result;
}

void release_free(struct release *r)
{
    for (size_t i = 0; i < r->n; i++)
        free(r->items[i].output);
    free(r->items);
    free(r->target);
    *r = (struct release){0};
}

// ---- the tarballs of a directory to merge, and the required ones ----

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

// "kata-static-<stem>.tar.<compression>". What stands beside one, its signatures or a checksum, has
// more behind that, and is none.
static bool is_component(const char *name)
{
    const char *extension = strstr(name, ".tar.");
    return starts_with(name, "kata-static-") && extension && !strchr(extension + 5, '.');
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

static const struct output_target *find_output_target(const struct output_targets *targets,
                                                      const char *file)
{
    for (size_t i = 0; i < targets->n; i++)
        if (!strcmp(targets->items[i].file, file))
            return &targets->items[i];
    return NULL;
}

// The required tarballs that are missing: those removed, and those whose build failed.
struct missing_tarballs {
    struct strlist gone, pending, targets;
};

static void check_item(const struct output_target *item, const struct strlist *files,
                       struct missing_tarballs *s)
{
    bool there = strlist_has(files, item->file);
    if (there && *item->digest)
        return;
    strlist_add_once(*item->digest ? &s->gone : &s->pending, item->file);
    strlist_add_once(&s->targets, item->target);
}

static int report_missing(const struct merge_request *r, const struct missing_tarballs *s,
                          struct error **err)
{
    cleanup_free char *gone = strlist_join(&s->gone, ", ");
    cleanup_free char *pending = strlist_join(&s->pending, ", ");
    cleanup_free char *targets = strlist_join(&s->targets, " ");
    if (!s->targets.n)
        return 0;
    if (s->pending.n)
        error_user(err, "%s was requested in %s, but its last build did not finish", pending,
                   r->directory);
    else
        error_user(err, "%s was built in %s, but no longer exists", gone, r->directory);
    return error_hint(err,
                      "build it: kbuild %s; or name what to merge with --target or --components; "
                      "or take its line out of %s/targets",
                      targets, r->directory);
}

static int check_all_exist(const struct merge_request *r, const struct output_targets *w,
                           const struct strlist *files, struct error **err)
{
    struct missing_tarballs s = {0};
    for (size_t i = 0; i < w->n; i++) {
        cleanup_free char *stem = component_stem(w->items[i].file);
        if (!is_for_guests(r->guests, stem))
            check_item(&w->items[i], files, &s);
    }
    int result = report_missing(r, &s, err);
    strlist_free(&s.gone);
    strlist_free(&s.pending);
    strlist_free(&s.targets);
    return result;
}

static int collect_all(const struct merge_request *r, const struct output_targets *w,
                       const struct strlist *files, struct strlist *paths, struct error **err)
{
    for (size_t i = 0; i < files->n; i++) {
        const char *file = files->items[i];
        cleanup_free char *stem = component_stem(file);
        if (is_for_guests(r->guests, stem)) {
            log_note("%s is for guests, and is left out", file);
            continue;
        }
        if (w->n && !find_output_target(w, file))
            log_note("%s was not built here; it is included as it is", file);
        strlist_addf(paths, "%s/%s", r->directory, file);
    }
    if (check_all_exist(r, w, files, err) < 0)
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
                                 const struct output_targets *w, const struct strlist *files,
                                 struct strlist *missing)
{
    const char *file = find_component(files, item->output);
    const struct output_target *noted = file ? find_output_target(w, file) : NULL;
    if (!file)
        strlist_add(missing, item->output);
    else if (noted && strcmp(noted->arch, release->arch->name) != 0)
        strlist_addf(missing, "%s (the existing one is for %s)", item->output, noted->arch);
    else if (noted && !*noted->digest)
        strlist_addf(missing, "%s (its last build did not finish)", item->output);
    else
        return file;
    return NULL;
}

static int collect_release(const struct merge_request *r, const struct output_targets *w,
                           const struct strlist *files, struct strlist *paths, struct error **err)
{
    cleanup_strlist struct strlist missing = {0}, makers = {0};
    for (size_t i = 0; i < r->release->n; i++) {
        const struct release_item *item = &r->release->items[i];
        const char *file = find_released(r->release, item, w, files, &missing);
        if (file)
            strlist_addf(paths, "%s/%s", r->directory, file);
        else
            strlist_add_once(&makers, item->maker);
    }
    if (missing.n) {
        cleanup_free char *names = strlist_join(&missing, ", ");
        cleanup_free char *targets = strlist_join(&makers, " ");
        error_user(err, "%s lacks components of %s for %s: %s", r->directory, r->release->target,
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
    cleanup_output_targets struct output_targets w = {0};
    if (list_directory(r->directory, &names, err) < 0 ||
        output_targets_read(r->directory, &w, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++)
        if (is_component(names.items[i]))
            strlist_add(&files, names.items[i]);
    if (r->release)
        return collect_release(r, &w, &files, paths, err);
    if (r->components && r->components->n)
        return collect_named(r, &files, paths, err);
    return collect_all(r, &w, &files, paths, err);
}

// ---- merge ----

// Others may be right: whoever reads the warning knows.
static void warn_others(const struct strlist *others, const char *version, const char *origin)
{
    cleanup_free char *text = strlist_join(others, ", and ");
    if (others->n)
        log_warning("VERSION will be %s (%s), but %s", version, origin, text);
}

// What a merge of the same sources would write.
static char *source_version(const struct versions *v, struct recipe_set *set,
                            const struct source_choices *choices, char **origin)
{
    char *version = release_version_chosen(set, choices, origin);
    return version ? version : release_version(v, set, origin);
}

static char *find_version(const struct versions *v, struct recipe_set *set,
                          const struct source_choices *choices, const char *in_file,
                          const char *file)
{
    cleanup_strlist struct strlist others = {0};
    cleanup_free char *from = NULL, *own = source_version(v, set, choices, &from);
    cleanup_free char *origin = in_file ? xasprintf(RELEASE_VERSION_FILE " in %s", file) : NULL;
    char *version = in_file ? xstrdup(in_file) : steal(own);
    const char *shown = in_file ? origin : from;
    if (!version)
        return NULL;
    log_note("VERSION is %s: %s", version, shown);
    if (own && !release_version_same(own, version))
        strlist_addf(&others, "%s is %s", from, own);
    release_version_others(v, set, version, &others);
    warn_others(&others, version, shown);
    return version;
}

char *merged_version(const char *versions_yaml, struct recipe_set *set,
                     const struct source_choices *choices, const char *in_file, const char *file,
                     struct error **err)
{
    bool release; // release_version() uses it; other words than yes or no are rejected
    if (environment_yes_no("RELEASE", false, &release, err) < 0)
        return NULL;
    struct versions *v = versions_load(versions_yaml, err);
    if (!v)
        return NULL;
    char *version = find_version(v, set, choices, in_file, file);
    if (!version) {
        log_warning("the version of Kata Containers is not known, and VERSION says so: %s has no "
                    "externals.kata.version, and is in no checkout of Kata",
                    versions_yaml);
        version = xstrdup(RELEASE_UNKNOWN);
    }
    versions_free(v);
    return version;
}

// ---- VERSION in a tarball ----

enum { VERSION_MAX = 256 };

// Whether something of that name can be there: the file, or a link in the place of it or of a
// directory above. Else the tarball need not be read again.
static bool has_entry(const struct listing *l, const char *path)
{
    for (size_t i = 0; i < l->n; i++)
        if (!strcmp(l->entries[i].path, path))
            return true;
    return false;
}

static bool may_have_version(const struct listing *l)
{
    for (size_t i = 0; i < l->n; i++) {
        const struct listing_entry *e = &l->entries[i];
        size_t n = strlen(e->path);
        bool above = n && !strncmp(RELEASE_VERSION_FILE, e->path, n) &&
                     RELEASE_VERSION_FILE[n] == '/' && S_ISLNK(e->mode);
        if (above || !strcmp(e->path, RELEASE_VERSION_FILE))
            return true;
    }
    return false;
}

static int refuse_version(const char *name, const char *why, struct error **err)
{
    return error_user(err, "%s: " RELEASE_VERSION_FILE " in it is no version: %s", name, why);
}

static int check_version_text(const char *name, struct buf *text, struct error **err)
{
    while (text->len && strchr(" \r\n", text->data[text->len - 1]))
        text->data[--text->len] = '\0';
    if (!text->len)
        return refuse_version(name, "it is empty", err);
    for (size_t i = 0; i < text->len; i++)
        if ((unsigned char)text->data[i] < ' ' || text->data[i] == 0x7f)
            return refuse_version(name, "it is no text of one line", err);
    return 1;
}

int tarball_version(int fd, const char *name, const struct listing *l, char **out,
                    struct error **err)
{
    cleanup_buf struct buf text = {0};
    if (!may_have_version(l))
        return 0;
    cleanup_close int member = nameless_file(NULL, err);
    if (member < 0)
        return -1;
    int found = unpack_member_if(fd, name, RELEASE_VERSION_FILE, member, NULL, err);
    off_t size = found > 0 ? lseek(member, 0, SEEK_END) : 0;
    if (found < 0)
        return -1;
    if (!found && !has_entry(l, RELEASE_VERSION_FILE)) // /opt is a link, and there is no such file
        return 0;
    if (!found)
        return refuse_version(name, "it is a link to what is not in it", err);
    if (size > VERSION_MAX)
        return refuse_version(name, "it has more than 256 bytes", err);
    if (lseek(member, 0, SEEK_SET) < 0 ||
        fd_read_all(member, RELEASE_VERSION_FILE, VERSION_MAX, &text, err) < 0 ||
        check_version_text(name, &text, err) < 0)
        return -1;
    *out = buf_take(&text);
    return 1;
}

// ---- merging a directory ----

static int merge_paths(const struct merge_request *r, const struct strlist *paths,
                       const char *version, int fd, struct error **err)
{
    const char *base = path_base(r->output);
    cleanup_free char *scratch =
        base == r->output ? xstrdup(".") : xstrndup(r->output, (size_t)(base - r->output));
    struct error *ignored = NULL;
    struct store *store = cache_open(r->cache, false, &ignored);
    error_free(ignored);
    struct listings listings = {0};
    if (store)
        listings_open(&listings, store, r->directory);
    struct merge_options options = {.version = version,
                                    .versions_yaml = r->versions_yaml,
                                    .prefix = "opt/kata",
                                    .scratch = scratch,
                                    .rehash = r->rehash,
                                    .cache = store ? &listings.cache : NULL,
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
    cleanup_free char *version =
        merged_version(r->versions_yaml, r->set, r->choices, NULL, NULL, err);
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
