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
    TRIES = 3,
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

// ---- what the jobs are made from ----

// The parts of the plan that say what it is made from; to be freed with json_decref().
static json_t *pin_of(const struct plan *p)
{
    static const char *const parts[] = {"depends", "variables", "folders"};
    json_t *pin = json_object(), *keys = json_object();
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        json_object_set(pin, parts[i], json_object_get(p->header, parts[i]));
    for (size_t i = 0; i < json_array_size(p->nodes); i++) {
        const json_t *line = json_array_get(p->nodes, i);
        if (!strcmp(plan_text(line, "state"), "project"))
            json_object_set(keys, plan_text(line, "label"), json_object_get(line, "key"));
    }
    json_object_set_new(pin, "keys", keys);
    return pin;
}

// The key of a folder that one of the plans lacks: no job needs it any more.
static void add_changes(const json_t *one, const json_t *other, bool keys, struct strlist *out)
{
    const char *name;
    const json_t *value;
    json_object_foreach((json_t *)one, name, value)
    {
        const json_t *now = json_object_get(other, name);
        if ((now || !keys) && !json_equal(now, value))
            strlist_add(out, name);
    }
    json_object_foreach((json_t *)other, name, value)
    {
        if (!keys && !json_object_get(one, name))
            strlist_add(out, name);
    }
}

// An error that names what is other than when the jobs were planned.
static int check_pin(const json_t *pin, const struct plan *p, struct error **err)
{
    cleanup_strlist struct strlist names = {0};
    const char *part;
    json_auto_t *now = pin_of(p);
    const json_t *value;
    json_object_foreach((json_t *)pin, part, value)
    {
        add_changes(value, json_object_get(now, part), !strcmp(part, "keys"), &names);
    }
    if (!names.n)
        return 0;
    cleanup_free char *changed = strlist_join(&names, ", ");
    error_user(err, "%s changed here since the jobs were planned", changed);
    return error_hint(err, "what the jobs made is in the registry. The same command makes what the "
                           "change asks for; with all as it was, it places what they made");
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

// What the failed jobs pushed of their logs.
static void show_logs(struct build *b, const struct strlist *failed)
{
    for (size_t i = 0; i < failed->n; i++) {
        cleanup_pushed_log struct pushed_log log = {0};
        struct node *node = graph_find(build_graph(b), failed->items[i]);
        if (node && build_remote_log(b, node, &log, NULL) > 0)
            print_tail(&log);
    }
}

// ---- a round ----

// What the rounds left, for the next one and for the end.
struct rounds {
    int round;
    struct follow_history history;
    json_t *pin;      // of the first plan
    bool placing;     // nothing was left to do
    bool followed;    // jobs, in any of them: there is a record of the run
    bool jobs_failed; // some did, for good or in the last one
};

// The nodes that failed for good, and what needs them, are not made.
static bool is_hopeless(const json_t *line, const json_t *hopeless, const struct strlist *failed)
{
    const json_t *needs = json_object_get(line, "needs");
    for (size_t i = 0; i < json_array_size(needs); i++)
        if (json_object_get(hopeless, plan_item(needs, i)))
            return true;
    return strlist_has(failed, plan_text(line, "node"));
}

// The jobs that are left to do; *lost: those that no round will do.
static size_t count_jobs(const struct plan *p, const struct strlist *failed, size_t *lost)
{
    json_auto_t *hopeless = json_object();
    size_t n = 0;
    *lost = 0;
    for (size_t i = 0; i < json_array_size(p->nodes); i++) {
        const json_t *line = json_array_get(p->nodes, i);
        if (!json_is_array(json_object_get(line, "command")))
            continue;
        if (is_hopeless(line, hopeless, failed)) {
            json_object_set_new(hopeless, plan_text(line, "node"), json_true());
            ++*lost;
        } else {
            n++;
        }
    }
    return n;
}

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
                                         .tries = TRIES,
                                         .project = project};
    struct slurm s;
    if (slurm_open(&s, &jobs, err) < 0)
        return -1;
    const struct engine engine = slurm_engine(&s);
    rounds->followed = true;
    int result = plan_follow(b, p, &engine, &limits, &rounds->history, err);
    slurm_close(&s);
    return result;
}

static int still_missing(struct error **err)
{
    error_set(err, ERROR_AGAIN, "the registry still lacks results after %d rounds", ROUNDS);
    return error_hint(err, "it loses what is pushed, or no key of KBUILD_TRUSTED_KEYS signed what "
                           "the machines pushed");
}

// The first plan pins what the jobs are made from.
static int check_plan(const struct spread_request *r, struct rounds *rounds, const struct plan *p,
                      bool jobs, struct error **err)
{
    if (rounds->pin)
        return check_pin(rounds->pin, p, err);
    rounds->pin = pin_of(p);
    return jobs ? r->check_places(r->context, err) : 0;
}

enum round_end { ROUND_PLACED, ROUND_DID, ROUND_FAILED };

// ROUND_DID: there were jobs, and all succeeded; ROUND_PLACED: nothing was left to do, and all is
// placed; ROUND_FAILED: jobs failed, and the history says why; -1: error.
static int run_round(const struct spread_request *r, struct rounds *rounds, struct error **err)
{
    cleanup_plan struct plan p = {0};
    size_t n = 0, lost = 0;
    rounds->placing = false;
    struct build *b = r->open(r->context, err);
    if (!b && rounds->pin)
        error_wrap(err, "reading the recipes again, after the jobs");
    int result = b ? make_plan(r, b, rounds->round > 1, &p, err) : -1;
    if (!result)
        n = count_jobs(&p, &rounds->history.failed, &lost);
    if (!result)
        result = check_plan(r, rounds, &p, n > 0, err);
    if (!result && n && rounds->round > ROUNDS)
        result = still_missing(err);
    else if (!result && n)
        result = run_plan(r, b, &p, rounds, err);
    else if (!result && rounds->followed)
        build_keep_costs(b);
    if (b)
        build_close(b);
    if (result < 0)
        return -1;
    if (result || (lost && !n))
        return ROUND_FAILED;
    if (n)
        return ROUND_DID;
    rounds->placing = true;
    return r->place(r->context, rounds->round > 1, err);
}

// Shows the logs of steps that failed, and places what was made, as a run on this machine does
// after a failed step. Neither replaces the error to report.
static void end_badly(const struct spread_request *r, struct rounds *rounds, bool places)
{
    cleanup_plan struct plan p = {0};
    cleanup_error struct error *why = NULL;
    struct build *b = r->open(r->context, &why);
    bool same = false;
    if (b) {
        b->options.locked = true;
        same = rounds->jobs_failed && ask_and_plan(r, b, &p, &why) == 0 &&
               check_pin(rounds->pin, &p, &why) == 0;
        if (same)
            show_logs(b, &rounds->history.logs);
        build_keep_costs(b);
        build_close(b);
    }
    if (places && rounds->jobs_failed && (!same || r->place_made(r->context, &why) < 0))
        log_warning("placing what was made: %s", why->message);
}

// The error of the jobs that failed: planning again does not help, or was of no help.
static struct error *jobs_failure(struct follow_history *h)
{
    return h->worst ? steal(h->worst) : steal(h->again);
}

// Whether there is another round, after an error or jobs that failed, which is said then. A
// registry that does not answer is asked again. In the first round it may be the wrong one.
static bool goes_on(const struct spread_request *r, struct rounds *rounds, int *silences,
                    const struct error *why)
{
    const struct follow_history *h = &rounds->history;
    if (!why && (!h->again || rounds->round >= ROUNDS || (h->failed.n && !r->keep_going)))
        return false;
    if (why && (why->kind != ERROR_AGAIN || rounds->round > ROUNDS))
        return false;
    bool silent = why && rounds->round > 1 && *silences < SILENCES;
    if (why && !silent && (!rounds->placing || rounds->round == ROUNDS))
        return false;
    log_warning("%s; planning again", why ? why->message : h->again->message);
    if (silent) {
        ++*silences;
        sleep(SILENCE_S);
    } else {
        rounds->round++;
    }
    return true;
}

static int run_rounds(const struct spread_request *r, struct rounds *rounds, struct error **err)
{
    int silences = 0;
    for (;;) {
        struct error *why = NULL;
        int did = run_round(r, rounds, &why);
        rounds->jobs_failed = did == ROUND_FAILED || rounds->history.failed.n;
        if (did == ROUND_PLACED)
            return 0;
        if (did == ROUND_DID) {
            // One more round is to see that all of it is there, or to make what was lost meanwhile.
            rounds->round++;
        } else if (goes_on(r, rounds, &silences, why)) {
            error_free(why);
        } else {
            *err = why ? why : jobs_failure(&rounds->history);
            return -1;
        }
    }
}

int spread_run(const struct spread_request *r, struct error **err)
{
    struct rounds rounds = {.round = 1};
    int result = run_rounds(r, &rounds, err);
    if (result < 0 && rounds.followed)
        end_badly(r, &rounds, (*err)->kind != ERROR_INTERRUPT);
    follow_history_free(&rounds.history);
    json_decref(rounds.pin);
    return result;
}
