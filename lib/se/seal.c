// SPDX-License-Identifier: Apache-2.0
// Checks the inputs of an image and seals it, in the order of section 11.
#include "se/internal.h"

#include "base/process.h"

#include <errno.h>
#include <sys/stat.h>

// ---- checks of the inputs (section 10) ----

#define KERNEL_MAGIC_OFFSET 0x10008u
#define KERNEL_LIMIT_OFFSET 0x10430u // be64: the longest command line, NUL included
#define KERNEL_MINIMUM 0x10438u
#define OLD_KERNEL_LIMIT 896u // for kernels with 0 there

static const char kernel_magic[6] = {'S', '3', '9', '0', 'E', 'P'};

static int kernel_error(struct error **err, const char *path, const char *why)
{
    error_user(err, "%s: %s", path, why);
    return error_hint(err, "give the raw s390x kernel image: arch/s390/boot/bzImage of a kernel "
                           "build, or a distribution's vmlinuz for s390x");
}

// A raw s390x kernel: the file that the kernel's build calls bzImage and distributions call
// vmlinuz. *limit gets the longest command line, NUL included.
static int check_kernel(int fd, const char *path, uint64_t size, uint64_t *limit,
                        struct error **err)
{
    unsigned char head[4] = {0}, magic[sizeof kernel_magic], be[8];
    if (size == 0)
        return kernel_error(err, path, "the kernel is empty");
    if (size >= sizeof head && read_at(fd, path, 0, head, sizeof head, err) < 0)
        return -1;
    if (memcmp(head, "\177ELF", sizeof head) == 0)
        return kernel_error(err, path,
                            "it is an ELF file (vmlinux?), and only a raw kernel image can "
                            "be sealed");
    if (size < KERNEL_MINIMUM)
        return kernel_error(err, path, "it is too short for an s390x Linux kernel");
    if (read_at(fd, path, KERNEL_MAGIC_OFFSET, magic, sizeof magic, err) < 0 ||
        read_at(fd, path, KERNEL_LIMIT_OFFSET, be, sizeof be, err) < 0)
        return -1;
    if (memcmp(magic, kernel_magic, sizeof magic) != 0)
        return kernel_error(err, path, "it is not an s390x Linux kernel (no S390EP at 0x10008)");
    *limit = get_be64(be);
    if (*limit == 0)
        *limit = OLD_KERNEL_LIMIT;
    return 0;
}

static int check_command_line(const char *text, size_t length, uint64_t limit, struct error **err)
{
    if (memchr(text, '\0', length))
        return error_user(err, "the kernel command line contains a NUL byte: the kernel would see "
                               "only what lies before it");
    if (length + 1 > limit) {
        error_user(err, "the kernel command line has %zu bytes; this kernel takes at most %llu",
                   length, (unsigned long long)limit - 1);
        return error_hint(err, "shorten it, or build the kernel with a larger "
                               "CONFIG_COMMAND_LINE_SIZE");
    }
    return 0;
}

int check_initrd(const char *path, uint64_t size, struct error **err)
{
    if (size)
        return 0;
    error_user(err, "%s: the initrd is empty", path);
    return error_hint(err, "give an initrd with content, or none at all");
}

// ---- sealing ----

static const char *const output_name = "the image";

// The state of one run of se_seal().
struct seal {
    const struct se_input *in;
    struct loader_code stage3a, stage3b;
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
        return error_errno(err, errno, "writing %s", output_name);
    if (!S_ISREG(st.st_mode) || st.st_size != 0)
        return error_user(err, "writing %s: it must go to a new, empty file", output_name);
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

static int plan_layout(struct seal *s, struct error **err)
{
    const struct se_input *in = s->in;
    s->stage3a =
        in->stage3a ? (struct loader_code){in->stage3a, in->stage3a_length} : builtin_stage3a();
    s->stage3b =
        in->stage3b ? (struct loader_code){in->stage3b, in->stage3b_length} : builtin_stage3b();
    if (s->stage3b.length <= STAGE3B_ARGUMENTS)
        return error_user(err, "the loader stage3b has %zu bytes, and its arguments alone take %u",
                          s->stage3b.length, STAGE3B_ARGUMENTS);
    return layout_plan(s->stage3a.length, in->host_count, &s->layout, err);
}

static int open_parts(struct seal *s, struct error **err)
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

struct seal_hash {
    const char *name;
    int fd;
    uint64_t size;
    struct seal_part *out;
    int result;
    struct error *why;
};

static void *hash_part(void *argument)
{
    struct seal_hash *h = argument;
    h->result = seal_part_of_file(h->fd, h->name, h->size, h->out, &h->why);
    return NULL;
}

// Hashes kernel and initrd in parallel: one SHA-512 cannot be split.
static int hash_kernel_and_initrd(struct seal *s, struct error **err)
{
    const struct se_input *in = s->in;
    struct seal_part *parts = s->record.inputs.part;
    struct seal_hash kernel = {in->kernel, s->kernel, s->kernel_size, &parts[SEAL_KERNEL], 0, NULL};
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

static int collect_inputs(struct seal *s, struct error **err)
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
    return hash_kernel_and_initrd(s, err);
}

static int derive_secrets(struct seal *s, struct error **err)
{
    const struct se_input *in = s->in;
    cleanup_seal_kdf struct seal_kdf kdf;
    if (in->fixed)
        return error_user(err, "values are either fixed or derived from a seal secret, not both");
    s->record.provable = true;
    if (seal_kdf_begin(in->secret, in->secret_length, &kdf, err) < 0 ||
        seal_kdf_id(&kdf, s->record.id, err) < 0 ||
        seal_kdf_tag_keys(&kdf, &in->keys, &s->record.inputs, err) < 0)
        return -1;
    return secrets_derive(&kdf, &s->record.inputs, &in->keys, &s->secrets, err);
}

// Files that changed after hashing would share keys and tweaks with their old content.
struct file_stamps {
    struct stat kernel, initrd;
};

static int read_stamps(const struct seal *s, struct file_stamps *out, struct error **err)
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

static int check_stamps(const struct seal *s, const struct file_stamps *before, struct error **err)
{
    struct file_stamps now = {0};
    if (read_stamps(s, &now, err) < 0)
        return -1;
    bool kernel = same_stamp(&before->kernel, &now.kernel);
    if (kernel && same_stamp(&before->initrd, &now.initrd))
        return 0;
    error_user(err, "%s changed while it was sealed", kernel ? s->in->initrd : s->in->kernel);
    return error_hint(err, "seal again when nothing writes to it");
}

static int prepare_secrets(struct seal *s, bool recorded, struct error **err)
{
    const struct se_input *in = s->in;
    if ((in->secret || recorded) && collect_inputs(s, err) < 0)
        return -1;
    if (in->secret)
        return derive_secrets(s, err);
    return secrets_draw(&s->secrets, &in->keys, in->fixed, err);
}

static int write_component(struct seal *s, enum part part, const struct component_source *source,
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

static int write_command_line(struct seal *s, struct error **err)
{
    // The NUL is always added; nothing is trimmed.
    cleanup_free char *text = xcalloc(1, s->in->command_line_length + 1);
    memcpy(text, s->in->command_line, s->in->command_line_length);
    struct component_source source = {.name = "the kernel command line",
                                      .bytes = (unsigned char *)text,
                                      .size = s->in->command_line_length + 1};
    return write_component(s, PART_COMMAND_LINE, &source, err);
}

static int write_stage3b(struct seal *s, struct error **err)
{
    cleanup_free unsigned char *blob = xmalloc(s->stage3b.length);
    memcpy(blob, s->stage3b.bytes, s->stage3b.length);
    s->arguments.psw_mask = SE_PSW_MASK;
    s->arguments.psw_address = s->in->psw_address ? s->in->psw_address : SE_KERNEL_ENTRY;
    stage3b_arguments_put(&s->arguments, blob + s->stage3b.length - STAGE3B_ARGUMENTS);
    struct component_source source = {
        .name = "the loader stage3b", .bytes = blob, .size = s->stage3b.length};
    return write_component(s, PART_STAGE3B, &source, err);
}

static int write_components(struct seal *s, struct error **err)
{
    const struct se_input *in = s->in;
    struct component_source kernel = {.name = in->kernel, .fd = s->kernel, .size = s->kernel_size};
    struct component_source initrd = {.name = in->initrd, .fd = s->initrd, .size = s->initrd_size};
    if (write_component(s, PART_KERNEL, &kernel, err) < 0)
        return -1;
    if (in->command_line && write_command_line(s, err) < 0)
        return -1;
    if (in->initrd && write_component(s, PART_INITRD, &initrd, err) < 0)
        return -1;
    return write_stage3b(s, err);
}

static int write_header(struct seal *s, int fd, struct error **err)
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
    return write_at(fd, output_name, s->layout.header, header, header_size(in->host_count), err);
}

// Writes loader, IPIB and, last, the bytes that make the file bootable.
static int write_loader_and_ipib(struct seal *s, int fd, struct error **err)
{
    uint64_t header_bytes = header_size(s->in->host_count);
    unsigned char arguments[STAGE3A_ARGUMENTS], ipib[SE_PAGE], psw[8];
    stage3a_arguments(&s->layout, header_bytes, arguments);
    ipib_build(s->components, s->count, header_bytes, ipib);
    put_be64(psw, short_psw(SE_LOADER_ENTRY));
    if (write_at(fd, output_name, SE_LOADER_ADDRESS, s->stage3a.bytes,
                 s->stage3a.length - STAGE3A_ARGUMENTS, err) < 0 ||
        write_at(fd, output_name, s->layout.arguments, arguments, sizeof arguments, err) < 0 ||
        write_at(fd, output_name, s->layout.ipib, ipib, sizeof ipib, err) < 0)
        return -1;
    return write_at(fd, output_name, 0, psw, sizeof psw, err);
}

static int write_image(struct seal *s, int fd, bool recorded, struct error **err)
{
    const struct se_input *in = s->in;
    struct file_stamps file_stamps = {0};
    if (check_output(fd, err) < 0 || check_flags(in, err) < 0 || plan_layout(s, err) < 0 ||
        open_parts(s, err) < 0 || read_stamps(s, &file_stamps, err) < 0 ||
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
        if (check_stamps(s, &file_stamps, err) < 0)
            return -1;
    }
    return write_loader_and_ipib(s, fd, err);
}

static int write_record(struct seal *s, int fd, struct buf *record, struct error **err)
{
    if (lseek(fd, 0, SEEK_SET) < 0)
        return error_errno(err, errno, "reading %s", output_name);
    if (digest_fd(fd, output_name, s->record.image_sha256, &s->record.image_size, err) < 0)
        return -1;
    return seal_record_write(&s->record, record, err);
}

int se_seal(const struct se_input *in, int fd, struct buf *record, struct error **err)
{
    struct seal s = {.in = in, .kernel = -1, .initrd = -1};
    int result = write_image(&s, fd, record != NULL, err);
    if (!result && record)
        result = write_record(&s, fd, record, err);
    page_digests_free(s.sink.digests);
    secrets_wipe(&s.secrets);
    seal_record_free(&s.record);
    cleanup_close_p(&s.kernel);
    cleanup_close_p(&s.initrd);
    return result;
}
