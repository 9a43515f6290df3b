// SPDX-License-Identifier: Apache-2.0
// IBM Secure Execution boot images, header version 1 (docs/se-image.md describes the format,
// section by section): sealing, reading, opening, verifying and describing them.
//
// In: kernel, initrd, command line, host keys (hkd/hkd.h) and options. Out: an image in layout G;
// texts and JSON about an image. Images of pvimg, layout P, are read too. Knows nothing of recipes
// or graphs. Pointers in input structs are borrowed; what a function returns or sets is the
// caller's, to be released with the function that is named beside it.
//
// Secrets (header key, component key, customer keys) live in memory only as long as needed, are
// wiped, and never reach a log or a message. Memory use does not depend on the size of the input:
// components are streamed.
#ifndef KBUILD_SE_SE_H
#define KBUILD_SE_SE_H

#include "base/digest.h"
#include "base/error.h"
#include "base/input.h"
#include "base/libcrypto.h"
#include "base/memory.h"
#include "hkd/hkd.h"

#include <stdbool.h>
#include <stdint.h>

#define SE_PAGE 4096u
#define SE_PCF_DEFAULT 0xE0u // PCKMO DEA/TDEA, AES, ECC (8.4)
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
//
// Appends to `record`, unless it is NULL, the seal record, a JSON text that ends in a newline: the
// digests of the image's inputs. It holds nothing secret. fd must be readable then.
int se_seal(const struct se_input *in, int fd, struct buf *record, struct error **err);

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

// ---- reading back (section 14) ----
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
// in clear, short PSW at stage3b (section 17).
int se_write_unsealed(const char *path, EVP_PKEY *host_key, const char *out_path,
                      struct error **err);

// ---- information (section 15) ----

struct info_options {
    const unsigned char *header_key; // 32 bytes, or NULL: the header stays unauthenticated
    bool show_secrets;               // only with a key: print the encrypted area
    const struct strlist *documents; // host key documents to look for in the key slots, or NULL
};

// Text: fields, key slots, components, and the tests, with or without the key. A failed test is
// printed, and is no error: that is se_verify(). Reads whole images, and headers alone (hdr.bin).
// No header, another key, or a tag that does not fit is an error.
int se_info_text(int fd, const char *name, const struct info_options *o, struct buf *out,
                 struct error **err);
// JSON, pretty or on one line, ending in a newline. Warns if no key was given, and if a test fails.
int se_info_json(int fd, const char *name, const struct info_options *o, bool pretty,
                 struct buf *out, struct error **err);

// Appends every host key document of a directory to `documents`; other files are skipped.
int info_documents(const char *directory, struct strlist *documents, struct error **err);
// The 32 bytes of a header key file.
int header_key_load(const char *path, unsigned char key[static 32], struct error **err);

// The JSON Schema (draft 7) of what se_info_json() prints.
void se_info_schema(struct buf *out);

// ---- verification (section 14) ----
// Decrypts everything, checks every digest and tag, compares the components with their originals,
// and locates damage.

// The keys that open the image, all borrowed: a key, or a seal record with its secret. A record
// alone opens nothing; then only its clear values are compared. At least one must be given.
struct se_proof {
    EVP_PKEY *host_key;                 // a host's private key (tests only)
    const unsigned char *header_key;    // 32 bytes
    const char *record;                 // file, see record.c
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
// The same from a tarball: the first of `members`, up to NULL, that it has.
int se_original_unpack(struct se_originals *o, enum se_original_kind kind, const char *tarball,
                       const char *const *members, struct error **err);
void se_originals_free(struct se_originals *o);
#define cleanup_originals __attribute__((cleanup(se_originals_free)))

// Opens an image for reading: a file, a tarball that has it as `member`, or "-", the standard
// input. Anything but a regular file is copied to a nameless temporary file. *name gets the name
// for messages (to be freed).
int se_image_open(const char *path, const char *member, char **name, struct error **err);

// What a line of se_verify() rests on.
enum se_basis {
    SE_PROVEN,   // a key that opened the header, or bytes that were compared with known ones
    SE_STATED,   // the seal record and the header say so; no key opened the header
    SE_UNCHECKED // it was not possible: "not checked: ...", "not compared: ..."
};
// Zero-initialise; se_findings_free() also after an error.
struct se_findings {
    struct strlist text;
    enum se_basis *basis; // of each text
    size_t cap;
};
void se_findings_free(struct se_findings *f);
#define cleanup_findings __attribute__((cleanup(se_findings_free)))

// 0 if all possible checks passed; `done` gets a line for each check, and for each that was not
// possible. -1 otherwise; the message says what is wrong and where.
int se_verify(int fd, const char *name, const struct se_proof *proof,
              const struct se_originals *originals, struct se_findings *done, struct error **err);

// Of an image that se_read() accepts: 1 if the loader that runs first, in clear and below no digest
// of the image, is this program's own; 0 if it is another; -1 if it is this one, damaged.
int se_loader_is_own(int fd, const char *name, struct error **err);

// ---- reference values (section 16) ----
// For the verifier of a Secure Execution attestation, as JSON:
//
//   {"kbuild": version,
//    "reference_values": {"se.version", "se.tag", "se.image_phkh", "se.attestation_phkh"},
//    "header": {"size", "sha256", "pld", "ald", "tld"}, of hdr.bin
//    "image": {"size", "sha256"},
//    "kernel", "initrd", "command_line": {"size", "sha256"}, as far as they are known}
//
// The names in "reference_values" are the claims of Trustee's verifier for this platform; each has
// the list of allowed values.

// Appends the JSON text to `json`, and to `header` the bytes of the PV header (hdr.bin). Either may
// be NULL. `originals` are not compared with the image: se_verify() does that.
int se_reference(int fd, const char *name, const struct se_originals *originals, struct buf *json,
                 struct buf *header, struct error **err);

// ---- the options of genprotimg and pvimg (section 13) ----
// A sealer's options in the terms of genprotimg and pvimg, and the resulting flags, addresses and
// keys. Checks have genprotimg's order and messages, since scripts depend on them. The caller
// parses the command line.

// Section 8.4: flags set by --enable-<name> and --disable-<name>.
enum seal_switch {
    SWITCH_DUMP,
    SWITCH_PCKMO,
    SWITCH_PCKMO_HMAC,
    SWITCH_BACKUP_KEYS,
    SWITCH_IMAGE_ENCRYPTION,
    SWITCH_CCK_EXTENSION,
    SWITCH_CCK_UPDATE,
    SEAL_SWITCHES
};
enum switch_state { SWITCH_UNSET, SWITCH_ON, SWITCH_OFF };
const char *seal_switch_name(enum seal_switch s); // "pckmo-hmac"

// Zero-initialise; seal_request_free() at the end. Strings are borrowed, lists owned.
struct seal_request {
    const char *kernel, *initrd, *parmfile, *output;
    struct strlist hosts, certificates, crls;
    const char *root_ca;
    const char *comm_key, *header_key, *component_key; // files
    const char *pcf, *scf, *psw;                       // hexadecimal, as given
    const char *secret, *record;                       // provable sealing: files
    enum switch_state switches[SEAL_SWITCHES];
    struct strlist operands; // words that are no options: an error
    bool no_verify, force_unknown_flags;
    bool lenient; // genprotimg, pvimg: allows --crl and --root-ca with --no-verify
};
void seal_request_free(struct seal_request *r);

// Checks required and forbidden combinations. The errors are usage errors.
int seal_request_check(const struct seal_request *r, struct error **err);

// The exact content of the key files. Wipe it after use.
struct seal_key_bytes {
    unsigned char header_key[32], cck[32], xts_key[64];
};
void seal_keys_wipe(struct seal_key_bytes *keys);
#define cleanup_seal_keys __attribute__((cleanup(seal_keys_wipe)))

// Sets the PSW address, the flags and the keys of *in; `keys` must live as long as *in is used.
// Flags without a known meaning are refused unless the request forces them.
int seal_request_apply(const struct seal_request *r, struct se_input *in,
                       struct seal_key_bytes *keys, struct error **err);

// Checks that the header has enough key slots.
int seal_check_slots(size_t host_count, struct error **err);

// genprotimg's messages for refused files (docs/genprotimg.md), for scripts that search for them.
// Call these after the file was refused; all results are to be freed.

// For a host key document that host_key_load() refused.
char *genprotimg_document_message(const char *path);
// For the first unreadable file of `trust`; NULL if all can be read.
char *genprotimg_trust_message(const struct trust *trust);

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

// ---- shared with rooms above ----

// Reads at a position: everything, or an error. An end of file before `length` bytes is an error
// that says where the file ends.
int read_at(int fd, const char *name, uint64_t offset, void *out, size_t length,
            struct error **err);
int check_initrd(const char *path, uint64_t size, struct error **err);

#endif
