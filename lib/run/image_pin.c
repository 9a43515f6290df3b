// SPDX-License-Identifier: Apache-2.0
#include "run/image_pin.h"

#include <string.h>

struct registry *image_registry(const struct reference *name, struct error **err)
{
    const char *ours = getenv("ARTEFACT_REGISTRY"), *user = getenv("ARTEFACT_REGISTRY_USERNAME");
    struct registry_options o = {0};
    if (ours && user && *user && !strcmp(ours, name->registry)) {
        o.user = user;
        o.password = getenv("ARTEFACT_REGISTRY_PASSWORD");
    }
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

static int ask(const struct reference *name, char digest[static DIGEST_HEX_SIZE],
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

static int look_up(struct build *b, const struct reference *name, const char *text, bool resolve,
                   char digest[static DIGEST_HEX_SIZE], struct error **err)
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
    if (ask(name, digest, err) < 0)
        return -1;
    lock_put(b->lock, &(struct lock_entry){.url = url, .sha256 = digest});
    return 1;
}

int image_pin(struct build *b, const char *name, bool resolve, char digest[static DIGEST_HEX_SIZE],
              struct error **err)
{
    struct reference r;
    if (reference_parse(name, &r, err) < 0)
        return -1;
    if (!r.tag && !r.digest)
        r.tag = xstrdup("latest");
    cleanup_free char *text = reference_text(&r);
    int found = look_up(b, &r, text, resolve, digest, err);
    reference_free(&r);
    return found < 0 ? error_wrap(err, "%s", name) : found;
}

int identify_image(struct build *b, struct node *node, bool resolve, struct error **err)
{
    struct job *job = job_of(node);
    int found = image_pin(b, job->image_name, resolve, job->image_digest, err);
    if (found <= 0)
        return found;
    // The content, whatever the name: the same image elsewhere makes the same results.
    buf_printf(&node->identity, "format %s\nimage sha256:%s\narchitecture %s\n", RUN_FORMAT,
               job->image_digest, job->target->name);
    node->identified = true;
    return 0;
}
