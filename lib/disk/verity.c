// SPDX-License-Identifier: Apache-2.0
// dm-verity: computes and writes the hash tree and its superblock; writes and reads the root hash
// as a text in both forms; writes the device-mapper table.
#include "disk/disk.h"

#include "base/file.h"

#include "base/error.h"
#include "base/libcrypto.h"
#include "base/memory.h"

#include <errno.h>
#include <string.h>

enum { PER_BLOCK = DISK_BLOCK / VERITY_DIGEST, CHUNK_BLOCKS = 256, LEVELS_MAX = 9 };

// Hash blocks of the level above `blocks` blocks.
static uint64_t parent_blocks(uint64_t blocks)
{
    return (blocks + PER_BLOCK - 1) / PER_BLOCK;
}

// The number of levels; sizes[0] is the level that hashes data, the last level is a single block.
// One data block needs no level: its own hash is the root.
static unsigned list_levels(uint64_t data_blocks, uint64_t sizes[static LEVELS_MAX])
{
    unsigned n = 0;
    for (uint64_t blocks = data_blocks; blocks > 1; n++)
        blocks = sizes[n] = parent_blocks(blocks);
    return n;
}

uint64_t verity_size(const struct verity *v)
{
    uint64_t sizes[LEVELS_MAX], blocks = v->superblock ? 1 : 0;
    for (unsigned n = list_levels(v->data_blocks, sizes); n-- > 0;)
        blocks += sizes[n];
    return blocks * DISK_BLOCK;
}

// ---- hashing ----

struct verity_hasher {
    EVP_MD_CTX *salted, *context;
    unsigned char zeros[VERITY_DIGEST]; // the hash of a block of zeros
    bool zeros_known;
};

static void hash_block(struct verity_hasher *h, const unsigned char *block, unsigned char *out)
{
    static const unsigned char zero[DISK_BLOCK];
    bool zeros = !memcmp(block, zero, DISK_BLOCK);
    if (zeros && h->zeros_known) {
        memcpy(out, h->zeros, VERITY_DIGEST);
        return;
    }
    if (!EVP_MD_CTX_copy_ex(h->context, h->salted) ||
        !EVP_DigestUpdate(h->context, block, DISK_BLOCK) ||
        !EVP_DigestFinal_ex(h->context, out, NULL))
        out_of_memory();
    if (zeros) {
        memcpy(h->zeros, out, VERITY_DIGEST);
        h->zeros_known = true;
    }
}

static void hasher_begin(struct verity_hasher *h, const struct verity *v)
{
    *h = (struct verity_hasher){.salted = EVP_MD_CTX_new(), .context = EVP_MD_CTX_new()};
    if (!h->salted || !h->context || !EVP_DigestInit_ex(h->salted, EVP_sha256(), NULL) ||
        !EVP_DigestUpdate(h->salted, v->salt, v->salt_size))
        out_of_memory();
}

static void hasher_end(struct verity_hasher *h)
{
    EVP_MD_CTX_free(h->salted);
    EVP_MD_CTX_free(h->context);
}

// The hashes of `blocks` blocks from `offset` on, one after the other.
static int hash_range(struct verity_hasher *h, int fd, const char *shown, uint64_t offset,
                      uint64_t blocks, unsigned char *out, struct error **err)
{
    cleanup_free unsigned char *chunk = xmalloc((size_t)CHUNK_BLOCKS * DISK_BLOCK);
    for (uint64_t done = 0; done < blocks;) {
        size_t n = blocks - done < CHUNK_BLOCKS ? (size_t)(blocks - done) : CHUNK_BLOCKS;
        uint64_t at = offset + done * DISK_BLOCK;
        if (disk_read_at(fd, shown, chunk, n * DISK_BLOCK, at, err) < 0)
            return -1;
        for (size_t i = 0; i < n; i++)
            hash_block(h, chunk + i * DISK_BLOCK, out + (done + i) * VERITY_DIGEST);
        done += n;
        progress("hashing the file system", done * DISK_BLOCK, blocks * DISK_BLOCK, "bytes");
    }
    return 0;
}

// The hash area holds the levels from the top down. Each level is written when its hashes are
// known, and then hashed.
static int write_tree(struct verity_hasher *h, int fd, const char *shown, uint64_t data,
                      uint64_t hashes, struct verity *v, struct error **err)
{
    uint64_t sizes[LEVELS_MAX], end = hashes + verity_size(v), blocks = v->data_blocks;
    unsigned levels = list_levels(v->data_blocks, sizes);
    uint64_t at = data;
    if (!levels)
        return hash_range(h, fd, shown, data, 1, v->root, err);
    for (unsigned level = 0; level < levels; level++) {
        size_t bytes = (size_t)sizes[level] * DISK_BLOCK;
        cleanup_free unsigned char *digests = xcalloc(1, bytes); // padded with zeros
        if (hash_range(h, fd, shown, at, blocks, digests, err) < 0)
            return -1;
        at = end -= bytes;
        if (fd_write_at(fd, shown, digests, bytes, at, err) < 0)
            return -1;
        blocks = sizes[level];
    }
    return hash_range(h, fd, shown, at, 1, v->root, err);
}

// ---- superblock ----

// Offsets of its fields; all else is 0.
enum {
    SUPER_VERSION = 8,
    SUPER_HASH_TYPE = 12,
    SUPER_UUID = 16,
    SUPER_ALGORITHM = 32,
    SUPER_DATA_SIZE = 64,
    SUPER_HASH_SIZE = 68
};
enum { SUPER_DATA_BLOCKS = 72, SUPER_SALT_SIZE = 80, SUPER_SALT = 88 };

static void superblock_write(const struct verity *v, unsigned char block[static DISK_BLOCK])
{
    static const char magic[8] = "verity", algorithm[32] = "sha256";
    memset(block, 0, DISK_BLOCK);
    memcpy(block, magic, sizeof magic);
    put_le(block + SUPER_VERSION, 1, 4);
    put_le(block + SUPER_HASH_TYPE, 1, 4);
    memcpy(block + SUPER_UUID, v->uuid, sizeof v->uuid);
    memcpy(block + SUPER_ALGORITHM, algorithm, sizeof algorithm);
    put_le(block + SUPER_DATA_SIZE, DISK_BLOCK, 4);
    put_le(block + SUPER_HASH_SIZE, DISK_BLOCK, 4);
    put_le(block + SUPER_DATA_BLOCKS, v->data_blocks, 8);
    put_le(block + SUPER_SALT_SIZE, v->salt_size, 2);
    memcpy(block + SUPER_SALT, v->salt, v->salt_size);
}

int verity_format(int fd, const char *shown, uint64_t data, uint64_t hashes, struct verity *v,
                  struct error **err)
{
    unsigned char block[DISK_BLOCK];
    if (!v->data_blocks || v->salt_size > VERITY_SALT_MAX)
        return error_user(err, "a verity device needs data, and a salt of at most %u bytes",
                          VERITY_SALT_MAX);
    struct verity_hasher h;
    hasher_begin(&h, v);
    int result = write_tree(&h, fd, shown, data, hashes, v, err);
    hasher_end(&h);
    if (result < 0 || !v->superblock)
        return result;
    superblock_write(v, block);
    return fd_write_at(fd, shown, block, DISK_BLOCK, hashes, err);
}

// ---- writing the root hash ----

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

// ---- reading the root hash ----

enum text_value {
    TEXT_ROOT,
    TEXT_SALT,
    TEXT_BLOCKS,
    TEXT_DATA_SIZE,
    TEXT_HASH_SIZE,
    TEXT_ALGORITHM,
    TEXT_UUID,
    TEXT_TYPE,
    TEXT_VALUES
};
static const char *const value_names[][TEXT_VALUES] = {
    [VERITY_TEXT_VERITYSETUP] = {"Root hash", "Salt", "Data blocks", "Data block size",
                                 "Hash block size", "Hash algorithm", "UUID", "Hash type"},
    [VERITY_TEXT_LINE] = {"root_hash", "salt", "data_blocks", "data_block_size", "hash_block_size",
                          NULL, NULL, NULL},
};

// Reads "name<between>value" of `length` bytes; an unknown name is ignored.
static int read_value_line(const char *text, size_t length, enum verity_text form,
                           char *values[static TEXT_VALUES], struct error **err)
{
    const char *between = memchr(text, form == VERITY_TEXT_LINE ? '=' : ':', length);
    if (!between)
        return 0;
    for (unsigned i = 0; i < TEXT_VALUES; i++) {
        const char *name = value_names[form][i];
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

static bool text_equals(const char *value, const char *wanted)
{
    return value && !strcmp(value, wanted);
}

static int read_values(char *const values[static TEXT_VALUES], enum verity_text form,
                       struct verity *out, struct error **err)
{
    for (unsigned i = 0; i < TEXT_VALUES; i++)
        if (value_names[form][i] && !values[i])
            return error_user(err, "it has no '%s'", value_names[form][i]);
    size_t salt = text_equals(values[TEXT_SALT], "-") ? 0 : strlen(values[TEXT_SALT]) / 2;
    *out = (struct verity){.superblock = form == VERITY_TEXT_VERITYSETUP, .salt_size = salt};
    if (salt > VERITY_SALT_MAX || (!text_equals(values[TEXT_SALT], "-") && !salt) ||
        (salt && !hex_decode(values[TEXT_SALT], out->salt, salt)))
        return error_user(err, "its salt is no hexadecimal number of at most %u bytes",
                          VERITY_SALT_MAX);
    if (!hex_decode(values[TEXT_ROOT], out->root, VERITY_DIGEST))
        return error_user(err, "its root hash is no hexadecimal number of %u bytes", VERITY_DIGEST);
    if (!read_number(values[TEXT_BLOCKS], (uint64_t)1 << 40, &out->data_blocks))
        return error_user(err, "its number of data blocks is invalid: '%s'", values[TEXT_BLOCKS]);
    if (!text_equals(values[TEXT_DATA_SIZE], "4096") ||
        !text_equals(values[TEXT_HASH_SIZE], "4096"))
        return error_user(err, "its blocks are not of 4096 bytes");
    if (out->superblock &&
        (!text_equals(values[TEXT_ALGORITHM], "sha256") || !text_equals(values[TEXT_TYPE], "1")))
        return error_user(err, "its hashes are not of type 1 with sha256");
    if (out->superblock && !uuid_read(values[TEXT_UUID], out->uuid))
        return error_user(err, "'%s' is no UUID", values[TEXT_UUID]);
    return 0;
}

int verity_text_read(const char *text, size_t length, struct verity *out, struct error **err)
{
    char *values[TEXT_VALUES] = {0};
    bool line = length >= 10 && !memcmp(text, "root_hash=", 10);
    enum verity_text form = line ? VERITY_TEXT_LINE : VERITY_TEXT_VERITYSETUP;
    int result = memchr(text, '\0', length) ? error_user(err, "it is no text") : 0;
    for (size_t at = 0; at < length && !result;) {
        size_t n = 0;
        while (at + n < length && text[at + n] != '\n' && !(line && text[at + n] == ','))
            n++;
        result = read_value_line(text + at, n, form, values, err);
        at += n + 1;
    }
    if (!result)
        result = read_values(values, form, out, err);
    for (unsigned i = 0; i < TEXT_VALUES; i++)
        free(values[i]);
    return result < 0 ? error_wrap(err, "reading a root hash") : 0;
}
