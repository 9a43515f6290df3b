// SPDX-License-Identifier: Apache-2.0
// Prints a plan in the languages of engines: a script for Slurm, matrices for GitHub, a child
// pipeline for GitLab, rules for make. docs/spread.md.
#include "spread/internal.h"

#include "base/error.h"

#include <string.h>

// ---- Slurm ----

// If one submission fails, or a signal ends the script, none is left. A shell does not run the trap
// of EXIT after a signal (dash), so signals are noted, and seen when a submission has been
// answered: sbatch ignores them, as its number would be lost.
static const char slurm_head[] =
    "#!/bin/sh\n"
    "# Submits a plan of kbuild to Slurm: sh FILE [OPTION OF SBATCH]...\n"
    "set -eu\n"
    "jobs=\n"
    "stop=\n"
    "trap 'stop=129' HUP\n"
    "trap 'stop=130' INT\n"
    "trap 'stop=143' TERM\n"
    "trap '[ -z \"$jobs\" ] || scancel $jobs' EXIT\n";

static void print_submission(const struct job_list *l, size_t at, struct buf *out)
{
    const struct job_request *job = &l->items[at];
    cleanup_strlist struct strlist options = {0}, after = {0}, dependency = {0};
    cleanup_free char *script = job_script(job, "");
    job_sbatch_options(job, &options);
    for (size_t i = 0; i < job->need_count; i++)
        strlist_addf(&after, "$job_%zu", job->needs[i] + 1);
    job_sbatch_dependency(&after, &dependency);
    buf_printf(out, "\n# %s\nscript=$(cat <<'KBUILD'\n%sKBUILD\n)\n", job->id, script);
    buf_puts(out, "number=$(trap '' HUP INT TERM; printf '%s\\n' \"$script\" | sbatch");
    for (size_t i = 0; i < options.n; i++) {
        buf_puts(out, " ");
        shell_quote(out, options.items[i]);
    }
    // sbatch prints NUMBER[;CLUSTER].
    buf_printf(out,
               " \"%s\" \"$@\")\njob_%zu=${number%%%%;*}\njobs=\"$jobs $job_%zu\"\n"
               "[ -z \"$stop\" ] || exit \"$stop\"\n",
               dependency.items[0], at + 1, at + 1);
}

static int print_slurm(const struct job_list *l, struct buf *out, struct error **err)
{
    buf_puts(out, slurm_head);
    for (size_t i = 0; i < l->n; i++)
        print_submission(l, i, out);
    buf_printf(out, "\ntrap - EXIT\necho \"%zu jobs submitted:$jobs\"\n", l->n);
    return 0;
}

// ---- tries, for a shell ----

static char *tries_text(const struct job_request *job)
{
    return xasprintf("for pause in " TRY_PAUSES "; do\n"
                     "  status=0\n"
                     "  %s || status=$?\n"
                     "  [ \"$status\" = 75 ] && [ \"$pause\" != 0 ] || exit \"$status\"\n"
                     "  sleep \"$pause\"\n"
                     "done\n",
                     job->command);
}

// ---- GitHub ----

// The jobs of a matrix, by GitHub's limits; the bytes of a job's outputs, which count twice
// (UTF-16); and how many levels examples/github/spread.yml has.
enum { GITHUB_MATRIX = 256, GITHUB_OUTPUT = 1 << 19, GITHUB_LEVELS = 8 };

static json_t *github_job(const struct job_request *job)
{
    const json_t *on = json_object_get(job->line, "build_on");
    cleanup_free char *tries = tries_text(job);
    json_t *entry =
        json_pack("{s:s, s:s, s:s, s:s, s:O*}", "node", job->id, "name", job->name, "command",
                  job->command, "tries", tries, "build_on", json_array_get(on, 0));
    if (json_array_size(json_object_get(job->line, "secrets")))
        json_object_set_new(entry, "trusted", json_true());
    return entry;
}

static int fewer(struct error **err)
{
    return error_hint(err, "--grain=artifact makes fewer jobs, and so do fewer targets or "
                           "architectures; what an earlier run made needs no job any more");
}

static int check_levels(const struct job_list *l, struct error **err)
{
    size_t counts[GITHUB_LEVELS] = {0};
    for (size_t i = 0; i < l->n; i++) {
        size_t level = l->items[i].level;
        if (level >= GITHUB_LEVELS) {
            error_user(err, "%s is on level %zu, and the workflow has levels 0 to %d",
                       l->items[i].id, level, GITHUB_LEVELS - 1);
            return fewer(err);
        }
        counts[level]++;
    }
    for (size_t level = 0; level < GITHUB_LEVELS; level++)
        if (counts[level] > GITHUB_MATRIX) {
            error_user(err, "level %zu has %zu jobs, and a matrix of GitHub at most %d", level,
                       counts[level], GITHUB_MATRIX);
            return fewer(err);
        }
    return 0;
}

// The matrices of all levels up to the last that has jobs: an expression of GitHub for a later one
// is null, and such a job is skipped.
static json_t *levels_json(const struct job_list *l)
{
    json_t *levels = json_array();
    for (size_t level = 0; level < GITHUB_LEVELS; level++) {
        json_auto_t *jobs = json_array();
        for (size_t i = 0; i < l->n; i++)
            if (l->items[i].level == level)
                json_array_append_new(jobs, github_job(&l->items[i]));
        if (json_array_size(jobs))
            json_array_append_new(levels, json_pack("{s:O}", "include", jobs));
    }
    return levels;
}

// "levels=[{"include":[...]},...]", for $GITHUB_OUTPUT.
static int print_github(const struct job_list *l, struct buf *out, struct error **err)
{
    if (check_levels(l, err) < 0)
        return -1;
    json_auto_t *levels = levels_json(l);
    cleanup_free char *text = json_dumps(levels, JSON_COMPACT | JSON_ENSURE_ASCII);
    if (!text)
        out_of_memory();
    if (strlen(text) > GITHUB_OUTPUT) {
        error_user(err,
                   "the matrices have %zu bytes, and the outputs of a job of GitHub at most %d",
                   strlen(text), GITHUB_OUTPUT);
        return fewer(err);
    }
    buf_printf(out, "levels=%s\n", text);
    return 0;
}

// ---- names without ':' ----

// An id as the name of a target of make or of a resource group: ':' becomes '/', and what neither
// allows (and '.') becomes its number, ".2E". Two ids never get one name.
static char *plain_name(const char *id)
{
    static const char kept[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    cleanup_buf struct buf name = {0};
    for (; *id; id++)
        if (*id == ':')
            buf_puts(&name, "/");
        else if (strchr(kept, *id))
            buf_add(&name, id, 1);
        else
            buf_printf(&name, ".%02X", (unsigned char)*id);
    return buf_take(&name);
}

// ---- GitLab ----

enum { GITLAB_NEEDS = 50 }; // of a job, by GitLab's limit (ci_needs_size_limit)

static int check_needs(const struct job_list *l, struct error **err)
{
    for (size_t i = 0; i < l->n; i++) {
        const struct job_request *job = &l->items[i];
        if (job->need_count <= GITLAB_NEEDS)
            continue;
        error_user(err, "%s needs %zu jobs, and a job of GitLab at most %d", job->id,
                   job->need_count, GITLAB_NEEDS);
        return fewer(err);
    }
    return 0;
}

static json_t *gitlab_tags(const struct job_request *job)
{
    json_t *tags = json_array();
    const json_t *arch = json_array_get(json_object_get(job->line, "build_on"), 0);
    if (arch)
        json_array_append_new(tags, json_string(json_string_value(arch)));
    if (json_is_true(json_object_get(job->line, "network")))
        json_array_append_new(tags, json_string(FEATURE_NETWORK));
    if (json_array_size(json_object_get(job->line, "secrets")))
        json_array_append_new(tags, json_string(FEATURE_TRUSTED));
    return tags;
}

static json_t *gitlab_job(const struct job_list *l, const struct job_request *job)
{
    json_t *needs = json_array();
    cleanup_free char *group = plain_name(job->id);
    cleanup_free char *tries = tries_text(job);
    for (size_t i = 0; i < job->need_count; i++)
        json_array_append_new(needs, json_string(l->items[job->needs[i]].id));
    return json_pack("{s:s, s:[s], s:o, s:o, s:s, s:{s:i, s:s}}", "stage", "kbuild", "script",
                     tries, "needs", needs, "tags", gitlab_tags(job), "resource_group", group,
                     "retry", "max", 2, "when", "runner_system_failure");
}

// A key of YAML a line, its value in JSON. A pipeline without jobs would be an error.
static int print_gitlab(const struct job_list *l, struct buf *out, struct error **err)
{
    if (check_needs(l, err) < 0)
        return -1;
    buf_puts(out, "# A child pipeline of GitLab, from a plan of kbuild.\nstages: [kbuild]\n");
    if (!l->n)
        buf_puts(out, "all is there:\n  stage: kbuild\n  script: ['true']\n");
    for (size_t i = 0; i < l->n; i++) {
        json_auto_t *id = json_string(l->items[i].id);
        json_auto_t *job = gitlab_job(l, &l->items[i]);
        cleanup_free char *name = json_dumps(id, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
        cleanup_free char *text = json_dumps(job, JSON_COMPACT | JSON_ENSURE_ASCII);
        buf_printf(out, "%s: %s\n", name ? name : "", text ? text : "{}");
    }
    return 0;
}

// ---- make ----

static const char make_head[] =
    "# A plan of kbuild: make -f FILE -j16 [RUN='srun -n1']\n"
    "# RUN: what submits a command and waits for it.\n"
    "RUN ?=\n"
    "# 75 means that another try may succeed.\n"
    "TRY = try() { for pause in " TRY_PAUSES "; do status=0; $(RUN) \"$$@\" || status=$$?; \\\n"
    "  [ $$status = 75 ] && [ $$pause != 0 ] || exit $$status; sleep $$pause; done; }; try\n";

// In a recipe only '$' is special to make.
static void print_recipe(const char *command, struct buf *out)
{
    buf_puts(out, "\t@$(TRY) ");
    for (; *command; command++)
        buf_printf(out, *command == '$' ? "$%c" : "%c", *command);
    buf_puts(out, "\n");
}

static void print_names(const struct job_list *l, const char *before, struct buf *out)
{
    buf_puts(out, before);
    for (size_t i = 0; i < l->n; i++) {
        cleanup_free char *name = plain_name(l->items[i].id);
        buf_printf(out, " %s", name);
    }
    buf_puts(out, "\n");
}

static void print_rule(const struct job_list *l, const struct job_request *job, struct buf *out)
{
    cleanup_free char *name = plain_name(job->id);
    buf_printf(out, "\n# %s (%s)\n%s:", job->id, job->name, name);
    for (size_t i = 0; i < job->need_count; i++) {
        cleanup_free char *need = plain_name(l->items[job->needs[i]].id);
        buf_printf(out, " %s", need);
    }
    buf_puts(out, "\n");
    print_recipe(job->command, out);
}

static int print_make(const struct job_list *l, struct buf *out, struct error **err)
{
    buf_puts(out, make_head);
    print_names(l, "\n.PHONY: all", out);
    print_names(l, "all:", out);
    for (size_t i = 0; i < l->n; i++)
        print_rule(l, &l->items[i], out);
    return 0;
}

// ---- all of them ----

static const struct format {
    const char *name;
    int (*print)(const struct job_list *l, struct buf *out, struct error **err);
} formats[] = {
    {"slurm", print_slurm},
    {"github", print_github},
    {"gitlab", print_gitlab},
    {"make", print_make},
};

int spread_print(const char *format, const struct plan *p, const char *project, struct buf *out,
                 struct error **err)
{
    cleanup_job_list struct job_list jobs = {0};
    const struct format *f = NULL;
    for (size_t i = 0; i < ARRAY_LEN(formats); i++)
        f = !strcmp(formats[i].name, format) ? &formats[i] : f;
    if (!f)
        return error_set(err, ERROR_USAGE, "there is no format %s for a plan", format);
    return job_list_make(p, project, &jobs, err) < 0 ? -1 : f->print(&jobs, out, err);
}
