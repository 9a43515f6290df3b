// SPDX-License-Identifier: Apache-2.0
// Resolves and fetches a source of any kind.
#include "base/error.h"
#include "source/internal.h"

static int check_urls(const struct source_spec *spec, struct error **err)
{
    if (spec->kind == SOURCE_DEBIAN || spec->kind == SOURCE_LOCAL || spec->kind == SOURCE_IMAGE)
        return 0;
    if (url_check(spec, spec->url, err) < 0)
        return -1;
    return spec->sums ? url_check(spec, spec->sums, err) : 0;
}

void pin_new_digest(const struct source_spec *spec, const struct source_options *o,
                    const char *sha256, struct source_pin *out)
{
    out->sha256 = xstrdup(sha256);
    out->fresh = true;
    if (o->lock)
        lock_put(o->lock, &(struct lock_entry){.url = spec->url, .sha256 = (char *)sha256});
}

int source_resolve(const struct source_spec *spec, const struct source_options *o,
                   struct source_pin *out, struct error **err)
{
    *out = (struct source_pin){0};
    int result = check_urls(spec, err);
    if (result < 0)
        return error_wrap(err, "%s", spec->label);
    if (spec->kind == SOURCE_GIT)
        result = git_source_resolve(spec, o, out, err);
    else if (spec->kind == SOURCE_ARCHIVE)
        result = archive_source_resolve(spec, o, out, err);
    else if (spec->kind == SOURCE_DEBIAN)
        result = debian_source_resolve(spec, o, out, err);
    else if (spec->kind == SOURCE_IMAGE)
        result = image_source_resolve(spec, o, out, err);
    else if (spec->kind == SOURCE_LOCAL)
        result = local_source_resolve(spec, o, out, err);
    if (result < 0) {
        source_pin_free(out);
        return error_wrap(err, "%s", spec->label);
    }
    return 0;
}

static int fetch(const struct source_spec *spec, const struct source_pin *pin,
                 const struct source_options *o, const char *destination, json_t *provenance,
                 bool *unusable, struct error **err)
{
    switch (spec->kind) {
    case SOURCE_GIT:
        return git_source_fetch(spec, pin, o, destination, provenance, unusable, err);
    case SOURCE_ARCHIVE:
        return archive_source_fetch(spec, pin, o, destination, provenance, unusable, err);
    case SOURCE_DEBIAN:
        return debian_source_fetch(spec, pin, o, destination, provenance, err);
    case SOURCE_IMAGE:
        return image_source_fetch(spec, pin, o, destination, provenance, unusable, err);
    case SOURCE_LOCAL:
        return local_source_fetch(spec, pin, o, destination, provenance, err);
    }
    return -1;
}

// Removes a pin of this run that could not be used; an older pin is the user's decision.
static void unpin(const struct source_spec *spec, const struct source_pin *pin,
                  const struct source_options *o, struct error **err)
{
    cleanup_error struct error *why = NULL;
    const char *ref = spec->kind == SOURCE_GIT ? spec->ref : NULL;
    if (!pin->fresh)
        lock_hint(o->lock, spec->url, ref, err);
    else if (lock_withdraw(o->lock, spec->url, ref, &why) < 0)
        log_warning("%s", why->message);
}

static void fetch_failed(const struct source_spec *spec, const struct source_pin *pin,
                         const struct source_options *o, bool unusable, struct error **err)
{
    if (!o->lock)
        return;
    if (unusable && error_may_blame_content(*err))
        unpin(spec, pin, o, err);
    // The registry may have lost the image.
    else if (spec->kind == SOURCE_IMAGE && !o->offline && (*err)->kind != ERROR_INTERRUPT)
        lock_hint_too(o->lock, spec->url, NULL, err);
}

int source_fetch(const struct source_spec *spec, const struct source_pin *pin,
                 const struct source_options *o, const char *destination, json_t **provenance,
                 struct error **err)
{
    json_t *record = json_object();
    bool unusable = false;
    int result = check_urls(spec, err);
    if (result == 0)
        result = fetch(spec, pin, o, destination, record, &unusable, err);
    if (result < 0)
        fetch_failed(spec, pin, o, unusable, err);
    if (result < 0 || apply_patches(&spec->patches, destination, record, err) < 0) {
        json_decref(record);
        return error_wrap(err, "%s", spec->label);
    }
    if (provenance)
        *provenance = record;
    else
        json_decref(record);
    return 0;
}

void source_pin_free(struct source_pin *p)
{
    free(p->commit);
    free(p->tree);
    free(p->sha256);
    *p = (struct source_pin){0};
}
