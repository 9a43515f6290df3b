// SPDX-License-Identifier: Apache-2.0
// The start of the stage3b component. Runs wherever the image has it: copies the loader behind it
// to 0xA000 and goes there. The component lies above 0x14000, so the
// two never overlap.
#include "loader/mode.inc"

#define STAGE3B 0xA000

    .section .text.start, "ax", @progbits
    .globl  start
start:
    enter_64bit_mode
    llill   %r2, STAGE3B
    lghi    %r3, stage3b_end - stage3b
    larl    %r4, stage3b
    lgr     %r5, %r3
1:  mvcle   %r2, %r4, 0
    jo      1b
    llill   %r1, STAGE3B
    br      %r1

    .balign 16
stage3b:
    .incbin "stage3b.bin"
stage3b_end:

    .section .note.GNU-stack, "", @progbits
