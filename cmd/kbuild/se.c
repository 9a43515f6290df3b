// SPDX-License-Identifier: Apache-2.0
// `kbuild se`: Secure Execution images by hand.
#include "kbuild.h"

#include "base/log.h"
#include "seal/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static void point_out_test_key(const char *path)
{
    log_warning("%s is a TEST host key: whoever has its private key can open this image", path);
}

// ---- se test-key DIR ----

static int se_verb_test_key(struct strlist *words, struct error **err)
{
    cleanup_strlist struct strlist storage = {0};
    if (parse_verb_options("se", words, NULL, 0, &storage, err) < 0)
        return -1;
    if (words->n != 1)
        return usage_error(err, "se", "expected: test-key DIR");
    cleanup_free char *document = NULL;
    cleanup_free char *key = NULL;
    if (se_test_key(words->items[0], &document, &key, err) < 0)
        return -1;
    printf("%s\n%s\n", document, key);
    log_note("a TEST host key: good for trying, never for secrets");
    return 0;
}

// ---- se seal ----

struct seal_words {
    const char *image, *ramdisk, *parmfile, *output;
    struct strlist hosts;
    bool no_verify;
};

static int load_hosts(const struct strlist *paths, struct host_key *hosts, size_t *count,
                      struct error **err)
{
    for (size_t i = 0; i < paths->n; i++) {
        if (host_key_load(paths->items[i], &hosts[i], err) < 0)
            return -1;
        if (hosts[i].test)
            point_out_test_key(paths->items[i]);
        ++*count;
    }
    return 0;
}

static int seal_image(const struct seal_words *w, struct se_input *in, struct error **err)
{
    cleanup_buf struct buf parameters = {0};
    if (w->parmfile) {
        if (file_read(w->parmfile, 1 << 20, &parameters, err) < 0)
            return -1;
        in->command_line = parameters.data;
        in->command_line_length = parameters.len;
    }
    cleanup_draft struct file_draft draft = FILE_DRAFT_NONE;
    if (file_draft_begin(&draft, w->output, err) < 0 || se_seal(in, draft.fd, err) < 0)
        return -1;
    return file_draft_commit(&draft, 0644, err);
}

static int se_verb_seal(struct strlist *words, struct error **err)
{
    cleanup_strlist struct strlist storage = {0};
    struct seal_words w = {0};
    const struct verb_option options[] = {
        {"--image", "-i", &w.image, NULL, NULL},
        {"--ramdisk", "-r", &w.ramdisk, NULL, NULL},
        {"--parmfile", "-p", &w.parmfile, NULL, NULL},
        {"--output", "-o", &w.output, NULL, NULL},
        {"--host-key-document", "-k", NULL, &w.hosts, NULL},
        {"--no-verify", NULL, NULL, NULL, &w.no_verify},
    };
    int result = parse_verb_options("se", words, options, ARRAY_LEN(options), &storage, err);
    if (!result && (!w.image || !w.output || !w.hosts.n || words->n))
        result = usage_error(err, "se", "seal needs -i KERNEL, -k HOST-KEY-DOCUMENT and -o FILE");
    if (!result && !w.no_verify) {
        result = error_user(err, "host key documents cannot be verified yet");
        error_hint(err, "--no-verify seals without; the workload is not secured then");
    }
    struct host_key *hosts = xcalloc(w.hosts.n, sizeof *hosts);
    struct se_input in = {
        .kernel = w.image, .initrd = w.ramdisk, .hosts = hosts, .pcf = SE_PCF_DEFAULT};
    if (!result) {
        log_warning("host-key document verification is disabled. Your workload is not secured.");
        result = load_hosts(&w.hosts, hosts, &in.host_count, err);
    }
    if (!result)
        result = seal_image(&w, &in, err);
    for (size_t i = 0; i < in.host_count; i++)
        host_key_free(&hosts[i]);
    free(hosts);
    strlist_free(&w.hosts);
    return result;
}

// ---- se open IMAGE --host-key KEY [-o DIR] ----

static int se_verb_open(struct strlist *words, struct error **err)
{
    cleanup_strlist struct strlist storage = {0};
    const char *key_path = NULL, *folder = NULL;
    const struct verb_option options[] = {
        {"--host-key", NULL, &key_path, NULL, NULL},
        {"--output", "-o", &folder, NULL, NULL},
    };
    if (parse_verb_options("se", words, options, ARRAY_LEN(options), &storage, err) < 0)
        return -1;
    if (words->n != 1 || !key_path)
        return usage_error(err, "se", "expected: open IMAGE --host-key KEY [-o DIR]");
    cleanup_free char *beside = xasprintf("%s.parts", path_base(words->items[0]));
    if (!folder)
        folder = beside;
    EVP_PKEY *key = host_private_key_load(key_path, err);
    if (!key)
        return -1;
    struct se_opened parts = {0};
    int result = make_directories(folder, 0700, err);
    if (!result)
        result = se_open(words->items[0], key, folder, &parts, err);
    if (!result) {
        printf("kernel        %s\n", parts.kernel);
        printf("initrd        %s\n", parts.initrd ? parts.initrd : "none");
        printf("command line  %s\n", parts.command_line ? parts.command_line : "none");
        se_opened_free(&parts);
    }
    EVP_PKEY_free(key);
    return result;
}

int verb_se(struct global_options *g, struct strlist *words, struct error **err)
{
    static const struct {
        const char *name;
        int (*run)(struct strlist *, struct error **);
    } verbs_of_se[] = {
        {"seal", se_verb_seal}, {"open", se_verb_open}, {"test-key", se_verb_test_key}};
    for (size_t i = 0; words->n && i < ARRAY_LEN(verbs_of_se); i++) {
        if (strcmp(words->items[0], verbs_of_se[i].name))
            continue;
        cleanup_strlist struct strlist rest = {0};
        for (size_t k = 1; k < words->n; k++)
            strlist_add(&rest, words->items[k]);
        return verbs_of_se[i].run(&rest, err);
    }
    return usage_error(err, "se", "expected seal, open or test-key");
}
