// SPDX-License-Identifier: Apache-2.0
// Verifies an image (docs/se-image.md, section 16): decrypts everything, checks every digest and
// tag, compares the components with their originals, and locates damage.
#ifndef KBUILD_SE_VERIFY_H
#define KBUILD_SE_VERIFY_H

#include "se/se.h"

// The keys that open the image, all borrowed: a key, or a seal record with its secret. A record
// alone opens nothing; then only its clear values are compared. At least one must be given.
struct se_proof {
    EVP_PKEY *host_key;                 // a host's private key (tests only)
    const unsigned char *header_key;    // 32 bytes
    const char *record;                 // file, see derive.h
    const struct secret_memory *secret; // only with a record
};

// The available originals of the image. Initialise with SE_ORIGINALS_NONE.
enum se_original_kind {
    SE_ORIGINAL_KERNEL,
    SE_ORIGINAL_COMMAND_LINE,
    SE_ORIGINAL_INITRD,
    SE_ORIGINALS
};
struct se_original {
    char *name; // for messages; owned
    int fd;     // -1: not given
    uint64_t size;
};
struct se_originals {
    struct se_original of[SE_ORIGINALS];
};
#define SE_ORIGINALS_NONE ((struct se_originals){{{.fd = -1}, {.fd = -1}, {.fd = -1}}})
// Opens a file as an original.
int se_original_open(struct se_originals *o, enum se_original_kind kind, const char *path,
                     struct error **err);
// The same from a kata-static-*.tar.xz (kata-artifacts: vmlinuz-confidential.container and
// kata-containers-initrd-confidential.img, or HEAD's vmlinuz.container).
int se_original_unpack(struct se_originals *o, enum se_original_kind kind, const char *tarball,
                       struct error **err);
void se_originals_free(struct se_originals *o);
#define cleanup_originals __attribute__((cleanup(se_originals_free)))

// Opens an image for reading: a file, a kata-static-boot-image-se tarball that has one, or "-", the
// standard input. Anything but a regular file is copied to a nameless temporary file. *name gets
// the name for messages (to be freed).
int se_image_open(const char *path, char **name, struct error **err);

// 0 if all possible checks passed; `done` gets a line for each check, and for each that was not
// possible ("not checked: ..."). -1 otherwise; the message says what is wrong and where.
int se_verify(int fd, const char *name, const struct se_proof *proof,
              const struct se_originals *originals, struct strlist *done, struct error **err);

#endif
