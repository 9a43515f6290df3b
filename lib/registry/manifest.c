// SPDX-License-Identifier: Apache-2.0
// Pulls, checks and pushes manifests and indexes (OCI Distribution 1.1, "Pulling manifests" and
// "Pushing Manifests"), and reads and adds referrers.
#include "registry/internal.h"

#include "store/store.h"

#include <string.h>
#include <strings.h>

#define ACCEPT OCI_MANIFEST ", " OCI_INDEX ", " DOCKER_MANIFEST ", " DOCKER_INDEX ", */*;q=0.1"

struct manifest_bytes {
    const void *bytes;
    size_t length;
    const char *media_type;
};

static char *manifest_url(const struct registry *r, const char *what)
{
    return xasprintf("%s%s/manifests/%s", r->base, r->repository, what);
}

// The media type without parameters ("; charset=utf-8"). NULL if it is empty.
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

static char *refuse_manifest(struct error **err, const char *why)
{
    error_user(err, "it is no manifest: %s", why);
    return NULL;
}

// A document that is a manifest to one reader and an index to another would have one digest and two
// contents (CVE-2021-41190), so all its type fields must agree.
static char *check_manifest_object(const json_t *m, const char *media_type, struct error **err)
{
    const json_t *own = json_object_get(m, "mediaType");
    bool is_index = json_is_array(json_object_get(m, "manifests"));
    bool is_image = json_object_get(m, "layers") || json_object_get(m, "config");
    cleanup_free char *said = bare_type(media_type);
    if (own && !json_is_string(own))
        return refuse_manifest(err, "its mediaType is not text");
    if (is_index && is_image)
        return refuse_manifest(err, "it has both manifests and layers");
    if (own && said && strcasecmp(said, json_string_value(own)) != 0)
        return refuse_manifest(err, "its mediaType is not that under which it came");
    const char *type = own ? json_string_value(own) : said;
    if (!type && is_index)
        type = OCI_INDEX;
    if (!type && is_image)
        type = OCI_MANIFEST;
    if (!type)
        return refuse_manifest(err, "it says nowhere of what type it is");
    bool says_index = strstr(type, "image.index.") || strstr(type, "manifest.list.");
    bool says_image = strstr(type, "image.manifest.") || strstr(type, "distribution.manifest.v2");
    if ((says_index && !is_index) || (says_image && !is_image))
        return refuse_manifest(err, "what it holds is not of its type");
    return xstrdup(type);
}

char *manifest_check(const char *bytes, size_t length, const char *media_type, struct error **err)
{
    json_error_t why;
    json_t *m = json_loadb(bytes, length, JSON_REJECT_DUPLICATES, &why);
    char *type = NULL;
    if (!json_is_object(m))
        refuse_manifest(err, m ? "it is no JSON object" : why.text);
    else
        type = check_manifest_object(m, media_type, err);
    json_decref(m);
    return type;
}

static bool is_digest(const char *what)
{
    return oci_digest_hex(what);
}

// The digest must be the requested one; for a tag, the one that the registry states.
static int check_manifest_digest(const char *what, const struct registry_response *s,
                                 const char *digest, struct error **err)
{
    const char *wanted = is_digest(what) ? what : s->digest;
    // Digests of other algorithms are not compared; SHA-256 names the content in any case.
    if (!wanted || !starts_with(wanted, "sha256:") || !strcmp(wanted + 7, digest))
        return 0;
    return error_user(err, "its digest is sha256:%s and not %.80s", digest, wanted);
}

static int get_manifest_from(struct registry *r, const char *what, struct buf *out,
                             char **media_type, char digest[static DIGEST_HEX_SIZE],
                             struct error **err)
{
    cleanup_free char *url = manifest_url(r, what);
    cleanup_registry_response struct registry_response s = {0};
    const struct registry_request q = {.method = "GET", .url = url, .accept = ACCEPT, .json = true};
    int result = registry_send(r, &q, &s, err);
    if (result == 0 && s.status == 404)
        return 0;
    if (result == 0 && response_is_denied(&s) && (result = auth_denied(r, &s, err)) == 0)
        return 0;
    if (result == 0 && s.status != 200)
        result = registry_refused(r, &s, err);
    if (result == 0) {
        digest_bytes(s.body.data ? s.body.data : "", s.body.len, digest);
        result = check_manifest_digest(what, &s, digest, err);
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

// If a mirror lacks the manifest, or has it damaged, the registry itself is used.
int registry_get_manifest(struct registry *r, const char *what, struct buf *out, char **media_type,
                          char digest[static DIGEST_HEX_SIZE], struct error **err)
{
    for (size_t i = 0; i < r->mirror_n; i++) {
        struct registry *m = registry_mirror(r, i, is_digest(what));
        struct error *why = NULL;
        int found = m ? get_manifest_from(m, what, out, media_type, digest, &why) : 0;
        if (found > 0)
            return found;
        if (why && why->kind == ERROR_INTERRUPT) {
            *err = why;
            return -1;
        }
        error_free(why);
    }
    return get_manifest_from(r, what, out, media_type, digest, err);
}

// docker-registry reads links while others write them: with two pushes of the same content at the
// same moment it may report a wrong digest. The digest was computed from these bytes, so the
// failure is transient.
static int put_manifest(struct registry *r, const struct registry_request *q,
                        struct registry_response *s, struct error **err)
{
    static const char code[] = "\"DIGEST_INVALID\"";
    struct retry retry = retry_begin(r);
    do {
        registry_response_free(s);
        if (registry_send(r, q, s, err) < 0)
            return -1;
        s->outcome.transient = (s->status == 400 && s->body.len &&
                                memmem(s->body.data, s->body.len, code, sizeof code - 1)) ||
                               (s->status == 200 && !s->digest && !s->location);
    } while (retry_wait(r, &retry, s));
    return s->status == 200 && s->outcome.transient
               ? error_user(err, "the answer to PUT is not that of a registry")
               : 0;
}

// Whether the tag names these bytes already: 1, 0, -1. A refusal counts as 0: the PUT has the
// better error.
static int tag_names_bytes(struct registry *r, const char *tag, const char *digest,
                           struct error **err)
{
    cleanup_free char *url = manifest_url(r, tag);
    cleanup_registry_response struct registry_response s = {0};
    const struct registry_request q = {
        .method = "HEAD", .url = url, .access = ACCESS_PUSH, .accept = ACCEPT};
    if (registry_send(r, &q, &s, err) < 0)
        return -1;
    return s.status == 200 && s.digest && starts_with(s.digest, "sha256:") &&
           !strcmp(s.digest + 7, digest);
}

// PUT under a tag or a digest, whatever is there.
static int manifest_replace(struct registry *r, const char *what, const struct manifest_bytes *m,
                            struct registry_response *s, struct error **err)
{
    char digest[DIGEST_HEX_SIZE];
    cleanup_free char *url = manifest_url(r, what);
    const struct registry_request q = {.method = "PUT",
                                       .url = url,
                                       .access = ACCESS_PUSH,
                                       .content_type = m->media_type,
                                       .bytes = m->bytes,
                                       .length = m->length};
    if (m->length > OCI_MANIFEST_MAX)
        return error_user(err, "it has more than %zu bytes", OCI_MANIFEST_MAX);
    digest_bytes(m->bytes, m->length, digest);
    if (put_manifest(r, &q, s, err) < 0)
        return -1;
    bool taken = s->status == 201 || s->status == 200 || s->status == 202;
    r->manifest_refusal = taken ? 0 : s->status;
    if (!taken)
        return registry_refused(r, s, err);
    if (s->digest && starts_with(s->digest, "sha256:") && strcmp(s->digest + 7, digest) != 0) {
        error_user(err, "what was sent has the digest sha256:%s, and the registry answers %.80s",
                   digest, s->digest);
        return error_hint(err, "the registry, or a proxy in front of it, changes manifests: push "
                               "to another one");
    }
    return check_manifest_digest(what, s, digest, err);
}

// The same, unless a tag names these bytes already; then *s is empty.
static int manifest_put(struct registry *r, const char *what, const struct manifest_bytes *m,
                        struct registry_response *s, struct error **err)
{
    char digest[DIGEST_HEX_SIZE];
    digest_bytes(m->bytes, m->length, digest);
    int there = is_digest(what) ? 0 : tag_names_bytes(r, what, digest, err);
    return there ? (there > 0 ? 0 : -1) : manifest_replace(r, what, m, s, err);
}

long registry_manifest_refusal(const struct registry *r)
{
    return r->manifest_refusal;
}

int registry_put_manifest(struct registry *r, const char *what, const void *bytes, size_t length,
                          const char *media_type, char digest[static DIGEST_HEX_SIZE],
                          struct error **err)
{
    cleanup_registry_response struct registry_response s = {0};
    const struct manifest_bytes m = {bytes, length, media_type};
    digest_bytes(bytes, length, digest);
    if (manifest_put(r, what, &m, &s, err) < 0)
        return error_wrap(err, "pushing the manifest %s to %s/%s", what, r->name, r->repository);
    return 0;
}

// ---- referrers ----
// Manifests that name a manifest as their subject (OCI Distribution 1.1, "Listing Referrers",
// "Referrers Tag Schema").

#define PAGES_MAX 200
#define BYTES_MAX ((size_t)16 << 20)
#define UPDATE_TRIES 5

static char *fallback_tag(const char *digest)
{
    return xasprintf("sha256-%s", digest);
}

char *link_next(const char *link, const char *from, const char *origin)
{
    const char *open = link ? strchr(link, '<') : NULL;
    const char *close = open ? strchr(open, '>') : NULL;
    if (!close || (!strstr(close, "rel=\"next\"") && !strstr(close, "rel=next")))
        return NULL;
    cleanup_free char *relative = xstrndup(open + 1, (size_t)(close - open - 1));
    cleanup_http_url struct http_url next = {0};
    if (http_url_parse(from, relative, &next, NULL) < 0 || strcmp(next.origin, origin) != 0)
        return NULL;
    return steal(next.text);
}

static bool is_descriptor(const json_t *d)
{
    uint64_t size;
    return oci_descriptor_digest(d, &size) && json_is_string(json_object_get(d, "mediaType"));
}

// ---- listing ----
struct referrer_listing {
    const char *artifact_type; // or NULL
    registry_visit_referrer *each;
    void *context;
    size_t bytes; // so far
};

// 1: `each` ended it; 0: all were visited; -1. *is_index: the bytes are an index.
static int visit_referrers(struct referrer_listing *l, const char *bytes, size_t length,
                           bool *is_index, struct error **err)
{
    json_t *index = length ? json_loadb(bytes, length, JSON_REJECT_DUPLICATES, NULL) : NULL;
    const json_t *list = json_object_get(index, "manifests"), *d;
    *is_index = json_is_array(list);
    l->bytes += length;
    int result = l->bytes <= BYTES_MAX
                     ? 0
                     : error_user(err, "there are more than %zu bytes of them", BYTES_MAX);
    for (size_t i = 0; !result && (d = json_array_get(list, i)); i++) {
        // The API need not filter.
        const char *type = json_string_value(json_object_get(d, "artifactType"));
        if (is_descriptor(d) && (!l->artifact_type || (type && !strcmp(type, l->artifact_type))))
            result = l->each(l->context, d, err);
    }
    json_decref(index);
    return result;
}

// The pages of the API. An answer that is no index means that there is no such API.
static int visit_referrers_api(struct registry *r, const char *digest, struct referrer_listing *l,
                               struct error **err)
{
    cleanup_free char *query = NULL;
    if (l->artifact_type) {
        char *escaped = curl_easy_escape(NULL, l->artifact_type, 0);
        query = xasprintf("?artifactType=%s", escaped ? escaped : "");
        curl_free(escaped);
    }
    cleanup_free char *url =
        xasprintf("%s%s/referrers/sha256:%s%s", r->base, r->repository, digest, query ? query : "");
    for (int page = 0; url; page++) {
        cleanup_registry_response struct registry_response s = {0};
        const struct registry_request q = {.method = "GET", .url = url, .accept = OCI_INDEX};
        bool is_index;
        if (page == PAGES_MAX)
            return error_user(err, "there are more than %d pages of them", PAGES_MAX);
        if (registry_send(r, &q, &s, err) < 0)
            return -1;
        if (s.status != 200)
            return 0;
        int result = visit_referrers(l, s.body.data, s.body.len, &is_index, err);
        if (result || !is_index)
            return result;
        free(url);
        url = link_next(s.link, s.url, r->origin);
    }
    return 0;
}

// The index of the fallback tag; *out stays empty if there is none. Some registries (GitLab) read
// the tag as a digest, and return the subject itself.
static int get_fallback_index(struct registry *r, const char *digest, struct buf *out,
                              struct error **err)
{
    cleanup_free char *tag = fallback_tag(digest);
    cleanup_free char *url = manifest_url(r, tag);
    cleanup_registry_response struct registry_response s = {0};
    const struct registry_request q = {.method = "GET", .url = url, .accept = OCI_INDEX};
    char own[DIGEST_HEX_SIZE];
    if (registry_send(r, &q, &s, err) < 0)
        return -1;
    if (s.status != 200 || !s.body.len)
        return 0;
    digest_bytes(s.body.data, s.body.len, own);
    if (strcmp(own, digest) != 0)
        buf_add(out, s.body.data, s.body.len);
    return 0;
}

static int visit_referrers_tag(struct registry *r, const char *digest, struct referrer_listing *l,
                               struct error **err)
{
    cleanup_buf struct buf bytes = {0};
    bool is_index;
    if (get_fallback_index(r, digest, &bytes, err) < 0)
        return -1;
    return bytes.len ? visit_referrers(l, bytes.data, bytes.len, &is_index, err) : 0;
}

int registry_each_referrer(struct registry *r, const char *digest, const char *artifact_type,
                           registry_visit_referrer *each, void *context, struct error **err)
{
    struct referrer_listing l = {.artifact_type = artifact_type, .each = each, .context = context};
    int result = visit_referrers_api(r, digest, &l, err);
    if (!result)
        result = visit_referrers_tag(r, digest, &l, err);
    if (result < 0)
        return error_wrap(err, "listing what refers to sha256:%s in %s/%s", digest, r->name,
                          r->repository);
    return result;
}

// ---- the fallback ----

static bool list_has_descriptor(const json_t *list, const json_t *descriptor)
{
    const char *wanted = json_string_value(json_object_get(descriptor, "digest"));
    size_t i;
    const json_t *d;
    json_array_foreach(list, i, d)
    {
        const char *digest = json_string_value(json_object_get(d, "digest"));
        if (digest && wanted && !strcmp(digest, wanted))
            return true;
    }
    return false;
}

// The index was read just now, so the tag is not asked for again.
static int put_fallback_index(struct registry *r, const char *digest, json_t *list,
                              struct error **err)
{
    cleanup_free char *tag = fallback_tag(digest);
    json_auto_t *index =
        json_pack("{s:i, s:s, s:O}", "schemaVersion", 2, "mediaType", OCI_INDEX, "manifests", list);
    cleanup_free char *text = json_dumps(index, JSON_COMPACT);
    cleanup_registry_response struct registry_response s = {0};
    if (!text)
        out_of_memory();
    const struct manifest_bytes m = {text, strlen(text), OCI_INDEX};
    return manifest_replace(r, tag, &m, &s, err) < 0 ? error_wrap(err, "pushing the index %s", tag)
                                                     : 0;
}

// The current index of the tag: its entries are kept. Anything else is replaced.
static json_t *get_fallback_list(struct registry *r, const char *digest, struct error **err)
{
    cleanup_buf struct buf bytes = {0};
    if (get_fallback_index(r, digest, &bytes, err) < 0)
        return NULL;
    json_t *index =
        bytes.len ? json_loadb(bytes.data, bytes.len, JSON_REJECT_DUPLICATES, NULL) : NULL;
    json_t *found = json_object_get(index, "manifests");
    json_t *list = json_is_array(found) ? json_incref(found) : json_array();
    json_decref(index);
    return list;
}

// Adds the descriptors that the list lacks. How many they were.
static size_t add_missing(json_t *list, const json_t *descriptors)
{
    size_t i, added = 0;
    json_t *d;
    json_array_foreach(descriptors, i, d)
    {
        if (list_has_descriptor(list, d))
            continue;
        json_array_append(list, d);
        added++;
    }
    return added;
}

// If two clients change the index at once, only the last change is kept, so it is read again.
static int add_to_fallback_tag(struct registry *r, const char *digest, const json_t *descriptors,
                               struct error **err)
{
    for (int i = 0; i < UPDATE_TRIES; i++) {
        json_auto_t *list = get_fallback_list(r, digest, err);
        if (!list)
            return -1;
        if (!add_missing(list, descriptors))
            return 0;
        if (put_fallback_index(r, digest, list, err) < 0)
            return -1;
        // Checked in the next round.
    }
    return error_user(err,
                      "the list of referrers does not have it after %d tries: the registry does "
                      "not give back what it took, or others change the list all the time",
                      UPDATE_TRIES);
}

// Adds to `unlisted` the descriptors that the registry does not list by itself.
static int put_referrers(struct registry *r, const struct registry_referrer *referrers,
                         size_t count, json_t *unlisted, struct error **err)
{
    for (size_t i = 0; i < count; i++) {
        const struct registry_referrer *f = &referrers[i];
        cleanup_registry_response struct registry_response s = {0};
        const struct manifest_bytes bytes = {f->text, strlen(f->text), f->media_type};
        const char *what = json_string_value(json_object_get(f->descriptor, "digest"));
        if (!is_descriptor(f->descriptor))
            return error_user(err, "it is no descriptor");
        if (manifest_put(r, what, &bytes, &s, err) < 0)
            return -1;
        if (!s.subject)
            json_array_append(unlisted, (json_t *)f->descriptor);
    }
    return 0;
}

int registry_put_referrers(struct registry *r, const char *subject,
                           const struct registry_referrer *referrers, size_t count,
                           struct error **err)
{
    json_auto_t *unlisted = json_array();
    int result = put_referrers(r, referrers, count, unlisted, err);
    if (result == 0 && json_array_size(unlisted))
        result = add_to_fallback_tag(r, subject, unlisted, err);
    if (result < 0)
        error_wrap(err, "adding a referrer of sha256:%s in %s/%s", subject, r->name, r->repository);
    return result;
}
