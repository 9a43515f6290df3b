// SPDX-License-Identifier: Apache-2.0
// `kbuild se seal`.
#include "se.h"

#include "base/log.h"
#include "seal/seal.h"

static void point_out_test_key(const char *path)
{
    log_warning("%s is a TEST host key: whoever has its private key can open this image", path);
}

struct seal_words {
    const char *image, *ramdisk, *parmfile, *output;
    struct strlist hosts;
    bool no_verify;
};

static int load_hosts(const struct strlist *paths, struct host_key *hosts, size_t *count,
                      struct error **err)
{
    for (size_t i = 0; i < paths->n; i++) {
        if (host_key_load(paths->items[i], &hosts[i], err) < 0)
            return -1;
        if (hosts[i].test)
            point_out_test_key(paths->items[i]);
        ++*count;
    }
    return 0;
}

static int seal_image(const struct seal_words *w, struct se_input *in, struct error **err)
{
    cleanup_buf struct buf parameters = {0};
    if (w->parmfile) {
        if (file_read(w->parmfile, 1 << 20, &parameters, err) < 0)
            return -1;
        in->command_line = parameters.data;
        in->command_line_length = parameters.len;
    }
    cleanup_draft struct file_draft draft = FILE_DRAFT_NONE;
    if (file_draft_begin(&draft, w->output, err) < 0 || se_seal(in, draft.fd, err) < 0)
        return -1;
    return file_draft_commit(&draft, 0644, err);
}

int se_verb_seal(struct strlist *words, struct error **err)
{
    cleanup_strlist struct strlist storage = {0};
    struct seal_words w = {0};
    const struct verb_option options[] = {
        {"--image", "-i", &w.image, NULL, NULL},
        {"--ramdisk", "-r", &w.ramdisk, NULL, NULL},
        {"--parmfile", "-p", &w.parmfile, NULL, NULL},
        {"--output", "-o", &w.output, NULL, NULL},
        {"--host-key-document", "-k", NULL, &w.hosts, NULL},
        {"--no-verify", NULL, NULL, NULL, &w.no_verify},
    };
    int result = parse_verb_options("se", words, options, ARRAY_LEN(options), &storage, err);
    if (!result && (!w.image || !w.output || !w.hosts.n || words->n))
        result = usage_error(err, "se", "seal needs -i KERNEL, -k HOST-KEY-DOCUMENT and -o FILE");
    if (!result && !w.no_verify) {
        result = error_user(err, "host key documents cannot be verified yet");
        error_hint(err, "--no-verify seals without; the workload is not secured then");
    }
    struct host_key *hosts = xcalloc(w.hosts.n, sizeof *hosts);
    struct se_input in = {
        .kernel = w.image, .initrd = w.ramdisk, .hosts = hosts, .pcf = SE_PCF_DEFAULT};
    if (!result) {
        log_warning("host-key document verification is disabled. Your workload is not secured.");
        result = load_hosts(&w.hosts, hosts, &in.host_count, err);
    }
    if (!result)
        result = seal_image(&w, &in, err);
    for (size_t i = 0; i < in.host_count; i++)
        host_key_free(&hosts[i]);
    free(hosts);
    strlist_free(&w.hosts);
    return result;
}
