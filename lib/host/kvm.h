// SPDX-License-Identifier: Apache-2.0
// Starting a guest, to see whether KVM runs it on the processor.
#ifndef KBUILD_HOST_KVM_H
#define KBUILD_HOST_KVM_H

#include "base/memory.h"

// `device` is /dev/kvm, open for reading and writing, and closed here; -1 adds nothing. Adds one
// line to `out`: "ran a guest", "made a guest, ..." (on other machines than x86_64), or "failed
// CALL: reason" (Linux, Documentation/virt/kvm/api.rst). Takes two seconds at most.
void kvm_try(int device, struct buf *out);

#endif
