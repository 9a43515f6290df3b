// SPDX-License-Identifier: Apache-2.0
// What the loaders share: the s390x instructions that need assembler (machine.S), and messages
// (console.c). Both loaders are linked with both.
#ifndef KBUILD_LOADER_INTERNAL_H
#define KBUILD_LOADER_INTERNAL_H

#include <stdint.h>

// ---- machine.S ----
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

// ---- console.c ----
// Messages on the ASCII console, over SCLP. Failures are ignored: there is no other place to report
// them, and booting matters more.

void console_on(void); // for sending only
void console_off(void);

// Prints the text and a newline. At most some 4000 characters: one page holds the request.
void console_line(const char *text);
// The same with a number in hexadecimal after the text, as in "failed: 0x402".
void console_line_hex(const char *text, uint64_t number);

#endif
