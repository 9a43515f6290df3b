// SPDX-License-Identifier: Apache-2.0
// Any bytes as a host key document: a key or one error with a hint, never a crash.
//
// The first byte chooses: the rest as it is, or the rest as changes to a good document in DER form
// (three bytes each: where, and the new value).
#include "base/error.h"
#include "base/file.h"
#include "hkd/hkd.h"

#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static unsigned char *good;
static size_t good_size;

static void drop(enum log_level level, const char *line, void *context)
{
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    log_redirect(drop, NULL);
    cleanup_free char *folder = make_temporary_directory("/tmp", "fuzz-host-key", NULL);
    cleanup_free char *document = NULL;
    if (!folder || host_key_make_test(folder, &document, NULL, NULL) < 0)
        abort();
    FILE *file = fopen(document, "r");
    X509 *x = file ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;
    int length = i2d_X509(x, &good);
    if (length <= 0)
        abort();
    good_size = (size_t)length;
    X509_free(x);
    fclose(file);
    remove_tree(folder, NULL);
    return 0;
}

static void parse(const void *bytes, size_t length)
{
    cleanup_error struct error *err = NULL;
    struct host_key key;
    if (host_key_parse(bytes, length, "document", &key, &err) == 0) {
        if (err || !key.key)
            abort();
        host_key_free(&key);
    } else if (!err || !err->hint) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] % 2 == 0) {
        parse(data + 1, size - 1);
        return 0;
    }
    cleanup_free unsigned char *changed = xmalloc(good_size);
    memcpy(changed, good, good_size);
    for (size_t i = 1; i + 3 <= size; i += 3)
        changed[((size_t)data[i] << 8 | data[i + 1]) % good_size] = data[i + 2];
    parse(changed, good_size);
    return 0;
}
