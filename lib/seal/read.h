// SPDX-License-Identifier: Apache-2.0
// Between the inspector and the unsealer.
#ifndef KBUILD_SEAL_READ_H
#define KBUILD_SEAL_READ_H

#include "seal/format.h"

// se_read(), and the header's bytes (image->header_size, to be freed) if `header` is not NULL.
int image_read(int fd, const char *name, struct se_image *out, unsigned char **header,
               struct error **err);

#endif
