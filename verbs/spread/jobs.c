// SPDX-License-Identifier: Apache-2.0
// Makes the jobs of a plan: the nodes that are left to make, what each needs, where it can run, and
// its command.
#include "spread/internal.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

static long long number_of(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

// ---- words of a shell ----

static bool is_plain(const char *text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "-_./:=,@%+";
    return *text && !text[strspn(text, plain)];
}

void shell_quote(struct buf *out, const char *text)
{
    if (is_plain(text)) {
        buf_puts(out, text);
        return;
    }
    buf_puts(out, "'");
    for (; *text; text++)
        if (*text == '\'')
            buf_puts(out, "'\\''");
        else
            buf_add(out, text, 1);
    buf_puts(out, "'");
}

// ---- the command ----

// The options that the plan was made with, for a checkout.
static void add_plan_options(const json_t *header, struct strlist *out)
{
    const char *name;
    json_t *origin;
    strlist_add(out, "--locked");
    if (!strcmp(plan_text(header, "sources"), "debian"))
        strlist_add(out, "--sources=debian");
    if (!strcmp(plan_text(header, "builder"), "host"))
        strlist_add(out, "--builder=host");
    json_object_foreach(json_object_get(header, "source"), name, origin)
    {
        strlist_addf(out, "--source=%s=%s", name, json_string_value(origin));
    }
    if (*plan_text(header, "prebuilt"))
        strlist_addf(out, "--prebuilt=%s", plan_text(header, "prebuilt"));
    if (!strcmp(plan_text(header, "grain"), plan_grains[GRAIN_ARTIFACT]))
        strlist_add(out, "--grain=artifact");
}

static char *command_text(const char *id, const json_t *header, const char *project)
{
    cleanup_buf struct buf text = {0};
    cleanup_strlist struct strlist words = {0};
    strlist_add(&words, "kbuild");
    strlist_add(&words, "run");
    strlist_add(&words, id);
    if (project)
        strlist_addf(&words, "--plan=oci:%s", project);
    else
        add_plan_options(header, &words);
    for (size_t i = 0; i < words.n; i++) {
        buf_puts(&text, i ? " " : "");
        shell_quote(&text, words.items[i]);
    }
    return buf_take(&text);
}

// ---- where it can run ----

// "x86_64", "(x86_64|s390x)", "x86_64&network"; NULL: anywhere.
static char *constraint_text(const json_t *line)
{
    const json_t *archs = json_object_get(line, "build_on");
    cleanup_strlist struct strlist any = {0}, all = {0};
    for (size_t i = 0; i < json_array_size(archs); i++)
        strlist_add(&any, json_string_value(json_array_get(archs, i)));
    cleanup_free char *joined = any.n ? strlist_join(&any, "|") : NULL;
    if (joined)
        strlist_addf(&all, any.n > 1 ? "(%s)" : "%s", joined);
    if (json_is_true(json_object_get(line, "network")))
        strlist_add(&all, FEATURE_NETWORK);
    if (json_array_size(json_object_get(line, "secrets")))
        strlist_add(&all, FEATURE_TRUSTED);
    return all.n ? strlist_join(&all, "&") : NULL;
}

// The record knows the largest process only, and there are several.
static long long memory_of(const json_t *resources)
{
    return number_of(resources, "peak_kib") ? number_of(resources, "peak_kib") / 1024 * 2 + 256 : 0;
}

// Half as many again as were busy on average: a job that was given too few gets more from one build
// to the next, until some are idle.
static long long processors_of(const json_t *resources)
{
    long long ms = number_of(resources, "ms"), cpu_ms = number_of(resources, "cpu_ms");
    if (ms <= 0)
        return 0;
    return cpu_ms * 3 > ms * 2 ? (cpu_ms * 3 / 2 + ms - 1) / ms : 1;
}

// ---- the list ----

static bool is_left(const json_t *line)
{
    return json_is_array(json_object_get(line, "command"));
}

// Whether engines can take the name into a line of text.
static int check_id(const char *id, struct error **err)
{
    for (const unsigned char *c = (const unsigned char *)id; *c; c++)
        if (*c < ' ' || *c == 0x7f)
            return error_user(err, "the node %s has a control character in its name", id);
    return *id ? 0 : error_user(err, "a node of the plan has no name");
}

static int add_job(const struct plan *p, const json_t *line, const char *project,
                   struct job_list *out, struct error **err)
{
    const json_t *resources = json_object_get(line, "resources");
    const char *id = plan_text(line, "node");
    if (check_id(id, err) < 0)
        return -1;
    out->items[out->n++] = (struct job_request){
        .id = id,
        .name = *plan_text(line, "label") ? plan_text(line, "label") : id,
        .line = line,
        .project = project != NULL,
        .command = command_text(id, p->header, project),
        .constraint = constraint_text(line),
        .cpus = processors_of(resources),
        .mem_mib = memory_of(resources),
        .path_ms = number_of(line, "path_ms"),
    };
    return 0;
}

// `places`: id -> place in the list.
static int add_needs(struct job_list *l, size_t at, const json_t *places, struct error **err)
{
    struct job_request *job = &l->items[at];
    const json_t *ids = json_object_get(job->line, "needs");
    job->needs = xcalloc(json_array_size(ids) + 1, sizeof *job->needs);
    for (size_t i = 0; i < json_array_size(ids); i++) {
        const char *id = json_string_value(json_array_get(ids, i));
        const json_t *place = id ? json_object_get(places, id) : NULL;
        if (!place)
            continue;
        size_t need = (size_t)json_integer_value(place);
        if (need >= at)
            return error_user(err, "the plan has %s before %s, which it needs", job->id, id);
        job->needs[job->need_count++] = need;
        job->level = l->items[need].level >= job->level ? l->items[need].level + 1 : job->level;
    }
    return 0;
}

static int add_all_needs(struct job_list *l, struct error **err)
{
    json_auto_t *places = json_object();
    for (size_t i = 0; i < l->n; i++)
        json_object_set_new(places, l->items[i].id, json_integer((json_int_t)i));
    for (size_t i = 0; i < l->n; i++)
        if (add_needs(l, i, places, err) < 0)
            return -1;
    return 0;
}

// ---- its order ----

static void raise_paths(struct job_list *l)
{
    for (size_t i = l->n; i-- > 0;)
        for (size_t k = 0; k < l->items[i].need_count; k++) {
            struct job_request *need = &l->items[l->items[i].needs[k]];
            need->path_ms =
                need->path_ms < l->items[i].path_ms ? l->items[i].path_ms : need->path_ms;
        }
}

struct ranked {
    long long path_ms;
    size_t at; // in the plan
};

// The longer path; of two, the one that the plan has first.
static int compare_ranked(const void *a, const void *b)
{
    const struct ranked *one = a, *other = b;
    if (one->path_ms != other->path_ms)
        return one->path_ms > other->path_ms ? -1 : 1;
    return one->at < other->at ? -1 : one->at > other->at;
}

static void sort_jobs(struct job_list *l)
{
    raise_paths(l);
    struct ranked *order = xcalloc(l->n + 1, sizeof *order);
    struct job_request *sorted = xcalloc(l->n + 1, sizeof *sorted);
    size_t *place = xcalloc(l->n + 1, sizeof *place);
    for (size_t i = 0; i < l->n; i++)
        order[i] = (struct ranked){l->items[i].path_ms, i};
    qsort(order, l->n, sizeof *order, compare_ranked);
    for (size_t i = 0; i < l->n; i++) {
        sorted[i] = l->items[order[i].at];
        place[order[i].at] = i;
    }
    for (size_t i = 0; i < l->n; i++)
        for (size_t k = 0; k < sorted[i].need_count; k++)
            sorted[i].needs[k] = place[sorted[i].needs[k]];
    free(l->items);
    l->items = sorted;
    free(order);
    free(place);
}

// A folder of the user's is on other machines only with the project.
static int check_folders(const struct plan *p, const char *project, struct error **err)
{
    for (size_t i = 0; !project && i < json_array_size(p->nodes); i++) {
        const json_t *line = json_array_get(p->nodes, i);
        if (strcmp(plan_text(line, "state"), "project") != 0)
            continue;
        error_user(err, "%s is a directory of this machine, which the jobs cannot read",
                   plan_text(line, "node"));
        return error_hint(err, "--push gives the jobs a copy");
    }
    return 0;
}

int job_list_make(const struct plan *p, const char *project, struct job_list *out,
                  struct error **err)
{
    size_t n = json_array_size(p->nodes);
    *out = (struct job_list){.items = xcalloc(n + 1, sizeof *out->items)};
    int result = check_folders(p, project, err);
    for (size_t i = 0; i < n && !result; i++)
        if (is_left(json_array_get(p->nodes, i)))
            result = add_job(p, json_array_get(p->nodes, i), project, out, err);
    if (!result)
        result = add_all_needs(out, err);
    if (result < 0) {
        job_list_free(out);
        return -1;
    }
    sort_jobs(out);
    return 0;
}

void job_list_free(struct job_list *l)
{
    for (size_t i = 0; i < l->n; i++) {
        free(l->items[i].command);
        free(l->items[i].constraint);
        free(l->items[i].needs);
    }
    free(l->items);
    *l = (struct job_list){0};
}
