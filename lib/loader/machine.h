// SPDX-License-Identifier: Apache-2.0
// s390x instructions that need assembler (machine.S). Both loaders are linked with it.
#ifndef KBUILD_LOADER_MACHINE_H
#define KBUILD_LOADER_MACHINE_H

#include <stdint.h>

struct psw {
    uint64_t mask, address;
} __attribute__((aligned(8)));

// Entered from start (machine.S) with a stack and a program-check PSW; each stage has its own.
_Noreturn void stage_main(void);

// Loads a disabled-wait PSW whose address (31 bits) is the code, which an operator sees.
_Noreturn void stop(uint64_t code);
_Noreturn void load_psw(const struct psw *psw);

// DIAGNOSE 0x308: the return code.
uint64_t diagnose_308(uint64_t subcode, void *block);

// Facility bits, bit 0 being the leftmost of list[0]. The list must be zero before.
void store_facilities(uint64_t *list, uint64_t doublewords);

// SERVC: the condition code, 0 accepted, 2 busy, 3 no service processor.
int service_call(uint32_t command, void *sccb);
void wait_for_service_signal(void);

#endif
