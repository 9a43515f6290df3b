// SPDX-License-Identifier: Apache-2.0
// Makes artifacts with scripts in the sandbox.
#include "run/work.h"

#include "base/error.h"
#include "run/world.h"

#include "base/file.h"
#include "base/process.h"
#include "base/print.h"
#include "pack/pack.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/statvfs.h>

#define SUMMARY_MAX ((size_t)4096)

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

int step_run(const struct node *node, struct step *s, size_t phase_index, struct error **err)
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
        if (is_noexec(s->work))
            return error_hint(err,
                              "no program can be run from %s: its file system is mounted noexec. "
                              "Put the cache elsewhere: --cache=DIR, KBUILD_CACHE",
                              s->work);
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
static int run_phases(const struct node *node, struct step *s, json_t *record, struct error **err)
{
    const struct job *job = job_of(node);
    size_t first = 0;
    if (job->work) {
        first = job->work->reached;
        if (work_copy(job->work, s->work, s->out, err) < 0)
            return error_wrap(err, "resuming from %s", job->work->shown);
    }
    long long started = now_ms();
    for (size_t i = first; i < job->recipe->phase_count; i++)
        if (step_run(node, s, i, err) < 0)
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
    const struct world *w = b->options.world;
    cleanup_free char *scratch = w && w->scratch
                                     ? make_temporary_directory(w->scratch, job->recipe->name, err)
                                     : store_temporary(b->store, job->recipe->name, err);
    if (!scratch)
        return -1;
    struct step s;
    phase("preparing");
    int result = step_prepare(b, node, scratch, NULL, &s, err);
    if (!result)
        result = run_phases(node, &s, record, err);
    if (!result)
        result = keep_outputs(b, node, &s, record, err);
    step_free(&s);
    remove_tree(scratch, NULL);
    return result;
}
