// SPDX-License-Identifier: Apache-2.0
// Which failed requests are worth another try.
#include "test.h"

#include "http/internal.h"

#include <stdint.h>

enum { FILES = 1 << HTTP_FILE, GIT = 1 << HTTP_GIT, REGISTRIES = 1 << HTTP_REGISTRY };
enum { NONE, ALL = FILES | GIT | REGISTRIES };

static void assert_tried_again(CURLcode code, long status, unsigned by)
{
    static const enum http_use uses[] = {HTTP_FILE, HTTP_GIT, HTTP_REGISTRY};
    for (size_t i = 0; i < ARRAY_LEN(uses); i++) {
        bool expected = by >> uses[i] & 1;
        if (failure_is_transient(uses[i], code, status) != expected)
            fail_msg("use %d, code %d, status %ld: expected %d", (int)uses[i], (int)code, status,
                     expected);
    }
}

TEST(an_answer_is_judged_by_its_status)
{
    static const struct {
        long status;
        unsigned by;
    } cases[] = {
        {200, NONE}, {201, NONE}, {206, NONE}, {301, NONE}, {304, NONE}, {400, NONE},
        {401, NONE}, {403, NONE}, {404, NONE}, {407, NONE}, {408, ALL},  {409, NONE},
        {410, NONE}, {416, NONE}, {428, NONE}, {429, ALL},  {430, NONE}, {499, NONE},
        {500, ALL},  {502, ALL},  {503, ALL},  {504, ALL},  {599, ALL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_tried_again(CURLE_OK, cases[i].status, cases[i].by);
        assert_tried_again(CURLE_HTTP_RETURNED_ERROR, cases[i].status, cases[i].by);
    }
}

TEST(a_request_without_an_answer_is_judged_by_what_libcurl_says)
{
    static const struct {
        CURLcode code;
        unsigned by;
        bool no_way;
    } cases[] = {
        {CURLE_COULDNT_RESOLVE_PROXY, ALL, true},
        {CURLE_COULDNT_RESOLVE_HOST, ALL, true},
        {CURLE_COULDNT_CONNECT, ALL, true},
        {CURLE_OPERATION_TIMEDOUT, ALL, false},
        {CURLE_SSL_CONNECT_ERROR, ALL, false},
        {CURLE_GOT_NOTHING, ALL, false},
        {CURLE_SEND_ERROR, ALL, false},
        {CURLE_RECV_ERROR, ALL, false},
        {CURLE_PARTIAL_FILE, ALL, false},
        {CURLE_HTTP2, ALL, false},
        {CURLE_HTTP2_STREAM, ALL, false},
        {CURLE_WEIRD_SERVER_REPLY, ALL, false},
        {CURLE_BAD_CONTENT_ENCODING, ALL, false},
        {CURLE_SEND_FAIL_REWIND, ALL, false},
        {CURLE_UNSUPPORTED_PROTOCOL, GIT | REGISTRIES, false},
        {CURLE_URL_MALFORMAT, NONE, false},
        {CURLE_PROXY, NONE, false},
        {CURLE_PEER_FAILED_VERIFICATION, NONE, false},
        {CURLE_SSL_CACERT_BADFILE, NONE, false},
        {CURLE_SSL_CERTPROBLEM, NONE, false},
        {CURLE_TOO_MANY_REDIRECTS, NONE, false},
        {CURLE_LOGIN_DENIED, NONE, false},
        {CURLE_RANGE_ERROR, NONE, false},
        {CURLE_FILE_COULDNT_READ_FILE, NONE, false},
        {CURLE_WRITE_ERROR, NONE, false},
        {CURLE_ABORTED_BY_CALLBACK, NONE, false},
        {CURLE_FAILED_INIT, NONE, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        // The status of an answer that broke off says nothing.
        assert_tried_again(cases[i].code, 0, cases[i].by);
        assert_tried_again(cases[i].code, 200, cases[i].by);
        assert_tried_again(cases[i].code, 503, cases[i].by);
        assert_int_equal(failure_is_no_connection(cases[i].code), cases[i].no_way);
    }
}

TEST(without_an_answer_no_server_says_when)
{
    http_begin();
    CURL *c = curl_easy_init();
    assert_non_null(c);
    assert_int_equal(retry_after_of(c), 0);
    curl_easy_cleanup(c);
}
