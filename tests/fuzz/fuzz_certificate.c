// SPDX-License-Identifier: Apache-2.0
// Any bytes as certificates, revocation lists and host key documents: a verdict or one
// line of error, never a crash; and a changed document is never taken for the good one.
//
// The first byte chooses: the rest as a file of certificates (0) or lists (1); or as changes to the
// signing key (2), to its list (3) or to the document (4) of a good set (three bytes each: where,
// and the new value).
#include "../unit/hkd_world.h"

#include "base/error.h"
#include "base/file.h"
#include "hkd/hkd.h"
#include "hkd/internal.h"

#include <stdint.h>

enum part { SIGN, LIST, DOCUMENT, PARTS };
static struct buf good[PARTS], inter, root_crl, inter_crl;
static X509 *root;
static struct host_key good_host;

static void drop(enum log_level level, const char *line, void *context)
{
}

static void load(const char *folder, const char *name, struct buf *out)
{
    cleanup_free char *path = xasprintf("%s/%s", folder, name);
    world_need(file_read(path, 1 << 20, out, NULL) == 0);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    log_redirect(drop, NULL);
    // The machine's own CAs decide nothing here, and reading them took 99 % of the time.
    setenv("SSL_CERT_FILE", "/dev/null", 1);
    setenv("SSL_CERT_DIR", "/nonexistent", 1);
    cleanup_free char *folder = make_temporary_directory("/tmp", "fuzz-certificate", NULL);
    cleanup_buf struct buf trusted = {0};
    world_need(folder);
    world_make(folder, "http://127.0.0.1:9/");
    load(folder, "sign-der.crt", &good[SIGN]);
    load(folder, "sign-der.crl", &good[LIST]);
    load(folder, "HKD-good-der.crt", &good[DOCUMENT]);
    load(folder, "inter-der.crt", &inter);
    load(folder, "root-der.crl", &root_crl);
    load(folder, "inter-der.crl", &inter_crl);
    load(folder, "root-der.crt", &trusted);
    const unsigned char *p = (const unsigned char *)trusted.data;
    root = d2i_X509(NULL, &p, (long)trusted.len);
    world_need(root && host_key_parse(good[DOCUMENT].data, good[DOCUMENT].len, "good", &good_host,
                                      NULL) == 0);
    return remove_tree(folder, NULL);
}

static void begin_store(struct trust_store *s, const struct trust *trust)
{
    *s = (struct trust_store){.trust = trust, .now = time(NULL), .roots = X509_STORE_new()};
    world_need(s->roots && X509_STORE_add_cert(s->roots, root) == 1);
}

// A store of the good set with one part exchanged; then the verdict on the document.
static int judge(enum part which, const struct buf *changed, struct host_key *host,
                 struct error **err)
{
    static const struct trust trust;
    struct trust_store *s = xcalloc(1, sizeof *s);
    const struct buf *sign = which == SIGN ? changed : &good[SIGN];
    const struct buf *list = which == LIST ? changed : &good[LIST];
    begin_store(s, &trust);
    int result = trust_parse_certificates(s, inter.data, inter.len, "inter", err);
    if (!result)
        result = trust_parse_crls(s, root_crl.data, root_crl.len, "root list", false, err);
    if (!result)
        result = trust_parse_crls(s, inter_crl.data, inter_crl.len, "inter list", false, err);
    if (!result)
        result = trust_parse_certificates(s, sign->data, sign->len, "sign", err);
    if (!result)
        result = trust_parse_crls(s, list->data, list->len, "list", false, err);
    if (!result)
        result = find_signing_keys(s, err);
    if (!result)
        verify_chain(s, &s->keys[0]);
    if (!result)
        result = trust_check(s, host, err);
    trust_close(s);
    return result;
}

// Bytes that no signature covers may differ (how the signature itself is encoded); contents may
// not.
static void check_document(const struct host_key *host)
{
    world_need(EVP_PKEY_eq(host->key, good_host.key) == 1);
    world_need(!ASN1_INTEGER_cmp(X509_get0_serialNumber(host->document),
                                 X509_get0_serialNumber(good_host.document)));
}

static void judge_changed(enum part which, const uint8_t *data, size_t size)
{
    cleanup_buf struct buf changed = {0};
    cleanup_error struct error *err = NULL;
    buf_add(&changed, good[which].data, good[which].len);
    for (size_t i = 0; i + 3 <= size; i += 3)
        changed.data[((size_t)data[i] << 8 | data[i + 1]) % changed.len] = (char)data[i + 2];
    struct host_key host = good_host;
    if (which == DOCUMENT && host_key_parse(changed.data, changed.len, "document", &host, NULL) < 0)
        return;
    struct host_key_text text = host_key_text(&host);
    host_key_text_free(&text);
    if (judge(which, &changed, &host, &err) < 0)
        world_need(err && !strchr(err->message, '\n'));
    else if (which == DOCUMENT)
        check_document(&host);
    if (which == DOCUMENT)
        host_key_free(&host);
}

static void parse(bool lists, const uint8_t *data, size_t size)
{
    static const struct trust trust;
    struct trust_store *s = xcalloc(1, sizeof *s);
    cleanup_error struct error *err = NULL;
    cleanup_strlist struct strlist urls = {0};
    begin_store(s, &trust);
    int result = lists ? trust_parse_crls(s, data, size, "file", false, &err)
                       : trust_parse_certificates(s, data, size, "file", &err);
    world_need(result == 0 ? !err && s->crl_count + s->certificate_count > 0 : err != NULL);
    for (size_t i = 0; i < s->certificate_count; i++)
        distribution_points(s->certificates[i].x, &urls);
    if (result == 0 && find_signing_keys(s, NULL) == 0)
        verify_chain(s, &s->keys[0]);
    classify_crls(s);
    trust_close(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    int choice = data[0] % 5;
    if (choice < 2)
        parse(choice == 1, data + 1, size - 1);
    else
        judge_changed((enum part)(choice - 2), data + 1, size - 1);
    return 0;
}
