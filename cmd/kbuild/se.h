// SPDX-License-Identifier: Apache-2.0
// The verbs of `kbuild se`. Each gets the words after its name.
#ifndef KBUILD_CMD_SE_H
#define KBUILD_CMD_SE_H

#include "kbuild.h"

#include "seal/verify.h"

int se_verb_seal(struct strlist *words, struct error **err);
int se_verb_info(struct global_options *g, struct strlist *words, struct error **err);
int se_verb_verify(struct strlist *words, struct error **err);
int se_verb_reference(struct strlist *words, struct error **err);

// What an image was made of, as options of several verbs.
struct se_original_words {
    const char *kernel, *initrd, *parmfile, *kernel_tarball, *initrd_tarball;
};
#define SE_ORIGINAL_OPTIONS(w)                                                                     \
    {"--image", "-i", &(w).kernel, NULL, NULL}, {"--ramdisk", "-r", &(w).initrd, NULL, NULL},      \
        {"--parmfile", "-p", &(w).parmfile, NULL, NULL},                                           \
        {"--kernel-tarball", NULL, &(w).kernel_tarball, NULL, NULL},                               \
    {                                                                                              \
        "--initrd-tarball", NULL, &(w).initrd_tarball, NULL, NULL                                  \
    }
int se_originals_from_words(const struct se_original_words *w, struct se_originals *out,
                            struct error **err);

// What proves an image, as options of several verbs.
struct se_proof_words {
    const char *host_key, *header_key, *record, *secret;
};
#define SE_PROOF_OPTIONS(w)                                                                        \
    {"--host-key", NULL, &(w).host_key, NULL, NULL},                                               \
        {"--hdr-key", NULL, &(w).header_key, NULL, NULL},                                          \
        {"--seal-record", NULL, &(w).record, NULL, NULL},                                          \
    {                                                                                              \
        "--seal-secret", NULL, &(w).secret, NULL, NULL                                             \
    }
#define SE_PROOF_WAYS                                                                              \
    "--host-key KEY, --hdr-key FILE, or --seal-record FILE [--seal-secret FILE]"
bool se_proof_given(const struct se_proof_words *w);
// se_verify() with what the words name.
int se_verify_by_words(int fd, const char *name, const struct se_proof_words *w,
                       const struct se_originals *originals, struct strlist *done,
                       struct error **err);

#endif
