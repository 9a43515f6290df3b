// SPDX-License-Identifier: Apache-2.0
// MRTD, which the TDX module measures while a trust domain is built, and RTMR 1 and 2. MRTD depends
// on the firmware alone; kernel, initrd and command line are measured later, into RTMR 1 and 2.
//
// The firmware lists the sections (TDX Virtual Firmware Design Guide, on TDVF metadata): "TDVF",
// le32 length, le32 version (1), le32 count, then for each section le32 offset and le32 size in the
// image, le64 address and le64 size in memory, le32 type, le32 attributes (bit 0: the content is
// measured; bit 1: added later, not measured). MRTD is SHA-384 over a stream (TDX Module Base
// Specification, section on build-time measurement): for each 4 KiB page 128 bytes "MEM.PAGE.ADD",
// the address at byte 16, zeros; and if its content is measured, for each 256 bytes of it 128 bytes
// "MR.EXTEND", the address at byte 16, zeros, then the content. Linux adds a page and measures it,
// then the next page (arch/x86/kvm/vmx/tdx.c, since 6.16). Hosts with older, private patches add
// all pages of a section first and then measure them; that is `two_pass` (tdx-measure 0.1.0,
// --two-pass-add-pages).
#ifndef KBUILD_MEASURE_TDX_H
#define KBUILD_MEASURE_TDX_H

#include "measure/measure.h"
#include "measure/ovmf.h"

#define MRTD_SIZE 48u
int tdx_mrtd(const char *name, const struct snp_firmware *f, bool two_pass,
             unsigned char out[static MRTD_SIZE], struct error **err);

// ---- tdx rtmr ----
// RTMR 1 and 2 of a trust domain that is started with QEMU's -kernel: the events that firmware and
// kernel extend until the kernel runs. A register starts as 48 zeros; extending by an event makes
// it SHA-384 over the register and the event's digest, itself SHA-384 (TDX Module Base
// Specification, section on run-time measurement; the registers are PCRs 2 to 6 and 8 to 15 of a
// TPM: UEFI 2.10, section 38.4.1).
//
//   RTMR 1   the kernel, as an Authenticode digest (kernel.h); "Calling EFI Application
//            from Boot Option"; a separator of four zeros, from edk2-stable202411 on; "Exit Boot
//            Services Invocation"; "Exit Boot Services Returned with Success" (edk2,
//            OvmfPkg/Tcg/TdTcg2Dxe; strings without their NUL)
//   RTMR 2   the load options: the command line and, with an initrd, " initrd=initrd" behind it, or
//            from edk2-stable202508 on "initrd=initrd " before it, in UTF-16 with its NUL (edk2,
//            QemuLoadImageLib); the initrd. Both by the kernel's EFI stub, from Linux 6.9 on
//
// RTMR 0 depends on tables that QEMU makes for the machine, and RTMR 3 belongs to the workload: 0
// until then.

#define RTMR_SIZE 48u

// QEMU before this version writes the boot loader's fields into the kernel's header, and the
// firmware measures them; later versions do not change the kernels of confidential guests.
#define QEMU_KEEPS_HEADER QEMU_VERSION(10, 2)

// What differs between releases of edk2.
struct tdx_order {
    bool separator_in_rtmr1;
    bool initrd_before; // matters only with an initrd
};
// Set from the firmware file, or from in->edk2_version for what the file does not show. Errors:
// firmware that measures nothing, an unknown release, and a file that contradicts in->edk2_version.
int tdx_find_order(const struct launch_inputs *in, const struct firmware_facts *f,
                   struct tdx_order *out, struct error **err);

// `kernel` must be a checked bzImage, and is changed in place as QEMU does. Errors: a kernel that
// QEMU would not start or kbuild cannot model (vga=, an initrd without space), no PE/COFF image, an
// unreadable file.
int tdx_rtmr1(const struct launch_inputs *in, const struct tdx_order *order, unsigned char *kernel,
              uint64_t size, uint64_t initrd_size, unsigned char out[static RTMR_SIZE],
              struct error **err);
int tdx_rtmr2(const struct launch_inputs *in, const struct tdx_order *order,
              unsigned char out[static RTMR_SIZE], struct error **err);

#endif
