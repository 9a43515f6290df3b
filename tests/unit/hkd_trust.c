// SPDX-License-Identifier: Apache-2.0
// Which host key documents are genuine: one table, a case a line (docs/trust.md has the rules).
#include "test.h"

#include "hkd_trust_help.h"

static const struct verdict verdicts[] = {
    // ---- what is genuine ----
    {"a_genuine_document", GOOD, CHAIN, LISTS, ROOT, NULL, NULL},
    {"two_documents", GOOD " HKD-second.crt", CHAIN, LISTS, ROOT, NULL, NULL},
    {"der_everywhere", "HKD-good-der.crt", "sign-der.crt inter-der.crt",
     "root-der.crl inter-der.crl sign-der.crl", "root-der.crt", NULL, NULL},
    {"several_certificates_in_a_file", GOOD, "chain.pem", "crls.pem", ROOT, NULL, NULL},
    {"the_root_among_the_certificates_too", GOOD, "chain-and-root.pem", LISTS, ROOT, NULL, NULL},
    {"lists_that_sit_among_certificates", GOOD, "chain-with-crls.pem", "", ROOT, NULL, NULL},
    {"a_list_that_sits_in_the_root_file", GOOD, CHAIN, "inter.crl sign.crl", "root-with-crl.pem",
     NULL, NULL},
    {"the_same_files_twice", GOOD " " GOOD, CHAIN " " CHAIN, LISTS " " LISTS, ROOT, NULL, NULL},
    {"a_document_without_authority_key_id", "HKD-no-akid.crt", CHAIN, LISTS, ROOT, NULL, NULL},
    {"a_document_whose_issuer_name_is_another", "HKD-other-name.crt", CHAIN, LISTS, ROOT, NULL,
     NULL},
    {"a_document_signed_with_pss_by_a_pss_key", "HKD-pss-key.crt", "sign-pss-key.crt inter.crt",
     "root.crl inter.crl sign-pss-key.crl", ROOT, NULL, NULL},
    {"a_document_signed_with_pss_by_an_ordinary_key", "HKD-pss.crt", CHAIN, LISTS, ROOT,
     "its signature algorithm (rsassaPss) does not fit the key of", "genprotimg"},
    {"a_document_signed_with_ecdsa", "HKD-ec.crt", "sign-ec.crt inter.crt",
     "root.crl inter.crl ec.crl", ROOT, NULL, NULL},
    {"a_chain_signed_with_pss", GOOD, "sign-pss.crt inter-pss.crt", LISTS, ROOT, NULL, NULL},
    {"a_list_signed_with_pss", GOOD, CHAIN, "root.crl inter.crl sign-pss.crl", ROOT, NULL, NULL},
    {"no_intermediate", GOOD, "sign-by-root.crt", "root.crl sign.crl", ROOT, NULL, NULL},
    {"two_intermediates", GOOD, "sign-by-inter2.crt inter2.crt inter.crt",
     "root.crl inter.crl inter2.crl sign.crl", ROOT, NULL, NULL},
    {"a_subject_in_another_order", GOOD, "sign-reordered.crt inter.crt",
     "root.crl inter.crl sign-old-order.crl", ROOT, NULL, NULL},
    {"an_old_key_with_its_list", GOOD, "sign-old.crt inter.crt", "root.crl inter.crl sign-old.crl",
     ROOT, NULL, NULL},
    {"an_armonk_key_with_a_poughkeepsie_list", GOOD, CHAIN, "root.crl inter.crl sign-old.crl", ROOT,
     NULL, NULL},
    {"an_armonk_key_with_a_reordered_poughkeepsie_list", GOOD, CHAIN,
     "root.crl inter.crl sign-old-both.crl", ROOT, NULL, NULL},
    {"an_armonk_key_with_a_reordered_list", GOOD, CHAIN, "root.crl inter.crl sign-old-order.crl",
     ROOT, NULL, NULL},
    {"a_list_without_authority_key_id", GOOD, CHAIN, "root.crl inter.crl sign-no-akid.crl", ROOT,
     NULL, NULL},
    {"an_expired_list_beside_a_current_one", GOOD, CHAIN, LISTS " sign-expired.crl", ROOT, NULL,
     NULL},
    {"a_delta_list_beside_a_complete_one", GOOD, CHAIN, LISTS " sign-delta.crl", ROOT, NULL, NULL},
    {"a_forged_list_beside_a_good_one", GOOD, CHAIN, LISTS " sign-forged.crl", ROOT, NULL, NULL},
    {"a_list_that_revokes_others", GOOD, CHAIN,
     "root-revokes.crl inter-revokes.crl sign-revokes.crl", ROOT, NULL, NULL},
    {"two_signing_keys_side_by_side", GOOD " HKD-two.crt", "sign.crt sign-two.crt inter.crt",
     LISTS " two.crl", ROOT, NULL, NULL},
    {"two_signing_keys_in_one_file", GOOD " HKD-two.crt", "both-keys.pem", LISTS " two.crl", ROOT,
     NULL, NULL},
    {"two_signing_keys_and_no_authority_key_id", "HKD-no-akid.crt HKD-two-no-akid.crt",
     "sign-two.crt sign.crt inter.crt", LISTS " two.crl", ROOT, NULL, NULL},
    {"an_expired_signing_key_that_nothing_needs", GOOD, "sign-two-expired.crt " CHAIN, LISTS, ROOT,
     NULL, NULL},
    {"two_certificates_of_one_signing_key", GOOD, "sign-expired.crt " CHAIN, LISTS, ROOT, NULL,
     NULL},
    {"a_serial_number_that_another_key_revoked", GOOD, "sign-two.crt " CHAIN,
     LISTS " two-revokes.crl", ROOT, NULL, NULL},

    // ---- the document ----
    {"an_expired_document", "HKD-expired.crt", CHAIN, LISTS, ROOT,
     "HKD-expired.crt: validity period is not valid: it has expired on", "current document"},
    {"a_document_of_the_future", "HKD-future.crt", CHAIN, LISTS, ROOT, "it is not valid before",
     "clock"},
    {"a_revoked_document", "HKD-revoked.crt", CHAIN, "root.crl inter.crl sign-revokes.crl", ROOT,
     "certificate revoked: ", "do not use this host key"},
    {"one_bad_document_of_two", GOOD " HKD-revoked.crt", CHAIN,
     "root.crl inter.crl sign-revokes.crl", ROOT, "HKD-revoked.crt: certificate revoked", NULL},
    {"a_document_revoked_by_the_second_list", "HKD-revoked.crt", CHAIN, LISTS " sign-revokes.crl",
     ROOT, "certificate revoked", NULL},
    {"a_document_revoked_by_a_delta_list", "HKD-revoked.crt", CHAIN,
     LISTS " sign-delta-revokes.crl", ROOT, "certificate revoked", NULL},
    {"a_document_revoked_by_an_expired_list", "HKD-revoked.crt", CHAIN,
     LISTS " sign-revokes-old.crl", ROOT, "certificate revoked", NULL},
    {"a_document_revoked_under_the_old_name", "HKD-revoked.crt", CHAIN,
     LISTS " sign-old-revokes.crl", ROOT, "certificate revoked", NULL},
    {"a_forged_document", "HKD-forged.crt", CHAIN, LISTS, ROOT, "but the signature is broken",
     "damaged or forged"},
    {"a_changed_document", "HKD-changed.crt", CHAIN, LISTS, ROOT, "but the signature is broken",
     "damaged or forged"},
    {"a_forged_document_that_names_no_key", "HKD-forged-no-akid.crt", CHAIN, LISTS, ROOT,
     "it was signed with none of the given keys", "damaged or forged"},
    {"the_wrong_signing_key", "HKD-two.crt", CHAIN, LISTS, ROOT, "it names the key",
     "the signing key certificate that belongs to this document"},
    {"the_wrong_signing_key_and_no_key_id", "HKD-two-no-akid.crt", CHAIN, LISTS, ROOT,
     "no IBM Z signing key that issued this host-key document found", NULL},
    {"another_key_id_than_the_signers", "HKD-other-akid.crt", CHAIN, LISTS, ROOT,
     "it names the key", NULL},
    {"another_issuer_and_serial_in_the_key_id", "HKD-issuer-akid.crt", CHAIN, LISTS, ROOT,
     "another issuer or serial number", NULL},
    {"a_document_signed_with_sha1", "HKD-sha1.crt", CHAIN, LISTS, ROOT,
     "signed with a digest that is too weak", "SHA-256"},
    {"a_document_signed_with_pss_over_sha1", "HKD-pss-sha1.crt", CHAIN, LISTS, ROOT,
     "does not fit the key of", NULL},
    {"a_document_signed_by_itself", "HKD-self.crt", CHAIN, LISTS, ROOT,
     "it is signed by its own key", "test-key"},
    {"a_document_signed_by_the_intermediate", "HKD-by-inter.crt", CHAIN, LISTS, ROOT,
     "it names the key", NULL},

    // ---- the signing key ----
    {"no_signing_key", GOOD, "inter.crt", LISTS, ROOT,
     "please specify at least one IBM Z signing key", "Key Signing Service"},
    {"no_certificate_at_all", GOOD, "", LISTS, ROOT, "none of the 0 given certificates", NULL},
    {"an_ou_that_goes_on", GOOD, "sign-ou.crt inter.crt", LISTS, ROOT,
     "at least one IBM Z signing key", NULL},
    {"an_ou_in_lower_case", GOOD, "sign-ou-case.crt inter.crt", LISTS, ROOT,
     "at least one IBM Z signing key", NULL},
    {"a_subject_of_seven_entries", GOOD, "sign-seven.crt inter.crt", LISTS, ROOT,
     "at least one IBM Z signing key", NULL},
    {"a_subject_of_five_entries", GOOD, "sign-five.crt inter.crt", LISTS, ROOT,
     "at least one IBM Z signing key", NULL},
    {"another_common_name", GOOD, "sign-cn.crt inter.crt", LISTS, ROOT,
     "at least one IBM Z signing key", NULL},
    {"another_place", GOOD, "sign-place.crt inter.crt", LISTS, ROOT,
     "at least one IBM Z signing key", NULL},
    {"an_expired_signing_key", GOOD, "sign-expired.crt inter.crt", LISTS, ROOT,
     "sign-expired.crt) has expired on", "current certificate"},
    {"a_signing_key_of_the_future", GOOD, "sign-future.crt inter.crt", LISTS, ROOT,
     "is not valid yet: it is valid from", "clock"},
    {"a_revoked_signing_key", GOOD, "sign-revoked.crt inter.crt",
     "root.crl inter-revokes.crl sign.crl", ROOT, "sign-revoked.crt) was revoked",
     "a revocation is permanent"},
    {"a_signing_key_revoked_by_the_second_list", GOOD, "sign-revoked.crt inter.crt",
     LISTS " inter-revokes.crl", ROOT, "was revoked", NULL},
    {"a_forged_signing_key", GOOD, "sign-forged.crt inter.crt", LISTS, ROOT,
     "sign-forged.crt) has a broken signature", "damaged or forged"},
    {"a_weak_signing_key", "HKD-weak.crt", "sign-weak.crt inter.crt", LISTS, ROOT,
     "has a key that is too weak", NULL},
    {"a_signing_key_signed_with_sha1", GOOD, "sign-sha1.crt inter.crt", LISTS, ROOT,
     "signed with a digest that is too weak", NULL},
    {"a_signing_key_signed_with_pss_over_sha1", GOOD, "sign-pss-sha1.crt inter.crt", LISTS, ROOT,
     "signed with a digest that is too weak", NULL},
    {"a_signing_key_signed_by_itself", GOOD, "sign-self.crt inter.crt", LISTS, ROOT,
     "is self-signed", NULL},
    {"a_signing_key_that_is_trusted_itself", GOOD, "sign-self.crt", "sign.crl", "sign-self.crt",
     "at least one root and one leaf", NULL},
    {"a_signing_key_without_authority_key_id", GOOD, "sign-no-akid.crt inter.crt", LISTS, ROOT,
     "has no authority key identifier", NULL},
    {"a_signing_key_that_names_another_issuer_key", GOOD, "sign-other-akid.crt inter.crt", LISTS,
     ROOT, "inter.crt has that name, but another key", NULL},
    {"a_bad_signing_key_among_two", "HKD-two.crt", "sign-two-expired.crt " CHAIN, LISTS " two.crl",
     ROOT, "sign-two-expired.crt) has expired", NULL},

    // ---- the chain ----
    {"a_missing_intermediate", GOOD, "sign.crt", LISTS, ROOT,
     "its issuer 'C=US,O=TEST Trust,CN=TEST Intermediate CA' is missing",
     "INTERMEDIATE_CA_CERT_PATH"},
    {"a_missing_second_intermediate", GOOD, "sign-by-inter2.crt inter.crt", LISTS, ROOT,
     "CN=TEST Second Intermediate CA' is missing", NULL},
    {"three_intermediates", GOOD, "sign-by-inter3.crt inter3.crt inter2.crt inter.crt",
     "root.crl inter.crl inter2.crl inter3.crl sign.crl", ROOT, "at most two intermediate CAs",
     NULL},
    {"an_expired_intermediate", GOOD, "sign.crt inter-expired.crt", LISTS, ROOT,
     "inter-expired.crt) has expired", NULL},
    {"an_intermediate_of_the_future", GOOD, "sign.crt inter-future.crt", LISTS, ROOT,
     "inter-future.crt) is not valid yet", NULL},
    {"a_forged_intermediate", GOOD, "sign.crt inter-forged.crt", LISTS, ROOT,
     "inter-forged.crt) has a broken signature", NULL},
    {"an_intermediate_that_is_no_ca", GOOD, "sign.crt inter-no-ca.crt", LISTS, ROOT,
     "is no CA certificate", NULL},
    {"an_intermediate_signed_with_sha1", GOOD, "sign.crt inter-sha1.crt", LISTS, ROOT,
     "signed with a digest that is too weak", NULL},
    {"a_revoked_intermediate", GOOD, "sign.crt inter-revoked.crt",
     "root-revokes.crl inter.crl sign.crl", ROOT, "inter-revoked.crt) was revoked", NULL},
    {"an_intermediate_revoked_by_an_older_list", GOOD, "sign.crt inter-revoked.crt",
     LISTS " root-revokes-old.crl", ROOT, "was revoked, according to", NULL},
    {"an_intermediate_without_authority_key_id", GOOD, "sign.crt inter-no-akid.crt", LISTS, ROOT,
     "has no authority key identifier", NULL},
    {"an_intermediate_that_may_not_sign_lists", GOOD, "sign.crt inter-no-crl-sign.crt", LISTS, ROOT,
     "may not sign lists", NULL},
    {"an_intermediate_with_another_key", GOOD, "sign.crt inter-other-key.crt", LISTS, ROOT,
     "has that name, but another key", NULL},
    {"an_intermediate_of_an_unknown_root", GOOD, "sign.crt inter-by-other.crt", LISTS, ROOT,
     "TEST Other Root CA' is missing", "root"},
    {"a_root_that_is_not_trusted", GOOD, "sign.crt inter-by-other.crt root-other.crt", LISTS, ROOT,
     "is a root that is not trusted here", "--root-ca"},
    {"an_expired_root", GOOD, CHAIN, LISTS, "root-expired.crt", "root-expired.crt) has expired",
     NULL},
    {"a_root_of_the_future", GOOD, CHAIN, LISTS, "root-future.crt", "is not valid yet", NULL},
    {"a_weak_root", GOOD, "sign.crt inter-by-weak.crt", "root-weak.crl inter.crl sign.crl",
     "root-weak.crt", "has a key that is too weak", NULL},
    {"a_forged_root", GOOD, CHAIN, LISTS, "root-forged.crt", "broken signature", NULL},
    {"a_root_that_is_no_ca", GOOD, CHAIN, LISTS, "root-no-ca.crt", "is no CA certificate", NULL},
    {"an_intermediate_as_the_root", GOOD, "sign.crt", LISTS, "inter.crt", "is missing", NULL},
    {"two_roots_in_a_file", GOOD, CHAIN, LISTS, "two-roots.pem", "it holds 2 certificates, not one",
     NULL},
    {"a_root_of_another_world", GOOD, CHAIN, LISTS, "root-other.crt", "is missing", NULL},

    // ---- revocation lists of the chain ----
    {"no_list_of_the_root", GOOD, CHAIN, "inter.crl sign.crl", ROOT,
     "no revocation list of its issuer 'C=US,O=TEST Root Trust,CN=TEST Root CA'", "--crl"},
    {"no_list_of_the_intermediate", GOOD, CHAIN, "root.crl sign.crl", ROOT,
     "no revocation list of its issuer 'C=US,O=TEST Trust,CN=TEST Intermediate CA'", "--crl"},
    {"an_expired_list_of_the_root", GOOD, CHAIN, "root-expired.crl inter.crl sign.crl", ROOT,
     "root-expired.crl) has expired on", "current list"},
    {"an_expired_list_of_the_intermediate", GOOD, CHAIN, "root.crl inter-expired.crl sign.crl",
     ROOT, "inter-expired.crl) has expired on", "nothing about the host key"},
    {"a_list_of_the_root_from_the_future", GOOD, CHAIN, "root-future.crl inter.crl sign.crl", ROOT,
     "root-future.crl) is not valid yet", "clock"},
    {"a_list_of_the_intermediate_from_the_future", GOOD, CHAIN,
     "root.crl inter-future.crl sign.crl", ROOT, "inter-future.crl) is not valid yet", "clock"},
    {"a_forged_list_of_the_root", GOOD, CHAIN, "root-forged.crl inter.crl sign.crl", ROOT,
     "root-forged.crl) has a broken signature", NULL},
    {"a_forged_list_of_the_intermediate", GOOD, CHAIN, "root.crl inter-forged.crl sign.crl", ROOT,
     "inter-forged.crl) has a broken signature", NULL},
    {"a_list_of_the_root_by_another", GOOD, CHAIN, "root-by-inter.crl inter.crl sign.crl", ROOT,
     "root-by-inter.crl) has a broken signature", NULL},
    {"a_delta_list_of_the_intermediate_alone", GOOD, CHAIN, "root.crl inter-delta.crl sign.crl",
     ROOT, "no revocation list of its issuer", NULL},

    {"a_list_of_the_intermediate_signed_with_sha1", GOOD, CHAIN, "root.crl inter-sha1.crl sign.crl",
     ROOT, "inter-sha1.crl is signed with a digest that is too weak", NULL},

    // ---- revocation lists of the signing key ----
    {"no_list_of_the_signing_key", GOOD, CHAIN, "root.crl inter.crl", ROOT,
     "IBM Z signing key: no CRL found", "--crl"},
    {"a_list_under_another_name", GOOD, CHAIN, "root.crl inter.crl sign-other-name.crl", ROOT,
     "no CRL found", NULL},
    {"an_expired_list", GOOD, CHAIN, "root.crl inter.crl sign-expired.crl", ROOT,
     "sign-expired.crl: it has expired on", "host key itself may be good"},
    {"a_list_from_the_future", GOOD, CHAIN, "root.crl inter.crl sign-future.crl", ROOT,
     "sign-future.crl: it is not valid yet", NULL},
    {"a_forged_list", GOOD, CHAIN, "root.crl inter.crl sign-forged.crl", ROOT,
     "sign-forged.crl: signature is not valid", NULL},
    {"a_list_of_another_signing_key", GOOD, CHAIN, "root.crl inter.crl two.crl", ROOT,
     "two.crl: AKID mismatch", NULL},
    {"a_list_that_names_another_key", GOOD, CHAIN, "root.crl inter.crl sign-akid.crl", ROOT,
     "sign-akid.crl: AKID mismatch", NULL},
    {"a_list_by_another_key_that_names_none", GOOD, CHAIN, "root.crl inter.crl sign-by-two.crl",
     ROOT, "signature is not valid", NULL},
    {"a_delta_list_alone", GOOD, CHAIN, "root.crl inter.crl sign-delta.crl", ROOT,
     "it is a delta list", NULL},
    {"a_list_of_cas_alone", GOOD, CHAIN, "root.crl inter.crl sign-only-cas.crl", ROOT,
     "some certificates or reasons only", NULL},
    {"a_list_with_an_unknown_critical_extension", GOOD, CHAIN,
     "root.crl inter.crl sign-critical.crl", ROOT, "critical extension", NULL},
    {"a_list_without_an_end", GOOD, CHAIN, "root.crl inter.crl sign-no-next.crl", ROOT,
     "no date until which it is valid", NULL},
    {"a_list_signed_with_sha1", GOOD, CHAIN, "root.crl inter.crl sign-sha1.crl", ROOT,
     "digest that is too weak", NULL},
    {"a_poughkeepsie_key_with_an_armonk_list", GOOD, "sign-old.crt inter.crt", LISTS, ROOT,
     "no CRL found", NULL},
    {"an_expired_list_whose_name_fits_better", GOOD, CHAIN,
     "root.crl inter.crl sign-expired.crl sign-old.crl", ROOT, "sign-expired.crl: it has expired",
     NULL},
    {"a_list_for_one_key_of_two", "HKD-two.crt", "sign.crt sign-two.crt inter.crt", LISTS, ROOT,
     "no valid CRL found", NULL},

    // ---- files ----
    {"a_missing_certificate_file", GOOD, "nowhere.crt", LISTS, ROOT, "nowhere.crt", NULL},
    {"a_missing_list_file", GOOD, CHAIN, "nowhere.crl", ROOT, "revocation list: ", NULL},
    {"a_missing_root_file", GOOD, CHAIN, LISTS, "nowhere.crt", "root CA: ", NULL},
    {"a_list_where_a_certificate_should_be", GOOD, "sign.crl", LISTS, ROOT,
     "it holds no certificate, but a revocation list", "signing key"},
    {"a_certificate_where_a_list_should_be", GOOD, CHAIN, "sign.crt", ROOT,
     "it holds no revocation list (CRL), but a certificate", "*.crl"},
    {"a_certificate_in_a_list_file_does_not_count", GOOD, "inter.crt", "crl-and-certificate.pem",
     ROOT, "at least one IBM Z signing key", NULL},
    {"garbage_as_a_certificate", GOOD, "garbage", LISTS, ROOT,
     "garbage: it is not a certificate, neither PEM nor DER", NULL},
    {"garbage_as_a_list", GOOD, CHAIN, "garbage", ROOT,
     "garbage: it is not a revocation list (CRL), neither PEM nor DER", NULL},
    {"an_empty_certificate_file", GOOD, "empty", LISTS, ROOT, "empty: it is empty", NULL},
    {"a_certificate_file_that_breaks_off", GOOD, "cut.pem", LISTS, ROOT,
     "cut.pem: block 2 in it is damaged", NULL},
    {"a_damaged_certificate", GOOD, "damaged.pem", LISTS, ROOT,
     "damaged.pem: certificate 1 in it is damaged", NULL},
    {"bytes_behind_a_certificate", GOOD, "behind.crt inter.crt", LISTS, ROOT,
     "behind.crt: it is not a certificate", NULL},
    {"a_private_key_among_the_certificates", GOOD, "private.pem", LISTS, ROOT,
     "it holds a private key", "secret"},
    {"another_kind_of_pem", GOOD, "other.pem", LISTS, ROOT, "it holds no certificate, but a PKCS7",
     NULL},
    {"a_directory", GOOD, ".", LISTS, ROOT, "directory", NULL},
};

static void check_case(void **state)
{
    const struct verdict *v = *state;
    struct files f;
    cleanup_error struct error *err = NULL;
    begin_case(v, &f);
    int result = host_keys_verify(f.loaded, f.hosts.n, &f.trust, &err);
    assert_verdict(v, result, &err);
    // Nothing depends on whether somebody wants to know why.
    assert_int_equal(host_keys_verify(f.loaded, f.hosts.n, &f.trust, NULL), result);
    end_case(&f);
}

// A test for each line of the table.
__attribute__((constructor)) static void register_verdicts(void)
{
    for (size_t i = 0; i < ARRAY_LEN(verdicts); i++) {
        const struct CMUnitTest t = {.name = verdicts[i].name,
                                     .test_func = check_case,
                                     .initial_state = (void *)&verdicts[i]};
        test_register(__FILE__, __LINE__, &t);
    }
}

// ---- what does not fit the table ----

ALL_TESTS(begin, end)

TEST(genprotimg_takes_one_signing_key_only)
{
    static const char *const certificates[] = {"sign.crt sign-two.crt inter.crt", "both-keys.pem",
                                               "sign.crt sign.crt inter.crt"};
    for (size_t i = 0; i < ARRAY_LEN(certificates); i++) {
        struct verdict v = genuine;
        struct files f;
        cleanup_error struct error *err = NULL;
        v.certificates = certificates[i];
        begin_case(&v, &f);
        f.trust.one_signing_key = true;
        assert_int_equal(host_keys_verify(f.loaded, 1, &f.trust, &err), -1);
        assert_message(err, "please specify only one IBM Z signing key");
        end_case(&f);
    }
}

// Days from now; the document is valid 100 days, lists 10.
TEST(the_verdict_depends_on_the_given_time)
{
    static const struct {
        int days;
        const char *message;
    } cases[] = {{0, NULL},
                 {9, NULL},
                 {11, "has expired"},
                 {-11, "is not valid yet"},
                 {301, "sign.crt) has expired"},
                 {901, "has expired"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct verdict v = genuine;
        struct files f;
        cleanup_error struct error *err = NULL;
        v.message = cases[i].message;
        begin_case(&v, &f);
        f.trust.now = time(NULL) + (time_t)cases[i].days * 86400;
        assert_verdict(&v, host_keys_verify(f.loaded, 1, &f.trust, &err), &err);
        end_case(&f);
    }
}

TEST(this_systems_store_counts_without_an_own_root)
{
    struct files f;
    cleanup_error struct error *err = NULL;
    begin_case(&genuine, &f);
    f.trust.root_ca = NULL;
    setenv("SSL_CERT_DIR", "/nonexistent", 1);
    setenv("SSL_CERT_FILE", f.root, 1);
    assert_good(host_keys_verify(f.loaded, 1, &f.trust, &err));
    setenv("SSL_CERT_FILE", "/nonexistent", 1);
    assert_int_equal(host_keys_verify(f.loaded, 1, &f.trust, &err), -1);
    assert_message(err, "TEST Root CA' is missing");
    assert_non_null(strstr(err->hint, "ca-certificates"));
    // In a directory the root's file is named after its subject.
    cleanup_free char *store = xasprintf("%s/store", folder);
    X509_NAME *name = world_name(ROOT_NAME);
    cleanup_free char *link_path =
        xasprintf("%s/%08lx.0", store, X509_NAME_hash_ex(name, NULL, NULL, NULL));
    X509_NAME_free(name);
    assert_int_equal(mkdir(store, 0755), 0);
    assert_int_equal(symlink(f.root, link_path), 0);
    setenv("SSL_CERT_DIR", store, 1);
    error_free(steal(err));
    assert_good(host_keys_verify(f.loaded, 1, &f.trust, &err));
    end_case(&f);
}

TEST(a_good_document_passes_beside_a_bad_one)
{
    struct verdict v = genuine;
    struct files f;
    cleanup_error struct error *err = NULL;
    v.hosts = "HKD-expired.crt HKD-good.crt";
    begin_case(&v, &f);
    struct trust_store *s = trust_open(&f.trust, &err);
    assert_non_null(s);
    assert_int_equal(trust_check(s, &f.loaded[0], &err), -1);
    assert_message(err, "has expired");
    error_free(steal(err));
    assert_good(trust_check(s, &f.loaded[1], &err));
    trust_close(s);
    end_case(&f);
}

static void keep_warning(enum log_level level, const char *line, void *context)
{
    if (level == LOG_WARNING)
        buf_printf(context, "%s\n", line);
}

static void warnings_of(const struct verdict *v, struct buf *out)
{
    struct files f;
    cleanup_error struct error *err = NULL;
    begin_case(v, &f);
    log_redirect(keep_warning, out);
    int result = host_keys_verify(f.loaded, f.hosts.n, &f.trust, &err);
    log_redirect(NULL, NULL);
    assert_good(result);
    end_case(&f);
}

TEST(what_was_dropped_is_said_once)
{
    struct verdict v = genuine;
    cleanup_buf struct buf said = {0};
    v.hosts = GOOD " HKD-second.crt";
    v.crls = LISTS " sign-forged.crl";
    warnings_of(&v, &said);
    char *first = strstr(said.data, "sign-forged.crl: CRL is not valid: signature is not valid");
    assert_non_null(first);
    assert_null(strstr(first + 1, "sign-forged.crl"));
    assert_non_null(strstr(said.data, "the root of trust is"));
}

TEST(lists_of_another_signing_key_are_no_warning)
{
    struct verdict v = genuine;
    cleanup_buf struct buf said = {0};
    v.hosts = GOOD " HKD-two.crt";
    v.certificates = "both-keys.pem";
    v.crls = LISTS " two.crl";
    warnings_of(&v, &said);
    assert_null(strstr(said.data, "CRL is not valid"));
}

TEST(documents_are_put_in_words)
{
    struct files f;
    begin_case(&genuine, &f);
    struct host_key_text t = host_key_text(&f.loaded[0]);
    assert_int_equal(strlen(t.hash), 64);
    assert_string_equal(t.subject,
                        "C=US,O=International Business Machines Corporation,CN=TEST host key");
    assert_non_null(strstr(t.issuer, "L=Poughkeepsie"));
    assert_string_equal(t.serial, "64");
    assert_int_equal(strlen(t.from), strlen("2026-01-31 12:00:00 UTC"));
    assert_true(strcmp(t.from, t.to) < 0);
    host_key_text_free(&t);
    end_case(&f);
}
