// SPDX-License-Identifier: Apache-2.0
// Reads and tests an image, and prints its fields as text or as JSON, with the JSON Schema of that.
#include "se/internal.h"

#include "base/error.h"
#include "base/file.h"
#include "base/libcrypto.h"

#include <errno.h>
#include <jansson.h>
#include <sys/stat.h>
#include <time.h>

// ---- flags ----

struct header_flag {
    unsigned bit; // 0: the most significant
    const char *name;
};

static const struct header_flag pcf_flags[] = {
    {34, "dump"},          {35, "no-component-encryption"},
    {56, "pckmo-deatdea"}, {57, "pckmo-aes"},
    {58, "pckmo-ecc"},     {59, "pckmo-hmac"},
    {62, "backup-keys"},
};
static const struct header_flag scf_flags[] = {
    {1, "cck-extension-secret"},
    {2, "cck-update"},
};

static void list_flags(uint64_t value, const struct header_flag *flags, size_t count,
                       struct strlist *out)
{
    for (unsigned bit = 0; bit < 64; bit++) {
        size_t i = 0;
        if (!(value >> (63 - bit) & 1))
            continue;
        while (i < count && flags[i].bit != bit)
            i++;
        if (i < count)
            strlist_add(out, flags[i].name);
        else
            strlist_addf(out, "unknown-bit-%u", bit);
    }
}

void flag_names_pcf(uint64_t pcf, struct strlist *out)
{
    list_flags(pcf, pcf_flags, sizeof pcf_flags / sizeof *pcf_flags, out);
}

void flag_names_scf(uint64_t scf, struct strlist *out)
{
    list_flags(scf, scf_flags, sizeof scf_flags / sizeof *scf_flags, out);
}

// ---- reading and testing ----

struct inspected {
    struct se_image image;
    unsigned char *header;
    bool alone;                  // the file is a header, and nothing else
    bool authentic;              // its tag was checked
    bool has_ipib;               // image.components are set
    uint64_t entry;              // of the short PSW
    struct opened_header opened; // if authentic
    struct strlist good, bad;    // tests
};

static void add_failure(struct inspected *out, struct error *why)
{
    strlist_add(&out->bad, why ? why->message : "unknown");
    error_free(why);
}

static void test_digests(int fd, const char *name, struct inspected *out)
{
    static const char *const digests[] = {
        [FAULT_ADDRESSES] = "ald: the addresses in the IPIB do not have this digest",
        [FAULT_TWEAKS] = "tld: the tweaks in the IPIB do not have this digest",
        [FAULT_CONTENTS] = "pld: the contents of the components do not have this digest",
    };
    enum image_fault fault;
    struct error *why = NULL;
    if (image_find_fault(fd, name, &out->image, &fault, &why) < 0)
        add_failure(out, why);
    else if (fault != FAULT_NONE)
        strlist_add(&out->bad, digests[fault]);
    else
        strlist_add(&out->good,
                    "ald, tld, pld: addresses, tweaks and contents of all pages have the "
                    "digests in the header");
}

static void test_without_key(int fd, const char *name, uint64_t size, struct inspected *out)
{
    struct error *why = NULL;
    strlist_add(&out->good, "header: its sizes and reserved fields fit each other and the file");
    if (out->alone)
        return;
    if (ipib_read(fd, name, size, &out->image, &why) < 0) {
        add_failure(out, why);
        return;
    }
    out->has_ipib = true;
    strlist_add(&out->good,
                "IPIB: its entries follow each other, lie in the file, and have as many "
                "pages as the header counts");
    if (image_check_unprotected(fd, name, &out->image, &why) < 0)
        add_failure(out, why);
    else
        strlist_add(&out->good, out->image.layout_p
                                    ? "short PSW: it leads to the loader"
                                    : "short PSW, loader arguments and gaps are as they must be");
    test_digests(fd, name, out);
}

static int inspect_image(int fd, const char *name, const struct info_options *o,
                         struct inspected *out, struct error **err)
{
    struct stat st;
    struct unlock_key key = {.header_key = o->header_key};
    unsigned char psw[8] = {0};
    if (fstat(fd, &st) < 0)
        return error_errno(err, errno, "reading %s", name);
    uint64_t size = (uint64_t)st.st_size;
    if (image_parse_header(fd, name, &out->image, &out->header, err) < 0)
        return -1;
    out->alone = out->image.header_offset == 0;
    if (o->header_key) {
        if (header_open(&out->image, out->header, name, &key, &out->opened, err) < 0)
            return -1;
        out->authentic = true;
        out->image.scf = get_be64(out->opened.area + AREA_SCF);
        out->image.psw_mask = get_be64(out->opened.area + AREA_PSW_MASK);
        out->image.psw_address = get_be64(out->opened.area + AREA_PSW_ADDRESS);
    }
    if (!out->alone && read_at(fd, name, 0, psw, sizeof psw, err) < 0)
        return -1;
    out->entry = get_be64(psw) & (SE_ADDRESS_LIMIT - 1);
    test_without_key(fd, name, size, out);
    return 0;
}

static void inspected_free(struct inspected *i)
{
    se_image_free(&i->image);
    free(i->header);
    strlist_free(&i->good);
    strlist_free(&i->bad);
    opened_wipe(&i->opened);
}
#define cleanup_inspected __attribute__((cleanup(inspected_free)))

// ---- text ----

// "name        value"
static void put_line(struct buf *out, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void put_line(struct buf *out, const char *name, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    cleanup_free char *value = xvasprintf(format, args);
    va_end(args);
    buf_printf(out, "%-17s %s\n", name, value);
}

static void put_hex(struct buf *out, const char *name, const void *bytes, size_t length)
{
    cleanup_free char *hex = xmalloc(2 * length + 1);
    hex_encode(bytes, length, hex);
    put_line(out, name, "%s", hex);
    OPENSSL_cleanse(hex, 2 * length);
}

static void put_flags(struct buf *out, const char *name, uint64_t value,
                      void (*list)(uint64_t, struct strlist *))
{
    cleanup_strlist struct strlist all = {0};
    list(value, &all);
    cleanup_free char *text = strlist_join(&all, " ");
    put_line(out, name, "0x%016llx %s", (unsigned long long)value, all.n ? text : "(none)");
}

static void put_header_fields(const struct inspected *i, struct buf *out)
{
    const struct se_image *image = &i->image;
    put_line(out, "header", "version 1, %llu bytes at 0x%llx, %s",
             (unsigned long long)image->header_size, (unsigned long long)image->header_offset,
             i->alone          ? "alone"
             : image->layout_p ? "layout of pvimg (s390-tools 2.36 and newer)"
                               : "layout of genprotimg (s390-tools up to 2.35) and kbuild");
    put_line(out, "verified", "%s",
             i->authentic ? "yes, its tag fits the header key" : "no (no header key)");
    put_line(out, "encrypted area", "%llu bytes", (unsigned long long)image->encrypted_size);
    put_line(out, "component pages", "%llu", (unsigned long long)image->pages);
    put_flags(out, "plaintext flags", image->pcf, flag_names_pcf);
    if (i->authentic)
        put_flags(out, "secret flags", image->scf, flag_names_scf);
    if (!i->alone)
        put_line(out, "entry", "0x%llx (loader)", (unsigned long long)i->entry);
    if (i->authentic)
        put_line(out, "protected entry", "0x%llx, PSW mask 0x%016llx",
                 (unsigned long long)image->psw_address, (unsigned long long)image->psw_mask);
    put_hex(out, "iv", image->iv, sizeof image->iv);
    put_hex(out, "customer key", image->customer_key, sizeof image->customer_key);
    put_hex(out, "pld", image->pld, sizeof image->pld);
    put_hex(out, "ald", image->ald, sizeof image->ald);
    put_hex(out, "tld", image->tld, sizeof image->tld);
    put_hex(out, "tag", image->tag, sizeof image->tag);
}

// The document whose key the slot is for, or NULL.
static const char *slot_owner(const struct host_key *keys, size_t count, const unsigned char *slot)
{
    for (size_t i = 0; i < count; i++)
        if (memcmp(keys[i].hash, slot + SLOT_HASH, sizeof keys[i].hash) == 0)
            return keys[i].path;
    return NULL;
}

static int put_slots(const struct inspected *i, const struct info_options *o, struct buf *out,
                     struct error **err)
{
    size_t n = o->documents ? o->documents->n : 0, loaded = 0;
    struct host_key *keys = xcalloc(n, sizeof *keys);
    int result = 0;
    for (; !result && loaded < n; loaded += !result)
        result = host_key_input(o->documents->items[loaded], &keys[loaded], err);
    put_line(out, "key slots", "%llu", (unsigned long long)i->image.slots);
    for (uint64_t s = 0; !result && s < i->image.slots; s++) {
        char hex[DIGEST_HEX_SIZE];
        const char *owner = slot_owner(keys, n, i->image.slot[s]);
        hex_encode(i->image.slot[s] + SLOT_HASH, 32, hex);
        buf_printf(out, "  %2llu  host key %s%s%s\n", (unsigned long long)s + 1, hex, n ? "  " : "",
                   owner ? owner
                   : n   ? "(none of the documents)"
                         : "");
    }
    for (size_t k = 0; !result && k < n; k++) {
        uint64_t s = 0;
        while (s < i->image.slots && memcmp(i->image.slot[s] + SLOT_HASH, keys[k].hash, 32) != 0)
            s++;
        if (s == i->image.slots)
            buf_printf(out, "      no slot for %s\n", keys[k].path);
    }
    for (size_t k = 0; k < loaded; k++)
        host_key_free(&keys[k]);
    free(keys);
    return result;
}

static void put_components(const struct inspected *i, struct buf *out)
{
    const struct se_image *image = &i->image;
    if (!i->has_ipib)
        return;
    put_line(out, "ipib", "%llu bytes at 0x%llx", (unsigned long long)image->ipib_size,
             (unsigned long long)image->ipib_offset);
    put_line(out, "components", "%zu", image->component_count);
    for (size_t c = 0; c < image->component_count; c++) {
        char hex[17];
        hex_encode(image->components[c].tweak, 8, hex);
        buf_printf(out, "  %2zu  0x%llx, %llu pages, tweak %s\n", c + 1,
                   (unsigned long long)image->components[c].address,
                   (unsigned long long)(image->components[c].padded / SE_PAGE), hex);
    }
}

static void put_secrets(const struct inspected *i, struct buf *out)
{
    put_hex(out, "cck (secret)", i->opened.area + AREA_CCK, 32);
    put_hex(out, "xts (secret)", i->opened.area + AREA_XTS_KEY, 64);
}

static void put_tests(const struct inspected *i, struct buf *out)
{
    buf_puts(out, i->authentic ? "tests\n" : "tests (those that need no key)\n");
    if (i->authentic)
        buf_puts(out, "  good    the header's tag fits the header key\n");
    for (size_t t = 0; t < i->good.n; t++)
        buf_printf(out, "  good    %s\n", i->good.items[t]);
    for (size_t t = 0; t < i->bad.n; t++)
        buf_printf(out, "  FAILED  %s\n", i->bad.items[t]);
    if (!i->authentic)
        buf_puts(out, "  not done: that the header is genuine (needs the header key, --hdr-key)\n");
}

int se_info_text(int fd, const char *name, const struct info_options *o, struct buf *out,
                 struct error **err)
{
    cleanup_inspected struct inspected i = {0};
    if (inspect_image(fd, name, o, &i, err) < 0)
        return -1;
    put_header_fields(&i, out);
    if (put_slots(&i, o, out, err) < 0)
        return -1;
    put_components(&i, out);
    if (o->show_secrets && i.authentic)
        put_secrets(&i, out);
    put_tests(&i, out);
    return 0;
}

// ---- JSON ----
// Exactly the fields of `pvimg info` in its API level 1.

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

static json_t *meta_json(void)
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

static json_t *slots_json(const struct se_image *image)
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

static json_t *data_json(const struct inspected *i, bool secrets)
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
    json_object_set_new(data, "keyslots", slots_json(image));
    set_area(data, i, secrets);
    set_hex(data, "tag_hex", image->tag, sizeof image->tag);
    return data;
}

int se_info_json(int fd, const char *name, const struct info_options *o, bool pretty,
                 struct buf *out, struct error **err)
{
    cleanup_inspected struct inspected i = {0};
    if (inspect_image(fd, name, o, &i, err) < 0)
        return -1;
    if (!i.authentic)
        log_warning("%s: the header was not verified: that needs the header key", name);
    for (size_t t = 0; t < i.bad.n; t++)
        log_warning("%s", i.bad.items[t]);
    json_t *all = json_pack("{s:o, s:o}", "meta", meta_json(), "data",
                            data_json(&i, o->show_secrets && i.authentic));
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
enum schema_group { META = 1, ENCRYPTED = 2, DECRYPTED = 4, POINT = 8, SLOT = 16, PSW = 32 };
#define DATA (ENCRYPTED | DECRYPTED)
enum schema_kind { HEX, BASE64, COUNT, TEXT, BOOLEAN, ONE_OF, LIST_OF };

static const struct schema_field {
    unsigned groups;
    const char *name;
    enum schema_kind kind;
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

// ---- the given documents and keys ----

#define KEY_FILE_MAX (64u << 10)

int info_documents(const char *directory, struct strlist *documents, struct error **err)
{
    cleanup_strlist struct strlist names = {0};
    if (list_directory(directory, &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++) {
        cleanup_free char *path = xasprintf("%s/%s", directory, names.items[i]);
        struct host_key key = {0};
        if (host_key_load(path, &key, NULL) < 0)
            continue;
        strlist_add(documents, path);
        host_key_free(&key);
    }
    return 0;
}

int header_key_load(const char *path, unsigned char key[static 32], struct error **err)
{
    cleanup_secret_memory struct secret_memory bytes = {0};
    if (secret_memory_read(path, KEY_FILE_MAX, &bytes, NULL, err) < 0)
        return error_wrap(err, "the header key");
    if (bytes.length != 32)
        return error_user(err, "the header key %s has %zu bytes, not 32", path, bytes.length);
    memcpy(key, bytes.bytes, 32);
    return 0;
}
