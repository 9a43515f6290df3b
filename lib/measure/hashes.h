// SPDX-License-Identifier: Apache-2.0
// The table of kernel hashes, which QEMU (target/i386/sev.c, "kernel-hashes=on") puts into the
// guest at launch, so that the measurement covers what the firmware then loads over fw_cfg (OVMF,
// OvmfPkg/AmdSev/BlobVerifierLibSevHashes): 18 bytes of GUID and le16 length, then three entries of
// 50 bytes (GUID, le16 length, SHA-256) for the command line with its NUL, the initrd and the
// kernel, and zeros up to a multiple of 16.
//
// QEMU hashes the kernel as the parts that it hands over, setup header and protected-mode code;
// since version 6.2 it leaves the header of an SEV guest's kernel as it is (hw/i386/x86.c,
// x86_load_linux()), so that the digest is that of the file. No initrd counts as an empty one.
#ifndef KBUILD_MEASURE_HASHES_H
#define KBUILD_MEASURE_HASHES_H

#include "measure/measure.h"

#define SNP_HASHES_SIZE 176u

// `kernel` and `initrd` are as launch_file gives them; `append` may be NULL.
void snp_hashes(const struct launch_file *kernel, const struct launch_file *initrd,
                const char *append, unsigned char out[static SNP_HASHES_SIZE]);

#endif
