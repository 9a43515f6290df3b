// SPDX-License-Identifier: Apache-2.0
// Resolves requests for distribution packages, and keeps the results.
#include "source/packages.h"

#include "base/error.h"
#include "source/internal.h"

#include <string.h>

static const char *const kind_names[] = {"builder", "rootfs", "package", "source"};

void package_set_free(struct package_set *set)
{
    for (size_t i = 0; i < set->n; i++) {
        struct package *p = &set->items[i];
        free(p->of);
        free(p->name);
        free(p->version);
        free(p->architecture);
        free(p->file);
        free(p->uri);
        free(p->licence);
    }
    free(set->items);
    free(set->chosen);
    *set = (struct package_set){0};
}

// ---- the list ----

static void print_list(const struct package_set *set, struct buf *out)
{
    cleanup_strlist struct strlist lines = {0};
    for (size_t i = 0; i < set->n; i++) {
        const struct package *p = &set->items[i];
        if (set->chosen)
            strlist_addf(&lines, "file %s %s", p->file, p->sha256);
        else
            strlist_addf(&lines, "package %s %s %s %s %s", p->of, p->name, p->version,
                         p->architecture, p->sha256);
    }
    strlist_sort(&lines);
    buf_puts(out, "kbuild packages 1\n");
    for (size_t i = 0; i < lines.n; i++)
        buf_printf(out, "%s\n", lines.items[i]);
}

static void digest_list(const struct package_set *set, char digest[static DIGEST_HEX_SIZE])
{
    cleanup_buf struct buf text = {0};
    print_list(set, &text);
    digest_bytes(text.data, text.len, digest);
}

json_t *packages_to_json(const struct package_set *set)
{
    json_t *list = json_array();
    for (size_t i = 0; i < set->n; i++) {
        const struct package *p = &set->items[i];
        json_array_append_new(list,
                              json_pack("{s:s*, s:s*, s:s*, s:s*, s:s, s:s*}", "name", p->name,
                                        "version", p->version, "architecture", p->architecture,
                                        "of", p->of, "sha256", p->sha256, "licence", p->licence));
    }
    return list;
}

static char *json_word(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text && *text && !strpbrk(text, " \n") ? xstrdup(text) : NULL;
}

// False: some entries are invalid.
static bool set_from_json(const json_t *list, struct package_set *out)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        cleanup_free char *sha256 = json_word(item, "sha256");
        if (!sha256 || !digest_is_hex(sha256))
            return false;
        out->items = xgrow(out->items, &out->cap, out->n + 1, sizeof *out->items);
        struct package *p = &out->items[out->n++];
        *p = (struct package){.of = json_word(item, "of"),
                              .name = json_word(item, "name"),
                              .version = json_word(item, "version"),
                              .architecture = json_word(item, "architecture"),
                              .file = json_word(item, "file"),
                              .uri = json_word(item, "uri")};
        memcpy(p->sha256, sha256, DIGEST_HEX_SIZE);
        bool file = p->file && path_is_clean(p->file) && !strchr(p->file, '/');
        if (out->chosen ? !file : !p->of || !p->name || !p->version || !p->architecture)
            return false;
    }
    return out->n > 0;
}

int packages_are(const json_t *list, const char *digest)
{
    struct package_set set = {0};
    char found[DIGEST_HEX_SIZE] = "";
    if (set_from_json(list, &set))
        digest_list(&set, found);
    package_set_free(&set);
    return !strcmp(found, digest);
}

// ---- keeping ----

// "packages:debian/bookworm/amd64/builder?gcc,make": the request as one word, for versions.lock.
static char *request_url(const struct packages_request *r)
{
    cleanup_strlist struct strlist names = {0};
    strlist_add_all(&names, r->names);
    if (r->kind != PACKAGES_FIRST) // there, the order is a preference
        strlist_sort(&names);
    cleanup_free char *joined = strlist_join(&names, ",");
    cleanup_buf struct buf url = {0};
    buf_printf(&url, "packages:%s/%s/%s/%s?%s", r->distribution->id, r->distribution->codename,
               r->arch->debian, kind_names[r->kind], joined);
    for (size_t i = 0; r->same && i < r->same->n; i++)
        buf_printf(&url, "&same-version=%s", r->same->items[i]);
    if (r->dependency)
        buf_printf(&url, "&dependency=%s", r->dependency);
    return buf_take(&url);
}

static void packages_action_key(const char *what, const char *which,
                                char key[static DIGEST_HEX_SIZE])
{
    cleanup_free char *text = xasprintf("kbuild packages 1\n%s %s\n", what, which);
    digest_bytes(text, strlen(text), key);
}

// The memory of a request depends on the user's settings for mirrors: with other mirrors it is
// resolved again.
static void memory_key(const struct packages_request *r, char key[static DIGEST_HEX_SIZE])
{
    static const char *const names[] = {"REPO_URL", "REPO_URL_X86_64", "REPO_COMPONENTS",
                                        "REPO_KEYRING"};
    cleanup_free char *url = request_url(r);
    cleanup_buf struct buf text = {0};
    buf_puts(&text, url);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const char *value = getenv(names[i]);
        if (value && *value)
            buf_printf(&text, "\n%s=%s", names[i], value);
    }
    packages_action_key("request", text.data, key);
}

static json_t *list_output(const char *digest, size_t size)
{
    return json_pack("[{s:s, s:s, s:s, s:I}]", "name", "packages", "digest", digest, "kind", "blob",
                     "size", (json_int_t)size);
}

// A password is not stored; without a uri the mirror is queried again when the file is needed.
static bool uri_has_login(const char *uri)
{
    const char *host = strstr(uri, "://"), *at = host ? strchr(host + 3, '@') : NULL;
    const char *slash = host ? strchr(host + 3, '/') : NULL;
    return at && (!slash || at < slash);
}

static int keep_set(struct store *store, const struct package_set *set,
                    char digest[static DIGEST_HEX_SIZE], json_t **outputs, struct error **err)
{
    cleanup_buf struct buf text = {0};
    char key[DIGEST_HEX_SIZE];
    print_list(set, &text);
    if (store_put_bytes(store, text.data, text.len, digest, err) < 0)
        return -1;
    json_t *list = packages_to_json(set);
    for (size_t i = 0; i < set->n; i++) {
        json_t *item = json_array_get(list, i);
        const struct package *p = &set->items[i];
        json_object_set_new(item, "file", json_string(p->file));
        if (p->uri && !uri_has_login(p->uri))
            json_object_set_new(item, "uri", json_string(p->uri));
    }
    *outputs = list_output(digest, text.len);
    json_auto_t *record =
        json_pack("{s:o, s:s*, s:O}", "packages", list, "chosen", set->chosen, "outputs", *outputs);
    packages_action_key("set", digest, key);
    return store_action_put(store, key, record, err);
}

static int keep_request(const struct packages_request *r, const struct source_options *o,
                        const struct package_set *set, char digest[static DIGEST_HEX_SIZE],
                        struct error **err)
{
    json_auto_t *outputs = NULL;
    char key[DIGEST_HEX_SIZE];
    if (keep_set(o->store, set, digest, &outputs, err) < 0)
        return -1;
    json_auto_t *record = json_pack("{s:O}", "outputs", outputs);
    memory_key(r, key);
    return store_action_put(o->store, key, record, err);
}

// 1: *out is the list with this digest; 0: the store does not have it.
static int recall_set(struct store *store, const char *digest, struct package_set *out,
                      struct error **err)
{
    char key[DIGEST_HEX_SIZE], found[DIGEST_HEX_SIZE] = "";
    packages_action_key("set", digest, key);
    json_auto_t *record = NULL;
    if (store_action_get(store, key, &record, err) < 0)
        return -1;
    out->chosen = json_word(record, "chosen");
    if (set_from_json(json_object_get(record, "packages"), out))
        digest_list(out, found);
    if (!strcmp(found, digest))
        return 1;
    package_set_free(out);
    return 0;
}

static int recall_request(const struct packages_request *r, const struct source_options *o,
                          char digest[static DIGEST_HEX_SIZE], struct error **err)
{
    char key[DIGEST_HEX_SIZE];
    memory_key(r, key);
    json_auto_t *record = NULL;
    if (store_action_get(o->store, key, &record, err) < 0)
        return -1;
    const json_t *output = json_array_get(json_object_get(record, "outputs"), 0);
    const char *text = json_string_value(json_object_get(output, "digest"));
    bool found = text && digest_is_hex(text);
    if (found)
        memcpy(digest, text, DIGEST_HEX_SIZE);
    return found;
}

// ---- resolving ----

static const struct lock_entry *lock_line(const struct packages_request *r,
                                          const struct source_options *o)
{
    cleanup_free char *url = request_url(r);
    return o->lock ? lock_find(o->lock, url, NULL) : NULL;
}

static void put_lock_line(const struct packages_request *r, const struct source_options *o,
                          char *digest)
{
    cleanup_free char *url = request_url(r);
    if (o->lock)
        lock_put(o->lock, &(struct lock_entry){.url = url, .sha256 = digest});
}

static char *request_text(const struct packages_request *r)
{
    cleanup_free char *names = strlist_join(r->names, " ");
    return xasprintf("the package list \"%s\" of %s %s for %s", names, r->distribution->id,
                     r->distribution->codename,
                     r->kind == PACKAGES_SOURCE ? "source packages" : r->arch->debian);
}

int packages_known(const struct packages_request *r, const struct source_options *o,
                   char digest[static DIGEST_HEX_SIZE], struct error **err)
{
    if (packages_check_names(r, err) < 0)
        return -1;
    const struct lock_entry *line = lock_line(r, o);
    if (line)
        memcpy(digest, line->sha256, DIGEST_HEX_SIZE);
    return line ? 1 : o->locked ? 0 : recall_request(r, o, digest, err);
}

static int query_apt(const struct packages_request *r, const struct source_options *o,
                     struct package_set *set, struct error **err)
{
    cleanup_free char *what = request_text(r);
    if (o->offline)
        return refuse_offline(what, err);
    return packages_query(r, o, set, err) < 0 ? error_wrap(err, "resolving %s", what) : 0;
}

int packages_refresh(const struct packages_request *r, const struct source_options *o,
                     char digest[static DIGEST_HEX_SIZE], struct error **err)
{
    struct package_set set = {0};
    int result = packages_check_names(r, err);
    if (!result)
        result = query_apt(r, o, &set, err);
    if (!result)
        result = keep_request(r, o, &set, digest, err);
    if (!result && lock_line(r, o))
        put_lock_line(r, o, digest);
    package_set_free(&set);
    return result;
}

int packages_resolve(const struct packages_request *r, const struct source_options *o,
                     char digest[static DIGEST_HEX_SIZE], struct error **err)
{
    int known = packages_known(r, o, digest, err);
    if (known)
        return known < 0 ? -1 : 0;
    if (!o->locked)
        return packages_refresh(r, o, digest, err);
    cleanup_free char *what = request_text(r);
    refuse_unlocked(o, what, err);
    return error_hint(err, "`kbuild lock TARGET` pins what the distribution has today; look at the "
                           "lines, and commit them");
}

int packages_pin(const struct packages_request *r, const struct source_options *o,
                 char digest[static DIGEST_HEX_SIZE], struct error **err)
{
    if (packages_resolve(r, o, digest, err) < 0)
        return -1;
    put_lock_line(r, o, digest);
    return 0;
}

static bool has_uris(const struct package_set *set)
{
    for (size_t i = 0; i < set->n; i++)
        if (!set->items[i].uri)
            return false;
    return true;
}

// Today's list, which must be the requested one.
static int resolve_again(const struct packages_request *r, const struct source_options *o,
                         const char *digest, struct package_set *out, struct error **err)
{
    char today[DIGEST_HEX_SIZE];
    if (query_apt(r, o, out, err) < 0)
        return -1;
    digest_list(out, today);
    if (!strcmp(today, digest)) {
        json_auto_t *outputs = NULL;
        return keep_set(o->store, out, today, &outputs, err);
    }
    cleanup_free char *what = request_text(r);
    error_user(
        err,
        "%s: the distribution's mirrors have other versions than those that were resolved before: "
        "the digest of their list is %.12s today, and was %.12s",
        what, today, digest);
    return error_hint(err,
                      "`kbuild update TARGET` takes today's packages; results that were built from "
                      "the earlier ones are in the cache that resolved them, or in a shared one");
}

int packages_open(const struct packages_request *r, const struct source_options *o,
                  const char *digest, struct package_set *out, struct error **err)
{
    struct package_set known = {0};
    int found = recall_set(o->store, digest, &known, err);
    // It is compared with its digest, so it counts wherever it is from.
    if (!found && store_lasting(o->store) != o->store)
        found = recall_set(store_lasting(o->store), digest, &known, err);
    if (found > 0 && (has_uris(&known) || o->offline)) {
        *out = known;
        return 0;
    }
    package_set_free(&known);
    return found < 0 ? -1 : resolve_again(r, o, digest, out, err);
}
