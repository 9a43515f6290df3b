// SPDX-License-Identifier: Apache-2.0
// Declarations shared by the files of `kbuild sign` and `kbuild check`. Not for others.
#ifndef KBUILD_HANDOVER_INTERNAL_H
#define KBUILD_HANDOVER_INTERNAL_H

#include "handover/handover.h"

#include "crypto/envelope.h"
#include "pack/pack.h"
#include "release/release.h"

#include <jansson.h>

// ---- statement.c ----

#define RELEASE_TYPE "https://in-toto.io/attestation/release/v0.1"
enum { BUNDLE_MAX = 64 << 20, STATEMENT_MAX = 32 << 20, LINES_MAX = 4096 };

// The statement of the predicate "release" about one file; json_decref() it.
json_t *release_statement(const char *name, const char *digest, const char *release);
// The name that the statement gives the content with this SHA-256; NULL: it is not about it, or it
// is no in-toto statement.
const char *statement_subject(const json_t *statement, const char *digest);
// The version in a release statement, to be freed; NULL: it is no release statement.
char *statement_release(const json_t *statement);
bool statement_has_type(const json_t *statement, const char *predicate_type);
// Reads the JSON of one; NULL if it is none.
json_t *statement_parse(const void *bytes, size_t length);
// A line of a bundle with this statement, signed with the key in the file.
int statement_sign(const char *key_file, const void *payload, size_t length, struct buf *out,
                   struct error **err);

// A statement about the file that a trusted key signed.
struct vouched {
    json_t *statement;
    const char *name; // of the file, as the statement says; the statement's
    struct trusted_signer by;
};
struct vouched_list {
    struct vouched *items;
    size_t n, cap;
    // What else was there, for messages.
    size_t lines;       // that are envelopes
    size_t unreadable;  // that are none
    size_t others;      // signed by none of the keys
    size_t other_files; // signed, and about other content
    char *other_name;   // of the first of those
    size_t other_kinds; // signed, about this content, of a predicate that vouches for nothing
};
// Calls `item` for each envelope of a bundle, and with NULL for each line that is none; blank lines
// are left out. A bundle is lines, or one envelope that was made readable.
typedef int bundle_item(void *context, const struct envelope *e, const char *text, size_t length,
                        struct error **err);
int bundle_each(const struct buf *text, const char *name, bundle_item *item, void *context,
                struct error **err);
// Adds the release and provenance statements of a bundle about the content with this SHA-256.
// Lines that are no envelopes, and statements of other kinds, are passed over, as the specification
// of bundles asks.
int bundle_read(const struct buf *text, const char *name, const char *digest,
                const struct trusted_keys *keys, struct vouched_list *out, struct error **err);
void vouched_free(struct vouched_list *l);

// ---- finding.c ----

struct check_run {
    const struct check_request *r;
    check_print *print;
    void *context;
    bool regular; // else a pipe, of which fd is a copy
    int fd;
    uint64_t size;
    char digest[DIGEST_HEX_SIZE];
    int bad;
    unsigned content_good; // findings about the content itself
    char *release;         // that the signer states, or NULL
};
__attribute__((format(printf, 4, 5))) void finding(struct check_run *c, enum check_result result,
                                                   const char *what, const char *format, ...);
// An error as a finding that is bad, with its hint; frees it. One that ends the run (an interrupt)
// is passed on: -1.
int finding_of_error(struct check_run *c, const char *what, struct error *why, struct error **err);

// ---- contents.c ----
int check_contents(struct check_run *c, struct error **err);
// Whether the file begins as an archive that the reader knows, and is not something else.
bool is_archive(int fd);

// ---- members.c ----
// Says what is wrong with members of an archive, or that nothing is.
void check_archive_members(struct check_run *c, const struct listing *l);

// ---- measurement.c ----
// Whether this is the JSON of launch_reference(). *out is to be json_decref()ed.
bool is_launch_reference(const struct buf *text, json_t **out);
int check_launch_reference(struct check_run *c, const json_t *reference, struct error **err);

#endif
