// SPDX-License-Identifier: Apache-2.0
// A git source: resolves its ref to a commit and a tree, fetches the commit into the mirror, and
// exports it with its submodules.
#include "source/git_internal.h"

#include "base/error.h"
#include "base/file.h"
#include "http/http.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define NESTING_MAX 16
#define SUBMODULES_MAX 2000

// ---- resolving ----
static int pin_from_mirror(const struct mirror *m, const git_oid *commit, struct source_pin *out,
                           struct error **err)
{
    char hex[GIT_OID_HEXSZ + 1];
    git_commit *c = NULL;
    if (git_commit_lookup(&c, m->repository, commit) < 0)
        return git_failed(err, "reading a commit of %s", m->shown);
    out->commit = xstrdup(git_oid_tostr(hex, sizeof hex, commit));
    out->tree = xstrdup(git_oid_tostr(hex, sizeof hex, git_commit_tree_id(c)));
    git_commit_free(c);
    return 0;
}

static int find_commit_offline(const struct mirror *m, const char *ref, git_oid *out)
{
    if (is_commit_id(ref))
        return mirror_has_commit(m, ref) && git_oid_fromstr(out, ref) == 0;
    return mirror_find_ref(m, ref, out) || mirror_find_prefix(m, ref, out);
}

static int resolve_ref(const struct source_spec *spec, const struct source_options *o,
                       struct source_pin *out, struct error **err)
{
    cleanup_mirror struct mirror m = MIRROR_NONE;
    git_oid commit;
    if (mirror_open(o->store, spec->url, spec->label, !o->offline, &m, err) < 0)
        return -1;
    if (o->offline) {
        if (find_commit_offline(&m, spec->ref, &commit))
            return pin_from_mirror(&m, &commit, out, err);
        cleanup_free char *what = xasprintf("%s of %s", spec->ref, m.shown);
        return refuse_offline(what, err);
    }
    int result;
    if (is_commit_id(spec->ref)) {
        git_oid_fromstr(&commit, spec->ref);
        result =
            mirror_has_commit(&m, spec->ref) ? 0 : remote_fetch_commit(&m, spec->ref, NULL, err);
    } else {
        result = remote_fetch_ref(&m, spec->ref, &commit, err);
    }
    if (result < 0) {
        if (!(*err)->hint)
            hint_other_sources(spec, spec->url, err);
        return -1;
    }
    return pin_from_mirror(&m, &commit, out, err);
}

// ---- a source that is a local folder ----
static void warn_moved(const struct source_spec *spec, const struct source_options *o,
                       git_repository *repository, const char *folder, const char *commit)
{
    // A tag has priority over a branch of the same name (git_remote.c).
    static const char *const kinds[][2] = {{"tag", "refs/tags"}, {"branch", "refs/heads"}};
    git_object *tip = NULL;
    for (size_t i = 0; i < ARRAY_LEN(kinds) && !tip; i++) {
        cleanup_free char *name = xasprintf("%s/%s", kinds[i][1], spec->ref);
        git_reference *ref = NULL;
        char hex[GIT_OID_HEXSZ + 1];
        if (git_reference_lookup(&ref, repository, name) == 0 &&
            git_reference_peel(&tip, ref, GIT_OBJECT_COMMIT) == 0 &&
            strcmp(git_oid_tostr(hex, sizeof hex, git_object_id(tip)), commit) != 0)
            log_warning("%s: the %s %s of %s is at %.12s now, but %s says %.12s, which is what is "
                        "built; remove the line there to follow the %s",
                        spec->label, kinds[i][0], spec->ref, folder, hex,
                        o->lock ? o->lock->path : "the lock", commit, kinds[i][0]);
        git_reference_free(ref);
    }
    git_object_free(tip);
}

static int stop_at_change(const char *path, unsigned status, void *context)
{
    return 1; // one is enough
}

static void warn_uncommitted(const struct source_spec *spec, git_repository *repository,
                             const char *folder)
{
    git_status_options options;
    git_status_options_init(&options, GIT_STATUS_OPTIONS_VERSION);
    options.flags = GIT_STATUS_OPT_INCLUDE_UNTRACKED | GIT_STATUS_OPT_EXCLUDE_SUBMODULES;
    if (!git_repository_is_bare(repository) &&
        git_status_foreach_ext(repository, &options, stop_at_change, NULL) == 1)
        log_warning("%s: %s has changes that are not committed, which are not built (--source "
                    "NAME=DIR takes a directory as it is)",
                    spec->label, folder);
}

// People who build from a local repository expect its uncommitted changes to be used.
static void warn_local_changes(const struct source_spec *spec, const struct source_options *o,
                               const char *commit)
{
    cleanup_free char *url = git_url_instead(spec->url, NULL);
    if (!url || !url_is_local(url))
        return;
    cleanup_free char *folder = git_folder_of(url);
    git_repository *repository = NULL;
    mirror_library_begin();
    if (git_repository_open(&repository, folder) == 0) {
        warn_moved(spec, o, repository, folder, commit);
        warn_uncommitted(spec, repository, folder);
    }
    git_repository_free(repository);
}

int git_source_resolve(const struct source_spec *spec, const struct source_options *o,
                       struct source_pin *out, struct error **err)
{
    const struct lock_entry *entry = o->lock ? lock_find(o->lock, spec->url, spec->ref) : NULL;
    if (entry && entry->commit && entry->tree) {
        out->commit = xstrdup(entry->commit);
        out->tree = xstrdup(entry->tree);
        warn_local_changes(spec, o, out->commit);
        return 0;
    }
    if (o->locked) {
        cleanup_free char *shown = http_url_shown(spec->url);
        cleanup_free char *what = xasprintf("%s of %s", spec->ref, shown);
        return refuse_unlocked(o, what, err);
    }
    if (resolve_ref(spec, o, out, err) < 0)
        return -1;
    out->fresh = true;
    warn_local_changes(spec, o, out->commit);
    if (o->lock)
        lock_put(o->lock,
                 &(struct lock_entry){
                     .url = spec->url, .ref = spec->ref, .commit = out->commit, .tree = out->tree});
    return 0;
}

// ---- fetching ----
struct git_fetch {
    const struct source_spec *spec;
    const struct source_options *o;
    struct export e;
    json_t *submodules; // provenance
    bool refused;
    size_t count;
};

// Opens the mirror with the commit in it, from the network if necessary.
static int open_with_commit(const struct git_fetch *f, const char *url, const char *commit,
                            const char *ref, struct mirror *m, struct error **err)
{
    if (mirror_open(f->o->store, url, f->spec->label, false, m, err) < 0)
        return -1;
    if (mirror_has_commit(m, commit))
        return 0;
    if (f->o->offline) {
        cleanup_free char *what = xasprintf("commit %s of %s", commit, m->shown);
        return refuse_offline(what, err);
    }
    mirror_close(m);
    if (mirror_open(f->o->store, url, f->spec->label, true, m, err) < 0)
        return -1;
    if (mirror_has_commit(m, commit)) // another kbuild fetched it meanwhile
        return 0;
    if (remote_fetch_commit(m, commit, ref, err) < 0) {
        if (!(*err)->hint)
            hint_other_sources(f->spec, url, err);
        return -1;
    }
    return 0;
}

static int export_commit(struct git_fetch *f, const char *url, const char *commit, const char *ref,
                         const char *tree, int folder, unsigned depth, struct error **err);

static int export_submodule(struct git_fetch *f, const char *parent_url,
                            const struct submodule_places *places, const struct submodule *sub,
                            int folder, unsigned depth, struct error **err)
{
    const struct submodule_place *place = submodule_place_find(places, sub->path);
    if (!place || !place->url) {
        log_warning("%s: the submodule %s has no url in .gitmodules: its directory stays empty",
                    f->spec->label, sub->path);
        return 0;
    }
    if (place->skip)
        return 0;
    if (++f->count > SUBMODULES_MAX)
        return error_user(err, "there are more than %d submodules", SUBMODULES_MAX);
    cleanup_free char *url = url_of_submodule(parent_url, place->url, err);
    if (!url)
        return -1;
    cleanup_close int below = beneath_open(folder, sub->path, O_RDONLY | O_DIRECTORY, 0);
    if (below < 0)
        return error_errno(err, errno, "opening the directory of the submodule %s", sub->path);
    cleanup_free char *shown = http_url_shown(url);
    json_array_append_new(f->submodules, json_pack("{s:s, s:s, s:s}", "path", sub->path, "url",
                                                   shown, "commit", sub->commit));
    return export_commit(f, url, sub->commit, NULL, NULL, below, depth + 1, err);
}

static int export_submodules(struct git_fetch *f, const struct mirror *m, const char *commit,
                             struct export *e, int folder, unsigned depth, struct error **err)
{
    enum submodules wanted = f->spec->submodules;
    if (!e->submodule_count || wanted == SUBMODULES_NO ||
        (wanted == SUBMODULES_DIRECT && depth > 0))
        return 0;
    if (depth >= NESTING_MAX)
        return error_user(err, "%s: submodules are nested more than %d deep", m->shown,
                          NESTING_MAX);
    struct submodule_places places = {0};
    int result = submodule_places_read(m, commit, &places, err);
    for (size_t i = 0; result == 0 && i < e->submodule_count; i++) {
        result = export_submodule(f, m->url, &places, &e->submodules[i], folder, depth, err);
        if (result < 0)
            error_wrap(err, "submodule %s", e->submodules[i].path);
    }
    submodule_places_free(&places);
    return result;
}

static int check_tree_id(const struct mirror *m, const char *commit, const git_oid *is,
                         const char *expected, struct error **err)
{
    char hex[GIT_OID_HEXSZ + 1];
    git_oid_tostr(hex, sizeof hex, is);
    if (!expected || strcmp(hex, expected) == 0)
        return 0;
    error_user(err, "commit %s of %s has the tree %s, but versions.lock says %s", commit, m->shown,
               hex, expected);
    return error_hint(err,
                      "the two can't both be right: look who changed the line in versions.lock");
}

// On failure the folder is incomplete; the caller removes it.
static int export_once(struct git_fetch *f, const struct mirror *m, const char *commit,
                       const char *tree, int folder, struct export *e, bool *damaged,
                       struct error **err)
{
    git_oid is;
    *e = (struct export){.time = f->e.time, .entries = f->e.entries, .bytes = f->e.bytes};
    int result = git_export(m, commit, folder, e, &is, damaged, err);
    f->refused |= e->refused;
    if (result < 0 || check_tree_id(m, commit, &is, tree, err) < 0)
        return -1;
    f->e.time = e->time;
    f->e.entries = e->entries;
    f->e.bytes = e->bytes;
    return 0;
}

static int empty_folder(int folder, struct error **err)
{
    cleanup_strlist struct strlist names = {0};
    if (list_directory_at(folder, "the exported tree", &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++)
        if (beneath_remove(folder, names.items[i], names.items[i], err) < 0)
            return -1;
    return 0;
}

// A mirror whose objects do not match their names is deleted and fetched again, once.
static int export_repaired(struct git_fetch *f, struct mirror *m, const char *commit,
                           const char *ref, const char *tree, int folder, struct export *e,
                           struct error **err)
{
    bool damaged = false;
    int result = export_once(f, m, commit, tree, folder, e, &damaged, err);
    if (result == 0 || !damaged)
        return result;
    export_free(e);
    if (f->o->offline)
        return error_hint(err, "run `kbuild fetch` with the network: it will be fetched again");
    cleanup_free char *url = xstrdup(m->url);
    log_warning("%s: it is fetched again", (*err)->message);
    error_free(*err);
    *err = NULL;
    mirror_close(m);
    if (mirror_discard(f->o->store, url, err) < 0 || empty_folder(folder, err) < 0 ||
        open_with_commit(f, url, commit, ref, m, err) < 0)
        return -1;
    return export_once(f, m, commit, tree, folder, e, &damaged, err);
}

static int export_commit(struct git_fetch *f, const char *url, const char *commit, const char *ref,
                         const char *tree, int folder, unsigned depth, struct error **err)
{
    cleanup_mirror struct mirror m = MIRROR_NONE;
    struct export e = {0};
    int result = open_with_commit(f, url, commit, ref, &m, err);
    if (result == 0)
        result = export_repaired(f, &m, commit, ref, tree, folder, &e, err);
    if (result == 0) {
        // Others may fetch during the work on submodules.
        if (m.lock >= 0)
            close(steal_fd(&m.lock));
        result = export_submodules(f, &m, commit, &e, folder, depth, err);
    }
    export_free(&e);
    return result;
}

static void git_provenance_add(json_t *provenance, const struct source_spec *spec,
                               const struct source_pin *pin, json_t *submodules)
{
    cleanup_free char *shown = http_url_shown(spec->url);
    json_object_set_new(provenance, "kind", json_string("git"));
    json_object_set_new(provenance, "url", json_string(shown));
    json_object_set_new(provenance, "ref", json_string(spec->ref));
    json_object_set_new(provenance, "commit", json_string(pin->commit));
    json_object_set_new(provenance, "tree", json_string(pin->tree));
    if (json_array_size(submodules))
        json_object_set(provenance, "submodules", submodules);
}

int git_source_fetch(const struct source_spec *spec, const struct source_pin *pin,
                     const struct source_options *o, const char *destination, json_t *provenance,
                     bool *unusable, struct error **err)
{
    cleanup_close int folder = open(destination, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return error_errno(err, errno, "opening %s", destination);
    json_auto_t *submodules = json_array();
    struct git_fetch f = {.spec = spec, .o = o, .e = {.time = -1}, .submodules = submodules};
    int result = export_commit(&f, spec->url, pin->commit, spec->ref, pin->tree, folder, 0, err);
    *unusable = result < 0 && f.refused;
    if (result == 0)
        git_provenance_add(provenance, spec, pin, submodules);
    return result;
}
