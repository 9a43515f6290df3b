// SPDX-License-Identifier: Apache-2.0
// Host key documents, from bytes.
#ifndef KBUILD_SEAL_HOST_KEY_H
#define KBUILD_SEAL_HOST_KEY_H

#include "seal/seal.h"

// host_key_load() after the file was read. Messages begin with `path`.
int host_key_parse(const void *bytes, size_t length, const char *path, struct host_key *out,
                   struct error **err);

#endif
