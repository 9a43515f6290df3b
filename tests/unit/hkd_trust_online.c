// SPDX-License-Identifier: Apache-2.0
// Revocation lists that are fetched, without a network: when, from where, and what they may decide.
#include "test.h"

#include "hkd_trust_help.h"

struct asked {
    struct strlist urls;
    const char *answer; // a file of the world
    bool all;           // also what was given
    struct strlist *fetched;
};

static int answer(void *context, const char *url, size_t limit, struct buf *out, struct error **err)
{
    struct asked *a = context;
    strlist_add(&a->urls, url);
    assert_int_equal(limit, 64 << 20); // the largest list of a CA that signed for IBM has 35 MB
    cleanup_free char *path = xasprintf("%s/%s", folder, a->answer ? a->answer : path_base(url));
    return file_read(path, limit, out, err);
}

static int verify_online(const struct verdict *v, struct asked *a, struct error **err)
{
    struct files f;
    begin_case(v, &f);
    f.trust.fetch = answer;
    f.trust.context = a;
    f.trust.fetch_all = a->all;
    f.trust.fetched = a->fetched;
    int result = host_keys_verify(f.loaded, f.hosts.n, &f.trust, err);
    end_case(&f);
    return result;
}

ALL_TESTS(begin, end)

TEST(lists_are_fetched_once_each)
{
    struct verdict v = genuine;
    struct asked a = {0};
    cleanup_error struct error *err = NULL;
    v.hosts = "HKD-online.crt HKD-online.crt";
    v.certificates = "sign-online.crt inter-online.crt";
    v.crls = "";
    assert_good(verify_online(&v, &a, &err));
    cleanup_free char *urls = strlist_join(&a.urls, " ");
    assert_string_equal(urls,
                        "http://127.0.0.1:9/plain/inter.crl http://127.0.0.1:9/plain/root.crl "
                        "http://127.0.0.1:9/plain/sign.crl");
    strlist_free(&a.urls);
}

TEST(nobody_is_asked_for_what_is_not_genuine)
{
    static const struct verdict cases[] = {
        {"", "HKD-online-forged.crt", CHAIN, LISTS, ROOT, "signature is broken", NULL},
        {"", "HKD-online.crt", "sign-online.crt inter-online.crt", LISTS, "root-other.crt",
         "is missing", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct asked a = {0};
        cleanup_error struct error *err = NULL;
        assert_verdict(&cases[i], verify_online(&cases[i], &a, &err), &err);
        assert_int_equal(a.urls.n, 0);
    }
}

// Runs the case with every address answered by `file`, or by the file of its own name.
static void expect_online(const struct verdict *v, const char *file)
{
    struct asked a = {.answer = file, .all = true};
    cleanup_error struct error *err = NULL;
    assert_verdict(v, verify_online(v, &a, &err), &err);
    strlist_free(&a.urls);
}

// A fetched list stands in for a given one, but what a given one revokes stays revoked.
TEST(what_is_fetched_wins_and_nothing_hides_a_revocation)
{
    static const struct {
        struct verdict v;
        const char *answer;
    } cases[] = {
        {{"", GOOD, "sign.crt inter-online.crt", LISTS, ROOT, "has expired on", "current list"},
         "root-expired.crl"},
        {{"", "HKD-revoked.crt", "sign.crt inter-online.crt", "root.crl inter.crl sign-revokes.crl",
          ROOT, "certificate revoked", NULL},
         "root.crl"},
        {{"", "HKD-online-revoked.crt", CHAIN, LISTS, ROOT, "certificate revoked", NULL}, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        expect_online(&cases[i].v, cases[i].answer);
}

// A signing key whose list is not given and can be had at one address only.
#define WITHOUT_LIST(hint)                                                                         \
    {                                                                                              \
        "", "HKD-online.crt", CHAIN, "root.crl inter.crl", ROOT, "no CRL found", hint              \
    }

TEST(a_failed_fetch_is_named_when_the_list_is_missing)
{
    static const struct verdict
        nowhere = WITHOUT_LIST("fetching failed: "),
        garbage = WITHOUT_LIST(
            "fetching failed: http://127.0.0.1:9/plain/sign.crl: it is not a revocation");
    expect_online(&nowhere, "nowhere.crl");
    expect_online(&garbage, "garbage");
}

TEST(offline_the_address_of_a_missing_list_is_named)
{
    static const struct verdict v = WITHOUT_LIST("http://127.0.0.1:9/plain/sign.crl");
    struct files f;
    cleanup_error struct error *err = NULL;
    begin_case(&v, &f);
    assert_verdict(&v, host_keys_verify(f.loaded, 1, &f.trust, &err), &err);
    assert_non_null(strstr(err->hint, "without --offline and SE_ONLINE=no"));
    end_case(&f);
}

// The guide's files: signing key, intermediate, and the one list that IBM publishes.
static const struct verdict guide = {
    "", "HKD-online.crt", "sign-online.crt inter-online.crt", "sign.crl", ROOT, NULL, NULL};

TEST(what_is_missing_is_fetched_and_nothing_else)
{
    static const struct {
        const char *given, *asked;
    } cases[] = {
        {"sign.crl", "inter.crl root.crl"},
        {"root.crl inter.crl sign.crl", ""},
        {"root.crl inter.crl", "sign.crl"},
        {"root-expired.crl inter.crl sign.crl", "root.crl"},
        {"root.crl inter.crl sign-expired.crl", "sign.crl"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct verdict v = guide;
        struct strlist fetched = {0}, names = {0};
        struct asked a = {.fetched = &fetched};
        cleanup_error struct error *err = NULL;
        v.crls = cases[i].given;
        assert_good(verify_online(&v, &a, &err));
        for (size_t k = 0; k < a.urls.n; k++)
            strlist_add(&names, path_base(a.urls.items[k]));
        cleanup_free char *asked = strlist_join(&names, " ");
        assert_string_equal(asked, cases[i].asked);
        // Each is told with its digest.
        assert_int_equal(fetched.n, 2 * a.urls.n);
        for (size_t k = 0; k < a.urls.n; k++) {
            cleanup_free char *path = xasprintf("%s/%s", folder, names.items[k]);
            cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
            char digest[DIGEST_HEX_SIZE];
            uint64_t size;
            assert_int_equal(digest_fd(fd, path, digest, &size, NULL), 0);
            assert_string_equal(fetched.items[2 * k], a.urls.items[k]);
            assert_string_equal(fetched.items[2 * k + 1], digest);
        }
        strlist_free(&a.urls);
        strlist_free(&fetched);
        strlist_free(&names);
    }
}

TEST(offline_all_missing_lists_are_named_at_once)
{
    struct verdict v = guide;
    struct files f;
    cleanup_error struct error *err = NULL;
    v.crls = "";
    begin_case(&v, &f);
    assert_int_equal(host_keys_verify(f.loaded, 1, &f.trust, &err), -1);
    end_case(&f);
    assert_non_null(strstr(err->message, "no revocation list of its issuer"));
    static const char *const lists[] = {"plain/root.crl", "plain/inter.crl", "plain/sign.crl"};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        if (!strstr(err->hint, lists[i]))
            fail_msg("%s is not in: %s", lists[i], err->hint);
}
