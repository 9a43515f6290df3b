// SPDX-License-Identifier: Apache-2.0
// `kbuild se`: Secure Execution images by hand.
#include "se.h"

#include "base/log.h"
#include "seal/seal.h"

#include <string.h>

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
        int (*run_with)(struct global_options *, struct strlist *, struct error **);
    } verbs_of_se[] = {
        {"seal", se_verb_seal, NULL},           {"open", se_verb_open, NULL},
        {"info", NULL, se_verb_info},           {"verify", se_verb_verify, NULL},
        {"reference", se_verb_reference, NULL}, {"test-key", se_verb_test_key, NULL},
    };
    for (size_t i = 0; words->n && i < ARRAY_LEN(verbs_of_se); i++) {
        if (strcmp(words->items[0], verbs_of_se[i].name))
            continue;
        cleanup_strlist struct strlist rest = {0};
        for (size_t k = 1; k < words->n; k++)
            strlist_add(&rest, words->items[k]);
        return verbs_of_se[i].run ? verbs_of_se[i].run(&rest, err)
                                  : verbs_of_se[i].run_with(g, &rest, err);
    }
    return usage_error(err, "se", "expected seal, open, info, verify, reference or test-key");
}
