// SPDX-License-Identifier: Apache-2.0
// Names of the flags of a header (section 8.5).
#ifndef KBUILD_SE_INFO_FLAGS_H
#define KBUILD_SE_INFO_FLAGS_H

#include "base/buf.h"

#include <stdint.h>

// The names of the bits that are set, as options of genprotimg and pvimg call them; an unknown one
// as "unknown-bit-N" (bit 0 is the most significant).
void flag_names_pcf(uint64_t pcf, struct strlist *out);
void flag_names_scf(uint64_t scf, struct strlist *out);

#endif
