// SPDX-License-Identifier: Apache-2.0
// Implements `kbuild hkd`: host key documents.
#include "kbuild.h"

#include "hkd/hkd.h"
#include "run/se_trust.h"
#include "source/fetch.h"

#include <jansson.h>
#include <string.h>

struct hkd_words {
    struct strlist hosts, certificates, crls;
    const char *root_ca;
    bool online;
};

static void print_document_json(const char *path, const struct host_key *host,
                                const struct error *why)
{
    json_t *e =
        json_pack("{s:o, s:s}", "file", json_visible(path), "verdict", why ? "refused" : "genuine");
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
        json_object_set_new(e, "reason", json_visible(why->message));
    if (why && why->hint)
        json_object_set_new(e, "hint", json_visible(why->hint));
    print_json(stdout, e, JSON_COMPACT);
    json_decref(e);
}

static void print_line(const char *path, const struct host_key *host, const struct error *why)
{
    print("%s: ", path);
    if (host) {
        struct host_key_text t = host_key_text(host);
        print("hash %s, subject '%s', issuer '%s', valid from %s to %s: ", t.hash, t.subject,
              t.issuer, t.from, t.to);
        host_key_text_free(&t);
    }
    if (!why)
        print("genuine\n");
    else
        print("REFUSED: %s%s%s\n", why->message, why->hint ? "; " : "", why->hint ? why->hint : "");
}

// 1 if the document is rejected.
static int verify_one(struct trust_store *s, const char *path, bool named, bool json)
{
    cleanup_error struct error *why = NULL;
    struct host_key host = {0};
    int result = (named ? host_key_input : host_key_load)(path, &host, &why);
    bool loaded = !result;
    if (loaded)
        result = trust_check(s, &host, &why);
    (json ? print_document_json : print_line)(path, loaded ? &host : NULL, why);
    if (loaded)
        host_key_free(&host);
    return result < 0;
}

// `named`: the user named the documents; else a folder has them.
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
    if (options && !g->build.offline)
        v.trust.fetch = fetch_bytes;
    if (w->online) {
        v.trust.fetch = fetch_bytes;
        v.trust.fetch_all = true;
    }
    int result = verify_all(&w->hosts, named, &v.trust, g->json, err);
    se_verification_free(&v);
    return result;
}

int verb_hkd_verify(struct global_options *g, struct strlist *words, struct error **err)
{
    struct hkd_words w = {.root_ca = option_value(g, "--root-ca"),
                          .online = option_given(g, "--online")};
    int result = 0;
    option_values(g, "--host-key-document", &w.hosts);
    option_values(g, "--cert", &w.certificates);
    option_values(g, "--crl", &w.crls);
    if (w.online && g->build.offline)
        result = usage_error(err, "hkd verify", "either --online or --offline");
    strlist_add_all(&w.hosts, words);
    if (!result)
        result = verify(&w, g, err);
    strlist_free(&w.hosts);
    strlist_free(&w.certificates);
    strlist_free(&w.crls);
    return result;
}
