// SPDX-License-Identifier: Apache-2.0
// Downloads one small file in one try, into memory.
#include "source/fetch.h"

#include "http/http.h"
#include "http/libcurl.h"
#include "source/internal.h"

#define REDIRECTS_MAX 5L

struct answer {
    struct buf *out;
    size_t limit; // of out->len
    bool too_large;
};

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
    struct answer *a = context;
    size_t length = size * count;
    a->too_large = length > a->limit - a->out->len;
    if (a->too_large)
        return 0;
    buf_add(a->out, bytes, length);
    return length;
}

static void set_options(CURL *c, const char *url, struct answer *a, char *reason)
{
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
#else
    curl_easy_setopt(c, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
    curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
    curl_easy_setopt(c, CURLOPT_URL, url);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "kbuild/" KBUILD_VERSION);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(c, CURLOPT_MAXREDIRS, REDIRECTS_MAX);
    curl_easy_setopt(c, CURLOPT_TIMEOUT, (long)FETCH_SECONDS);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)FETCH_STALL_SECONDS);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, (long)FETCH_SPEED_MIN);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)FETCH_STALL_SECONDS);
    curl_easy_setopt(c, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)(a->limit - a->out->len));
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, reason);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, a);
}

int fetch_bytes(void *context, const char *url, size_t limit, struct buf *out, struct error **err)
{
    http_begin();
    char reason[CURL_ERROR_SIZE] = "";
    struct answer a = {.out = out, .limit = out->len + limit};
    cleanup_free char *shown = url_shown(url);
    CURL *c = curl_easy_init();
    if (!c)
        return error_user(err, "starting libcurl failed");
    struct http_settings settings = {0};
    int ready = http_settings_apply(c, url, HTTP_CRL, &settings, err);
    CURLcode code = CURLE_OK;
    if (ready == 0) {
        set_options(c, url, &a, reason);
        code = curl_easy_perform(c);
    }
    curl_easy_cleanup(c);
    http_settings_free(&settings);
    if (ready < 0)
        return error_wrap(err, "%s", shown);
    if (code == CURLE_OK)
        return 0;
    if (a.too_large || code == CURLE_FILESIZE_EXCEEDED)
        return error_user(err, "%s: it is larger than the limit of %zu bytes", shown, limit);
    cleanup_free char *why = http_failure(url, HTTP_CRL, code, reason);
    return error_user(err, "%s: %s", shown, why);
}
