// SPDX-License-Identifier: Apache-2.0
// Implements `kbuild se info` and `kbuild se reference`: prints the content of an image.
#include "se.h"

#include "se/info.h"
#include "se/reference.h"

#include <openssl/crypto.h>
#include <string.h>
#include <strings.h>

enum format { TEXT, PRETTY, COMPACT };

static int choose_format(const char *word, bool json, enum format *out, struct error **err)
{
    static const struct {
        const char *word;
        enum format format;
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
            *out = formats[i].format;
            return 0;
        }
    return usage_error(err, "se info",
                       "--format is text, text:full, json, json:pretty or json:minify");
}

static int print_info(const char *path, const struct info_options *o, enum format format,
                      struct error **err)
{
    cleanup_buf struct buf text = {0};
    cleanup_free char *name = NULL;
    cleanup_close int fd = se_image_open(path, &name, err);
    if (fd < 0)
        return -1;
    int result = format == TEXT ? se_info_text(fd, name, o, &text, err)
                                : se_info_json(fd, name, o, format == PRETTY, &text, err);
    if (!result)
        print_text(stdout, text.data, text.len);
    if (text.data)
        OPENSSL_cleanse(text.data, text.len);
    return result;
}

static int print_schema(const struct global_options *g, const struct strlist *words,
                        struct error **err)
{
    cleanup_buf struct buf text = {0};
    if (words->n || g->line.n > 1)
        return usage_error(err, "se info", "--print-schema stands alone: it reads no image");
    if (strcasecmp(option_value(g, "--print-schema"), "json") != 0)
        return usage_error(err, "se info", "--print-schema is json: text has no schema");
    se_info_schema(&text);
    print_text(stdout, text.data, text.len);
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
    enum format format;
    unsigned char key[32];
    if (option_given(g, "--print-schema"))
        return print_schema(g, words, err);
    if (words->n != 1)
        return usage_error(err, "se info", "an image is missing (- is the standard input)");
    if (key_path && key_too)
        return usage_error(err, "se info", "--key and --hdr-key are the same: give one");
    key_path = key_path ? key_path : key_too;
    if (choose_format(format_word, g->json, &format, err) < 0)
        return -1;
    if (show_secrets && !key_path)
        return usage_error(err, "se info", "--show-secrets needs --hdr-key");
    if ((folder && info_documents(folder, &documents, err) < 0) ||
        (key_path && header_key_load(key_path, key, err) < 0))
        return -1;
    struct info_options o = {
        .header_key = key_path ? key : NULL, .show_secrets = show_secrets, .documents = &documents};
    int result = print_info(words->items[0], &o, format, err);
    OPENSSL_cleanse(key, sizeof key);
    return result;
}

// ---- se reference IMAGE [-o FILE|DIR] [--header FILE] [-i KERNEL] [-r INITRD] [-p PARMFILE] ----

struct reference_words {
    struct se_proof_words proof;
    const char *output, *header;
};

static bool any_original(const struct se_originals *o)
{
    for (size_t i = 0; i < SE_ORIGINALS; i++)
        if (o->of[i].fd >= 0)
            return true;
    return false;
}

// Files are listed in the reference values as originals of the image only after a check.
static int check_originals(int fd, const char *name, const struct reference_words *w,
                           const struct se_originals *originals, struct error **err)
{
    cleanup_strlist struct strlist done = {0};
    if (w->proof.secret && !w->proof.record)
        return usage_error(err, "se reference",
                           "--seal-secret proves nothing without --seal-record");
    if (any_original(originals) && !se_proof_given(&w->proof))
        return usage_error(err, "se reference",
                           "what the image was made of can be compared only with " SE_PROOF_WAYS);
    return se_proof_given(&w->proof)
               ? se_verify_by_words(fd, name, &w->proof, originals, &done, err)
               : 0;
}

static int write_reference(const struct reference_words *w, const struct buf *json,
                           const struct buf *header, struct error **err)
{
    if (w->header && file_write(w->header, header->data, header->len, 0644, err) < 0)
        return -1;
    if (!w->output) {
        print_text(stdout, json->data, json->len);
        return 0;
    }
    // In a folder, under the same name as in a build.
    cleanup_free char *path = is_directory(w->output)
                                  ? xasprintf("%s/kata-containers-se.json", w->output)
                                  : xstrdup(w->output);
    return file_write(path, json->data, json->len, 0644, err);
}

int se_verb_reference(struct global_options *g, struct strlist *words, struct error **err)
{
    cleanup_originals struct se_originals originals = SE_ORIGINALS_NONE;
    struct reference_words w = {.proof = se_proof_from_options(g),
                                .output = option_value(g, "--output"),
                                .header = option_value(g, "--header")};
    cleanup_buf struct buf json = {0}, header = {0};
    cleanup_free char *name = NULL;
    cleanup_close int fd = se_image_open(words->items[0], &name, err);
    if (fd < 0 || se_originals_from_options(g, &originals, err) < 0 ||
        check_originals(fd, name, &w, &originals, err) < 0 ||
        se_reference(fd, name, &originals, &json, &header, err) < 0)
        return -1;
    return write_reference(&w, &json, &header, err);
}
