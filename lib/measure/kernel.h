// SPDX-License-Identifier: Apache-2.0
// Kernel files of a launch: checks of bzImages and unified kernel images, digests of the files, and
// the Authenticode digest. A bzImage (Linux, Documentation/arch/x86/boot.rst, "The real-mode kernel
// header"):
//
//   1F1h  u8     sectors of 512 bytes of setup code behind the first; 0 means 4
//   1FEh  le16   AA55h
//   202h  4      "HdrS"
//   206h  le16   boot protocol, 20Ch at least for a kernel that EFI can start
//   20Eh  le16   200h before the text "6.12.13 (...) ..."
//   236h  le16   bit 0: there is a 64-bit entry
//   238h  le32   the longest command line, without its NUL
#ifndef KBUILD_MEASURE_KERNEL_H
#define KBUILD_MEASURE_KERNEL_H

#include "base/error.h"
#include "measure/measure.h"

#include <stdbool.h>
#include <stdint.h>

// A unified kernel image (UAPI Group Specifications, UKI) is a PE/COFF program for EFI with a
// kernel in its section ".linux":
//
//   03Ch  le32   where "PE\0\0" is; behind it at 4 le16 machine (8664h), at 6 le16 number of
//                sections, at 20 le16 size of the optional header, which begins at 24; then 40
//                bytes for each section: name (8), at 16 le32 size, at 20 le32 place in the file

#define BZIMAGE_HEAD 0x260u // bytes that the check looks at

// `head` is the beginning of the file, of min(size, BZIMAGE_HEAD) bytes. *limit gets the longest
// command line.
int bzimage_check(const char *path, const unsigned char *head, uint64_t size, uint32_t *limit,
                  struct error **err);
// Whether it is a program for EFI and not a bzImage.
bool is_efi_program(const unsigned char *head, uint64_t size);
#define UKI_HEAD 0x4000u // bytes that the search looks at
// Where the kernel in a unified kernel image lies; `head` is the beginning of the file, of
// min(size, UKI_HEAD) bytes. Errors: there is none, or it lies outside the file.
int uki_find_kernel(const char *path, const unsigned char *head, uint64_t size, uint64_t *place,
                    uint64_t *length, struct error **err);
// Linux's version of a checked kernel that is wholly in memory; false if the kernel has none.
bool bzimage_version(const unsigned char *bytes, uint64_t size, unsigned *major, unsigned *minor);
// `text` may be NULL.
int bzimage_check_append(const char *path, const char *text, uint32_t limit, struct error **err);

// ---- files ----
// The files of a launch: what they must be, and their digests. Kernel and initrd are streamed.

// Firmware is small and parsed from its end: *bytes gets all of it, to be freed, also after a
// failure.
int launch_read_firmware(const char *path, unsigned char **bytes, struct launch_file *out,
                         struct error **err);
// A bzImage whose command line limit admits in->append.
int launch_hash_kernel(const struct launch_inputs *in, struct launch_file *out, struct error **err);
// The same, and *bytes gets all of it, to be freed, also after a failure.
int launch_read_kernel(const struct launch_inputs *in, unsigned char **bytes,
                       struct launch_file *out, struct error **err);
int launch_hash_initrd(const char *path, struct launch_file *out, struct error **err);

// ---- authenticode ----
// The Authenticode digest of a PE/COFF image: UEFI firmware measures it when it starts a program,
// and Secure Boot signs it. Source: Microsoft, "Windows Authenticode Portable Executable Signature
// Format", section "Calculating the PE Image Hash"; computed as firmware does, without the padding
// that a signing tool adds to the file.
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
// The digest is over the headers without the checksum and that fifth directory, the sections in
// file order, and the file from the offset that equals the size of headers and sections, without
// the signatures.

#define AUTHENTICODE_SIZE 48u // SHA-384

// SHA-384. `name` is for messages. Errors: it is no PE/COFF image, or one whose parts lie outside
// of its `size` bytes; they come with a hint.
int authenticode_digest(const char *name, const unsigned char *bytes, uint64_t size,
                        unsigned char out[static AUTHENTICODE_SIZE], struct error **err);

#endif
