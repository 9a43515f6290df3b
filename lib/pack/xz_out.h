// SPDX-License-Identifier: Apache-2.0
// The xz compressor (The .xz File Format 1.1.0, tukaani.org): one stream of independent blocks.
//
// liblzma's multithreaded encoder, also for one thread: only it writes the sizes into the block
// headers that parallel readers and the splice need, and its bytes do not depend on the number of
// threads.
#ifndef KBUILD_PACK_XZ_OUT_H
#define KBUILD_PACK_XZ_OUT_H

#include "pack/compressor.h"

extern const struct compressor xz_compressor;

#endif
