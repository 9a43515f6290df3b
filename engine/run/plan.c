// SPDX-License-Identifier: Apache-2.0
// Recipes -> nodes. Each node gets its id, its needs and the identity lines of its key.
#include "run/internal.h"

#include <errno.h>
#include <string.h>

// ---- builders and root file systems ----

// This machine's distribution; detected when first needed, since many builds do not need it.
static int host_distribution(struct build *b, struct distribution *copy, struct error **err)
{
    if (!b->run->host.id && distribution_host(&b->run->host, err) < 0)
        return -1;
    *copy = (struct distribution){.id = xstrdup(b->run->host.id),
                                  .codename = xstrdup(b->run->host.codename)};
    return 0;
}

// What a builder or a root file system is made of.
struct contents {
    const struct arch *arch;
    struct strlist packages, same;
    struct distribution distribution;
    char *setup;      // or NULL
    char *image_name; // instead of packages, or NULL
};

static void contents_free(struct contents *c)
{
    strlist_free(&c->packages);
    strlist_free(&c->same);
    distribution_free(&c->distribution);
    free(c->setup);
    free(c->image_name);
}
#define cleanup_contents __attribute__((cleanup(contents_free)))

// The lines of the key that are known before the packages are resolved; none of an image.
static int describe_contents(const struct contents *c, struct buf *out, struct error **err)
{
    char digest[DIGEST_HEX_SIZE];
    bool sysroot = false;
    if (c->image_name) // its digest is in the key
        return 0;
    buf_printf(out, "format %s\ndistribution %s %s\narchitecture %s\n", RUN_FORMAT,
               c->distribution.id, c->distribution.codename, c->arch->name);
    for (size_t i = 0; i < c->packages.n; i++) {
        buf_printf(out, "package %s\n", c->packages.items[i]);
        sysroot |= strchr(c->packages.items[i], ':') != NULL; // of another architecture
    }
    for (size_t i = 0; i < c->same.n; i++)
        buf_printf(out, "same-version %s\n", c->same.items[i]);
    if (sysroot)
        buf_puts(out, "sysroot format " SYSROOT_FORMAT "\n");
    if (!c->setup)
        return 0;
    if (digest_file(c->setup, digest, NULL, err) < 0)
        return -1;
    buf_printf(out, "setup %s\n", digest);
    return 0;
}

// The node of these contents, which it takes over.
static struct node *add_contents(struct build *b, enum node_kind kind, const char *name,
                                 const char *id, struct contents *c, const struct buf *identity,
                                 const struct recipe *r)
{
    struct node *node = graph_find(&b->graph, id);
    if (node)
        return node;
    node = graph_add(&b->graph, kind, name, id);
    buf_add(&node->identity, identity->data, identity->len);
    struct job *job = job_new(node, r, c->arch);
    job->packages = c->packages;
    job->same = c->same;
    job->distribution = c->distribution;
    job->setup = c->setup;
    job->image_name = c->image_name;
    *c = (struct contents){0};
    return node;
}

char *builder_image_variable(const struct recipe_builder *builder)
{
    char *variable = xasprintf("%s_CONTAINER_BUILDER", builder->name);
    for (char *p = variable; *p; p++)
        *p = *p >= 'a' && *p <= 'z' ? (char)(*p - 'a' + 'A') : strchr("-.", *p) ? '_' : *p;
    return variable;
}

// What that variable says, else the recipe's image.
static char *builder_image_name(const struct recipe_builder *builder)
{
    cleanup_free char *variable = builder_image_variable(builder);
    const char *set = variable_value(variable);
    const char *name = set && *set ? set : builder->image;
    return name ? xstrdup(name) : NULL;
}

static void add_libraries(const struct recipe_builder *builder, const struct arch *target,
                          struct strlist *packages)
{
    for (size_t i = 0; i < builder->libraries.n; i++) {
        const char *name = builder->libraries.items[i];
        if (target != arch_host())
            strlist_addf(packages, "%s:%s", name, target->debian);
        else
            strlist_add_once(packages, name);
    }
}

// The packages of a builder for this target, sorted.
static void builder_packages(const struct recipe_builder *builder, const struct arch *target,
                             struct strlist *out)
{
    strlist_add_all(out, &builder->packages);
    if (target != arch_host())
        strlist_add_all(out, &builder->cross[target - arch_table]);
    add_libraries(builder, target, out);
    strlist_sort(out);
}

static bool equal_lists(const struct strlist *a, const struct strlist *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->items[i], b->items[i]))
            return false;
    return true;
}

// The architecture that names a builder with these packages: this machine's if it has the same for
// its own programs, else the first target that it has them for. Thus a builder that is the same for
// several targets is one node.
static const struct arch *naming_target(const struct recipe_builder *builder,
                                        const struct strlist *packages)
{
    for (size_t i = 0; i <= arch_count; i++) {
        const struct arch *target = i ? &arch_table[i - 1] : arch_host();
        cleanup_strlist struct strlist its = {0};
        builder_packages(builder, target, &its);
        if (equal_lists(&its, packages))
            return target;
    }
    return arch_host(); // of an image
}

// Such groups matter only where their packages are for two architectures.
static void add_same_versions(const struct recipe_builder *builder, struct contents *c)
{
    for (size_t i = 0; i < builder->same.n; i++) {
        cleanup_strlist struct strlist group = {0};
        bool here = false, other = false;
        strlist_split(&group, builder->same.items[i], ",");
        for (size_t k = 0; k < c->packages.n; k++) {
            const char *name = c->packages.items[k], *colon = strchr(name, ':');
            cleanup_free char *plain = xstrndup(name, strcspn(name, ":"));
            bool member = strlist_has(&group, plain);
            here = here || (member && !colon);
            other = other || (member && colon);
        }
        if (here && other)
            strlist_add(&c->same, builder->same.items[i]);
    }
}

static int fill_builder(struct build *b, const struct job *user, struct contents *c,
                        struct error **err)
{
    const struct recipe_builder *builder = user->recipe->builder;
    c->arch = arch_host();
    c->image_name = builder_image_name(builder);
    if (c->image_name)
        return 0;
    builder_packages(builder, user->target, &c->packages);
    add_same_versions(builder, c);
    if (builder->setup)
        c->setup = xasprintf("%s/%s", user->recipe->folder, builder->setup);
    return host_distribution(b, &c->distribution, err);
}

// "builder:<name>:<this machine's architecture>[-<target>]:<digest>"
static char *builder_id(const struct recipe_builder *builder, const struct contents *c,
                        const struct buf *identity)
{
    const struct arch *target = naming_target(builder, &c->packages);
    cleanup_buf struct buf text = {0};
    buf_add(&text, identity->data, identity->len);
    if (c->image_name)
        buf_printf(&text, "image %s\n", c->image_name);
    cleanup_free char *name =
        xasprintf("builder:%s:%s%s%s", builder->name, c->arch->name, target == c->arch ? "" : "-",
                  target == c->arch ? "" : target->name);
    return plan_id(name, &text);
}

static int add_builder(struct build *b, struct node *user, struct error **err)
{
    const struct job *job = job_of(user);
    const struct recipe_builder *builder = job->recipe->builder;
    if (!builder)
        return 0;
    if (b->options.host_builder)
        return host_tools_key(b->store, builder, job->target, &user->identity, err);
    cleanup_contents struct contents c = {0};
    cleanup_buf struct buf identity = {0};
    if (fill_builder(b, job, &c, err) < 0 || describe_contents(&c, &identity, err) < 0)
        return -1;
    cleanup_free char *name = xasprintf("builder:%s", builder->name);
    cleanup_free char *id = builder_id(builder, &c, &identity);
    plan_role(user, ROLE_BUILDER, builder->name,
              add_contents(b, NODE_BUILDER, name, id, &c, &identity, job->recipe));
    return 0;
}

static int rootfs_distribution(struct build *b, const struct job *job, struct distribution *out,
                               struct error **err)
{
    if (b->options.debian)
        return host_distribution(b, out, err);
    cleanup_free char *path = arch_expand(job->recipe->rootfs->distribution, job->target);
    cleanup_free char *id = xasprintf("%s.name", path);
    cleanup_free char *codename = xasprintf("%s.version", path);
    const char *id_text = versions_text(b->versions, id, err);
    const char *codename_text = id_text ? versions_text(b->versions, codename, err) : NULL;
    if (!codename_text)
        return error_wrap(err, "the distribution of %s", job->label);
    *out = (struct distribution){.id = xstrdup(id_text), .codename = xstrdup(codename_text)};
    return 0;
}

static int add_rootfs(struct build *b, struct node *user, struct error **err)
{
    const struct job *job = job_of(user);
    const struct recipe_rootfs *rootfs = job->recipe->rootfs;
    if (!rootfs)
        return 0;
    cleanup_contents struct contents c = {.arch = job->target};
    cleanup_buf struct buf identity = {0};
    strlist_add_all(&c.packages, &rootfs->packages);
    for (size_t i = 0; i < rootfs->more_count; i++)
        for (size_t k = 0;
             condition_holds(job, &rootfs->more[i].when) && k < rootfs->more[i].packages.n; k++)
            strlist_add_once(&c.packages, rootfs->more[i].packages.items[k]);
    strlist_sort(&c.packages);
    if (rootfs_distribution(b, job, &c.distribution, err) < 0 ||
        describe_contents(&c, &identity, err) < 0)
        return -1;
    // A recipe has one for each architecture.
    cleanup_free char *name = xasprintf("rootfs:%s:%s", job->recipe->name, job->target->name);
    plan_role(user, ROLE_ROOTFS, "rootfs",
              add_contents(b, NODE_ROOTFS, name, name, &c, &identity, job->recipe));
    return 0;
}

// ---- artifacts ----

// The keys of recipe.yaml that can change the output. Package origins, names and tests cannot.
static const char *const deciding_keys[] = {"action",  "run",    "phases", "environment", "sign",
                                            "outputs", "initrd", "disk",   "image",       "shared"};

static int identify_recipe(struct build *b, struct node *node, struct error **err)
{
    const struct job *job = job_of(node);
    const struct recipe *r = job->recipe;
    struct buf *out = &node->identity;
    buf_printf(out, "format %s\ncodec %s\ntarget %s\nhost %s\n", RUN_FORMAT, plan_codec_version(b),
               job->target->name, arch_host()->name);
    for (size_t i = 0; i < ARRAY_LEN(deciding_keys); i++) {
        const struct yaml *part = yaml_get(r->document->root, deciding_keys[i]);
        if (!part)
            continue;
        cleanup_buf struct buf text = {0};
        yaml_print(part, &text);
        char digest[DIGEST_HEX_SIZE];
        digest_bytes(text.data ? text.data : "", text.len, digest);
        buf_printf(out, "recipe %s %s\n", deciding_keys[i], digest);
    }
    for (size_t i = 0; i < job->role_count; i++)
        buf_printf(out, "role %s %s\n", job->roles[i].name, job->roles[i].node->name);
    if (plan_folder(job, "file recipe", r->folder, "", out, err) < 0)
        return -1;
    if (r->like && plan_folder(job, "file like", r->like->folder, "", out, err) < 0)
        return -1;
    for (size_t i = 0; i < r->shared.n; i++) {
        cleanup_free char *title = xasprintf("file shared/%s", r->shared.items[i]);
        cleanup_free char *folder = recipe_set_path(b->recipes, r->shared.items[i]);
        if (plan_folder(job, title, folder, "", out, err) < 0)
            return -1;
    }
    variables_key(job->values, job->value_count, out);
    constants_key(job, out);
    return 0;
}

static int add_needs(struct build *b, struct node *node, struct error **err)
{
    const struct job *job = job_of(node);
    const struct recipe *r = job->recipe;
    struct source_options o;
    const struct recipe_selection c = recipe_selection_of(b, &o);
    for (size_t i = 0; i < r->need_count; i++) {
        struct error *why = NULL;
        if (!condition_holds(job, &r->needs[i].when))
            continue;
        const struct recipe *chosen = choose_recipe(&c, r, &r->needs[i], job->target, &why);
        if (why) {
            *err = why;
            return -1;
        }
        if (!chosen)
            continue;
        struct node *needed = plan_artifact(b, chosen, job->target, err);
        if (!needed)
            return -1;
        plan_role(node, ROLE_ARTIFACT, chosen->name, needed);
    }
    return 0;
}

struct node *plan_artifact(struct build *b, const struct recipe *r, const struct arch *target,
                           struct error **err)
{
    cleanup_free char *name = xasprintf("%s:%s", r->name, target->name);
    struct node *node = graph_find(&b->graph, name);
    if (node)
        return node;
    if (r->action == ACTION_GROUP) {
        error_user(err, "%s is a group of targets: it cannot be an input of another target",
                   r->name);
        error_hint(err, "name what is needed itself");
        return NULL;
    }
    if (place_check_recipe(r, err) < 0)
        return NULL;
    node = graph_add(&b->graph, NODE_ARTIFACT, name, name);
    struct job *job = job_new(node, r, target);
    job->placed = r->release;
    int prebuilt = prebuilt_find(b, r->name, target, &job->prebuilt, err);
    if (prebuilt)
        return prebuilt < 0 ? NULL : node;
    cleanup_free char *release =
        variables_follow_release(r) ? release_version(b->versions, b->recipes, NULL) : NULL;
    if (variables_resolve(r, target, release, &job->values, err) < 0)
        return NULL;
    job->value_count = r->variable_count;
    if (constants_resolve(job, b->versions, err) < 0)
        return NULL;
    // A list needs the other sources and the builder.
    if (plan_sources(b, node, err) < 0 || add_builder(b, node, err) < 0 ||
        plan_lists(b, node, err) < 0 || add_rootfs(b, node, err) < 0 ||
        add_needs(b, node, err) < 0 || identify_recipe(b, node, err) < 0 ||
        (actions[r->action].identify && actions[r->action].identify(b, node, err) < 0))
        return NULL;
    node->identified = true;
    return node;
}

// ---- targets ----

static int compare_labels(const void *a, const void *b)
{
    return strcmp(node_label(*(struct node *const *)a), node_label(*(struct node *const *)b));
}

void plan_labels(struct graph *g)
{
    cleanup_free struct node **nodes = xcalloc(g->n + 1, sizeof(struct node *));
    for (size_t i = 0; i < g->n; i++) {
        nodes[i] = g->nodes[i];
        job_set_label(nodes[i], false);
    }
    qsort(nodes, g->n, sizeof(struct node *), compare_labels);
    for (size_t i = 0, end; i < g->n; i = end) {
        for (end = i + 1; end < g->n && !compare_labels(&nodes[i], &nodes[end]);)
            end++;
        for (size_t k = i; end - i > 1 && k < end; k++)
            job_set_label(nodes[k], true);
    }
}

static int add_companions(struct build *b, struct node *node, struct error **err)
{
    const struct recipe *r = job_of(node)->recipe;
    for (size_t i = 0; i < r->with.n; i++) {
        const struct recipe *other = recipe_get(b->recipes, r->with.items[i], err);
        if (!other)
            return error_wrap(err, "%s: with", r->file);
        if (!recipe_supports(other, job_of(node)->target))
            continue;
        struct node *along = plan_artifact(b, other, job_of(node)->target, err);
        if (!along)
            return -1;
        job_of(along)->placed = true;
    }
    return 0;
}

static int request_one(struct build *b, const struct recipe *r, const struct arch *target,
                       struct targets *out, struct error **err)
{
    struct node *node = plan_artifact(b, r, target, err);
    if (!node || add_companions(b, node, err) < 0)
        return -1;
    job_of(node)->asked = job_of(node)->placed = true;
    if (out) {
        out->nodes = xgrow(out->nodes, &out->cap, out->n + 1, sizeof(struct node *));
        out->nodes[out->n++] = node;
    }
    return 0;
}

static int request_members(struct build *b, const struct recipe *group, const struct arch *target,
                           struct targets *out, struct error **err)
{
    const struct recipe_needs *members = &group->members[target - arch_table];
    struct source_options o;
    const struct recipe_selection c = recipe_selection_of(b, &o);
    for (size_t i = 0; i < members->count; i++) {
        struct error *why = NULL;
        const struct recipe *r = choose_recipe(&c, group, &members->list[i], target, &why);
        if (why) {
            *err = why;
            return -1;
        }
        if (r && request_one(b, r, target, out, err) < 0)
            return -1;
    }
    return 0;
}

int build_add_targets(struct build *b, const char *name, struct targets *out, struct error **err)
{
    const struct recipe *r = recipe_get(b->recipes, name, err);
    const struct arch *target = r ? choose_arch(r, b->options.arch, err) : NULL;
    if (target)
        note_source_names(b, r, target);
    if (!target || (r->action == ACTION_GROUP ? request_members(b, r, target, out, err)
                                              : request_one(b, r, target, out, err)) < 0)
        return -1;
    struct node **order = graph_order(&b->graph, err);
    if (!order)
        return -1;
    free(order);
    plan_labels(&b->graph);
    return place_check(b, err);
}

struct node *build_add_target(struct build *b, const char *name, struct error **err)
{
    const struct recipe *r = recipe_get(b->recipes, name, err);
    if (!r)
        return NULL;
    if (r->action == ACTION_GROUP) {
        error_user(err, "%s is a group of targets, and makes nothing itself", name);
        error_hint(err, "name one of its members; %s lists them", r->file);
        return NULL;
    }
    struct targets found = {0};
    int result = build_add_targets(b, name, &found, err);
    struct node *node = result < 0 || !found.n ? NULL : found.nodes[0];
    free(found.nodes);
    return node;
}
