// SPDX-License-Identifier: Apache-2.0
// Implements the verbs of `kbuild se` on sealed images: test-key, open, verify, info, reference.
#include "se.h"

#include "base/document.h"
#include "base/error.h"
#include "base/libcrypto.h"
#include "se/se.h"

#include <string.h>
#include <strings.h>

// ---- se test-key DIR ----

int se_verb_test_key(struct global_options *g, struct strlist *words, struct error **err)
{
    cleanup_free char *document = NULL;
    cleanup_free char *key = NULL;
    if (host_key_make_test(words->items[0], &document, &key, err) < 0)
        return -1;
    print("%s\n%s\n", document, key);
    log_note("this is a TEST host key: for tests only, never for secrets");
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

// ---- what an image was made of, and its proof: options of several verbs ----

#define PROOF_OPTIONS "--host-key KEY, --hdr-key FILE, or --seal-record FILE [--seal-secret FILE]"

// kata-artifacts: of the releases, and of HEAD.
static const char *const kernel_members[] = {KATA_SHARE "vmlinuz-confidential.container",
                                             KATA_SHARE "vmlinuz.container", NULL};
static const char *const initrd_members[] = {KATA_SHARE "kata-containers-initrd-confidential.img",
                                             NULL};

int open_originals(const struct global_options *g, const char *kernel, const char *initrd,
                   struct se_originals *out, struct error **err)
{
    const struct {
        const char *option, *path;
        const char *tarball_option, *tarball;
        enum se_original_kind kind;
        const char *const *members;
    } all[] = {
        {kernel, option_value(g, kernel), "--kernel-tarball", option_value(g, "--kernel-tarball"),
         SE_ORIGINAL_KERNEL, kernel_members},
        {initrd, option_value(g, initrd), "--initrd-tarball", option_value(g, "--initrd-tarball"),
         SE_ORIGINAL_INITRD, initrd_members},
        {"--parmfile", option_value(g, "--parmfile"), NULL, NULL, SE_ORIGINAL_COMMAND_LINE, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        if (all[i].path && all[i].tarball) {
            cleanup_free char *why =
                xasprintf("give only one of %s and %s", all[i].option, all[i].tarball_option);
            return usage_error(err, g->line.verb->name, why);
        }
        if ((all[i].path && se_original_open(out, all[i].kind, all[i].path, err) < 0) ||
            (all[i].tarball &&
             se_original_unpack(out, all[i].kind, all[i].tarball, all[i].members, err) < 0))
            return -1;
    }
    return 0;
}

struct proof_options proof_options_read(const struct global_options *g)
{
    return (struct proof_options){.host_key = option_value(g, "--host-key"),
                                  .header_key = option_value(g, "--hdr-key"),
                                  .record = option_value(g, "--seal-record"),
                                  .secret = option_value(g, "--seal-secret")};
}

bool proof_options_given(const struct proof_options *w)
{
    return w->host_key || w->header_key || w->record;
}

int loaded_proof_read(struct loaded_proof *p, const struct proof_options *w, struct error **err)
{
    p->proof.record = w->record;
    if (w->secret) {
        if (se_secret_load(w->secret, &p->secret, err) < 0)
            return -1;
        p->proof.secret = &p->secret;
    }
    if (w->header_key) {
        if (header_key_load(w->header_key, p->header_key, err) < 0)
            return -1;
        p->proof.header_key = p->header_key;
    }
    if (w->host_key) {
        p->proof.host_key = host_private_key_load(w->host_key, err);
        return p->proof.host_key ? 0 : -1;
    }
    return 0;
}

void loaded_proof_free(struct loaded_proof *p)
{
    OPENSSL_cleanse(p->header_key, sizeof p->header_key);
    EVP_PKEY_free(p->proof.host_key);
    secret_memory_free(&p->secret);
}

static int verify_with_proof(int fd, const char *name, const struct proof_options *w,
                             const struct se_originals *originals, struct se_findings *done,
                             struct error **err)
{
    struct loaded_proof p = {0};
    int result = loaded_proof_read(&p, w, err);
    if (!result)
        result = se_verify(fd, name, &p.proof, originals, done, err);
    loaded_proof_free(&p);
    return result;
}

// ---- se verify ----

static int verify_image(const char *path, const struct proof_options *proof,
                        const struct global_options *g, struct error **err)
{
    cleanup_originals struct se_originals originals = SE_ORIGINALS_NONE;
    cleanup_findings struct se_findings done = {0};
    cleanup_free char *name = NULL;
    cleanup_close int fd = se_image_open(path, SE_IMAGE_MEMBER, &name, err);
    if (fd < 0 || open_originals(g, "--image", "--ramdisk", &originals, err) < 0)
        return -1;
    int result = verify_with_proof(fd, name, proof, &originals, &done, err);
    bool stated = false;
    for (size_t i = 0; i < done.text.n; i++) {
        print("%s\n", done.text.items[i]);
        stated |= done.basis[i] == SE_STATED;
    }
    if (!result)
        print("%s: good%s\n", name,
              stated ? ", if the seal record is genuine: no key or secret shows that" : "");
    return result;
}

int se_verb_verify(struct global_options *g, struct strlist *words, struct error **err)
{
    struct proof_options proof = proof_options_read(g);
    if (proof.secret && !proof.record)
        return usage_error(err, "se verify", "--seal-secret needs --seal-record");
    if (!proof_options_given(&proof))
        return usage_error(err, "se verify", "one of these is needed: " PROOF_OPTIONS);
    return verify_image(words->items[0], &proof, g, err);
}

// ---- se info ----

enum info_format { TEXT, PRETTY, COMPACT };

static int parse_format(const char *word, bool json, enum info_format *out, struct error **err)
{
    static const struct {
        const char *word;
        enum info_format info_format;
    } formats[] = {
        {"text", TEXT},          {"text:full", TEXT},      {"json", PRETTY},
        {"json:pretty", PRETTY}, {"json:minify", COMPACT},
    };
    *out = json ? PRETTY : TEXT;
    if (!word)
        return 0;
    if (json && !strncasecmp(word, "text", 4))
        return usage_error(err, "se info", "--json and --format=text contradict each other");
    for (size_t i = 0; i < ARRAY_LEN(formats); i++)
        if (!strcasecmp(word, formats[i].word)) {
            *out = formats[i].info_format;
            return 0;
        }
    return usage_error(err, "se info",
                       "--format must be text, text:full, json, json:pretty or json:minify");
}

static int print_image_info(const char *path, const struct info_options *o,
                            enum info_format info_format, struct error **err)
{
    cleanup_buf struct buf text = {0};
    cleanup_free char *name = NULL;
    cleanup_close int fd = se_image_open(path, SE_IMAGE_MEMBER, &name, err);
    if (fd < 0)
        return -1;
    int result = info_format == TEXT ? se_info_text(fd, name, o, &text, err)
                                     : se_info_json(fd, name, o, info_format == PRETTY, &text, err);
    if (!result && info_format == TEXT)
        print_text(stdout, text.data, text.len);
    else if (!result)
        print_document(stdout, DOCUMENT_JSON, text.data, text.len);
    if (text.data)
        OPENSSL_cleanse(text.data, text.len);
    return result;
}

static int print_info_schema(const struct global_options *g, const struct strlist *words,
                             struct error **err)
{
    cleanup_buf struct buf text = {0};
    if (words->n || g->line.n > 1)
        return usage_error(err, "se info", "--print-schema must be given alone: it reads no image");
    if (strcasecmp(option_value(g, "--print-schema"), "json") != 0)
        return usage_error(err, "se info", "--print-schema must be json: text has no schema");
    se_info_schema(&text);
    print_document(stdout, DOCUMENT_JSON, text.data, text.len);
    return 0;
}

int se_verb_info(struct global_options *g, struct strlist *words, struct error **err)
{
    cleanup_strlist struct strlist documents = {0};
    const char *format_word = option_value(g, "--format"), *key_path = option_value(g, "--hdr-key");
    const char *folder = option_value(g, "--host-key-documents"),
               *key_too = option_value(g, "--key");
    bool show_secrets = option_given(g, "--show-secrets");
    option_values(g, "--host-key-document", &documents);
    enum info_format info_format;
    unsigned char key[32];
    if (option_given(g, "--print-schema"))
        return print_info_schema(g, words, err);
    if (words->n != 1)
        return usage_error(err, "se info", "an image is missing (- is the standard input)");
    if (key_path && key_too)
        return usage_error(err, "se info",
                           "--key and --hdr-key are the same option: give only one");
    key_path = key_path ? key_path : key_too;
    if (parse_format(format_word, g->json, &info_format, err) < 0)
        return -1;
    if (show_secrets && !key_path)
        return usage_error(err, "se info", "--show-secrets needs --hdr-key");
    if ((folder && info_documents(folder, &documents, err) < 0) ||
        (key_path && header_key_load(key_path, key, err) < 0))
        return -1;
    struct info_options o = {
        .header_key = key_path ? key : NULL, .show_secrets = show_secrets, .documents = &documents};
    int result = print_image_info(words->items[0], &o, info_format, err);
    OPENSSL_cleanse(key, sizeof key);
    return result;
}

// ---- se reference IMAGE [-o FILE|DIR] [--header FILE] [-i KERNEL] [-r INITRD] [-p PARMFILE] ----

struct reference_options {
    struct proof_options proof;
    const char *output, *header;
};

static bool has_original(const struct se_originals *o)
{
    for (size_t i = 0; i < SE_ORIGINALS; i++)
        if (o->of[i].fd >= 0)
            return true;
    return false;
}

// Files are listed in the reference values as originals of the image only after a check.
static int check_reference_originals(int fd, const char *name, const struct reference_options *w,
                                     const struct se_originals *originals, struct error **err)
{
    cleanup_findings struct se_findings done = {0};
    if (w->proof.secret && !w->proof.record)
        return usage_error(err, "se reference", "--seal-secret needs --seal-record");
    if (has_original(originals) && !proof_options_given(&w->proof))
        return usage_error(
            err, "se reference",
            "the files that the image was made of can be compared only with " PROOF_OPTIONS);
    return proof_options_given(&w->proof)
               ? verify_with_proof(fd, name, &w->proof, originals, &done, err)
               : 0;
}

static int write_reference(const struct reference_options *w, const struct buf *json,
                           const struct buf *header, struct error **err)
{
    if (w->header && file_write(w->header, header->data, header->len, 0644, err) < 0)
        return -1;
    if (!w->output) {
        print_document(stdout, DOCUMENT_JSON, json->data, json->len);
        return 0;
    }
    // In a folder, under the same name as in a build.
    cleanup_free char *path = document_path(w->output, "kata-containers-se.json");
    return document_write(path, DOCUMENT_JSON, json->data, json->len, err);
}

int se_verb_reference(struct global_options *g, struct strlist *words, struct error **err)
{
    cleanup_originals struct se_originals originals = SE_ORIGINALS_NONE;
    struct reference_options w = {.proof = proof_options_read(g),
                                  .output = option_value(g, "--output"),
                                  .header = option_value(g, "--header")};
    cleanup_buf struct buf json = {0}, header = {0};
    cleanup_free char *name = NULL;
    cleanup_close int fd = se_image_open(words->items[0], SE_IMAGE_MEMBER, &name, err);
    if (fd < 0 || open_originals(g, "--image", "--ramdisk", &originals, err) < 0 ||
        check_reference_originals(fd, name, &w, &originals, err) < 0 ||
        se_reference(fd, name, &originals, &json, &header, err) < 0)
        return -1;
    return write_reference(&w, &json, &header, err);
}
