// SPDX-License-Identifier: Apache-2.0
// Artifacts made by a script in the sandbox, and the shell that opens the same sandbox.
#include "run/internal.h"

#include "run/world.h"

#include "base/process.h"
#include "pack/pack.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

static bool folder_is_empty(const char *path)
{
    cleanup_strlist struct strlist names = {0};
    return list_directory(path, &names, NULL) < 0 || names.n == 0;
}

static int pack_output(struct build *b, const struct node *node, const char *name,
                       const char *folder, json_t *record, struct error **err)
{
    if (folder_is_empty(folder)) {
        error_set(err, ERROR_STEP, "%s: the script left nothing in /out/%s", node_label(node), name);
        return error_hint(err, "every entry of `outputs` in its recipe.yaml has to be filled");
    }
    const struct tarball t = {.folder = folder};
    return output_tarball(b, node, name, &t, record, err);
}

static int run_script(struct build *b, struct node *node, struct step *s, struct error **err)
{
    const struct job *job = job_of(node);
    const char *run = job->recipe->run;
    cleanup_free char *script =
        starts_with(run, "shared/") ? xasprintf("/%s", run) : xasprintf("/recipe/%s", run);
    s->argv[0] = "/bin/bash";
    s->argv[1] = script;
    s->argv[2] = NULL;
    s->sandbox.argv = s->argv;
    s->sandbox.input = -1;
    phase("building");
    int status = 0;
    pid_t pid = sandbox_start(&s->sandbox, err);
    if (pid < 0 || process_wait(pid, &status, err) < 0)
        return -1;
    if (status) {
        cleanup_free char *how = process_status_text(status);
        error_set(err, ERROR_STEP, "%s: its script ended with %s", job->label, how);
        return error_hint(err, "see the log, or look around in the same sandbox: kbuild shell %s",
                          job->recipe->name);
    }
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
    int result = step_prepare(b, node, scratch, &s, err);
    if (!result) {
        long long started = now_ms();
        result = run_script(b, node, &s, err);
        json_object_set_new(json_object_get(record, "provenance"), "script_ms",
                            json_integer(now_ms() - started));
    }
    if (!result)
        phase("packing");
    for (size_t i = 0; i < job->recipe->outputs.n && !result; i++) {
        const char *name = job->recipe->outputs.items[i];
        cleanup_free char *folder = xasprintf("%s/%s", s.out, name);
        result = pack_output(b, node, name, folder, record, err);
    }
    step_free(&s);
    remove_tree(scratch, NULL);
    return result;
}

int build_shell(struct build *b, struct node *target, int *status, struct error **err)
{
    const struct job *job = job_of(target);
    if (job->recipe->action != ACTION_SCRIPT) {
        error_user(err, "%s has no sandbox: it is made by kbuild itself", job->label);
        return error_hint(err, "kbuild explain %s shows what goes into it", job->recipe->name);
    }
    if (schedule(b, RUN_INPUTS, err) < 0)
        return -1;
    cleanup_free char *scratch = store_temporary(b->store, "shell", err);
    if (!scratch)
        return -1;
    struct step s;
    int result = step_prepare(b, target, scratch, &s, err);
    if (!result) {
        const char *term = getenv("TERM");
        strlist_addf(&s.environment, "TERM=%s", term ? term : "dumb");
        strlist_addf(&s.environment, "MAKEFLAGS=-j%u", b->options.jobs);
        strlist_addf(&s.environment, "PS1=%s:\\w\\$ ", job->recipe->name);
        s.argv[0] = "/bin/bash";
        s.argv[1] = "--norc";
        s.sandbox.argv = s.argv;
        s.sandbox.interactive = true;
        fprintf(stderr, "kbuild: the sandbox of %s; its step is: bash %s%s\n", job->label,
                starts_with(job->recipe->run, "shared/") ? "/" : "/recipe/", job->recipe->run);
        // The shell decides what ^C means.
        void (*old)(int) = signal(SIGINT, SIG_IGN);
        int wait_status = 0;
        pid_t pid = sandbox_start(&s.sandbox, err);
        result = pid < 0 ? -1 : process_wait(pid, &wait_status, err);
        signal(SIGINT, old);
        *status = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
    }
    step_free(&s);
    remove_tree(scratch, NULL);
    return result;
}
