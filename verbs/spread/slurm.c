// SPDX-License-Identifier: Apache-2.0
// Slurm as an engine: submits with sbatch, asks squeue, which shows jobs for some minutes after
// their end without any accounting, and cancels with scancel.
//
// A controller that restarted may have lost its newest jobs, and gives their numbers to others. So
// each job has a mark in its comment, which no other job has: a number with another one is somebody
// else's, and so is one with another name. (A site may replace comments by its own.) By the mark a
// job is also found whose submission was not answered.
#include "spread/internal.h"

#include "base/error.h"
#include "base/file.h"
#include "base/process.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

// A controller that has just restarted answers before it has read all of its jobs.
enum { PATIENCE_MS = 300000, LOST_MS = 5000, CANCEL_AT_ONCE = 200, CANCEL_TRIES = 3 };
// An sbatch that is about to be answered should be: the number of its job is then known.
enum { INTERRUPT_MS = 2000, ASK_AGAIN_MS = 500 };

// ---- programs ----

// Runs a program of Slurm; its output is appended to `out`.
static int run_slurm(const struct slurm *s, const struct strlist *words, const char *input,
                     struct buf *out, struct error **err)
{
    cleanup_free char **argv = xcalloc(words->n + 1, sizeof *argv);
    cleanup_close int file = input ? nameless_file(NULL, err) : -1;
    for (size_t i = 0; i < words->n; i++)
        argv[i] = words->items[i];
    if (input && (file < 0 || fd_write_all(file, "a script", input, strlen(input), err) < 0))
        return -1;
    if (input)
        lseek(file, 0, SEEK_SET);
    // Ctrl-C on a terminal is for kbuild alone, which knows what it ends: an sbatch may have
    // submitted a job whose number nobody has read.
    struct process p = {
        .argv = argv, .input = file, .own_group = true, .interrupt_ms = s->interrupt_ms};
    if (process_run(&p, out, err) == 0)
        return 0;
    if (err && (*err)->kind == ERROR_INTERRUPT)
        return -1;
    if (err && strcasestr((*err)->message, "munge"))
        return error_hint(err, "munged must run on this machine, with the key that the machines of "
                               "the cluster have; docs/spread.md says how it is set up");
    // Slurm answered, and refused a request.
    if (err && strstr((*err)->message, "submission failed") &&
        !strstr((*err)->message, "controller"))
        return -1;
    return error_hint(err, "Slurm's commands, and SLURM_CONF if it is not in its usual place, "
                           "must work on this machine; docs/spread.md says how it is set up");
}

// ---- a controller that does not answer ----

// Whether the controller did not answer, or not in time: it may be restarting.
static bool is_away(const struct error *why)
{
    static const char *const signs[] = {"ontact slurm controller",
                                        "Socket timed out",
                                        "onnection refused",
                                        "onnection reset",
                                        "onnection timed out",
                                        "Zero Bytes were transmitted",
                                        "standby mode",
                                        "Transport endpoint",
                                        "Communication connection failure",
                                        "communication shutdown failure",
                                        "receive failure",
                                        "send failure"};
    for (size_t i = 0; i < ARRAY_LEN(signs); i++)
        if (strstr(why->message, signs[i]))
            return true;
    return false;
}

// Nobody took the request. Before the first answer it may be the wrong controller.
static bool is_unreachable(const struct error *why)
{
    return strstr(why->message, "ontact slurm controller") ||
           strstr(why->message, "onnection refused");
}

// Takes the error. 1: asks again later, which is said once; -1: it was silent for too long.
static int no_answer(struct slurm *s, long long *since_ms, struct error *why, struct error **err)
{
    const bool said = s->silent_ms || s->refuse_ms;
    *since_ms = *since_ms ? *since_ms : now_ms();
    if (why->kind == ERROR_INTERRUPT || now_ms() - *since_ms >= s->patience_ms) {
        *err = why;
        return -1;
    }
    if (!said)
        log_warning("%s; asking again", why->message);
    error_free(why);
    return 1;
}

// Takes the error. 1: asks again later, which is said once; -1: none of this run's jobs has a
// place, and there was none for too long.
static int no_place(struct slurm *s, struct error *why, struct error **err)
{
    s->full_ms = s->full_ms && !s->open ? s->full_ms : now_ms();
    if (now_ms() - s->full_ms >= s->patience_ms) {
        *err = why;
        return -1;
    }
    if (!s->said_full)
        log_note("%s; the rest is submitted when there is a place", why->message);
    s->said_full = true;
    error_free(why);
    return 1;
}

// ---- the jobs of the list, by line ----

static int compare_lines(const void *a, const void *b)
{
    const struct job_request *x = *(const struct job_request *const *)a;
    const struct job_request *y = *(const struct job_request *const *)b;
    return x->line < y->line ? -1 : x->line > y->line;
}

// What the user has for other submissions, and breaks following. Filters of squeue and scancel hide
// jobs (SQUEUE_PARTITION, SCANCEL_NAME); sbatch would wait for each job, submit several in the
// place of one, or give it to a cluster that squeue is not asked about.
static void forget_variables(void)
{
    cleanup_strlist struct strlist names = {0};
    const char *clusters = getenv("SBATCH_CLUSTERS");
    if (clusters && *clusters)
        setenv("SLURM_CLUSTERS", clusters, 1); // for all of Slurm's commands
    strlist_split(&names, "SBATCH_CLUSTERS SBATCH_WAIT SBATCH_ARRAY_INX", " ");
    for (char **e = environ; *e; e++)
        if (starts_with(*e, "SQUEUE_") || starts_with(*e, "SCANCEL_"))
            strlist_addf(&names, "%.*s", (int)strcspn(*e, "="), *e);
    for (size_t i = 0; i < names.n; i++)
        unsetenv(names.items[i]);
}

int slurm_open(struct slurm *s, const struct job_list *jobs, struct error **err)
{
    unsigned char bytes[(sizeof s->session - 1) / 2];
    forget_variables();
    *s = (struct slurm){
        .n = jobs->n, .patience_ms = PATIENCE_MS, .lost_ms = LOST_MS, .interrupt_ms = INTERRUPT_MS};
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return error_errno(err, errno, "drawing the mark of this run's jobs");
    hex_encode(bytes, sizeof bytes, s->session);
    s->by_line = xcalloc(jobs->n + 1, sizeof(struct job_request *));
    for (size_t i = 0; i < jobs->n; i++)
        s->by_line[i] = &jobs->items[i];
    qsort(s->by_line, s->n, sizeof(struct job_request *), compare_lines);
    return 0;
}

void slurm_close(struct slurm *s)
{
    free(s->by_line);
}

static const struct job_request *request_of(const struct slurm *s, const json_t *line)
{
    const struct job_request key = {.line = line}, *wanted = &key;
    const struct job_request *const *found =
        bsearch(&wanted, s->by_line, s->n, sizeof(struct job_request *), compare_lines);
    return found ? *found : NULL;
}

// ---- squeue ----

#define MARK "kbuild-"

// All jobs of the user, those that ended lately too, a line each.
static int ask_squeue(const struct slurm *s, struct strlist *lines, struct error **err)
{
    cleanup_buf struct buf text = {0};
    cleanup_strlist struct strlist words = {0};
    strlist_split(&words, "squeue --noheader --states=all --me", " ");
    strlist_add(&words, "--Format=" SQUEUE_FORMAT);
    if (run_slurm(s, &words, NULL, &text, err) < 0)
        return -1;
    strlist_split(lines, text.data ? text.data : "", "\n");
    return 0;
}

// What no other job has in its comment; to be freed.
static char *mark_of(const struct slurm *s, const struct job_elsewhere *job)
{
    return xasprintf(MARK "%s-%zu-%u", s->session, job->place, job->submissions);
}

// The comment behind the job's own mark; NULL: it is another job's.
static const char *own_comment(const struct slurm *s, const struct job_elsewhere *job,
                               const char *comment)
{
    cleanup_free char *mark = mark_of(s, job);
    if (!starts_with(comment, mark))
        return NULL;
    comment += strlen(mark);
    return *comment == ' ' ? comment + 1 : !*comment ? comment : NULL;
}

// The same of a line with the job's number. A comment of somebody else ("") has replaced the
// mark, if the name is the job's.
static const char *comment_of(const struct slurm *s, const struct job_elsewhere *job,
                              char *const fields[static FIELDS])
{
    const struct job_request *request = request_of(s, job->line);
    if (starts_with(fields[COMMENT], MARK) || !request || strcmp(fields[NAME], request->id) != 0)
        return own_comment(s, job, fields[COMMENT]);
    return "";
}

// ---- submit ----

static void sbatch_words(const struct job_request *request, const struct job_elsewhere *job,
                         const char *mark, bool resources, struct strlist *out)
{
    cleanup_strlist struct strlist after = {0};
    struct job_request plain = *request;
    if (!resources)
        plain.cpus = plain.mem_mib = 0;
    strlist_add(out, "sbatch");
    job_sbatch_options(&plain, out);
    strlist_addf(out, "--comment=%s", mark);
    for (size_t i = 0; i < job->need_count; i++)
        if (job->needs[i]->id && job->needs[i]->state != JOB_DONE)
            strlist_add(&after, job->needs[i]->id);
    job_sbatch_dependency(&after, out);
    cleanup_free char *not_on = job->not_on.n ? strlist_join(&job->not_on, ",") : NULL;
    if (not_on)
        strlist_addf(out, "--exclude=%s", not_on);
    strlist_add(out, "--output=/dev/null");
}

static int try_submit(const struct slurm *s, const struct job_request *request,
                      struct job_elsewhere *job, bool resources, struct error **err)
{
    cleanup_strlist struct strlist words = {0};
    cleanup_buf struct buf text = {0};
    cleanup_free char *mark = mark_of(s, job), *script = job_script(request, mark);
    sbatch_words(request, job, mark, resources, &words);
    if (run_slurm(s, &words, script, &text, err) < 0)
        return -1;
    job->id = buf_take(&text); // "12" or "12;cluster"
    job->id[strspn(job->id, "0123456789")] = '\0';
    if (*job->id)
        return 0;
    free(steal(job->id));
    job->unsure = true; // its mark finds it
    return error_user(err, "sbatch does not say the number of the job");
}

// Whether sbatch says that no machine fits: "Invalid feature specification", "Requested
// node configuration is not available".
static bool is_about_machines(const struct error *why)
{
    return strstr(why->message, "eature") || strstr(why->message, "node configuration") ||
           strstr(why->message, "nvalid node name"); // one that it must not get is gone
}

// Whether the cluster has as many jobs as it takes, of this user or of all. It says the same of a
// job that is larger than the user may have.
static bool is_about_limits(const struct error *why)
{
    static const char *const signs[] = {"accounting/QOS policy", "temporarily unable",
                                        "temporarily unavailable"};
    for (size_t i = 0; i < ARRAY_LEN(signs); i++)
        if (strstr(why->message, signs[i]))
            return true;
    return false;
}

// After a submission that was not answered: has the controller the job? 1: its number is known
// now; 0: no; -1: no answer.
static int find_submitted(const struct slurm *s, struct job_elsewhere *job, struct error **err)
{
    cleanup_strlist struct strlist lines = {0};
    if (ask_squeue(s, &lines, err) < 0)
        return -1;
    for (size_t i = 0; i < lines.n; i++) {
        char *fields[FIELDS];
        if (!slurm_split_line(lines.items[i], fields) || !own_comment(s, job, fields[COMMENT]))
            continue;
        free(job->id);
        job->id = xstrdup(fields[ID]);
        return 1;
    }
    return 0;
}

// 0: it is submitted; -1.
static int submit_once(struct slurm *s, const struct job_request *request,
                       struct job_elsewhere *job, struct error **err)
{
    struct error *why = NULL;
    const bool unsure = job->unsure;
    int found = unsure ? find_submitted(s, job, err) : 0;
    if (found)
        return found < 0 ? -1 : 0;
    if (try_submit(s, request, job, true, &why) == 0)
        return 0;
    // Records of a larger machine must not exclude every machine of this cluster.
    if (unsure == job->unsure && (request->cpus || request->mem_mib) &&
        !strstr(why->message, "eature") && !is_away(why) && why->kind != ERROR_INTERRUPT) {
        error_free(steal(why));
        if (try_submit(s, request, job, false, &why) == 0)
            return 0;
    }
    *err = why;
    return -1;
}

static int submit(void *context, struct job_elsewhere *job, struct error **err)
{
    struct slurm *s = context;
    const struct job_request *request = request_of(s, job->line);
    struct error *why = NULL;
    if (!request)
        return error_user(err, "it is no job of the plan");
    if (submit_once(s, request, job, &why) == 0) {
        s->answered = true;
        s->refuse_ms = s->full_ms = 0;
        s->open++;
        job->unsure = false;
        return 0;
    }
    if (why->kind == ERROR_INTERRUPT) {
        job->unsure = true;
        error_free(why);
        return 1;
    }
    if (is_away(why) && (s->answered || !is_unreachable(why))) {
        job->unsure = true;
        return no_answer(s, &s->refuse_ms, why, err);
    }
    if (job->not_on.n && is_about_machines(why)) {
        error_free(why);
        return 2;
    }
    if (is_about_limits(why))
        return no_place(s, why, err);
    *err = why;
    if (request->constraint && is_about_machines(why))
        error_hint(err,
                   "it needs a machine with these features, and docs/spread.md says what they "
                   "mean: %s",
                   request->constraint);
    return -1;
}

// ---- poll ----

static long number_of(const struct job_elsewhere *j)
{
    return j->id ? strtol(j->id, NULL, 10) : 0;
}

static int compare_numbers(const void *a, const void *b)
{
    long x = number_of(*(const struct job_elsewhere *const *)a);
    long y = number_of(*(const struct job_elsewhere *const *)b);
    return x < y ? -1 : x > y;
}

// `jobs` are sorted by number. Two of them have one number if the controller lost the first.
static void read_line(const struct slurm *s, char *line, struct job_elsewhere **jobs, size_t n)
{
    char *fields[FIELDS];
    if (!slurm_split_line(line, fields))
        return;
    struct job_elsewhere key = {.id = fields[ID]}, *wanted = &key;
    struct job_elsewhere **found =
        bsearch(&wanted, jobs, n, sizeof(struct job_elsewhere *), compare_numbers);
    while (found && found > jobs && !compare_numbers(&wanted, found - 1))
        found--;
    for (; found && found < jobs + n && !compare_numbers(&wanted, found); found++) {
        const char *said = comment_of(s, *found, fields);
        if (!said)
            continue;
        (*found)->seen = true;
        slurm_set_state(*found, fields, said);
    }
}

// Those that were submitted and have not ended, by number; to be freed.
static struct job_elsewhere **open_jobs(struct job_elsewhere *jobs, size_t n, size_t *count)
{
    struct job_elsewhere **list = xcalloc(n + 1, sizeof(struct job_elsewhere *));
    *count = 0;
    for (size_t i = 0; i < n; i++)
        if (jobs[i].state == JOB_SUBMITTED || jobs[i].state == JOB_RUNNING)
            list[(*count)++] = &jobs[i];
    qsort(list, *count, sizeof(struct job_elsewhere *), compare_numbers);
    return list;
}

// A job that can never start has failed. One that squeue does not show any more may have ended
// well, or its controller lost it: the registry says whether it is to make again. Adds the numbers
// of those that the controller still has.
static void end_if_lost(const struct slurm *s, struct job_elsewhere *j, struct strlist *numbers)
{
    j->unseen_ms = j->seen ? 0 : j->unseen_ms ? j->unseen_ms : now_ms();
    if (!j->seen && now_ms() - j->unseen_ms < s->lost_ms)
        return;
    j->nowhere = j->seen && !j->stuck && j->nowhere_ms && now_ms() - j->nowhere_ms >= s->lost_ms;
    if (j->seen && !j->stuck && !j->nowhere)
        return;
    if (!j->seen)
        slurm_say(j, "squeue does not show it any more");
    else
        strlist_add(numbers, j->id);
    j->state = JOB_FAILED;
    j->status = -1;
    if (j->nowhere)
        return;
    j->replan = !j->seen;
    j->status = !j->seen ? ERROR_AGAIN : -1;
    if (j->seen)
        slurm_set_stuck(j);
}

// Whether one of these jobs still has to be ended.
static int any_left(const struct slurm *s, const struct strlist *numbers, bool waiting,
                    struct error **err)
{
    cleanup_strlist struct strlist lines = {0};
    if (ask_squeue(s, &lines, err) < 0)
        return -1;
    for (size_t i = 0; i < lines.n; i++) {
        char *fields[FIELDS];
        if (!slurm_split_line(lines.items[i], fields) || !strlist_has(numbers, fields[ID]))
            continue;
        const enum job_state state = slurm_state_of(fields[STATE]);
        if (waiting ? !strcmp(fields[STATE], "PENDING")
                    : state == JOB_SUBMITTED || state == JOB_RUNNING)
            return 1;
    }
    return 0;
}

// scancel fails without a word if one of them has ended since.
static int scancel(const struct slurm *s, const struct strlist *numbers, bool waiting,
                   struct error **err)
{
    for (unsigned tries = CANCEL_TRIES;;) {
        cleanup_strlist struct strlist words = {0};
        cleanup_buf struct buf text = {0};
        struct error *why = NULL;
        strlist_split(&words, waiting ? "scancel --quiet --state=PENDING" : "scancel --quiet", " ");
        strlist_add_all(&words, numbers);
        if (run_slurm(s, &words, NULL, &text, &why) == 0)
            return 0;
        int left = why->kind == ERROR_INTERRUPT ? 1 : any_left(s, numbers, waiting, NULL);
        if (!left || (why->kind != ERROR_INTERRUPT && --tries)) {
            error_free(why);
            if (!left)
                return 0;
            continue;
        }
        if (err)
            *err = steal(why);
        error_free(why);
        return -1;
    }
}

static int end_jobs(const struct slurm *s, const struct strlist *numbers, bool waiting,
                    struct error **err)
{
    for (size_t i = 0; i < numbers->n;) {
        cleanup_strlist struct strlist some = {0};
        for (size_t k = 0; k < CANCEL_AT_ONCE && i < numbers->n; k++, i++)
            strlist_add(&some, numbers->items[i]);
        if (scancel(s, &some, waiting, err) < 0)
            return -1;
    }
    return 0;
}

static bool all_done(const struct job_elsewhere *j)
{
    for (size_t i = 0; i < j->need_count; i++)
        if (j->needs[i]->state != JOB_DONE)
            return false;
    return true;
}

// A job whose needs are done waits for another one of its name, as the rest of a run that died.
static void name_other(const struct slurm *s, struct job_elsewhere *j, const struct strlist *lines)
{
    const struct job_request *request = request_of(s, j->line);
    for (size_t i = 0; i < lines->n; i++) {
        cleanup_free char *line = xstrdup(lines->items[i]);
        char *fields[FIELDS];
        if (!slurm_split_line(line, fields) || strcmp(fields[NAME], request->id) != 0 ||
            !strcmp(fields[ID], j->id))
            continue;
        const enum job_state state = slurm_state_of(fields[STATE]);
        if (state != JOB_SUBMITTED && state != JOB_RUNNING)
            continue;
        free(j->waits);
        j->waits = xasprintf("%s waits until job %s, which has its name, has ended, and that is %s "
                             "(%s); `scancel %s` ends it",
                             request->id, fields[ID], fields[STATE], fields[REASON], fields[ID]);
        return;
    }
}

static int poll_squeue(void *context, struct job_elsewhere *jobs, size_t n, struct error **err)
{
    struct slurm *s = context;
    cleanup_free struct job_elsewhere **list = open_jobs(jobs, n, &s->open);
    const size_t count = s->open;
    cleanup_strlist struct strlist lines = {0}, numbers = {0};
    if (!count)
        return 0;
    struct error *why = NULL;
    if (ask_squeue(s, &lines, &why) < 0)
        return no_answer(s, &s->silent_ms, why, err) < 0 ? -1 : 0;
    s->answered = true;
    s->silent_ms = 0;
    for (size_t i = 0; i < count; i++)
        list[i]->seen = false;
    for (size_t i = 0; i < lines.n; i++) {
        cleanup_free char *line = xstrdup(lines.items[i]);
        read_line(s, line, list, count);
    }
    for (size_t i = 0; i < count; i++) {
        if (list[i]->state == JOB_SUBMITTED && list[i]->seen && all_done(list[i]))
            name_other(s, list[i], &lines);
        end_if_lost(s, list[i], &numbers);
    }
    free(open_jobs(jobs, n, &s->open));
    return end_jobs(s, &numbers, false, err);
}

// ---- cancel ----

// Adds the number of a job whose submission was not answered, if the controller has it. It may be
// about to read a request whose sbatch has ended.
static int add_unsure(const struct slurm *s, struct job_elsewhere *job, struct strlist *numbers,
                      struct error **err)
{
    const long long until = now_ms() + s->lost_ms;
    int found = job->unsure ? find_submitted(s, job, err) : 0;
    while (job->unsure && !found && now_ms() < until) {
        const struct timespec pause = {.tv_nsec = ASK_AGAIN_MS * 1000000L};
        nanosleep(&pause, NULL);
        found = find_submitted(s, job, err);
    }
    if (found <= 0)
        return found;
    job->unsure = false;
    job->state = JOB_SUBMITTED;
    strlist_add(numbers, job->id);
    return 0;
}

static int cancel_jobs(struct slurm *s, struct job_elsewhere *jobs, size_t n, bool waiting,
                       struct error **err)
{
    size_t count;
    cleanup_strlist struct strlist numbers = {0};
    cleanup_free struct job_elsewhere **list = open_jobs(jobs, n, &count);
    for (size_t i = 0; i < count; i++)
        strlist_add(&numbers, list[i]->id);
    int result = end_jobs(s, &numbers, waiting, err);
    // An unanswered question keeps no job of a known number alive.
    cleanup_strlist struct strlist found = {0};
    for (size_t i = 0; i < n && !result; i++)
        result = add_unsure(s, &jobs[i], &found, err);
    return result < 0 ? -1 : end_jobs(s, &found, waiting, err);
}

// Jobs that wait and have not been tried keep the machines that get no more jobs. One that has
// begun meanwhile is refused, and may fail there.
static void avoid(void *context, struct job_elsewhere *const *jobs, size_t n)
{
    const struct slurm *s = context;
    cleanup_free char *machines = strlist_join(&jobs[0]->not_on, ",");
    for (size_t i = 0; i < n;) {
        cleanup_strlist struct strlist some = {0}, words = {0};
        cleanup_buf struct buf text = {0};
        for (size_t k = 0; k < CANCEL_AT_ONCE && i < n; k++, i++)
            strlist_add(&some, jobs[i]->id);
        cleanup_free char *numbers = strlist_join(&some, ",");
        strlist_split(&words, "scontrol --quiet update", " ");
        strlist_addf(&words, "JobId=%s", numbers);
        strlist_addf(&words, "ExcNodeList=%s", machines);
        run_slurm(s, &words, NULL, &text, NULL);
    }
}

// No interrupt ends the programs that do what an interrupt asks for, nor those that say what became
// of the jobs.
static int cancel(void *context, struct job_elsewhere *jobs, size_t n, bool waiting,
                  struct error **err)
{
    struct slurm *s = context;
    const int interrupt_ms = s->interrupt_ms;
    s->interrupt_ms = 0;
    int result = cancel_jobs(s, jobs, n, waiting, err);
    if (waiting)
        s->interrupt_ms = interrupt_ms;
    return result;
}

struct engine slurm_engine(struct slurm *s)
{
    return (struct engine){.context = s,
                           .name = "Slurm",
                           .submit = submit,
                           .poll = poll_squeue,
                           .cancel = cancel,
                           .avoid = avoid};
}
