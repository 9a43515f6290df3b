// SPDX-License-Identifier: Apache-2.0
// Makes targets on the machines of an engine: plans what is left to do, pushes the project, submits
// the jobs, follows them, and plans again until nothing is left; then places the results.
#include "spread/spread.h"

#include "base/error.h"
#include "base/file.h"
#include "base/print.h"
#include "share/share.h"
#include "spread/internal.h"

#include <string.h>
#include <unistd.h>

enum {
    ROUNDS = 3,
    WINDOW = 500,
    POLL_MS = 1000,
    IDLE_MS = 15000,
    TAIL_LINES = 20,
    LOG_MAX = 16 << 20
};
// A registry that was there and does not answer is asked again so often, after so long.
enum { SILENCES = 4, SILENCE_S = 5 };

// ---- the plan ----

static int ask_and_plan(const struct spread_request *r, struct build *b, struct plan *out,
                        struct error **err)
{
    plan_free(out);
    if (build_ask_shared(b, err) < 0)
        return -1;
    return plan_make(b, r->targets, r->grain, out, err);
}

// The machines take only what versions.lock names: pins what it lacks, as `kbuild lock` does.
static int lock_inputs(struct build *b, struct error **err)
{
    b->options.locked = false;
    int result = build_evaluate(b, true, err) < 0 ? -1 : build_lock(b, err);
    b->options.locked = true;
    return result;
}

// `again`: an input could not be got, or a result: is the content there of what is found?
static int make_plan(const struct spread_request *r, struct build *b, bool again, struct plan *out,
                     struct error **err)
{
    bool asked_locked = b->options.locked;
    b->options.locked = true;
    if (ask_and_plan(r, b, out, err) < 0)
        return -1;
    cleanup_free char *unresolved = plan_unresolved(out);
    if (unresolved && asked_locked)
        return error_user(err, "%s does not resolve %s, and --locked allows nothing else",
                          b->lock->path, unresolved);
    if (unresolved && (lock_inputs(b, err) < 0 || ask_and_plan(r, b, out, err) < 0))
        return -1;
    int lost = again ? plan_check_content(b, out, err) : 0;
    if (lost < 0 || (lost > 0 && ask_and_plan(r, b, out, err) < 0))
        return -1;
    int pushed = plan_publish(b, out, err);
    return pushed > 0 ? ask_and_plan(r, b, out, err) : pushed;
}

// ---- after a failure ----

static void print_tail(const struct pushed_log *log)
{
    cleanup_buf struct buf text = {0};
    if (fd_read_all(log->fd, "a log", LOG_MAX, &text, NULL) < 0 || !text.len)
        return;
    size_t from = text.len - 1;
    for (size_t lines = 0; from > 0; from--)
        if (text.data[from - 1] == '\n' && ++lines == TAIL_LINES)
            break;
    print_to(stderr, "---- the last lines of %s\n", log->about);
    print_text(stderr, text.data + from, text.len - from);
    print_to(stderr, "----\n");
}

// What the failed jobs pushed of their logs. A job that did not get to its step pushed none.
static void show_logs(const struct spread_request *r, const struct strlist *failed)
{
    cleanup_error struct error *ignored = NULL;
    struct build *b = r->open(r->context, &ignored);
    if (b)
        b->options.locked = true;
    for (size_t i = 0; b && i < failed->n; i++) {
        cleanup_pushed_log struct pushed_log log = {0};
        struct node *node = graph_find(build_graph(b), failed->items[i]);
        if (node && build_remote_log(b, node, &log, NULL) > 0)
            print_tail(&log);
    }
    if (b) {
        build_keep_costs(b);
        build_close(b);
    }
}

// As a run on this machine does after a failed step. That step is the error to report.
static void place_made(const struct spread_request *r)
{
    cleanup_error struct error *why = NULL;
    if (r->place_made(r->context, &why) < 0)
        log_warning("placing what was made: %s", why->message);
}

// ---- a round ----

static size_t count_jobs(const struct plan *p)
{
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(p->nodes); i++)
        n += json_is_array(json_object_get(json_array_get(p->nodes, i), "command"));
    return n;
}

// What the rounds left, for the next one and for the end.
struct rounds {
    struct strlist failed; // ids of the nodes whose jobs failed in the last one
    bool placing;          // nothing was left to do
    bool followed;         // jobs, in any of them: there is a record of the run
};

static int run_plan(const struct spread_request *r, struct build *b, const struct plan *p,
                    struct rounds *rounds, struct error **err)
{
    cleanup_free char *project = NULL;
    cleanup_job_list struct job_list jobs = {0};
    if (plan_push(b, p, &project, err) < 0 || job_list_make(p, project, &jobs, err) < 0)
        return -1;
    const struct follow_limits limits = {.window = WINDOW,
                                         .poll_ms = POLL_MS,
                                         .idle_ms = IDLE_MS,
                                         .keep_going = r->keep_going,
                                         .project = project};
    struct slurm s;
    if (slurm_open(&s, &jobs, err) < 0)
        return -1;
    const struct engine engine = slurm_engine(&s);
    rounds->followed = true;
    int result = plan_follow(b, p, &engine, &limits, &rounds->failed, err);
    slurm_close(&s);
    return result;
}

static int still_missing(struct error **err)
{
    error_set(err, ERROR_AGAIN, "the registry still lacks results after %d rounds", ROUNDS);
    return error_hint(err, "it loses what is pushed, or no key of KBUILD_TRUSTED_KEYS signed what "
                           "the machines pushed");
}

// 1: there were jobs, and all succeeded; 0: nothing was left to do, and all is placed; -1: error.
static int run_round(const struct spread_request *r, int round, struct rounds *rounds,
                     struct error **err)
{
    cleanup_plan struct plan p = {0};
    struct build *b = r->open(r->context, err);
    int result = b ? make_plan(r, b, round > 1, &p, err) : -1;
    size_t n = result < 0 ? 0 : count_jobs(&p);
    if (n && round == 1)
        result = r->check_places(r->context, err);
    if (n && !result)
        result = round > ROUNDS ? still_missing(err) : run_plan(r, b, &p, rounds, err);
    else if (!result && rounds->followed)
        build_keep_costs(b);
    if (b)
        build_close(b);
    if (result < 0 || n)
        return result < 0 ? -1 : 1;
    rounds->placing = true;
    return r->place(r->context, round > 1, err);
}

// One more round is to see that all of it is there, or to make what was lost meanwhile.
int spread_run(const struct spread_request *r, struct error **err)
{
    int round = 1, silences = 0;
    bool followed = false;
    for (;;) {
        struct rounds rounds = {.followed = followed};
        struct error *why = NULL;
        int did = run_round(r, round, &rounds, &why);
        cleanup_strlist struct strlist failed = rounds.failed;
        followed = rounds.followed;
        if (did == 0)
            return 0;
        if (did > 0) {
            round++;
            continue;
        }
        bool again = why->kind == ERROR_AGAIN && round <= ROUNDS;
        // No job has failed: the registry does not answer. In the first round it may be the wrong
        // one.
        bool silent = again && !failed.n && round > 1 && silences < SILENCES;
        if (!silent && (!again || (!failed.n && !rounds.placing) || round == ROUNDS)) {
            if (followed)
                show_logs(r, &failed);
            if (failed.n && why->kind != ERROR_INTERRUPT)
                place_made(r);
            *err = why;
            return -1;
        }
        log_warning("%s; planning again", why->message);
        error_free(why);
        if (silent) {
            silences++;
            sleep(SILENCE_S);
        } else
            round++;
    }
}
