// SPDX-License-Identifier: Apache-2.0
// Implements the verbs on files that are handed over: sign, check.
#include "kbuild.h"
#include "se.h"

#include "base/input.h"
#include "handover/handover.h"

#include <string.h>

// ---- sign ----

int verb_sign(struct global_options *g, struct strlist *words, struct error **err)
{
    struct sign_request r = {.files = words,
                             .key = option_value(g, "--signing-key"),
                             .release = option_value(g, "--release"),
                             .provenance = option_value(g, "--provenance"),
                             .output = option_value(g, "--output")};
    if (!r.key && security_variable("KBUILD_SIGNING_KEY", &r.key, err) < 0)
        return -1;
    if (!r.key) {
        usage_error(err, "sign", "--signing-key or KBUILD_SIGNING_KEY must name a key");
        return error_hint(err, "`openssl genpkey -algorithm ed25519 -out builder.pem` makes one; "
                               "docs/handed-over.md has the rest");
    }
    if (r.output && words->n > 1)
        return usage_error(err, "sign", "--output is for one file");
    return handover_sign(&r, print_line, NULL, err);
}

// ---- check ----

struct check_report {
    bool json, quiet, is_unsigned;
    size_t skipped;
};

static void print_finding(enum check_result result, const char *what, const char *text,
                          void *context)
{
    struct check_report *report = context;
    report->skipped += result == CHECK_SKIPPED;
    if (report->json) {
        json_auto_t *line = json_object();
        json_object_set_new(line, "check", json_string(what));
        json_object_set_new(line, "result", json_string(check_result_names[result]));
        json_object_set_new(line, "text", json_visible(text));
        print_json(stdout, line, JSON_COMPACT);
    } else if (!report->quiet || result == CHECK_BAD) {
        print("%-12s %-13s %s\n", check_result_names[result], what, text);
    }
    fflush(stdout);
}

static int print_verdict(const struct check_report *report, const char *file, int bad,
                         struct error **err)
{
    if (report->json) {
        json_auto_t *line =
            json_pack("{s:s, s:s, s:i, s:I}", "check", "all", "result", bad ? "bad" : "good", "bad",
                      bad, "not_checked", (json_int_t)report->skipped);
        print_json(stdout, line, JSON_COMPACT);
    } else if (!bad) {
        print("%s: %s\n", file,
              report->is_unsigned ? "nothing bad was found, but nobody vouches for it"
              : report->skipped   ? "good, but for what was not checked"
                                  : "good");
    }
    if (!bad)
        return 0;
    error_user(err, "%s: %d finding%s bad", file, bad, bad == 1 ? " is" : "s are");
    return error_hint(err, "do not use the file before you know why; docs/handed-over.md explains "
                           "each line");
}

// A project's file names keys for what is built there. Of a file that was handed over it may be a
// part, and then the one who made it would say whose signature counts.
static int refuse_project_keys(const struct global_options *g, struct error **err)
{
    const struct chosen_setting *s = &g->defaults.all[SETTING_TRUSTED_KEYS];
    if (s->origin != SET_BY_FILE || s->file->owner != SETTINGS_PROJECT)
        return 0;
    cleanup_free char *place = setting_origin_text(s), *own = settings_user_path();
    error_user(err,
               "%s: trusted-keys: a project cannot say whose signature counts for a file that "
               "was handed over, since it may have come with it",
               place);
    return error_hint(err,
                      "--trusted-keys=FILE names the signer's public key, which you got in another "
                      "way than the file; your own file, %s, can name it, too",
                      own ? own : "~/.config/kbuild/kbuild.yaml");
}

// Whom the user trusts. NULL in *out: no signature is required.
static int load_keys(struct global_options *g, struct trusted_keys **out, struct error **err)
{
    const char *path = option_value(g, "--trusted-keys"), *named = NULL;
    *out = NULL;
    if (option_given(g, "--unsigned")) {
        if (path || option_given(g, "--signature") || option_given(g, "--require-provenance") ||
            option_given(g, "--expect-name") || option_given(g, "--expect-release"))
            return usage_error(err, "check",
                               "--unsigned looks at no signature: leave out what needs one");
        return 0;
    }
    if (!path && (refuse_project_keys(g, err) < 0 ||
                  security_variable("KBUILD_TRUSTED_KEYS", &named, err) < 0))
        return -1;
    if (!path && !named) {
        usage_error(err, "check", "whose signature counts is not known");
        return error_hint(err,
                          "--trusted-keys=FILE names the signer's public key, which you got in "
                          "another way than the file; --unsigned requires no signature");
    }
    *out = trusted_keys_load(path ? path : named, err);
    return *out ? 0 : error_wrap(err, path ? "--trusted-keys" : "KBUILD_TRUSTED_KEYS");
}

// Opens the build whose result the file should be.
static int open_build(struct global_options *g, struct check_request *r, struct error **err)
{
    r->target = option_value(g, "--reproduce");
    if (!r->target && option_given(g, "--trust-cache"))
        return usage_error(err, "check", "--trust-cache is not used without --reproduce");
    if (!r->target)
        return command_line_reject(&g->line, ~(BIT(COMMON_JSON) | BIT(COMMON_QUIET)),
                                   "without --reproduce", err);
    struct strlist target = {.items = (char **)&r->target, .n = 1};
    if (build_for_proof(g, err) < 0)
        return -1;
    g->build.view = VIEW_AUTO; // the lines of --json are those of the check
    if (check_targets(g, &target, false, err) < 0 ||
        !(r->build = open_with_targets(g, &target, err)))
        return -1;
    return build_evaluate(r->build, true, err);
}

static int check_file(struct global_options *g, struct check_request *r, struct error **err)
{
    struct check_report report = {
        .json = g->json, .quiet = g->build.quiet, .is_unsigned = !r->keys};
    int bad = open_build(g, r, err) < 0 ? -1 : handover_check(r, print_finding, &report, err);
    build_close(r->build);
    return bad < 0 ? -1 : print_verdict(&report, r->file, bad, err);
}

int verb_check(struct global_options *g, struct strlist *words, struct error **err)
{
    struct proof_options proof = proof_options_read(g);
    struct loaded_proof loaded = {0};
    struct trusted_keys *keys = NULL;
    cleanup_originals struct se_originals originals = SE_ORIGINALS_NONE;
    cleanup_strlist struct strlist documents = {0};
    struct check_request r = {
        .file = words->items[0],
        .signature = option_value(g, "--signature"),
        .provenance = option_value(g, "--provenance"),
        .require_provenance = option_given(g, "--require-provenance"),
        .name = option_value(g, "--expect-name"),
        .release = option_value(g, "--expect-release"),
        .documents = &documents,
        .proof = proof_options_given(&proof) ? &loaded.proof : NULL,
        .originals = &originals,
        .originals_given = option_given(g, "--kernel-tarball") ||
                           option_given(g, "--initrd-tarball") || option_given(g, "--parmfile"),
        .firmware = option_value(g, "--ovmf"),
        .kernel = option_value(g, "--kernel"),
        .initrd = option_value(g, "--initrd"),
    };
    option_values(g, "--host-key-document", &documents);
    if (proof.secret && !proof.record)
        return usage_error(err, "check", "--seal-secret needs --seal-record");
    int result = load_keys(g, &keys, err);
    if (!result && r.proof)
        result = open_originals(g, "--kernel", "--initrd", &originals, err);
    if (!result)
        result = loaded_proof_read(&loaded, &proof, err);
    r.keys = keys;
    if (!result)
        result = check_file(g, &r, err);
    loaded_proof_free(&loaded);
    trusted_keys_free(keys);
    return result;
}
