// SPDX-License-Identifier: Apache-2.0
// IBM Secure Execution boot images, header version 1, layout "G" (docs/se-image.md describes the
// format, section by section): sealing, reading back, test host keys. Over OpenSSL. Knows nothing
// of recipes or graphs. All integers in an image are big-endian; file offset = guest address.
//
// Secrets (header key, XTS key, customer keys) live in memory only as long as needed, are wiped,
// and never reach a log or a message. Memory use does not depend on the size of the input:
// components are streamed.
#ifndef KBUILD_SE_SE_H
#define KBUILD_SE_SE_H

#include "base/memory.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/input.h"
#include "hkd/hkd.h"

#include <openssl/evp.h>
#include <stdbool.h>
#include <stdint.h>

#define SE_PAGE 4096u
#define SE_PCF_DEFAULT 0xE0u // PCKMO DEA/TDEA, AES, ECC (8.5)
#define SE_PCF_ALLOW_DUMP 0x20000000u
#define SE_PCF_NO_ENCRYPTION 0x10000000u
#define SE_SCF_CCK_EXTENSION 0x4000000000000000u
#define SE_SCF_CCK_UPDATE 0x2000000000000000u
#define SE_MAX_HOST_KEYS 95u

// ---- sealing (sections 3 to 11) ----
// Keys that a user may give; NULL: drawn at random. Borrowed.
struct se_keys {
    const unsigned char *header_key; // 32 bytes
    const unsigned char *cck;        // customer communication key, 32 bytes
    const unsigned char *xts_key;    // component key, 64 bytes, two different halves
};
// Values that only tests give (the known-answer image). NULL: drawn at random.
struct se_fixed {
    const unsigned char *header_iv;   // 12 bytes
    const unsigned char (*tweaks)[6]; // 4 of them: kernel, command line, initrd, stage3b
    EVP_PKEY *customer_key;
};

struct se_input {
    const char *kernel; // raw s390x kernel (checked: S390EP, not ELF, >= 0x10438 bytes)
    const char *initrd; // or NULL
    // The bytes of the parmfile, without NUL; NULL if there is none. Nothing is trimmed.
    const char *command_line;
    size_t command_line_length;
    const struct host_key *hosts;
    size_t host_count;
    uint64_t pcf, scf;
    struct se_keys keys;
    uint64_t psw_address;       // where stage3b jumps to; 0 means 0x10000
    bool skip_component_checks; // only for tests, whose kernels are synthetic
    // Loader templates; NULL: built in (loader/stages.h).
    const unsigned char *stage3a, *stage3b;
    size_t stage3a_length, stage3b_length;
    const struct se_fixed *fixed; // NULL outside tests
    // Provable sealing (docs/provable-sealing.md): with a secret, values are derived from it and
    // all inputs above, not drawn. From se_secret_load(); borrowed. NULL: drawn.
    const unsigned char *secret;
    size_t secret_length;
    // Gets the sizes of kernel and initrd, which may be pipes; may be NULL.
    struct se_sizes {
        uint64_t kernel, initrd;
    } * sizes;
};

// Writes the image to fd, which must be a seekable regular file, empty. The bytes that make it
// bootable are written last. A thread hashes in parallel; it has ended when this returns.
int se_seal(const struct se_input *in, int fd, struct error **err);
// The same, and appends to `record` (may be NULL) the seal record, a JSON text that ends in a
// newline: the digests of the image's inputs. It holds nothing secret. fd must be readable.
int se_seal_recorded(const struct se_input *in, int fd, struct buf *record, struct error **err);

// A seal secret: the file's bytes, all of them.
#define SE_SECRET_MIN 32u
#define SE_SECRET_MAX 4096u
#define SE_SECRET_BITS_MIN 128u
// Refuses a file of another user or one that others can read or write, one that is shorter or
// longer, and bytes that are easier to guess than SE_SECRET_BITS_MIN random bits (seal.c). A last
// line feed is part of the secret, with a warning. To be released with secret_memory_free().
int se_secret_load(const char *path, struct secret_memory *out, struct error **err);
// The secret's public id, 64 hex digits: identifies it, and reveals nothing about it.
int se_secret_id(const struct secret_memory *s, char id[static 65], struct error **err);

// ---- reading back (section 16) ----
struct se_component {
    uint64_t address, padded, size; // size without padding; UINT64_MAX if unknown
    unsigned char tweak[8];         // prefix
};
struct se_image {
    uint64_t header_offset, header_size, ipib_offset, ipib_size;
    uint32_t version;
    uint64_t slots, encrypted_size, pages, pcf;
    unsigned char iv[12], pld[64], ald[64], tld[64], tag[16];
    unsigned char customer_key[160];
    unsigned char (*slot)[80];
    struct se_component *components;
    size_t component_count;
    bool layout_p; // made by pvimg 2.36 or newer
    // Only after se_open():
    bool opened;
    uint64_t scf, psw_mask, psw_address;
    int kernel, parameters, initrd, stage3b; // indexes into components, -1 if absent
};
// Reads and checks everything that needs no key: sizes, the IPIB, the gaps between the parts, and
// the three digests over the components, so any change there is found. It cannot prove that the
// header is genuine. `fd` is a regular file; its offset does not matter. `name` is for messages.
// Sizes without padding are unknown here.
int se_read(int fd, const char *name, struct se_image *out, struct error **err);
void se_image_free(struct se_image *image);

// Opens an image with a host's private key (tests only: a real one never leaves its machine),
// checks every tag and digest, and writes the parts to the given folder: kernel, cmdline (without
// NUL), initrd (if present), stage3b. A single flipped bit is located in the message.
struct se_opened {
    struct se_image image;
    char *kernel, *initrd; // paths; initrd NULL if absent
    char *command_line;    // NULL if absent
};
int se_open(const char *path, EVP_PKEY *host_key, const char *folder, struct se_opened *out,
            struct error **err);
void se_opened_free(struct se_opened *o);
// Writes an image for any emulator, in the state in which the ultravisor would start it: components
// in clear, short PSW at stage3b (section 18).
int se_write_unsealed(const char *path, EVP_PKEY *host_key, const char *out_path,
                      struct error **err);

// ---- genprotimg or pvimg instead (SE_SEALER) ----
// genprotimg or pvimg on PATH (NULL if there is none), with its version.
struct external_sealer {
    char *program;
    bool pvimg;
    int major, minor, patch;
    bool offline; // set by the caller: it must fetch no revocation lists
};
int external_sealer_find(struct external_sealer *out, struct error **err); // 1 found, 0 not, -1
// Writes `output` in one step (mode 0600) or not at all. `parmfile` (or NULL) takes the place of
// in->command_line. The tool verifies the host key documents with the given certificates and
// revocation lists; without certificates (NULL or none) verification is turned off.
int external_sealer_run(const struct external_sealer *s, const struct se_input *in,
                        const char *parmfile, const char *output,
                        const struct strlist *certificates, const struct strlist *crls,
                        struct error **err);
void external_sealer_free(struct external_sealer *s);

#endif
