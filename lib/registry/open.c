// SPDX-License-Identifier: Apache-2.0
// Opens one repository: names, defaults, plain http or TLS, and the mirrors in registries.conf.
#include "registry/internal.h"

#include <string.h>

#define PARALLEL 4
#define TRIES 5
#define SILENCE 30
#define PAUSE_MS 250
#define CHUNK ((uint64_t)64 << 20) // the loss if a registry cannot resume

static unsigned or_default(unsigned value, unsigned standard)
{
    return value ? value : standard;
}

// Plain http is used for this machine, or if the caller asks for it.
static int find_base(struct registry *r, bool plain, struct error **err)
{
    cleanup_url struct url u = {0};
    const char *host = strcmp(r->name, "docker.io") ? r->name : "registry-1.docker.io";
    bool has_certs = false;
    if (registry_is_local(r->name) && !plain) {
        // A registry with certificates in certs.d speaks TLS, also on this machine.
        struct certs certs = {0};
        if (certs_find(r->name, &certs, err) < 0)
            return -1;
        has_certs = certs.ca.len || certs.certificate;
        certs_free(&certs);
    }
    r->insecure = plain || (registry_is_local(r->name) && !has_certs);
    r->base = xasprintf("%s://%s/v2/", r->insecure ? "http" : "https", host);
    if (url_parse(NULL, r->base, &u, err) < 0)
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
    cleanup_response struct response s = {0};
    const struct request q = {.method = "GET", .url = r->base};
    r->unchecked = true;
    pthread_mutex_lock(&known_lock);
    size_t i = 0;
    while (i < known_n && strcmp(known[i].name, r->name) != 0)
        i++;
    if (i == known_n) {
        struct error *why = NULL;
        bool plain = http_exchange(r, &q, &s, &why) < 0;
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
    pthread_mutex_init(&r->pool_lock, NULL);
    r->name = xstrdup(p->registry);
    r->repository = xstrdup(p->repository);
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
static int open_mirrors(struct registry *r, const struct registry_places *p, struct error **err)
{
    const struct registry_options o = {.parallel = r->parallel,
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
    if (registry_places_find(ref, &places, err) < 0)
        return NULL;
    struct registry *r = open_place(&places.own, o, err);
    if (r && !o->no_mirrors && open_mirrors(r, &places, err) < 0) {
        registry_close(r);
        r = NULL;
    }
    registry_places_free(&places);
    return r;
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
    pool_close(r);
    auth_close(r);
    pthread_mutex_destroy(&r->auth_lock);
    pthread_mutex_destroy(&r->pool_lock);
    free(r->name);
    free(r->repository);
    free(r->base);
    free(r->origin);
    free(r);
}
