// SPDX-License-Identifier: Apache-2.0
// What a boot loader sees of a Linux kernel: entry, magic, parameter area; and a body whose every
// word says where it belongs.
#ifndef MAX_COMMAND_LINE
#define MAX_COMMAND_LINE 4096
#endif

    .section .unused, "a", @progbits  // the kernel's own boot loader: must not be used
    .fill   0x10000, 1, 0xEE

    .section .head, "awx", @progbits
    .globl  head
head:
    j       entry
    .org    head + 8
    .ascii  "S390EP"
    .org    head + 0x430
    .quad   MAX_COMMAND_LINE
    .org    head + 0x480 + 4096
entry:
    epsw    %r2, %r3
    larl    %r1, entry_psw_mask
    st      %r2, 0(%r1)
    st      %r3, 4(%r1)
    j       start

    .data
    .globl  entry_psw_mask
    .balign 8
entry_psw_mask:
    .quad   0

    .section .body, "a", @progbits
    .globl  body
    .globl  body_end
body:                                 // no .balign: the assembler would pad the end as well
    .rept   0x30001                   // some 768 KiB, so that old and new place overlap
    .long   . - body
    .endr
body_end:
    .byte   0xA5, 0x5A, 0xC3          // an odd size
    .section .note.GNU-stack, "", @progbits
