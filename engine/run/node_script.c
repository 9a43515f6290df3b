// SPDX-License-Identifier: Apache-2.0
// Makes artifacts with scripts in the sandbox: runs their phases, signs what they left if the user
// asks for it, and packs it. Signing is outside the sandbox, so that no script sees the key.
#include "run/internal.h"

#include "base/error.h"
#include "base/file.h"
#include "base/print.h"
#include "base/process.h"
#include "crypto/crypto.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <string.h>
#include <sys/statvfs.h>

#define SUMMARY_MAX ((size_t)4096)
#define SIGNED_FILE_MAX ((size_t)1 << 30)

// ---- signing ----

static const char *variable_file(const struct job *job, const char *variable)
{
    const struct variable_value *v = variable_find(job, variable);
    return v && v->files.n ? v->files.items[0] : NULL;
}

// NULL without an error: neither variable is set, so nothing is signed.
static struct module_signer *load_signer(const struct job *job, struct error **err)
{
    const struct recipe_sign *s = job->recipe->sign;
    const char *key = s ? variable_file(job, s->key) : NULL;
    const char *certificate = s ? variable_file(job, s->certificate) : NULL;
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

// The certificate stands for the key in the node's key, so other machines need not have that.
static bool is_signed_elsewhere(const struct build *b, const struct job *job)
{
    const struct recipe_sign *s = job->recipe->sign;
    return s && b->options.secrets_elsewhere && !variable_file(job, s->key);
}

int identify_script(struct build *b, struct node *node, struct error **err)
{
    struct error *why = NULL;
    if (is_signed_elsewhere(b, job_of(node)))
        return 0;
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

struct sign_context {
    const struct module_signer *signer;
    const char *pattern, *folder;
};

static int sign_file(const struct beneath_entry *e, void *context, struct error **err)
{
    const struct sign_context *s = context;
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

static int sign_outputs(const struct job *job, int out, struct error **err)
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
        struct sign_context s = {signer, job->recipe->sign->files, folder};
        const struct beneath_walk walk = {.visit = sign_file, .context = &s, .sorted = true};
        result = directory < 0 ? -1 : beneath_walk(directory, folder, &walk, err);
    }
    module_signer_free(signer);
    return result < 0 ? error_wrap(err, "%s", job->label) : 0;
}

// ---- running and packing ----

// No process of the step is running, and its files are reached through `out` only.
static int pack_output(struct build *b, const struct node *node, const char *name, int out,
                       json_t *record, struct error **err)
{
    cleanup_free char *shown = xasprintf("/out/%s", name);
    cleanup_strlist struct strlist names = {0};
    cleanup_close int directory = beneath_open_directory(out, name, shown, err);
    if (directory < 0) {
        (*err)->kind = ERROR_STEP;
        return error_wrap(err, "%s", node_label(node));
    }
    if (list_directory_at(directory, shown, &names, err) < 0)
        return -1;
    if (!names.n) {
        error_set(err, ERROR_STEP, "%s: the script left nothing in %s", node_label(node), shown);
        return error_hint(err, "every entry of `outputs` in its recipe.yaml has to be filled");
    }
    const struct tarball t = {.folder = shown, .directory = directory};
    return output_tarball(b, node, name, &t, record, err) < 0 ? step_fault(err) : 0;
}

char *phase_script(const struct recipe_phase *p)
{
    return starts_with(p->script, "shared/") ? xasprintf("/%s", p->script)
                                             : xasprintf("/recipe/%s", p->script);
}

static bool is_noexec(const char *path)
{
    struct statvfs st;
    return statvfs(path, &st) == 0 && (st.f_flag & ST_NOEXEC);
}

// Runs one phase, in a sandbox of its own.
static int run_phase(const struct build *b, const struct node *node, struct step *s,
                     size_t phase_index, struct error **err)
{
    const struct job *job = job_of(node);
    const struct recipe_phase *p = &job->recipe->phases[phase_index];
    bool only = job->recipe->phase_count == 1;
    cleanup_free char *script = phase_script(p);
    s->argv[0] = "/bin/bash";
    s->argv[1] = script;
    s->argv[2] = NULL;
    s->sandbox.argv = s->argv;
    s->sandbox.input = -1;
    phase(only ? "building" : p->name);
    int status = 0;
    pid_t pid = sandbox_start(&s->sandbox, err);
    if (pid < 0 || sandbox_wait(pid, &status, err) < 0)
        return -1;
    if (status) {
        cleanup_free char *how = process_status_text(status);
        cleanup_free char *what = only ? xstrdup("script") : xasprintf("phase %s", p->name);
        error_set(err, ERROR_STEP, "%s: its %s ended with %s", job->label, what, how);
        if (step_disk_is_full(s->work, err))
            return -1;
        if (is_noexec(s->work))
            return error_hint(err,
                              "no program can be run from %s: its file system is mounted noexec. "
                              "Put the cache elsewhere: --cache=DIR, KBUILD_CACHE",
                              s->work);
        cleanup_free char *command = remote_log_command(&b->options, node->id);
        if (command)
            return error_hint(err, "%s shows all that it said", command);
        return error_hint(err, "see the log, or look around in the same sandbox: kbuild shell %s",
                          job->recipe->name);
    }
    return 0;
}

// The one-line summary of a script, in /build/summary: shown after the build, also when the result
// comes from the cache. It is untrusted text, so control characters must not reach a terminal.
static void take_summary(const struct step *s, json_t *record)
{
    cleanup_buf struct buf text = {0};
    cleanup_error struct error *ignored = NULL;
    // Usually there is no such file; a bad one is ignored.
    cleanup_close int work = beneath_open_owned(AT_FDCWD, s->work);
    if (work >= 0)
        beneath_chmod(work, "summary", 0600);
    cleanup_close int fd = work < 0 ? -1 : beneath_open_file(work, "summary", s->work, &ignored);
    if (fd < 0 || fd_read_all(fd, s->work, SUMMARY_MAX, &text, NULL) < 0 || !text.len)
        return;
    text.data[strcspn(text.data, "\n")] = '\0';
    for (char *p = text.data; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = '?';
    json_t *line = *text.data ? json_visible(text.data) : NULL;
    if (line)
        json_object_set_new(record, "summary", line);
}

// Runs all phases, or the remaining ones.
static int run_phases(const struct build *b, const struct node *node, struct step *s,
                      json_t *record, struct error **err)
{
    const struct job *job = job_of(node);
    size_t first = 0;
    if (job->checkpoint) {
        first = job->checkpoint->reached;
        if (checkpoint_copy(job->checkpoint, s->work, s->out, err) < 0)
            return error_wrap(err, "resuming from %s", job->checkpoint->shown);
    }
    long long started = now_ms();
    for (size_t i = first; i < job->recipe->phase_count; i++)
        if (run_phase(b, node, s, i, err) < 0)
            return -1;
    json_object_set_new(json_object_get(record, "provenance"), "script_ms",
                        json_integer(now_ms() - started));
    return 0;
}

// Turns a finished step's folder into outputs.
static int keep_outputs(struct build *b, const struct node *node, const struct step *s,
                        json_t *record, struct error **err)
{
    const struct job *job = job_of(node);
    cleanup_close int out = beneath_open_owned(AT_FDCWD, s->out);
    if (out < 0)
        return error_errno(err, errno, "opening %s", s->out);
    if (beneath_strip(out, "/out", err) < 0 || sign_outputs(job, out, err) < 0)
        return -1;
    take_summary(s, record);
    phase("packing");
    for (size_t i = 0; i < job->recipe->outputs.n; i++)
        if (pack_output(b, node, job->recipe->outputs.items[i], out, record, err) < 0)
            return -1;
    return 0;
}

int make_script(struct build *b, struct node *node, json_t *record, struct error **err)
{
    const struct job *job = job_of(node);
    const struct variation *w = b->options.variation;
    cleanup_free char *scratch = w && w->scratch
                                     ? make_temporary_directory(w->scratch, job->recipe->name, err)
                                     : store_temporary(b->store, job->recipe->name, err);
    if (!scratch)
        return -1;
    struct step s;
    phase("preparing");
    int result = step_prepare(b, node, scratch, NULL, &s, err);
    if (!result)
        result = run_phases(b, node, &s, record, err);
    if (!result)
        result = keep_outputs(b, node, &s, record, err);
    step_free(&s);
    remove_tree(scratch, NULL);
    return result;
}

// ---- the phases up to one, in folders that stay ----

int find_phase(const struct recipe *r, const char *name, size_t *index, struct error **err)
{
    cleanup_strlist struct strlist names = {0};
    for (*index = 0; *index < r->phase_count; (*index)++) {
        if (!strcmp(r->phases[*index].name, name))
            return 0;
        strlist_add(&names, r->phases[*index].name);
    }
    cleanup_free char *all = strlist_join(&names, ", ");
    if (!r->phase_count) {
        error_user(err, "%s has no phases: it is made by kbuild itself", r->name);
        return error_hint(err, "kbuild explain %s shows what goes into it", r->name);
    }
    const char *nearest = nearest_name(name, &names);
    error_user(err, "%s has no phase '%s'", r->name, name);
    return nearest ? error_hint(err, "did you mean %s?", nearest)
                   : error_hint(err, "its phases are: %s", all);
}

// Detects changes by hand by the digest that the last phase left, and records them, so that no
// later --until removes them.
static int note_changes(struct checkpoint *w, struct error **err)
{
    cleanup_free char *now = NULL;
    if (w->edited)
        return 0;
    if (checkpoint_content(w, &now, err) < 0)
        return -1;
    w->edited = w->content && strcmp(w->content, now) != 0;
    return 0;
}

// A phase that fails keeps its folders too, for inspection; it is not counted as reached.
static int run_and_save(const struct build *b, const struct node *node, struct checkpoint *w,
                        struct step *s, struct error **err)
{
    free(steal(w->content)); // unknown until the phase is over
    if (checkpoint_save(node, w, err) < 0)
        return -1;
    int result = run_phase(b, node, s, w->reached, err);
    if (!result)
        w->reached++;
    struct error *why = NULL;
    if (checkpoint_strip(w, &why) < 0 || checkpoint_content(w, &w->content, &why) < 0 ||
        checkpoint_save(node, w, &why) < 0) {
        if (result < 0) {
            error_free(why); // the phase's own failure is what counts
            return -1;
        }
        *err = why;
        return step_fault(err);
    }
    return result;
}

int make_until(struct build *b, struct node *node, json_t *record, struct error **err)
{
    struct job *job = job_of(node);
    size_t last = 0;
    if (find_phase(job->recipe, b->until, &last, err) < 0)
        return -1;
    cleanup_free char *scratch = store_temporary(b->store, job->recipe->name, err);
    struct checkpoint *w = job->checkpoint;
    if (!scratch || (w && note_changes(w, err) < 0) ||
        (!w && !(w = checkpoint_begin(b, node, err))))
        return -1;
    job->checkpoint = w; // freed with the job
    struct step s;
    phase("preparing");
    int result = step_prepare(b, node, scratch, w, &s, err);
    while (!result && w->reached <= last)
        result = run_and_save(b, node, w, &s, err);
    if (!result)
        record_output(record, "builddir", w->content, true, 0);
    step_free(&s);
    remove_tree(scratch, NULL);
    return result;
}
