// SPDX-License-Identifier: Apache-2.0
// The section `sign` of a script recipe: what the scripts left is signed before it is packed,
// outside the sandbox, so that no script ever sees the key.
#include "run/internal.h"

#include "seal/module_signature.h"

#include <errno.h>
#include <fnmatch.h>
#include <fts.h>
#include <string.h>

#define SIGNED_FILE_MAX ((size_t)1 << 30)

static const char *file_of(const struct job *job, const char *variable)
{
    const struct variable_value *v = variable_find(job, variable);
    return v && v->files.n ? v->files.items[0] : NULL;
}

// NULL without an error: neither variable is set, so nothing is signed.
static struct module_signer *load_signer(const struct job *job, struct error **err)
{
    const struct recipe_sign *s = job->recipe->sign;
    const char *key = s ? file_of(job, s->key) : NULL;
    const char *certificate = s ? file_of(job, s->certificate) : NULL;
    if (!key && !certificate)
        return NULL;
    if (!key || !certificate) {
        error_user(err, "%s: %s is set, and %s is not", job->label, key ? s->key : s->certificate,
                   key ? s->certificate : s->key);
        error_hint(err, "signing takes both, the private key and its certificate");
        return NULL;
    }
    char digest[DIGEST_HEX_SIZE];
    struct module_signer *signer = module_signer_load(certificate, key, digest, err);
    if (!signer) {
        error_wrap(err, "%s: %s, %s", job->label, s->certificate, s->key);
        return NULL;
    }
    // The node's key was made of the certificate as it was.
    if (!strcmp(digest, variable_find(job, s->certificate)->digests.items[0]))
        return signer;
    error_user(err, "%s changed while kbuild was running", certificate);
    module_signer_free(signer);
    return NULL;
}

int identify_script(struct build *b, struct node *node, struct error **err)
{
    (void)b;
    struct error *why = NULL;
    module_signer_free(load_signer(job_of(node), &why));
    if (!why)
        return 0;
    *err = why;
    return -1;
}

static int sign_file(const struct module_signer *signer, const FTSENT *entry, struct error **err)
{
    cleanup_buf struct buf module = {0};
    if (file_read(entry->fts_path, SIGNED_FILE_MAX, &module, err) < 0 ||
        module_sign(signer, &module, err) < 0)
        return error_wrap(err, "signing %s", entry->fts_name);
    return file_write(entry->fts_path, module.data, module.len, entry->fts_statp->st_mode & 07777,
                      err);
}

// Nothing runs in the folder any more. Links are not followed: a script decides where they lead.
static int sign_tree(const struct module_signer *signer, const char *pattern, char *folder,
                     struct error **err)
{
    char *const roots[] = {folder, NULL};
    FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    if (!tree)
        return error_errno(err, errno, "reading %s", folder);
    int result = 0;
    FTSENT *entry = NULL;
    while (!result && (errno = 0, entry = fts_read(tree))) {
        if (entry->fts_info == FTS_ERR || entry->fts_info == FTS_DNR || entry->fts_info == FTS_NS)
            result = error_errno(err, entry->fts_errno, "reading %s", entry->fts_path);
        else if (entry->fts_info == FTS_F && S_ISREG(entry->fts_statp->st_mode) &&
                 !fnmatch(pattern, entry->fts_name, 0))
            result = sign_file(signer, entry, err);
    }
    if (!result && errno)
        result = error_errno(err, errno, "reading %s", folder);
    fts_close(tree);
    return result;
}

int sign_outputs(const struct job *job, const char *out, struct error **err)
{
    struct error *why = NULL;
    struct module_signer *signer = load_signer(job, &why);
    if (why) {
        *err = why;
        return -1;
    }
    if (!signer)
        return 0;
    phase("signing");
    int result = 0;
    for (size_t i = 0; i < job->recipe->outputs.n && !result; i++) {
        cleanup_free char *folder = xasprintf("%s/%s", out, job->recipe->outputs.items[i]);
        result = sign_tree(signer, job->recipe->sign->files, folder, err);
    }
    module_signer_free(signer);
    return result < 0 ? error_wrap(err, "%s", job->label) : 0;
}
