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

#include "measure/measure.h"
#include "measure/ovmf.h"

#define MRTD_SIZE 48u
int tdx_mrtd(const char *name, const struct snp_firmware *f, bool two_pass,
             unsigned char out[static MRTD_SIZE], struct error **err);

// ---- tdx rtmr ----
// RTMR 1 and 2 of a trust domain that is started with QEMU's -kernel: what firmware and kernel
// extend until the kernel runs. A register starts as 48 zeros; extending by an event makes it
// SHA-384 over the register and the event's digest, itself SHA-384 (TDX Module Base Specification,
// section on run-time measurement; the registers are PCRs 2 to 6 and 8 to 15 of a TPM: UEFI 2.10,
// section 38.4.1).
//
//   RTMR 1   the kernel, as an Authenticode digest (kernel.h); "Calling EFI Application
//            from Boot Option"; a separator of four zeros, from edk2-stable202411 on; "Exit Boot
//            Services Invocation"; "Exit Boot Services Returned with Success" (edk2,
//            OvmfPkg/Tcg/TdTcg2Dxe; strings without their NUL)
//   RTMR 2   the load options: the command line and, with an initrd, " initrd=initrd" behind it, or
//            from edk2-stable202508 on "initrd=initrd " before it, in UTF-16 with its NUL (edk2,
//            QemuLoadImageLib); the initrd. Both by the kernel's EFI stub, from Linux 6.9 on
//
// RTMR 0 depends on tables that QEMU makes for the machine, and RTMR 3 is the workload's: 0 until
// then.

#define RTMR_SIZE 48u

// QEMU before this version writes into the kernel's header what a boot loader has to say there, and
// the firmware measures that; later ones leave the kernels of confidential guests alone.
#define QEMU_KEEPS_HEADER QEMU_VERSION(10, 2)

// What differs between releases of edk2.
struct tdx_order {
    bool separator_in_rtmr1;
    bool initrd_before; // matters only with an initrd
};
// Out of what the file shows, and where it does not, of in->edk2_version. Errors: firmware that
// measures nothing, and what can neither be read nor was said, or contradicts what was said.
int tdx_find_order(const struct launch_inputs *in, const struct firmware_facts *f,
                   struct tdx_order *out, struct error **err);

// `kernel` was checked to be a bzImage, and is changed as QEMU does it. Errors: what QEMU would not
// start or kbuild cannot follow (vga=, an initrd without room), no PE/COFF image, an unreadable
// file.
int tdx_rtmr1(const struct launch_inputs *in, const struct tdx_order *order, unsigned char *kernel,
              uint64_t size, uint64_t initrd_size, unsigned char out[static RTMR_SIZE],
              struct error **err);
int tdx_rtmr2(const struct launch_inputs *in, const struct tdx_order *order,
              unsigned char out[static RTMR_SIZE], struct error **err);

#endif
