// SPDX-License-Identifier: Apache-2.0
// Runs the phases of a step up to one, in folders that stay (`kbuild TARGET --until=PHASE`).
#include "run/work.h"

#include "base/error.h"

#include <string.h>

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
static int note_changes(struct work *w, struct error **err)
{
    cleanup_free char *now = NULL;
    if (w->edited)
        return 0;
    if (work_content(w, &now, err) < 0)
        return -1;
    w->edited = w->content && strcmp(w->content, now) != 0;
    return 0;
}

// A phase that fails keeps its folders too, for inspection; it is not counted as reached.
static int run_and_save(const struct node *node, struct work *w, struct step *s, struct error **err)
{
    free(steal(w->content)); // unknown until the phase is over
    if (work_save(node, w, err) < 0)
        return -1;
    int result = step_run(node, s, w->reached, err);
    if (!result)
        w->reached++;
    struct error *why = NULL;
    if (work_strip(w, &why) < 0 || work_content(w, &w->content, &why) < 0 ||
        work_save(node, w, &why) < 0) {
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
    struct work *w = job->work;
    if (!scratch || (w && note_changes(w, err) < 0) || (!w && !(w = work_begin(b, node, err))))
        return -1;
    job->work = w; // freed with the job
    struct step s;
    phase("preparing");
    int result = step_prepare(b, node, scratch, w, &s, err);
    while (!result && w->reached <= last)
        result = run_and_save(node, w, &s, err);
    if (!result)
        record_output(record, "builddir", w->content, true, 0);
    step_free(&s);
    remove_tree(scratch, NULL);
    return result;
}
