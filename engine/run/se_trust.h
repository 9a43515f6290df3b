// SPDX-License-Identifier: Apache-2.0
// The certificates and revocation lists for verifying host key documents, from the variables of a
// recipe or the environment.
//
// Ownership: se_verification_free() frees what a struct se_verification owns, also after an error.
#ifndef KBUILD_RUN_SE_TRUST_H
#define KBUILD_RUN_SE_TRUST_H

#include "base/memory.h"
#include "hkd/hkd.h"

struct job;

struct se_verification {
    bool enabled; // if false, none of the variables is set
    struct strlist certificates, crls;
    char *root_ca;          // or NULL
    struct strlist fetched; // address and SHA-256 of each revocation list that was fetched
    struct trust trust;     // points into the above; the struct must not move
};

// SIGNING_KEY_CERT_PATH, INTERMEDIATE_CA_CERT_PATH and HOST_KEY_CRL_PATH: all or none, but
// SE_ONLINE=yes can replace the last. Missing lists are fetched, unless `offline` or SE_ONLINE=no
// forbids it; with SE_ONLINE=yes all are fetched. An external sealer takes one signing key, and
// neither SE_ROOT_CA_PATH nor SE_ONLINE.
int se_verification_of(const struct job *job, bool external, bool offline,
                       struct se_verification *out, struct error **err);
void se_verification_free(struct se_verification *v);
// The files alone, for an external sealer.
void se_verification_files(const struct job *job, struct strlist *certificates,
                           struct strlist *crls);

// For `kbuild hkd verify`: from the environment, the documents of HKD_PATH and the struct above.
// Either may be NULL. It is an error if no verification is configured.
int se_verification_from_environment(struct strlist *documents, struct se_verification *out,
                                     bool offline, struct error **err);

#endif
