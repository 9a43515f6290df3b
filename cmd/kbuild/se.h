// SPDX-License-Identifier: Apache-2.0
// The verbs of `kbuild se`. Each gets the words after its name.
#ifndef KBUILD_CMD_SE_H
#define KBUILD_CMD_SE_H

#include "kbuild.h"

#include "se/verify.h"

verb_function se_verb_seal, se_verb_open, se_verb_info, se_verb_verify, se_verb_reference,
    se_verb_test_key;
void se_verb_seal_help(void);

// The originals of an image, from options of several verbs.
int se_originals_from_options(const struct global_options *g, struct se_originals *out,
                              struct error **err);

// The proof of an image, from options of several verbs.
struct se_proof_words {
    const char *host_key, *header_key, *record, *secret;
};
struct se_proof_words se_proof_from_options(const struct global_options *g);
#define SE_PROOF_WAYS "--host-key KEY, --hdr-key FILE, or --seal-record FILE [--seal-secret FILE]"
bool se_proof_given(const struct se_proof_words *w);
// Calls se_verify() with the files that the words name.
int se_verify_by_words(int fd, const char *name, const struct se_proof_words *w,
                       const struct se_originals *originals, struct strlist *done,
                       struct error **err);

#endif
