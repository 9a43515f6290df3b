// SPDX-License-Identifier: Apache-2.0
// Prints the fields of an image: as text for people, or as JSON with exactly the fields of pvimg's
// schema (docs/se-image.md, section 14).
#ifndef KBUILD_SE_INFO_H
#define KBUILD_SE_INFO_H

#include "base/memory.h"
#include "se/se.h"
#include "se/unlock.h"

#include <stdint.h>

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

// ---- info flags ----
// Names of the flags of a header (section 8.5).

// The names of the bits that are set, as options of genprotimg and pvimg call them; an unknown bit
// as "unknown-bit-N" (bit 0 is the most significant).
void flag_names_pcf(uint64_t pcf, struct strlist *out);
void flag_names_scf(uint64_t scf, struct strlist *out);

// ---- info read ----
// Reads and tests an image for se_info_*().

struct inspected {
    struct se_image image;
    unsigned char *header;
    bool alone;                  // the file is a header, and nothing else
    bool authentic;              // its tag was checked
    bool has_ipib;               // image.components are set
    uint64_t entry;              // of the short PSW
    struct opened_header opened; // if authentic
    struct strlist good, bad;    // tests
};
int inspect(int fd, const char *name, const struct info_options *o, struct inspected *out,
            struct error **err);
void inspected_free(struct inspected *i); // wipes secrets
#define cleanup_inspected __attribute__((cleanup(inspected_free)))

#endif
