// SPDX-License-Identifier: Apache-2.0
// Revocation lists that are fetched, without a network: when, from where, and what they may decide.
#include "seal_trust_help.h"

struct asked {
    struct strlist urls;
    const char *answer; // a file of the world
};

static int answer(void *context, const char *url, size_t limit, struct buf *out, struct error **err)
{
    struct asked *a = context;
    strlist_add(&a->urls, url);
    assert_int_equal(limit, 1 << 20);
    cleanup_free char *path = xasprintf("%s/%s", folder, a->answer ? a->answer : path_base(url));
    return file_read(path, limit, out, err);
}

static int verify_online(const struct verdict *v, struct asked *a, struct error **err)
{
    struct files f;
    begin_case(v, &f);
    f.trust.fetch = answer;
    f.trust.context = a;
    int result = host_keys_verify(f.loaded, f.hosts.n, &f.trust, err);
    end_case(&f);
    return result;
}

static void lists_are_fetched_once_each(void **state)
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

static void nobody_is_asked_for_what_is_not_genuine(void **state)
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
    struct asked a = {.answer = file};
    cleanup_error struct error *err = NULL;
    assert_verdict(v, verify_online(v, &a, &err), &err);
    strlist_free(&a.urls);
}

// A fetched list stands in for a given one, but what a given one revokes stays revoked.
static void what_is_fetched_wins_and_nothing_hides_a_revocation(void **state)
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

static void a_failed_fetch_is_named_when_the_list_is_missing(void **state)
{
    static const struct verdict
        nowhere = WITHOUT_LIST("fetching failed: "),
        garbage = WITHOUT_LIST(
            "fetching failed: http://127.0.0.1:9/plain/sign.crl: it is not a revocation");
    expect_online(&nowhere, "nowhere.crl");
    expect_online(&garbage, "garbage");
}

static void offline_the_address_of_a_missing_list_is_named(void **state)
{
    static const struct verdict v = WITHOUT_LIST("http://127.0.0.1:9/plain/sign.crl");
    struct files f;
    cleanup_error struct error *err = NULL;
    begin_case(&v, &f);
    assert_verdict(&v, host_keys_verify(f.loaded, 1, &f.trust, &err), &err);
    assert_non_null(strstr(err->hint, "--online"));
    end_case(&f);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_fetched_once_each),
        cmocka_unit_test(nobody_is_asked_for_what_is_not_genuine),
        cmocka_unit_test(what_is_fetched_wins_and_nothing_hides_a_revocation),
        cmocka_unit_test(a_failed_fetch_is_named_when_the_list_is_missing),
        cmocka_unit_test(offline_the_address_of_a_missing_list_is_named),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
