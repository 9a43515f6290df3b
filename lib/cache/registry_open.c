// SPDX-License-Identifier: Apache-2.0
#include "cache/registry_room.h"

#include <string.h>

#define PARALLEL 4
#define TRIES 5
#define SILENCE 30
#define PAUSE_MS 250
#define CHUNK ((uint64_t)64 << 20) // what a registry that cannot resume loses

static unsigned or_default(unsigned value, unsigned standard)
{
    return value ? value : standard;
}

// Plain http is for this machine, or if the caller says so.
static int find_base(struct registry *r, bool plain, struct error **err)
{
    cleanup_url struct url u = {0};
    const char *host = strcmp(r->name, "docker.io") ? r->name : "registry-1.docker.io";
    bool has_certs = false;
    if (registry_is_local(r->name) && !plain) {
        // One with certificates of its own speaks TLS, wherever it is.
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

struct registry *registry_open(const struct reference *ref, const struct registry_options *o,
                               struct error **err)
{
    static const struct registry_options defaults;
    if (!o)
        o = &defaults;
    struct registry *r = xcalloc(1, sizeof *r);
    pthread_mutexattr_t recursive;
    pthread_mutexattr_init(&recursive);
    pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&r->auth_lock, &recursive);
    pthread_mutexattr_destroy(&recursive);
    pthread_mutex_init(&r->pool_lock, NULL);
    r->name = xstrdup(ref->registry);
    r->repository = xstrdup(ref->repository);
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
    if (find_base(r, o->plain_http, err) == 0)
        return r;
    registry_close(r);
    return NULL;
}

void registry_close(struct registry *r)
{
    if (!r)
        return;
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
