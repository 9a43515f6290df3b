// SPDX-License-Identifier: Apache-2.0
// Implements `kbuild se`: Secure Execution images by hand.
#include "se.h"

#include "base/error.h"
#include "se/se.h"

// ---- se test-key DIR ----

int se_verb_test_key(struct global_options *g, struct strlist *words, struct error **err)
{
    cleanup_free char *document = NULL;
    cleanup_free char *key = NULL;
    if (se_test_key(words->items[0], &document, &key, err) < 0)
        return -1;
    print("%s\n%s\n", document, key);
    log_note("a TEST host key: good for trying, never for secrets");
    return 0;
}

// ---- se open IMAGE --host-key KEY [-o DIR] ----

int se_verb_open(struct global_options *g, struct strlist *words, struct error **err)
{
    const char *key_path = option_value(g, "--host-key"), *folder = option_value(g, "--output");
    if (!key_path)
        return usage_error(err, "se open", "--host-key is missing");
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
        print("kernel        %s\n", parts.kernel);
        print("initrd        %s\n", parts.initrd ? parts.initrd : "none");
        print("command line  %s\n", parts.command_line ? parts.command_line : "none");
        se_opened_free(&parts);
    }
    EVP_PKEY_free(key);
    return result;
}
