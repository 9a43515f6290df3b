// SPDX-License-Identifier: Apache-2.0
// Implements the verbs on this machine and its files: doctor, config, hkd verify.
#include "kbuild.h"

#include "base/error.h"
#include "config/config.h"
#include "doctor/doctor.h"
#include "hkd/hkd.h"
#include "http/http.h"
#include "run/se_trust.h"

#include <jansson.h>
#include <string.h>

// ---- doctor ----

static void print_findings(const struct doctor_report *r)
{
    static const char *const colours[DOCTOR_STATES] = {"\033[32m", "\033[33m", "\033[31m",
                                                       "\033[2m"};
    bool colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
    const char *group = "";
    for (size_t i = 0; i < r->n; i++) {
        const struct doctor_finding *f = &r->findings[i];
        if (strcmp(group, f->group) != 0)
            print("%s%s\n", i ? "\n" : "", f->group_title);
        group = f->group;
        fputs(colour ? colours[f->state] : "", stdout);
        print("  %-4s", doctor_state_name(f->state));
        fputs(colour ? "\033[0m" : "", stdout);
        print("  %s: %s\n", f->title, f->seen);
        if (f->state == DOCTOR_WARN || f->state == DOCTOR_FAIL)
            print("        fix: %s\n", f->fix);
    }
    for (size_t i = 0; i < r->absent_count; i++)
        print("\n%s\n  does not apply: %s\n", r->absent[i].group_title, r->absent[i].why);
    print("\n%zu ok, %zu warn, %zu fail, %zu skip\n", r->counts[DOCTOR_OK], r->counts[DOCTOR_WARN],
          r->counts[DOCTOR_FAIL], r->counts[DOCTOR_SKIP]);
}

int verb_doctor(struct global_options *g, struct strlist *words, struct error **err)
{
    struct doctor_request request = {.cache = g->cache,
                                     .root = option_value(g, "--root"),
                                     .collect = option_value(g, "--collect")};
    request.group = words->n ? words->items[0] : NULL;
    struct doctor_report report = {0};
    if (doctor_run(&request, &report, err) < 0)
        return -1;
    if (g->json) {
        json_t *all = doctor_json(&report);
        print_json(stdout, all, JSON_COMPACT);
        json_decref(all);
    } else {
        print_findings(&report);
    }
    if (request.collect)
        log_note("what the checks read is in %s; check it before you send it to others",
                 request.collect);
    int status = report.counts[DOCTOR_FAIL] ? 1 : 0;
    doctor_report_free(&report);
    return status;
}

// ---- config ----

// Each kind of file has its own options.
static int check_config_options(const struct config_request *r, struct error **err)
{
    bool containerd = r->kind->reader == CONFIG_CONTAINERD;
    if (containerd && r->release)
        return usage_error(err, "config",
                           "--release is not used for containerd's file, which names its version");
    if (!containerd && (r->runtime_class || r->configuration))
        return usage_error(err, "config",
                           "--class and --configuration are for containerd's file only");
    return 0;
}

int verb_config(struct global_options *g, struct strlist *words, struct error **err)
{
    cleanup_strlist struct strlist settings = {0};
    const char *prefix = option_value(g, "--prefix");
    bool dry_run = option_given(g, "--dry-run");
    option_values(g, "--set", &settings);
    struct config_request request = {.prefix = prefix,
                                     .release = option_value(g, "--release"),
                                     .runtime_class = option_value(g, "--class"),
                                     .configuration = option_value(g, "--configuration"),
                                     .settings = &settings};
    request.kind = config_kind_find(words->items[0], err);
    if (!request.kind || check_config_options(&request, err) < 0)
        return -1;
    struct config_result r;
    int result = config_edit_file(words->items[1], &request, dry_run, &r, err);
    if (result == 0) {
        print_text(stdout, r.diff.data, r.diff.len);
        fflush(stdout);
        if (!r.diff.len)
            log_note("%s needs no change for %s", r.file, request.kind->title);
        else if (dry_run)
            log_note("nothing was written (--dry-run)");
        else
            log_note("%s was changed; the original is kept as %s%s", r.file, r.backup,
                     request.kind->reader == CONFIG_CONTAINERD
                         ? "; containerd reads it when it starts"
                         : "");
        if (r.absent)
            log_note("%s is not on this machine: the class cannot start pods without it", r.absent);
    }
    config_result_free(&r);
    return result;
}

// ---- hkd verify ----

struct hkd_request {
    struct strlist hosts, certificates, crls;
    const char *root_ca;
    bool online;
};

static void print_verdict_json(const char *path, const struct host_key *host,
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

static void print_verdict_line(const char *path, const struct host_key *host,
                               const struct error *why)
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
static int verify_document(struct trust_store *s, const char *path, bool named, bool json)
{
    cleanup_error struct error *why = NULL;
    struct host_key host = {0};
    int result = (named ? host_key_input : host_key_load)(path, &host, &why);
    bool loaded = !result;
    if (loaded)
        result = trust_check(s, &host, &why);
    (json ? print_verdict_json : print_verdict_line)(path, loaded ? &host : NULL, why);
    if (loaded)
        host_key_free(&host);
    return result < 0;
}

// `named`: the user named the documents; else a folder has them.
static int verify_documents(const struct strlist *hosts, bool named, const struct trust *trust,
                            bool json, struct error **err)
{
    struct trust_store *s = trust_open(trust, err);
    if (!s)
        return -1;
    int refused = 0;
    for (size_t i = 0; i < hosts->n; i++)
        refused += verify_document(s, hosts->items[i], named, json);
    trust_close(s);
    if (!refused)
        return 0;
    error_user(err, "%d of %zu host key documents must not be used", refused, hosts->n);
    return error_hint(err, "each line shows why, and what to do next");
}

static int verify_request(struct hkd_request *w, const struct global_options *g, struct error **err)
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
        v.trust.fetch = http_fetch;
    if (w->online) {
        v.trust.fetch = http_fetch;
        v.trust.fetch_all = true;
    }
    int result = verify_documents(&w->hosts, named, &v.trust, g->json, err);
    se_verification_free(&v);
    return result;
}

int verb_hkd_verify(struct global_options *g, struct strlist *words, struct error **err)
{
    struct hkd_request w = {.root_ca = option_value(g, "--root-ca"),
                            .online = option_given(g, "--online")};
    int result = 0;
    option_values(g, "--host-key-document", &w.hosts);
    option_values(g, "--cert", &w.certificates);
    option_values(g, "--crl", &w.crls);
    if (w.online && g->build.offline)
        result = usage_error(err, "hkd verify", "give only one of --online and --offline");
    strlist_add_all(&w.hosts, words);
    if (!result)
        result = verify_request(&w, g, err);
    strlist_free(&w.hosts);
    strlist_free(&w.certificates);
    strlist_free(&w.crls);
    return result;
}
