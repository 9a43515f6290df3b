// SPDX-License-Identifier: Apache-2.0
// The options of a sealer in the terms of genprotimg and pvimg (section 13 of the format), and the
// resulting flags, addresses and keys. Checks have genprotimg's order and messages, since scripts
// depend on them. The caller parses the command line.
#ifndef KBUILD_SE_OPTIONS_H
#define KBUILD_SE_OPTIONS_H

#include "se/se.h"

// Section 8.5: flags set by --enable-<name> and --disable-<name>.
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

#endif
