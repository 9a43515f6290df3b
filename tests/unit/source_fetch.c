// SPDX-License-Identifier: Apache-2.0
// Revocation lists over the network: a server on loopback has them, or misbehaves.
#include "test.h"

#include "source_help.h"

#include "hkd_world.h"

#include "hkd/hkd.h"
#include "http/http.h"

static struct place *place;

static int online_begin(void **state)
{
    if (place_begin(state) < 0)
        return -1;
    place = *state;
    start_http(place);
    return 0;
}

static void world_begin(struct place *p)
{
    cleanup_free char *base = xasprintf("http://127.0.0.1:%u/", p->port);
    world_make(p->folder, base);
}

static char *in_place(const char *name)
{
    return xasprintf("%s/%s", place->folder, name);
}

static int get(const char *path, size_t limit, struct buf *out, struct error **err)
{
    cleanup_free char *url = xasprintf("http://127.0.0.1:%u/%s", place->port, path);
    return http_fetch(NULL, url, limit, out, err);
}

EACH_TEST(online_begin, place_end)
ALL_TESTS(home_begin, home_end)

TEST(a_file_of_exactly_the_limit_is_taken)
{
    cleanup_buf struct buf out = {0};
    cleanup_error struct error *err = NULL;
    cleanup_free char *path = in_place("file");
    assert_int_equal(file_write(path, "0123456789", 10, 0644, NULL), 0);
    assert_ok(get("plain/file", 10, &out, &err), &err);
    assert_string_equal(out.data, "0123456789");
    assert_ok(get("redirect/plain/file", 10, &out, &err), &err);
    assert_string_equal(out.data, "01234567890123456789"); // appended, the limit is for each
    assert_refused(get("plain/file", 9, &out, &err), &err, "larger than the limit of 9 bytes");
}

// A certificate may name any server.
TEST(no_login_is_sent)
{
    cleanup_buf struct buf out = {0}, log = {0};
    cleanup_error struct error *err = NULL;
    cleanup_free char *path = in_place("file"), *netrc = in_place("netrc");
    static const char text[] = "default login me password TESTsecret\n";
    assert_int_equal(file_write(path, "x", 1, 0644, NULL), 0);
    assert_int_equal(file_write(netrc, text, strlen(text), 0600, NULL), 0);
    setenv("NETRC", netrc, 1);
    int result = get("plain/file", 10, &out, &err);
    int logged = get("headers", 10000, &log, &err);
    unsetenv("NETRC");
    assert_int_equal(result, 0);
    assert_int_equal(logged, 0);
    assert_says(log.data, "/plain/file -");
}

TEST(what_fails_says_how)
{
    cleanup_buf struct buf out = {0};
    cleanup_error struct error *err = NULL;
    assert_refused(get("status/404", 10, &out, &err), &err, "404");
    assert_refused(get("loop", 10, &out, &err), &err, "redirects");
    assert_refused(get("to-file", 10, &out, &err), &err, "to-file: ");
    cleanup_free char *refused = xasprintf("http://127.0.0.1:%u/x", free_port());
    assert_refused(http_fetch(NULL, refused, 10, &out, &err), &err, refused);
    cleanup_free char *file = xasprintf("file://%s/file", place->folder);
    assert_refused(http_fetch(NULL, file, 10, &out, &err), &err, "file://");
    assert_int_equal(out.len, 0);
}

// ---- host key documents ----

struct online {
    const char *host, *certificates[2], *crls[3];
    const char *message, *hint; // NULL: genuine
};

static void check_online(const struct online *o)
{
    struct strlist certificates = {0}, crls = {0};
    cleanup_error struct error *err = NULL;
    for (size_t i = 0; i < 2 && o->certificates[i]; i++)
        strlist_addf(&certificates, "%s/%s", place->folder, o->certificates[i]);
    for (size_t i = 0; i < 3 && o->crls[i]; i++)
        strlist_addf(&crls, "%s/%s", place->folder, o->crls[i]);
    cleanup_free char *root = in_place("root.crt");
    cleanup_free char *path = in_place(o->host);
    struct trust trust = {.certificates = &certificates,
                          .crls = &crls,
                          .root_ca = root,
                          .fetch = http_fetch,
                          .fetch_all = true};
    struct host_key host;
    assert_ok(host_key_load(path, &host, &err), &err);
    int result = host_keys_verify(&host, 1, &trust, &err);
    if (o->message) {
        assert_int_equal(result, -1);
        assert_says(err->message, o->message);
        assert_says(err->hint, o->hint);
    } else {
        assert_ok(result, &err);
    }
    host_key_free(&host);
    strlist_free(&certificates);
    strlist_free(&crls);
}

#define CHAIN                                                                                      \
    {                                                                                              \
        "sign.crt", "inter.crt"                                                                    \
    }
#define NO_LIST                                                                                    \
    {                                                                                              \
        "root.crl", "inter.crl"                                                                    \
    }

TEST(lists_come_from_distribution_points)
{
    static const struct online cases[] = {
        {"HKD-online.crt", {"sign-online.crt", "inter-online.crt"}, {NULL}, NULL, NULL},
        {"HKD-online-moved.crt", CHAIN, NO_LIST, NULL, NULL},
        {"HKD-online-der.crt", CHAIN, NO_LIST, NULL, NULL},
        {"HKD-online-revoked.crt", CHAIN, NO_LIST, "certificate revoked: http://", "do not use"},
        {"HKD-online-revoked.crt",
         CHAIN,
         {"root.crl", "inter.crl", "sign.crl"},
         "certificate revoked: http://",
         "do not use"},
        // Without a list that counts it says how fetching failed; with one that does not matter.
        {"HKD-online-missing.crt", CHAIN, NO_LIST, "no CRL found", "404"},
        {"HKD-online-missing.crt", CHAIN, {"root.crl", "inter.crl", "sign.crl"}, NULL, NULL},
        {"HKD-online-file.crt", CHAIN, NO_LIST, "no CRL found", "to-file"},
        {"HKD-online-large.crt", CHAIN, NO_LIST, "no CRL found", "larger than the limit"},
        {"HKD-online-garbage.crt", CHAIN, NO_LIST, "no CRL found", "but a certificate"},
        {"HKD-online-stall.crt", CHAIN, NO_LIST, "no CRL found", "too slow"},
    };
    struct place *p = *state;
    world_begin(p);
    run_sh(p, "truncate -s $((64 * 1024 * 1024 + 1)) large.crl");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        check_online(&cases[i]);
    // A forged document sends nobody anywhere.
    static const struct online forged = {"HKD-online-forged.crt", CHAIN, NO_LIST,
                                         "the signature is broken", "forged"};
    cleanup_buf struct buf before = {0}, after = {0};
    cleanup_error struct error *err = NULL;
    assert_ok(get("log", 1 << 16, &before, &err), &err);
    check_online(&forged);
    assert_ok(get("log", 1 << 16, &after, &err), &err);
    assert_says(before.data, "/plain/sign.crl");
    assert_string_equal(before.data, after.data);
}
