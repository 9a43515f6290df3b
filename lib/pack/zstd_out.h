// SPDX-License-Identifier: Apache-2.0
// The zstd compressor (RFC 8878): one frame of data, the mark, one frame with the tar's end.
#ifndef KBUILD_PACK_ZSTD_OUT_H
#define KBUILD_PACK_ZSTD_OUT_H

#include "pack/compressor.h"

extern const struct compressor zstd_compressor;

// A skippable frame (3.1.2) whose content says what follows.
#define ZSTD_MARK_SIZE 24
extern const unsigned char zstd_mark[ZSTD_MARK_SIZE];

#endif
