// SPDX-License-Identifier: Apache-2.0
// Implements `kbuild se verify`.
#include "se.h"

#include "se/info.h"
#include "se/verify.h"

#include <openssl/crypto.h>

int se_originals_from_options(const struct global_options *g, struct se_originals *out,
                              struct error **err)
{
    const struct {
        const char *path, *tarball;
        const char *both;
        enum se_original_kind kind;
    } all[] = {
        {option_value(g, "--image"), option_value(g, "--kernel-tarball"),
         "--image and --kernel-tarball", SE_ORIGINAL_KERNEL},
        {option_value(g, "--ramdisk"), option_value(g, "--initrd-tarball"),
         "--ramdisk and --initrd-tarball", SE_ORIGINAL_INITRD},
        {option_value(g, "--parmfile"), NULL, "", SE_ORIGINAL_COMMAND_LINE},
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        if (all[i].path && all[i].tarball) {
            cleanup_free char *why = xasprintf("give one of %s", all[i].both);
            return usage_error(err, g->line.verb->name, why);
        }
        if ((all[i].path && se_original_open(out, all[i].kind, all[i].path, err) < 0) ||
            (all[i].tarball && se_original_unpack(out, all[i].kind, all[i].tarball, err) < 0))
            return -1;
    }
    return 0;
}

struct se_proof_words se_proof_from_options(const struct global_options *g)
{
    return (struct se_proof_words){.host_key = option_value(g, "--host-key"),
                                   .header_key = option_value(g, "--hdr-key"),
                                   .record = option_value(g, "--seal-record"),
                                   .secret = option_value(g, "--seal-secret")};
}

bool se_proof_given(const struct se_proof_words *w)
{
    return w->host_key || w->header_key || w->record;
}

// Loads the files that the words name. The arguments own what was loaded, also on failure.
static int load_proof(const struct se_proof_words *w, struct se_proof *proof,
                      unsigned char *header_key, struct secret_memory *secret, struct error **err)
{
    proof->record = w->record;
    if (w->secret) {
        if (se_secret_load(w->secret, secret, err) < 0)
            return -1;
        proof->secret = secret;
    }
    if (w->header_key) {
        if (header_key_load(w->header_key, header_key, err) < 0)
            return -1;
        proof->header_key = header_key;
    }
    if (w->host_key) {
        proof->host_key = host_private_key_load(w->host_key, err);
        return proof->host_key ? 0 : -1;
    }
    return 0;
}

int se_verify_by_words(int fd, const char *name, const struct se_proof_words *w,
                       const struct se_originals *originals, struct strlist *done,
                       struct error **err)
{
    unsigned char header_key[32];
    struct secret_memory secret = {0};
    struct se_proof proof = {0};
    int result = load_proof(w, &proof, header_key, &secret, err);
    if (!result)
        result = se_verify(fd, name, &proof, originals, done, err);
    OPENSSL_cleanse(header_key, sizeof header_key);
    EVP_PKEY_free(proof.host_key);
    secret_memory_free(&secret);
    return result;
}

static int verify_image(const char *path, const struct se_proof_words *proof,
                        const struct global_options *g, struct error **err)
{
    cleanup_originals struct se_originals originals = SE_ORIGINALS_NONE;
    cleanup_strlist struct strlist done = {0};
    cleanup_free char *name = NULL;
    cleanup_close int fd = se_image_open(path, &name, err);
    if (fd < 0 || se_originals_from_options(g, &originals, err) < 0)
        return -1;
    int result = se_verify_by_words(fd, name, proof, &originals, &done, err);
    for (size_t i = 0; i < done.n; i++)
        print("%s\n", done.items[i]);
    if (!result)
        print("%s: good\n", name);
    return result;
}

int se_verb_verify(struct global_options *g, struct strlist *words, struct error **err)
{
    struct se_proof_words proof = se_proof_from_options(g);
    if (proof.secret && !proof.record)
        return usage_error(err, "se verify", "--seal-secret proves nothing without --seal-record");
    if (!se_proof_given(&proof))
        return usage_error(err, "se verify", "one of these is needed: " SE_PROOF_WAYS);
    return verify_image(words->items[0], &proof, g, err);
}
