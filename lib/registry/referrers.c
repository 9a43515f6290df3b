// SPDX-License-Identifier: Apache-2.0
// What names a manifest as its subject (OCI Distribution 1.1, "Listing Referrers", "Referrers Tag
// Schema").
#include "registry/room.h"

#include "store/descriptor.h"

#include <string.h>

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
    cleanup_url struct url next = {0};
    if (url_parse(from, relative, &next, NULL) < 0 || strcmp(next.origin, origin) != 0)
        return NULL;
    return steal(next.text);
}

static bool is_descriptor(const json_t *d)
{
    uint64_t size;
    return oci_descriptor_digest(d, &size) && json_is_string(json_object_get(d, "mediaType"));
}

// ---- listing ----
struct listing {
    const char *artifact_type; // or NULL
    registry_referrer *each;
    void *context;
    size_t bytes; // so far
};

// 1: `each` ended it; 0: all were seen; -1. *index: it was one.
static int visit(struct listing *l, const char *bytes, size_t length, bool *is_index,
                 struct error **err)
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

// The pages of the API. An answer that is no index ends them: there is no such API, then.
static int visit_api(struct registry *r, const char *digest, struct listing *l, struct error **err)
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
        cleanup_response struct response s = {0};
        const struct request q = {.method = "GET", .url = url, .accept = OCI_INDEX};
        bool is_index;
        if (page == PAGES_MAX)
            return error_user(err, "there are more than %d pages of them", PAGES_MAX);
        if (http_request(r, &q, &s, err) < 0)
            return -1;
        if (s.status != 200)
            return 0;
        int result = visit(l, s.body.data, s.body.len, &is_index, err);
        if (result || !is_index)
            return result;
        free(url);
        url = link_next(s.link, s.url, r->origin);
    }
    return 0;
}

// What the fallback tag names; *out stays empty if that is nothing. Some (GitLab) take the tag for
// the digest that it looks like, and give the subject itself.
static int get_tag(struct registry *r, const char *digest, struct buf *out, struct error **err)
{
    cleanup_free char *tag = fallback_tag(digest);
    cleanup_free char *url = manifest_url(r, tag);
    cleanup_response struct response s = {0};
    const struct request q = {.method = "GET", .url = url, .accept = OCI_INDEX};
    char own[DIGEST_HEX_SIZE];
    if (http_request(r, &q, &s, err) < 0)
        return -1;
    if (s.status != 200 || !s.body.len)
        return 0;
    digest_bytes(s.body.data, s.body.len, own);
    if (strcmp(own, digest) != 0)
        buf_add(out, s.body.data, s.body.len);
    return 0;
}

static int visit_tag(struct registry *r, const char *digest, struct listing *l, struct error **err)
{
    cleanup_buf struct buf bytes = {0};
    bool is_index;
    if (get_tag(r, digest, &bytes, err) < 0)
        return -1;
    return bytes.len ? visit(l, bytes.data, bytes.len, &is_index, err) : 0;
}

int registry_each_referrer(struct registry *r, const char *digest, const char *artifact_type,
                           registry_referrer *each, void *context, struct error **err)
{
    struct listing l = {.artifact_type = artifact_type, .each = each, .context = context};
    int result = visit_api(r, digest, &l, err);
    if (!result)
        result = visit_tag(r, digest, &l, err);
    if (result < 0)
        return error_wrap(err, "listing what refers to sha256:%s in %s/%s", digest, r->name,
                          r->repository);
    return result;
}

static int collect(void *by_digest, const json_t *descriptor, struct error **err)
{
    const char *digest = json_string_value(json_object_get(descriptor, "digest"));
    return json_object_set(by_digest, digest, (json_t *)descriptor);
}

json_t *registry_referrers(struct registry *r, const char *digest, const char *artifact_type,
                           struct error **err)
{
    json_t *all = json_object(), *d; // which keeps the order
    json_t *list = registry_each_referrer(r, digest, artifact_type, collect, all, err) == 0
                       ? json_array()
                       : NULL;
    const char *name;
    json_object_foreach(all, name, d)
    {
        json_array_append(list, d);
    }
    json_decref(all);
    return list;
}

// ---- the fallback ----

static bool names(const json_t *list, const json_t *descriptor)
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

static int put_index(struct registry *r, const char *digest, json_t *list, struct error **err)
{
    cleanup_free char *tag = fallback_tag(digest);
    json_t *index =
        json_pack("{s:i, s:s, s:O}", "schemaVersion", 2, "mediaType", OCI_INDEX, "manifests", list);
    cleanup_free char *text = json_dumps(index, JSON_COMPACT);
    char own[DIGEST_HEX_SIZE];
    json_decref(index);
    if (!text)
        out_of_memory();
    return registry_put_manifest(r, tag, text, strlen(text), OCI_INDEX, own, err);
}

// The index of the tag as it is: whatever it lists stays. One that is no index is replaced.
static json_t *tag_list(struct registry *r, const char *digest, struct error **err)
{
    cleanup_buf struct buf bytes = {0};
    if (get_tag(r, digest, &bytes, err) < 0)
        return NULL;
    json_t *index =
        bytes.len ? json_loadb(bytes.data, bytes.len, JSON_REJECT_DUPLICATES, NULL) : NULL;
    json_t *found = json_object_get(index, "manifests");
    json_t *list = json_is_array(found) ? json_incref(found) : json_array();
    json_decref(index);
    return list;
}

// One that two clients change at once keeps the change of the last only, so it is looked at again.
static int add_to_tag(struct registry *r, const char *digest, const json_t *descriptor,
                      struct error **err)
{
    for (int i = 0; i < UPDATE_TRIES; i++) {
        json_t *list = tag_list(r, digest, err);
        bool there = names(list, descriptor);
        int result = list ? 0 : -1;
        if (result == 0 && !there) {
            json_array_append(list, (json_t *)descriptor);
            result = put_index(r, digest, list, err);
        }
        json_decref(list);
        if (result < 0 || there)
            return result;
        // Seen again in the next round.
    }
    return error_user(err,
                      "the list of referrers does not have it after %d tries: the registry does "
                      "not give back what it took, or others change the list all the time",
                      UPDATE_TRIES);
}

int registry_put_referrer(struct registry *r, const struct registry_refer *m, struct error **err)
{
    cleanup_response struct response s = {0};
    const struct manifest_bytes bytes = {m->text, strlen(m->text), m->media_type};
    const char *what = json_string_value(json_object_get(m->descriptor, "digest"));
    int result = is_descriptor(m->descriptor) ? manifest_put(r, what, &bytes, &s, err)
                                              : error_user(err, "it is no descriptor");
    if (result == 0 && !s.subject)
        result = add_to_tag(r, m->subject, m->descriptor, err);
    if (result < 0)
        error_wrap(err, "adding a referrer of sha256:%s in %s/%s", m->subject, r->name,
                   r->repository);
    return result;
}
