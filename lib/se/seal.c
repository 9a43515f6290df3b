// SPDX-License-Identifier: Apache-2.0
// Seals an image, in the order of section 11, and reads seal secrets.
#include "base/digest.h"

#include "base/error.h"
#include "base/process.h"
#include "loader/stages.h"
#include "se/checks.h"
#include "se/components.h"
#include "se/derive.h"
#include "se/header.h"
#include "se/layout.h"
#include "se/se.h"

#include <errno.h>
#include <math.h>
#include <openssl/crypto.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

static const char *const output = "the image";

struct template
{
    const unsigned char *bytes;
    size_t length;
};

// The state of one run of se_seal().
struct sealing {
    const struct se_input *in;
    struct template stage3a, stage3b;
    struct layout layout;
    struct secrets secrets;
    int kernel, initrd; // fds; -1: absent
    uint64_t kernel_size, initrd_size;
    struct seal_record record; // its inputs are set on request
    struct component_sink sink;
    struct se_component components[PARTS];
    size_t count;
    struct stage3b_arguments arguments;
};

static int check_output(int fd, struct error **err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return error_errno(err, errno, "writing %s", output);
    if (!S_ISREG(st.st_mode) || st.st_size != 0)
        return error_user(err, "writing %s: it must go to a new, empty file", output);
    return 0;
}

static int check_flags(const struct se_input *in, struct error **err)
{
    bool dump = (in->pcf & SE_PCF_ALLOW_DUMP) && !(in->scf & SE_SCF_CCK_UPDATE);
    if ((dump || (in->scf & SE_SCF_CCK_EXTENSION)) && !in->keys.cck)
        return error_user(err, "guest dumps and extension secrets need a known customer "
                               "communication key, and this image gets a random one");
    if (in->psw_address >= SE_ADDRESS_LIMIT)
        return error_user(err, "the kernel's start address 0x%llx is not below 2 GiB",
                          (unsigned long long)in->psw_address);
    return 0;
}

static int plan(struct sealing *s, struct error **err)
{
    const struct se_input *in = s->in;
    s->stage3a = (struct template){in->stage3a, in->stage3a_length};
    s->stage3b = (struct template){in->stage3b, in->stage3b_length};
    if (!in->stage3a)
        s->stage3a = (struct template){stage3a_start, stage_length(stage3a_start, stage3a_end)};
    if (!in->stage3b)
        s->stage3b = (struct template){stage3b_start, stage_length(stage3b_start, stage3b_end)};
    if (s->stage3b.length <= STAGE3B_ARGUMENTS)
        return error_user(err, "the loader stage3b has %zu bytes, and its arguments alone take %u",
                          s->stage3b.length, STAGE3B_ARGUMENTS);
    return layout_plan(s->stage3a.length, in->host_count, &s->layout, err);
}

static int open_parts(struct sealing *s, struct error **err)
{
    const struct se_input *in = s->in;
    uint64_t limit = 0;
    if ((s->kernel = user_file_open(in->kernel, &s->kernel_size, err)) < 0)
        return error_wrap(err, "kernel");
    if (in->initrd && (s->initrd = user_file_open(in->initrd, &s->initrd_size, err)) < 0)
        return error_wrap(err, "initrd");
    if (in->skip_component_checks)
        return 0;
    if (in->sizes)
        *in->sizes = (struct se_sizes){s->kernel_size, s->initrd_size};
    if (check_kernel(s->kernel, in->kernel, s->kernel_size, &limit, err) < 0)
        return -1;
    if (in->command_line &&
        check_command_line(in->command_line, in->command_line_length, limit, err) < 0)
        return -1;
    return in->initrd ? check_initrd(in->initrd, s->initrd_size, err) : 0;
}

// ---- digests of the inputs, for a secret and for a record ----

struct seal_hashing {
    const char *name;
    int fd;
    uint64_t size;
    struct seal_part *out;
    int result;
    struct error *why;
};

static void *hash_part(void *argument)
{
    struct seal_hashing *h = argument;
    h->result = seal_part_of_file(h->fd, h->name, h->size, h->out, &h->why);
    return NULL;
}

// Hashes kernel and initrd in parallel: one SHA-512 cannot be split.
static int hash_files(struct sealing *s, struct error **err)
{
    const struct se_input *in = s->in;
    struct seal_part *parts = s->record.inputs.part;
    struct seal_hashing kernel = {in->kernel,          s->kernel, s->kernel_size,
                                  &parts[SEAL_KERNEL], 0,         NULL};
    pthread_t thread;
    bool beside = s->initrd >= 0 && thread_start(&thread, hash_part, &kernel) == 0;
    int result = 0;
    if (s->initrd >= 0)
        result = seal_part_of_file(s->initrd, in->initrd, s->initrd_size, &parts[SEAL_INITRD], err);
    if (beside)
        pthread_join(thread, NULL);
    else
        hash_part(&kernel);
    if (result == 0 && kernel.result < 0) {
        if (err)
            *err = steal(kernel.why);
        result = -1;
    }
    error_free(kernel.why);
    return result;
}

static int collect_inputs(struct sealing *s, struct error **err)
{
    const struct se_input *in = s->in;
    struct seal_inputs *out = &s->record.inputs;
    out->pcf = in->pcf;
    out->scf = in->scf;
    out->psw_address = in->psw_address ? in->psw_address : SE_KERNEL_ENTRY;
    out->host_count = in->host_count;
    out->hosts = xcalloc(in->host_count, POINT_SIZE);
    for (size_t i = 0; i < in->host_count; i++)
        if (point_encode(in->hosts[i].key, out->hosts[i], err) < 0)
            return error_wrap(err, "%s", in->hosts[i].path);
    if (in->command_line && seal_part_of_bytes(in->command_line, in->command_line_length,
                                               &out->part[SEAL_COMMAND_LINE], err) < 0)
        return -1;
    if (seal_part_of_bytes(s->stage3a.bytes, s->stage3a.length - STAGE3A_ARGUMENTS,
                           &out->part[SEAL_STAGE3A], err) < 0 ||
        seal_part_of_bytes(s->stage3b.bytes, s->stage3b.length - STAGE3B_ARGUMENTS,
                           &out->part[SEAL_STAGE3B], err) < 0)
        return -1;
    return hash_files(s, err);
}

static int derive(struct sealing *s, struct error **err)
{
    const struct se_input *in = s->in;
    cleanup_sealer struct sealer sealer;
    if (in->fixed)
        return error_user(err, "values are either fixed or derived from a seal secret, not both");
    s->record.provable = true;
    if (sealer_begin(in->secret, in->secret_length, &sealer, err) < 0 ||
        sealer_id(&sealer, s->record.id, err) < 0 ||
        sealer_tag_keys(&sealer, &in->keys, &s->record.inputs, err) < 0)
        return -1;
    return secrets_derive(&sealer, &s->record.inputs, &in->keys, &s->secrets, err);
}

// Files that changed after hashing would share keys and tweaks with their old content.
struct stamps {
    struct stat kernel, initrd;
};

static int take_stamps(const struct sealing *s, struct stamps *out, struct error **err)
{
    if (fstat(s->kernel, &out->kernel) < 0 ||
        (s->initrd >= 0 && fstat(s->initrd, &out->initrd) < 0))
        return error_errno(err, errno, "reading %s", s->in->kernel);
    return 0;
}

static bool same_stamp(const struct stat *a, const struct stat *b)
{
    return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec && a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
           a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static int check_stamps(const struct sealing *s, const struct stamps *before, struct error **err)
{
    struct stamps now = {0};
    if (take_stamps(s, &now, err) < 0)
        return -1;
    bool kernel = same_stamp(&before->kernel, &now.kernel);
    if (kernel && same_stamp(&before->initrd, &now.initrd))
        return 0;
    error_user(err, "%s changed while it was sealed", kernel ? s->in->initrd : s->in->kernel);
    return error_hint(err, "seal again when nothing writes to it");
}

static int prepare_secrets(struct sealing *s, bool recorded, struct error **err)
{
    const struct se_input *in = s->in;
    if ((in->secret || recorded) && collect_inputs(s, err) < 0)
        return -1;
    if (in->secret)
        return derive(s, err);
    return secrets_draw(&s->secrets, &in->keys, in->fixed, err);
}

static int add(struct sealing *s, enum part part, const struct component_source *source,
               struct error **err)
{
    struct se_component *c = &s->components[s->count];
    c->tweak[1] = (unsigned char)part; // the index, be16, then the random part
    memcpy(c->tweak + 2, s->secrets.tweaks[part], sizeof s->secrets.tweaks[part]);
    if (component_write(&s->sink, source, c, err) < 0)
        return -1;
    s->count++;
    if (part != PART_STAGE3B) {
        s->arguments.part[part].address = c->address;
        s->arguments.part[part].size = c->size;
    }
    return 0;
}

static int add_command_line(struct sealing *s, struct error **err)
{
    // The NUL is always added; nothing is trimmed.
    cleanup_free char *text = xcalloc(1, s->in->command_line_length + 1);
    memcpy(text, s->in->command_line, s->in->command_line_length);
    struct component_source source = {.name = "the kernel command line",
                                      .bytes = (unsigned char *)text,
                                      .size = s->in->command_line_length + 1};
    return add(s, PART_COMMAND_LINE, &source, err);
}

static int add_stage3b(struct sealing *s, struct error **err)
{
    cleanup_free unsigned char *blob = xmalloc(s->stage3b.length);
    memcpy(blob, s->stage3b.bytes, s->stage3b.length);
    s->arguments.psw_mask = SE_PSW_MASK;
    s->arguments.psw_address = s->in->psw_address ? s->in->psw_address : SE_KERNEL_ENTRY;
    stage3b_arguments_put(&s->arguments, blob + s->stage3b.length - STAGE3B_ARGUMENTS);
    struct component_source source = {
        .name = "the loader stage3b", .bytes = blob, .size = s->stage3b.length};
    return add(s, PART_STAGE3B, &source, err);
}

static int write_components(struct sealing *s, struct error **err)
{
    const struct se_input *in = s->in;
    struct component_source kernel = {.name = in->kernel, .fd = s->kernel, .size = s->kernel_size};
    struct component_source initrd = {.name = in->initrd, .fd = s->initrd, .size = s->initrd_size};
    if (add(s, PART_KERNEL, &kernel, err) < 0)
        return -1;
    if (in->command_line && add_command_line(s, err) < 0)
        return -1;
    if (in->initrd && add(s, PART_INITRD, &initrd, err) < 0)
        return -1;
    return add_stage3b(s, err);
}

static int write_header(struct sealing *s, int fd, struct error **err)
{
    const struct se_input *in = s->in;
    struct header_input h = {.secrets = &s->secrets,
                             .hosts = in->hosts,
                             .host_count = in->host_count,
                             .pages = s->sink.pages,
                             .pcf = in->pcf,
                             .scf = in->scf,
                             .psw_address = s->components[s->count - 1].address};
    unsigned char header[HEADER_MAX];
    if (page_digests_end(s->sink.digests, h.pld, h.ald, h.tld, err) < 0 ||
        header_build(&h, header, err) < 0)
        return -1;
    return write_at(fd, output, s->layout.header, header, header_size(in->host_count), err);
}

// Writes loader, IPIB and, last, the bytes that make the file bootable.
static int write_rest(struct sealing *s, int fd, struct error **err)
{
    uint64_t header_bytes = header_size(s->in->host_count);
    unsigned char arguments[STAGE3A_ARGUMENTS], ipib[SE_PAGE], psw[8];
    stage3a_arguments(&s->layout, header_bytes, arguments);
    ipib_build(s->components, s->count, header_bytes, ipib);
    put_be64(psw, short_psw(SE_LOADER_ENTRY));
    if (write_at(fd, output, SE_LOADER_ADDRESS, s->stage3a.bytes,
                 s->stage3a.length - STAGE3A_ARGUMENTS, err) < 0 ||
        write_at(fd, output, s->layout.arguments, arguments, sizeof arguments, err) < 0 ||
        write_at(fd, output, s->layout.ipib, ipib, sizeof ipib, err) < 0)
        return -1;
    return write_at(fd, output, 0, psw, sizeof psw, err);
}

static int seal(struct sealing *s, int fd, bool recorded, struct error **err)
{
    const struct se_input *in = s->in;
    struct stamps stamps = {0};
    if (check_output(fd, err) < 0 || check_flags(in, err) < 0 || plan(s, err) < 0 ||
        open_parts(s, err) < 0 || take_stamps(s, &stamps, err) < 0 ||
        prepare_secrets(s, recorded, err) < 0)
        return -1;
    s->sink.fd = fd;
    s->sink.address = s->layout.components;
    // Also for components in clear: the key goes into the header, and must be valid.
    cleanup_cipher EVP_CIPHER_CTX *xts = xts_new(s->secrets.xts_key, true, err);
    if (!xts)
        return -1;
    s->sink.xts = in->pcf & SE_PCF_NO_ENCRYPTION ? NULL : xts;
    s->sink.digests = page_digests_new(err);
    if (!s->sink.digests || write_components(s, err) < 0 || write_header(s, fd, err) < 0)
        return -1;
    if (in->secret || recorded) {
        if (check_stamps(s, &stamps, err) < 0)
            return -1;
    }
    return write_rest(s, fd, err);
}

static int write_record(struct sealing *s, int fd, struct buf *record, struct error **err)
{
    if (lseek(fd, 0, SEEK_SET) < 0)
        return error_errno(err, errno, "reading %s", output);
    if (digest_fd(fd, output, s->record.image_sha256, &s->record.image_size, err) < 0)
        return -1;
    return seal_record_write(&s->record, record, err);
}

int se_seal_recorded(const struct se_input *in, int fd, struct buf *record, struct error **err)
{
    struct sealing s = {.in = in, .kernel = -1, .initrd = -1};
    int result = seal(&s, fd, record != NULL, err);
    if (!result && record)
        result = write_record(&s, fd, record, err);
    page_digests_free(s.sink.digests);
    secrets_wipe(&s.secrets);
    seal_record_free(&s.record);
    cleanup_close_p(&s.kernel);
    cleanup_close_p(&s.initrd);
    return result;
}

int se_seal(const struct se_input *in, int fd, struct error **err)
{
    return se_seal_recorded(in, fd, NULL, err);
}

// ---- seal secret ----
// Reads a seal secret from its file, and refuses one that others can read or guess.

#define FILE_MAX_BYTES (64u << 10)

static const char make_one[] =
    "make one from random bytes: (umask 077; head -c 64 /dev/urandom >FILE)";

static int check_access(const char *path, const struct stat *st, struct error **err)
{
    if (st->st_uid != geteuid() && st->st_uid != 0) {
        error_user(err, "the seal secret %s belongs to another user (uid %u)", path,
                   (unsigned)st->st_uid);
        return error_hint(err, "who owns it has read it, or can change it: %s", make_one);
    }
    if (!(st->st_mode & 077))
        return 0;
    error_user(err, "the seal secret %s can be %s by %s", path,
               st->st_mode & 044   ? "read"
               : st->st_mode & 022 ? "written"
                                   : "run",
               st->st_mode & 07 ? "everybody" : "its group");
    return error_hint(err, "chmod 600 %s; if others may have seen it, make a new one", path);
}

// ---- entropy estimates ----

// Shannon's entropy by the counts of byte values, times the number of bytes.
static double bits_of_counts(const unsigned char *bytes, size_t n)
{
    size_t count[256] = {0};
    double bits = 0;
    for (size_t i = 0; i < n; i++)
        count[bytes[i]]++;
    for (size_t i = 0; i < 256; i++)
        if (count[i])
            bits -= (double)count[i] * log2((double)count[i] / (double)n);
    OPENSSL_cleanse(count, sizeof count);
    return bits;
}

// The size after Deflate, which removes repetitions. Random bytes get no shorter.
static double bits_of_deflate(const unsigned char *bytes, size_t n)
{
    unsigned char out[2 * SE_SECRET_MAX];
    z_stream z = {.next_in = (unsigned char *)bytes,
                  .avail_in = (unsigned)n,
                  .next_out = out,
                  .avail_out = sizeof out};
    if (deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED, -MAX_WBITS, 9, Z_DEFAULT_STRATEGY) != Z_OK)
        out_of_memory();
    deflate(&z, Z_FINISH);
    double bits = 8 * (double)z.total_out;
    deflateEnd(&z);
    OPENSSL_cleanse(out, sizeof out);
    return bits;
}

// Random bytes are not periodic; typed ones may be.
static double bits_of_period(const unsigned char *bytes, size_t n)
{
    size_t period = 1;
    while (period < n && memcmp(bytes, bytes + period, n - period) != 0)
        period++;
    return period > n / 2 ? 8 * (double)n : 0;
}

static double least_bits(const unsigned char *bytes, size_t n)
{
    return fmin(bits_of_period(bytes, n),
                fmin(bits_of_counts(bytes, n), bits_of_deflate(bytes, n)));
}

// The least of several estimates, each of which has a gap: a count does not see repetitions, and
// neither sees "0123456789abcdef", whose differences repeat. Random bytes of the minimum length are
// far above SE_SECRET_BITS_MIN in each.
static double secret_bits(const unsigned char *bytes, size_t n)
{
    unsigned char differences[SE_SECRET_MAX];
    for (size_t i = 0; i < n; i++)
        differences[i] = (unsigned char)(bytes[i] - (i ? bytes[i - 1] : 0));
    double bits = fmin(least_bits(bytes, n), least_bits(differences, n));
    OPENSSL_cleanse(differences, sizeof differences);
    return bits;
}

static bool is_text_line(const unsigned char *bytes, size_t n)
{
    if (bytes[n - 1] != '\n')
        return false;
    for (size_t i = 0; i + 1 < n; i++)
        if ((bytes[i] < ' ' && bytes[i] != '\t' && bytes[i] != '\r') || bytes[i] > '~')
            return false;
    return true;
}

static int check_content(const char *path, const struct secret_memory *s, struct error **err)
{
    if (s->length < SE_SECRET_MIN || s->length > SE_SECRET_MAX) {
        error_user(err, "the seal secret %s has %zu bytes; it must have %u to %u", path, s->length,
                   SE_SECRET_MIN, SE_SECRET_MAX);
        return error_hint(err, "%s", make_one);
    }
    if (secret_bits(s->bytes, s->length) < SE_SECRET_BITS_MIN) {
        error_user(
            err,
            "the seal secret %s can be guessed: its bytes repeat or follow a pattern, and are "
            "worth less than %u random bits",
            path, SE_SECRET_BITS_MIN);
        return error_hint(err, "%s", make_one);
    }
    if (is_text_line(s->bytes, s->length))
        log_warning("the seal secret %s is a text that ends in a line feed, which is part of the "
                    "secret: without it the image is another one",
                    path);
    return 0;
}

int se_secret_load(const char *path, struct secret_memory *out, struct error **err)
{
    struct stat st;
    struct secret_memory s = {0};
    if (secret_memory_read(path, FILE_MAX_BYTES, &s, &st, err) < 0)
        return error_wrap(err, "the seal secret");
    if (check_access(path, &st, err) < 0 || check_content(path, &s, err) < 0) {
        secret_memory_free(&s);
        return -1;
    }
    *out = s;
    return 0;
}
