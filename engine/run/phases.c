// SPDX-License-Identifier: Apache-2.0
// Steps by hand: runs the phases of a step up to one, in folders that stay (`kbuild TARGET
// --until=PHASE`), and opens a shell in the sandbox of a step (`kbuild shell TARGET`).
#include "run/internal.h"

#include "base/error.h"
#include "base/print.h"

#include <string.h>
#include <sys/wait.h>

// ---- --until ----

int build_until(struct build *b, struct node *target, const char *phase_name, struct error **err)
{
    struct job *job = job_of(target);
    const struct recipe *r = job->recipe;
    size_t last;
    if (find_phase(r, phase_name, &last, err) < 0)
        return -1;
    if (job->checkpoint && last < job->checkpoint->reached) {
        error_user(err, "%s has done the phase %s already", job->checkpoint->shown, phase_name);
        return error_hint(err, "begin again without --continue, or name a later phase");
    }
    if (run_nodes(b, RUN_INPUTS, err) < 0)
        return -1;
    b->until = phase_name;
    target->state = NODE_STALE;
    int result = run_nodes(b, RUN_AGAIN, err);
    b->until = NULL;
    if (result)
        checkpoint_record_content(b, target);
    if (!result && target->state != NODE_DONE)
        result = error_set(err, ERROR_STEP, "%s: an input is missing", job->label);
    if (!result)
        log_note("%s/%s/builddir is %s after the phase %s; change what you like there (`kbuild "
                 "shell %s` opens it), then: kbuild %s --continue",
                 b->options.output, r->name, r->name, phase_name, r->name, r->name);
    return result;
}

// ---- kbuild shell ----

// The work that --until left, if it is of this step: then the shell can change it.
static int find_checkpoint(struct build *b, const struct node *target, struct checkpoint **out,
                           struct error **err)
{
    struct error *why = NULL;
    const struct job *job = job_of(target);
    int found = checkpoint_load(b, target, out, err);
    // With --continue it has been checked, and the key is that of resuming it.
    if (found <= 0 || job->checkpoint ||
        checkpoint_check(target, *out, target->key_text, &why) == 0)
        return found < 0 ? -1 : 0;
    if (b->options.resume) {
        *err = why;
        return -1;
    }
    log_warning("this is a fresh sandbox: %s", why->message);
    error_free(why);
    checkpoint_free(steal(*out));
    return 0;
}

static void describe_shell(const struct job *job, const struct checkpoint *w)
{
    const struct recipe *r = job->recipe;
    cleanup_buf struct buf text = {0};
    for (size_t i = 0; i < r->phase_count; i++) {
        cleanup_free char *script = phase_script(&r->phases[i]);
        if (r->phase_count == 1)
            buf_printf(&text, "its step is: bash %s", script);
        else
            buf_printf(&text, "%s%s is bash %s%s", i ? ", " : "its phases: ", r->phases[i].name,
                       script, w && i < w->reached ? " (done)" : "");
    }
    print_to(stderr, "kbuild: the sandbox of %s; %s\n", job->label, text.data);
    if (w)
        print_to(stderr,
                 "kbuild: /build is %s: changes stay, `kbuild %s --continue` builds from them\n",
                 w->shown, r->name);
}

static int run_shell(struct build *b, const struct job *job, struct step *s, int *status,
                     struct error **err)
{
    const char *term = getenv("TERM");
    strlist_addf(&s->environment, "TERM=%s", term ? term : "dumb");
    strlist_addf(&s->environment, "MAKEFLAGS=-j%u", b->options.jobs);
    strlist_addf(&s->environment, "PS1=%s:\\w\\$ ", job->recipe->name);
    s->argv[0] = "/bin/bash";
    s->argv[1] = "--norc";
    s->sandbox.argv = s->argv;
    int wait_status = 0;
    int result = sandbox_interact(&s->sandbox, &wait_status, err);
    *status = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
    return result;
}

int build_shell(struct build *b, struct node *target, int *status, struct error **err)
{
    const struct job *job = job_of(target);
    if (job->recipe->action != ACTION_SCRIPT) {
        error_user(err, "%s has no sandbox: it is made by kbuild itself", job->label);
        return error_hint(err, "kbuild explain %s shows what goes into it", job->recipe->name);
    }
    if (run_nodes(b, RUN_INPUTS, err) < 0)
        return -1;
    struct checkpoint *w = NULL;
    cleanup_free char *scratch = NULL;
    if (find_checkpoint(b, target, &w, err) < 0 ||
        !(scratch = store_temporary(b->store, "shell", err))) {
        checkpoint_free(w);
        return -1;
    }
    struct step s;
    int result = step_prepare(b, target, scratch, w, &s, err);
    if (!result) {
        describe_shell(job, w);
        result = run_shell(b, job, &s, status, err);
    }
    if (w && checkpoint_strip(w, result ? NULL : err) < 0)
        result = -1;
    step_free(&s);
    checkpoint_free(w);
    remove_tree(scratch, NULL);
    return result;
}
