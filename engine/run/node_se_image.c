// SPDX-License-Identifier: Apache-2.0
// Makes the Secure Execution boot image: kernel, initrd and command line, sealed for host keys.
#include "run/internal.h"
#include "run/se_trust.h"

#include "base/error.h"
#include "loader/stages.h"
#include "se/se.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

enum sealer { SEALER_NATIVE, SEALER_EXTERNAL };

static int choose_sealer(const struct job *job, enum sealer *out, struct external_sealer *tool,
                         struct error **err)
{
    const char *sealer = variable_text(job, "SE_SEALER");
    static const char *const names[] = {"native", "genprotimg", "auto"};
    size_t i = 0;
    while (i < ARRAY_LEN(names) && strcmp(names[i], *sealer ? sealer : "native"))
        i++;
    if (i == ARRAY_LEN(names)) {
        error_user(err, "SE_SEALER is '%s'", sealer);
        return error_hint(err, "it can be native (default), genprotimg, or auto");
    }
    *out = SEALER_NATIVE;
    if (i == 0)
        return 0;
    int found = external_sealer_find(tool, err);
    if (found < 0)
        return -1;
    if (!found && i == 1) {
        error_user(err, "SE_SEALER=genprotimg, but neither genprotimg nor pvimg is on PATH");
        return error_hint(err,
                          "install s390-tools, or leave SE_SEALER out: kbuild seals by itself");
    }
    *out = found ? SEALER_EXTERNAL : SEALER_NATIVE;
    return 0;
}

static void free_hosts(struct host_key *hosts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        host_key_free(&hosts[i]);
    free(hosts);
}

static struct host_key *load_hosts(const struct job *job, size_t *count, struct error **err)
{
    const struct variable_value *v = variable_find(job, "HKD_PATH");
    size_t n = v ? v->files.n : 0;
    struct host_key *hosts = xcalloc(n, sizeof *hosts);
    for (size_t i = 0; i < n; i++) {
        const char *path = v->files.items[i];
        if (host_key_load(path, &hosts[i], err) < 0) {
            free_hosts(hosts, i);
            return NULL;
        }
        // The documents must still be those in the key, which were verified.
        if (strcmp(hosts[i].digest, v->digests.items[i]) != 0) {
            error_user(err, "host key document: %s changed while kbuild was running", path);
            error_hint(err, "run kbuild again, so that the new one is verified");
            free_hosts(hosts, i + 1);
            return NULL;
        }
    }
    *count = n;
    return hosts;
}

// Reads and verifies host key documents now, before half an hour of building. The result depends on
// the clock, so every run does this, also if the image is cached.
static int check_hosts(const struct job *job, const struct se_verification *v, struct error **err)
{
    size_t count = 0;
    struct host_key *hosts = load_hosts(job, &count, err);
    if (!hosts)
        return -1;
    int result = 0;
    if (!count) {
        result = error_user(err, "No host key document specified.");
        error_hint(err, "HKD_PATH names the directory that holds HKD-*.crt; for a test, "
                        "`kbuild se test-key DIR` makes one");
    } else if (count > SE_MAX_HOST_KEYS) {
        result = error_user(err, "HKD_PATH holds %zu host key documents; an image can carry %u",
                            count, SE_MAX_HOST_KEYS);
    }
    for (size_t i = 0; i < count; i++)
        if (hosts[i].test)
            log_warning("%s is a TEST host key: whoever has its private key can open this image",
                        hosts[i].path);
    if (!result && v->enabled)
        result = host_keys_verify(hosts, count, &v->trust, err);
    else if (!result)
        log_warning("host-key document verification is disabled. Your workload is not secured.");
    free_hosts(hosts, count);
    return result;
}

int identify_se_image(struct build *b, struct node *node, struct error **err)
{
    struct job *job = job_of(node);
    enum sealer sealer = SEALER_NATIVE;
    struct external_sealer tool = {0};
    struct se_verification verification = {0};
    if (choose_sealer(job, &sealer, &tool, err) < 0)
        return -1;
    int result =
        se_verification_of(job, sealer == SEALER_EXTERNAL, b->options.offline, &verification, err);
    if (!result)
        result = check_hosts(job, &verification, err);
    strlist_free(&job->fetched);
    job->fetched = verification.fetched;
    verification.fetched = (struct strlist){0};
    se_verification_free(&verification);
    if (result < 0) {
        external_sealer_free(&tool);
        return -1;
    }
    if (sealer == SEALER_EXTERNAL && *variable_text(job, "SE_SEAL_SECRET")) {
        external_sealer_free(&tool);
        error_user(err, "SE_SEAL_SECRET goes with the native sealer: no other can seal with one");
        return error_hint(err, "leave out one of SE_SEALER and SE_SEAL_SECRET");
    }
    if (sealer == SEALER_EXTERNAL) {
        buf_printf(&node->identity, "sealer %s %d.%d.%d\n", tool.pvimg ? "pvimg" : "genprotimg",
                   tool.major, tool.minor, tool.patch);
    } else {
        char digest[DIGEST_HEX_SIZE];
        digest_bytes(stage3a_start, stage_length(stage3a_start, stage3a_end), digest);
        buf_printf(&node->identity, "sealer native stage3a %s\n", digest);
        digest_bytes(stage3b_start, stage_length(stage3b_start, stage3b_end), digest);
        buf_printf(&node->identity, "sealer native stage3b %s\n", digest);
    }
    buf_puts(&node->identity, "side files reference-values 1\n");
    external_sealer_free(&tool);
    return 0;
}

// Extracts "<target>:<path>" from that target's tarball.
static int extract(struct build *b, const struct node *node, const char *reference,
                   const char *path, struct error **err)
{
    const char *colon = strchr(reference, ':');
    cleanup_free char *name = xstrndup(reference, (size_t)(colon - reference));
    const struct role *role = job_role(job_of(node), ROLE_ARTIFACT, name);
    if (!role)
        return error_user(err, "image: '%s' is not among the needs", name);
    const struct node_output *o = &role->node->outputs[0];
    int has = store_has_blob(b->store, o->digest, err);
    if (has <= 0)
        return has < 0 ? -1 : input_damaged(role->node, err);
    cleanup_close int in = store_open_blob(b->store, o->digest, err);
    if (in < 0)
        return -1;
    cleanup_close int out = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (out < 0)
        return error_errno(err, errno, "creating %s", path);
    return unpack_member(in, o->name, colon + 1, out, NULL, err);
}

static char *command_line(const struct job *job)
{
    const char *fixed = job->recipe->image->parameters,
               *more = variable_text(job, "SE_KERNEL_PARAMS");
    return xasprintf("%s%s%s", fixed, *fixed && *more ? " " : "", more);
}

// The inputs and outputs of one image; paths are in the scratch folder.
struct se_work {
    char *kernel, *initrd, *parmfile, *image;
    struct buf record, reference, header;
};

static void se_work_free(struct se_work *w)
{
    free(w->kernel);
    free(w->initrd);
    free(w->parmfile);
    free(w->image);
    buf_free(&w->record);
    buf_free(&w->reference);
    buf_free(&w->header);
}

// The secret in the key; empty if there is none.
static int load_secret(const struct job *job, struct secret_memory *out, struct error **err)
{
    const struct variable_value *v = variable_find(job, "SE_SEAL_SECRET");
    char id[DIGEST_HEX_SIZE];
    if (!v || !v->files.n)
        return 0;
    if (se_secret_load(v->files.items[0], out, err) < 0 || se_secret_id(out, id, err) < 0)
        return -1;
    if (strcmp(id, v->digests.items[0]) != 0)
        return error_user(err, "%s changed while kbuild was running", v->files.items[0]);
    return 0;
}

static int seal_native(const struct job *job, struct se_input *in, struct se_work *w,
                       struct error **err)
{
    struct secret_memory secret = {0};
    cleanup_close int fd = open(w->image, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_errno(err, errno, "creating %s", w->image);
    int result = load_secret(job, &secret, err);
    in->secret = secret.bytes;
    in->secret_length = secret.length;
    if (!result)
        result = se_seal(in, fd, &w->record, err);
    secret_memory_free(&secret);
    in->secret = NULL;
    return result;
}

static int seal_external(const struct job *job, const struct se_input *in, const struct se_work *w,
                         bool offline, struct error **err)
{
    enum sealer sealer = SEALER_NATIVE;
    struct external_sealer tool = {0};
    if (choose_sealer(job, &sealer, &tool, err) < 0)
        return -1;
    // The tool verifies again, with what this run may fetch.
    tool.offline = offline || !strcmp(variable_text(job, "SE_ONLINE"), "no");
    struct strlist certificates = {0}, crls = {0};
    se_verification_files(job, &certificates, &crls);
    int result = external_sealer_run(&tool, in, w->parmfile, w->image, &certificates, &crls, err);
    strlist_free(&certificates);
    strlist_free(&crls);
    external_sealer_free(&tool);
    return result;
}

static int seal(struct build *b, const struct node *node, struct se_work *w, struct error **err)
{
    const struct job *job = job_of(node);
    cleanup_free char *parameters = command_line(job);
    phase("unpacking");
    if (extract(b, node, job->recipe->image->kernel, w->kernel, err) < 0 ||
        extract(b, node, job->recipe->image->initrd, w->initrd, err) < 0 ||
        file_write(w->parmfile, parameters, strlen(parameters), 0600, err) < 0)
        return -1;
    struct se_input in = {.kernel = w->kernel,
                          .initrd = w->initrd,
                          .command_line = parameters,
                          .command_line_length = strlen(parameters),
                          .pcf = SE_PCF_DEFAULT};
    struct host_key *hosts = load_hosts(job, &in.host_count, err);
    if (!hosts)
        return -1;
    in.hosts = hosts;
    phase("sealing");
    bool native = strstr(node->key_text, "\nsealer native ") != NULL;
    int result = native ? seal_native(job, &in, w, err)
                        : seal_external(job, &in, w, b->options.offline, err);
    free_hosts(hosts, in.host_count);
    return result;
}

// Computes what the verifier of an attestation needs, from the finished image.
static int compute_reference(struct se_work *w, const char *name, struct error **err)
{
    cleanup_originals struct se_originals originals = SE_ORIGINALS_NONE;
    cleanup_close int fd = open(w->image, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, errno, "opening %s", w->image);
    if (se_original_open(&originals, SE_ORIGINAL_KERNEL, w->kernel, err) < 0 ||
        se_original_open(&originals, SE_ORIGINAL_INITRD, w->initrd, err) < 0 ||
        se_original_open(&originals, SE_ORIGINAL_COMMAND_LINE, w->parmfile, err) < 0)
        return -1;
    return se_reference(fd, name, &originals, &w->reference, &w->header, err);
}

static int put_side_file(struct build *b, json_t *record, const char *name, const struct buf *bytes,
                         struct error **err)
{
    char digest[DIGEST_HEX_SIZE];
    if (!bytes->len)
        return 0;
    if (store_put_bytes(b->store, bytes->data, bytes->len, digest, err) < 0)
        return -1;
    record_side_file(record, name, digest, bytes->len);
    return 0;
}

// <image>.json, hdr.bin, and the seal record, which with a secret proves the image.
static int put_side_files(struct build *b, const struct recipe *r, const struct se_work *w,
                          json_t *record, struct error **err)
{
    const struct buf *const files[] = {&w->reference, &w->header, &w->record};
    cleanup_strlist struct strlist names = {0};
    side_files_of_action(r, &names);
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        if (put_side_file(b, record, names.items[i], files[i], err) < 0)
            return -1;
    return 0;
}

static int pack_image(struct build *b, const struct node *node, const struct se_work *w,
                      json_t *record, struct error **err)
{
    const struct job *job = job_of(node);
    struct pack_member member = {
        .path = job->recipe->image->output, .source = w->image, .mode = 0644};
    const struct tarball t = {.members = &member, .count = 1};
    phase("packing");
    return output_tarball(b, node, job->recipe->outputs.items[0], &t, record, err);
}

const char *se_image_random(const struct job *job)
{
    return *variable_text(job, "SE_SEAL_SECRET") ? NULL
                                                 : "sealing draws its keys at random; sealed with "
                                                   "SE_SEAL_SECRET the image is the same each "
                                                   "time (docs/provable-sealing.md)";
}

// Files fetched to verify the host keys are in no input: they are recorded by digest.
static void record_fetched(const struct job *job, json_t *record)
{
    json_t *list = json_array();
    for (size_t i = 0; i + 1 < job->fetched.n; i += 2)
        json_array_append_new(list, json_pack("{s:s, s:s}", "url", job->fetched.items[i], "sha256",
                                              job->fetched.items[i + 1]));
    json_object_set_new(json_object_get(record, "provenance"), "fetched", list);
}

int make_se_image(struct build *b, struct node *node, json_t *record, struct error **err)
{
    const struct job *job = job_of(node);
    cleanup_free char *scratch = store_temporary(b->store, "se-image", err);
    if (!scratch)
        return -1;
    struct se_work w = {.kernel = xasprintf("%s/kernel", scratch),
                        .initrd = xasprintf("%s/initrd", scratch),
                        .parmfile = xasprintf("%s/parmfile", scratch),
                        .image = xasprintf("%s/image", scratch)};
    const char *name = path_base(job->recipe->image->output);
    int result = seal(b, node, &w, err);
    if (!result)
        result = compute_reference(&w, name, err);
    if (!result)
        result = pack_image(b, node, &w, record, err);
    if (!result)
        result = put_side_files(b, job->recipe, &w, record, err);
    if (!result && job->fetched.n)
        record_fetched(job, record);
    se_work_free(&w);
    remove_tree(scratch, NULL);
    return result ? error_wrap(err, "%s", job->label) : 0;
}
