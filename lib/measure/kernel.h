// SPDX-License-Identifier: Apache-2.0
// Is a file an x86 Linux kernel that firmware can start? Linux, Documentation/arch/x86/boot.rst,
// "The real-mode kernel header":
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
// Is it a program for EFI, and no bzImage at the same time?
bool is_efi_program(const unsigned char *head, uint64_t size);
#define UKI_HEAD 0x4000u // bytes that the search looks at
// Where the kernel in a unified kernel image lies; `head` is the beginning of the file, of
// min(size, UKI_HEAD) bytes. Errors: there is none in it, or it does not lie in the file.
int uki_find_kernel(const char *path, const unsigned char *head, uint64_t size, uint64_t *place,
                    uint64_t *length, struct error **err);
// Linux's version of a checked kernel that is in memory as a whole; false if it does not tell.
bool bzimage_version(const unsigned char *bytes, uint64_t size, unsigned *major, unsigned *minor);
// `text` may be NULL.
int bzimage_check_append(const char *path, const char *text, uint32_t limit, struct error **err);

#endif
