// SPDX-License-Identifier: Apache-2.0
// Writes and reads the root hash of a verity device as text in both forms, and writes the
// device-mapper table.
#include "disk/disk.h"

#include "base/digest.h"

#include <errno.h>
#include <string.h>

// ---- writing ----

static char *salt_text(const struct verity *v)
{
    if (!v->salt_size)
        return xstrdup("-");
    char *hex = xmalloc(2 * v->salt_size + 1);
    hex_encode(v->salt, v->salt_size, hex);
    return hex;
}

void verity_text_write(const struct verity *v, enum verity_text form, const char *device,
                       struct buf *out)
{
    char root[2 * VERITY_DIGEST + 1], uuid[UUID_TEXT] = "";
    cleanup_free char *salt = salt_text(v);
    unsigned long long blocks = v->data_blocks, bytes = verity_size(v);
    hex_encode(v->root, VERITY_DIGEST, root);
    if (v->superblock)
        uuid_text(v->uuid, uuid);
    if (form == VERITY_TEXT_LINE) {
        buf_printf(out, "root_hash=%s,salt=%s,data_blocks=%llu,data_block_size=%u,", root, salt,
                   blocks, DISK_BLOCK);
        buf_printf(out, "hash_block_size=%u\n", DISK_BLOCK);
        return;
    }
    buf_printf(out, "VERITY header information for %s\n", device);
    buf_printf(out, "UUID:            \t%s\nHash type:       \t1\n", uuid);
    buf_printf(out, "Data blocks:     \t%llu\nData block size: \t%u\n", blocks, DISK_BLOCK);
    buf_printf(out, "Hash blocks:     \t%llu\nHash block size: \t%u\n",
               bytes / DISK_BLOCK - (v->superblock ? 1 : 0), DISK_BLOCK);
    buf_printf(out, "Hash algorithm:  \tsha256\nSalt:            \t%s\n", salt);
    buf_printf(out, "Root hash:      \t%s\nHash device size: \t%llu [bytes]\n", root, bytes);
}

char *verity_table(const struct verity *v, const char *data, const char *hashes)
{
    char root[2 * VERITY_DIGEST + 1];
    cleanup_free char *salt = salt_text(v);
    hex_encode(v->root, VERITY_DIGEST, root);
    return xasprintf("0 %llu verity 1 %s %s %u %u %llu %u sha256 %s %s",
                     (unsigned long long)v->data_blocks * (DISK_BLOCK / DISK_SECTOR), data, hashes,
                     DISK_BLOCK, DISK_BLOCK, (unsigned long long)v->data_blocks,
                     v->superblock ? 1u : 0u, root, salt);
}

// ---- reading ----

enum value { ROOT, SALT, BLOCKS, DATA_SIZE, HASH_SIZE, ALGORITHM, UUID, TYPE, VALUES };
static const char *const names[][VALUES] = {
    [VERITY_TEXT_VERITYSETUP] = {"Root hash", "Salt", "Data blocks", "Data block size",
                                 "Hash block size", "Hash algorithm", "UUID", "Hash type"},
    [VERITY_TEXT_LINE] = {"root_hash", "salt", "data_blocks", "data_block_size", "hash_block_size",
                          NULL, NULL, NULL},
};

// Reads "name<between>value" of `length` bytes; an unknown name is ignored.
static int take_value(const char *text, size_t length, enum verity_text form,
                      char *values[static VALUES], struct error **err)
{
    const char *between = memchr(text, form == VERITY_TEXT_LINE ? '=' : ':', length);
    if (!between)
        return 0;
    for (unsigned i = 0; i < VALUES; i++) {
        const char *name = names[form][i];
        if (!name || strlen(name) != (size_t)(between - text) ||
            strncmp(text, name, strlen(name)) != 0)
            continue;
        if (values[i])
            return error_user(err, "'%s' is there twice", name);
        const char *value = between + 1, *end = text + length;
        while (value < end && strchr(" \t", *value) && *value)
            value++;
        while (end > value && strchr(" \t\r", end[-1]) && end[-1])
            end--;
        values[i] = xstrndup(value, (size_t)(end - value));
    }
    return 0;
}

static bool read_number(const char *text, uint64_t limit, uint64_t *out)
{
    char *end;
    if (!*text || strspn(text, "0123456789") != strlen(text))
        return false;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return !errno && *out && *out <= limit;
}

static bool is(const char *value, const char *wanted)
{
    return value && !strcmp(value, wanted);
}

static int read_values(char *const values[static VALUES], enum verity_text form, struct verity *out,
                       struct error **err)
{
    for (unsigned i = 0; i < VALUES; i++)
        if (names[form][i] && !values[i])
            return error_user(err, "it has no '%s'", names[form][i]);
    size_t salt = is(values[SALT], "-") ? 0 : strlen(values[SALT]) / 2;
    *out = (struct verity){.superblock = form == VERITY_TEXT_VERITYSETUP, .salt_size = salt};
    if (salt > VERITY_SALT_MAX || (!is(values[SALT], "-") && !salt) ||
        (salt && !hex_decode(values[SALT], out->salt, salt)))
        return error_user(err, "its salt is no hexadecimal number of at most %u bytes",
                          VERITY_SALT_MAX);
    if (!hex_decode(values[ROOT], out->root, VERITY_DIGEST))
        return error_user(err, "its root hash is no hexadecimal number of %u bytes", VERITY_DIGEST);
    if (!read_number(values[BLOCKS], (uint64_t)1 << 40, &out->data_blocks))
        return error_user(err, "its number of data blocks is none: '%s'", values[BLOCKS]);
    if (!is(values[DATA_SIZE], "4096") || !is(values[HASH_SIZE], "4096"))
        return error_user(err, "its blocks are not of 4096 bytes");
    if (out->superblock && (!is(values[ALGORITHM], "sha256") || !is(values[TYPE], "1")))
        return error_user(err, "its hashes are not of type 1 with sha256");
    if (out->superblock && !uuid_read(values[UUID], out->uuid))
        return error_user(err, "'%s' is no UUID", values[UUID]);
    return 0;
}

int verity_text_read(const char *text, size_t length, struct verity *out, struct error **err)
{
    char *values[VALUES] = {0};
    bool line = length >= 10 && !memcmp(text, "root_hash=", 10);
    enum verity_text form = line ? VERITY_TEXT_LINE : VERITY_TEXT_VERITYSETUP;
    int result = memchr(text, '\0', length) ? error_user(err, "it is no text") : 0;
    for (size_t at = 0; at < length && !result;) {
        size_t n = 0;
        while (at + n < length && text[at + n] != '\n' && !(line && text[at + n] == ','))
            n++;
        result = take_value(text + at, n, form, values, err);
        at += n + 1;
    }
    if (!result)
        result = read_values(values, form, out, err);
    for (unsigned i = 0; i < VALUES; i++)
        free(values[i]);
    return result < 0 ? error_wrap(err, "reading a root hash") : 0;
}
