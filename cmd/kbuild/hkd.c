// SPDX-License-Identifier: Apache-2.0
// `kbuild hkd`: host key documents.
#include "kbuild.h"

#include "run/se_trust.h"
#include "seal/trust_text.h"
#include "source/fetch.h"

#include <jansson.h>
#include <string.h>

struct hkd_words {
    struct strlist hosts, certificates, crls;
    const char *root_ca;
    bool online;
};

static void print_json(const char *path, const struct host_key *host, const struct error *why)
{
    json_t *e = json_pack("{s:s, s:s}", "file", path, "verdict", why ? "refused" : "genuine");
    if (host) {
        struct host_key_text t = host_key_text(host);
        json_t *facts = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:b}", "hash", t.hash, "subject",
                                  t.subject, "issuer", t.issuer, "serial", t.serial, "not_before",
                                  t.from, "not_after", t.to, "test", host->test);
        json_object_update(e, facts);
        json_decref(facts);
        host_key_text_free(&t);
    }
    if (why)
        json_object_set_new(e, "reason", json_string(why->message));
    if (why && why->hint)
        json_object_set_new(e, "hint", json_string(why->hint));
    cleanup_free char *line = json_dumps(e, JSON_COMPACT | JSON_ENSURE_ASCII);
    json_decref(e);
    puts(line);
}

static void print_line(const char *path, const struct host_key *host, const struct error *why)
{
    printf("%s: ", path);
    if (host) {
        struct host_key_text t = host_key_text(host);
        printf("hash %s, subject '%s', issuer '%s', valid from %s to %s: ", t.hash, t.subject,
               t.issuer, t.from, t.to);
        host_key_text_free(&t);
    }
    if (!why)
        puts("genuine");
    else
        printf("REFUSED: %s%s%s\n", why->message, why->hint ? "; " : "",
               why->hint ? why->hint : "");
}

// 1 if the document is refused.
static int verify_one(struct trust_store *s, const char *path, bool named, bool json)
{
    cleanup_error struct error *why = NULL;
    struct host_key host = {0};
    int result = (named ? host_key_input : host_key_load)(path, &host, &why);
    bool loaded = !result;
    if (loaded)
        result = trust_check(s, &host, &why);
    (json ? print_json : print_line)(path, loaded ? &host : NULL, why);
    if (loaded)
        host_key_free(&host);
    return result < 0;
}

// `named`: the user named the documents; else they were found in a folder.
static int verify_all(const struct strlist *hosts, bool named, const struct trust *trust, bool json,
                      struct error **err)
{
    struct trust_store *s = trust_open(trust, err);
    if (!s)
        return -1;
    int refused = 0;
    for (size_t i = 0; i < hosts->n; i++)
        refused += verify_one(s, hosts->items[i], named, json);
    trust_close(s);
    if (!refused)
        return 0;
    error_user(err, "%d of %zu host key documents must not be used", refused, hosts->n);
    return error_hint(err, "each line says why, and what to do next");
}

static int verify(struct hkd_words *w, const struct global_options *g, struct error **err)
{
    bool options = w->certificates.n || w->crls.n || w->root_ca;
    struct se_verification v = {0};
    bool named = w->hosts.n > 0, ask = !named || !options;
    if (ask && se_verification_from_environment(w->hosts.n ? NULL : &w->hosts, options ? NULL : &v,
                                                g->build.offline, err) < 0)
        return -1;
    if (options)
        v.trust = (struct trust){
            .certificates = &w->certificates, .crls = &w->crls, .root_ca = w->root_ca};
    if (w->online)
        v.trust.fetch = fetch_bytes;
    int result = verify_all(&w->hosts, named, &v.trust, g->json, err);
    se_verification_free(&v);
    return result;
}

static int hkd_verb_verify(struct global_options *g, struct strlist *words, struct error **err)
{
    cleanup_strlist struct strlist storage = {0};
    struct hkd_words w = {0};
    const struct verb_option options[] = {
        {"--host-key-document", "-k", NULL, &w.hosts, NULL},
        {"--cert", "-C", NULL, &w.certificates, NULL},
        {"--crl", NULL, NULL, &w.crls, NULL},
        {"--root-ca", NULL, &w.root_ca, NULL, NULL},
        {"--online", NULL, NULL, NULL, &w.online},
    };
    int result = parse_verb_options("hkd", words, options, ARRAY_LEN(options), &storage, err);
    if (!result && w.online && g->build.offline)
        result = usage_error(err, "hkd", "either --online or --offline");
    strlist_add_all(&w.hosts, words);
    if (!result)
        result = verify(&w, g, err);
    strlist_free(&w.hosts);
    strlist_free(&w.certificates);
    strlist_free(&w.crls);
    return result;
}

int verb_hkd(struct global_options *g, struct strlist *words, struct error **err)
{
    if (!words->n || strcmp(words->items[0], "verify") != 0)
        return usage_error(err, "hkd", "expected verify");
    cleanup_strlist struct strlist rest = {0};
    for (size_t i = 1; i < words->n; i++)
        strlist_add(&rest, words->items[i]);
    return hkd_verb_verify(g, &rest, err);
}
