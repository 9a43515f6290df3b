// SPDX-License-Identifier: Apache-2.0
// Slurm as an engine, over programs of its names that a test tells what to say: a controller that
// does not answer, that lost jobs, and that gives their numbers to others.
#include "test.h"

#include "base/error.h"
#include "base/file.h"
#include "base/process.h"
#include "spread/internal.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

// $SLURM_FAKE/answers has a word for each sbatch that is to fail: "away": nobody is there; "late":
// the job is taken, and that is not said; "lost": nor is it taken; "hang": it is, and no answer
// comes; "full": there is no place for it. $SLURM_FAKE/jobs is what squeue prints, and of scancel
// the file has a word for each that is to fail.
static const char sbatch[] =
    "#!/bin/sh\n"
    "cd \"$SLURM_FAKE\"\n"
    "word=$(head -n 1 answers 2>/dev/null)\n"
    "[ -z \"$word\" ] || sed -i 1d answers\n"
    "say() { echo \"sbatch: error: Batch job submission failed: $*\" >&2; exit 1; }\n"
    "[ \"$word\" != away ] || say 'Unable to contact slurm controller (connect failure)'\n"
    "[ \"$word\" != lost ] || say 'Socket timed out on send/recv operation'\n"
    "[ \"$word\" != full ] ||\n"
    "  say \"Job violates accounting/QOS policy (job submit limit, user's size and/or time "
    "limits)\"\n"
    "[ -z \"$SBATCH_WAIT$SBATCH_ARRAY_INX$SBATCH_CLUSTERS\" ] || say 'a variable'\n"
    "exclude=\n"
    "for o; do case $o in\n"
    "  --comment=*) comment=${o#*=} ;;\n"
    "  --job-name=*) name=${o#*=} ;;\n"
    "  --exclude=*) exclude=${o#*=} ;;\n"
    "esac; done\n"
    "echo \"$exclude\" >>excluded\n"
    "[ \"$exclude\" != m1,m2 ] || say 'Requested node configuration is not available'\n"
    "number=$(cat next); echo $((number + 1)) >next\n"
    "cat >script.$number\n"
    "echo \"$number|PENDING|None||0|$name|$comment\" >>jobs\n"
    "[ \"$word\" != late ] || say 'Socket timed out on send/recv operation'\n"
    "[ \"$word\" != hang ] || exec sleep 300\n"
    "echo $number\n";
static const char squeue[] = "#!/bin/sh\ncat \"$SLURM_FAKE/jobs\"\n";
static const char scancel[] = "#!/bin/sh\n"
                              "cd \"$SLURM_FAKE\"\n"
                              "echo \"$@\" >>cancelled\n"
                              "word=$(head -n 1 answers 2>/dev/null)\n"
                              "[ -z \"$word\" ] || { sed -i 1d answers; exit 1; }\n";
static const char scontrol[] = "#!/bin/sh\necho \"$@\" >>\"$SLURM_FAKE/updated\"\n";

static char *folder, *path_before;

static void write_at(const char *name, const char *text, mode_t mode)
{
    cleanup_free char *path = xasprintf("%s/%s", folder, name);
    assert_int_equal(file_write(path, text, strlen(text), mode, NULL), 0);
}

static char *text_at(const char *name)
{
    cleanup_free char *path = xasprintf("%s/%s", folder, name);
    struct buf text = {0};
    file_read(path, 65536, &text, NULL);
    return text.data ? buf_take(&text) : xstrdup("");
}

static void quiet(enum log_level level, const char *line, void *context)
{
}

static int begin(void **state)
{
    const char *parent = getenv("TMPDIR");
    folder = make_temporary_directory(parent ? parent : "/tmp", "spread-slurm", NULL);
    path_before = xstrdup(getenv("PATH"));
    cleanup_free char *path = xasprintf("%s:%s", folder, path_before);
    setenv("PATH", path, 1);
    setenv("SLURM_FAKE", folder, 1);
    write_at("sbatch", sbatch, 0755);
    write_at("squeue", squeue, 0755);
    write_at("scancel", scancel, 0755);
    write_at("scontrol", scontrol, 0755);
    log_redirect(quiet, NULL);
    return 0;
}

static int end(void **state)
{
    log_redirect(NULL, NULL);
    setenv("PATH", path_before, 1);
    unsetenv("SLURM_FAKE");
    remove_tree(folder, NULL);
    free(folder);
    free(path_before);
    return 0;
}

ALL_TESTS(begin, end)

// Two jobs without needs, which nobody has submitted.
struct fixture {
    struct plan p;
    struct job_list list;
    struct slurm s;
    struct engine e;
    struct job_elsewhere jobs[2];
};

static void open_fixture(struct fixture *d)
{
    static const char *const ids[] = {"a:x", "b:x"};
    *d = (struct fixture){
        .p = {.header = json_pack("{s:s}", "grain", "node"), .nodes = json_array()}};
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        json_t *line = json_pack("{s:s, s:s, s:s, s:[], s:[]}", "node", ids[i], "label", ids[i],
                                 "state", "to make", "needs", "command");
        json_array_append_new(d->p.nodes, line);
        d->jobs[i] = (struct job_elsewhere){.line = line, .place = i, .status = -1};
    }
    assert_int_equal(job_list_make(&d->p, "r/p@sha256:0", &d->list, NULL), 0);
    assert_int_equal(slurm_open(&d->s, &d->list, NULL), 0);
    d->s.lost_ms = 0;
    d->e = slurm_engine(&d->s);
    write_at("answers", "", 0644);
    write_at("jobs", "", 0644);
    write_at("next", "1\n", 0644);
    write_at("cancelled", "", 0644);
    write_at("excluded", "", 0644);
    write_at("updated", "", 0644);
}

static void close_fixture(struct fixture *d)
{
    for (size_t i = 0; i < ARRAY_LEN(d->jobs); i++) {
        free(d->jobs[i].id);
        free(d->jobs[i].where);
        free(d->jobs[i].said);
        free(d->jobs[i].waits);
        strlist_free(&d->jobs[i].not_on);
    }
    slurm_close(&d->s);
    job_list_free(&d->list);
    plan_free(&d->p);
}

static int submit(struct fixture *d, size_t i)
{
    struct error *err = NULL;
    int result = d->e.submit(d->e.context, &d->jobs[i], &err);
    if (err)
        fail_msg("%s", err->message);
    d->jobs[i].state = result ? JOB_WAITING : JOB_SUBMITTED;
    d->s.open = 0; // as if the others had ended
    return result;
}

static void poll_jobs(struct fixture *d)
{
    struct error *err = NULL;
    d->e.poll(d->e.context, d->jobs, ARRAY_LEN(d->jobs), &err);
    if (err)
        fail_msg("%s", err->message);
}

// squeue's line of a job, with a comment behind its mark.
static char *line_of(const struct fixture *d, size_t i, const char *before, const char *said)
{
    return xasprintf("%s|%s|%s|kbuild-%s-%zu-%u%s\n", d->jobs[i].id, before, i ? "b:x" : "a:x",
                     d->s.session, d->jobs[i].place, d->jobs[i].submissions, said);
}

TEST(a_submission_without_an_answer_is_tried_again_and_never_twice)
{
    struct fixture d;
    open_fixture(&d);
    assert_int_equal(submit(&d, 0), 0);
    write_at("answers", "away\nlost\nlate\n", 0644);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(submit(&d, 1), 1);
    assert_int_equal(submit(&d, 1), 0);
    assert_string_equal(d.jobs[1].id, "2");
    cleanup_free char *next = text_at("next");
    assert_string_equal(next, "3\n");
    close_fixture(&d);
}

TEST(a_controller_that_never_answered_is_an_error_and_one_that_is_silent_for_too_long)
{
    struct fixture d;
    cleanup_error struct error *first = NULL, *later = NULL;
    open_fixture(&d);
    write_at("answers", "away\n", 0644);
    assert_int_equal(d.e.submit(d.e.context, &d.jobs[0], &first), -1);
    assert_non_null(strstr(first->message, "Unable to contact slurm controller"));
    assert_int_equal(submit(&d, 0), 0);
    d.s.patience_ms = 0;
    write_at("answers", "away\n", 0644);
    assert_int_equal(d.e.submit(d.e.context, &d.jobs[1], &later), -1);
    close_fixture(&d);
}

TEST(a_job_whose_submission_was_not_answered_is_cancelled_with_the_others)
{
    struct fixture d;
    struct error *err = NULL;
    open_fixture(&d);
    assert_int_equal(submit(&d, 0), 0);
    write_at("answers", "late\n", 0644);
    assert_int_equal(submit(&d, 1), 1);
    assert_int_equal(d.e.cancel(d.e.context, d.jobs, ARRAY_LEN(d.jobs), false, &err), 0);
    cleanup_free char *cancelled = text_at("cancelled");
    assert_string_equal(cancelled, "--quiet 1\n--quiet 2\n");
    close_fixture(&d);
}

TEST(an_interrupt_ends_an_sbatch_that_hangs_and_cancels_its_job)
{
    struct fixture d;
    struct error *err = NULL;
    sigset_t set, old;
    open_fixture(&d);
    d.s.interrupt_ms = 300;
    write_at("answers", "hang\n", 0644);
    signals_on_entry();
    ending_signals(&set);
    sigprocmask(SIG_BLOCK, &set, &old);
    kill(getpid(), SIGINT);
    assert_int_equal(submit(&d, 0), 1);
    assert_true(interrupt_is_pending());
    // The signal is still there, and does not end what it asked for.
    assert_int_equal(d.e.cancel(d.e.context, d.jobs, ARRAY_LEN(d.jobs), false, &err), 0);
    assert_int_equal(sigtimedwait(&set, NULL, &(struct timespec){0}), SIGINT);
    sigprocmask(SIG_SETMASK, &old, NULL);
    cleanup_free char *cancelled = text_at("cancelled");
    assert_string_equal(cancelled, "--quiet 1\n");
    close_fixture(&d);
}

TEST(a_number_that_was_given_again_is_another_job)
{
    struct fixture d;
    open_fixture(&d);
    assert_int_equal(submit(&d, 0), 0);
    // Somebody else's job of that number has failed.
    write_at("jobs", "1|FAILED|NonZeroExitCode|m1|768|a:x|kbuild-0123456789abcdef-0-0 its script\n",
             0644);
    poll_jobs(&d);
    assert_int_equal(d.jobs[0].state, JOB_FAILED);
    assert_int_equal(d.jobs[0].status, ERROR_AGAIN);
    close_fixture(&d);
    // The next one of this run got it.
    open_fixture(&d);
    assert_int_equal(submit(&d, 0), 0);
    write_at("jobs", "", 0644);
    write_at("next", "1\n", 0644);
    assert_int_equal(submit(&d, 1), 0);
    assert_string_equal(d.jobs[0].id, d.jobs[1].id);
    cleanup_free char *line = line_of(&d, 1, "RUNNING|None|m1|0", "");
    write_at("jobs", line, 0644);
    poll_jobs(&d);
    assert_int_equal(d.jobs[0].status, ERROR_AGAIN);
    assert_int_equal(d.jobs[1].state, JOB_RUNNING);
    close_fixture(&d);
}

// It answers before it has read all of them.
TEST(a_job_that_a_restarted_controller_does_not_show_yet_is_not_lost)
{
    struct fixture d;
    open_fixture(&d);
    d.s.lost_ms = 3600000;
    assert_int_equal(submit(&d, 0), 0);
    write_at("jobs", "", 0644);
    poll_jobs(&d);
    assert_int_equal(d.jobs[0].state, JOB_SUBMITTED);
    cleanup_free char *line = line_of(&d, 0, "COMPLETED|None|m1|0", "");
    write_at("jobs", line, 0644);
    poll_jobs(&d);
    assert_int_equal(d.jobs[0].state, JOB_DONE);
    close_fixture(&d);
}

TEST(what_slurm_says_of_a_job_becomes_its_state)
{
    static const struct {
        const char *says, *comment;
        enum job_state state;
        int status;
    } cases[] = {
        {"RUNNING|None|m1|0", "", JOB_RUNNING, -1},
        {"COMPLETED|None|m1|0", "", JOB_DONE, -1},
        {"FAILED|NonZeroExitCode|m1|768", " its script", JOB_FAILED, 3},
        {"FAILED|NonZeroExitCode|m1|19200", " no input", JOB_FAILED, 75},
        {"FAILED|JobLaunchFailure|m1|9", "", JOB_FAILED, 137},
        {"OUT_OF_MEMORY|OutOfMemory|m1|125", "", JOB_FAILED, 137},
        {"TIMEOUT|TimeLimit|m1|0", "", JOB_FAILED, -1},
        {"TIMEOUT|TimeLimit|m1|33280", "", JOB_FAILED, -1},
        {"CANCELLED|None|m1|0", "", JOB_CANCELLED, -1},
        // By somebody, while it waited for its needs.
        {"CANCELLED|Dependency||0", "", JOB_CANCELLED, -1},
        // The number of what it needs is another job's, or its machine ended it.
        {"CANCELLED|DependencyNeverSatisfied||0", "", JOB_CANCELLED, 75},
        {"PENDING|DependencyNeverSatisfied||0", "", JOB_FAILED, 75},
        {"PENDING|JobHeldUser||0", "", JOB_FAILED, -1},
        {"PENDING|launch failed requeued held||0", "", JOB_FAILED, 75},
        {"PENDING|launch_failed_requeued_held||0", "", JOB_FAILED, 75},
        {"NODE_FAIL|NodeDown|m1|0", "", JOB_FAILED, 75},
        {"PREEMPTED|None|m1|0", "", JOB_FAILED, 75},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fixture d;
        open_fixture(&d);
        assert_int_equal(submit(&d, 0), 0);
        cleanup_free char *line = line_of(&d, 0, cases[i].says, cases[i].comment);
        write_at("jobs", line, 0644);
        poll_jobs(&d);
        if (d.jobs[0].state != cases[i].state || d.jobs[0].status != cases[i].status)
            fail_msg("%s: state %d, status %d", cases[i].says, d.jobs[0].state, d.jobs[0].status);
        // It is not its machine's fault.
        assert_int_equal(d.jobs[0].replan, strstr(cases[i].says, "NeverSatisfied") != NULL ||
                                               strstr(cases[i].says, "PREEMPTED") != NULL);
        if (*cases[i].comment)
            assert_string_equal(d.jobs[0].said, cases[i].comment + 1);
        close_fixture(&d);
    }
}

// The comment of a job that ends with an error keeps the mark; a lost input is not waited for.
TEST(the_script_of_a_job_keeps_its_mark)
{
    struct fixture d;
    open_fixture(&d);
    assert_int_equal(submit(&d, 0), 0);
    cleanup_free char *script = text_at("script.1");
    cleanup_free char *mark = xasprintf("Comment=\"kbuild-%s-0-0 $1", d.s.session);
    assert_non_null(strstr(script, mark));
    assert_non_null(strstr(script, "rm \"$said\"\n"));
    assert_non_null(strstr(script, "! grep -q '^kbuild: error: .*is in no cache' "));
    close_fixture(&d);
}

// A site's own program sets comments of jobs, or an administrator does.
TEST(a_job_whose_comment_was_replaced_is_still_the_job)
{
    struct fixture d;
    open_fixture(&d);
    assert_int_equal(submit(&d, 0), 0);
    write_at("jobs", "1|RUNNING|None|m1|0|a:x|site\n", 0644);
    poll_jobs(&d);
    assert_int_equal(d.jobs[0].state, JOB_RUNNING);
    assert_string_equal(d.jobs[0].where, "m1");
    // Of another name it is another job.
    write_at("jobs", "1|RUNNING|None|m1|0|other|site\n", 0644);
    poll_jobs(&d);
    assert_int_equal(d.jobs[0].state, JOB_FAILED);
    assert_true(d.jobs[0].replan);
    close_fixture(&d);
}

TEST(without_a_place_for_a_job_it_is_submitted_later)
{
    struct fixture d;
    cleanup_error struct error *err = NULL;
    open_fixture(&d);
    assert_int_equal(submit(&d, 0), 0);
    d.s.patience_ms = 0;
    // One of this run has a place, and will leave it.
    poll_jobs(&d);
    write_at("answers", "full\n", 0644);
    d.s.patience_ms = 1;
    assert_int_equal(submit(&d, 1), 1);
    assert_int_equal(submit(&d, 1), 0);
    // None has, for too long.
    d.s.patience_ms = 0;
    d.s.open = 0;
    write_at("answers", "full\n", 0644);
    assert_int_equal(d.e.submit(d.e.context, &d.jobs[1], &err), -1);
    assert_non_null(strstr(err->message, "job submit limit"));
    close_fixture(&d);
}

TEST(a_job_is_kept_from_machines_while_others_fit)
{
    struct fixture d;
    open_fixture(&d);
    strlist_add(&d.jobs[0].not_on, "m1");
    assert_int_equal(submit(&d, 0), 0);
    strlist_add(&d.jobs[1].not_on, "m1");
    strlist_add(&d.jobs[1].not_on, "m2");
    assert_int_equal(submit(&d, 1), 2);
    cleanup_free char *excluded = text_at("excluded");
    assert_string_equal(excluded, "m1\nm1,m2\n");
    // The others are drained.
    cleanup_free char *line = line_of(&d, 0, "PENDING|ReqNodeNotAvail, UnavailableNodes:m2||0", "");
    write_at("jobs", line, 0644);
    d.s.lost_ms = 3600000;
    poll_jobs(&d);
    assert_int_equal(d.jobs[0].state, JOB_SUBMITTED);
    d.s.lost_ms = 0;
    poll_jobs(&d);
    assert_int_equal(d.jobs[0].state, JOB_FAILED);
    assert_true(d.jobs[0].nowhere);
    cleanup_free char *cancelled = text_at("cancelled");
    assert_string_equal(cancelled, "--quiet 1\n");
    // One that waits anyway waits.
    assert_int_equal(submit(&d, 1), 2);
    strlist_free(&d.jobs[1].not_on);
    assert_int_equal(submit(&d, 1), 0);
    cleanup_free char *other =
        line_of(&d, 1, "PENDING|ReqNodeNotAvail, UnavailableNodes:m2||0", "");
    write_at("jobs", other, 0644);
    poll_jobs(&d);
    assert_int_equal(d.jobs[1].state, JOB_SUBMITTED);
    // It is kept from a machine since.
    strlist_add(&d.jobs[1].not_on, "m1");
    struct job_elsewhere *const waiting[] = {&d.jobs[1]};
    d.e.avoid(d.e.context, waiting, 1);
    cleanup_free char *updated = text_at("updated");
    assert_string_equal(updated, "--quiet update JobId=2 ExcNodeList=m1\n");
    close_fixture(&d);
}

// scancel fails, without a word, if one of them has ended.
TEST(jobs_that_ended_meanwhile_are_cancelled)
{
    struct fixture d;
    struct error *err = NULL;
    open_fixture(&d);
    assert_int_equal(submit(&d, 0), 0);
    cleanup_free char *ended = line_of(&d, 0, "CANCELLED|DependencyNeverSatisfied||0", "");
    write_at("jobs", ended, 0644);
    write_at("answers", "fails\n", 0644);
    assert_int_equal(d.e.cancel(d.e.context, d.jobs, ARRAY_LEN(d.jobs), true, &err), 0);
    // One is still there.
    cleanup_free char *waits = line_of(&d, 0, "PENDING|Priority||0", "");
    write_at("jobs", waits, 0644);
    write_at("answers", "fails\n", 0644);
    assert_int_equal(d.e.cancel(d.e.context, d.jobs, ARRAY_LEN(d.jobs), true, &err), 0);
    cleanup_free char *cancelled = text_at("cancelled");
    assert_string_equal(cancelled, "--quiet --state=PENDING 1\n--quiet --state=PENDING 1\n"
                                   "--quiet --state=PENDING 1\n");
    write_at("answers", "fails\nfails\nfails\nfails\n", 0644);
    assert_int_equal(d.e.cancel(d.e.context, d.jobs, ARRAY_LEN(d.jobs), true, &err), -1);
    assert_non_null(strstr(err->message, "scancel failed"));
    error_free(err);
    write_at("answers", "fails\nfails\nfails\nfails\n", 0644);
    assert_int_equal(d.e.cancel(d.e.context, d.jobs, ARRAY_LEN(d.jobs), true, NULL), -1);
    close_fixture(&d);
}

TEST(a_job_that_waits_for_another_of_its_name_names_it)
{
    struct fixture d;
    open_fixture(&d);
    assert_int_equal(submit(&d, 0), 0);
    cleanup_free char *line = line_of(&d, 0, "PENDING|Dependency||0", "");
    cleanup_free char *both = xasprintf("%s7|PENDING|JobHeldUser||0|a:x|kbuild-of-another-0\n"
                                        "8|COMPLETED|None|m1|0|a:x|\n",
                                        line);
    write_at("jobs", both, 0644);
    poll_jobs(&d);
    assert_int_equal(d.jobs[0].state, JOB_SUBMITTED);
    assert_string_equal(d.jobs[0].waits,
                        "a:x waits until job 7, which has its name, has ended, and "
                        "that is PENDING (JobHeldUser); `scancel 7` ends it");
    close_fixture(&d);
}

TEST(variables_of_other_submissions_do_not_break_this_one)
{
    struct fixture d;
    setenv("SBATCH_WAIT", "1", 1);
    setenv("SBATCH_ARRAY_INX", "0-1", 1);
    setenv("SBATCH_CLUSTERS", "other", 1);
    open_fixture(&d);
    assert_int_equal(submit(&d, 0), 0);
    assert_string_equal(getenv("SLURM_CLUSTERS"), "other");
    unsetenv("SLURM_CLUSTERS");
    close_fixture(&d);
}

TEST(a_job_says_whether_it_found_its_node)
{
    static const struct {
        const char *says, *status, *comment;
    } cases[] = {
        {"kbuild: a:x: found, key 012345678901", "0", " found"},
        {"kbuild: a x: done in 1 s", "0", ""},
        {"kbuild: error: no", "3", " no"},
    };
    write_at("kbuild", "#!/bin/sh\necho \"$FAKE_SAYS\" >&2\nexit \"$FAKE_STATUS\"\n", 0755);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fixture d;
        open_fixture(&d);
        assert_int_equal(submit(&d, 0), 0);
        setenv("FAKE_SAYS", cases[i].says, 1);
        setenv("FAKE_STATUS", cases[i].status, 1);
        setenv("SLURM_JOB_ID", "1", 1);
        cleanup_free char *command = xasprintf("sh %s/script.1 2>/dev/null", folder);
        int status = system(command);
        assert_int_equal(WEXITSTATUS(status), atoi(cases[i].status));
        cleanup_free char *updated = text_at("updated");
        cleanup_free char *wanted = *cases[i].comment
                                        ? xasprintf("update JobId=1 Comment=kbuild-%s-0-0%s\n",
                                                    d.s.session, cases[i].comment)
                                        : xstrdup("");
        assert_string_equal(updated, wanted);
        cleanup_free char *line = line_of(&d, 0, "COMPLETED|None|m1|0", cases[i].comment);
        write_at("jobs", line, 0644);
        poll_jobs(&d);
        assert_int_equal(d.jobs[0].found, i == 0);
        close_fixture(&d);
    }
    unsetenv("SLURM_JOB_ID");
}
