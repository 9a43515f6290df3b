// SPDX-License-Identifier: Apache-2.0
// Computes and writes the hash tree of dm-verity and its superblock.
#include "disk/disk.h"

#include "base/memory.h"
#include "base/file.h"

#include "base/error.h"

#include <openssl/evp.h>
#include <string.h>

enum { PER_BLOCK = DISK_BLOCK / VERITY_DIGEST, CHUNK_BLOCKS = 256, LEVELS_MAX = 9 };

// Hash blocks of the level above `blocks` blocks.
static uint64_t level_above(uint64_t blocks)
{
    return (blocks + PER_BLOCK - 1) / PER_BLOCK;
}

// The number of levels; sizes[0] is the level that hashes data, the last level is a single block.
// One data block needs no level: its own hash is the root.
static unsigned levels_of(uint64_t data_blocks, uint64_t sizes[static LEVELS_MAX])
{
    unsigned n = 0;
    for (uint64_t blocks = data_blocks; blocks > 1; n++)
        blocks = sizes[n] = level_above(blocks);
    return n;
}

uint64_t verity_size(const struct verity *v)
{
    uint64_t sizes[LEVELS_MAX], blocks = v->superblock ? 1 : 0;
    for (unsigned n = levels_of(v->data_blocks, sizes); n-- > 0;)
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
    unsigned levels = levels_of(v->data_blocks, sizes);
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
enum { VERSION = 8, HASH_TYPE = 12, UUID = 16, ALGORITHM = 32, DATA_SIZE = 64, HASH_SIZE = 68 };
enum { DATA_BLOCKS = 72, SALT_SIZE = 80, SALT = 88 };

static void superblock_write(const struct verity *v, unsigned char block[static DISK_BLOCK])
{
    static const char magic[8] = "verity", algorithm[32] = "sha256";
    memset(block, 0, DISK_BLOCK);
    memcpy(block, magic, sizeof magic);
    put_le(block + VERSION, 1, 4);
    put_le(block + HASH_TYPE, 1, 4);
    memcpy(block + UUID, v->uuid, sizeof v->uuid);
    memcpy(block + ALGORITHM, algorithm, sizeof algorithm);
    put_le(block + DATA_SIZE, DISK_BLOCK, 4);
    put_le(block + HASH_SIZE, DISK_BLOCK, 4);
    put_le(block + DATA_BLOCKS, v->data_blocks, 8);
    put_le(block + SALT_SIZE, v->salt_size, 2);
    memcpy(block + SALT, v->salt, v->salt_size);
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
