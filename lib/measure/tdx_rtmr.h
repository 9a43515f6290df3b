// SPDX-License-Identifier: Apache-2.0
// RTMR 1 and 2 of a trust domain that is started with QEMU's -kernel: what firmware and kernel
// extend until the kernel runs. A register starts as 48 zeros; extending by an event makes it
// SHA-384 over the register and the event's digest, itself SHA-384 (TDX Module Base Specification,
// section on run-time measurement; the registers are PCRs 2 to 6 and 8 to 15 of a TPM: UEFI 2.10,
// section 38.4.1).
//
//   RTMR 1   the kernel, as an Authenticode digest (seal/authenticode.h); "Calling EFI Application
//            from Boot Option"; a separator of four zeros, from edk2-stable202411 on; "Exit Boot
//            Services Invocation"; "Exit Boot Services Returned with Success" (edk2,
//            OvmfPkg/Tcg/TdTcg2Dxe; strings without their NUL)
//   RTMR 2   the load options: the command line and, with an initrd, " initrd=initrd" behind it, or
//            from edk2-stable202508 on "initrd=initrd " before it, in UTF-16 with its NUL (edk2,
//            QemuLoadImageLib); the initrd. Both by the kernel's EFI stub, from Linux 6.9 on
//
// RTMR 0 depends on tables that QEMU makes for the machine, and RTMR 3 is the workload's: 0 until
// then.
#ifndef KBUILD_MEASURE_TDX_RTMR_H
#define KBUILD_MEASURE_TDX_RTMR_H

#include "measure/firmware_volume.h"
#include "measure/measure.h"

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
