// SPDX-License-Identifier: Apache-2.0
// Files that are handed over outside a registry. `kbuild sign` states what a file is, and signs
// that statement; `kbuild check` says of a file that somebody handed over what was checked, with
// which result, and what was not. docs/handed-over.md is the page for customers.
//
//   sign.c         files -> bundles      check.c        a file -> findings, one by one
//   statement.c    bundles and statements: reads, writes, who signed what about which file
//   contents.c     what kind of file it is; archives, Secure Execution images
//   measurement.c  reference values of a launch, computed again from the files
//   finding.c      the findings
//
// A bundle is <file>.intoto.jsonl: JSON lines, each a DSSE envelope (crypto/envelope.h) around an
// in-toto Statement v1 whose subjects name files by SHA-256. kbuild writes one of the predicate
// "release", and with a provenance statement one of "SLSA provenance".
//
// Requests are borrowed. Nothing of a file is believed before it was checked; files are streamed.
#ifndef KBUILD_HANDOVER_HANDOVER_H
#define KBUILD_HANDOVER_HANDOVER_H

#include "run/run.h"
#include "se/se.h"
#include "share/share.h"

#define BUNDLE_SUFFIX ".intoto.jsonl"

// ---- sign ----

struct sign_request {
    const struct strlist *files;
    const char *key;        // file of the private key
    const char *release;    // that the files are of; NULL: as VERSION in a tarball says
    const char *provenance; // file of the statement that `kbuild provenance` wrote; or NULL
    const char *output;     // the bundle of the only file; NULL: beside each
};
typedef void sign_print(const char *line, void *context);
// Writes a bundle for each file; `print` gets the path of each. Statements of other keys about the
// same content stay in an existing one.
int handover_sign(const struct sign_request *r, sign_print *print, void *context,
                  struct error **err);

// ---- check ----

enum check_result {
    CHECK_GOOD,
    CHECK_BAD,
    CHECK_STATED,  // a trusted signer says it, or the file itself; nothing here can prove it
    CHECK_SKIPPED, // not checked, and why
    CHECK_RESULTS
};
extern const char *const check_result_names[CHECK_RESULTS]; // "good", "bad", ...

struct check_request {
    const char *file;
    const char *signature;           // the bundle; NULL: <file>.intoto.jsonl
    const char *provenance;          // a statement, or a bundle that has one; or NULL
    const struct trusted_keys *keys; // NULL: no signature is required
    bool require_provenance;
    const char *name, *release; // that the signer must state; or NULL
    // Of a Secure Execution image, or of the one in a tarball.
    const struct strlist *documents;      // host key documents that must be able to open it
    const struct se_proof *proof;         // se_verify(); or NULL
    const struct se_originals *originals; // with a proof: kernel and initrd among them
    bool originals_given;                 // others than kernel and initrd
    // Files that reference values are of, or that were sealed; or NULL.
    const char *firmware, *kernel, *initrd;
    // An evaluated build of the target that the file is a result of; or NULL.
    struct build *build;
    const char *target;
};
// One line of the report: its result, what was looked at ("signature"), and a text.
typedef void check_print(enum check_result result, const char *what, const char *text,
                         void *context);
// The number of findings that are bad, or -1. 0 means that everything that was asked for was
// checked and is good: a signature by one of the keys among it, if there are keys.
int handover_check(const struct check_request *r, check_print *print, void *context,
                   struct error **err);

#endif
