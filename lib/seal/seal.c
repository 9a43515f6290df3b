// SPDX-License-Identifier: Apache-2.0
// Sealing, in the order of section 11.
#include "boot/stages.h"
#include "seal/checks.h"
#include "seal/components.h"
#include "seal/header.h"
#include "seal/io.h"
#include "seal/ipib.h"
#include "seal/layout.h"

#include <errno.h>
#include <sys/stat.h>

static const char *const output = "the image";

struct template
{
    const unsigned char *bytes;
    size_t length;
};

// Everything that one run of se_seal() holds.
struct sealing {
    const struct se_input *in;
    struct template stage3a, stage3b;
    struct layout layout;
    struct secrets secrets;
    int kernel, initrd; // fds; -1: absent
    uint64_t kernel_size, initrd_size;
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
    if (((in->pcf & SE_PCF_ALLOW_DUMP) || (in->scf & SE_SCF_CCK_EXTENSION)) && !in->keys.cck)
        return error_user(err, "guest dumps and extension secrets need a known customer "
                               "communication key, and this image gets a random one");
    if (in->psw_address >= SE_ADDRESS_LIMIT)
        return error_user(err, "the kernel's start address 0x%llx is not below 2 GiB",
                          (unsigned long long)in->psw_address);
    return 0;
}

static size_t built_in_length(const unsigned char *start, const unsigned char *end)
{
    return (uintptr_t)end - (uintptr_t)start; // two symbols of the linker, not one object
}

static int plan(struct sealing *s, struct error **err)
{
    const struct se_input *in = s->in;
    s->stage3a = (struct template){in->stage3a, in->stage3a_length};
    s->stage3b = (struct template){in->stage3b, in->stage3b_length};
    if (!in->stage3a)
        s->stage3a = (struct template){stage3a_start, built_in_length(stage3a_start, stage3a_end)};
    if (!in->stage3b)
        s->stage3b = (struct template){stage3b_start, built_in_length(stage3b_start, stage3b_end)};
    if (s->stage3b.length <= STAGE3B_ARGUMENTS)
        return error_user(err, "the loader stage3b has %zu bytes, and its arguments alone take %u",
                          s->stage3b.length, STAGE3B_ARGUMENTS);
    return layout_plan(s->stage3a.length, in->host_count, &s->layout, err);
}

static int open_parts(struct sealing *s, struct error **err)
{
    const struct se_input *in = s->in;
    uint64_t limit = 0;
    if ((s->kernel = open_input(in->kernel, &s->kernel_size, err)) < 0)
        return error_wrap(err, "kernel");
    if (in->initrd && (s->initrd = open_input(in->initrd, &s->initrd_size, err)) < 0)
        return error_wrap(err, "initrd");
    if (in->skip_component_checks)
        return 0;
    if (check_kernel(s->kernel, in->kernel, s->kernel_size, &limit, err) < 0)
        return -1;
    if (in->command_line &&
        check_command_line(in->command_line, in->command_line_length, limit, err) < 0)
        return -1;
    return in->initrd ? check_initrd(in->initrd, s->initrd_size, err) : 0;
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

// Loader, IPIB and, last of all, what makes the file start.
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

static int seal(struct sealing *s, int fd, struct error **err)
{
    const struct se_input *in = s->in;
    if (check_output(fd, err) < 0 || check_flags(in, err) < 0 || plan(s, err) < 0 ||
        open_parts(s, err) < 0 || secrets_draw(&s->secrets, &in->keys, in->fixed, err) < 0)
        return -1;
    s->sink.fd = fd;
    s->sink.address = s->layout.components;
    // Also when the components stay in clear: the key goes into the header, and must be good.
    cleanup_cipher EVP_CIPHER_CTX *xts = xts_new(s->secrets.xts_key, true, err);
    if (!xts)
        return -1;
    s->sink.xts = in->pcf & SE_PCF_NO_ENCRYPTION ? NULL : xts;
    s->sink.digests = page_digests_new(err);
    if (!s->sink.digests || write_components(s, err) < 0 || write_header(s, fd, err) < 0)
        return -1;
    return write_rest(s, fd, err);
}

int se_seal(const struct se_input *in, int fd, struct error **err)
{
    struct sealing s = {.in = in, .kernel = -1, .initrd = -1};
    int result = seal(&s, fd, err);
    page_digests_free(s.sink.digests);
    secrets_wipe(&s.secrets);
    cleanup_close_p(&s.kernel);
    cleanup_close_p(&s.initrd);
    return result;
}
