// SPDX-License-Identifier: Apache-2.0
// The finished loaders as bytes of the host program (stages.h). The linker scripts check the limits;
// the checks here are on the raw files, whose end objcopy could have moved.
    .section .rodata
    .balign 16

    .globl stage3a_start
    .globl stage3a_end
stage3a_start:
    .incbin "stage3a.bin"
stage3a_end:
    .if (stage3a_end - stage3a_start) <= 0x2000
    .error "stage3a.bin ends before its argument block"
    .endif
    .if (stage3a_end - stage3a_start) > 0x3000
    .error "stage3a.bin goes beyond 0x13000"
    .endif

    .balign 16
    .globl stage3b_start
    .globl stage3b_end
stage3b_start:
    .incbin "stage3b-relocated.bin"
stage3b_end:
    .if (stage3b_end - stage3b_start) > 0x5000 + 0x80
    .error "stage3b.bin does not fit between 0xA000 and 0xF000"
    .endif
    .balign 16

    .section .note.GNU-stack, "", %progbits
