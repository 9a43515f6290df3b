// SPDX-License-Identifier: Apache-2.0
// Collects the certificates and revocation lists for verifying host key documents, from the
// variables of a recipe or the environment.
#include "run/se_trust.h"

#include "base/error.h"
#include "http/http.h"
#include "run/internal.h"

#include <string.h>

enum { SIGNING_KEY, INTERMEDIATE_CA, HOST_KEY_CRL, ROOT_CA, ONLINE, DOCUMENTS, VARIABLE_COUNT };

// As in recipes/boot-image-se; used without a recipe.
static const struct {
    const char *name;
    enum variable_type type;
    bool list;
    const char *pattern;
} variables[VARIABLE_COUNT] = {
    [SIGNING_KEY] = {"SIGNING_KEY_CERT_PATH", VARIABLE_FILE, true, NULL},
    [INTERMEDIATE_CA] = {"INTERMEDIATE_CA_CERT_PATH", VARIABLE_FILE, true, NULL},
    [HOST_KEY_CRL] = {"HOST_KEY_CRL_PATH", VARIABLE_FILE, true, NULL},
    [ROOT_CA] = {"SE_ROOT_CA_PATH", VARIABLE_FILE, false, NULL},
    [ONLINE] = {"SE_ONLINE", VARIABLE_YES_NO, false, NULL},
    [DOCUMENTS] = {"HKD_PATH", VARIABLE_DIRECTORY, false, "HKD-*.crt"},
};

static const char no_verification[] =
    "set what is missing (docs/trust.md); with none of the three set, host key documents are not "
    "verified";

static const struct variable_value *value_of(const struct job *job, size_t which)
{
    static const struct variable_value none;
    const struct variable_value *v = variable_find(job, variables[which].name);
    return v ? v : &none;
}

static bool is_set(const struct job *job, size_t which)
{
    const char *text = value_of(job, which)->text;
    return which == ONLINE ? text && !strcmp(text, "yes") : text && *text;
}

void se_verification_files(const struct job *job, struct strlist *certificates,
                           struct strlist *crls)
{
    strlist_add_all(certificates, &value_of(job, SIGNING_KEY)->files);
    strlist_add_all(certificates, &value_of(job, INTERMEDIATE_CA)->files);
    strlist_add_all(crls, &value_of(job, HOST_KEY_CRL)->files);
}

// 1 if verification is wanted, 0 if no variable asks for it, -1 if it is incomplete.
static int check_complete(const struct job *job, struct error **err)
{
    struct strlist missing = {0};
    bool enabled = is_set(job, ROOT_CA) || is_set(job, ONLINE);
    for (size_t i = SIGNING_KEY; i <= HOST_KEY_CRL; i++) {
        enabled |= is_set(job, i);
        if (!is_set(job, i) && !(i == HOST_KEY_CRL && is_set(job, ONLINE)))
            strlist_add(&missing, variables[i].name);
    }
    int result = enabled;
    if (enabled && missing.n) {
        cleanup_free char *names = strlist_join(&missing, " and ");
        error_user(err,
                   "All of SIGNING_KEY_CERT_PATH, INTERMEDIATE_CA_CERT_PATH and HOST_KEY_CRL_PATH "
                   "must be specified, or none; missing: %s",
                   names);
        result = error_hint(err, "%s", no_verification);
    }
    strlist_free(&missing);
    return result;
}

static int check_external(const struct job *job, struct error **err)
{
    for (size_t i = ROOT_CA; i <= ONLINE; i++)
        if (is_set(job, i)) {
            error_user(err, "%s works with kbuild's own sealer only", variables[i].name);
            return error_hint(err, "unset it, or leave SE_SEALER out");
        }
    return 0;
}

int se_verification_of(const struct job *job, bool external, bool offline,
                       struct se_verification *out, struct error **err)
{
    int enabled = check_complete(job, err);
    if (enabled <= 0)
        return enabled;
    if (external && check_external(job, err) < 0)
        return -1;
    out->enabled = true;
    se_verification_files(job, &out->certificates, &out->crls);
    if (value_of(job, ROOT_CA)->files.n)
        out->root_ca = xstrdup(value_of(job, ROOT_CA)->files.items[0]);
    out->trust = (struct trust){.certificates = &out->certificates,
                                .crls = &out->crls,
                                .root_ca = out->root_ca,
                                .one_signing_key = external};
    const char *online = value_of(job, ONLINE)->text;
    if (is_set(job, ONLINE) && offline)
        log_note("--offline: revocation lists are not fetched, in spite of SE_ONLINE=yes");
    out->trust.fetched = &out->fetched;
    out->trust.fetch_all = is_set(job, ONLINE);
    if (!offline && (!online || strcmp(online, "no") != 0))
        out->trust.fetch = http_fetch;
    return 0;
}

void se_verification_free(struct se_verification *v)
{
    strlist_free(&v->certificates);
    strlist_free(&v->crls);
    strlist_free(&v->fetched);
    free(v->root_ca);
    *v = (struct se_verification){0};
}

// ---- without a recipe ----

static int take_environment(const struct job *job, struct strlist *documents,
                            struct se_verification *out, bool offline, struct error **err)
{
    if (documents && !value_of(job, DOCUMENTS)->files.n) {
        error_user(err, "No host key document specified.");
        return error_hint(err, "name the documents, or set HKD_PATH to the directory that holds "
                               "HKD-*.crt");
    }
    if (documents)
        strlist_add_all(documents, &value_of(job, DOCUMENTS)->files);
    if (!out || se_verification_of(job, false, offline, out, err) < 0)
        return out ? -1 : 0;
    if (out->enabled)
        return 0;
    error_user(err, "nothing to verify with: neither options nor variables name a signing key");
    return error_hint(err, "give --cert and --crl, or set SIGNING_KEY_CERT_PATH, "
                           "INTERMEDIATE_CA_CERT_PATH and HOST_KEY_CRL_PATH");
}

int se_verification_from_environment(struct strlist *documents, struct se_verification *out,
                                     bool offline, struct error **err)
{
    char name[] = "hkd verify";
    struct recipe recipe = {.name = name,
                            .variables = xcalloc(VARIABLE_COUNT, sizeof *recipe.variables)};
    for (size_t i = 0; i < VARIABLE_COUNT; i++) {
        // Only what the caller requests: a wrong HKD_PATH does not matter if documents are given.
        if (i == DOCUMENTS ? !documents : !out)
            continue;
        recipe.variables[recipe.variable_count++] =
            (struct recipe_variable){.name = (char *)variables[i].name,
                                     .type = variables[i].type,
                                     .pattern = (char *)variables[i].pattern,
                                     .list = variables[i].list};
    }
    struct job job = {.value_count = recipe.variable_count};
    int result = variables_resolve(&recipe, NULL, NULL, &job.values, err);
    if (!result) {
        result = take_environment(&job, documents, out, offline, err);
        variables_free(job.values, job.value_count);
    }
    free(recipe.variables);
    return result;
}
