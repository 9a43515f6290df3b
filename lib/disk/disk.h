// SPDX-License-Identifier: Apache-2.0
// Raw disk images: partition tables, the header of an NVDIMM namespace, and where everything is.
// Knows no recipe. dm-verity is in verity.h, what fills an ext4 file system in ext4.h; docs/disk.md
// has pictures.
#ifndef KBUILD_DISK_DISK_H
#define KBUILD_DISK_DISK_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define DISK_SECTOR 512u
#define DISK_BLOCK 4096u
#define DISK_MIB ((uint64_t)1 << 20)
#define DISK_HEADER (2 * DISK_MIB) // of an image with NVDIMM header: what is in front of the disk

// ---- MBR: the classical table of four partitions ----
struct disk_partition {
    uint64_t start, size; // bytes, multiples of the sector; below 2 TiB
    bool active;          // the flag "boot"
};
// Writes a whole sector: no boot code, type 0x83 (Linux), cylinder, head and sector as of a disk
// with 255 heads and 63 sectors, cut at cylinder 1023: the bytes that sfdisk(8) writes for
// `label-id: signature`. At most four partitions.
void mbr_write(unsigned char sector[static DISK_SECTOR], uint32_t signature,
               const struct disk_partition *partitions, unsigned count);

// Where the first partition of a table starts, in bytes.
uint64_t mbr_first_partition(const unsigned char sector[static DISK_SECTOR]);

// ---- NVDIMM: Linux, drivers/nvdimm/pfn.h, struct nd_pfn_sb; it lies 4 KiB into the namespace ----
// A namespace in page frame mode, whose page map lies in RAM (mode 1), so that a guest sees what
// comes after `data_offset` as a disk that it can map (DAX). version 0.2, no uuids. The checksum is
// Fletcher's with 64 bits over 32-bit words, as nd_fletcher64() of drivers/nvdimm/core.c computes
// it.
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
    uint64_t disk;                  // offset of what a guest sees as the disk: 0 or DISK_HEADER
    struct disk_partition parts[2]; // offsets from `disk`; of the second one size 0: there is none
};
// The first partition starts 1 MiB into the disk and ends with it; in a measured one it ends, and
// the second one starts, at 99 % of the disk, rounded down to MiB: a hash tree takes 1/127.
int disk_layout(const struct disk_plan *plan, struct disk_layout *out, struct error **err);
// Writes the tables (and the header) into the image, which has its size already.
int disk_write_tables(int fd, const char *shown, const struct disk_layout *layout,
                      uint32_t signature, struct error **err);

// "pwrite all".
int disk_write_at(int fd, const char *shown, const void *bytes, size_t length, uint64_t offset,
                  struct error **err);
int disk_read_at(int fd, const char *shown, void *bytes, size_t length, uint64_t offset,
                 struct error **err);

#endif
