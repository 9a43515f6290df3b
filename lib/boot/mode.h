// SPDX-License-Identifier: Apache-2.0
// Assembler macro: how each piece of the loaders begins. A loader may be entered in either
// architecture mode and with any addressing mode, so it sets both. Changes r0, r1 and the condition
// code. The CPU that is in z/Architecture mode already reports that in r1, which nobody reads.
.macro enter_64bit_mode
    lhi     %r1, 1          // parameter: z/Architecture mode
    sr      %r0, %r0        // CPU address; this order is for all of them
    sigp    %r1, %r0, 0x12  // Set Architecture
    sam64
.endm
