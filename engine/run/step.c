// SPDX-License-Identifier: Apache-2.0
// Prepares what a step sees: fixed paths, and an environment built from nothing (docs/recipes.md).
// For `kbuild verify` also another environment, which must not matter: user, umask, locale, clock
// and number of processors (docs/reproducibility.md).
#include "run/internal.h"

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

// ---- the environment of a second build ----

enum { OTHER_USER = 1234 };

// libfaketime of this host; it works in a builder whose C library is of the same release.
static char *find_clock(void)
{
    glob_t found;
    char *path = NULL;
    if (glob("/usr/lib/*/faketime/libfaketime.so.1", 0, NULL, &found) == 0)
        path = xstrdup(found.gl_pathv[0]);
    globfree(&found);
    return path;
}

void variation_describe(const struct variation *w, struct strlist *differs, struct strlist *same)
{
    strlist_add(differs, "user: uid 1234 instead of 0");
    strlist_add(differs, "umask: 077 instead of 022");
    strlist_add(differs, "time zone: Pacific/Kiritimati instead of UTC");
    strlist_add(differs, "locale: tr_TR.UTF-8 instead of C.UTF-8");
    strlist_add(differs, "PATH, HOME and host name: others");
    strlist_add(differs, "jobs of make: one more");
    cleanup_free char *clock = find_clock();
    if (w->keep_clock)
        strlist_add(same, "clock: left as it is, as was asked for");
    else if (clock)
        strlist_add(differs, "clock: 400 days later");
    else
        strlist_add(same, "clock: install libfaketime to change it");
    if (w->keep_processors)
        strlist_add(same, "processors: left as they are, as was asked for");
    else if (processors() > 1)
        strlist_add(differs, "processors: one fewer");
    else
        strlist_add(same, "processors: there is one only");
    if (w->scratch)
        strlist_addf(differs, "place and file order of the work: %s", w->scratch);
    else
        strlist_add(same, "file order: --scratch=DIR on another file system (a tmpfs) changes it");
}

static void hide_a_processor(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) < 0 || CPU_COUNT(&set) < 2)
        return;
    int last = CPU_SETSIZE - 1;
    while (!CPU_ISSET(last, &set))
        last--;
    CPU_CLR(last, &set);
    sched_setaffinity(0, sizeof set, &set);
}

void variation_apply(const struct variation *w)
{
    setenv("TZ", "Pacific/Kiritimati", 1);
    setenv("LC_ALL", "tr_TR.UTF-8", 1);
    if (!w->keep_processors)
        hide_a_processor();
}

static void set_variable(struct strlist *environment, const char *name, const char *value)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < environment->n; i++)
        if (!strncmp(environment->items[i], name, n) && environment->items[i][n] == '=') {
            free(environment->items[i]);
            environment->items[i] = xasprintf("%s=%s", name, value);
            return;
        }
    strlist_addf(environment, "%s=%s", name, value);
}

static void variation_apply_to_step(const struct variation *w, struct sandbox *s,
                                    struct strlist *environment)
{
    s->uid = OTHER_USER;
    s->umask = 077;
    s->hostname = "elsewhere";
    set_variable(environment, "TZ", "Pacific/Kiritimati");
    set_variable(environment, "LANG", "tr_TR.UTF-8");
    set_variable(environment, "LC_ALL", "tr_TR.UTF-8");
    set_variable(environment, "HOME", "/tmp");
    set_variable(environment, "PATH", SANDBOX_PATH ":/nowhere/bin");
    s->clock = w->keep_clock ? NULL : find_clock();
    if (!s->clock)
        return;
    set_variable(environment, "LD_PRELOAD", SANDBOX_CLOCK);
    set_variable(environment, "FAKETIME", "+400d");
    set_variable(environment, "NO_FAKE_STAT", "1");
    // With only one of the two clocks moved, libfaketime 0.9.10 makes Python's sleep fail.
    set_variable(environment, "FAKETIME_DONT_FAKE_MONOTONIC", "0");
}

static unsigned variation_jobs(unsigned jobs)
{
    return jobs + 1;
}

// ---- a step ----

const char *step_keep(struct step *s, char *text)
{
    strlist_add(&s->strings, text);
    free(text);
    return s->strings.items[s->strings.n - 1];
}

int step_mount(struct step *s, const char *source, const char *destination, bool writable,
               struct error **err)
{
    if (s->sandbox.mount_count == ARRAY_LEN(s->mounts))
        return error_user(err, "a step can have %zu inputs at most", ARRAY_LEN(s->mounts));
    s->mounts[s->sandbox.mount_count++] = (struct sandbox_mount){source, destination, writable};
    return 0;
}

const char *step_tree(struct build *b, struct step *s, const struct node *node, const char *output,
                      struct error **err)
{
    const struct node_output *o = node_output(node, output);
    int has = o ? store_has_tree(b->store, o->digest, true, err) : 0;
    if (has <= 0) {
        if (!has)
            input_damaged(node, err);
        return NULL;
    }
    return step_keep(s, store_tree_path(b->store, o->digest));
}

static int unpack_artifact(struct build *b, const struct node *node, const char *folder,
                           struct error **err)
{
    if (make_directories(folder, 0755, err) < 0)
        return -1;
    for (size_t i = 0; i < node->output_count; i++) {
        const struct node_output *o = &node->outputs[i];
        if (o->side)
            continue;
        int has = store_has_blob(b->store, o->digest, err);
        if (has <= 0)
            return has < 0 ? -1 : input_damaged(node, err);
        cleanup_close int fd = store_open_blob(b->store, o->digest, err);
        struct unpack_options options = {0};
        if (fd < 0 || unpack(fd, o->name, folder, &options, NULL, err) < 0)
            return -1;
    }
    return 0;
}

static int mount_roles(struct build *b, const struct job *job, struct step *s, struct error **err)
{
    for (size_t i = 0; i < job->role_count; i++) {
        const struct role *role = &job->roles[i];
        const char *path = NULL;
        switch (role->kind) {
        case ROLE_BUILDER:
            s->sandbox.root = step_tree(b, s, role->node, "root", err);
            if (!s->sandbox.root)
                return -1;
            break;
        case ROLE_SOURCE:
            path = step_tree(b, s, role->node, "tree", err);
            if (!path ||
                step_mount(s, path, step_keep(s, xasprintf("/src/%s", role->name)), false, err) < 0)
                return -1;
            break;
        case ROLE_ARTIFACT:
            path = step_keep(s, xasprintf("%s/%s", s->deps, role->name));
            if (unpack_artifact(b, role->node, path, err) < 0 ||
                step_mount(s, path, step_keep(s, xasprintf("/deps/%s", role->name)), false, err) <
                    0)
                return -1;
            break;
        case ROLE_ROOTFS:
            break;
        }
    }
    return 0;
}

// Copies files that variables name, so that a step sees the content in its key even if the user
// edits a file meanwhile.
static int stage_inputs(const struct job *job, struct step *s, struct error **err)
{
    for (size_t i = 0; i < job->value_count; i++) {
        const struct variable_value *v = &job->values[i];
        if (!v->files.n || v->variable->type == VARIABLE_SECRET)
            continue;
        cleanup_free char *folder = xasprintf("%s/%s", s->inputs, v->variable->name);
        if (make_directories(folder, 0755, err) < 0)
            return -1;
        for (size_t f = 0; f < v->files.n; f++) {
            cleanup_buf struct buf content = {0};
            cleanup_free char *path = xasprintf("%s/%s", folder, path_base(v->files.items[f]));
            if (path_exists(path))
                return error_user(err, "%s names two files that are called %s", v->variable->name,
                                  path_base(path));
            if (file_read(v->files.items[f], (size_t)1 << 32, &content, err) < 0 ||
                file_write(path, content.data, content.len, 0444, err) < 0)
                return -1;
            char digest[DIGEST_HEX_SIZE];
            digest_bytes(content.data, content.len, digest);
            if (strcmp(digest, v->digests.items[f]))
                return error_user(err, "%s changed while kbuild was running", v->files.items[f]);
        }
    }
    return 0;
}

static void add_variables(const struct job *job, struct strlist *environment)
{
    for (size_t i = 0; i < job->value_count; i++) {
        const struct variable_value *v = &job->values[i];
        const char *name = v->variable->name;
        if (v->variable->type == VARIABLE_SECRET)
            continue;
        if (v->variable->type == VARIABLE_TEXT || v->variable->type == VARIABLE_YES_NO)
            strlist_addf(environment, "%s=%s", name, v->text);
        else if (!v->files.n)
            strlist_addf(environment, "%s=", name);
        else if (v->variable->type == VARIABLE_DIRECTORY)
            strlist_addf(environment, "%s=/inputs/%s", name, name);
        else {
            struct strlist paths = {0};
            for (size_t f = 0; f < v->files.n; f++)
                strlist_addf(&paths, "/inputs/%s/%s", name, path_base(v->files.items[f]));
            cleanup_free char *joined = strlist_join(&paths, ",");
            strlist_addf(environment, "%s=%s", name, joined);
            strlist_free(&paths);
        }
    }
}

static void fill_environment(const struct build *b, const struct node *node, struct step *s)
{
    const struct variation *variation = b->options.variation;
    const struct job *job = job_of(node);
    const struct arch *a = job->target;
    struct strlist *e = &s->environment;
    strlist_add(e, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    strlist_add(e, "HOME=/build");
    strlist_add(e, "LANG=C.UTF-8");
    strlist_add(e, "TZ=UTC");
    strlist_addf(e, "SOURCE_DATE_EPOCH=%lld", (long long)node->epoch);
    strlist_addf(e, "ARCH=%s", a->name);
    strlist_addf(e, "LINUX_ARCH=%s", a->linux_);
    strlist_addf(e, "TRIPLET=%s", a->triplet);
    if (a == arch_host())
        strlist_add(e, "CROSS_COMPILE=");
    else
        strlist_addf(e, "CROSS_COMPILE=%s-", a->triplet);
    strlist_addf(e, "TARGET=%s", job->recipe->name);
    strlist_add(e, "PREFIX=/opt/kata");
    // The number of jobs must not change an output, so neither of these is in the key.
    unsigned jobs = variation ? variation_jobs(b->options.jobs) : b->options.jobs;
    strlist_addf(e, "JOBS=%u", jobs);
    jobserver_fds(s->sandbox.jobserver);
    if (s->sandbox.jobserver[0])
        strlist_addf(e, "MAKEFLAGS=-j%u --jobserver-auth=%d,%d", jobs, s->sandbox.jobserver[0],
                     s->sandbox.jobserver[1]);
    strlist_add_all(e, &job->constants);
    add_variables(job, e);
    if (variation)
        variation_apply_to_step(variation, &s->sandbox, e);
}

int step_folder(const struct job *job, struct step *s, const char *scratch, const char *folder,
                const char *name, const char *at, struct error **err)
{
    const struct recipe *r = job->recipe;
    const char *seen = NULL;
    for (size_t i = 0; i < r->only_count; i++) {
        const char *path = r->only[i].path;
        bool ours = *name ? starts_with(path, name) : !starts_with(path, "shared/");
        if (!ours || r->only[i].architectures[job->target - arch_table])
            continue;
        if (!seen) {
            seen = step_keep(s, xasprintf("%s/seen%s", scratch, at));
            if (make_directories(seen, 0755, err) < 0 || copy_tree(folder, seen, err) < 0)
                return -1;
        }
        cleanup_free char *hidden = xasprintf("%s/%s", seen, path + strlen(name));
        if (remove_tree(hidden, err) < 0)
            return -1;
    }
    return step_mount(s, seen ? seen : folder, at, false, err);
}

int step_prepare(struct build *b, struct node *node, const char *scratch,
                 const struct checkpoint *w, struct step *s, struct error **err)
{
    const struct job *job = job_of(node);
    const struct recipe *r = job->recipe;
    *s = (struct step){0};
    s->sandbox.mounts = s->mounts;
    s->sandbox.environment = &s->environment;
    s->sandbox.directory = "/build";
    s->out = w ? xstrdup(w->destdir) : xasprintf("%s/out", scratch);
    s->deps = xasprintf("%s/deps", scratch);
    s->inputs = xasprintf("%s/inputs", scratch);
    s->work = w ? xstrdup(w->builddir) : xasprintf("%s/work", scratch);
    const char *const folders[] = {s->out, s->deps, s->inputs, s->work};
    for (size_t i = 0; i < ARRAY_LEN(folders); i++)
        if (make_directories(folders[i], 0755, err) < 0)
            return -1;
    for (size_t i = 0; i < r->outputs.n; i++) {
        cleanup_free char *folder = xasprintf("%s/%s", s->out, r->outputs.items[i]);
        if (make_directories(folder, 0755, err) < 0)
            return -1;
    }
    if (mount_roles(b, job, s, err) < 0 || stage_inputs(job, s, err) < 0 ||
        step_folder(job, s, scratch, r->folder, "", "/recipe", err) < 0)
        return -1;
    for (size_t i = 0; i < r->shared.n; i++) {
        const char *name = r->shared.items[i];
        const char *folder = step_keep(s, recipe_set_path(b->recipes, name));
        cleanup_free char *prefix = xasprintf("shared/%s/", name);
        if (step_folder(job, s, scratch, folder, prefix,
                        step_keep(s, xasprintf("/shared/%s", name)), err) < 0)
            return -1;
    }
    if (step_mount(s, s->inputs, "/inputs", false, err) < 0 ||
        step_mount(s, s->work, "/build", true, err) < 0 ||
        step_mount(s, s->out, "/out", true, err) < 0)
        return -1;
    fill_environment(b, node, s);
    return 0;
}

void step_free(struct step *s)
{
    strlist_free(&s->environment);
    strlist_free(&s->strings);
    free(s->out);
    free(s->deps);
    free(s->inputs);
    free(s->work);
}

int step_fault(struct error **err)
{
    if (err && (*err)->kind == ERROR_USER && !(*err)->errnum)
        (*err)->kind = ERROR_STEP;
    return -1;
}

enum { FULL_BYTES = 16 << 20, FULL_INODES = 100 };

static bool is_full(const char *work)
{
    struct statvfs st;
    if (statvfs(work, &st) < 0)
        return false;
    // Some file systems count no inodes: 0 of 0.
    return (unsigned long long)st.f_bavail * st.f_frsize < FULL_BYTES ||
           (st.f_files && st.f_favail < FULL_INODES);
}

bool step_disk_is_full(const char *work, struct error **err)
{
    if (!err || !is_full(work))
        return false;
    struct error *why = steal(*err);
    error_errno(err, ENOSPC, "%s, and the file system of %s is full", why->message, work);
    error_free(why);
    return true;
}
