// SPDX-License-Identifier: Apache-2.0
// What the files of this room share. Not for others.
#ifndef KBUILD_SE_INTERNAL_H
#define KBUILD_SE_INTERNAL_H

#include "base/input.h"
#include "loader/stages.h"
#include "se/format.h"

// ---- the built-in loaders ----
struct loader_code {
    const unsigned char *bytes;
    size_t length; // with the argument block
};
static inline struct loader_code builtin_stage3a(void)
{
    return (struct loader_code){stage3a_start, stage_length(stage3a_start, stage3a_end)};
}
static inline struct loader_code builtin_stage3b(void)
{
    return (struct loader_code){stage3b_start, stage_length(stage3b_start, stage3b_end)};
}

// ---- components.c ----
// Writes at a position: everything, or an error.
int write_at(int fd, const char *name, uint64_t offset, const void *bytes, size_t length,
             struct error **err);

static inline uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

// The three SHA-512 digests over all pages of all components (section 9): contents (pld), addresses
// (ald), tweaks (tld).
//
// SHA-512 over the contents takes longer than all other work on a page, so it has a thread of its
// own, beside the caller that reads, encrypts and writes pages. Pages are passed in runs, in
// buffers of this object: 512 KiB in all, for any size of the image.

#define PAGE_RUN ((size_t)32 * SE_PAGE) // the largest run, in bytes

struct page_digests;

struct page_digests *page_digests_new(struct error **err);
// Waits for the thread and writes the digests. Once, at the end.
int page_digests_end(struct page_digests *d, unsigned char pld[static 64],
                     unsigned char ald[static 64], unsigned char tld[static 64],
                     struct error **err);
void page_digests_free(struct page_digests *d); // wipes the buffers; NULL is allowed

static inline void cleanup_digests_p(struct page_digests **d)
{
    page_digests_free(*d);
}
#define cleanup_digests __attribute__((cleanup(cleanup_digests_p)))

// Where the content of a component comes from: `bytes`, or the file fd from its start.
struct component_source {
    const char *name; // for messages
    const unsigned char *bytes;
    int fd;
    uint64_t size;
};

// Reads `length` bytes from offset `at` on; behind the content are zeros.
int component_read(const struct component_source *source, uint64_t at, unsigned char *out,
                   size_t length, struct error **err);

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

// ---- record.c: the inputs of an image, and seal records ----
// Provable sealing (docs/provable-sealing.md): the secret values of an image, derived from a seal
// secret and all inputs of the image instead of drawn at random; and seal records.
//
//   PRK   = HKDF-Extract(salt = "kbuild seal secret 1", secret)          RFC 5869, SHA-512
//   T     = SHA-512(text of the inputs)
//   value = HKDF-Expand(PRK, "kbuild seal 1" 00 label 00 T, length)
//
// Any change of an input changes T, and with it every value.

#define SEAL_ID_SIZE 32u  // bytes of a secret's public id
#define SEAL_TAG_SIZE 32u // bytes of a keyed digest

// One input, by size and SHA-512.
struct seal_part {
    bool present;
    uint64_t size;
    unsigned char sha512[64];
};

// The keyed digests of keys that the user gave, which are not derived.
struct seal_given {
    bool given;
    unsigned char tag[SEAL_TAG_SIZE];
};
enum given_key { GIVEN_HEADER_KEY, GIVEN_CCK, GIVEN_COMPONENT_KEY, GIVEN_KEYS };

// All inputs of an image except the secret. Nothing in it is secret.
enum seal_part_name {
    SEAL_KERNEL,
    SEAL_COMMAND_LINE,
    SEAL_INITRD,
    SEAL_STAGE3A,
    SEAL_STAGE3B,
    SEAL_PARTS
};
extern const char *const seal_part_names[SEAL_PARTS];
struct seal_inputs {
    // The loaders without their argument blocks, which sealing replaces.
    struct seal_part part[SEAL_PARTS];
    unsigned char (*hosts)[POINT_SIZE]; // in the order of the slots; owned
    size_t host_count;
    uint64_t pcf, scf, psw_address;
    struct seal_given given[GIVEN_KEYS];
};
void seal_inputs_free(struct seal_inputs *in);
#define cleanup_inputs __attribute__((cleanup(seal_inputs_free)))
// The canonical text: a line for each input, so that different inputs have different texts.
void seal_inputs_text(const struct seal_inputs *in, struct buf *out);

// The digest of a part that lies in a file (from its start; `size` bytes) or in memory.
int seal_part_of_file(int fd, const char *name, uint64_t size, struct seal_part *out,
                      struct error **err);
int seal_part_of_bytes(const void *bytes, size_t length, struct seal_part *out, struct error **err);

// Seal records: the digests of an image's inputs, as JSON. With the secret a record proves the
// image (docs/provable-sealing.md); without it, it still identifies the parts. Nothing in it is
// secret.
//
//   {"kbuild_seal_record": 1, "kbuild": version, "secret_id": hex or null,
//    "kernel": {"size", "sha512"}, "command-line": ... or null, "initrd": ... or null,
//    "stage3a": ..., "stage3b": ... (without their argument blocks),
//    "host_keys": [{"hash": hex, "public_key": hex}], in the order of the slots,
//    "pcf", "scf", "psw_address": 16 hex digits,
//    "given_keys": {"header-key": keyed digest or null, "cck": ..., "component-key": ...},
//    "image": {"size", "sha256"}}

struct seal_record {
    struct seal_inputs inputs;
    bool provable; // sealed with a secret; `id` is its public id
    unsigned char id[SEAL_ID_SIZE];
    uint64_t image_size;
    char image_sha256[DIGEST_HEX_SIZE];
};
int seal_record_write(const struct seal_record *r, struct buf *out, struct error **err);
int seal_record_read(const char *path, struct seal_record *out, struct error **err);
void seal_record_free(struct seal_record *r);
#define cleanup_record __attribute__((cleanup(seal_record_free)))

// ---- secrets.c ----
// The state after HKDF-Extract; wiped by seal_kdf_wipe().
struct seal_kdf {
    unsigned char prk[64];
};
int seal_kdf_begin(const unsigned char *secret, size_t length, struct seal_kdf *out,
                   struct error **err);
void seal_kdf_wipe(struct seal_kdf *s);
#define cleanup_seal_kdf __attribute__((cleanup(seal_kdf_wipe)))
// The public id of the secret: identifies it, and reveals nothing about it.
int seal_kdf_id(const struct seal_kdf *s, unsigned char id[static SEAL_ID_SIZE],
                struct error **err);
// Sets in->given from the given keys.
int seal_kdf_tag_keys(const struct seal_kdf *s, const struct se_keys *keys, struct seal_inputs *in,
                      struct error **err);
// Sets all of *out, as secrets_draw() does; a key in `keys` is used unchanged.
int secrets_derive(const struct seal_kdf *s, const struct seal_inputs *in,
                   const struct se_keys *keys, struct secrets *out, struct error **err);

// ---- unlock.c ----
// The key that opens a header: one of the two.
struct unlock_key {
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
                const struct unlock_key *key, struct opened_header *out, struct error **err);
void opened_wipe(struct opened_header *h);
#define cleanup_opened __attribute__((cleanup(opened_wipe)))

// An image that was read, checked, and unlocked. Zero-initialise with .fd = -1.
struct unlocked {
    int fd;
    const char *path; // for messages
    struct se_image image;
    EVP_CIPHER_CTX *xts; // NULL if the components are in clear (pcf bit 35)
};
// The steps of opening an image. u->fd, u->path and u->image are given;
// this takes the header's values into *u.
int unlocked_take(struct unlocked *u, const struct opened_header *header, struct error **err);
// Next step: identifies each component and its size without padding.
int unlocked_identify(struct unlocked *u, struct error **err);
// Decrypts a small component (at most 1 MiB, padding included) into memory: its padded bytes, to be
// freed. NULL on failure.
unsigned char *unlocked_load(const struct unlocked *u, int index, struct error **err);
void unlocked_free(struct unlocked *u);
#define cleanup_unlocked __attribute__((cleanup(unlocked_free)))

// The place of a single changed bit that explains why the tweaks in the IPIB do not have the
// header's digest; to be freed. NULL: more bits were changed.
char *locate_in_tweaks(const struct se_image *image);

// ---- read.c ----
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

// ---- info.c ----
// Names of the flags of a header (section 8.4): of the bits that are set, as options of genprotimg
// and pvimg call them; an unknown bit as "unknown-bit-N" (bit 0 is the most significant).
void flag_names_pcf(uint64_t pcf, struct strlist *out);
void flag_names_scf(uint64_t scf, struct strlist *out);

// ---- verify.c, verify_contents.c: the steps of se_verify() ----
struct image_verification {
    const char *name; // of the image
    const struct se_proof *proof;
    const struct se_originals *originals;
    struct se_findings *done;
    struct unlocked u; // .fd is the caller's
    unsigned char *header;
    bool has_record, derived, unlocked;
    bool intact; // the digests match, so stage3b's arguments are as sealed
    struct seal_record record;
    struct secrets secrets;  // if derived
    EVP_CIPHER_CTX *encrypt; // NULL: components are in clear
};

// Adds a line to v->done.
__attribute__((format(printf, 3, 4))) void
verification_note(const struct image_verification *v, enum se_basis basis, const char *format, ...);
enum se_basis verification_basis(const struct image_verification *v); // of what was compared in it

// The part that component number `i` is, by its tweak; -1 for a tweak that no tool makes.
int component_part(const struct se_image *image, size_t i);
int contents_check(struct image_verification *v, struct error **err);

// Compares the loader stage3a with the built-in one, or the record's.
int loader_check(struct image_verification *v, struct error **err);

#endif
