// SPDX-License-Identifier: Apache-2.0
// Resolves what a node is made of, if names do not say it: packages and images.
//
// Packages of builders and root file systems are resolved to a list of files with their digests,
// since names say nothing about content; the list is part of the key. Names of images are resolved
// to digests; a tag that moves changes nothing until its line in versions.lock is removed.
#include "run/internal.h"

#include "base/error.h"
#include "share/share.h"

#include <string.h>

// ---- packages ----

struct source_options source_options(struct build *b)
{
    return (struct source_options){.store = b->store,
                                   .lock = b->lock,
                                   .debian = b->options.debian,
                                   .choices = b->options.choices,
                                   .output = b->options.output,
                                   .offline = b->options.offline,
                                   .locked = b->options.locked,
                                   .mirrors = b->run->mirrors};
}

struct packages_request packages_request_of(const struct node *node)
{
    const struct job *job = job_of(node);
    return (struct packages_request){.kind = node->kind == NODE_BUILDER ? PACKAGES_BUILDER
                                                                        : PACKAGES_ROOTFS,
                                     .distribution = &job->distribution,
                                     .arch = job->target,
                                     .names = &job->packages,
                                     .same = &job->same};
}

int identify_packages(struct build *b, struct node *node, bool resolve, struct error **err)
{
    struct job *job = job_of(node);
    const struct source_options o = source_options(b);
    const struct packages_request r = packages_request_of(node);
    int known = resolve ? packages_resolve(&r, &o, job->package_list, err)
                        : packages_known(&r, &o, job->package_list, err);
    if (known < 0)
        return error_wrap(err, "%s", job->label);
    if (!resolve && !known)
        return 0;
    buf_printf(&node->identity, "packages sha256:%s\n", job->package_list);
    node->identified = true;
    return 0;
}

int open_packages(struct build *b, const struct node *node, struct package_set *out,
                  struct error **err)
{
    const struct source_options o = source_options(b);
    const struct packages_request r = packages_request_of(node);
    return packages_open(&r, &o, job_of(node)->package_list, out, err);
}

// ---- images: names -> digests, and who signed them ----

struct registry *image_registry(const struct reference *name, struct error **err)
{
    const char *ours = getenv("ARTEFACT_REGISTRY");
    struct registry_options o = {0};
    if (ours && !strcmp(ours, name->registry))
        registry_login(&o.user, &o.password);
    return registry_open(name, &o, err);
}

char *image_pinned_name(const char *name, const char *digest, struct error **err)
{
    struct reference r;
    if (reference_parse(name, &r, err) < 0)
        return NULL;
    char *out = xasprintf("%s/%s@sha256:%s", r.registry, r.repository, digest);
    reference_free(&r);
    return out;
}

static int query_registry(const struct reference *name, char digest[static DIGEST_HEX_SIZE],
                          struct error **err)
{
    cleanup_buf struct buf text = {0};
    cleanup_free char *type = NULL;
    struct registry *r = image_registry(name, err);
    int found =
        r ? registry_get_manifest(r, name->tag ? name->tag : "latest", &text, &type, digest, err)
          : -1;
    if (r)
        registry_close(r);
    if (found == 0)
        error_user(err, "the registry has no such tag");
    return found > 0 ? 1 : -1;
}

static int resolve_image(struct build *b, const struct reference *name, const char *text,
                         bool resolve, char digest[static DIGEST_HEX_SIZE], bool *fresh,
                         struct error **err)
{
    if (name->digest) {
        memcpy(digest, name->digest + strlen("sha256:"), DIGEST_HEX_SIZE);
        return 1;
    }
    cleanup_free char *url = xasprintf("docker://%s", text);
    const struct lock_entry *known = lock_find(b->lock, url, NULL);
    if (known) {
        memcpy(digest, known->sha256, DIGEST_HEX_SIZE);
        return 1;
    }
    if (!resolve)
        return 0;
    if (b->options.locked) {
        error_user(err, "it is not in %s, and --locked allows nothing else", b->lock->path);
        return error_hint(err, "run once without --locked, look at what was added, and commit it");
    }
    if (b->options.offline) {
        error_user(err, "it is not in %s, and --offline forbids to ask", b->lock->path);
        return error_hint(err, "run `kbuild fetch` once with the network");
    }
    if (query_registry(name, digest, err) < 0)
        return -1;
    *fresh = true;
    lock_put(b->lock, &(struct lock_entry){.url = url, .sha256 = digest});
    return 1;
}

int image_pin(struct build *b, const char *name, bool resolve, char digest[static DIGEST_HEX_SIZE],
              bool *fresh, struct error **err)
{
    struct reference r;
    if (reference_parse(name, &r, err) < 0)
        return -1;
    if (!r.tag && !r.digest)
        r.tag = xstrdup("latest");
    cleanup_free char *text = reference_text(&r);
    int found = resolve_image(b, &r, text, resolve, digest, fresh, err);
    reference_free(&r);
    return found < 0 ? error_wrap(err, "%s", name) : found;
}

void image_unpin(struct build *b, const struct job *job, const char *name, bool unusable,
                 struct error **err)
{
    struct reference r;
    cleanup_error struct error *why = NULL;
    if ((*err)->kind == ERROR_INTERRUPT || reference_parse(name, &r, &why) < 0)
        return;
    if (!r.tag && !r.digest)
        r.tag = xstrdup("latest");
    cleanup_free char *text = reference_text(&r);
    cleanup_free char *url = xasprintf("docker://%s", text);
    reference_free(&r);
    if (!unusable || !job->pin_fresh)
        lock_hint_append(b->lock, url, NULL, err);
    else if (lock_remove(b->lock, url, NULL, &why) < 0)
        log_warning("%s", why->message);
}

// Gets the entry of the image, if kbuild pushed it.
static int get_image_entry(const struct job *job, struct registry *registry, struct entry *e,
                           struct error **err)
{
    cleanup_free char *what = xasprintf("sha256:%s", job->image_digest);
    cleanup_free char *type = NULL;
    int found = registry_get_manifest(registry, what, &e->text, &type, e->digest, err);
    if (found > 0)
        e->manifest = json_loadb(e->text.data, e->text.len, JSON_REJECT_DUPLICATES, NULL);
    e->size = e->text.len;
    return found < 0 ? -1 : 0;
}

static bool take_tree(const struct entry *e, char tree[static DIGEST_HEX_SIZE])
{
    const json_t *list = json_object_get(e->record, "outputs");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *o = json_array_get(list, i);
        const char *name = json_string_value(json_object_get(o, "name"));
        const char *digest = json_string_value(json_object_get(o, "digest"));
        if (!name || !digest || strcmp(name, "root") != 0 || !digest_is_hex(digest))
            continue;
        memcpy(tree, digest, DIGEST_HEX_SIZE);
        return true;
    }
    return false;
}

int image_check_signature(struct build *b, const struct node *node, json_t **mark,
                          char tree[static DIGEST_HEX_SIZE], struct error **err)
{
    const struct job *job = job_of(node);
    if (!b->trusted || reference_is_pinned(job->image_name))
        return 0;
    struct reference name;
    struct entry e = {0};
    if (reference_parse(job->image_name, &name, err) < 0)
        return -1;
    struct registry *registry = image_registry(&name, err);
    int result = registry ? get_image_entry(job, registry, &e, err) : -1;
    if (!result)
        result = entry_signed_by(b->trusted, registry, &e, err);
    if (result > 0 && take_tree(&e, tree)) {
        *mark = json_incref(e.mark);
    } else if (result >= 0) {
        error_user(err, "no key of KBUILD_TRUSTED_KEYS signed the image %s", job->image_name);
        result = error_hint(err, "name it by its digest: %s/%s@sha256:%s", name.registry,
                            name.repository, job->image_digest);
    }
    entry_free(&e);
    if (registry)
        registry_close(registry);
    reference_free(&name);
    return result;
}

int identify_image(struct build *b, struct node *node, bool resolve, struct error **err)
{
    struct job *job = job_of(node);
    int found = image_pin(b, job->image_name, resolve, job->image_digest, &job->pin_fresh, err);
    if (found <= 0)
        return found;
    // The content and not the name: the same image elsewhere gives the same results.
    buf_printf(&node->identity, "format %s\nimage sha256:%s\narchitecture %s\n", RUN_FORMAT,
               job->image_digest, job->target->name);
    node->identified = true;
    return 0;
}
