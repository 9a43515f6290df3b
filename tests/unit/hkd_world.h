// SPDX-License-Identifier: Apache-2.0
// A world of certificates for tests: CAs, signing keys, host key documents and revocation lists,
// good ones and every bad kind, written to a directory under the names of the two tables below.
// Keys are made anew each time; what could be mistaken for real says TEST.
#ifndef KBUILD_TESTS_SEAL_WORLD_H
#define KBUILD_TESTS_SEAL_WORLD_H

#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Ends the program: the world is a precondition, not a test.
#define world_need(condition)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "the test world: line %d: %s\n", __LINE__, #condition);                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

// ---- names ----
#define IBM_ "International Business Machines Corporation"
#define ROOT_NAME "C=US|O=TEST Root Trust|CN=TEST Root CA"
#define OTHER_ROOT_NAME "C=US|O=TEST Root Trust|CN=TEST Other Root CA"
#define INTER_NAME "C=US|O=TEST Trust|CN=TEST Intermediate CA"
#define INTER2_NAME "C=US|O=TEST Trust|CN=TEST Second Intermediate CA"
#define INTER3_NAME "C=US|O=TEST Trust|CN=TEST Third Intermediate CA"
#define SIGN_IN(place)                                                                             \
    "C=US|ST=New York|L=" place "|O=" IBM_ "|OU=TEST Host Key Signing Service|CN=" IBM_
#define ARMONK SIGN_IN("Armonk")
#define POUGHKEEPSIE SIGN_IN("Poughkeepsie")
// The order in which old lists name their issuer.
#define OLD_ORDER(place)                                                                           \
    "C=US|O=" IBM_ "|OU=TEST Host Key Signing Service|L=" place "|ST=New York|CN=" IBM_
#define HOST_NAME "C=US|O=" IBM_ "|CN=TEST host key"

// ---- keys ----
enum world_key {
    K_ROOT,   // RSA 2048
    K_INTER,  // RSA 2048
    K_SIGN,   // RSA 2048
    K_TWO,    // RSA 2048, another signing key
    K_WEAK,   // RSA 1024
    K_EC,     // P-384
    K_OTHER,  // P-256, of a CA that nobody trusts
    K_INTER2, // P-256
    K_INTER3, // P-256
    K_PSS,    // RSA-PSS 2048, another signing key
    K_HOST,   // P-521
    K_HOST2,  // P-521
    K_COUNT
};

enum world_signature { S_SHA512, S_SHA256, S_SHA1, S_PSS, S_PSS_SHA1 };

enum world_flag {
    CA = 1,
    NO_AKID = 2,    // no authority key identifier
    OTHER_AKID = 4, // that of K_TWO
    FORGED = 8,     // the signature is changed afterwards
    CHANGED = 16,   // the contents are
    NO_CRL_SIGN = 32,
    DELTA = 64,
    ONLY_CAS = 128,
    CRITICAL = 256,     // an unknown critical extension
    NO_NEXT = 512,      // nextUpdate is missing
    ISSUER_AKID = 1024, // with issuer and serial, which fit nothing
};

struct world_certificate {
    const char *file, *subject;
    enum world_key key;
    const char *issuer;
    enum world_key issuer_key;
    int from, to; // days from now
    long serial;
    enum world_signature signature;
    unsigned flags;
    const char *url; // of its distribution point, after the base; or NULL
};

// Serial numbers: 66 is on the lists that revoke.
static const struct world_certificate world_certificates[] = {
    // file, subject, key, issuer, its key, from, to, serial, signature, flags, url
    {"root.crt", ROOT_NAME, K_ROOT, ROOT_NAME, K_ROOT, -900, 900, 1, S_SHA256, CA, NULL},
    {"root-expired.crt", ROOT_NAME, K_ROOT, ROOT_NAME, K_ROOT, -900, -1, 1, S_SHA256, CA, NULL},
    {"root-future.crt", ROOT_NAME, K_ROOT, ROOT_NAME, K_ROOT, 1, 900, 1, S_SHA256, CA, NULL},
    {"root-weak.crt", ROOT_NAME, K_WEAK, ROOT_NAME, K_WEAK, -900, 900, 1, S_SHA256, CA, NULL},
    {"root-forged.crt", ROOT_NAME, K_ROOT, ROOT_NAME, K_ROOT, -900, 900, 1, S_SHA256, CA | FORGED,
     NULL},
    {"root-no-ca.crt", ROOT_NAME, K_ROOT, ROOT_NAME, K_ROOT, -900, 900, 1, S_SHA256, 0, NULL},
    {"root-other.crt", OTHER_ROOT_NAME, K_OTHER, OTHER_ROOT_NAME, K_OTHER, -900, 900, 1, S_SHA256,
     CA, NULL},

    {"inter.crt", INTER_NAME, K_INTER, ROOT_NAME, K_ROOT, -900, 900, 2, S_SHA256, CA, NULL},
    {"inter-expired.crt", INTER_NAME, K_INTER, ROOT_NAME, K_ROOT, -900, -1, 2, S_SHA256, CA, NULL},
    {"inter-future.crt", INTER_NAME, K_INTER, ROOT_NAME, K_ROOT, 1, 900, 2, S_SHA256, CA, NULL},
    {"inter-forged.crt", INTER_NAME, K_INTER, ROOT_NAME, K_ROOT, -900, 900, 2, S_SHA256,
     CA | FORGED, NULL},
    {"inter-no-ca.crt", INTER_NAME, K_INTER, ROOT_NAME, K_ROOT, -900, 900, 2, S_SHA256, 0, NULL},
    {"inter-sha1.crt", INTER_NAME, K_INTER, ROOT_NAME, K_ROOT, -900, 900, 2, S_SHA1, CA, NULL},
    {"inter-weak.crt", INTER_NAME, K_WEAK, ROOT_NAME, K_ROOT, -900, 900, 2, S_SHA256, CA, NULL},
    {"inter-by-weak.crt", INTER_NAME, K_INTER, ROOT_NAME, K_WEAK, -900, 900, 2, S_SHA256, CA, NULL},
    {"inter-revoked.crt", INTER_NAME, K_INTER, ROOT_NAME, K_ROOT, -900, 900, 66, S_SHA256, CA,
     NULL},
    {"inter-no-akid.crt", INTER_NAME, K_INTER, ROOT_NAME, K_ROOT, -900, 900, 2, S_SHA256,
     CA | NO_AKID, NULL},
    {"inter-no-crl-sign.crt", INTER_NAME, K_INTER, ROOT_NAME, K_ROOT, -900, 900, 2, S_SHA256,
     CA | NO_CRL_SIGN, NULL},
    {"inter-by-other.crt", INTER_NAME, K_INTER, OTHER_ROOT_NAME, K_OTHER, -900, 900, 2, S_SHA256,
     CA, NULL},
    {"inter-other-key.crt", INTER_NAME, K_OTHER, ROOT_NAME, K_ROOT, -900, 900, 2, S_SHA256, CA,
     NULL},
    {"inter-pss.crt", INTER_NAME, K_INTER, ROOT_NAME, K_ROOT, -900, 900, 2, S_PSS, CA, NULL},
    {"inter2.crt", INTER2_NAME, K_INTER2, INTER_NAME, K_INTER, -900, 900, 3, S_SHA256, CA, NULL},
    {"inter3.crt", INTER3_NAME, K_INTER3, INTER2_NAME, K_INTER2, -900, 900, 4, S_SHA256, CA, NULL},
    {"inter-online.crt", INTER_NAME, K_INTER, ROOT_NAME, K_ROOT, -900, 900, 2, S_SHA256, CA,
     "plain/root.crl"},

    {"sign.crt", ARMONK, K_SIGN, INTER_NAME, K_INTER, -300, 300, 10, S_SHA256, 0, NULL},
    {"sign-old.crt", POUGHKEEPSIE, K_SIGN, INTER_NAME, K_INTER, -300, 300, 11, S_SHA256, 0, NULL},
    {"sign-reordered.crt", OLD_ORDER("Armonk"), K_SIGN, INTER_NAME, K_INTER, -300, 300, 12,
     S_SHA256, 0, NULL},
    {"sign-expired.crt", ARMONK, K_SIGN, INTER_NAME, K_INTER, -300, -1, 13, S_SHA256, 0, NULL},
    {"sign-future.crt", ARMONK, K_SIGN, INTER_NAME, K_INTER, 1, 300, 14, S_SHA256, 0, NULL},
    {"sign-revoked.crt", ARMONK, K_SIGN, INTER_NAME, K_INTER, -300, 300, 66, S_SHA256, 0, NULL},
    {"sign-forged.crt", ARMONK, K_SIGN, INTER_NAME, K_INTER, -300, 300, 15, S_SHA256, FORGED, NULL},
    {"sign-sha1.crt", ARMONK, K_SIGN, INTER_NAME, K_INTER, -300, 300, 16, S_SHA1, 0, NULL},
    {"sign-weak.crt", ARMONK, K_WEAK, INTER_NAME, K_INTER, -300, 300, 17, S_SHA256, 0, NULL},
    {"sign-ec.crt", ARMONK, K_EC, INTER_NAME, K_INTER, -300, 300, 18, S_SHA256, 0, NULL},
    {"sign-pss.crt", ARMONK, K_SIGN, INTER_NAME, K_INTER, -300, 300, 19, S_PSS, 0, NULL},
    {"sign-pss-key.crt", ARMONK, K_PSS, INTER_NAME, K_INTER, -300, 300, 20, S_SHA256, 0, NULL},
    {"sign-pss-sha1.crt", ARMONK, K_SIGN, INTER_NAME, K_INTER, -300, 300, 19, S_PSS_SHA1, 0, NULL},
    {"sign-two.crt", ARMONK, K_TWO, INTER_NAME, K_INTER, -300, 300, 20, S_SHA256, 0, NULL},
    {"sign-two-expired.crt", ARMONK, K_TWO, INTER_NAME, K_INTER, -300, -1, 20, S_SHA256, 0, NULL},
    {"sign-by-root.crt", ARMONK, K_SIGN, ROOT_NAME, K_ROOT, -300, 300, 21, S_SHA256, 0, NULL},
    {"sign-by-inter2.crt", ARMONK, K_SIGN, INTER2_NAME, K_INTER2, -300, 300, 22, S_SHA256, 0, NULL},
    {"sign-by-inter3.crt", ARMONK, K_SIGN, INTER3_NAME, K_INTER3, -300, 300, 23, S_SHA256, 0, NULL},
    {"sign-self.crt", ARMONK, K_SIGN, ARMONK, K_SIGN, -300, 300, 24, S_SHA256, 0, NULL},
    {"sign-no-akid.crt", ARMONK, K_SIGN, INTER_NAME, K_INTER, -300, 300, 25, S_SHA256, NO_AKID,
     NULL},
    {"sign-other-akid.crt", ARMONK, K_SIGN, INTER_NAME, K_INTER, -300, 300, 26, S_SHA256,
     OTHER_AKID, NULL},
    {"sign-ou.crt", "C=US|ST=New York|L=Armonk|O=" IBM_ "|OU=TEST Key Signing Service 2|CN=" IBM_,
     K_SIGN, INTER_NAME, K_INTER, -300, 300, 27, S_SHA256, 0, NULL},
    {"sign-ou-case.crt",
     "C=US|ST=New York|L=Armonk|O=" IBM_ "|OU=TEST key signing service|CN=" IBM_, K_SIGN,
     INTER_NAME, K_INTER, -300, 300, 28, S_SHA256, 0, NULL},
    {"sign-seven.crt", ARMONK "|OU=TEST", K_SIGN, INTER_NAME, K_INTER, -300, 300, 29, S_SHA256, 0,
     NULL},
    {"sign-five.crt", "C=US|ST=New York|O=" IBM_ "|OU=TEST Key Signing Service|CN=" IBM_, K_SIGN,
     INTER_NAME, K_INTER, -300, 300, 30, S_SHA256, 0, NULL},
    {"sign-cn.crt",
     "C=US|ST=New York|L=Armonk|O=" IBM_ "|OU=TEST Key Signing Service|CN=" IBM_ " TEST", K_SIGN,
     INTER_NAME, K_INTER, -300, 300, 31, S_SHA256, 0, NULL},
    {"sign-place.crt", SIGN_IN("New York"), K_SIGN, INTER_NAME, K_INTER, -300, 300, 32, S_SHA256, 0,
     NULL},
    {"sign-online.crt", ARMONK, K_SIGN, INTER_NAME, K_INTER, -300, 300, 33, S_SHA256, 0,
     "plain/inter.crl"},

    {"HKD-good.crt", HOST_NAME, K_HOST, POUGHKEEPSIE, K_SIGN, -100, 100, 100, S_SHA512, 0, NULL},
    {"HKD-second.crt", HOST_NAME, K_HOST2, ARMONK, K_SIGN, -100, 100, 101, S_SHA512, 0, NULL},
    {"HKD-expired.crt", HOST_NAME, K_HOST, ARMONK, K_SIGN, -100, -1, 102, S_SHA512, 0, NULL},
    {"HKD-future.crt", HOST_NAME, K_HOST, ARMONK, K_SIGN, 1, 100, 103, S_SHA512, 0, NULL},
    {"HKD-revoked.crt", HOST_NAME, K_HOST, ARMONK, K_SIGN, -100, 100, 66, S_SHA512, 0, NULL},
    {"HKD-forged.crt", HOST_NAME, K_HOST, ARMONK, K_SIGN, -100, 100, 104, S_SHA512, FORGED, NULL},
    {"HKD-changed.crt", HOST_NAME, K_HOST, ARMONK, K_SIGN, -100, 100, 105, S_SHA512, CHANGED, NULL},
    {"HKD-forged-no-akid.crt", HOST_NAME, K_HOST, ARMONK, K_SIGN, -100, 100, 106, S_SHA512,
     FORGED | NO_AKID, NULL},
    {"HKD-no-akid.crt", HOST_NAME, K_HOST, ARMONK, K_SIGN, -100, 100, 107, S_SHA512, NO_AKID, NULL},
    {"HKD-other-akid.crt", HOST_NAME, K_HOST, ARMONK, K_SIGN, -100, 100, 108, S_SHA512, OTHER_AKID,
     NULL},
    {"HKD-issuer-akid.crt", HOST_NAME, K_HOST, ARMONK, K_SIGN, -100, 100, 109, S_SHA512,
     ISSUER_AKID, NULL},
    {"HKD-other-name.crt", HOST_NAME, K_HOST, OTHER_ROOT_NAME, K_SIGN, -100, 100, 110, S_SHA512, 0,
     NULL},
    {"HKD-two.crt", HOST_NAME, K_HOST, ARMONK, K_TWO, -100, 100, 111, S_SHA512, 0, NULL},
    {"HKD-two-no-akid.crt", HOST_NAME, K_HOST, ARMONK, K_TWO, -100, 100, 111, S_SHA512, NO_AKID,
     NULL},
    {"HKD-ec.crt", HOST_NAME, K_HOST, ARMONK, K_EC, -100, 100, 112, S_SHA512, 0, NULL},
    {"HKD-weak.crt", HOST_NAME, K_HOST, ARMONK, K_WEAK, -100, 100, 113, S_SHA512, 0, NULL},
    {"HKD-pss.crt", HOST_NAME, K_HOST, ARMONK, K_SIGN, -100, 100, 114, S_PSS, 0, NULL},
    {"HKD-pss-key.crt", HOST_NAME, K_HOST, ARMONK, K_PSS, -100, 100, 121, S_PSS, 0, NULL},
    {"HKD-pss-sha1.crt", HOST_NAME, K_HOST, ARMONK, K_SIGN, -100, 100, 115, S_PSS_SHA1, 0, NULL},
    {"HKD-sha1.crt", HOST_NAME, K_HOST, ARMONK, K_SIGN, -100, 100, 116, S_SHA1, 0, NULL},
    {"HKD-self.crt", HOST_NAME, K_HOST, HOST_NAME, K_HOST, -100, 100, 117, S_SHA512, 0, NULL},
    {"HKD-by-inter.crt", HOST_NAME, K_HOST, INTER_NAME, K_INTER, -100, 100, 118, S_SHA512, 0, NULL},
    {"HKD-rsa.crt", HOST_NAME, K_TWO, ARMONK, K_SIGN, -100, 100, 119, S_SHA512, 0, NULL},
    {"HKD-p384.crt", HOST_NAME, K_EC, ARMONK, K_SIGN, -100, 100, 120, S_SHA512, 0, NULL},
    {"HKD-online.crt", HOST_NAME, K_HOST, ARMONK, K_SIGN, -100, 100, 121, S_SHA512, 0,
     "plain/sign.crl"},
    {"HKD-online-revoked.crt", HOST_NAME, K_HOST, ARMONK, K_SIGN, -100, 100, 66, S_SHA512, 0,
     "plain/sign-revokes.crl"},
    {"HKD-online-moved.crt", HOST_NAME, K_HOST, ARMONK, K_SIGN, -100, 100, 122, S_SHA512, 0,
     "redirect/plain/sign.crl"},
    {"HKD-online-missing.crt", HOST_NAME, K_HOST, ARMONK, K_SIGN, -100, 100, 123, S_SHA512, 0,
     "status/404"},
    {"HKD-online-file.crt", HOST_NAME, K_HOST, ARMONK, K_SIGN, -100, 100, 124, S_SHA512, 0,
     "to-file"},
    {"HKD-online-large.crt", HOST_NAME, K_HOST, ARMONK, K_SIGN, -100, 100, 125, S_SHA512, 0,
     "plain/large.crl"},
    {"HKD-online-stall.crt", HOST_NAME, K_HOST, ARMONK, K_SIGN, -100, 100, 126, S_SHA512, 0,
     "stall/sign.crl"},
    {"HKD-online-der.crt", HOST_NAME, K_HOST, ARMONK, K_SIGN, -100, 100, 127, S_SHA512, 0,
     "plain/sign-der.crl"},
    {"HKD-online-garbage.crt", HOST_NAME, K_HOST, ARMONK, K_SIGN, -100, 100, 128, S_SHA512, 0,
     "plain/root.crt"},
    {"HKD-online-forged.crt", HOST_NAME, K_HOST, ARMONK, K_SIGN, -100, 100, 129, S_SHA512, FORGED,
     "plain/sign.crl"},
};

struct world_crl {
    const char *file, *issuer;
    enum world_key key;
    int from, to;
    long revoked; // a serial number, or 0
    enum world_signature signature;
    unsigned flags;
};

static const struct world_crl world_crls[] = {
    {"root.crl", ROOT_NAME, K_ROOT, -10, 10, 0, S_SHA256, 0},
    {"root-revokes.crl", ROOT_NAME, K_ROOT, -10, 10, 66, S_SHA256, 0},
    {"root-revokes-old.crl", ROOT_NAME, K_ROOT, -20, 10, 66, S_SHA256, 0},
    {"root-expired.crl", ROOT_NAME, K_ROOT, -10, -1, 0, S_SHA256, 0},
    {"root-future.crl", ROOT_NAME, K_ROOT, 1, 10, 0, S_SHA256, 0},
    {"root-forged.crl", ROOT_NAME, K_ROOT, -10, 10, 0, S_SHA256, FORGED},
    {"root-by-inter.crl", ROOT_NAME, K_INTER, -10, 10, 0, S_SHA256, NO_AKID},
    {"root-weak.crl", ROOT_NAME, K_WEAK, -10, 10, 0, S_SHA256, 0},
    {"root-other.crl", OTHER_ROOT_NAME, K_OTHER, -10, 10, 0, S_SHA256, 0},
    {"inter.crl", INTER_NAME, K_INTER, -10, 10, 0, S_SHA256, 0},
    {"inter-revokes.crl", INTER_NAME, K_INTER, -10, 10, 66, S_SHA256, 0},
    {"inter-expired.crl", INTER_NAME, K_INTER, -10, -1, 0, S_SHA256, 0},
    {"inter-future.crl", INTER_NAME, K_INTER, 1, 10, 0, S_SHA256, 0},
    {"inter-forged.crl", INTER_NAME, K_INTER, -10, 10, 0, S_SHA256, FORGED},
    {"inter-sha1.crl", INTER_NAME, K_INTER, -10, 10, 0, S_SHA1, 0},
    {"inter-delta.crl", INTER_NAME, K_INTER, -10, 10, 0, S_SHA256, DELTA},
    {"inter2.crl", INTER2_NAME, K_INTER2, -10, 10, 0, S_SHA256, 0},
    {"inter3.crl", INTER3_NAME, K_INTER3, -10, 10, 0, S_SHA256, 0},
    {"inter-weak.crl", INTER_NAME, K_WEAK, -10, 10, 0, S_SHA256, 0},

    {"sign.crl", ARMONK, K_SIGN, -10, 10, 0, S_SHA256, 0},
    {"sign-revokes.crl", ARMONK, K_SIGN, -10, 10, 66, S_SHA256, 0},
    {"sign-revokes-old.crl", ARMONK, K_SIGN, -20, -1, 66, S_SHA256, 0},
    {"sign-expired.crl", ARMONK, K_SIGN, -10, -1, 0, S_SHA256, 0},
    {"sign-future.crl", ARMONK, K_SIGN, 1, 10, 0, S_SHA256, 0},
    {"sign-forged.crl", ARMONK, K_SIGN, -10, 10, 0, S_SHA256, FORGED},
    {"sign-akid.crl", ARMONK, K_SIGN, -10, 10, 0, S_SHA256, OTHER_AKID},
    {"sign-by-two.crl", ARMONK, K_TWO, -10, 10, 0, S_SHA256, NO_AKID},
    {"sign-no-akid.crl", ARMONK, K_SIGN, -10, 10, 0, S_SHA256, NO_AKID},
    {"sign-delta.crl", ARMONK, K_SIGN, -10, 10, 0, S_SHA256, DELTA},
    {"sign-delta-revokes.crl", ARMONK, K_SIGN, -10, 10, 66, S_SHA256, DELTA},
    {"sign-only-cas.crl", ARMONK, K_SIGN, -10, 10, 0, S_SHA256, ONLY_CAS},
    {"sign-critical.crl", ARMONK, K_SIGN, -10, 10, 0, S_SHA256, CRITICAL},
    {"sign-no-next.crl", ARMONK, K_SIGN, -10, 10, 0, S_SHA256, NO_NEXT},
    {"sign-sha1.crl", ARMONK, K_SIGN, -10, 10, 0, S_SHA1, 0},
    {"sign-pss-key.crl", ARMONK, K_PSS, -10, 10, 0, S_PSS, 0},
    {"sign-pss.crl", ARMONK, K_SIGN, -10, 10, 0, S_PSS, 0},
    {"sign-old.crl", POUGHKEEPSIE, K_SIGN, -10, 10, 0, S_SHA256, 0},
    {"sign-old-revokes.crl", POUGHKEEPSIE, K_SIGN, -10, 10, 66, S_SHA256, 0},
    {"sign-old-order.crl", OLD_ORDER("Armonk"), K_SIGN, -10, 10, 0, S_SHA256, 0},
    {"sign-old-both.crl", OLD_ORDER("Poughkeepsie"), K_SIGN, -10, 10, 0, S_SHA256, 0},
    {"sign-other-name.crl", ROOT_NAME, K_SIGN, -10, 10, 0, S_SHA256, 0},
    {"two.crl", ARMONK, K_TWO, -10, 10, 0, S_SHA256, 0},
    {"two-revokes.crl", ARMONK, K_TWO, -10, 10, 66, S_SHA256, 0},
    {"ec.crl", ARMONK, K_EC, -10, 10, 0, S_SHA256, 0},
};

// Files that are made of others: PEM one after the other, or DER of the first.
static const struct world_bundle {
    const char *file, *parts[6];
    bool der;
} world_bundles[] = {
    {"chain.pem", {"sign.crt", "inter.crt"}, false},
    {"chain-and-root.pem", {"root.crt", "inter.crt", "sign.crt"}, false},
    {"chain-with-crls.pem", {"sign.crt", "sign.crl", "inter.crt", "inter.crl", "root.crl"}, false},
    {"crls.pem", {"root.crl", "inter.crl", "sign.crl"}, false},
    {"crl-and-certificate.pem",
     {"root.crl", "sign.crt", "inter.crt", "inter.crl", "sign.crl"},
     false},
    {"both-keys.pem", {"sign.crt", "sign-two.crt", "inter.crt"}, false},
    {"root-with-crl.pem", {"root.crt", "root.crl"}, false},
    {"two-roots.pem", {"root.crt", "root-other.crt"}, false},
    {"sign-der.crt", {"sign.crt"}, true},
    {"inter-der.crt", {"inter.crt"}, true},
    {"root-der.crt", {"root.crt"}, true},
    {"HKD-good-der.crt", {"HKD-good.crt"}, true},
    {"sign-der.crl", {"sign.crl"}, true},
    {"inter-der.crl", {"inter.crl"}, true},
    {"root-der.crl", {"root.crl"}, true},
};

// ---- making ----
struct world {
    const char *folder;
    const char *base; // of urls, with a slash at the end
    EVP_PKEY *keys[K_COUNT];
};

static inline X509_NAME *world_name(const char *text)
{
    char *copy = strdup(text), *rest = copy, *part;
    X509_NAME *name = X509_NAME_new();
    while ((part = strsep(&rest, "|"))) {
        char *value = strchr(part, '=');
        *value++ = '\0';
        world_need(X509_NAME_add_entry_by_txt(name, part, MBSTRING_UTF8,
                                              (const unsigned char *)value, -1, -1, 0) == 1);
    }
    free(copy);
    return name;
}

static inline EVP_PKEY *world_pss_key(void)
{
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA-PSS", NULL);
    world_need(EVP_PKEY_keygen_init(ctx) == 1 && EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, 2048) == 1 &&
               EVP_PKEY_keygen(ctx, &key) == 1);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static inline ASN1_OCTET_STRING *world_key_id(EVP_PKEY *key)
{
    unsigned char *der = NULL, hash[20];
    int length = i2d_PUBKEY(key, &der);
    world_need(length > 0 && EVP_Digest(der, (size_t)length, hash, NULL, EVP_sha1(), NULL) == 1);
    ASN1_OCTET_STRING *id = ASN1_OCTET_STRING_new();
    ASN1_OCTET_STRING_set(id, hash, sizeof hash);
    OPENSSL_free(der);
    return id;
}

// NULL: none is wanted.
static inline AUTHORITY_KEYID *world_authority(const struct world *w, enum world_key key,
                                               unsigned flags)
{
    if (flags & NO_AKID)
        return NULL;
    AUTHORITY_KEYID *id = AUTHORITY_KEYID_new();
    id->keyid = world_key_id(w->keys[flags & OTHER_AKID ? K_TWO : key]);
    if (flags & ISSUER_AKID) {
        GENERAL_NAME *name = GENERAL_NAME_new();
        GENERAL_NAME_set0_value(name, GEN_DIRNAME, world_name(OTHER_ROOT_NAME));
        id->issuer = sk_GENERAL_NAME_new_null();
        sk_GENERAL_NAME_push(id->issuer, name);
        id->serial = ASN1_INTEGER_new();
        ASN1_INTEGER_set(id->serial, 4711);
    }
    return id;
}

// For X509_sign_ctx() and X509_CRL_sign_ctx().
static inline EVP_MD_CTX *world_signer(EVP_PKEY *key, enum world_signature signature)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *p;
    bool sha1 = signature == S_SHA1 || signature == S_PSS_SHA1;
    const EVP_MD *md = sha1 ? EVP_sha1() : signature == S_SHA512 ? EVP_sha512() : EVP_sha256();
    // 1024 bits have no room for longer.
    world_need(EVP_DigestSignInit(ctx, &p, md, NULL, key) == 1);
    if (signature == S_PSS || signature == S_PSS_SHA1)
        world_need(EVP_PKEY_CTX_set_rsa_padding(p, RSA_PKCS1_PSS_PADDING) == 1 &&
                   EVP_PKEY_CTX_set_rsa_pss_saltlen(p, RSA_PSS_SALTLEN_DIGEST) == 1);
    return ctx;
}

static inline void world_extend(X509 *x, int nid, void *value, int critical)
{
    world_need(X509_add1_ext_i2d(x, nid, value, critical, X509V3_ADD_DEFAULT) == 1);
}

static inline void world_extensions(const struct world *w, const struct world_certificate *c,
                                    X509 *x)
{
    BASIC_CONSTRAINTS *constraints = BASIC_CONSTRAINTS_new();
    constraints->ca = c->flags & CA ? 0xff : 0;
    world_extend(x, NID_basic_constraints, constraints, 1);
    BASIC_CONSTRAINTS_free(constraints);
    ASN1_BIT_STRING *usage = ASN1_BIT_STRING_new();
    ASN1_BIT_STRING_set_bit(usage, 0, !(c->flags & CA));
    ASN1_BIT_STRING_set_bit(usage, 5, c->flags & CA ? 1 : 0);
    ASN1_BIT_STRING_set_bit(usage, 6, c->flags & CA && !(c->flags & NO_CRL_SIGN));
    world_extend(x, NID_key_usage, usage, 1);
    ASN1_BIT_STRING_free(usage);
    ASN1_OCTET_STRING *id = world_key_id(w->keys[c->key]);
    world_extend(x, NID_subject_key_identifier, id, 0);
    ASN1_OCTET_STRING_free(id);
    AUTHORITY_KEYID *authority = world_authority(w, c->issuer_key, c->flags);
    if (authority)
        world_extend(x, NID_authority_key_identifier, authority, 0);
    AUTHORITY_KEYID_free(authority);
    if (c->url) {
        char text[256];
        snprintf(text, sizeof text, "URI:%s%s", w->base, c->url);
        X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, NID_crl_distribution_points, text);
        world_need(e && X509_add_ext(x, e, -1) == 1);
        X509_EXTENSION_free(e);
    }
}

static inline FILE *world_open(const struct world *w, const char *file, const char *mode)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", w->folder, file);
    FILE *f = fopen(path, mode);
    world_need(f);
    return f;
}

// The last byte of both structures belongs to the signature.
static inline void world_write(const struct world *w, const char *file, const char *label,
                               unsigned char *der, int length, unsigned flags)
{
    world_need(length > 0);
    if (flags & FORGED)
        der[length - 1] ^= 1;
    FILE *f = world_open(w, file, "w");
    world_need(PEM_write(f, label, "", der, length) > 0);
    world_need(fclose(f) == 0);
    OPENSSL_free(der);
}

static inline void world_make_certificate(const struct world *w, const struct world_certificate *c)
{
    X509 *x = X509_new();
    X509_NAME *subject = world_name(c->subject), *issuer = world_name(c->issuer);
    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), c->serial);
    X509_time_adj_ex(X509_getm_notBefore(x), c->from, 0, NULL);
    X509_time_adj_ex(X509_getm_notAfter(x), c->to, 0, NULL);
    X509_set_subject_name(x, subject);
    X509_set_issuer_name(x, issuer);
    X509_set_pubkey(x, w->keys[c->key]);
    world_extensions(w, c, x);
    EVP_MD_CTX *signer = world_signer(w->keys[c->issuer_key], c->signature);
    world_need(X509_sign_ctx(x, signer) > 0);
    if (c->flags & CHANGED) {
        ASN1_INTEGER *serial = ASN1_INTEGER_new();
        ASN1_INTEGER_set(serial, c->serial + 1000);
        X509_set_serialNumber(x, serial);
        ASN1_INTEGER_free(serial);
    }
    unsigned char *der = NULL;
    int length = i2d_X509(x, &der);
    world_write(w, c->file, PEM_STRING_X509, der, length, c->flags);
    EVP_MD_CTX_free(signer);
    X509_NAME_free(subject);
    X509_NAME_free(issuer);
    X509_free(x);
}

static inline void world_crl_extensions(const struct world *w, const struct world_crl *c,
                                        X509_CRL *crl)
{
    AUTHORITY_KEYID *authority = world_authority(w, c->key, c->flags);
    if (authority)
        X509_CRL_add1_ext_i2d(crl, NID_authority_key_identifier, authority, 0, 0);
    AUTHORITY_KEYID_free(authority);
    ASN1_INTEGER *number = ASN1_INTEGER_new();
    ASN1_INTEGER_set(number, 2);
    X509_CRL_add1_ext_i2d(crl, NID_crl_number, number, 0, 0);
    ASN1_INTEGER_set(number, 1);
    if (c->flags & DELTA)
        X509_CRL_add1_ext_i2d(crl, NID_delta_crl, number, 1, 0);
    ASN1_INTEGER_free(number);
    if (c->flags & ONLY_CAS) {
        ISSUING_DIST_POINT *p = ISSUING_DIST_POINT_new();
        p->onlyCA = 0xff;
        X509_CRL_add1_ext_i2d(crl, NID_issuing_distribution_point, p, 1, 0);
        ISSUING_DIST_POINT_free(p);
    }
    if (c->flags & CRITICAL) {
        ASN1_OBJECT *object = OBJ_txt2obj("1.2.3.4.5", 1);
        ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
        ASN1_OCTET_STRING_set(value, (const unsigned char *)"\x05", 2);
        X509_EXTENSION *e = X509_EXTENSION_create_by_OBJ(NULL, object, 1, value);
        world_need(e && X509_CRL_add_ext(crl, e, -1) == 1);
        X509_EXTENSION_free(e);
        ASN1_OCTET_STRING_free(value);
        ASN1_OBJECT_free(object);
    }
}

static inline void world_revoke(X509_CRL *crl, long serial, ASN1_TIME *when)
{
    X509_REVOKED *entry = X509_REVOKED_new();
    ASN1_INTEGER *number = ASN1_INTEGER_new();
    ASN1_INTEGER_set(number, serial);
    X509_REVOKED_set_serialNumber(entry, number);
    X509_REVOKED_set_revocationDate(entry, when);
    world_need(X509_CRL_add0_revoked(crl, entry) == 1);
    ASN1_INTEGER_free(number);
}

static inline void world_make_crl(const struct world *w, const struct world_crl *c)
{
    X509_CRL *crl = X509_CRL_new();
    X509_NAME *issuer = world_name(c->issuer);
    ASN1_TIME *from = X509_time_adj_ex(NULL, c->from, 0, NULL);
    ASN1_TIME *to = X509_time_adj_ex(NULL, c->to, 0, NULL);
    X509_CRL_set_version(crl, X509_CRL_VERSION_2);
    X509_CRL_set_issuer_name(crl, issuer);
    X509_CRL_set1_lastUpdate(crl, from);
    if (!(c->flags & NO_NEXT))
        X509_CRL_set1_nextUpdate(crl, to);
    if (c->revoked)
        world_revoke(crl, c->revoked, from);
    world_crl_extensions(w, c, crl);
    EVP_MD_CTX *signer = world_signer(w->keys[c->key], c->signature);
    world_need(X509_CRL_sign_ctx(crl, signer) > 0);
    unsigned char *der = NULL;
    int length = i2d_X509_CRL(crl, &der);
    world_write(w, c->file, PEM_STRING_X509_CRL, der, length, c->flags);
    EVP_MD_CTX_free(signer);
    ASN1_TIME_free(from);
    ASN1_TIME_free(to);
    X509_NAME_free(issuer);
    X509_CRL_free(crl);
}

static inline void world_make_bundle(const struct world *w, const struct world_bundle *b)
{
    FILE *out = world_open(w, b->file, "w");
    for (size_t i = 0; b->parts[i]; i++) {
        FILE *in = world_open(w, b->parts[i], "r");
        char *label, *header;
        unsigned char *der;
        long length;
        world_need(PEM_read(in, &label, &header, &der, &length) == 1);
        if (b->der)
            world_need(fwrite(der, 1, (size_t)length, out) == (size_t)length);
        else
            world_need(PEM_write(out, label, header, der, length) > 0);
        OPENSSL_free(label);
        OPENSSL_free(header);
        OPENSSL_free(der);
        fclose(in);
    }
    world_need(fclose(out) == 0);
}

// Making RSA keys is what takes its time, a second or so.
static inline void world_make(const char *folder, const char *base)
{
    struct world w = {.folder = folder, .base = base};
    static const char *const curves[K_COUNT] = {
        [K_EC] = "P-384",     [K_OTHER] = "P-256", [K_INTER2] = "P-256",
        [K_INTER3] = "P-256", [K_HOST] = "P-521",  [K_HOST2] = "P-521",
    };
    for (size_t i = 0; i < K_COUNT; i++) {
        w.keys[i] = i == K_PSS  ? world_pss_key()
                    : curves[i] ? EVP_EC_gen(curves[i])
                                : EVP_RSA_gen(i == K_WEAK ? 1024 : 2048);
        world_need(w.keys[i]);
    }
    for (size_t i = 0; i < sizeof world_certificates / sizeof *world_certificates; i++)
        world_make_certificate(&w, &world_certificates[i]);
    for (size_t i = 0; i < sizeof world_crls / sizeof *world_crls; i++)
        world_make_crl(&w, &world_crls[i]);
    for (size_t i = 0; i < sizeof world_bundles / sizeof *world_bundles; i++)
        world_make_bundle(&w, &world_bundles[i]);
    for (size_t i = 0; i < K_COUNT; i++)
        EVP_PKEY_free(w.keys[i]);
}

#endif
