// SPDX-License-Identifier: Apache-2.0
// The PV header, version 1 (section 8), and the IPIB (section 5): building and parsing.
#ifndef KBUILD_SE_HEADER_H
#define KBUILD_SE_HEADER_H

#include "se/format.h"

// All secret values of an image. Zero-initialise; secrets_wipe() at the end.
struct secrets {
    unsigned char header_key[32], header_iv[12], cck[32], xts_key[64];
    unsigned char tweaks[PARTS][6];
    EVP_PKEY *customer; // owned
};
// Draws at random the values that neither `keys` nor `fixed` (may be NULL) gives.
int secrets_draw(struct secrets *s, const struct se_keys *keys, const struct se_fixed *fixed,
                 struct error **err);
void secrets_wipe(struct secrets *s);
#define cleanup_secrets __attribute__((cleanup(secrets_wipe)))

struct header_input {
    const struct secrets *secrets;
    const struct host_key *hosts;
    size_t host_count;
    uint64_t pages, pcf, scf, psw_address;
    unsigned char pld[64], ald[64], tld[64];
};
// Builds the whole header, encrypted: header_size(host_count) bytes.
int header_build(const struct header_input *in, unsigned char *out, struct error **err);

// Reads a header from a file, checks what needs no key, and parses it. *bytes (to be freed) gets
// image->header_size bytes if it is not NULL. image->header_offset is given; the header's fields in
// `image` are set.
int header_read(int fd, const char *name, uint64_t size, struct se_image *image,
                unsigned char **bytes, struct error **err);

// ---- ipib ----
// The IPL information block of type PV (section 5): the list of components that stage3a hands to
// the hypervisor.

// Layout G: fills a page. The header's address stays 0; stage3a stores it at run time.
void ipib_build(const struct se_component *components, size_t count, uint64_t header_bytes,
                unsigned char out[static SE_PAGE]);
// Reads the block that belongs to image->header_* into image->components and checks it: lengths,
// type, page alignment, order, overlap, and that all lies inside the file of `size` bytes. In
// layout P, image->ipib_offset is given; in layout G it is the page before the header.
int ipib_read(int fd, const char *name, uint64_t size, struct se_image *image, struct error **err);

#endif
