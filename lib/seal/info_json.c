// SPDX-License-Identifier: Apache-2.0
// pvimg's schema, API level 1: these fields and no others.
#include "base/digest.h"
#include "base/log.h"
#include "seal/info_read.h"

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
