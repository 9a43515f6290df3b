// SPDX-License-Identifier: Apache-2.0
// genprotimg's interface for kbuild's own sealer: checks of the options, in genprotimg's order and
// words, and its messages for refused files. Or runs genprotimg, or pvimg, its successor from
// s390-tools 2.36 on, instead.
#include "se/format.h"

#include "base/file.h"
#include "base/libcrypto.h"
#include "base/process.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_FILE_MAX (64u << 10)

// Section 8.4, one row for each switch.
struct switch_row {
    const char *name;
    uint64_t pcf, scf; // the bits
    bool off_sets;     // "off" sets them
};
static const struct switch_row switch_rows[SEAL_SWITCHES] = {
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
    return switch_rows[s].name;
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

static int usage_error(struct error **err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static int usage_error(struct error **err, const char *format, ...)
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
        pcf |= switch_rows[i].pcf && r->switches[i] != SWITCH_UNSET;
        scf |= switch_rows[i].scf && r->switches[i] != SWITCH_UNSET;
    }
    if (r->pcf && pcf)
        return usage_error(err, "The '--x-pcf' option cannot be used with the "
                                "'--(enable|disable)-pckmo' or '--(enable|disable)-dump' flags.");
    if (r->scf && scf)
        return usage_error(err, "The '--x-scf' option cannot be used with the "
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
            return usage_error(err, "Option '--enable-%s' requires the '--comm-key' option.",
                               switch_rows[need_cck[i]].name);
    if (r->switches[SWITCH_CCK_UPDATE] == SWITCH_ON &&
        r->switches[SWITCH_CCK_EXTENSION] == SWITCH_ON)
        return usage_error(err,
                           "'--enable-cck-update' and '--enable-cck-extension-secret' are mutually "
                           "exclusive");
    if (r->switches[SWITCH_IMAGE_ENCRYPTION] == SWITCH_OFF && r->component_key)
        return usage_error(err,
                           "'--disable-image-encryption' and '--image-key' are mutually exclusive");
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
            return usage_error(err, "Option '--%s' is required.", required[i].name);
    return 0;
}

static int check_verification(const struct seal_request *r, struct error **err)
{
    if (!r->no_verify && !r->certificates.n)
        return usage_error(err,
                           "Either specify the IBM Z signing key and intermediate CA certificate\n"
                           "by using the '--cert' option, or use the '--no-verify' flag to disable "
                           "the\n"
                           "host-key document verification completely (at your own risk).");
    if (r->no_verify && r->certificates.n) {
        usage_error(err, "'--cert' and '--no-verify' are mutually exclusive");
        return error_hint(
            err, "genprotimg before s390-tools 2.36 does not look at the certificates then, "
                 "later ones refuse it");
    }
    if (r->lenient || !r->no_verify)
        return 0;
    if (r->crls.n || r->root_ca)
        return usage_error(err, "Option '--%s' requires the '--cert' option.",
                           r->crls.n ? "crl" : "root-ca");
    return 0;
}

int seal_request_check(const struct seal_request *r, struct error **err)
{
    if (check_raw_flags(r, err) < 0)
        return -1;
    if (r->operands.n) {
        cleanup_free char *words = strlist_join(&r->operands, " ");
        return usage_error(err, "Unrecognized arguments: '%s'.", words);
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

static int parse_raw_flags(const struct seal_request *r, const char *name, const char *text,
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
        const struct switch_row *row = &switch_rows[i];
        known_pcf |= row->pcf;
        known_scf |= row->scf;
        if (r->switches[i] == SWITCH_UNSET)
            continue;
        bool set = (r->switches[i] == SWITCH_ON) != row->off_sets;
        in->pcf = set ? in->pcf | row->pcf : in->pcf & ~row->pcf;
        in->scf = set ? in->scf | row->scf : in->scf & ~row->scf;
    }
    if (parse_raw_flags(r, "x-pcf", r->pcf, known_pcf, &in->pcf, err) < 0)
        return -1;
    return parse_raw_flags(r, "x-scf", r->scf, known_scf, &in->scf, err);
}

// A file of exactly `size` bytes.
static int read_key_file(const char *path, unsigned char *out, size_t size, struct error **err)
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
        if (read_key_file(files[i].path, files[i].bytes, files[i].size, err) < 0)
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

// ---- messages for refused files ----

static BIO *read_into_bio(const char *path, struct buf *bytes)
{
    if (file_read(path, TRUST_CRL_BYTES_MAX, bytes, NULL) < 0)
        return NULL;
    return BIO_new_mem_buf(bytes->data ? bytes->data : "", (int)bytes->len);
}

// *more is true if a second certificate follows.
static X509 *load_certificate(const char *path, bool *more)
{
    cleanup_buf struct buf bytes = {0};
    BIO *bio = read_into_bio(path, &bytes);
    X509 *x = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    X509 *second = x ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    *more = second != NULL;
    X509_free(second);
    const unsigned char *der = (const unsigned char *)bytes.data;
    if (!x && bytes.len)
        x = d2i_X509(NULL, &der, (long)bytes.len);
    BIO_free(bio);
    ERR_clear_error();
    return x;
}

static bool holds_crl(const char *path)
{
    cleanup_buf struct buf bytes = {0};
    BIO *bio = read_into_bio(path, &bytes);
    X509_CRL *crl = bio ? PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL) : NULL;
    const unsigned char *der = (const unsigned char *)bytes.data;
    if (!crl && bytes.len)
        crl = d2i_X509_CRL(NULL, &der, (long)bytes.len);
    BIO_free(bio);
    ERR_clear_error();
    X509_CRL_free(crl);
    return crl != NULL;
}

static char *certificate_message(const char *path)
{
    bool more;
    if (access(path, R_OK) < 0)
        return xasprintf("unable to read certificate: '%s'", path);
    X509 *x = load_certificate(path, &more);
    X509_free(x);
    return x ? NULL : xasprintf("unable to load certificate: '%s'", path);
}

char *genprotimg_document_message(const char *path)
{
    char *message = certificate_message(path);
    if (message)
        return message;
    // It is a certificate, so its key was refused.
    bool more;
    X509 *x = load_certificate(path, &more);
    EVP_PKEY *key = x ? X509_get0_pubkey(x) : NULL;
    char curve[64] = "";
    if (key && EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
        EVP_PKEY_get_group_name(key, curve, sizeof curve, NULL) == 1)
        message = xasprintf("Host-key document doesn't use correct EC curveWrong NID used: '%d'",
                            OBJ_sn2nid(curve));
    else
        message = xstrdup("Host-key document doesn't use correct EC curveNo EC key found");
    X509_free(x);
    ERR_clear_error();
    return message;
}

static char *root_message(const char *path)
{
    bool more;
    X509 *x = load_certificate(path, &more);
    X509_free(x);
    if (!x)
        return xasprintf("failed to load root certificate from '%s'", path);
    return more ? xasprintf("multiple certificates in one PEM file is not supported: '%s'", path)
                : NULL;
}

char *genprotimg_trust_message(const struct trust *trust)
{
    char *message = NULL;
    for (size_t i = 0; trust->certificates && i < trust->certificates->n && !message; i++)
        message = certificate_message(trust->certificates->items[i]);
    for (size_t i = 0; trust->crls && i < trust->crls->n && !message; i++)
        if (!holds_crl(trust->crls->items[i]))
            message = xasprintf("unable to load CRL from: '%s'", trust->crls->items[i]);
    if (!message && trust->root_ca)
        message = root_message(trust->root_ca);
    return message;
}

// ---- genprotimg or pvimg instead ----

static const char *const sealer_programs[] = {"genprotimg", "pvimg"};

// The first "<number>.<number>" after the word "version", with an optional third number.
static bool parse_sealer_version(const char *text, struct external_sealer *s)
{
    const char *p = strstr(text, "version");
    for (p = p ? p : text; *p; p++) {
        bool starts = isdigit((unsigned char)*p) && (p == text || !isdigit((unsigned char)p[-1]));
        s->patch = 0;
        if (starts && sscanf(p, "%4d.%4d.%4d", &s->major, &s->minor, &s->patch) >= 2)
            return true;
    }
    return false;
}

static bool sealer_older_than(const struct external_sealer *s, int major, int minor)
{
    return s->major < major || (s->major == major && s->minor < minor);
}

int external_sealer_find(struct external_sealer *out, struct error **err)
{
    struct external_sealer s = {0};
    for (size_t i = 0; i < ARRAY_LEN(sealer_programs) && !s.program; i++) {
        s.program = find_program(sealer_programs[i]);
        s.pvimg = !strcmp(sealer_programs[i], "pvimg");
    }
    if (!s.program)
        return 0;
    cleanup_buf struct buf text = {0};
    char *const argv[] = {s.program, (char[]){"--version"}, NULL};
    struct process p = {.argv = argv, .input = -1};
    int result = process_run(&p, &text, err);
    if (result < 0)
        error_wrap(err, "asking %s for its version", s.program);
    else if (!text.data || !parse_sealer_version(text.data, &s))
        result = error_user(err, "%s --version printed no version number", s.program);
    if (result < 0) {
        error_hint(err, "SE_SEALER=native seals without it");
        external_sealer_free(&s);
        return -1;
    }
    *out = s;
    return 1;
}

static int unsupported_error(struct error **err, const struct external_sealer *s, const char *what)
{
    error_user(err, "%s cannot be given %s", s->program, what);
    return error_hint(err, "SE_SEALER=native seals without it");
}

// Adds a file that the user named, so that the tool never takes its name for an option.
static void add_file_option(struct strlist *argv, const char *option, const char *path)
{
    cleanup_free char *absolute = path_absolute(path);
    strlist_addf(argv, "%s=%s", option, absolute);
}

static int add_arguments(const struct external_sealer *s, const struct se_input *in,
                         const char *parmfile, const char *output,
                         const struct strlist *certificates, const struct strlist *crls,
                         struct strlist *argv, struct error **err)
{
    bool other_entry = in->psw_address && in->psw_address != SE_KERNEL_ENTRY;
    if (in->fixed || in->keys.header_key || in->keys.cck || in->keys.xts_key || in->stage3a ||
        in->stage3b)
        return unsupported_error(err, s, "fixed keys or loaders");
    if (crls && crls->n && !(certificates && certificates->n))
        return unsupported_error(err, s, "revocation lists without certificates");
    // From 2.36 on --x-psw means the address in the header.
    if (other_entry && !sealer_older_than(s, 2, 36))
        return unsupported_error(err, s, "the kernel's start address");
    strlist_add(argv, s->program);
    if (s->pvimg)
        strlist_add(argv, "create");
    for (size_t i = 0; i < in->host_count; i++)
        add_file_option(argv, "--host-key-document", in->hosts[i].path);
    add_file_option(argv, "--image", in->kernel);
    if (in->initrd)
        add_file_option(argv, "--ramdisk", in->initrd);
    if (parmfile)
        add_file_option(argv, "--parmfile", parmfile);
    add_file_option(argv, "--output", output);
    for (size_t i = 0; certificates && i < certificates->n; i++)
        add_file_option(argv, "--cert", certificates->items[i]);
    for (size_t i = 0; crls && i < crls->n; i++)
        add_file_option(argv, "--crl", crls->items[i]);
    if (!certificates || !certificates->n)
        strlist_add(argv, "--no-verify");
    else if (s->offline)
        strlist_add(argv, "--offline");
    // Before 2.17.0 the default was 0, which denies the guest all protected keys.
    if (in->pcf != SE_PCF_DEFAULT || sealer_older_than(s, 2, 17))
        strlist_addf(argv, "--x-pcf=0x%llx", (unsigned long long)in->pcf);
    if (in->scf)
        strlist_addf(argv, "--x-scf=0x%llx", (unsigned long long)in->scf);
    if (other_entry)
        strlist_addf(argv, "--x-psw=0x%llx", (unsigned long long)in->psw_address);
    return 0;
}

int external_sealer_run(const struct external_sealer *s, const struct se_input *in,
                        const char *parmfile, const char *output,
                        const struct strlist *certificates, const struct strlist *crls,
                        struct error **err)
{
    // A private directory: the newer tool refuses an existing output, the older one would choose
    // its mode.
    cleanup_folder_draft struct folder_draft folder = FOLDER_DRAFT_NONE;
    if (folder_draft_begin(&folder, output, err) < 0)
        return -1;
    cleanup_free char *image = xasprintf("%s/image", folder.temporary);
    cleanup_strlist struct strlist argv = {0};
    int result = add_arguments(s, in, parmfile, image, certificates, crls, &argv, err);
    if (result == 0) {
        cleanup_buf struct buf output_text = {0};
        struct process p = {.argv = argv.items, .input = -1};
        result = process_run(&p, &output_text, err);
        struct stat st;
        if (result == 0 && (stat(image, &st) < 0 || !S_ISREG(st.st_mode)))
            result = error_user(err, "%s succeeded but wrote no image", s->program);
        else if (result == 0 && (chmod(image, 0600) < 0 || rename(image, output) < 0))
            result = error_errno(err, errno, "writing %s", output);
    }
    return result;
}

void external_sealer_free(struct external_sealer *s)
{
    free(s->program);
    *s = (struct external_sealer){0};
}
