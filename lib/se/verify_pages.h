// SPDX-License-Identifier: Apache-2.0
// Comparing a component, page by page, with what it was made of.
#ifndef KBUILD_SE_VERIFY_PAGES_H
#define KBUILD_SE_VERIFY_PAGES_H

#include "se/components.h"

// Where a component and its content, encrypted again, differ.
struct page_difference {
    uint64_t pages;      // how many; 0: they are the same
    uint64_t first_page; // counted from 0 within the component
    uint64_t first_byte; // its offset in the image
    unsigned char mask;  // the bits of that byte
    uint64_t bytes;      // that differ on the first page
};
// `source` says what the content should be, without padding. `xts` encrypts; NULL: in clear. Only
// the pages that both have are compared.
int pages_compare(int fd, const char *name, const struct se_component *c, EVP_CIPHER_CTX *xts,
                  const struct component_source *source, struct page_difference *out,
                  struct error **err);

#endif
