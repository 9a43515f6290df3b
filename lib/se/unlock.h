// SPDX-License-Identifier: Apache-2.0
// Opens what a header protects, with a host's private key or the header key (section 16, unsealer),
// and reads and checks images.
#ifndef KBUILD_SE_UNLOCK_H
#define KBUILD_SE_UNLOCK_H

#include "se/format.h"

// The key that opens a header: one of the two.
struct opener {
    EVP_PKEY *host;
    const unsigned char *header_key; // 32 bytes
};

// The secrets in a header; wiped by opened_wipe().
struct opened_header {
    unsigned char header_key[32], area[AREA_SIZE];
    uint64_t slot; // that the host key opened; UINT64_MAX: none was needed
};
// Checks the tags. `header` are the image->header_size bytes of the header. If one damaged bit
// explains a failure, the message names it.
int header_open(const struct se_image *image, const unsigned char *header, const char *name,
                const struct opener *opener, struct opened_header *out, struct error **err);
void opened_wipe(struct opened_header *h);
#define cleanup_opened __attribute__((cleanup(opened_wipe)))

// An image that was read, checked, and unlocked. Zero-initialise with .fd = -1.
struct unlocked {
    int fd;
    const char *path; // for messages
    struct se_image image;
    EVP_CIPHER_CTX *xts; // NULL if the components are in clear (pcf bit 35)
};
int unlock(const char *path, EVP_PKEY *host_key, struct unlocked *out, struct error **err);
// The steps of opening, for callers with work in between. u->fd, u->path and u->image are given;
// this takes the header's values into *u.
int unlocked_take(struct unlocked *u, const struct opened_header *header, struct error **err);
// Next step: identifies each component and its size without padding.
int unlocked_identify(struct unlocked *u, struct error **err);
// Decrypts a small component (at most 1 MiB, padding included) into memory: its padded bytes, to be
// freed. NULL on failure.
unsigned char *unlocked_load(const struct unlocked *u, int index, struct error **err);
void unlocked_free(struct unlocked *u);
#define cleanup_unlocked __attribute__((cleanup(unlocked_free)))

// ---- read ----
// Shared by the inspector and the unsealer: se_read() in two steps.

// Reads header and IPIB, and checks them against each other and the file. If `header` is not NULL
// it gets the header's bytes (image->header_size of them, to be freed), also on failure.
int image_parse(int fd, const char *name, struct se_image *out, unsigned char **header,
                struct error **err);
// The header only; the file may hold nothing else.
int image_parse_header(int fd, const char *name, struct se_image *out, unsigned char **header,
                       struct error **err);
// Checks the bytes that no digest covers: short PSW, loader arguments, gaps.
int image_check_unprotected(int fd, const char *name, const struct se_image *image,
                            struct error **err);
// The first of the header's three digests that does not match the components.
enum image_fault { FAULT_NONE, FAULT_ADDRESSES, FAULT_TWEAKS, FAULT_CONTENTS };
int image_find_fault(int fd, const char *name, const struct se_image *image, enum image_fault *out,
                     struct error **err);
// Checks the rest of the file: the bytes that no digest covers, then the digests. `genuine`: the
// header's tag was checked, so a wrong digest means that the components changed.
int image_check(int fd, const char *name, const struct se_image *image, bool genuine,
                struct error **err);

#endif
