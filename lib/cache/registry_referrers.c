// SPDX-License-Identifier: Apache-2.0
// What names a manifest as its subject (OCI Distribution 1.1, "Listing Referrers", "Referrers Tag
// Schema").
#include "cache/registry_room.h"

#include <string.h>

#define INDEX "application/vnd.oci.image.index.v1+json"
#define PAGES_MAX 100
#define UPDATE_TRIES 5

static char *fallback_tag(const char *digest)
{
    return xasprintf("sha256-%s", digest);
}

// <https://...>; rel="next" (RFC 8288); to be freed, or NULL.
static char *next_page(const struct registry *r, const struct response *s)
{
    const char *open = s->link ? strchr(s->link, '<') : NULL;
    const char *close = open ? strchr(open, '>') : NULL;
    if (!close || (!strstr(close, "rel=\"next\"") && !strstr(close, "rel=next")))
        return NULL;
    cleanup_free char *relative = xstrndup(open + 1, (size_t)(close - open - 1));
    cleanup_url struct url next = {0};
    if (url_parse(s->url, relative, &next, NULL) < 0 || strcmp(next.origin, r->origin) != 0)
        return NULL;
    return steal(next.text);
}

static int take_manifests(const char *bytes, size_t length, json_t *into, struct error **err)
{
    json_t *index = length ? json_loadb(bytes, length, JSON_REJECT_DUPLICATES, NULL) : NULL;
    json_t *found = json_object_get(index, "manifests");
    int result = json_is_array(found) ? json_array_extend(into, found)
                                      : error_user(err, "the answer is no index");
    json_decref(index);
    return result;
}

// 1: there is such an API; 0: there is none; -1.
static int ask_api(struct registry *r, const char *digest, const char *artifact_type, json_t *into,
                   struct error **err)
{
    cleanup_free char *query = NULL;
    if (artifact_type) {
        char *escaped = curl_easy_escape(NULL, artifact_type, 0);
        query = xasprintf("?artifactType=%s", escaped ? escaped : "");
        curl_free(escaped);
    }
    cleanup_free char *url =
        xasprintf("%s%s/referrers/sha256:%s%s", r->base, r->repository, digest, query ? query : "");
    for (int page = 0; url; page++) {
        cleanup_response struct response s = {0};
        const struct request q = {.method = "GET", .url = url, .accept = INDEX};
        if (page == PAGES_MAX)
            return error_user(err, "there are more than %d pages of them", PAGES_MAX);
        if (http_request(r, &q, &s, err) < 0)
            return -1;
        if (page == 0 && (s.status == 404 || s.status == 405 || s.status == 400))
            return 0;
        if (s.status != 200)
            return http_refused(r, &s, err);
        if (take_manifests(s.body.data, s.body.len, into, err) < 0)
            return -1;
        free(url);
        url = next_page(r, &s);
    }
    return 1;
}

// The index under the fallback tag; an empty array if there is none.
static int ask_tag(struct registry *r, const char *digest, json_t *into, struct error **err)
{
    cleanup_free char *tag = fallback_tag(digest);
    cleanup_free char *type = NULL;
    cleanup_buf struct buf bytes = {0};
    char own[DIGEST_HEX_SIZE];
    int found = registry_get_manifest(r, tag, &bytes, &type, own, err);
    return found <= 0 ? found : take_manifests(bytes.data, bytes.len, into, err);
}

static bool is_descriptor(const json_t *d)
{
    const char *digest = json_string_value(json_object_get(d, "digest"));
    return digest && starts_with(digest, "sha256:") && digest_is_hex(digest + 7) &&
           json_is_string(json_object_get(d, "mediaType")) &&
           json_is_integer(json_object_get(d, "size"));
}

json_t *registry_referrers(struct registry *r, const char *digest, const char *artifact_type,
                           struct error **err)
{
    json_t *all = json_array(), *out = json_array();
    int api = ask_api(r, digest, artifact_type, all, err);
    if (api < 0 || (api == 0 && ask_tag(r, digest, all, err) < 0)) {
        error_wrap(err, "listing what refers to sha256:%s in %s/%s", digest, r->name,
                   r->repository);
        json_decref(all);
        json_decref(out);
        return NULL;
    }
    size_t i;
    json_t *d;
    json_array_foreach(all, i, d)
    {
        // The API need not filter.
        const char *type = json_string_value(json_object_get(d, "artifactType"));
        if (is_descriptor(d) && (!artifact_type || (type && !strcmp(type, artifact_type))))
            json_array_append(out, d);
    }
    json_decref(all);
    return out;
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
        json_pack("{s:i, s:s, s:O}", "schemaVersion", 2, "mediaType", INDEX, "manifests", list);
    cleanup_free char *text = json_dumps(index, JSON_COMPACT);
    char own[DIGEST_HEX_SIZE];
    json_decref(index);
    if (!text)
        out_of_memory();
    return registry_put_manifest(r, tag, text, strlen(text), INDEX, own, err);
}

// One that two clients change at once keeps the change of the last only, so it is looked at again.
static int add_to_tag(struct registry *r, const char *digest, const json_t *descriptor,
                      struct error **err)
{
    for (int i = 0; i < UPDATE_TRIES; i++) {
        json_t *list = json_array();
        int result = ask_tag(r, digest, list, err);
        bool there = result == 0 && names(list, descriptor);
        if (result == 0 && !there) {
            json_array_append(list, (json_t *)descriptor);
            result = put_index(r, digest, list, err);
        }
        json_decref(list);
        if (result < 0 || there)
            return result;
        // Seen again in the next round.
    }
    return error_user(err, "others change the list of referrers at the same time");
}

int registry_add_referrer(struct registry *r, const char *subject_digest, const json_t *descriptor,
                          struct error **err)
{
    json_t *unused = json_array();
    int api = is_descriptor(descriptor) ? ask_api(r, subject_digest, NULL, unused, err)
                                        : error_user(err, "it is no descriptor");
    json_decref(unused);
    int result = api == 0 ? add_to_tag(r, subject_digest, descriptor, err) : api < 0 ? -1 : 0;
    if (result < 0)
        error_wrap(err, "adding a referrer of sha256:%s in %s/%s", subject_digest, r->name,
                   r->repository);
    return result;
}
