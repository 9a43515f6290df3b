// SPDX-License-Identifier: Apache-2.0
// What an image says of itself as JSON, with the fields that `pvimg info` has in its API level 1
// and no others; and the JSON Schema of that.
#include "base/digest.h"
#include "base/log.h"
#include "se/info_read.h"

#include <jansson.h>
#include <openssl/crypto.h>
#include <time.h>

static void set_hex(json_t *object, const char *name, const void *bytes, size_t length)
{
    cleanup_free char *hex = xmalloc(2 * length + 1);
    hex_encode(bytes, length, hex);
    json_object_set_new(object, name, json_string(hex));
    OPENSSL_cleanse(hex, 2 * length);
}

static void set_number(json_t *object, const char *name, uint64_t value)
{
    json_object_set_new(object, name, json_sprintf("%016llx", (unsigned long long)value));
}

static json_t *meta(void)
{
    char host[256] = "", text[64] = "";
    time_t now = time(NULL);
    struct tm local;
    gethostname(host, sizeof host - 1);
    if (localtime_r(&now, &local))
        strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S%z", &local);
    return json_pack("{s:i, s:s, s:s, s:I, s:s}", "api_level", 1, "version", KBUILD_VERSION, "host",
                     host, "time_epoch", (json_int_t)now, "time", text);
}

static json_t *slots(const struct se_image *image)
{
    json_t *all = json_array();
    for (uint64_t i = 0; i < image->slots; i++) {
        json_t *slot = json_object();
        set_hex(slot, "phkh_hex", image->slot[i] + SLOT_HASH, SLOT_WRAPPED - SLOT_HASH);
        set_hex(slot, "wrpk_hex", image->slot[i] + SLOT_WRAPPED, SLOT_TAG - SLOT_WRAPPED);
        set_hex(slot, "kst_hex", image->slot[i] + SLOT_TAG, SLOT_SIZE - SLOT_TAG);
        json_array_append_new(all, slot);
    }
    return all;
}

static void set_area(json_t *data, const struct inspected *i, bool secrets)
{
    const struct se_image *image = &i->image;
    if (!secrets) {
        unsigned char text[4 * ((AREA_SIZE + 2) / 3) + 1];
        EVP_EncodeBlock(text, i->header + image->header_size - AREA_SIZE - TAG_SIZE, AREA_SIZE);
        json_object_set_new(data, "cipher_data_b64", json_string((char *)text));
        return;
    }
    json_t *psw = json_object();
    set_number(psw, "mask_hex", image->psw_mask);
    set_number(psw, "addr_hex", image->psw_address);
    json_object_set_new(data, "psw", psw);
    set_number(data, "scf_hex", image->scf);
    set_hex(data, "cck_hex", i->opened.area + AREA_CCK, 32);
    set_hex(data, "xts_hex", i->opened.area + AREA_XTS_KEY, 64);
}

static json_t *data_of(const struct inspected *i, bool secrets)
{
    const struct se_image *image = &i->image;
    json_t *data = json_object(), *point = json_object();
    json_object_set_new(data, "kind", json_string(secrets ? "decrypted_se_hdr" : "se_hdr"));
    json_object_set_new(data, "verified", json_boolean(i->authentic));
    set_hex(data, "magic_hex", i->header + HEADER_MAGIC, 8);
    json_object_set_new(data, "version", json_string("V1"));
    json_object_set_new(data, "sehs", json_integer((json_int_t)image->header_size));
    set_hex(data, "iv_hex", image->iv, sizeof image->iv);
    json_object_set_new(data, "nks", json_integer((json_int_t)image->slots));
    json_object_set_new(data, "sea", json_integer((json_int_t)image->encrypted_size));
    json_object_set_new(data, "nep", json_integer((json_int_t)image->pages));
    set_number(data, "pcf_hex", image->pcf);
    set_hex(point, "coord_hex", image->customer_key, sizeof image->customer_key);
    json_object_set_new(data, "cust_pub_key", point);
    set_hex(data, "pld_hex", image->pld, sizeof image->pld);
    set_hex(data, "ald_hex", image->ald, sizeof image->ald);
    set_hex(data, "tld_hex", image->tld, sizeof image->tld);
    json_object_set_new(data, "keyslots", slots(image));
    set_area(data, i, secrets);
    set_hex(data, "tag_hex", image->tag, sizeof image->tag);
    return data;
}

int se_info_json(int fd, const char *name, const struct info_options *o, bool pretty,
                 struct buf *out, struct error **err)
{
    cleanup_inspected struct inspected i = {0};
    if (inspect(fd, name, o, &i, err) < 0)
        return -1;
    if (!i.authentic)
        log_warning("%s: the header was not verified: that needs the header key", name);
    for (size_t t = 0; t < i.bad.n; t++)
        log_warning("%s", i.bad.items[t]);
    json_t *all = json_pack("{s:o, s:o}", "meta", meta(), "data",
                            data_of(&i, o->show_secrets && i.authentic));
    cleanup_free char *text = json_dumps(all, pretty ? JSON_INDENT(2) : JSON_COMPACT);
    json_decref(all);
    if (!text)
        out_of_memory();
    buf_printf(out, "%s\n", text);
    OPENSSL_cleanse(text, strlen(text));
    return 0;
}

// ---- the schema ----

// The objects of the output; a field is in one or more of them.
enum group { META = 1, ENCRYPTED = 2, DECRYPTED = 4, POINT = 8, SLOT = 16, PSW = 32 };
#define DATA (ENCRYPTED | DECRYPTED)
enum kind { HEX, BASE64, COUNT, TEXT, BOOLEAN, ONE_OF, LIST_OF };

static const struct schema_field {
    unsigned groups;
    const char *name;
    enum kind kind;
    unsigned size; // bytes of HEX; the group of ONE_OF and LIST_OF
    const char *is;
} schema_fields[] = {
    {META, "api_level", COUNT, 0, "level of this format: 1"},
    {META, "version", TEXT, 0, "version of the program that printed it"},
    {META, "host", TEXT, 0, "name of the machine that it ran on"},
    {META, "time_epoch", COUNT, 0, "when: seconds since 1970"},
    {META, "time", TEXT, 0, "when: date, time and offset from UTC"},
    {DATA, "kind", TEXT, 0, "se_hdr, or decrypted_se_hdr if secrets are shown"},
    {DATA, "verified", BOOLEAN, 0, "whether the header's tag was checked with the header key"},
    {DATA, "magic_hex", HEX, 8, "how a header begins: IBMSecEx"},
    {DATA, "version", TEXT, 0, "version of the header: V1"},
    {DATA, "sehs", COUNT, 0, "bytes of the header"},
    {DATA, "iv_hex", HEX, 12, "initialization vector of the header"},
    {DATA, "nks", COUNT, 0, "number of key slots"},
    {DATA, "sea", COUNT, 0, "bytes of the encrypted area"},
    {DATA, "nep", COUNT, 0, "number of pages of the components"},
    {DATA, "pcf_hex", HEX, 8, "plaintext control flags"},
    {DATA, "cust_pub_key", ONE_OF, POINT, "public key of the customer, drawn for this image"},
    {POINT, "coord_hex", HEX, 160, "its coordinates on P-521, x and y, 80 bytes each"},
    {DATA, "pld_hex", HEX, 64, "SHA-512 over the contents of all pages"},
    {DATA, "ald_hex", HEX, 64, "SHA-512 over their addresses"},
    {DATA, "tld_hex", HEX, 64, "SHA-512 over their tweaks"},
    {DATA, "keyslots", LIST_OF, SLOT, "a slot for each host key"},
    {SLOT, "phkh_hex", HEX, 32, "SHA-256 of the public host key"},
    {SLOT, "wrpk_hex", HEX, 32, "the header key, encrypted for that host"},
    {SLOT, "kst_hex", HEX, 16, "tag of the slot"},
    {ENCRYPTED, "cipher_data_b64", BASE64, 0, "the encrypted area"},
    {DECRYPTED, "psw", ONE_OF, PSW, "program status word that the image starts with"},
    {PSW, "mask_hex", HEX, 8, "its mask"},
    {PSW, "addr_hex", HEX, 8, "its address"},
    {DECRYPTED, "scf_hex", HEX, 8, "secret control flags"},
    {DECRYPTED, "cck_hex", HEX, 32, "customer communication key: secret"},
    {DECRYPTED, "xts_hex", HEX, 64, "key of the components: secret"},
    {DATA, "tag_hex", HEX, 16, "tag of the header"},
};

static json_t *schema_of_group(unsigned group);

static json_t *schema_of_field(const struct schema_field *f)
{
    static const char *const types[] = {"string", "string", "integer", "string", "boolean"};
    json_t *schema = f->kind == ONE_OF    ? schema_of_group(f->size)
                     : f->kind == LIST_OF ? json_pack("{s:s, s:o}", "type", "array", "items",
                                                      schema_of_group(f->size))
                                          : json_pack("{s:s}", "type", types[f->kind]);
    if (f->kind == HEX)
        json_object_set_new(schema, "pattern", json_sprintf("^[0-9a-f]{%u}$", 2 * f->size));
    if (f->kind == BASE64)
        json_object_set_new(schema, "contentEncoding", json_string("base64"));
    if (f->kind == COUNT)
        json_object_set_new(schema, "minimum", json_integer(0));
    json_object_set_new(schema, "description", json_string(f->is));
    return schema;
}

static json_t *schema_of_group(unsigned group)
{
    json_t *properties = json_object(), *required = json_array();
    for (size_t i = 0; i < ARRAY_LEN(schema_fields); i++) {
        const struct schema_field *f = &schema_fields[i];
        if (!(f->groups & group))
            continue;
        json_object_set_new(properties, f->name, schema_of_field(f));
        json_array_append_new(required, json_string(f->name));
    }
    return json_pack("{s:s, s:o, s:o, s:b}", "type", "object", "properties", properties, "required",
                     required, "additionalProperties", 0);
}

void se_info_schema(struct buf *out)
{
    json_t *properties = json_pack("{s:o, s:{s:[o, o]}}", "meta", schema_of_group(META), "data",
                                   "oneOf", schema_of_group(ENCRYPTED), schema_of_group(DECRYPTED));
    json_t *schema = json_pack("{s:s, s:s, s:s, s:o, s:[s, s], s:b}", "$schema",
                               "http://json-schema.org/draft-07/schema#", "title",
                               "header of a Secure Execution image", "type", "object", "properties",
                               properties, "required", "meta", "data", "additionalProperties", 0);
    cleanup_free char *text = json_dumps(schema, JSON_INDENT(2));
    json_decref(schema);
    if (!text)
        out_of_memory();
    buf_printf(out, "%s\n", text);
}
