// SPDX-License-Identifier: Apache-2.0
// Implements `kbuild se seal`, also under the names genprotimg and pvimg.
#include "se.h"

#include "base/error.h"
#include "base/file.h"
#include "base/input.h"
#include "http/http.h"
#include "loader/stages.h"
#include "se/se.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static const char *const help_of[] = {[TOOL_KBUILD] = "kbuild se seal --help",
                                      [TOOL_GENPROTIMG] = "genprotimg --help",
                                      [TOOL_PVIMG] = "pvimg create --help"};

// ---- host keys ----

// genprotimg's message first, since scripts expect it, then the error in the file.
static int load_host_key(const char *path, enum seal_tool tool, struct host_key *out,
                         struct error **err)
{
    if (host_key_input(path, out, err) == 0)
        return 0;
    if (tool == TOOL_GENPROTIMG) {
        cleanup_free char *sentence = genprotimg_document_message(path);
        error_wrap(err, "%s", sentence);
    }
    return -1;
}

static int load_host_keys(const struct strlist *paths, enum seal_tool tool, struct host_key *hosts,
                          size_t *count, struct error **err)
{
    for (size_t i = 0; i < paths->n; i++) {
        if (load_host_key(paths->items[i], tool, &hosts[i], err) < 0)
            return -1;
        if (hosts[i].test)
            log_warning("%s is a TEST host key: whoever has its private key can open this image",
                        paths->items[i]);
        ++*count;
    }
    return 0;
}

static int verify_host_keys(const struct seal_command *c, enum seal_tool tool,
                            const struct se_input *in, struct error **err)
{
    const struct seal_request *r = &c->request;
    struct trust trust = {.certificates = &r->certificates,
                          .crls = &r->crls,
                          .root_ca = r->root_ca,
                          .fetch = c->offline ? NULL : http_fetch,
                          // The others fetch all lists, kbuild only missing ones.
                          .fetch_all = c->online || tool != TOOL_KBUILD,
                          .one_signing_key = tool != TOOL_KBUILD};
    int result = host_keys_verify(in->hosts, in->host_count, &trust, err);
    if (result < 0 && tool == TOOL_GENPROTIMG) {
        cleanup_free char *sentence = genprotimg_trust_message(&trust);
        if (sentence)
            error_wrap(err, "%s", sentence);
    }
    if (result < 0 && tool != TOOL_KBUILD)
        error_wrap(err, tool == TOOL_PVIMG ? "Host-key verification failed"
                                           : "Failed to verify host-key document");
    return result;
}

// ---- files ----

static int check_part(const char *path, struct error **err)
{
    struct stat st;
    if (path && stat(path, &st) < 0)
        return error_errno(err, errno, "Failed to get file status '%s'", path);
    // Pipes are accepted, too.
    if (path && !S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode))
        return error_user(err, "File '%s' is not a regular file", path);
    return 0;
}

static int read_parmfile(const char *path, struct buf *out, struct error **err)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return error_errno(err, errno, "Failed to open file '%s'", path);
    if (S_ISDIR(st.st_mode))
        return error_errno(err, EISDIR, "Error reading file '%s'", path);
    return user_file_read(path, 1 << 20, out, err);
}

// The path of the image: the target of a link. Anything but a file is unchanged.
static char *find_output(const struct seal_command *c, enum seal_tool tool, mode_t *mode,
                         struct error **err)
{
    const char *path = c->request.output;
    struct stat st;
    mode_t mask = umask(0);
    umask(mask);
    *mode = 0666 & ~mask;
    if (stat(path, &st) < 0)
        return xstrdup(path);
    if (S_ISDIR(st.st_mode))
        error_errno(err, EISDIR, "Failed to open file '%s'", path);
    else if (!S_ISREG(st.st_mode))
        error_user(err, "File '%s' is not a regular file", path);
    else if (tool == TOOL_PVIMG && !c->overwrite) {
        error_user(err, "the output '%s' exists", path);
        error_hint(err, "--overwrite replaces it");
    } else {
        *mode = st.st_mode & 0777;
        char *end = folder_follow(path, err);
        if (end)
            return end;
        error_wrap(err, "Failed to open file '%s'", path);
    }
    return NULL;
}

static int begin_output(struct file_draft *draft, const char *path, struct error **err)
{
    struct error *cause = NULL;
    if (file_draft_begin(draft, path, &cause) == 0)
        return 0;
    int errnum = cause->errnum;
    if (!errnum) { // an error of kbuild's own, with more information
        *err = cause;
        return error_wrap(err, "Failed to open file '%s'", path);
    }
    error_free(cause);
    return error_errno(err, errnum, "Failed to open file '%s'", path);
}

// ---- --verbose ----

static void print_part(const char *name, uint64_t address, uint64_t padded, uint64_t size)
{
    print("%12s:\t0x%012llx (%12llu / %12llu Bytes)\n", name, (unsigned long long)address,
          (unsigned long long)padded, (unsigned long long)size);
}

// One line a part, as genprotimg prints them.
static int print_parts(const struct se_input *in, const char *output, struct error **err)
{
    cleanup_close int fd = open(output, O_RDONLY | O_CLOEXEC);
    struct se_image image = {0};
    if (fd < 0)
        return error_errno(err, errno, "opening %s", output);
    if (se_read(fd, output, &image, err) < 0)
        return -1;
    const struct {
        const char *name;
        bool there;
        uint64_t size;
    } parts[] = {{"kernel", true, in->sizes->kernel},
                 {"parmline", in->command_line, in->command_line_length + 1},
                 {"ramdisk", in->initrd, in->sizes->initrd},
                 {"stage3b", true, (uintptr_t)stage3b_end - (uintptr_t)stage3b_start}};
    const struct se_component *component = image.components;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (!parts[i].there)
            continue;
        print_part(parts[i].name, component->address, component->padded, parts[i].size);
        component++;
    }
    // Loader, IPIB and header: everything before the components.
    uint64_t loader = image.components[0].address - 0x10000;
    print_part("stage3a", 0x10000, loader, loader);
    se_image_free(&image);
    return 0;
}

// ---- sealing ----

// An input of sealing that the output would replace, or NULL.
static const char *overwritten_file(const struct seal_request *r, const char *output)
{
    const char *const files[] = {r->kernel,   r->initrd,     r->parmfile,      r->root_ca,
                                 r->comm_key, r->header_key, r->component_key, r->secret};
    const struct strlist *const lists[] = {&r->hosts, &r->certificates, &r->crls};
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        if (files[i] && same_file(output, files[i]))
            return files[i];
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        for (size_t k = 0; k < lists[i]->n; k++)
            if (same_file(output, lists[i]->items[k]))
                return lists[i]->items[k];
    return NULL;
}

static int check_outputs(const struct seal_request *r, struct error **err)
{
    const char *lost = overwritten_file(r, r->output);
    if (!lost && r->record)
        lost = same_file(r->output, r->record) ? r->output : overwritten_file(r, r->record);
    if (!lost)
        return 0;
    error_set(err, ERROR_USAGE, "'%s' is an output, but is also given as another file", lost);
    return error_hint(err, "its content would be lost: name another file");
}

static int write_image(struct seal_command *c, enum seal_tool tool, struct se_input *in,
                       struct error **err)
{
    const struct seal_request *r = &c->request;
    mode_t mode;
    cleanup_free char *output = find_output(c, tool, &mode, err);
    cleanup_draft struct file_draft draft = FILE_DRAFT_NONE;
    cleanup_buf struct buf record = {0};
    if (!output || begin_output(&draft, output, err) < 0 ||
        se_seal(in, draft.fd, r->record ? &record : NULL, err) < 0)
        return -1;
    if (r->record && file_write(r->record, record.data, record.len, 0644, err) < 0)
        return -1;
    if (file_draft_commit(&draft, mode, err) < 0)
        return -1;
    return c->verbose ? print_parts(in, output, err) : 0;
}

static int read_and_seal(struct seal_command *c, enum seal_tool tool, struct se_input *in,
                         struct error **err)
{
    const struct seal_request *r = &c->request;
    cleanup_buf struct buf parameters = {0};
    if (check_part(r->kernel, err) < 0 ||
        (r->parmfile && read_parmfile(r->parmfile, &parameters, err) < 0) ||
        check_part(r->initrd, err) < 0)
        return -1;
    in->kernel = r->kernel;
    in->initrd = r->initrd;
    in->skip_component_checks = c->no_component_check;
    if (r->parmfile) {
        in->command_line = parameters.data ? parameters.data : "";
        in->command_line_length = parameters.len;
    }
    struct secret_memory secret = {0};
    if (r->secret && se_secret_load(r->secret, &secret, err) < 0)
        return -1;
    in->secret = secret.bytes;
    in->secret_length = secret.length;
    int result = write_image(c, tool, in, err);
    secret_memory_free(&secret);
    return result;
}

// The order of genprotimg: values and key files, host key documents, parts, output.
static int seal_image(struct seal_command *c, enum seal_tool tool, struct se_input *in,
                      struct host_key *hosts, struct error **err)
{
    const struct seal_request *r = &c->request;
    cleanup_seal_keys struct seal_key_bytes keys = {0};
    if (seal_request_apply(r, in, &keys, err) < 0 ||
        load_host_keys(&r->hosts, tool, hosts, &in->host_count, err) < 0)
        return -1;
    in->hosts = hosts;
    if (seal_check_slots(in->host_count, err) < 0)
        return -1;
    if (!r->no_verify && verify_host_keys(c, tool, in, err) < 0)
        return -1;
#ifdef KBUILD_TEST_HOOKS
    if (test_hooks_apply(r, in, err) < 0)
        return -1;
#endif
    return read_and_seal(c, tool, in, err);
}

static void print_version(enum seal_tool tool)
{
    // Scripts read the text between "version " and "-".
    if (tool == TOOL_KBUILD)
        print("%s\n", "kbuild " KBUILD_VERSION);
    else if (tool == TOOL_GENPROTIMG)
        print("%s\n", "genprotimg version " GENPROTIMG_VERSION "-kbuild-" KBUILD_VERSION);
    else
        print("%s\n", "pvimg version " PVIMG_VERSION "-kbuild-" KBUILD_VERSION);
}

static void ignore_line(enum log_level level, const char *line, void *context)
{
}

void discard_messages(void)
{
    log_redirect(ignore_line, NULL);
}

int run_seal_command(struct seal_command *c, enum seal_tool tool, struct error **err)
{
    if (c->help || c->help_all || c->help_experimental) {
        print_seal_options(tool, c);
        return 0;
    }
    if (c->version) {
        print_version(tool);
        return 0;
    }
    const struct seal_request *r = &c->request;
    if (c->quiet)
        discard_messages();
    c->request.lenient = tool != TOOL_KBUILD;
    if (seal_request_check(r, err) < 0) {
        if (err && !(*err)->hint)
            error_hint(err, "Use '%s' for more information%s", help_of[tool],
                       c->dash_v
                           ? "; -v alone prints the version, with other options it is --verbose"
                           : "");
        return -1;
    }
    if (check_outputs(r, err) < 0)
        return -1;
    if (c->online && c->offline)
        return error_set(err, ERROR_USAGE, "'--online' and '--offline' are mutually exclusive");
    if (r->no_verify)
        log_warning("host-key document verification is disabled. Your workload is not secured.");
    if (r->no_verify && r->crls.n)
        log_warning("--crl has no effect: --no-verify checks no revocation lists");
    if (r->root_ca)
        log_warning("The root CA is selected through the command line. Ensure that this root CA is "
                    "trusted.");
    struct host_key *hosts = xcalloc(r->hosts.n, sizeof *hosts);
    struct se_sizes sizes = {0};
    struct se_input in = {.sizes = &sizes};
    int result = seal_image(c, tool, &in, hosts, err);
    for (size_t i = 0; i < in.host_count; i++)
        host_key_free(&hosts[i]);
    free(hosts);
    return result;
}

void se_verb_seal_help(void)
{
    print_seal_options(TOOL_KBUILD, &(struct seal_command){0});
}

int se_verb_seal(struct global_options *g, struct strlist *words, struct error **err)
{
    struct seal_command command = {0};
    int result = parse_seal_options(words, TOOL_KBUILD, &command, err);
    if (!result && command.request.output)
        result = output_check(g, "the image", command.request.output, WRITES_FILE, err);
    if (!result && command.request.record)
        result = output_check(g, "the seal record", command.request.record, WRITES_FILE, err);
    if (!result)
        result = run_seal_command(&command, TOOL_KBUILD, err);
    seal_request_free(&command.request);
    return result;
}
