// SPDX-License-Identifier: Apache-2.0
// What genprotimg says of a file that it does not take (section 13.1), for scripts that look for
// it. Called after the file was refused; all results are to be freed.
#ifndef KBUILD_SE_SENTENCES_H
#define KBUILD_SE_SENTENCES_H

#include "hkd/trust.h"

// Of a host key document that host_key_load() refused.
char *sentence_of_document(const char *path);
// Of the first file among those of `trust` that cannot be read; NULL if all can.
char *sentence_of_trust(const struct trust *trust);

#endif
