// SPDX-License-Identifier: Apache-2.0
// Decides whether a failed request is retried, and when.
#include "http/http.h"

static bool status_may_pass(long status)
{
    return status == 408 || status == 429 || status >= 500;
}

bool http_may_pass(enum http_use use, CURLcode code, long status)
{
    // No name, no connection, a broken connection, damaged bytes.
    static const CURLcode passing[] = {
        CURLE_COULDNT_RESOLVE_PROXY,
        CURLE_COULDNT_RESOLVE_HOST,
        CURLE_COULDNT_CONNECT,
        CURLE_WEIRD_SERVER_REPLY,
        CURLE_PARTIAL_FILE,
        CURLE_OPERATION_TIMEDOUT,
        CURLE_SSL_CONNECT_ERROR,
        CURLE_GOT_NOTHING,
        CURLE_SEND_ERROR,
        CURLE_RECV_ERROR,
        CURLE_BAD_CONTENT_ENCODING,
        CURLE_SEND_FAIL_REWIND,
        CURLE_HTTP2,
        CURLE_HTTP2_STREAM,
    };
    if (code == CURLE_OK || code == CURLE_HTTP_RETURNED_ERROR)
        return status_may_pass(status);
    // The urls of git and of registries are http, and libcurl follows no redirects there: so the
    // cause is a damaged status line ("HTTP/9.1"). For a file, the url or a redirect may lead to a
    // forbidden protocol.
    if (code == CURLE_UNSUPPORTED_PROTOCOL)
        return use == HTTP_GIT || use == HTTP_REGISTRY;
    for (size_t i = 0; i < ARRAY_LEN(passing); i++)
        if (passing[i] == code)
            return true;
    return false;
}

bool http_no_way(CURLcode code)
{
    return code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY ||
           code == CURLE_COULDNT_CONNECT;
}

unsigned http_retry_after(CURL *c)
{
    enum { HOUR = 3600 };
    curl_off_t wait = 0;
    curl_easy_getinfo(c, CURLINFO_RETRY_AFTER, &wait);
    return wait <= 0 ? 0 : wait < HOUR ? (unsigned)wait : HOUR;
}
