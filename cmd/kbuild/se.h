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

#endif
