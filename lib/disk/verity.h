// SPDX-License-Identifier: Apache-2.0
// dm-verity: the hash tree that lets a kernel check every block that it reads of a device.
//
// Formats: Linux, Documentation/admin-guide/device-mapper/verity.rst; the superblock: cryptsetup's
// wiki, "DMVerity", on-disk format, version 1. Hash type 1 (salt first, digests padded to a power
// of two), SHA-256, blocks of 4096 bytes for data and hashes: what `veritysetup format` writes by
// default. With the same salt and UUID the bytes are the same.
#ifndef KBUILD_DISK_VERITY_H
#define KBUILD_DISK_VERITY_H

#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define VERITY_SALT_MAX 256u
#define VERITY_DIGEST 32u

struct verity {
    uint64_t data_blocks;
    bool superblock;        // the hash area begins with one, and the tree one block later
    unsigned char uuid[16]; // of the superblock
    unsigned char salt[VERITY_SALT_MAX];
    size_t salt_size; // 0: none
    unsigned char root[VERITY_DIGEST];
};

// Bytes of the hash area.
uint64_t verity_size(const struct verity *v);
// Reads v->data_blocks blocks from `data`, an offset of the file, writes the hash area at `hashes`,
// and sets v->root. Holes in the file are read as zeros.
int verity_format(int fd, const char *shown, uint64_t data, uint64_t hashes, struct verity *v,
                  struct error **err);

// ---- the root hash as a text ----
enum verity_text {
    VERITY_TEXT_VERITYSETUP, // what `veritysetup format` prints ("Root hash:   \t...")
    VERITY_TEXT_LINE // root_hash=..,salt=..,data_blocks=..,data_block_size=..,hash_block_size=..
};
// `device` is what the first line of veritysetup's text names.
void verity_text_write(const struct verity *v, enum verity_text form, const char *device,
                       struct buf *out);
// Reads either form; the first one means that there is a superblock. What is missing, there twice
// or not as above (another algorithm, another size of blocks) is an error; other lines are ignored.
int verity_text_read(const char *text, size_t length, struct verity *out, struct error **err);
// The table of a device-mapper target, as dmsetup(8) and the kernel's dm-mod.create= take it:
// "0 SECTORS verity 1 DATA HASHES 4096 4096 BLOCKS START sha256 ROOT SALT"; to be freed.
char *verity_table(const struct verity *v, const char *data, const char *hashes);

#endif
