// SPDX-License-Identifier: Apache-2.0
// Sources that are lists (source/list.h): runs the script that prints the lines, and fetches them.
//
// The script runs as a step does: in the recipe's builder, without the network, in the folder of
// the source that it belongs to. It sees the inputs in its key, that source, the answers to the
// questions of its last run, and, to find mirrors, the user's files and variables that its recipe
// names. These files and variables are in no key, since they may only decide where files come from.
// Answers are untrusted. Therefore what a script names after a question has a line in
// versions.lock, which stays valid from then on.
#include "run/internal.h"

#include "base/error.h"
#include "base/process.h"
#include "source/list.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define ROUNDS_MAX 3 // of questions
#define CONFIGURATION_MAX ((size_t)1 << 20)
#define STOP_MS 1000

struct list_run {
    struct build *b;
    struct node *node;
    char *scratch, *answers, *configuration;
    struct step step;
    struct strlist folders;            // that the user's configuration names
    struct strlist asked, asked_names; // so far: addresses, and the names of their answers
};

char *list_shared_folder(const struct recipe_list *list)
{
    static const char word[] = "shared/";
    if (!starts_with(list->script, word))
        return NULL;
    const char *name = list->script + strlen(word);
    return xstrndup(name, strcspn(name, "/"));
}

// ---- what the script sees ----

// "~/x" or "$NAME/x": its path, or NULL; *shown gets the path for the script.
static char *user_path(const char *text, char **shown)
{
    const char *rest = strchr(text, '/');
    cleanup_free char *name =
        *text == '~' ? xstrdup("HOME") : xstrndup(text + 1, (size_t)(rest - text - 1));
    const char *folder = getenv(name);
    *shown = *text == '~' ? xstrdup(rest + 1) : xasprintf("%s%s", name, rest);
    return folder && *folder == '/' ? xasprintf("%s%s", folder, rest) : NULL;
}

// Recipes that a registry brought here could send somewhere what they read, as parts of addresses.
// So this machine says what they may read, in the words of recipes.
static bool is_allowed(const struct list_run *l, const char *text)
{
    cleanup_strlist struct strlist words = {0};
    const char *allowed = getenv("KBUILD_CONFIGURATION");
    if (!l->b->options.foreign_recipes)
        return true;
    strlist_split(&words, allowed ? allowed : "", " ");
    for (size_t i = 0; i < words.n; i++)
        if (!strcmp(words.items[i], text))
            return true;
    log_note("%s: its script does not get %s of this machine: KBUILD_CONFIGURATION does not "
             "name it",
             node_label(l->node), text);
    return false;
}

static int show_user_file(struct list_run *l, const char *text, struct error **err)
{
    cleanup_free char *shown = NULL;
    cleanup_free char *path = user_path(text, &shown);
    cleanup_buf struct buf content = {0};
    if (!path || access(path, F_OK) < 0 || !is_allowed(l, text))
        return 0;
    if (file_read(path, CONFIGURATION_MAX, &content, err) < 0)
        return error_wrap(err, "the configuration that %s may read", node_label(l->node));
    cleanup_free char *copy = xasprintf("%s/%s", l->configuration, shown);
    list_folders(content.data ? content.data : "", true, &l->folders);
    return make_parent(copy, err) < 0 || file_write(copy, content.data, content.len, 0444, err) < 0
               ? -1
               : 0;
}

static int show_configuration(struct list_run *l, struct error **err)
{
    const struct recipe_configuration *c = &job_of(l->node)->list->configuration;
    for (size_t i = 0; i < c->files.n; i++)
        if (show_user_file(l, c->files.items[i], err) < 0)
            return -1;
    for (size_t i = 0; i < c->environment.n; i++) {
        const char *value = getenv(c->environment.items[i]);
        if (!value || !*value || !is_allowed(l, c->environment.items[i]))
            continue;
        strlist_addf(&l->step.environment, "%s=%s", c->environment.items[i], value);
        list_folders(value, false, &l->folders);
    }
    return 0;
}

static int show_shared(struct list_run *l, const char *name, struct error **err)
{
    const char *folder = step_keep(&l->step, recipe_set_path(l->b->recipes, name));
    cleanup_free char *prefix = xasprintf("shared/%s/", name);
    return step_folder(job_of(l->node), &l->step, l->scratch, folder, prefix,
                       step_keep(&l->step, xasprintf("/shared/%s", name)), err);
}

// As plan_source.c puts it into the key.
static int show_scripts(struct list_run *l, struct error **err)
{
    const struct job *job = job_of(l->node);
    const struct recipe *r = job->recipe;
    cleanup_free char *shared = list_shared_folder(job->list);
    if (shared)
        return show_shared(l, shared, err);
    if (step_folder(job, &l->step, l->scratch, r->folder, "", "/recipe", err) < 0)
        return -1;
    for (size_t i = 0; i < r->shared.n; i++)
        if (show_shared(l, r->shared.items[i], err) < 0)
            return -1;
    return 0;
}

static int show_inputs(struct list_run *l, struct error **err)
{
    const struct job *job = job_of(l->node);
    struct step *s = &l->step;
    for (size_t i = 0; i < job->role_count; i++) {
        const struct role *role = &job->roles[i];
        bool builder = role->kind == ROLE_BUILDER;
        const char *path = step_tree(l->b, s, role->node, builder ? "root" : "tree", err);
        if (!path)
            return -1;
        if (builder)
            s->sandbox.root = path;
        else if (step_mount(s, path, s->sandbox.directory, false, err) < 0)
            return -1;
    }
    return 0;
}

static int prepare(struct list_run *l, struct error **err)
{
    struct step *s = &l->step;
    s->sandbox.mounts = s->mounts;
    s->sandbox.environment = &s->environment;
    const char *of = job_of(l->node)->list->of;
    s->sandbox.directory = step_keep(s, of ? xasprintf("/src/%s", of) : xstrdup("/build"));
    s->sandbox.input = -1;
    s->sandbox.errors = STDERR_FILENO;
    strlist_add(&s->environment, "PATH=" SANDBOX_PATH);
    strlist_add(&s->environment, "HOME=/build");
    strlist_add(&s->environment, "LANG=C.UTF-8");
    strlist_add(&s->environment, "TZ=UTC");
    const char *work = step_keep(s, xasprintf("%s/work", l->scratch));
    if (make_directories(work, 0755, err) < 0 || make_directories(l->answers, 0755, err) < 0 ||
        make_directories(l->configuration, 0755, err) < 0)
        return -1;
    return show_inputs(l, err) < 0 || show_scripts(l, err) < 0 || show_configuration(l, err) < 0 ||
                   step_mount(s, l->answers, "/answers", false, err) < 0 ||
                   step_mount(s, l->configuration, "/configuration", false, err) < 0 ||
                   step_mount(s, work, "/build", true, err) < 0
               ? -1
               : 0;
}

// ---- running it ----

// Reads at most LIST_BYTES_MAX and one byte more.
static int read_output(int fd, struct buf *out, struct error **err)
{
    char chunk[65536];
    for (;;) {
        ssize_t n = fd_read(fd, chunk, sizeof chunk);
        if (n < 0)
            return error_errno(err, errno, "reading what the script prints");
        if (n == 0 || out->len > LIST_BYTES_MAX)
            return 0;
        buf_add(out, chunk, (size_t)n);
    }
}

static int script_failed(const struct list_run *l, int status, struct error **err)
{
    cleanup_free char *how = process_status_text(status);
    error_set(err, ERROR_STEP, "%s: its script %s ended with %s", node_label(l->node),
              job_of(l->node)->list->script, how);
    if (step_disk_is_full(l->scratch, err))
        return -1;
    cleanup_free char *command = remote_log_command(&l->b->options, l->node->id);
    if (command)
        return error_hint(err, "%s shows all that it said", command);
    return error_hint(err, "what it said is in the log: kbuild log \"%s\"", node_label(l->node));
}

static int run_sandbox(struct list_run *l, struct buf *out, struct error **err)
{
    int ends[2], status = 0;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_errno(err, errno, "making a pipe");
    cleanup_close int from = ends[0];
    l->step.sandbox.output = ends[1];
    pid_t pid = sandbox_start(&l->step.sandbox, err);
    close(ends[1]);
    if (pid < 0)
        return -1;
    if (read_output(from, out, err) < 0 || out->len > LIST_BYTES_MAX) {
        process_stop(pid, STOP_MS);
        return out->len > LIST_BYTES_MAX
                   ? error_set(err, ERROR_STEP, "%s: its script prints more than %zu MiB",
                               node_label(l->node), LIST_BYTES_MAX >> 20)
                   : -1;
    }
    if (sandbox_wait(pid, &status, err) < 0)
        return -1;
    return status ? script_failed(l, status, err) : 0;
}

static int run_script(struct list_run *l, struct list *lines, struct error **err)
{
    const struct job *job = job_of(l->node);
    bool shared = starts_with(job->list->script, "shared/");
    cleanup_free char *script = xasprintf("/%s%s", shared ? "" : "recipe/", job->list->script);
    const char **argv = xcalloc(job->arguments.n + 3, sizeof *argv);
    argv[0] = "/bin/bash";
    argv[1] = script;
    for (size_t i = 0; i < job->arguments.n; i++)
        argv[i + 2] = job->arguments.items[i];
    l->step.sandbox.argv = (char *const *)argv;
    cleanup_buf struct buf text = {0};
    phase("listing");
    int result = run_sandbox(l, &text, err);
    free(argv);
    if (result < 0)
        return -1;
    if (list_parse(text.data ? text.data : "", text.len, &l->folders, lines, err) == 0)
        return 0;
    (*err)->kind = ERROR_STEP;
    return error_wrap(err, "%s: its script %s prints", node_label(l->node), job->list->script);
}

static int check_may_ask(const struct list_run *l, const struct list_line *line, struct error **err)
{
    if (!l->b->options.locked || list_lock_line(l->b, l->node))
        return 0;
    error_user(err,
               "%s: its script asks for %s, but %s has no line for the result, and --locked allows "
               "nothing else",
               node_label(l->node), line->canonical, l->b->lock->path);
    return error_hint(err, "run once without --locked, look at what was added, and commit it");
}

static int check_tree(const struct build *b, const struct node *node, const char *digest,
                      struct error **err)
{
    cleanup_free char *url = list_lock_url(node);
    const struct lock_entry *line = url ? lock_find(b->lock, url, NULL) : NULL;
    if (!line || !strcmp(line->sha256, digest))
        return 0;
    error_user(err,
               "%s: its script, which asks servers, lists other files than when %s was written: "
               "their tree "
               "is %s instead of %s",
               node_label(node), b->lock->path, digest, line->sha256);
    return lock_hint(b->lock, url, NULL, err);
}

// ---- questions and answers ----

static bool is_inside(const char *name, const char *folder)
{
    const char *below = path_below(name, folder);
    return below && *below;
}

// Names of another run of the script, which list_parse() did not compare with these.
static int check_answer_name(const struct list_run *l, const char *name, struct error **err)
{
    for (size_t i = 0; i < l->asked_names.n; i++) {
        const char *other = l->asked_names.items[i];
        bool above = is_inside(other, name);
        if (above || is_inside(name, other))
            return error_set(
                err, ERROR_STEP,
                "%s: its script asks for a file of the name %s, which is a directory in "
                "the name of another that it asks for: %s",
                node_label(l->node), above ? name : other, above ? other : name);
    }
    return 0;
}

// 1: a new question was answered; 0: it is not new.
static int answer(struct list_run *l, const struct list_line *line, struct error **err)
{
    const struct source_options o = source_options(l->b);
    cleanup_buf struct buf content = {0};
    for (size_t i = 0; i < l->asked.n; i++) {
        if (strcmp(l->asked_names.items[i], line->name) != 0)
            continue;
        return !strcmp(l->asked.items[i], line->urls.items[0])
                   ? 0
                   : error_set(err, ERROR_STEP, "%s: its script asks for two files of the name %s",
                               node_label(l->node), line->name);
    }
    if (check_answer_name(l, line->name, err) < 0 || check_may_ask(l, line, err) < 0)
        return -1;
    strlist_add(&l->asked, line->urls.items[0]);
    strlist_add(&l->asked_names, line->name);
    int there = list_answer(line, node_label(l->node), &o, &content, err);
    if (there < 0)
        return error_wrap(err, "%s asks for", node_label(l->node));
    cleanup_free char *path = xasprintf("%s/%s", l->answers, line->name);
    if (there &&
        (make_parent(path, err) < 0 || file_write(path, content.data, content.len, 0444, err) < 0))
        return -1;
    return 1;
}

static int answer_all(struct list_run *l, const struct list *lines, struct error **err)
{
    int fresh = 0;
    for (size_t i = 0; i < lines->n; i++) {
        int one = lines->items[i].kind == LIST_ASK ? answer(l, &lines->items[i], err) : 0;
        if (one < 0)
            return -1;
        fresh += one;
    }
    return fresh;
}

// The requested file does not exist, and without it the script names nothing.
static int check_lines(const struct list_run *l, const struct list *lines, struct error **err)
{
    for (size_t i = 0; i < lines->n; i++)
        if (lines->items[i].kind != LIST_ASK)
            return 0;
    return !lines->n ? 0
                     : error_set(err, ERROR_STEP,
                                 "%s: its script asks for %s and names no file to download, but "
                                 "the server has no "
                                 "such file",
                                 node_label(l->node), lines->items[0].canonical);
}

// Runs the script until it has no new question.
static int make_lines(struct list_run *l, struct list *lines, struct error **err)
{
    for (unsigned round = 0;; round++) {
        if (run_script(l, lines, err) < 0)
            return -1;
        int fresh = answer_all(l, lines, err);
        if (!fresh && check_lines(l, lines, err) == 0)
            return 0;
        list_lines_free(lines);
        if (fresh <= 0)
            return -1;
        if (round == ROUNDS_MAX)
            return error_set(err, ERROR_STEP,
                             "%s: its script still asks for new files after %d rounds of answers",
                             node_label(l->node), ROUNDS_MAX);
    }
}

// ---- the node ----

static int fetch_lines(struct list_run *l, const struct list *lines, json_t *record,
                       struct error **err)
{
    const struct source_options o = source_options(l->b);
    const struct job *job = job_of(l->node);
    cleanup_free char *folder = xasprintf("%s/tree", l->scratch);
    char digest[DIGEST_HEX_SIZE];
    json_t *entries = NULL;
    phase("fetching");
    if (make_directories(folder, 0755, err) < 0 ||
        list_fetch(lines, job->label, &o, folder, &entries, err) < 0)
        return error_wrap(err, "%s", job->label);
    json_object_set_new(record, "provenance",
                        json_pack("{s:s, s:s, s:o}", "kind", "list", "script", job->list->script,
                                  "entries", entries));
    json_object_set_new(record, "asked", json_boolean(l->asked.n > 0));
    phase("storing");
    if (store_put_tree(l->b->store, folder, digest, err) < 0)
        return error_wrap(err, "%s", job->label);
    if (check_tree(l->b, l->node, digest, err) < 0)
        return -1;
    record_output(record, "tree", digest, true, 0);
    return 0;
}

static void list_run_free(struct list_run *l)
{
    step_free(&l->step);
    strlist_free(&l->folders);
    strlist_free(&l->asked);
    strlist_free(&l->asked_names);
    if (l->scratch)
        remove_tree(l->scratch, NULL);
    free(l->scratch);
    free(l->answers);
    free(l->configuration);
}

int make_list(struct build *b, struct node *node, json_t *record, struct error **err)
{
    struct list_run l = {.b = b, .node = node, .scratch = store_temporary(b->store, "list", err)};
    struct list lines = {0};
    if (!l.scratch)
        return -1;
    l.answers = xasprintf("%s/answers", l.scratch);
    l.configuration = xasprintf("%s/configuration", l.scratch);
    int result = prepare(&l, err);
    if (!result)
        result = make_lines(&l, &lines, err);
    if (!result)
        result = fetch_lines(&l, &lines, record, err);
    list_lines_free(&lines);
    list_run_free(&l);
    return result;
}
