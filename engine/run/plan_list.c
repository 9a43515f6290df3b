// SPDX-License-Identifier: Apache-2.0
// Plans sources that are lists. The identity of such a node is known at once: its script, all files
// that the script sees, and its arguments. The script's other inputs are inputs of the node. So the
// key is known as soon as these inputs are.
#include "run/plan.h"

#include <string.h>

#define LIST_FORMAT                                                                                \
    "1" // of how lines become a tree; raise it when the same lines would make another

struct wanted_list {
    const struct buf *identity;
    const struct node *of, *builder;
};

static const struct node *role_node(const struct job *job, enum role_kind kind)
{
    const struct role *role = job_role(job, kind, NULL);
    return role ? role->node : NULL;
}

static bool same_list(const struct node *node, const void *what)
{
    const struct wanted_list *w = what;
    const struct job *job = job_of(node);
    return job->list && !strcmp(node->identity.data, w->identity->data) &&
           role_node(job, ROLE_SOURCE) == w->of && role_node(job, ROLE_BUILDER) == w->builder;
}

static int fill_arguments(struct build *b, const struct job *user,
                          const struct recipe_source *source, struct strlist *out,
                          struct error **err)
{
    for (size_t i = 0; i < source->list->arguments.n; i++) {
        cleanup_free char *text =
            source_expand(source, b->versions, user->target, source->list->arguments.items[i], err);
        if (!text)
            return error_wrap(err, "%s:%zu: source %s: arguments", user->recipe->file, source->line,
                              source->name);
        for (const unsigned char *p = (const unsigned char *)text; *p; p++)
            if (*p < ' ' || *p == 0x7f) // it would add a line to the key
                return error_user(err, "%s:%zu: source %s: an argument holds a control character",
                                  user->recipe->file, source->line, source->name);
        strlist_add(out, text);
    }
    return 0;
}

static int identify_shared(struct build *b, const struct job *user, const char *name,
                           struct buf *out, struct error **err)
{
    cleanup_free char *title = xasprintf("file shared/%s", name);
    cleanup_free char *folder = xasprintf("%s/%s", recipe_set_directory(b->recipes), name);
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

static int plan_list(struct build *b, struct node *user, const struct recipe_source *source,
                     struct error **err)
{
    const struct job *job = job_of(user);
    const struct recipe_list *list = source->list;
    const struct role *of = list->of ? find_of(b, user, source, err) : NULL;
    const struct role *builder = job_role(job, ROLE_BUILDER, NULL);
    cleanup_strlist struct strlist arguments = {0};
    cleanup_buf struct buf identity = {0}, files = {0}, script = {0};
    if ((list->of && !of) || fill_arguments(b, job, source, &arguments, err) < 0)
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
    const struct wanted_list wanted = {&identity, of ? of->node : NULL,
                                       builder ? builder->node : NULL};
    cleanup_free char *name = xasprintf("source:%s", source->name);
    bool is_new;
    struct node *node = plan_node(b, NODE_SOURCE, name, same_list, &wanted, &is_new);
    if (is_new) {
        cleanup_free char *label = xasprintf("source %s", node->id + strlen("source:"));
        struct job *new = job_new(node, job->recipe, job->target, label);
        new->list = list;
        strlist_add_all(&new->arguments, &arguments);
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
        if (strcmp(other->name, name) != 0 || !plan_source_applies(b, job, other))
            continue;
        if (other->list && !job_role(job, ROLE_SOURCE, name) && plan_list(b, user, other, err) < 0)
            return NULL;
        return job_role(job, ROLE_SOURCE, name);
    }
    error_user(err,
               "%s:%zu: source %s is of %s, which is not there with these sources and variables",
               job->recipe->file, source->line, source->name, name);
    return NULL;
}

int plan_lists(struct build *b, struct node *node, struct error **err)
{
    const struct job *job = job_of(node);
    for (size_t i = 0; i < job->recipe->source_count; i++) {
        const struct recipe_source *source = &job->recipe->sources[i];
        if (source->list && plan_source_applies(b, job, source) &&
            !job_role(job, ROLE_SOURCE, source->name) && plan_list(b, node, source, err) < 0)
            return -1;
    }
    return 0;
}
