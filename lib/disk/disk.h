// SPDX-License-Identifier: Apache-2.0
// Raw disk images: partition tables, the header of an NVDIMM namespace, layout, UUIDs, dm-verity,
// and filling an ext4 file system. docs/disk.md has pictures.
//
// In: sizes, digests, the entries of a tree (pack/pack.h), an open image. Out: bytes written to the
// image, and texts. Texts that are returned are the caller's; nothing else is owned but the state
// of a struct ext4_fill. Depends on no recipe.
#ifndef KBUILD_DISK_DISK_H
#define KBUILD_DISK_DISK_H

#include "base/digest.h"
#include "base/error.h"
#include "base/memory.h"
#include "pack/pack.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DISK_SECTOR 512u
#define DISK_BLOCK 4096u
#define DISK_MIB ((uint64_t)1 << 20)
#define DISK_HEADER (2 * DISK_MIB) // of an image with NVDIMM header: bytes before the disk

// ---- MBR: the classical table of four partitions ----
struct disk_partition {
    uint64_t start, size; // bytes, multiples of the sector; below 2 TiB
    bool active;          // the flag "boot"
};
// Writes a whole sector: no boot code, type 0x83 (Linux), cylinder, head and sector of a disk with
// 255 heads and 63 sectors, limited to cylinder 1023: the bytes that sfdisk(8) writes for
// `label-id: signature`. At most four partitions.
void mbr_write(unsigned char sector[static DISK_SECTOR], uint32_t signature,
               const struct disk_partition *partitions, unsigned count);

// Where the first partition of a table starts, in bytes.
uint64_t mbr_first_partition(const unsigned char sector[static DISK_SECTOR]);

// ---- NVDIMM: Linux, drivers/nvdimm/pfn.h, struct nd_pfn_sb; it lies 4 KiB into the namespace ----
// A namespace in page frame mode with its page map in RAM (mode 1): a guest sees the data after
// `data_offset` as a disk that it can map (DAX). version 0.2, no uuids. The checksum is Fletcher's
// with 64 bits over 32-bit words, as nd_fletcher64() of drivers/nvdimm/core.c computes it.
#define NVDIMM_HEADER_AT 4096u
void nvdimm_header_write(unsigned char block[static DISK_BLOCK], uint64_t data_offset,
                         uint32_t align);

// ---- the layout of an image with one file system ----
struct disk_plan {
    bool header;      // both partition tables and the NVDIMM header
    bool measured;    // a second partition, for hashes
    uint64_t content; // bytes that the file system needs
    unsigned align;   // MiB; the image's size is a multiple of it
};
struct disk_layout {
    uint64_t size;                  // of the image, bytes
    uint64_t disk;                  // offset of the guest's disk: 0 or DISK_HEADER
    struct disk_partition parts[2]; // offsets from `disk`; size 0: no second partition
};
// The first partition starts 1 MiB into the disk and ends with it; in a measured one it ends, and
// the second one starts, at 99 % of the disk, rounded down to MiB: a hash tree takes 1/127.
int disk_layout(const struct disk_plan *plan, struct disk_layout *out, struct error **err);
// Writes the tables (and the header) into the image, which has its size already.
int disk_write_tables(int fd, const char *shown, const struct disk_layout *layout,
                      uint32_t signature, struct error **err);

// Reads at an offset of the file: everything, or an error. `shown` is the name for messages.
int disk_read_at(int fd, const char *shown, void *bytes, size_t length, uint64_t offset,
                 struct error **err);

// ---- uuid ----
// UUIDs (RFC 9562). They are derived from content, so that an image has no random ones.

#define UUID_SIZE 16u
#define UUID_TEXT 37u // with the NUL
void uuid_text(const unsigned char uuid[static UUID_SIZE], char out[static UUID_TEXT]);
bool uuid_read(const char *text, unsigned char out[static UUID_SIZE]); // of either case

// The first `size` (at most 32) bytes of SHA-256("kbuild <purpose> <digest>").
void derive(const char digest[static DIGEST_HEX_SIZE], const char *purpose, void *out, size_t size);
// The same as a UUID of version 8.
void uuid_derive(const char digest[static DIGEST_HEX_SIZE], const char *purpose,
                 unsigned char out[static UUID_SIZE]);

// ---- verity ----
// dm-verity: the hash tree that lets a kernel check every block that it reads of a device.
//
// Formats: Linux, Documentation/admin-guide/device-mapper/verity.rst; the superblock: cryptsetup's
// wiki, "DMVerity", on-disk format, version 1. Hash type 1 (salt first, digests padded to a power
// of two), SHA-256, blocks of 4096 bytes for data and hashes: what `veritysetup format` writes by
// default. With the same salt and UUID the bytes are the same.

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
// Reads either form; the first one means that there is a superblock. A missing or repeated value,
// or another one than above (algorithm, block size), is an error; other lines are ignored.
int verity_text_read(const char *text, size_t length, struct verity *out, struct error **err);
// The table of a device-mapper target, as dmsetup(8) and the kernel's dm-mod.create= take it:
// "0 SECTORS verity 1 DATA HASHES 4096 4096 BLOCKS START sha256 ROOT SALT"; to be freed.
char *verity_table(const struct verity *v, const char *data, const char *hashes);

// ---- ext4 ----
// Fills an ext4 file system without mounting it: entries become commands for debugfs(8) of
// e2fsprogs, and content becomes numbered files beside them, so that no foreign file name becomes a
// name on this machine.
//
// debugfs reads commands line by line, words in double quotes with "" for a quote. So a name or
// link target with a line break or carriage return is refused, as is a command longer than
// debugfs's line buffer. Times have whole seconds; atime, ctime and crtime are the epoch, by
// E2FSPROGS_FAKE_TIME; mtimes are set explicitly. debugfs's exit status shows no failure:
// ext4_check_messages() and ext4_check_count() do.

struct ext4_fill;
// `folder` is an empty folder, for the commands ("commands"), the contents ("0" and so on) and a
// mke2fs.conf; `inside` is its path as the programs see it.
struct ext4_fill *ext4_fill_begin(const char *folder, const char *inside, struct error **err);
struct pack_sink ext4_fill_sink(struct ext4_fill *f);

struct ext4_size {
    uint64_t blocks; // of DISK_BLOCK: the least that the whole file system needs
    uint64_t inodes; // to ask mke2fs for
    uint64_t used;   // inodes that are in use in the end
};
// Ends the commands. `digest` gets the SHA-256 of all entries: names, modes, owners, times and
// content.
int ext4_fill_end(struct ext4_fill *f, struct ext4_size *size, char digest[static DIGEST_HEX_SIZE],
                  struct error **err);
void ext4_fill_free(struct ext4_fill *f); // NULL is allowed

// The options of mke2fs, after its name and before the file. All features are named and none comes
// from a mke2fs.conf, so that e2fsprogs 1.47.0 and 1.47.2 give the same result. `blocks` is the
// size of the file system.
void ext4_mke2fs_options(const struct ext4_size *size, const char digest[static DIGEST_HEX_SIZE],
                         struct strlist *argv);
#define EXT4_FEATURES                                                                              \
    "none,has_journal,ext_attr,filetype,extent,flex_bg,sparse_super,large_file,huge_file,"         \
    "dir_nlink,extra_isize,dir_index,metadata_csum"
// The environment of all three programs, NAME=value: `inside` is as above, and the epoch is not 0.
void ext4_environment(const char *inside, int64_t epoch, struct strlist *out);

// Checks debugfs's standard error: anything but one line with its version means a failure.
int ext4_check_messages(const char *text, struct error **err);
// Checks that the file system, at `offset` of the file, uses the expected number of inodes.
int ext4_check_count(int fd, const char *shown, uint64_t offset, const struct ext4_size *size,
                     struct error **err);

static inline void ext4_fill_free_p(struct ext4_fill **f)
{
    ext4_fill_free(*f);
}
#define cleanup_ext4_fill __attribute__((cleanup(ext4_fill_free_p)))

#endif
