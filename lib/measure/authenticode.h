// SPDX-License-Identifier: Apache-2.0
// The Authenticode digest of a PE/COFF image: what UEFI firmware measures of a program that it
// starts, and what signatures of Secure Boot are over. Source: Microsoft, "Windows Authenticode
// Portable Executable Signature Format", section "Calculating the PE Image Hash"; as firmware does
// it, that is, without the padding that a signing tool adds to the file.
//
//   03Ch  le32   where "PE\0\0" is. Behind it lies the COFF header, 20 bytes:
//                at  2 le16  number of sections
//                at 16 le16  size of the optional header, which follows:
//                at  0 le16  10Bh or 20Bh (PE32+)
//                at 60 le32  size of all headers
//                at 64 le32  checksum
//                at 92 le32  (PE32+: 108) number of directories, 8 bytes each, which follow;
//                            the fifth has le32 address, le32 size of the signatures
//                Behind the optional header 40 bytes for each section:
//                at 16 le32  size
//                at 20 le32  place in the file
//
// Hashed are the headers without the checksum and that fifth directory, the sections in the order
// of the file, and what is left of it behind as many bytes, without the signatures.
#ifndef KBUILD_MEASURE_AUTHENTICODE_H
#define KBUILD_MEASURE_AUTHENTICODE_H

#include "base/error.h"

#include <stdint.h>

#define AUTHENTICODE_SIZE 48u // SHA-384

// SHA-384. `name` is for messages. Errors: it is no PE/COFF image, or one whose parts lie outside
// of its `size` bytes; they come with a hint.
int authenticode_digest(const char *name, const unsigned char *bytes, uint64_t size,
                        unsigned char out[static AUTHENTICODE_SIZE], struct error **err);

#endif
