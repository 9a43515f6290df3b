// SPDX-License-Identifier: Apache-2.0
// What a firmware does of which its version alone would tell, read from the modules in it.
//
// A firmware image holds firmware volumes (UEFI Platform Initialization Specification 1.8, volume
// 3, sections 3.2.1 to 3.2.4):
//
//   volume    at 32 le64 length, at 40 "_FVH", at 48 le16 length of the header, at 52 le16 place of
//             an extended header (0: none), whose own length is at its byte 16 (le32)
//   file      from the end of the headers on, each at a multiple of 8: GUID, at 18 u8 type, at 19
//   u8
//             attributes (bit 0: le64 size at 24), at 20 le24 size; bytes FFh where files end
//   section   in a file, each at a multiple of 4: le24 size (FFFFFFh: le32 at 4), u8 type: 02h
//   GUID,
//             le16 place of the data; 10h PE32 and 12h TE programs; 17h a volume
//
// OVMF keeps the volume of its drivers in a section with the GUID
// ee4e5898-3914-4259-9d6e-dc7bd79403cf, compressed as a .lzma file (edk2,
// MdeModulePkg/Library/LzmaCustomDecompressLib).
#ifndef KBUILD_MEASURE_FIRMWARE_VOLUME_H
#define KBUILD_MEASURE_FIRMWARE_VOLUME_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct firmware_facts {
    unsigned modules;   // programs that could be looked at; 0: nothing is known
    bool measures;      // TdTcg2Dxe is among them, which extends the registers of trust domains
    bool initrd_behind; // QemuLoadImageLib adds " initrd=initrd" behind the command line
    bool initrd_before; // ... or "initrd=initrd " before it
    bool shim;          // ... and knows QEMU's option -shim
};
// Errors: a compressed section that cannot be unpacked, or is larger than any firmware. What is no
// volume, or is damaged otherwise, holds no modules. Takes at most some 130 MiB of memory.
int firmware_look(const char *name, const unsigned char *bytes, uint64_t size,
                  struct firmware_facts *out, struct error **err);

#endif
