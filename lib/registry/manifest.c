// SPDX-License-Identifier: Apache-2.0
// Manifests and indexes (OCI Distribution 1.1, "Pulling manifests" and "Pushing Manifests").
#include "registry/room.h"

#include "store/descriptor.h"

#include <string.h>
#include <strings.h>

#define ACCEPT OCI_MANIFEST ", " OCI_INDEX ", " DOCKER_MANIFEST ", " DOCKER_INDEX ", */*;q=0.1"

char *manifest_url(const struct registry *r, const char *what)
{
    return xasprintf("%s%s/manifests/%s", r->base, r->repository, what);
}

// The type alone: "application/json; charset=utf-8" without its parameters. NULL if it says
// nothing.
static char *bare_type(const char *media_type)
{
    if (!media_type)
        return NULL;
    size_t n = strcspn(media_type, "; \t");
    bool nothing = n == 0 || (n == 16 && !strncasecmp(media_type, "application/json", n)) ||
                   (n == 24 && !strncasecmp(media_type, "application/octet-stream", n)) ||
                   !strncasecmp(media_type, "text/plain", n);
    return nothing ? NULL : xstrndup(media_type, n);
}

static char *refuse(struct error **err, const char *why)
{
    error_user(err, "it is no manifest: %s", why);
    return NULL;
}

// A document that is a manifest to one reader and an index to another would have one digest and two
// contents (CVE-2021-41190), so everything that it says of itself has to agree.
static char *check_object(const json_t *m, const char *media_type, struct error **err)
{
    const json_t *own = json_object_get(m, "mediaType");
    bool is_index = json_is_array(json_object_get(m, "manifests"));
    bool is_image = json_object_get(m, "layers") || json_object_get(m, "config");
    cleanup_free char *said = bare_type(media_type);
    if (own && !json_is_string(own))
        return refuse(err, "its mediaType is not text");
    if (is_index && is_image)
        return refuse(err, "it has both manifests and layers");
    if (own && said && strcasecmp(said, json_string_value(own)) != 0)
        return refuse(err, "its mediaType is not that under which it came");
    const char *type = own ? json_string_value(own) : said;
    if (!type && is_index)
        type = OCI_INDEX;
    if (!type && is_image)
        type = OCI_MANIFEST;
    if (!type)
        return refuse(err, "it says nowhere of what type it is");
    bool says_index = strstr(type, "image.index.") || strstr(type, "manifest.list.");
    bool says_image = strstr(type, "image.manifest.") || strstr(type, "distribution.manifest.v2");
    if ((says_index && !is_index) || (says_image && !is_image))
        return refuse(err, "what it holds is not of its type");
    return xstrdup(type);
}

char *manifest_check(const char *bytes, size_t length, const char *media_type, struct error **err)
{
    json_error_t why;
    json_t *m = json_loadb(bytes, length, JSON_REJECT_DUPLICATES, &why);
    char *type = NULL;
    if (!json_is_object(m))
        refuse(err, m ? "it is no JSON object" : why.text);
    else
        type = check_object(m, media_type, err);
    json_decref(m);
    return type;
}

static bool is_digest(const char *what)
{
    return oci_digest_hex(what);
}

// What was asked for by digest has that digest; else what the registry says it has.
static int check_digest_of(const char *what, const struct response *s, const char *digest,
                           struct error **err)
{
    const char *wanted = is_digest(what) ? what : s->digest;
    // Other algorithms cannot be compared; the content is named by ours all the same.
    if (!wanted || !starts_with(wanted, "sha256:") || !strcmp(wanted + 7, digest))
        return 0;
    return error_user(err, "its digest is sha256:%s and not %.80s", digest, wanted);
}

static int get_from(struct registry *r, const char *what, struct buf *out, char **media_type,
                    char digest[static DIGEST_HEX_SIZE], struct error **err)
{
    cleanup_free char *url = manifest_url(r, what);
    cleanup_response struct response s = {0};
    const struct request q = {.method = "GET", .url = url, .accept = ACCEPT, .json = true};
    int result = http_request(r, &q, &s, err);
    if (result == 0 && s.status == 404)
        return 0;
    if (result == 0 && http_is_denied(&s) && (result = auth_denied(r, &s, err)) == 0)
        return 0;
    if (result == 0 && s.status != 200)
        result = http_refused(r, &s, err);
    if (result == 0) {
        digest_bytes(s.body.data ? s.body.data : "", s.body.len, digest);
        result = check_digest_of(what, &s, digest, err);
    }
    char *type = NULL;
    if (result == 0) {
        type = manifest_check(s.body.data ? s.body.data : "", s.body.len, s.content_type, err);
        result = type ? 0 : -1;
    }
    if (result < 0 && s.status == 200)
        registry_set_wrong(r);
    if (result < 0)
        return error_wrap(err, "reading the manifest %s of %s/%s", what, r->name, r->repository);
    buf_add(out, s.body.data, s.body.len);
    *media_type = type;
    return 1;
}

// What a mirror does not have, or has damaged, the registry itself is asked for.
int registry_get_manifest(struct registry *r, const char *what, struct buf *out, char **media_type,
                          char digest[static DIGEST_HEX_SIZE], struct error **err)
{
    for (size_t i = 0; i < r->mirror_n; i++) {
        struct registry *m = registry_mirror(r, i, is_digest(what));
        struct error *why = NULL;
        int found = m ? get_from(m, what, out, media_type, digest, &why) : 0;
        if (found > 0)
            return found;
        if (why && why->kind == ERROR_INTERRUPT) {
            *err = why;
            return -1;
        }
        error_free(why);
    }
    return get_from(r, what, out, media_type, digest, err);
}

// docker-registry reads links while others write them: who pushes at the same moment what somebody
// else pushes can be told that the digest is wrong. It was computed of these very bytes, so that
// passes.
static int put(struct registry *r, const struct request *q, struct response *s, struct error **err)
{
    static const char code[] = "\"DIGEST_INVALID\"";
    struct retry retry = retry_begin(r);
    do {
        response_free(s);
        if (http_request(r, q, s, err) < 0)
            return -1;
        s->may_pass = (s->status == 400 && s->body.len &&
                       memmem(s->body.data, s->body.len, code, sizeof code - 1)) ||
                      (s->status == 200 && !s->digest && !s->location);
    } while (retry_wait(r, &retry, s));
    return s->status == 200 && s->may_pass
               ? error_user(err, "the answer to PUT is not that of a registry")
               : 0;
}

// Whether the tag names these bytes already: 1, 0, -1. A refusal is none: the PUT says more.
static int is_there(struct registry *r, const char *tag, const char *digest, struct error **err)
{
    cleanup_free char *url = manifest_url(r, tag);
    cleanup_response struct response s = {0};
    const struct request q = {
        .method = "HEAD", .url = url, .access = ACCESS_PUSH, .accept = ACCEPT};
    if (http_request(r, &q, &s, err) < 0)
        return -1;
    return s.status == 200 && s.digest && starts_with(s.digest, "sha256:") &&
           !strcmp(s.digest + 7, digest);
}

int manifest_put(struct registry *r, const char *what, const struct manifest_bytes *m,
                 struct response *s, struct error **err)
{
    char digest[DIGEST_HEX_SIZE];
    cleanup_free char *url = manifest_url(r, what);
    const struct request q = {.method = "PUT",
                              .url = url,
                              .access = ACCESS_PUSH,
                              .content_type = m->media_type,
                              .bytes = m->bytes,
                              .length = m->length};
    if (m->length > MANIFEST_MAX)
        return error_user(err, "it has more than %zu bytes", MANIFEST_MAX);
    digest_bytes(m->bytes, m->length, digest);
    int there = is_digest(what) ? 0 : is_there(r, what, digest, err);
    if (there || put(r, &q, s, err) < 0)
        return there > 0 ? 0 : -1;
    bool taken = s->status == 201 || s->status == 200 || s->status == 202;
    r->manifest_refusal = taken ? 0 : s->status;
    if (!taken)
        return http_refused(r, s, err);
    if (s->digest && starts_with(s->digest, "sha256:") && strcmp(s->digest + 7, digest) != 0)
        return error_user(err, "the registry calls it %.80s, and it is sha256:%s", s->digest,
                          digest);
    return check_digest_of(what, s, digest, err);
}

long registry_manifest_refusal(const struct registry *r)
{
    return r->manifest_refusal;
}

int registry_put_manifest(struct registry *r, const char *what, const void *bytes, size_t length,
                          const char *media_type, char digest[static DIGEST_HEX_SIZE],
                          struct error **err)
{
    cleanup_response struct response s = {0};
    const struct manifest_bytes m = {bytes, length, media_type};
    digest_bytes(bytes, length, digest);
    if (manifest_put(r, what, &m, &s, err) < 0)
        return error_wrap(err, "pushing the manifest %s to %s/%s", what, r->name, r->repository);
    return 0;
}
