// SPDX-License-Identifier: Apache-2.0
// The tables in an OVMF image for the VMM that starts it, and its firmware volumes.
//
// A firmware image ends at 4 GiB. 32 bytes before its end is a table that is read backwards (OVMF,
// ResetVectorVtf0.asm): entries of data, le16 length (of the whole entry) and GUID; the last entry
// is the table's own, with the length of the table. Entries used here:
//
//   00f771de-1a7e-4fcb-890e-68c77e2fb44e  SEV-ES reset block, le32: where vCPUs start but the first
//   7255371f-3a3b-4b04-927b-1da6efa8d454  le32 address, le32 size: for the table of kernel hashes
//   dc886566-984a-4798-a75e-5585a7bf67cc  le32: SEV metadata, so far before the end of the file
//   e47a6535-984a-4798-865e-4685a7bf8ec2  le32: TDX metadata, likewise
//
// SEV metadata is "ASEV", le32 length, le32 version (1), le32 count, then for each section le32
// address, le32 size, le32 type (OVMF, OvmfSevMetadata.asm). A firmware that lacks one of these, or
// has invalid metadata, can still be used for launches that do not need them: so each is read, and
// its faults reported, where it is needed.
#ifndef KBUILD_MEASURE_OVMF_H
#define KBUILD_MEASURE_OVMF_H

#include "base/error.h"
#include "measure/x86.h"

#include <stdbool.h>
#include <stdint.h>

enum snp_section_type {
    SNP_SEC_MEM = 1,
    SNP_SECRETS = 2,
    SNP_CPUID = 3,
    SNP_SVSM_CAA = 4,
    SNP_KERNEL_HASHES = 0x10
};
struct snp_section {
    uint32_t address, size; // page-aligned; sections and firmware do not overlap
    enum snp_section_type type;
};
#define SNP_SECTIONS_MAX 64u

struct snp_firmware {
    const unsigned char *bytes; // the caller's
    uint64_t size, address;     // of the image in guest memory
    bool has_reset, has_hashes;
    uint32_t reset_address;
    uint32_t hashes_address, hashes_size;
    uint32_t sev_distance, tdx_distance; // of the metadata from the end of the image; 0: none
    struct snp_section section[SNP_SECTIONS_MAX]; // set by snp_firmware_sections()
    size_t sections;
};
// Reads the table, all but the sections. `name` is for messages.
int snp_firmware_parse(const char *name, const unsigned char *bytes, uint64_t size,
                       struct snp_firmware *out, struct error **err);
// Reads the SEV metadata.
int snp_firmware_sections(const char *name, struct snp_firmware *f, struct error **err);
// Metadata that begin `distance` bytes before the end, with 16 bytes at least; `what` is "SEV" or
// "TDX". NULL on failure.
const unsigned char *snp_firmware_metadata(const char *name, const struct snp_firmware *f,
                                           const char *what, uint32_t distance, struct error **err);
// The section of this type, or NULL.
const struct snp_section *snp_firmware_section(const struct snp_firmware *f,
                                               enum snp_section_type type);
// Sets the error for an invalid firmware. Returns -1. The hint depends on the kind of launch, and
// is added where that is known.
int snp_firmware_error(struct error **err, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// ---- firmware volume ----
// Facts about a firmware that depend on its version, read from its modules.
//
// A firmware image holds firmware volumes (UEFI Platform Initialization Specification 1.8, volume
// 3, sections 3.2.1 to 3.2.4):
//
//   volume    at 32 le64 length, at 40 "_FVH", at 48 le16 length of the header, at 52 le16 place of
//             an extended header (0: none), whose own length is at its byte 16 (le32)
//   file      from the end of the headers on, each at a multiple of 8: GUID, at 18 u8 type,
//             at 19 u8 attributes (bit 0: le64 size at 24), at 20 le24 size; bytes FFh where
//             files end
//   section   in a file, each at a multiple of 4: le24 size (FFFFFFh: le32 at 4), u8 type:
//             02h GUID, le16 place of the data; 10h PE32 and 12h TE programs; 17h a volume
//
// OVMF keeps the volume of its drivers in a section with the GUID
// ee4e5898-3914-4259-9d6e-dc7bd79403cf, compressed as a .lzma file (edk2,
// MdeModulePkg/Library/LzmaCustomDecompressLib).

struct firmware_facts {
    unsigned modules;   // programs that could be read; 0: nothing is known
    bool measures;      // TdTcg2Dxe is among them, which extends the registers of trust domains
    bool initrd_behind; // QemuLoadImageLib adds " initrd=initrd" behind the command line
    bool initrd_before; // ... or "initrd=initrd " before it
    bool shim;          // ... and knows QEMU's option -shim
};
// Errors: a compressed section that cannot be unpacked, or is larger than any firmware. Bytes that
// are no volume, or damaged in another way, count as no modules. Takes at most about 130 MiB of
// memory.
int firmware_look(const char *name, const unsigned char *bytes, uint64_t size,
                  struct firmware_facts *out, struct error **err);

#endif
