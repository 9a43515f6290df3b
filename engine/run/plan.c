// SPDX-License-Identifier: Apache-2.0
// Recipes -> nodes. Each node gets its needs and the identity lines of its key.
#include "run/plan.h"
#include "graph/release_version.h"
#include "run/prebuilt.h"

#include "pack/pack.h"

#include <errno.h>
#include <string.h>

void plan_role(struct node *node, enum role_kind kind, const char *name, struct node *needed)
{
    struct job *job = job_of(node);
    graph_need(node, needed, true);
    job->roles = xgrow(job->roles, &job->role_cap, job->role_count + 1, sizeof *job->roles);
    job->roles[job->role_count++] = (struct role){kind, name, needed};
}

struct node *plan_node(struct build *b, enum node_kind kind, const char *name,
                       bool (*same)(const struct node *, const void *), const void *what,
                       bool *is_new)
{
    cleanup_free char *unique = xstrdup(name);
    for (unsigned i = 2;; i++) {
        struct node *node = graph_find(&b->graph, unique);
        if (!node) {
            *is_new = true;
            return graph_add(&b->graph, kind, name, unique);
        }
        if (same(node, what)) {
            *is_new = false;
            return node;
        }
        free(unique);
        unique = xasprintf("%s#%u", name, i);
    }
}

// ---- sources ----

static bool equal(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
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

static bool same_source(const struct node *node, const void *what)
{
    const struct source_spec *a = &job_of(node)->spec, *s = what;
    if (job_of(node)->list || a->kind != s->kind || !equal(a->url, s->url) ||
        !equal(a->ref, s->ref) || !equal(a->sha256, s->sha256) || a->submodules != s->submodules ||
        !equal_lists(&a->patches, &s->patches) || !a->debian != !s->debian)
        return false;
    return !a->debian ||
           (equal_lists(&a->debian->packages, &s->debian->packages) &&
            equal(a->debian->file, s->debian->file) && equal(a->debian->source, s->debian->source));
}

bool plan_source_applies(struct build *b, const struct job *job, const struct recipe_source *source)
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
        build_say(b, text);
    }
    if (source_describe(job->recipe, source, b->versions, job->target, &o, &spec, err) < 0)
        return -1;
    cleanup_free char *name = xasprintf("source:%s", source->name);
    bool is_new;
    struct node *node = plan_node(b, NODE_SOURCE, name, same_source, &spec, &is_new);
    if (is_new) {
        cleanup_free char *label = xasprintf("source %s", node->id + strlen("source:"));
        struct job *new = job_new(node, job->recipe, NULL, label);
        new->spec = spec;
    } else {
        source_spec_free(&spec);
    }
    plan_role(user, ROLE_SOURCE, source->name, node);
    return 0;
}

// ---- builders and root file systems ----

// This machine's distribution; detected when first needed, since many builds do not need it.
static int host_distribution(struct build *b, struct distribution *copy, struct error **err)
{
    if (!b->host.id && distribution_host(&b->host, err) < 0)
        return -1;
    *copy = (struct distribution){.id = xstrdup(b->host.id), .codename = xstrdup(b->host.codename)};
    return 0;
}

static bool same_packages(const struct node *node, const void *what)
{
    const struct job *a = job_of(node), *s = what;
    return a->target == s->target && equal_lists(&a->packages, &s->packages) &&
           equal_lists(&a->same, &s->same) && equal(a->setup, s->setup) &&
           equal(a->image_name, s->image_name) && equal(a->distribution.id, s->distribution.id) &&
           equal(a->distribution.codename, s->distribution.codename);
}

static void describe_packages(struct node *node)
{
    const struct job *job = job_of(node);
    if (job->image_name) // its digest is resolved in image_pin.c
        return;
    buf_printf(&node->identity, "format %s\ndistribution %s %s\narchitecture %s\n", RUN_FORMAT,
               job->distribution.id, job->distribution.codename, job->target->name);
    bool sysroot = false;
    for (size_t i = 0; i < job->packages.n; i++) {
        buf_printf(&node->identity, "package %s\n", job->packages.items[i]);
        sysroot |= strchr(job->packages.items[i], ':') != NULL; // of another architecture
    }
    for (size_t i = 0; i < job->same.n; i++)
        buf_printf(&node->identity, "same-version %s\n", job->same.items[i]);
    if (sysroot)
        buf_puts(&node->identity, "sysroot format " SYSROOT_FORMAT "\n");
}

// Takes over the contents of `wanted`.
static struct node *add_packages(struct build *b, enum node_kind kind, const char *name,
                                 struct job *wanted, const struct recipe *r)
{
    bool is_new;
    struct node *node = plan_node(b, kind, name, same_packages, wanted, &is_new);
    if (is_new) {
        cleanup_free char *label = xstrdup(node->id);
        *strchr(label, ':') = ' ';
        struct job *job = job_new(node, r, wanted->target, label);
        job->packages = wanted->packages;
        job->same = wanted->same;
        job->distribution = wanted->distribution;
        job->setup = wanted->setup;
        job->image_name = wanted->image_name;
        describe_packages(node);
    } else {
        strlist_free(&wanted->packages);
        strlist_free(&wanted->same);
        distribution_free(&wanted->distribution);
        free(wanted->setup);
        free(wanted->image_name);
    }
    return node;
}

// Upstream's variable for an image to build in, KERNEL_CONTAINER_BUILDER, else the recipe's image.
static char *builder_image_name(const struct recipe_builder *builder)
{
    cleanup_free char *variable = xasprintf("%s_CONTAINER_BUILDER", builder->name);
    for (char *p = variable; *p; p++)
        *p = *p >= 'a' && *p <= 'z' ? (char)(*p - 'a' + 'A') : strchr("-.", *p) ? '_' : *p;
    const char *set = getenv(variable);
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
        else if (!strlist_has(packages, name))
            strlist_add(packages, name);
    }
}

// Such groups matter only where their packages are for two architectures.
static void add_same_versions(const struct recipe_builder *builder, struct job *wanted)
{
    for (size_t i = 0; i < builder->same.n; i++) {
        cleanup_strlist struct strlist group = {0};
        bool here = false, other = false;
        strlist_split(&group, builder->same.items[i], ",");
        for (size_t k = 0; k < wanted->packages.n; k++) {
            const char *name = wanted->packages.items[k], *colon = strchr(name, ':');
            cleanup_free char *plain = xstrndup(name, strcspn(name, ":"));
            bool member = strlist_has(&group, plain);
            here = here || (member && !colon);
            other = other || (member && colon);
        }
        if (here && other)
            strlist_add(&wanted->same, builder->same.items[i]);
    }
}

static int add_builder(struct build *b, struct node *user, struct error **err)
{
    const struct job *job = job_of(user);
    const struct recipe_builder *builder = job->recipe->builder;
    const struct arch *host = arch_host();
    if (!builder)
        return 0;
    if (b->options.host_builder)
        return host_tools_key(builder, job->target, &user->identity, err);
    struct job wanted = {.target = host, .image_name = builder_image_name(builder)};
    if (wanted.image_name) {
        cleanup_free char *name = xasprintf("builder:%s", builder->name);
        struct node *node = add_packages(b, NODE_BUILDER, name, &wanted, job->recipe);
        plan_role(user, ROLE_BUILDER, builder->name, node);
        return 0;
    }
    strlist_add_all(&wanted.packages, &builder->packages);
    if (job->target != host)
        strlist_add_all(&wanted.packages, &builder->cross[job->target - arch_table]);
    add_libraries(builder, job->target, &wanted.packages);
    strlist_sort(&wanted.packages);
    add_same_versions(builder, &wanted);
    if (host_distribution(b, &wanted.distribution, err) < 0) {
        strlist_free(&wanted.packages);
        strlist_free(&wanted.same);
        return -1;
    }
    char digest[DIGEST_HEX_SIZE] = "";
    if (builder->setup) {
        wanted.setup = xasprintf("%s/%s", job->recipe->folder, builder->setup);
        if (digest_file(wanted.setup, digest, NULL, err) < 0)
            return -1;
    }
    cleanup_free char *name = xasprintf("builder:%s", builder->name);
    struct node *node = add_packages(b, NODE_BUILDER, name, &wanted, job->recipe);
    if (*digest && !strstr(node->identity.data, "\nsetup "))
        buf_printf(&node->identity, "setup %s\n", digest);
    plan_role(user, ROLE_BUILDER, builder->name, node);
    return 0;
}

static int add_rootfs(struct build *b, struct node *user, struct error **err)
{
    const struct job *job = job_of(user);
    const struct recipe_rootfs *rootfs = job->recipe->rootfs;
    if (!rootfs)
        return 0;
    struct job wanted = {.target = job->target};
    strlist_add_all(&wanted.packages, &rootfs->packages);
    for (size_t i = 0; i < rootfs->more_count; i++)
        for (size_t k = 0;
             condition_holds(job, &rootfs->more[i].when) && k < rootfs->more[i].packages.n; k++)
            if (!strlist_has(&wanted.packages, rootfs->more[i].packages.items[k]))
                strlist_add(&wanted.packages, rootfs->more[i].packages.items[k]);
    strlist_sort(&wanted.packages);
    if (b->options.debian) {
        if (host_distribution(b, &wanted.distribution, err) < 0) {
            strlist_free(&wanted.packages);
            return -1;
        }
    } else {
        cleanup_free char *path = arch_expand(rootfs->distribution, job->target);
        cleanup_free char *id = xasprintf("%s.name", path);
        cleanup_free char *codename = xasprintf("%s.version", path);
        const char *id_text = versions_text(b->versions, id, err);
        const char *codename_text = id_text ? versions_text(b->versions, codename, err) : NULL;
        if (!codename_text) {
            strlist_free(&wanted.packages);
            return error_wrap(err, "the distribution of %s", job->label);
        }
        wanted.distribution.id = xstrdup(id_text);
        wanted.distribution.codename = xstrdup(codename_text);
    }
    cleanup_free char *name = xasprintf("rootfs:%s:%s", job->recipe->name, job->target->name);
    struct node *node = add_packages(b, NODE_ROOTFS, name, &wanted, job->recipe);
    plan_role(user, ROLE_ROOTFS, "rootfs", node);
    return 0;
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

// The keys of recipe.yaml that can change the output. Package origins, names and tests cannot.
static const char *const deciding_keys[] = {"action",  "run",    "phases", "environment", "sign",
                                            "outputs", "initrd", "disk",   "image",       "shared"};

static int identify_recipe(struct build *b, struct node *node, struct error **err)
{
    const struct job *job = job_of(node);
    const struct recipe *r = job->recipe;
    struct buf *out = &node->identity;
    buf_printf(out, "format %s\ncodec %s\ntarget %s\nhost %s\n", RUN_FORMAT, pack_codec_version(),
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
        cleanup_free char *folder =
            xasprintf("%s/%s", recipe_set_directory(b->recipes), r->shared.items[i]);
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
    const struct choosing c = choosing_of(b, &o);
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
        error_user(err, "%s is a group of targets, and cannot go into anything", r->name);
        error_hint(err, "name what is needed itself");
        return NULL;
    }
    if (place_check_recipe(r, err) < 0)
        return NULL;
    node = graph_add(&b->graph, NODE_ARTIFACT, name, name);
    struct job *job = job_new(node, r, target, r->name);
    job->placed = r->release;
    int prebuilt = prebuilt_find(b, r->name, target, &job->prebuilt, err);
    if (prebuilt)
        return prebuilt < 0 ? NULL : node;
    cleanup_free char *release =
        variables_follow_release(r) ? release_version(b->versions, b->recipes) : NULL;
    if (variables_resolve(r, target, release, &job->values, err) < 0)
        return NULL;
    job->value_count = r->variable_count;
    if (constants_resolve(job, b->versions, err) < 0)
        return NULL;
    for (size_t i = 0; i < r->source_count; i++)
        if ((!r->sources[i].list || is_folder(b, &r->sources[i])) &&
            plan_source_applies(b, job, &r->sources[i]) &&
            add_source(b, node, &r->sources[i], err) < 0)
            return NULL;
    if (add_builder(b, node, err) < 0 || plan_lists(b, node, err) < 0 ||
        add_rootfs(b, node, err) < 0 || add_needs(b, node, err) < 0 ||
        identify_recipe(b, node, err) < 0 ||
        (actions[r->action].identify && actions[r->action].identify(b, node, err) < 0))
        return NULL;
    node->identified = true;
    return node;
}
