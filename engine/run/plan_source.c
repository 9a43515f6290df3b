// SPDX-License-Identifier: Apache-2.0
// Plans the sources of an artifact: trees, and lists that a script prints. The identity of a list
// is known at once: its script, all files that the script sees, and its arguments. The script's
// other inputs are inputs of the node. So the key is known as soon as these inputs are.
#include "run/internal.h"

#include <errno.h>
#include <string.h>

#define LIST_FORMAT                                                                                \
    "1" // of how lines become a tree; raise it when the same lines would make another

// ---- roles and ids ----

void plan_role(struct node *node, enum role_kind kind, const char *name, struct node *needed)
{
    struct job *job = job_of(node);
    graph_need(node, needed, true);
    job->roles = xgrow(job->roles, &job->role_cap, job->role_count + 1, sizeof *job->roles);
    job->roles[job->role_count++] = (struct role){kind, name, needed};
}

char *plan_id(const char *name, const struct buf *text)
{
    char digest[DIGEST_HEX_SIZE];
    digest_bytes(text->data ? text->data : "", text->len, digest);
    return xasprintf("%s:%.12s", name, digest);
}

// ---- files of recipes ----

int plan_folder(const struct job *job, const char *title, const char *folder, const char *inner,
                struct buf *out, struct error **err)
{
    // "file shared/<name>": paths in there are named shared/<name>/... in the recipe
    const char *shared = strstr(title, " shared/");
    cleanup_free char *path = *inner ? xasprintf("%s/%s", folder, inner) : xstrdup(folder);
    cleanup_strlist struct strlist names = {0};
    if (list_directory(path, &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++) {
        if (!*inner && !strcmp(names.items[i], "recipe.yaml"))
            continue;
        cleanup_free char *relative =
            *inner ? xasprintf("%s/%s", inner, names.items[i]) : xstrdup(names.items[i]);
        cleanup_free char *file = xasprintf("%s/%s", folder, relative);
        cleanup_free char *named =
            shared ? xasprintf("%s/%s", shared + 1, relative) : xstrdup(relative);
        if (recipe_hides(job->recipe, job->target, named))
            continue;
        if (strchr(relative, '\n')) // it would add a line to the key
            return error_user(err, "%s has a line break in its name", file);
        struct stat st;
        if (lstat(file, &st) < 0)
            return error_errno(err, errno, "reading %s", file);
        char digest[DIGEST_HEX_SIZE];
        if (S_ISDIR(st.st_mode)) {
            size_t before = out->len;
            if (plan_folder(job, title, folder, relative, out, err) < 0)
                return -1;
            digest_bytes("", 0, digest);
            if (out->len == before) // an empty folder: a step sees it
                buf_printf(out, "%s %s d %s\n", title, relative, digest);
            continue;
        }
        if (S_ISLNK(st.st_mode)) {
            char target[4096];
            ssize_t n = readlink(file, target, sizeof target);
            if (n < 0)
                return error_errno(err, errno, "reading %s", file);
            digest_bytes(target, (size_t)n, digest);
        } else if (!S_ISREG(st.st_mode)) {
            return error_user(err, "%s is a special file; a recipe holds files only", file);
        } else if (digest_file(file, digest, NULL, err) < 0) {
            return -1;
        }
        buf_printf(out, "%s %s %c %s\n", title, relative,
                   S_ISLNK(st.st_mode)   ? 'l'
                   : (st.st_mode & 0100) ? 'x'
                                         : '-',
                   digest);
    }
    return 0;
}

// ---- sources ----

static bool applies(struct build *b, const struct job *job, const struct recipe_source *source)
{
    const struct source_options o = source_options(b);
    return source_applies(job->recipe, source, b->versions, &o) &&
           condition_holds(job, &source->condition);
}

// A list that is a local folder needs no script.
static bool is_folder(const struct build *b, const struct recipe_source *source)
{
    const struct source_choice *choice = source_choice_of(b->options.choices, source->name);
    return choice && choice->origin == ORIGIN_FOLDER;
}

// What distinguishes a source from others of its name: the request, not what it resolves to. A path
// of this machine is not part of it: of a name there is at most one local folder, and patches are
// named as below the recipes.
static void describe_request(const struct recipe *r, const struct source_spec *s, struct buf *out)
{
    static const char *const kinds[] = {[SOURCE_GIT] = "git",
                                        [SOURCE_ARCHIVE] = "archive",
                                        [SOURCE_DEBIAN] = "debian",
                                        [SOURCE_LOCAL] = "local",
                                        [SOURCE_IMAGE] = "image"};
    size_t above = strlen(r->folder) - strlen(r->name) - 1; // of "<recipes>/<name>"
    const char *const texts[] = {s->kind == SOURCE_LOCAL ? NULL : s->url,
                                 s->ref,
                                 s->sha256,
                                 s->sums,
                                 s->debian ? s->debian->file : NULL,
                                 s->debian ? s->debian->source : NULL};
    buf_printf(out, "%s %d\n", kinds[s->kind], (int)s->submodules);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        buf_printf(out, "%zu %s\n", i, texts[i] ? texts[i] : "");
    for (size_t i = 0; s->debian && i < s->debian->packages.n; i++)
        buf_printf(out, "package %s\n", s->debian->packages.items[i]);
    if (s->debian && s->debian->arch)
        buf_printf(out, "architecture %s\n", s->debian->arch->name);
    if (s->debian && s->debian->dependency)
        buf_printf(out, "dependency %s\n", s->debian->dependency);
    for (size_t i = 0; i < s->patches.n; i++) {
        const char *path = s->patches.items[i];
        buf_printf(out, "patch %s\n", starts_with(path, r->folder) ? path + above : path);
    }
}

static int add_source(struct build *b, struct node *user, const struct recipe_source *source,
                      struct error **err)
{
    struct job *job = job_of(user);
    struct source_options o = source_options(b);
    struct source_spec spec = {0};
    cleanup_free char *ignored = source_checkout_ignored(source, b->versions, &o);
    if (ignored) {
        cleanup_free char *text = xasprintf("source %s is not the checkout %s: --locked takes only "
                                            "what versions.lock names",
                                            source->name, ignored);
        build_note(b, text);
    }
    if (source_describe(job->recipe, source, b->versions, job->target, &o, &spec, err) < 0)
        return -1;
    cleanup_buf struct buf request = {0};
    describe_request(job->recipe, &spec, &request);
    cleanup_free char *name = xasprintf("source:%s", source->name);
    cleanup_free char *id = plan_id(name, &request);
    struct node *node = graph_find(&b->graph, id);
    if (node) {
        source_spec_free(&spec);
    } else {
        node = graph_add(&b->graph, NODE_SOURCE, name, id);
        struct job *new = job_new(node, job->recipe, NULL);
        new->spec = spec;
        new->filled_in = spec.used;
        new->spec.used = (struct version_values){0};
    }
    plan_role(user, ROLE_SOURCE, source->name, node);
    return 0;
}

// ---- lists ----

static int fill_arguments(struct build *b, const struct job *user,
                          const struct recipe_source *source, struct strlist *out,
                          struct version_values *used, struct error **err)
{
    for (size_t i = 0; i < source->list->arguments.n; i++) {
        cleanup_free char *text = source_expand(source, b->versions, user->target,
                                                source->list->arguments.items[i], used, err);
        if (!text) {
            error_wrap(err, "%s:%zu: source %s: arguments", user->recipe->file, source->line,
                       source->name);
            return error_place(err, user->recipe->file, source->line, 0);
        }
        for (const unsigned char *p = (const unsigned char *)text; *p; p++)
            if (*p < ' ' || *p == 0x7f) { // it would add a line to the key
                error_user(err, "%s:%zu: source %s: an argument holds a control character",
                           user->recipe->file, source->line, source->name);
                return error_place(err, user->recipe->file, source->line, 0);
            }
        strlist_add(out, text);
    }
    return 0;
}

static int identify_shared(struct build *b, const struct job *user, const char *name,
                           struct buf *out, struct error **err)
{
    cleanup_free char *title = xasprintf("file shared/%s", name);
    cleanup_free char *folder = recipe_set_path(b->recipes, name);
    return plan_folder(user, title, folder, "", out, err);
}

// The files that the script sees (node_list.c): a shared script its own folder, a script of the
// recipe that folder and all shared ones.
static int identify_files(struct build *b, const struct job *user, const struct recipe_list *list,
                          struct buf *out, struct error **err)
{
    cleanup_free char *shared = list_shared_folder(list);
    if (shared)
        return identify_shared(b, user, shared, out, err);
    if (plan_folder(user, "file recipe", user->recipe->folder, "", out, err) < 0)
        return -1;
    for (size_t i = 0; i < user->recipe->shared.n; i++)
        if (identify_shared(b, user, user->recipe->shared.items[i], out, err) < 0)
            return -1;
    return 0;
}

static const struct role *find_of(struct build *b, struct node *user,
                                  const struct recipe_source *source, struct error **err);

static char *list_id(const char *name, const struct buf *identity, const struct role *of,
                     const struct role *builder)
{
    cleanup_buf struct buf text = {0};
    buf_add(&text, identity->data, identity->len);
    if (of)
        buf_printf(&text, "of %s\n", of->node->id);
    if (builder)
        buf_printf(&text, "builder %s\n", builder->node->id);
    return plan_id(name, &text);
}

static int plan_list(struct build *b, struct node *user, const struct recipe_source *source,
                     struct error **err)
{
    const struct job *job = job_of(user);
    const struct recipe_list *list = source->list;
    const struct role *of = list->of ? find_of(b, user, source, err) : NULL;
    const struct role *builder = job_role(job, ROLE_BUILDER, NULL);
    cleanup_strlist struct strlist arguments = {0};
    cleanup_version_values struct version_values used = {0};
    cleanup_buf struct buf identity = {0}, files = {0}, script = {0};
    if ((list->of && !of) || fill_arguments(b, job, source, &arguments, &used, err) < 0)
        return -1;
    if (identify_files(b, job, list, &files, err) < 0)
        return -1;
    buf_printf(&identity, "list format " LIST_FORMAT "\nscript %s\n", list->script);
    for (size_t i = 0; i < arguments.n; i++)
        buf_printf(&identity, "argument %s\n", arguments.items[i]);
    buf_printf(&script, "%s%s", identity.data, files.data ? files.data : "");
    if (!builder) // this machine's tools, the whole identity of `user` so far
        buf_add(&identity, user->identity.data, user->identity.len);
    buf_add(&identity, files.data, files.len);
    cleanup_free char *name = xasprintf("source:%s", source->name);
    cleanup_free char *id = list_id(name, &identity, of, builder);
    struct node *node = graph_find(&b->graph, id);
    if (!node) {
        node = graph_add(&b->graph, NODE_SOURCE, name, id);
        struct job *new = job_new(node, job->recipe, job->target);
        new->list = list;
        strlist_add_all(&new->arguments, &arguments);
        new->filled_in = used;
        used = (struct version_values){0};
        digest_bytes(script.data, script.len, new->list_script);
        buf_add(&node->identity, identity.data, identity.len);
        node->identified = true;
        if (of)
            plan_role(node, ROLE_SOURCE, list->of, of->node);
        if (builder)
            plan_role(node, ROLE_BUILDER, builder->name, builder->node);
    }
    plan_role(user, ROLE_SOURCE, source->name, node);
    return 0;
}

// The source that a list belongs to; if that is a list, it is planned first.
static const struct role *find_of(struct build *b, struct node *user,
                                  const struct recipe_source *source, struct error **err)
{
    const struct job *job = job_of(user);
    const char *name = source->list->of;
    for (size_t i = 0; i < job->recipe->source_count; i++) {
        const struct recipe_source *other = &job->recipe->sources[i];
        if (strcmp(other->name, name) != 0 || !applies(b, job, other))
            continue;
        if (other->list && !job_role(job, ROLE_SOURCE, name) && plan_list(b, user, other, err) < 0)
            return NULL;
        return job_role(job, ROLE_SOURCE, name);
    }
    error_user(
        err,
        "%s:%zu: the list source %s belongs to the source %s, which this build does not use: "
        "check the two keys `when`, and the variables and --sources of this run",
        job->recipe->file, source->line, source->name, name);
    error_place(err, job->recipe->file, source->line, 0);
    return NULL;
}

int plan_lists(struct build *b, struct node *node, struct error **err)
{
    const struct job *job = job_of(node);
    for (size_t i = 0; i < job->recipe->source_count; i++) {
        const struct recipe_source *source = &job->recipe->sources[i];
        if (source->list && applies(b, job, source) && !job_role(job, ROLE_SOURCE, source->name) &&
            plan_list(b, node, source, err) < 0)
            return -1;
    }
    return 0;
}

int plan_sources(struct build *b, struct node *node, struct error **err)
{
    const struct job *job = job_of(node);
    for (size_t i = 0; i < job->recipe->source_count; i++) {
        const struct recipe_source *source = &job->recipe->sources[i];
        if ((!source->list || is_folder(b, source)) && applies(b, job, source) &&
            add_source(b, node, source, err) < 0)
            return -1;
    }
    return 0;
}
