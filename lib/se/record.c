// SPDX-License-Identifier: Apache-2.0
// The JSON texts that belong to an image: the seal record (the inputs it was sealed from) and the
// reference values for the verifier of an attestation.
#include "se/internal.h"

#include "base/input.h"

#include <errno.h>
#include <jansson.h>

#define RECORD_VERSION 1
#define RECORD_MAX (1u << 20)

#define READ_RUN (128u << 10)

// ---- inputs ----

const char *const seal_part_names[SEAL_PARTS] = {
    [SEAL_KERNEL] = "kernel",   [SEAL_COMMAND_LINE] = "command-line", [SEAL_INITRD] = "initrd",
    [SEAL_STAGE3A] = "stage3a", [SEAL_STAGE3B] = "stage3b",
};
static const char *const given_key_names[GIVEN_KEYS] = {
    [GIVEN_HEADER_KEY] = "header-key",
    [GIVEN_CCK] = "cck",
    [GIVEN_COMPONENT_KEY] = "component-key",
};

int seal_part_of_file(int fd, const char *name, uint64_t size, struct seal_part *out,
                      struct error **err)
{
    cleanup_free unsigned char *bytes = xmalloc(READ_RUN);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = context && EVP_DigestInit_ex(context, EVP_sha512(), NULL) == 1;
    int result = 0;
    for (uint64_t done = 0; good && !result && done < size;) {
        size_t n = size - done < READ_RUN ? (size_t)(size - done) : READ_RUN;
        result = read_at(fd, name, done, bytes, n, err);
        good = result || EVP_DigestUpdate(context, bytes, n) == 1;
        done += n;
    }
    if (good && !result)
        good = EVP_DigestFinal_ex(context, out->sha512, NULL) == 1;
    EVP_MD_CTX_free(context);
    if (!good)
        return crypto_error(err, "computing SHA-512");
    out->present = true;
    out->size = size;
    return result;
}

int seal_part_of_bytes(const void *bytes, size_t length, struct seal_part *out, struct error **err)
{
    if (EVP_Digest(bytes, length, out->sha512, NULL, EVP_sha512(), NULL) != 1)
        return crypto_error(err, "computing SHA-512");
    out->present = true;
    out->size = length;
    return 0;
}

void seal_inputs_text(const struct seal_inputs *in, struct buf *out)
{
    char hex[2 * POINT_SIZE + 1];
    buf_puts(out, "kbuild seal inputs 1\n");
    for (size_t i = 0; i < SEAL_PARTS; i++) {
        const struct seal_part *p = &in->part[i];
        hex_encode(p->sha512, sizeof p->sha512, hex);
        if (p->present)
            buf_printf(out, "%s %llu %s\n", seal_part_names[i], (unsigned long long)p->size, hex);
        else
            buf_printf(out, "%s absent\n", seal_part_names[i]);
    }
    buf_printf(out, "host-keys %zu\n", in->host_count);
    for (size_t i = 0; i < in->host_count; i++) {
        hex_encode(in->hosts[i], POINT_SIZE, hex);
        buf_printf(out, "host-key %s\n", hex);
    }
    buf_printf(out, "pcf %016llx\nscf %016llx\npsw-address %016llx\n", (unsigned long long)in->pcf,
               (unsigned long long)in->scf, (unsigned long long)in->psw_address);
    for (size_t i = 0; i < GIVEN_KEYS; i++) {
        hex_encode(in->given[i].tag, SEAL_TAG_SIZE, hex);
        buf_printf(out, "%s %s\n", given_key_names[i], in->given[i].given ? hex : "derived");
    }
}

void seal_inputs_free(struct seal_inputs *in)
{
    free(in->hosts);
    *in = (struct seal_inputs){0};
}

// ---- writing a record ----

static json_t *number_json(uint64_t value)
{
    return json_sprintf("%016llx", (unsigned long long)value);
}

static json_t *part_json(const struct seal_part *p)
{
    if (!p->present)
        return json_null();
    return json_pack("{s:I, s:o}", "size", (json_int_t)p->size, "sha512",
                     hex_json(p->sha512, sizeof p->sha512));
}

static int hosts_json(const struct seal_inputs *in, json_t *list, struct error **err)
{
    for (size_t i = 0; i < in->host_count; i++) {
        unsigned char hash[32];
        if (EVP_Digest(in->hosts[i], POINT_SIZE, hash, NULL, EVP_sha256(), NULL) != 1)
            return crypto_error(err, "hashing a public key");
        json_array_append_new(list, json_pack("{s:o, s:o}", "hash", hex_json(hash, sizeof hash),
                                              "public_key", hex_json(in->hosts[i], POINT_SIZE)));
    }
    return 0;
}

int seal_record_write(const struct seal_record *r, struct buf *out, struct error **err)
{
    const struct seal_inputs *in = &r->inputs;
    json_t *hosts = json_array(), *given = json_object(), *all = json_object();
    int result = hosts_json(in, hosts, err);
    for (size_t i = 0; i < GIVEN_KEYS; i++)
        json_object_set_new(given, given_key_names[i],
                            in->given[i].given ? hex_json(in->given[i].tag, SEAL_TAG_SIZE)
                                               : json_null());
    json_object_set_new(all, "kbuild_seal_record", json_integer(RECORD_VERSION));
    json_object_set_new(all, "kbuild", json_string(KBUILD_VERSION));
    json_object_set_new(all, "secret_id",
                        r->provable ? hex_json(r->id, sizeof r->id) : json_null());
    for (size_t i = 0; i < SEAL_PARTS; i++)
        json_object_set_new(all, seal_part_names[i], part_json(&in->part[i]));
    json_object_set_new(all, "host_keys", hosts);
    json_object_set_new(all, "pcf", number_json(in->pcf));
    json_object_set_new(all, "scf", number_json(in->scf));
    json_object_set_new(all, "psw_address", number_json(in->psw_address));
    json_object_set_new(all, "given_keys", given);
    json_object_set_new(
        all, "image",
        json_pack("{s:I, s:s}", "size", (json_int_t)r->image_size, "sha256", r->image_sha256));
    cleanup_free char *text = json_dumps(all, JSON_INDENT(2));
    json_decref(all);
    if (!result && !text)
        out_of_memory();
    if (!result)
        buf_printf(out, "%s\n", text);
    return result;
}

// ---- reading a record: *wrong gets the first fault ----

static void read_hex(const json_t *value, void *out, size_t length, const char *what,
                     const char **wrong)
{
    const char *text = json_string_value(value);
    if (!*wrong && (!text || !hex_decode(text, out, length)))
        *wrong = what;
}

static uint64_t read_number(const json_t *all, const char *name, const char **wrong)
{
    unsigned char bytes[8] = {0};
    read_hex(json_object_get(all, name), bytes, sizeof bytes, name, wrong);
    return get_be64(bytes);
}

static uint64_t read_size(const json_t *object, const char *what, const char **wrong)
{
    const json_t *size = json_object_get(object, "size");
    if (!*wrong && (!json_is_integer(size) || json_integer_value(size) < 0))
        *wrong = what;
    return (uint64_t)json_integer_value(size);
}

static void read_parts(const json_t *all, struct seal_inputs *in, const char **wrong)
{
    for (size_t i = 0; i < SEAL_PARTS; i++) {
        const json_t *value = json_object_get(all, seal_part_names[i]);
        bool optional = i == SEAL_COMMAND_LINE || i == SEAL_INITRD;
        if (optional && json_is_null(value))
            continue;
        struct seal_part *p = &in->part[i];
        p->present = true;
        p->size = read_size(value, seal_part_names[i], wrong);
        read_hex(json_object_get(value, "sha512"), p->sha512, sizeof p->sha512, seal_part_names[i],
                 wrong);
    }
}

static void read_hosts(const json_t *all, struct seal_inputs *in, const char **wrong)
{
    const json_t *list = json_object_get(all, "host_keys");
    size_t count = json_array_size(list);
    if (!*wrong && (count == 0 || count > SE_MAX_HOST_KEYS))
        *wrong = "host_keys";
    if (*wrong)
        return;
    in->hosts = xcalloc(count, POINT_SIZE);
    in->host_count = count;
    for (size_t i = 0; i < count; i++)
        read_hex(json_object_get(json_array_get(list, i), "public_key"), in->hosts[i], POINT_SIZE,
                 "host_keys", wrong);
}

static const char *read_record_json(const json_t *all, struct seal_record *r)
{
    const char *wrong = NULL;
    const json_t *id = json_object_get(all, "secret_id"),
                 *given = json_object_get(all, "given_keys"),
                 *image = json_object_get(all, "image");
    struct seal_inputs *in = &r->inputs;
    r->provable = !json_is_null(id);
    if (r->provable)
        read_hex(id, r->id, sizeof r->id, "secret_id", &wrong);
    read_parts(all, in, &wrong);
    read_hosts(all, in, &wrong);
    in->pcf = read_number(all, "pcf", &wrong);
    in->scf = read_number(all, "scf", &wrong);
    in->psw_address = read_number(all, "psw_address", &wrong);
    for (size_t i = 0; i < GIVEN_KEYS; i++) {
        const json_t *tag = json_object_get(given, given_key_names[i]);
        in->given[i].given = !json_is_null(tag);
        if (in->given[i].given)
            read_hex(tag, in->given[i].tag, SEAL_TAG_SIZE, "given_keys", &wrong);
    }
    r->image_size = read_size(image, "image", &wrong);
    const char *sha256 = json_string_value(json_object_get(image, "sha256"));
    if (!wrong && (!sha256 || !digest_is_hex(sha256)))
        wrong = "image";
    if (!wrong)
        memcpy(r->image_sha256, sha256, DIGEST_HEX_SIZE);
    return wrong;
}

int seal_record_read(const char *path, struct seal_record *out, struct error **err)
{
    cleanup_buf struct buf text = {0};
    if (user_file_read(path, RECORD_MAX, &text, err) < 0)
        return error_wrap(err, "the seal record");
    json_error_t why;
    json_t *all = json_loadb(text.data ? text.data : "", text.len, JSON_REJECT_DUPLICATES, &why);
    struct seal_record r = {0};
    int result = 0;
    if (!all) {
        result = error_user(err, "the seal record %s: line %d: %s", path, why.line, why.text);
    } else if (json_integer_value(json_object_get(all, "kbuild_seal_record")) != RECORD_VERSION) {
        result = error_user(err, "%s: this is no seal record of version %d", path, RECORD_VERSION);
        error_hint(err, "give what `kbuild se seal --seal-record FILE` wrote");
    } else {
        const char *wrong = read_record_json(all, &r);
        if (wrong)
            result = error_user(err, "the seal record %s: '%s' is missing or wrong", path, wrong);
    }
    json_decref(all);
    if (result < 0)
        seal_record_free(&r);
    else
        *out = r;
    return result;
}

void seal_record_free(struct seal_record *r)
{
    seal_inputs_free(&r->inputs);
}

// ---- reference values ----

// The host keys, each once, as a document may be given twice.
static json_t *host_keys_json(const struct se_image *image)
{
    json_t *all = json_array();
    for (uint64_t i = 0; i < image->slots; i++) {
        uint64_t before = 0;
        while (before < i && memcmp(image->slot[before], image->slot[i], SLOT_WRAPPED) != 0)
            before++;
        if (before == i)
            json_array_append_new(all, hex_json(image->slot[i] + SLOT_HASH, 32));
    }
    return all;
}

// An attestation request is for one host key, and the answer names it and the host key that opened
// the image: both belong to hosts that the image was sealed for.
static json_t *values_json(const struct se_image *image)
{
    return json_pack("{s:[i], s:[o], s:o, s:o}", "se.version", (int)image->version, "se.tag",
                     hex_json(image->tag, sizeof image->tag), "se.image_phkh",
                     host_keys_json(image), "se.attestation_phkh", host_keys_json(image));
}

static json_t *header_json(const struct se_image *image, const unsigned char *header)
{
    char hex[DIGEST_HEX_SIZE];
    digest_bytes(header, image->header_size, hex);
    return json_pack("{s:I, s:s, s:o, s:o, s:o}", "size", (json_int_t)image->header_size, "sha256",
                     hex, "pld", hex_json(image->pld, 64), "ald", hex_json(image->ald, 64), "tld",
                     hex_json(image->tld, 64));
}

static int set_file_json(json_t *all, const char *what, int fd, const char *name,
                         struct error **err)
{
    char hex[DIGEST_HEX_SIZE];
    uint64_t size;
    if (lseek(fd, 0, SEEK_SET) < 0)
        return error_errno(err, errno, "reading %s", name);
    if (digest_fd(fd, name, hex, &size, err) < 0)
        return -1;
    json_object_set_new(all, what,
                        json_pack("{s:I, s:s}", "size", (json_int_t)size, "sha256", hex));
    return 0;
}

static int reference_json(int fd, const char *name, const struct se_originals *originals,
                          const struct se_image *image, const unsigned char *header,
                          struct buf *out, struct error **err)
{
    static const char *const names[SE_ORIGINALS] = {[SE_ORIGINAL_KERNEL] = "kernel",
                                                    [SE_ORIGINAL_COMMAND_LINE] = "command_line",
                                                    [SE_ORIGINAL_INITRD] = "initrd"};
    json_t *all = json_pack("{s:s, s:o, s:o}", "kbuild", KBUILD_VERSION, "reference_values",
                            values_json(image), "header", header_json(image, header));
    int result = set_file_json(all, "image", fd, name, err);
    for (size_t i = 0; !result && i < SE_ORIGINALS; i++)
        if (originals->of[i].fd >= 0)
            result = set_file_json(all, names[i], originals->of[i].fd, originals->of[i].name, err);
    cleanup_free char *text = json_dumps(all, JSON_INDENT(2));
    json_decref(all);
    if (!text)
        out_of_memory();
    if (!result)
        buf_printf(out, "%s\n", text);
    return result;
}

int se_reference(int fd, const char *name, const struct se_originals *originals, struct buf *json,
                 struct buf *header, struct error **err)
{
    struct se_image image;
    cleanup_free unsigned char *bytes = NULL;
    if (image_parse(fd, name, &image, &bytes, err) < 0)
        return -1;
    // Values of a damaged image would be useless.
    int result = image_check(fd, name, &image, false, err);
    if (!result && json)
        result = reference_json(fd, name, originals, &image, bytes, json, err);
    if (!result && header)
        buf_add(header, bytes, image.header_size);
    se_image_free(&image);
    return result;
}
