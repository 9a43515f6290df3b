// SPDX-License-Identifier: Apache-2.0
// Prints what an image says about itself, as text or as JSON.
#include "se/info.h"

#include "base/digest.h"
#include "se/info_flags.h"
#include "se/info_read.h"

#include <openssl/crypto.h>

// "name        value"
static void line(struct buf *out, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void line(struct buf *out, const char *name, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    cleanup_free char *value = xvasprintf(format, args);
    va_end(args);
    buf_printf(out, "%-17s %s\n", name, value);
}

static void hex_line(struct buf *out, const char *name, const void *bytes, size_t length)
{
    cleanup_free char *hex = xmalloc(2 * length + 1);
    hex_encode(bytes, length, hex);
    line(out, name, "%s", hex);
    OPENSSL_cleanse(hex, 2 * length);
}

static void flags_line(struct buf *out, const char *name, uint64_t value,
                       void (*names)(uint64_t, struct strlist *))
{
    cleanup_strlist struct strlist all = {0};
    names(value, &all);
    cleanup_free char *text = strlist_join(&all, " ");
    line(out, name, "0x%016llx %s", (unsigned long long)value, all.n ? text : "(none)");
}

static void put_header(const struct inspected *i, struct buf *out)
{
    const struct se_image *image = &i->image;
    line(out, "header", "version 1, %llu bytes at 0x%llx, %s",
         (unsigned long long)image->header_size, (unsigned long long)image->header_offset,
         i->alone          ? "alone"
         : image->layout_p ? "layout of pvimg (s390-tools 2.36 and newer)"
                           : "layout of genprotimg (s390-tools up to 2.35) and kbuild");
    line(out, "verified", "%s",
         i->authentic ? "yes, its tag fits the header key" : "no (no header key)");
    line(out, "encrypted area", "%llu bytes", (unsigned long long)image->encrypted_size);
    line(out, "component pages", "%llu", (unsigned long long)image->pages);
    flags_line(out, "plaintext flags", image->pcf, flag_names_pcf);
    if (i->authentic)
        flags_line(out, "secret flags", image->scf, flag_names_scf);
    if (!i->alone)
        line(out, "entry", "0x%llx (loader)", (unsigned long long)i->entry);
    if (i->authentic)
        line(out, "protected entry", "0x%llx, PSW mask 0x%016llx",
             (unsigned long long)image->psw_address, (unsigned long long)image->psw_mask);
    hex_line(out, "iv", image->iv, sizeof image->iv);
    hex_line(out, "customer key", image->customer_key, sizeof image->customer_key);
    hex_line(out, "pld", image->pld, sizeof image->pld);
    hex_line(out, "ald", image->ald, sizeof image->ald);
    hex_line(out, "tld", image->tld, sizeof image->tld);
    hex_line(out, "tag", image->tag, sizeof image->tag);
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
    line(out, "key slots", "%llu", (unsigned long long)i->image.slots);
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
    line(out, "ipib", "%llu bytes at 0x%llx", (unsigned long long)image->ipib_size,
         (unsigned long long)image->ipib_offset);
    line(out, "components", "%zu", image->component_count);
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
    hex_line(out, "cck (secret)", i->opened.area + AREA_CCK, 32);
    hex_line(out, "xts (secret)", i->opened.area + AREA_XTS_KEY, 64);
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
    if (inspect(fd, name, o, &i, err) < 0)
        return -1;
    put_header(&i, out);
    if (put_slots(&i, o, out, err) < 0)
        return -1;
    put_components(&i, out);
    if (o->show_secrets && i.authentic)
        put_secrets(&i, out);
    put_tests(&i, out);
    return 0;
}
