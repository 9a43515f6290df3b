// SPDX-License-Identifier: Apache-2.0
// Decides where a recipe's source comes from (the user's choices, the checkout around
// versions.yaml, --sources), and describes the exact request for it.
#include "base/file.h"
#include "http/http.h"
#include "source/internal.h"
#include "source/source.h"

#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

// ---- the user's choices: --source and KBUILD_SOURCE ----

static int refuse_choice(const struct source_choice *c, const char *text, const char *why,
                         struct error **err)
{
    cleanup_free char *shown = http_text_shown(text);
    return error_set(err, ERROR_USAGE, "%s%s%s: %s", c->where ? c->where : "--source",
                     c->where ? ": " : " ", shown, why);
}

static int read_origin(struct source_choice *c, const char *text, const char *value,
                       struct error **err)
{
    char real[PATH_MAX];
    if (!strcmp(value, "upstream") || !strcmp(value, "debian")) {
        c->origin = *value == 'u' ? ORIGIN_UPSTREAM : ORIGIN_DEBIAN;
        return 0;
    }
    c->origin = ORIGIN_FOLDER;
    if (!realpath(value, real)) {
        refuse_choice(c, text, strerror(errno), err);
        if (starts_with(value, "~"))
            return error_hint(err, "the shell did not replace ~: write $HOME");
        return error_hint(err,
                          "NAME=DIR names a directory; NAME=upstream and NAME=debian are words");
    }
    if (!is_directory(real)) {
        refuse_choice(c, text, "it is not a directory", err);
        return error_hint(err, "unpack an archive first: kbuild unpack FILE DIR");
    }
    c->folder = xstrdup(real);
    return 0;
}

static void choice_free(struct source_choice *c)
{
    free(c->name);
    free(c->folder);
    free(c->commit);
    free(c->where);
    error_free(c->fault);
}

static struct source_choice *find_choice(const struct source_choices *c, const char *name)
{
    for (size_t i = 0; i < c->n; i++)
        if (!strcmp(c->items[i].name, name))
            return &c->items[i];
    return NULL;
}

int source_choices_add(struct source_choices *c, const char *text, const char *where,
                       struct error **err)
{
    struct source_choice one = {.where = where ? xstrdup(where) : NULL};
    const char *equals = strchr(text, '=');
    if (!equals || equals == text || !equals[1]) {
        refuse_choice(&one, text, "it is not NAME=DIR, NAME=upstream or NAME=debian", err);
        choice_free(&one);
        return error_hint(err, "NAME is what the recipe calls the source");
    }
    one.name = xstrndup(text, (size_t)(equals - text));
    struct source_choice *known = find_choice(c, one.name);
    int result = 0;
    if (known && !strcmp(known->where ? known->where : "", where ? where : ""))
        result = refuse_choice(&one, text, "the source is named twice", err);
    if (result == 0 && read_origin(&one, text, equals + 1, &one.fault) < 0) {
        if (where)
            one.folder = xstrdup(equals + 1);
        else
            *err = steal(one.fault);
        result = where ? 0 : -1;
    }
    if (result < 0) {
        choice_free(&one);
        return -1;
    }
    if (!known) {
        c->items = xgrow(c->items, &c->cap, c->n + 1, sizeof *c->items);
        c->items[c->n++] = one;
    } else if (where) {
        choice_free(&one);
    } else {
        choice_free(known);
        *known = one;
    }
    return 0;
}

int source_choices_environment(struct source_choices *c, const char *text, struct error **err)
{
    cleanup_strlist struct strlist words = {0};
    strlist_split(&words, text, " \t\n");
    for (size_t i = 0; i < words.n; i++)
        if (source_choices_add(c, words.items[i], "KBUILD_SOURCE", err) < 0)
            return -1;
    return 0;
}

int source_choice_check(const struct source_choice *c, struct error **err)
{
    if (!c->fault)
        return 0;
    error_set(err, c->fault->kind, "%s", c->fault->message);
    return error_hint(err, "%s", c->fault->hint);
}

const struct source_choice *source_choice_of(const struct source_choices *c, const char *name)
{
    return c ? find_choice(c, name) : NULL;
}

void source_choices_free(struct source_choices *c)
{
    for (size_t i = 0; i < c->n; i++)
        choice_free(&c->items[i]);
    free(c->items);
    *c = (struct source_choices){0};
}

// ---- origin ----

// The first of the paths that exists in versions.yaml, else the first; to be freed.
static char *choose_path(const struct versions *v, const char *paths, const struct arch *target)
{
    cleanup_free char *expanded = arch_expand(paths, target);
    cleanup_strlist struct strlist list = {0};
    strlist_split(&list, expanded, " ");
    for (size_t i = 0; i < list.n; i++)
        if (yaml_path(v->document->root, list.items[i]))
            return xstrdup(list.items[i]);
    return xstrdup(list.n ? list.items[0] : "");
}

// The map of the source in versions.yaml; NULL if there is none.
static const struct yaml *component_of(const struct recipe_source *source, const struct versions *v,
                                       const struct arch *target)
{
    cleanup_free char *path = source->version ? choose_path(v, source->version, target) : NULL;
    return path ? yaml_path(v->document->root, path) : NULL;
}

// The top of the work tree that contains versions.yaml, if it has all of these paths; to be freed.
static char *find_checkout(const struct recipe_source *source, const struct versions *v)
{
    if (!source->checkout.n)
        return NULL;
    char *top = git_work_tree_of(v->path);
    for (size_t i = 0; top && i < source->checkout.n; i++) {
        cleanup_free char *path = xasprintf("%s/%s", top, source->checkout.items[i]);
        if (path_exists(path))
            continue;
        free(top);
        top = NULL;
    }
    return top;
}

// The origin of a recipe's source. In this order: the user's choice for its name; the work tree
// that contains versions.yaml, if that has the paths of the source's `checkout` (not with
// o->locked); o->debian.
struct source_place {
    enum source_origin origin;
    char *folder;  // ORIGIN_FOLDER: absolute, to be freed
    bool checkout; // that work tree
};
static void source_place(const struct recipe_source *source, const struct versions *v,
                         const struct source_options *o, struct source_place *out)
{
    const struct source_choice *choice = source_choice_of(o->choices, source->name);
    *out = (struct source_place){.origin = o->debian ? ORIGIN_DEBIAN : ORIGIN_UPSTREAM};
    if (choice) {
        out->origin = choice->origin;
        out->folder = choice->folder ? xstrdup(choice->folder) : NULL;
    } else if (source->when) { // it applies only to sources of that word, and is one of them
        out->origin = !strcmp(source->when, "debian") ? ORIGIN_DEBIAN : ORIGIN_UPSTREAM;
    } else if (!o->locked && (out->folder = find_checkout(source, v))) {
        out->origin = ORIGIN_FOLDER;
        out->checkout = true;
    }
}

char *source_checkout_ignored(const struct recipe_source *source, const struct versions *v,
                              const struct source_options *o)
{
    bool asked = o->locked && !source_choice_of(o->choices, source->name);
    return asked ? find_checkout(source, v) : NULL;
}

static enum source_origin origin_of(const struct recipe_source *source, const struct versions *v,
                                    const struct source_options *o)
{
    struct source_place place;
    source_place(source, v, o, &place);
    free(place.folder);
    return place.origin;
}

// The source that decides whether those with a `when` apply; NULL: the recipe has none.
static const struct recipe_source *deciding_source(const struct recipe *r,
                                                   const struct recipe_source *source,
                                                   const struct source_options *o)
{
    if (source_choice_of(o->choices, source->name))
        return source;
    for (size_t i = 0; i < r->source_count; i++)
        if (!r->sources[i].when)
            return &r->sources[i];
    return NULL;
}

bool source_applies(const struct recipe *r, const struct recipe_source *source,
                    const struct versions *v, const struct source_options *o)
{
    if (!source->when)
        return true;
    const struct recipe_source *decides = deciding_source(r, source, o);
    enum source_origin origin = o->debian ? ORIGIN_DEBIAN : ORIGIN_UPSTREAM;
    if (decides)
        origin = origin_of(decides, v, o);
    return (decides == source && origin == ORIGIN_FOLDER) ||
           !strcmp(source->when, origin == ORIGIN_DEBIAN ? "debian" : "upstream");
}

static const struct recipe_source *source_named(const struct recipe *r, const char *name)
{
    for (size_t i = 0; name && i < r->source_count; i++)
        if (!strcmp(r->sources[i].name, name))
            return &r->sources[i];
    return NULL;
}

bool source_available(const struct recipe *r, const struct recipe_source *source,
                      const struct versions *v, const struct arch *target,
                      const struct source_options *o)
{
    enum source_origin origin = origin_of(source, v, o);
    if (source->list && origin == ORIGIN_DEBIAN && !source_choice_of(o->choices, source->name)) {
        const struct recipe_source *of = source_named(r, source->list->of);
        return !of || of->list || source_available(r, of, v, target, o);
    }
    return origin != ORIGIN_DEBIAN || source->debian ||
           !yaml_is_null(yaml_get(component_of(source, v, target), "debian"));
}

// ---- texts ----

// The values to fill in the texts of one source.
struct fill_values {
    const struct versions *versions;
    const struct yaml *component;
    struct version_values *used;
};

static char *fill_text(const struct fill_values *f, const char *text, struct error **err)
{
    return versions_expand(f->versions, f->component, text, f->used, err);
}

// NULL stays NULL.
static int fill_field(const struct fill_values *f, const char *text, char **out, struct error **err)
{
    if (!text)
        return 0;
    *out = fill_text(f, text, err);
    return *out ? 0 : -1;
}

// ---- the distribution's package ----
static bool has_upstream(const struct recipe_source *source)
{
    return source->git || source->archive || source->image;
}

static struct debian_source *fill_debian(const struct fill_values *f,
                                         const struct debian_source *from,
                                         const struct arch *target, struct error **err)
{
    struct debian_source *out = xcalloc(1, sizeof *out);
    out->of_target = from->of_target;
    out->arch = from->of_target ? target : NULL;
    out->dependency = from->dependency ? xstrdup(from->dependency) : NULL;
    int result = 0;
    for (size_t i = 0; result == 0 && i < from->packages.n; i++) {
        cleanup_free char *name = fill_text(f, from->packages.items[i], err);
        if (name)
            strlist_add(&out->packages, name);
        else
            result = -1;
    }
    if (result < 0 || fill_field(f, from->file, &out->file, err) < 0 ||
        fill_field(f, from->source, &out->source, err) < 0) {
        debian_source_free(out);
        return NULL;
    }
    return out;
}

// versions.yaml's, else the recipe's.
static int describe_debian(const struct fill_values *f, const struct recipe_source *source,
                           const struct arch *target, struct source_spec *out, struct error **err)
{
    const struct yaml *node = yaml_get(f->component, "debian");
    struct debian_source *own = NULL;
    if (!yaml_is_null(node)) {
        own = debian_source_parse(f->versions->document, node, err);
        if (!own)
            return -1;
    } else if (!source->debian) {
        error_user(err, "%s: no distribution package is known to carry this source", out->label);
        return error_hint(
            err,
            "take it from upstream with --source %s=upstream, or from a directory with "
            "--source %s=DIR; or name a package under `debian:` in versions.yaml",
            source->name, source->name);
    }
    out->kind = SOURCE_DEBIAN;
    out->owned_debian = fill_debian(f, own ? own : source->debian, target, err);
    out->debian = out->owned_debian;
    debian_source_free(own);
    if (!out->debian)
        return -1;
    out->owned_debian->upstream_too = has_upstream(source);
    return 0;
}

// ---- upstream ----
// Corrects urls that are wrong in some versions.yaml, as the recipe says. *url may be NULL.
static int correct_url(const struct fill_values *f, const struct recipe_source *source, char **url,
                       struct error **err)
{
    for (size_t i = 0; *url && i < source->replaced.n; i++) {
        cleanup_free char *by = fill_text(f, source->replacements.items[i], err);
        if (!by)
            return -1;
        const struct placeholder pair[] = {{source->replaced.items[i], by}};
        char *corrected = placeholders_expand(*url, pair, 1);
        free(*url);
        *url = corrected;
    }
    return 0;
}

static int describe_upstream(const struct fill_values *f, const struct recipe_source *source,
                             const struct arch *target, struct source_spec *out, struct error **err)
{
    out->submodules = source->submodules;
    out->debian_too = source->debian || !yaml_is_null(yaml_get(f->component, "debian"));
    if (source->git) {
        out->kind = SOURCE_GIT;
        if (fill_field(f, source->git, &out->url, err) < 0 ||
            fill_field(f, source->ref, &out->ref, err) < 0)
            return -1;
        if (correct_url(f, source, &out->url, err) < 0)
            return -1;
        if (!out->ref || !*out->ref)
            return error_user(
                err, "%s: neither the recipe nor versions.yaml names a branch, tag or commit",
                out->label);
        return 0;
    }
    if (source->image) {
        cleanup_free char *name = NULL;
        out->kind = SOURCE_IMAGE;
        if (fill_field(f, source->image, &name, err) < 0 || correct_url(f, source, &name, err) < 0)
            return -1;
        out->url = image_source_url(name, target, err);
        return out->url ? 0 : -1;
    }
    out->kind = SOURCE_ARCHIVE;
    if (fill_field(f, source->archive, &out->url, err) < 0 ||
        fill_field(f, source->sums, &out->sums, err) < 0 ||
        correct_url(f, source, &out->url, err) < 0 || correct_url(f, source, &out->sums, err) < 0)
        return -1;
    const struct yaml *sha256 = yaml_get(f->component, "sha256");
    if (sha256) {
        if (sha256->kind != YAML_SCALAR || yaml_is_null(sha256))
            return yaml_error(f->versions->document, sha256, err, "sha256 must be a text");
        version_values_add(f->used, f->versions, sha256);
        out->sha256 = xstrdup(sha256->text);
    }
    return 0;
}

// Takes the folder over.
static void describe_folder(const struct recipe_source *source, const struct source_place *place,
                            struct source_spec *out)
{
    out->kind = SOURCE_LOCAL;
    out->url = place->folder;
    out->checkout = place->checkout;
    out->submodules = source->submodules;
}

// ---- patches ----
// A folder that does not exist has no patches; one that can't be read is an error.
static int on_glob_error(const char *path, int errnum)
{
    return errnum != ENOENT && errnum != ENOTDIR;
}

static int add_patches(const struct recipe *r, const char *pattern, struct strlist *out,
                       struct error **err)
{
    glob_t found;
    cleanup_buf struct buf full = {0};
    for (const char *p = r->folder; *p; p++) // the folder's name is no pattern
        buf_printf(&full, strchr("*?[\\", *p) ? "\\%c" : "%c", *p);
    buf_printf(&full, "/%s", pattern);
    int result = glob(full.data, 0, on_glob_error, &found);
    if (result == GLOB_NOMATCH && strpbrk(pattern, "*?["))
        return 0; // no patch for this version
    if (result == GLOB_NOMATCH)
        return error_user(err, "the patch %s/%s does not exist", r->folder, pattern);
    if (result)
        return error_errno(err, errno, "looking for patches %s", full.data);
    struct strlist names = {0};
    for (size_t i = 0; i < found.gl_pathc; i++)
        strlist_add(&names, found.gl_pathv[i]);
    strlist_sort(&names);
    strlist_add_all(out, &names);
    strlist_free(&names);
    globfree(&found);
    return 0;
}

static int describe_patches(const struct fill_values *f, const struct recipe *r,
                            const struct recipe_source *source, struct strlist *out,
                            struct error **err)
{
    for (size_t i = 0; i < source->patches.n; i++) {
        cleanup_free char *pattern = fill_text(f, source->patches.items[i], err);
        if (!pattern || add_patches(r, pattern, out, err) < 0)
            return -1;
    }
    return 0;
}

// ---- the whole request ----

// The component of versions.yaml for the source. Upstream's file has none for its own repository:
// there the checkout that contains it is the source.
static const struct yaml *find_component(const struct recipe_source *source,
                                         const struct versions *v, const char *path, bool locked,
                                         struct error **err)
{
    if (!source->checkout.n || yaml_path(v->document->root, path))
        return versions_get(v, path, err);
    if (locked) {
        error_user(err, "%s has no %s, and --locked does not allow a checkout in its place",
                   v->path, path);
        error_hint(err, "add %s: {url: ..., version: ...}, or leave --locked out", path);
        return NULL;
    }
    error_user(err, "%s has no %s, and is in no checkout of this source", v->path, path);
    error_hint(
        err,
        "add %s: {url: ..., version: ...}, or name a checkout: --source %s=DIR, or --versions "
        "with the file in it",
        path, source->name);
    return NULL;
}

// A folder named by the user must have the paths that identify a checkout.
static int check_folder(const struct recipe_source *source, const struct source_place *place,
                        struct error **err)
{
    for (size_t i = 0; place->origin == ORIGIN_FOLDER && place->folder && i < source->checkout.n;
         i++) {
        cleanup_free char *inside = xasprintf("%s/%s", place->folder, source->checkout.items[i]);
        if (path_exists(inside))
            continue;
        error_user(err, "%s is not a checkout of this source: it has no %s", place->folder,
                   source->checkout.items[i]);
        return error_hint(err, "name another directory: --source %s=DIR", source->name);
    }
    return 0;
}

int source_describe(const struct recipe *r, const struct recipe_source *source,
                    const struct versions *v, const struct arch *target,
                    const struct source_options *o, struct source_spec *out, struct error **err)
{
    struct fill_values f = {.versions = v, .component = v->document->root, .used = &out->used};
    cleanup_free char *path = source->version ? choose_path(v, source->version, target) : NULL;
    *out = (struct source_spec){.label = path ? xasprintf("%s (%s)", source->name, path)
                                              : xstrdup(source->name)};
    const struct source_choice *choice = source_choice_of(o->choices, source->name);
    struct source_place place;
    source_place(source, v, o, &place);
    // Patches of a folder may depend on its version, but it needs none.
    if (path && (place.origin != ORIGIN_FOLDER || yaml_path(v->document->root, path)))
        f.component = find_component(source, v, path, o->locked, err);
    int result = !f.component || (choice && source_choice_check(choice, err) < 0) ||
                         check_folder(source, &place, err) < 0
                     ? -1
                     : 0;
    if (result < 0)
        free(place.folder);
    else if (place.origin == ORIGIN_FOLDER)
        describe_folder(source, &place, out);
    else if (place.origin == ORIGIN_DEBIAN || !has_upstream(source))
        result = describe_debian(&f, source, target, out, err);
    else
        result = describe_upstream(&f, source, target, out, err);
    if (result == 0)
        result = describe_patches(&f, r, source, &out->patches, err);
    if (result < 0) {
        error_wrap(err, "%s:%zu: source %s", r->file, source->line, source->name);
        error_place(err, r->file, source->line, 0);
        source_spec_free(out);
    }
    return result;
}

char *source_expand(const struct recipe_source *source, const struct versions *v,
                    const struct arch *target, const char *text, struct version_values *used,
                    struct error **err)
{
    const struct placeholder host = {"{host_arch}", arch_host()->name};
    cleanup_free char *path = source->version ? choose_path(v, source->version, target) : NULL;
    cleanup_free char *hosted = placeholders_expand(text, &host, 1);
    cleanup_free char *both = arch_expand(hosted, target);
    const struct yaml *component = path ? versions_get(v, path, err) : v->document->root;
    return component ? versions_expand(v, component, both, used, err) : NULL;
}

void source_spec_free(struct source_spec *s)
{
    free(s->label);
    free(s->url);
    free(s->ref);
    free(s->sums);
    free(s->sha256);
    debian_source_free(s->owned_debian);
    strlist_free(&s->patches);
    version_values_free(&s->used);
    *s = (struct source_spec){0};
}
