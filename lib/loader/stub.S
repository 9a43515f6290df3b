// SPDX-License-Identifier: Apache-2.0
// What lies at 0x10000, where zipl jumps as if it had loaded Linux. The short PSW goes to 0x11000
// at once. At most 0x18 bytes: the page up to 0x11000 is otherwise zero, and a boot loader may have
// written a Linux parameter area to 0x10400 and following.
#include "loader/mode.inc"

    .section .stub, "ax", @progbits
    .globl  stub
stub:
    enter_64bit_mode
    j       start

    .section .note.GNU-stack, "", @progbits
