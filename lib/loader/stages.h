// SPDX-License-Identifier: Apache-2.0
// The two s390x loader stages that a Secure Execution image carries, built from this folder with
// the s390x compiler and linked into the program as bytes. docs/se-image.md, sections 6 and 7.
#ifndef KBUILD_LOADER_STAGES_H
#define KBUILD_LOADER_STAGES_H

#include <stddef.h>
#include <stdint.h>

// stage3a: raw binary for address 0x10000; the last 24 bytes are its argument block.
extern const unsigned char stage3a_start[], stage3a_end[];
// relocator || stage3b: position independent; the last 64 bytes are the argument block.
extern const unsigned char stage3b_start[], stage3b_end[];

// The bytes of a stage: stage_length(stage3a_start, stage3a_end).
static inline size_t stage_length(const unsigned char *start, const unsigned char *end)
{
    return (uintptr_t)end - (uintptr_t)start; // two symbols of the linker, not one object
}

#endif
