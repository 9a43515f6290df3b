// SPDX-License-Identifier: Apache-2.0
// The SNP launch digest, VMSA pages and the table of kernel hashes. The digest (ABI, section 8.17.2
// and its table "Layout of the PAGE_INFO structure"): for each page that enters the guest, the new
// digest is SHA-384 over
//
//   00h  48 bytes  the digest so far (zeros at first)
//   30h  48 bytes  SHA-384 of the page; zeros unless the type is NORMAL or VMSA
//   60h  le16      length of this structure, 70h
//   62h  u8        page type
//   63h  u8        bit 0: the page belongs to an initial migration image; 0 here
//   64h  3 bytes   permissions of VMPL 3, 2, 1; 0 here
//   67h  u8        zero
//   68h  le64      guest physical address
#ifndef KBUILD_MEASURE_LAUNCH_DIGEST_H
#define KBUILD_MEASURE_LAUNCH_DIGEST_H

#include "base/error.h"
#include "measure/measure.h"
#include "measure/x86.h"

#include <openssl/evp.h>

#define SHA384_SIZE 48u

// ABI, section 8.17.1, PAGE_TYPE.
enum snp_page_type {
    PAGE_NORMAL = 1,
    PAGE_VMSA = 2,
    PAGE_ZERO = 3,
    PAGE_UNMEASURED = 4,
    PAGE_SECRETS = 5,
    PAGE_CPUID = 6
};
// Where the firmware records VMSA pages: all address bits set (ABI, 8.17.2).
#define VMSA_ADDRESS 0xFFFFFFFFF000u

// Zero-initialise. Owns nothing.
struct snp_digest {
    unsigned char value[SHA384_SIZE];
};
// One page with content: PAGE_NORMAL or PAGE_VMSA.
int snp_digest_page(struct snp_digest *d, enum snp_page_type type, uint64_t address,
                    const unsigned char page[static X86_PAGE], struct error **err);
// `size` bytes (whole pages) of any other type.
int snp_digest_range(struct snp_digest *d, enum snp_page_type type, uint64_t address, uint64_t size,
                     struct error **err);
// `size` bytes (whole pages) of PAGE_NORMAL.
int snp_digest_content(struct snp_digest *d, uint64_t address, const unsigned char *bytes,
                       uint64_t size, struct error **err);

// ---- vmsa ----
// The VMSA: the state in which a vCPU of an SEV-ES or SNP guest starts, a page that is measured
// (APM, volume 2, appendix B, table B-4). Its content depends on the processor's reset state (APM,
// volume 2, section 14.1.3), on KVM, and on the VMM.

// The first vCPU starts here; the others where the firmware's SEV-ES reset block says.
#define VMSA_RESET_VECTOR 0xFFFFFFF0u

void snp_vmsa(enum launch_vmm vmm, uint32_t start, uint32_t cpu_signature, uint64_t features,
              unsigned char page[static X86_PAGE]);

// As KVM writes it for guests of its default VM type (KVM_SEV_ES_INIT, the only way before Linux
// 6.10): from KVM_SEV_INIT2 on MXCSR and the x87 control word are in it, too (Linux,
// arch/x86/kvm/svm/sev.c, sev_es_sync_vmsa()).
void snp_vmsa_without_fpu(unsigned char page[static X86_PAGE]);

// ---- hashes ----
// The table of kernel hashes, which QEMU (target/i386/sev.c, "kernel-hashes=on") puts into the
// guest at launch, so that the measurement covers what the firmware then loads over fw_cfg (OVMF,
// OvmfPkg/AmdSev/BlobVerifierLibSevHashes): 18 bytes of GUID and le16 length, then three entries of
// 50 bytes (GUID, le16 length, SHA-256) for the command line with its NUL, the initrd and the
// kernel, and zeros up to a multiple of 16.
//
// QEMU hashes the parts of the kernel that it passes on, setup header and protected-mode code;
// since version 6.2 it does not change the header of an SEV guest's kernel (hw/i386/x86.c,
// x86_load_linux()), so that the digest is that of the file. No initrd counts as an empty one.

#define SNP_HASHES_SIZE 176u

// `kernel` and `initrd` are as launch_file gives them; `append` may be NULL.
void snp_hashes(const struct launch_file *kernel, const struct launch_file *initrd,
                const char *append, unsigned char out[static SNP_HASHES_SIZE]);

#endif
