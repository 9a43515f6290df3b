// SPDX-License-Identifier: Apache-2.0
// Opens one repository: where it is, plain http or TLS, and its mirrors.
//
// registries.conf of podman, skopeo and buildah (containers-registries.conf(5), version 2, and
// containers-registries.conf.d(5)) gives the location of the images of a prefix, plain http or
// unchecked TLS for it, mirrors, and blocked prefixes. Short names are not read: a name without a
// registry is docker.io's.
#include "base/file.h"
#include "registry/internal.h"
#include "toml/toml.h"

#include <string.h>

#define PARALLEL 4
#define TRIES 5
#define SILENCE 30
#define PAUSE_MS 250
#define CHUNK ((uint64_t)64 << 20) // the loss if a registry cannot resume

#define CONF_MAX ((size_t)1 << 20)

struct conf_table {
    char *prefix, *location; // of a mirror the location only
    bool insecure, blocked, digests_only;
    enum mirror_use use;
    struct conf_table *mirrors;
    size_t mirror_n, mirror_cap;
};

struct conf {
    struct conf_table *tables;
    size_t n, cap;
};

static void conf_table_free(struct conf_table *t)
{
    free(t->prefix);
    free(t->location);
    for (size_t i = 0; i < t->mirror_n; i++)
        conf_table_free(&t->mirrors[i]);
    free(t->mirrors);
    *t = (struct conf_table){0};
}

static void conf_free(struct conf *c)
{
    for (size_t i = 0; i < c->n; i++)
        conf_table_free(&c->tables[i]);
    free(c->tables);
}

// ---- one registries.conf ----

static struct conf_table *conf_table_at(struct conf_table **list, size_t *n, size_t *cap,
                                        size_t index)
{
    *list = xgrow(*list, cap, index + 1, sizeof **list);
    for (; *n <= index; (*n)++)
        (*list)[*n] = (struct conf_table){0};
    return &(*list)[index];
}

static int conf_set_use(struct conf_table *t, const char *text)
{
    static const char *const names[] = {
        [MIRROR_ALL] = "all", [MIRROR_DIGESTS] = "digest-only", [MIRROR_TAGS] = "tag-only"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (!strcmp(names[i], text)) {
            t->use = (enum mirror_use)i;
            return 0;
        }
    return -1;
}

static int conf_set_key(struct conf_table *t, const char *key, const struct toml_value *v)
{
    const struct {
        const char *key;
        char **text;
        bool *flag;
    } known[] = {
        {"prefix", &t->prefix, NULL},
        {"location", &t->location, NULL},
        {"insecure", NULL, &t->insecure},
        {"blocked", NULL, &t->blocked},
        {"mirror-by-digest-only", NULL, &t->digests_only},
    };
    if (!strcmp(key, "pull-from-mirror"))
        return v->kind == TOML_STRING ? conf_set_use(t, v->string.data ? v->string.data : "") : -1;
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (strcmp(known[i].key, key) != 0)
            continue;
        if (v->kind != (known[i].text ? TOML_STRING : TOML_BOOLEAN))
            return -1;
        if (known[i].flag)
            *known[i].flag = v->boolean;
        if (known[i].text) {
            free(*known[i].text);
            *known[i].text = xstrndup(v->string.data ? v->string.data : "", v->string.len);
        }
        return 0;
    }
    return 0; // of a newer version, not needed here
}

// "registry[0].location", "registry[0].mirror[1].insecure"
static int conf_add_entry(struct conf *c, const struct toml_entry *e, struct error **err)
{
    cleanup_free char *path = toml_path(e->name);
    size_t index, mirror;
    int at = 0, below = 0;
    if (starts_with(path, "registries.")) {
        error_user(err, "it is of version 1 (%s), which nothing reads any more", path);
        return error_hint(err, "containers-registries.conf(5) says how [[registry]] is written");
    }
    if (!strcmp(path, "registry") ||
        (sscanf(path, "registry[%zu].mirror%n", &index, &at) == 1 && at && !path[at]))
        return error_user(err, "%s is a list in one line; write it as [[%s]]", path,
                          at ? "registry.mirror" : "registry");
    at = 0;
    if (sscanf(path, "registry[%zu].%n", &index, &at) != 1 || !at || index > 10000)
        return 0;
    struct conf_table *t = conf_table_at(&c->tables, &c->n, &c->cap, index);
    const char *key = path + at;
    if (sscanf(key, "mirror[%zu].%n", &mirror, &below) == 1 && below && mirror < 1000) {
        t = conf_table_at(&t->mirrors, &t->mirror_n, &t->mirror_cap, mirror);
        key += below;
    }
    return conf_set_key(t, key, &e->value) < 0
               ? error_user(err, "%s has no value of its kind", path)
               : 0;
}

// Refuses what podman refuses: an entry whose name never matches would be ignored silently.
static int conf_check_name(const char *name, bool prefix, struct error **err)
{
    if (!name)
        return 0;
    if (strstr(name, "://")) {
        error_user(err, "\"%s\" is no name of a registry: it begins with a scheme", name);
        return error_hint(err, "leave the scheme out; insecure = true stands for plain http");
    }
    const char *star = strchr(name, '*');
    if (!star || (prefix && star == name && name[1] == '.' && !strchr(name + 1, '*')))
        return 0;
    return error_user(err,
                      "\"%s\": a * stands at the beginning of a prefix only, as in "
                      "*.example.com",
                      name);
}

static int conf_check_names(const struct conf_table *t, struct error **err)
{
    if (conf_check_name(t->prefix, true, err) < 0 || conf_check_name(t->location, false, err) < 0)
        return -1;
    for (size_t i = 0; i < t->mirror_n; i++)
        if (conf_check_name(t->mirrors[i].location, false, err) < 0)
            return -1;
    return 0;
}

// The second of two equal entries would replace the first, with its restrictions.
static int conf_check_twice(const struct conf *c, struct error **err)
{
    for (size_t i = 0; i < c->n; i++)
        for (size_t k = i + 1; k < c->n; k++) {
            const struct conf_table *a = &c->tables[i], *b = &c->tables[k];
            if (!strcmp(a->prefix, b->prefix) &&
                (a->blocked != b->blocked || a->insecure != b->insecure))
                return error_user(err, "it has %s twice, with different settings", a->prefix);
        }
    return 0;
}

static int conf_read_text(const char *path, const struct buf *text, struct conf *out,
                          struct error **err)
{
    struct toml *t = toml_parse(text->data ? text->data : "", text->len, err);
    int result = t ? 0 : -1;
    for (size_t i = 0; t && i < t->header_count; i++) { // also of a table without a key
        cleanup_free char *name = toml_path(t->headers[i].name);
        size_t index;
        int at = 0;
        if (sscanf(name, "registry[%zu]%n", &index, &at) == 1 && !name[at] && index <= 10000)
            conf_table_at(&out->tables, &out->n, &out->cap, index);
    }
    for (size_t i = 0; t && i < t->entry_count && !result; i++)
        result = conf_add_entry(out, t->entries[i], err);
    toml_free(t);
    for (size_t i = 0; i < out->n && !result; i++) {
        struct conf_table *table = &out->tables[i];
        if (!table->prefix || !*table->prefix) {
            free(table->prefix);
            table->prefix = xstrdup(table->location ? table->location : "");
        }
        bool wild = starts_with(table->prefix, "*.");
        if (!*table->prefix || (!wild && (!table->location || !*table->location)))
            result = error_user(err, "registry %zu in it has no location", i + 1);
        else
            result = conf_check_names(table, err);
    }
    return result < 0 ? -1 : conf_check_twice(out, err);
}

// A table of a later file replaces one of the same prefix.
static int conf_add_file(const char *path, struct conf *all, struct error **err)
{
    cleanup_buf struct buf text = {0};
    struct conf own = {0};
    int result = file_read(path, CONF_MAX, &text, err);
    if (!result)
        result = conf_read_text(path, &text, &own, err);
    for (size_t i = 0; i < own.n && !result; i++) {
        size_t k = 0;
        while (k < all->n && strcmp(all->tables[k].prefix, own.tables[i].prefix) != 0)
            k++;
        if (k < all->n)
            conf_table_free(&all->tables[k]);
        *conf_table_at(&all->tables, &all->n, &all->cap, k) = own.tables[i];
        own.tables[i] = (struct conf_table){0};
    }
    conf_free(&own);
    return result < 0 ? error_wrap(err, "reading %s", path) : 0;
}

static int conf_add_folder(const char *folder, struct conf *all, struct error **err)
{
    cleanup_strlist struct strlist names = {0};
    if (!is_directory(folder))
        return 0;
    if (list_directory(folder, &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++) {
        cleanup_free char *path = xasprintf("%s/%s", folder, names.items[i]);
        if (ends_with(path, ".conf") && conf_add_file(path, all, err) < 0)
            return -1;
    }
    return 0;
}

// The user's own file replaces the system's file and folder.
static int conf_read_all(struct conf *all, struct error **err)
{
    static const char system[] = "/etc/containers/registries.conf";
    const char *named = getenv("CONTAINERS_REGISTRIES_CONF"), *home = getenv("HOME");
    cleanup_free char *own =
        xasprintf("%s/.config/containers/registries.conf", home && *home ? home : "/nonexistent");
    cleanup_free char *own_folder = xasprintf("%s.d", own);
    bool is_named = named && *named, is_own = !is_named && path_exists(own);
    const char *path = is_named ? named : is_own ? own : system;
    if ((is_named || path_exists(path)) && conf_add_file(path, all, err) < 0)
        return -1;
    if (!is_own && conf_add_folder("/etc/containers/registries.conf.d", all, err) < 0)
        return -1;
    return conf_add_folder(own_folder, all, err);
}

// ---- the place of a repository ----

// How many bytes of the name a prefix prefix_covers; 0: no match.
static size_t prefix_covers(const char *prefix, const char *name)
{
    size_t n = strlen(prefix), host = strcspn(name, "/:");
    if (starts_with(prefix, "*.")) // a domain and all below it
        return n - 1 < host && !strncmp(name + host - (n - 1), prefix + 1, n - 1) ? host : 0;
    return !strncmp(prefix, name, n) && (!name[n] || strchr("/:@", name[n])) ? n : 0;
}

// Sets the place: `location` replaces the first `covered` bytes of the name.
static int place_set(struct registry_place *out, const struct conf_table *t, const char *name,
                     size_t covered, struct error **err)
{
    bool moves = t->location && *t->location;
    cleanup_free char *text =
        moves ? xasprintf("%s%s", t->location, name + covered) : xstrdup(name);
    struct reference r;
    if (reference_parse(text, &r, err) < 0)
        return error_wrap(err, "registries.conf moves %s", name);
    *out = (struct registry_place){.insecure = t->insecure};
    out->registry = steal(r.registry);
    out->repository = steal(r.repository);
    reference_free(&r);
    return 0;
}

static int places_set(const struct conf_table *t, const char *name, size_t covered,
                      struct registry_places *out, struct error **err)
{
    if (t->blocked)
        return error_user(err, "registries.conf blocks %s", t->prefix);
    if (place_set(&out->own, t, name, covered, err) < 0)
        return -1;
    out->mirrors = xcalloc(t->mirror_n + 1, sizeof *out->mirrors);
    for (size_t i = 0; i < t->mirror_n; i++) {
        const struct conf_table *m = &t->mirrors[i];
        if (!m->location || !*m->location)
            continue;
        if (place_set(&out->mirrors[out->n], m, name, covered, err) < 0)
            return -1;
        out->mirrors[out->n++].use = t->digests_only ? MIRROR_DIGESTS : m->use;
    }
    return 0;
}

static int places_find(const struct conf *all, const struct reference *r,
                       struct registry_places *out, struct error **err)
{
    cleanup_free char *name = xasprintf("%s/%s", r->registry, r->repository);
    int result = 0;
    const struct conf_table *best = NULL;
    for (size_t i = 0; i < all->n; i++) // the longest prefix
        if (prefix_covers(all->tables[i].prefix, name) &&
            (!best || strlen(all->tables[i].prefix) > strlen(best->prefix)))
            best = &all->tables[i];
    if (best)
        result = places_set(best, name, prefix_covers(best->prefix, name), out, err);
    else
        out->own = (struct registry_place){.registry = xstrdup(r->registry),
                                           .repository = xstrdup(r->repository)};
    if (result < 0)
        registry_places_free(out);
    return result;
}

int registry_places_find(const struct reference *r, struct registry_places *out, struct error **err)
{
    struct conf all = {0};
    *out = (struct registry_places){0};
    int result = conf_read_all(&all, err) < 0 ? -1 : places_find(&all, r, out, err);
    conf_free(&all);
    return result;
}

static void place_free(struct registry_place *p)
{
    free(p->registry);
    free(p->repository);
}

void registry_places_free(struct registry_places *p)
{
    place_free(&p->own);
    for (size_t i = 0; i < p->n; i++)
        place_free(&p->mirrors[i]);
    free(p->mirrors);
    *p = (struct registry_places){0};
}

// ---- sessions ----

struct registry_session {
    struct http_pool pool;
    pthread_mutex_t lock; // for the members below
    struct conf conf;
    bool read; // registries.conf was
};

struct registry_session *registry_session_open(void)
{
    struct registry_session *s = xcalloc(1, sizeof *s);
    http_pool_open(&s->pool);
    pthread_mutex_init(&s->lock, NULL);
    return s;
}

void registry_session_close(struct registry_session *s)
{
    http_pool_close(&s->pool);
    pthread_mutex_destroy(&s->lock);
    conf_free(&s->conf);
    free(s);
}

static int session_read(struct registry_session *s, struct error **err)
{
    pthread_mutex_lock(&s->lock);
    int result = s->read ? 0 : conf_read_all(&s->conf, err);
    s->read = !result;
    if (result < 0) { // the next one fails, too
        conf_free(&s->conf);
        s->conf = (struct conf){0};
    }
    pthread_mutex_unlock(&s->lock);
    return result;
}

static int find_places(const struct reference *r, struct registry_session *s,
                       struct registry_places *out, struct error **err)
{
    *out = (struct registry_places){0};
    if (!s)
        return registry_places_find(r, out, err);
    return session_read(s, err) < 0 ? -1 : places_find(&s->conf, r, out, err);
}

// ---- opening ----

static unsigned or_default(unsigned value, unsigned standard)
{
    return value ? value : standard;
}

// Plain http is used for this machine, or if the caller asks for it.
static int find_base(struct registry *r, bool plain, struct error **err)
{
    cleanup_http_url struct http_url u = {0};
    const char *host = strcmp(r->name, "docker.io") ? r->name : "registry-1.docker.io";
    bool has_certs = false;
    if (http_host_is_local(r->name) && !plain) {
        // A registry with certificates in certs.d speaks TLS, also on this machine.
        struct certs certs = {0};
        if (certs_find(r->name, &certs, err) < 0)
            return -1;
        has_certs = certs.ca.len || certs.certificate;
        certs_free(&certs);
    }
    r->insecure = plain || (http_host_is_local(r->name) && !has_certs);
    r->base = xasprintf("%s://%s/v2/", r->insecure ? "http" : "https", host);
    if (http_url_parse(NULL, r->base, &u, err) < 0)
        return error_wrap(err, "opening the registry %s", r->name);
    r->origin = steal(u.origin);
    return 0;
}

// The probed protocol of an insecure registry, kept for the whole process: TLS if possible.
static struct known_scheme {
    char *name;
    bool plain;
} * known;
static size_t known_n, known_cap;
static pthread_mutex_t known_lock = PTHREAD_MUTEX_INITIALIZER;

static int set_plain(struct registry *r, struct error **err)
{
    free(steal(r->base));
    free(steal(r->origin));
    return find_base(r, true, err);
}

static int find_scheme(struct registry *r, struct error **err)
{
    cleanup_registry_response struct registry_response s = {0};
    const struct registry_request q = {.method = "GET", .url = r->base};
    r->unchecked = true;
    pthread_mutex_lock(&known_lock);
    size_t i = 0;
    while (i < known_n && strcmp(known[i].name, r->name) != 0)
        i++;
    if (i == known_n) {
        struct error *why = NULL;
        bool plain = registry_exchange(r, &q, &s, &why) < 0;
        error_free(why);
        known = xgrow(known, &known_cap, known_n + 1, sizeof *known);
        known[known_n++] = (struct known_scheme){xstrdup(r->name), plain};
    }
    bool plain = known[i].plain;
    pthread_mutex_unlock(&known_lock);
    return plain ? set_plain(r, err) : 0;
}

static struct registry *open_place(const struct registry_place *p, const struct registry_options *o,
                                   struct error **err)
{
    struct registry *r = xcalloc(1, sizeof *r);
    pthread_mutexattr_t recursive;
    pthread_mutexattr_init(&recursive);
    pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&r->auth_lock, &recursive);
    pthread_mutexattr_destroy(&recursive);
    http_pool_open(&r->own_pool);
    r->pool = o->session ? &o->session->pool : &r->own_pool;
    r->name = xstrdup(p->registry);
    r->repository = xstrdup(p->repository);
    r->auth = &registry_auth;
    r->use = p->use;
    r->parallel = or_default(o->parallel, PARALLEL);
    r->tries = or_default(o->tries, TRIES);
    r->silence = or_default(o->silence_seconds, SILENCE);
    r->pause_ms = or_default(o->pause_ms, PAUSE_MS);
    r->chunk = CHUNK;
    if (o->user && *o->user) {
        secrets_guard();
        r->credentials.user = xstrdup(o->user);
        r->credentials.password = xstrdup(o->password ? o->password : "");
        r->looked_up = true;
    }
    if (find_base(r, o->plain_http, err) == 0 &&
        (!p->insecure || r->insecure || find_scheme(r, err) == 0))
        return r;
    registry_close(r);
    return NULL;
}

// Mirrors have their own logins, and few retries.
static int open_mirrors(struct registry *r, const struct registry_places *p,
                        struct registry_session *session, struct error **err)
{
    const struct registry_options o = {.session = session,
                                       .parallel = r->parallel,
                                       .tries = 2,
                                       .silence_seconds = r->silence,
                                       .pause_ms = r->pause_ms};
    r->mirrors = xcalloc(p->n + 1, sizeof(struct registry *));
    for (size_t i = 0; i < p->n; i++)
        if (!(r->mirrors[r->mirror_n++] = open_place(&p->mirrors[i], &o, err)))
            return -1;
    return 0;
}

struct registry *registry_open(const struct reference *ref, const struct registry_options *o,
                               struct error **err)
{
    static const struct registry_options defaults;
    struct registry_places places;
    if (!o)
        o = &defaults;
    if (find_places(ref, o->session, &places, err) < 0)
        return NULL;
    struct registry *r = open_place(&places.own, o, err);
    if (r && !o->no_mirrors && open_mirrors(r, &places, o->session, err) < 0) {
        registry_close(r);
        r = NULL;
    }
    registry_places_free(&places);
    return r;
}

void registry_set_wrong(struct registry *r)
{
    __atomic_store_n(&r->wrong, true, __ATOMIC_RELAXED);
}

bool registry_was_wrong(const struct registry *r)
{
    return __atomic_load_n(&r->wrong, __ATOMIC_RELAXED);
}

bool registry_is_down(const struct registry *r)
{
    return __atomic_load_n(&r->down, __ATOMIC_RELAXED);
}

struct registry *registry_mirror(const struct registry *r, size_t index, bool by_digest)
{
    struct registry *m = r->mirrors[index];
    bool allowed = m->use == MIRROR_ALL || (m->use == MIRROR_DIGESTS) == by_digest;
    return allowed && !registry_is_down(m) ? m : NULL;
}

void registry_close(struct registry *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->mirror_n; i++)
        registry_close(r->mirrors[i]);
    free(r->mirrors);
    http_pool_close(&r->own_pool);
    auth_close(r);
    pthread_mutex_destroy(&r->auth_lock);
    free(r->name);
    free(r->repository);
    free(r->base);
    free(r->origin);
    free(r);
}
