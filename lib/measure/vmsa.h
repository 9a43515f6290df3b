// SPDX-License-Identifier: Apache-2.0
// The VMSA: the state in which a vCPU of an SEV-ES or SNP guest starts, a page that is measured
// (APM, volume 2, appendix B, table B-4). What it holds is decided by the processor's reset state
// (APM, volume 2, section 14.1.3), by KVM, and by who starts the guest.
#ifndef KBUILD_MEASURE_VMSA_H
#define KBUILD_MEASURE_VMSA_H

#include "measure/measure.h"
#include "measure/x86.h"

// The first vCPU starts here; the others where the firmware's SEV-ES reset block says.
#define VMSA_RESET_VECTOR 0xFFFFFFF0u

void snp_vmsa(enum launch_vmm vmm, uint32_t start, uint32_t cpu_signature, uint64_t features,
              unsigned char page[static X86_PAGE]);

// As KVM writes it for guests of its default VM type (KVM_SEV_ES_INIT, the only way before Linux
// 6.10): from KVM_SEV_INIT2 on MXCSR and the x87 control word are in it, too (Linux,
// arch/x86/kvm/svm/sev.c, sev_es_sync_vmsa()).
void snp_vmsa_without_fpu(unsigned char page[static X86_PAGE]);

#endif
