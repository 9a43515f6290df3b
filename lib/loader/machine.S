// SPDX-License-Identifier: Apache-2.0
// Entry, exit and privileged instructions of both loaders. z900 instructions only, so that even a
// machine much too old for Secure Execution still shows why it stops.
#include "loader/mode.inc"

// Fixed storage locations (z/Architecture Principles of Operation, "Assigned Storage Locations").
#define EXTERNAL_CODE    0x086
#define FACILITY_LIST    0x0C8
#define PROGRAM_OLD_PSW  0x150
#define EXTERNAL_NEW_PSW 0x1B0
#define PROGRAM_NEW_PSW  0x1D0

#define STACK_END        0x10000    // the stack is the page below
#define SAVE_AREA        160        // the ABI lets a called function store its registers here
#define SERVICE_SIGNAL   0x2401     // external interruption code
#define SERVICE_SUBCLASS 0x0200     // its enabling bit in control register 0

    .section .text.start, "ax", @progbits
    .globl  start
start:
    enter_64bit_mode
    llill   %r15, STACK_END - SAVE_AREA
    larl    %r1, program_check
    larl    %r2, running
    mvc     PROGRAM_NEW_PSW(8, %r0), 0(%r2)
    stg     %r1, PROGRAM_NEW_PSW + 8
    brasl   %r14, stage_main        // does not return

    .text
program_check:
    lg      %r2, PROGRAM_OLD_PSW + 8

    .globl  stop
stop:
    llgtr   %r2, %r2                // a PSW with more address bits would be invalid
    larl    %r1, stopped
    stg     %r2, 8(%r1)
    lpswe   0(%r1)

    .globl  load_psw
load_psw:
    lpswe   0(%r2)

    .globl  diagnose_308
diagnose_308:
    lgr     %r1, %r2
    lgr     %r4, %r3                // even register: the block; the one after it: the return code
    lghi    %r5, 0
    diag    %r4, %r1, 0x308
    lgr     %r2, %r5
    br      %r14

    .globl  store_facilities
store_facilities:
    .insn   s, 0xb2b10000, 0(%r0)   // STFL, to FACILITY_LIST
    tm      FACILITY_LIST, 0x01     // bit 7: there is STFLE
    jnz     1f
    mvc     0(4, %r2), FACILITY_LIST(%r0)
    br      %r14
1:  lgr     %r0, %r3
    aghi    %r0, -1
    .insn   s, 0xb2b00000, 0(%r2)   // STFLE
    br      %r14

    .globl  service_call
service_call:
    .insn   rre, 0xb2200000, %r2, %r3 // SERVC
    ipm     %r2
    srl     %r2, 28
    lgfr    %r2, %r2
    br      %r14

// Opens external interruptions for the service signal, waits for one, and leaves everything as it
// was. An interruption does not change r1.
    .globl  wait_for_service_signal
wait_for_service_signal:
    larl    %r1, interruption
    stctg   %c0, %c0, 0(%r1)
    lg      %r2, 0(%r1)
    oill    %r2, SERVICE_SUBCLASS
    stg     %r2, 8(%r1)
    mvc     16(16, %r1), EXTERNAL_NEW_PSW(%r0)
    larl    %r2, running
    mvc     EXTERNAL_NEW_PSW(8, %r0), 0(%r2)
    larl    %r2, 2f
    stg     %r2, EXTERNAL_NEW_PSW + 8
    larl    %r2, waiting
    lctlg   %c0, %c0, 8(%r1)
1:  lpswe   0(%r2)
2:  lh      %r3, EXTERNAL_CODE
    chi     %r3, SERVICE_SIGNAL
    jne     1b
    lctlg   %c0, %c0, 0(%r1)
    mvc     EXTERNAL_NEW_PSW(16, %r0), 16(%r1)
    br      %r14

    .data
    .balign 8
running:
    .quad   0x0000000180000000      // 64-bit addressing, everything else off
waiting:
    .quad   0x0102000180000000, 0   // the same, external interruptions on, waiting
stopped:
    .quad   0x0002000080000000, 0   // waiting for nothing
interruption:
    .quad   0, 0                    // control register 0: as found; with the service signal
    .quad   0, 0                    // external new PSW as found

    .section .note.GNU-stack, "", @progbits
