// SPDX-License-Identifier: Apache-2.0
// MRTD: what the TDX module measures while a trust domain is built. It depends on the firmware
// alone; kernel, initrd and command line are measured later, by the firmware, into RTMR 1 and 2.
//
// The firmware lists what is put in (TDX Virtual Firmware Design Guide, on TDVF
// metadata): "TDVF", le32 length, le32 version (1), le32 count, then for each section le32 offset
// and le32 size in the image, le64 address and le64 size in memory, le32 type, le32 attributes (bit
// 0: the content is measured; bit 1: added later, and not measured at all). MRTD is SHA-384 over a
// stream (TDX Module Base Specification, section on build-time measurement): for each 4 KiB page
// 128 bytes "MEM.PAGE.ADD", the address at byte 16, zeros; and if its content is measured, for each
// 256 bytes of it 128 bytes "MR.EXTEND", the address at byte 16, zeros, then the content. Linux
// adds a page and measures it, then the next page (arch/x86/kvm/vmx/tdx.c, since 6.16). Hosts with
// older patches of their own added all pages of a section first and measured them then; that is
// `two_pass` (tdx-measure 0.1.0, --two-pass-add-pages).
#ifndef KBUILD_MEASURE_TDX_H
#define KBUILD_MEASURE_TDX_H

#include "measure/ovmf.h"

#define MRTD_SIZE 48u
int tdx_mrtd(const char *name, const struct snp_firmware *f, bool two_pass,
             unsigned char out[static MRTD_SIZE], struct error **err);

#endif
