// SPDX-License-Identifier: Apache-2.0
// Between the inspector and the unsealer: se_read() in two steps.
#ifndef KBUILD_SE_READ_H
#define KBUILD_SE_READ_H

#include "se/format.h"

// Header and IPIB, checked as far as they say something about each other and about the file. If
// `header` is not NULL it gets the header's bytes (image->header_size of them, to be freed), also
// on failure.
int image_parse(int fd, const char *name, struct se_image *out, unsigned char **header,
                struct error **err);
// The header only, which may also be all that the file has.
int image_parse_header(int fd, const char *name, struct se_image *out, unsigned char **header,
                       struct error **err);
// What no digest covers: short PSW, loader arguments, gaps.
int image_check_unprotected(int fd, const char *name, const struct se_image *image,
                            struct error **err);
// Which of the header's three digests does not fit the components; the first of them.
enum image_fault { FAULT_NONE, FAULT_ADDRESSES, FAULT_TWEAKS, FAULT_CONTENTS };
int image_find_fault(int fd, const char *name, const struct se_image *image, enum image_fault *out,
                     struct error **err);
// Everything else in the file: what no digest covers, then the digests. `genuine`: the header's tag
// was checked, so a digest that does not fit means that the components changed.
int image_check(int fd, const char *name, const struct se_image *image, bool genuine,
                struct error **err);

#endif
