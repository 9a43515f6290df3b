// SPDX-License-Identifier: Apache-2.0
// Checks the options of a sealer in genprotimg's order and words, and turns them into the input of
// an image.
#include "se/options.h"

#include "se/format.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define KEY_FILE_MAX (64u << 10)

// Section 8.5, one row for each switch.
struct switch_row {
    const char *name;
    uint64_t pcf, scf; // the bits
    bool off_sets;     // "off" sets them
};
static const struct switch_row rows[SEAL_SWITCHES] = {
    [SWITCH_DUMP] = {"dump", .pcf = SE_PCF_ALLOW_DUMP},
    [SWITCH_PCKMO] = {"pckmo", .pcf = SE_PCF_DEFAULT},
    [SWITCH_PCKMO_HMAC] = {"pckmo-hmac", .pcf = 0x10},
    [SWITCH_BACKUP_KEYS] = {"backup-keys", .pcf = 0x02},
    [SWITCH_IMAGE_ENCRYPTION] = {"image-encryption", .pcf = SE_PCF_NO_ENCRYPTION, .off_sets = true},
    [SWITCH_CCK_EXTENSION] = {"cck-extension-secret", .scf = SE_SCF_CCK_EXTENSION},
    [SWITCH_CCK_UPDATE] = {"cck-update", .scf = SE_SCF_CCK_UPDATE},
};

const char *seal_switch_name(enum seal_switch s)
{
    return rows[s].name;
}

void seal_request_free(struct seal_request *r)
{
    strlist_free(&r->hosts);
    strlist_free(&r->certificates);
    strlist_free(&r->crls);
    strlist_free(&r->operands);
    *r = (struct seal_request){0};
}

void seal_keys_wipe(struct seal_key_bytes *keys)
{
    OPENSSL_cleanse(keys, sizeof *keys);
}

// ---- combinations ----

static int refuse(struct error **err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static int refuse(struct error **err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    cleanup_free char *message = xvasprintf(format, args);
    va_end(args);
    return error_set(err, ERROR_USAGE, "%s", message);
}

// Raw flags set all flags of their set; a switch beside them would be ignored or contradict them.
static int check_raw_flags(const struct seal_request *r, struct error **err)
{
    bool pcf = false, scf = false;
    for (int i = 0; i < SEAL_SWITCHES; i++) {
        pcf |= rows[i].pcf && r->switches[i] != SWITCH_UNSET;
        scf |= rows[i].scf && r->switches[i] != SWITCH_UNSET;
    }
    if (r->pcf && pcf)
        return refuse(err, "The '--x-pcf' option cannot be used with the "
                           "'--(enable|disable)-pckmo' or '--(enable|disable)-dump' flags.");
    if (r->scf && scf)
        return refuse(err, "The '--x-scf' option cannot be used with the "
                           "'--(enable|disable)-extension-secret-required' flags.");
    return 0;
}

static int check_switches(const struct seal_request *r, struct error **err)
{
    static const enum seal_switch need_cck[] = {SWITCH_DUMP, SWITCH_CCK_EXTENSION};
    for (size_t i = 0; i < ARRAY_LEN(need_cck); i++)
        // A replaceable key can be set later, which is enough for dumps.
        if (r->switches[need_cck[i]] == SWITCH_ON && !r->comm_key &&
            !(need_cck[i] == SWITCH_DUMP && r->switches[SWITCH_CCK_UPDATE] == SWITCH_ON))
            return refuse(err, "Option '--enable-%s' requires the '--comm-key' option.",
                          rows[need_cck[i]].name);
    if (r->switches[SWITCH_CCK_UPDATE] == SWITCH_ON &&
        r->switches[SWITCH_CCK_EXTENSION] == SWITCH_ON)
        return refuse(err, "'--enable-cck-update' and '--enable-cck-extension-secret' are mutually "
                           "exclusive");
    if (r->switches[SWITCH_IMAGE_ENCRYPTION] == SWITCH_OFF && r->component_key)
        return refuse(err, "'--disable-image-encryption' and '--image-key' are mutually exclusive");
    return 0;
}

static int check_required(const struct seal_request *r, struct error **err)
{
    const struct {
        const char *name;
        bool given;
    } required[] = {
        {"output", r->output}, {"image", r->kernel}, {"host-key-document", r->hosts.n > 0}};
    for (size_t i = 0; i < ARRAY_LEN(required); i++)
        if (!required[i].given)
            return refuse(err, "Option '--%s' is required.", required[i].name);
    return 0;
}

static int check_verification(const struct seal_request *r, struct error **err)
{
    if (!r->no_verify && !r->certificates.n)
        return refuse(err, "Either specify the IBM Z signing key and intermediate CA certificate\n"
                           "by using the '--cert' option, or use the '--no-verify' flag to disable "
                           "the\n"
                           "host-key document verification completely (at your own risk).");
    if (r->no_verify && r->certificates.n) {
        refuse(err, "'--cert' and '--no-verify' are mutually exclusive");
        return error_hint(
            err, "genprotimg before s390-tools 2.36 does not look at the certificates then, "
                 "later ones refuse it");
    }
    if (r->lenient || !r->no_verify)
        return 0;
    if (r->crls.n || r->root_ca)
        return refuse(err, "Option '--%s' requires the '--cert' option.",
                      r->crls.n ? "crl" : "root-ca");
    return 0;
}

int seal_request_check(const struct seal_request *r, struct error **err)
{
    if (check_raw_flags(r, err) < 0)
        return -1;
    if (r->operands.n) {
        cleanup_free char *words = strlist_join(&r->operands, " ");
        return refuse(err, "Unrecognized arguments: '%s'.", words);
    }
    if (check_switches(r, err) < 0 || check_required(r, err) < 0)
        return -1;
    return check_verification(r, err);
}

// ---- values ----

// An empty text is 0, as for genprotimg. Signs and blanks are refused.
static int parse_hex(const char *text, uint64_t *out, struct error **err)
{
    const char *digits = text;
    if (digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X') && digits[2])
        digits += 2;
    errno = 0;
    *out = strtoull(digits, NULL, 16);
    if (digits[strspn(digits, "0123456789abcdefABCDEF")] || errno == ERANGE)
        return error_user(err,
                          "Invalid value: '%s'. A hexadecimal value is required, for example "
                          "'0xcfe'",
                          text);
    return 0;
}

static int raw_flags(const struct seal_request *r, const char *name, const char *text,
                     uint64_t known, uint64_t *out, struct error **err)
{
    if (!text)
        return 0;
    if (parse_hex(text, out, err) < 0)
        return -1;
    uint64_t unknown = *out & ~known;
    if (!unknown || r->force_unknown_flags)
        return 0;
    error_user(err, "--%s %s: no meaning is known for the bits 0x%llx", name, text,
               (unsigned long long)unknown);
    return error_hint(err, "--force-unknown-flags stores them all the same; a machine refuses to "
                           "start an image with a flag that it does not support");
}

static int apply_flags(const struct seal_request *r, struct se_input *in, struct error **err)
{
    uint64_t known_pcf = 0, known_scf = 0;
    in->pcf = SE_PCF_DEFAULT;
    in->scf = 0;
    for (int i = 0; i < SEAL_SWITCHES; i++) {
        const struct switch_row *row = &rows[i];
        known_pcf |= row->pcf;
        known_scf |= row->scf;
        if (r->switches[i] == SWITCH_UNSET)
            continue;
        bool set = (r->switches[i] == SWITCH_ON) != row->off_sets;
        in->pcf = set ? in->pcf | row->pcf : in->pcf & ~row->pcf;
        in->scf = set ? in->scf | row->scf : in->scf & ~row->scf;
    }
    if (raw_flags(r, "x-pcf", r->pcf, known_pcf, &in->pcf, err) < 0)
        return -1;
    return raw_flags(r, "x-scf", r->scf, known_scf, &in->scf, err);
}

// A file of exactly `size` bytes.
static int read_key(const char *path, unsigned char *out, size_t size, struct error **err)
{
    cleanup_secret_memory struct secret_memory bytes = {0};
    struct error *why = NULL;
    struct stat st;
    if (stat(path, &st) < 0)
        return error_errno(err, errno, "Failed to get file status '%s'", path);
    if (S_ISDIR(st.st_mode))
        return error_user(err, "File '%s' is not a regular file", path);
    uint64_t found = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : size;
    if (found == size && secret_memory_read(path, KEY_FILE_MAX, &bytes, NULL, &why) < 0) {
        int errnum = why->errnum;
        if (!errnum && err) // genprotimg has no message for it
            *err = steal(why);
        error_free(why);
        return errnum ? error_errno(err, errnum, "Failed to open file '%s'", path) : -1;
    }
    found = found == size ? bytes.length : found;
    if (found != size)
        return error_user(err, "Wrong file size '%s': read %llu, expected %zu", path,
                          (unsigned long long)found, size);
    memcpy(out, bytes.bytes, size);
    return 0;
}

static int apply_keys(const struct seal_request *r, struct se_input *in,
                      struct seal_key_bytes *keys, struct error **err)
{
    const struct {
        const char *path;
        unsigned char *bytes;
        size_t size;
        const unsigned char **key;
    } files[] = {
        {r->component_key, keys->xts_key, sizeof keys->xts_key, &in->keys.xts_key},
        {r->comm_key, keys->cck, sizeof keys->cck, &in->keys.cck},
        {r->header_key, keys->header_key, sizeof keys->header_key, &in->keys.header_key},
    };
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        if (!files[i].path)
            continue;
        if (read_key(files[i].path, files[i].bytes, files[i].size, err) < 0)
            return -1;
        *files[i].key = files[i].bytes;
    }
    return 0;
}

int seal_request_apply(const struct seal_request *r, struct se_input *in,
                       struct seal_key_bytes *keys, struct error **err)
{
    if (r->psw && parse_hex(r->psw, &in->psw_address, err) < 0)
        return -1;
    if (r->psw && !in->psw_address) // struct se_input takes 0 for the usual address
        return error_user(err, "--x-psw %s: no kernel starts at address 0", r->psw);
    if (apply_flags(r, in, err) < 0)
        return -1;
    return apply_keys(r, in, keys, err);
}

int seal_check_slots(size_t host_count, struct error **err)
{
    if (host_count <= SE_MAX_HOST_KEYS)
        return 0;
    error_user(err, "PV header size is too large: '%llu' > '%u'",
               (unsigned long long)header_size(host_count), HEADER_MAX);
    return error_hint(err, "an image starts on at most %u machines; seal several images",
                      SE_MAX_HOST_KEYS);
}
