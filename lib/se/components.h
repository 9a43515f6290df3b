// SPDX-License-Identifier: Apache-2.0
// Components as streams (section 10): pads, encrypts and writes them; hashes or decrypts them
// again. No component is in memory as a whole.
#ifndef KBUILD_SE_COMPONENTS_H
#define KBUILD_SE_COMPONENTS_H

#include "se/checks.h"
#include "se/format.h"

// Where the content of a component comes from: `bytes`, or the file fd from its start.
struct component_source {
    const char *name; // for messages
    const unsigned char *bytes;
    int fd;
    uint64_t size;
};

// The image that is being written, at its end.
struct component_sink {
    int fd;
    EVP_CIPHER_CTX *xts; // NULL: not encrypted (pcf bit 35)
    struct page_digests *digests;
    uint64_t address; // of the next component
    uint64_t pages;   // so far
};
// Writes one component at sink->address. c->tweak is given; the rest of *c is set.
int component_write(struct component_sink *sink, const struct component_source *source,
                    struct se_component *c, struct error **err);

// Computes the three digests over the components of an image as they lie in the file.
int components_digest(int fd, const char *name, const struct se_image *image,
                      unsigned char pld[static 64], unsigned char ald[static 64],
                      unsigned char tld[static 64], struct error **err);

// Decrypts one component (with xts NULL: copies it) and writes its first `keep` bytes to `out` from
// offset `at` on. With `zero_tail`, bytes behind `keep` that are not zero are an error.
struct component_target {
    int fd;
    const char *name;
    uint64_t at, keep;
    bool zero_tail;
};
int component_decrypt(int fd, const char *name, const struct se_component *c, EVP_CIPHER_CTX *xts,
                      const struct component_target *out, struct error **err);

#endif
