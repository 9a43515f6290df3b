// SPDX-License-Identifier: Apache-2.0
// libcurl's handles of one registry: each keeps its connections, so they are used again.
#include "http/http.h"
#include "registry/room.h"

CURL *pool_take(struct registry *r)
{
    http_begin();
    pthread_mutex_lock(&r->pool_lock);
    CURL *c = r->pool_n ? r->pool[--r->pool_n] : NULL;
    pthread_mutex_unlock(&r->pool_lock);
    if (!c)
        c = curl_easy_init();
    if (!c)
        out_of_memory();
    curl_easy_reset(c);
    return c;
}

void pool_give(struct registry *r, CURL *c)
{
    curl_easy_reset(c); // it holds pointers to the exchange
    pthread_mutex_lock(&r->pool_lock);
    r->pool = xgrow(r->pool, &r->pool_cap, r->pool_n + 1, sizeof(CURL *));
    r->pool[r->pool_n++] = c;
    pthread_mutex_unlock(&r->pool_lock);
}

void pool_close(struct registry *r)
{
    for (size_t i = 0; i < r->pool_n; i++)
        curl_easy_cleanup(r->pool[i]);
    free(r->pool);
}
