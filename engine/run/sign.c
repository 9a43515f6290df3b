// SPDX-License-Identifier: Apache-2.0
// The section `sign` of a script recipe: signs the files that the scripts left, before packing and
// outside the sandbox, so that no script sees the key.
#include "run/work.h"

#include "base/file.h"
#include "base/error.h"
#include "crypto/crypto.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
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
    // The node's key has the digest of the certificate at that time.
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

// Replaces the file by the signed one atomically; other hard links to it are unchanged.
static int replace_file(const struct beneath_entry *e, mode_t mode, const struct buf *content,
                        struct error **err)
{
    cleanup_free char *fresh = xasprintf(".%.200s.signed", e->name);
    cleanup_close int fd =
        openat(e->directory, fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_errno(err, errno, "creating %s", fresh);
    if (fd_write_all(fd, e->name, content->data, content->len, err) < 0)
        return -1;
    if (fchmod(fd, mode) < 0 || renameat(e->directory, fresh, e->directory, e->name) < 0)
        return error_errno(err, errno, "replacing %s", e->name);
    return 0;
}

struct signing {
    const struct module_signer *signer;
    const char *pattern, *folder;
};

static int sign_file(const struct beneath_entry *e, void *context, struct error **err)
{
    const struct signing *s = context;
    if (e->event != BENEATH_OTHER || e->type != DT_REG || fnmatch(s->pattern, e->name, 0))
        return 0;
    cleanup_free char *shown = xasprintf("%s/%s", s->folder, e->path);
    cleanup_buf struct buf module = {0};
    struct stat st;
    cleanup_close int fd = beneath_open_file(e->directory, e->name, shown, err);
    if (fd < 0)
        return -1;
    if (fstat(fd, &st) < 0)
        return error_errno(err, errno, "looking at %s", shown);
    if (fd_read_all(fd, shown, SIGNED_FILE_MAX, &module, err) < 0 ||
        module_sign(s->signer, &module, err) < 0 ||
        replace_file(e, st.st_mode & 0777, &module, err) < 0) {
        error_wrap(err, "signing %s", shown);
        return step_fault(err);
    }
    return 0;
}

int sign_outputs(const struct job *job, int out, struct error **err)
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
        const char *name = job->recipe->outputs.items[i];
        cleanup_free char *folder = xasprintf("/out/%s", name);
        cleanup_close int directory = beneath_open_directory(out, name, folder, err);
        struct signing s = {signer, job->recipe->sign->files, folder};
        const struct beneath_walk walk = {.visit = sign_file, .context = &s, .sorted = true};
        result = directory < 0 ? -1 : beneath_walk(directory, folder, &walk, err);
    }
    module_signer_free(signer);
    return result < 0 ? error_wrap(err, "%s", job->label) : 0;
}
