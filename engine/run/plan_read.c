// SPDX-License-Identifier: Apache-2.0
// Reads a plan on the machine that makes one of its nodes: compares it with this machine and its
// project, and sets the plan's options and variables.
#include "run/plan_file.h"

#include "base/error.h"
#include "run/internal.h"
#include "share/share.h"

#include <stdlib.h>
#include <string.h>

void plan_free(struct plan *p)
{
    json_decref(p->header);
    json_decref(p->nodes);
    *p = (struct plan){0};
}

// The text of a member, "" if there is none.
static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

// As an item of an array.
static const char *item_of(const json_t *array, size_t i)
{
    const char *text = json_string_value(json_array_get(array, i));
    return text ? text : "";
}

static int refuse(const char *name, size_t line, const char *why, struct error **err)
{
    error_set(err, ERROR_USAGE, "%s:%zu: %s", name, line, why);
    return error_hint(err, "a plan is what `kbuild plan --remote --json` prints, unchanged");
}

static bool has_texts(const json_t *line)
{
    static const char *const names[] = {"node", "kind", "state"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (!json_is_string(json_object_get(line, names[i])))
            return false;
    return json_is_array(json_object_get(line, "needs"));
}

static int parse_header(const char *name, json_t *line, struct plan *out, struct error **err)
{
    const json_t *version = json_object_get(line, "plan");
    if (!json_is_integer(version) || !json_is_object(json_object_get(line, "depends"))) {
        json_decref(line);
        return refuse(name, 1, "it does not begin with the header of a plan", err);
    }
    out->header = line;
    if (json_integer_value(version) == PLAN_VERSION)
        return 0;
    error_set(err, ERROR_USAGE, "%s is a plan of version %lld, and this kbuild reads %d", name,
              (long long)json_integer_value(version), PLAN_VERSION);
    return error_hint(err, "use one version of kbuild on all machines");
}

static int parse_lines(const char *name, const char *text, size_t length, struct plan *out,
                       struct error **err)
{
    size_t number = 0;
    for (const char *p = text, *end = text + length, *next; p < end; p = next + 1) {
        next = memchr(p, '\n', (size_t)(end - p));
        next = next ? next : end;
        number++;
        json_t *line = json_loadb(p, (size_t)(next - p), JSON_REJECT_DUPLICATES, NULL);
        if (!line)
            return refuse(name, number, "it is no JSON object", err);
        if (number == 1) {
            if (parse_header(name, line, out, err) < 0)
                return -1;
            continue;
        }
        if (!has_texts(line)) {
            json_decref(line);
            return refuse(name, number, "it is not the line of a node", err);
        }
        json_array_append_new(out->nodes, line);
    }
    return out->header ? 0 : refuse(name, 1, "it is empty", err);
}

int plan_parse(const char *name, const char *text, size_t length, struct plan *out,
               struct error **err)
{
    *out = (struct plan){.nodes = json_array()};
    if (parse_lines(name, text, length, out, err) == 0)
        return 0;
    plan_free(out);
    return -1;
}

const json_t *plan_node(const struct plan *p, const char *id)
{
    for (size_t i = 0; i < json_array_size(p->nodes); i++) {
        const json_t *line = json_array_get(p->nodes, i);
        if (!strcmp(json_string_value(json_object_get(line, "node")), id))
            return line;
    }
    return NULL;
}

enum plan_grain plan_grain_of(const struct plan *p)
{
    const char *text = json_string_value(json_object_get(p->header, "grain"));
    return text && !strcmp(text, plan_grains[GRAIN_ARTIFACT]) ? GRAIN_ARTIFACT : GRAIN_NODE;
}

// ---- on the machine that makes a node ----

static int mismatch(const char *what, const char *planned, const char *here, struct error **err)
{
    error_set(err, ERROR_USAGE,
              "the plan does not match this machine: %s is %s here, and %s in "
              "the plan",
              what, here && *here ? here : "not set", planned && *planned ? planned : "not set");
    return error_hint(err, "its results would have other keys: plan again with this project, or "
                           "use a machine like the one that planned");
}

// The planner uses only what one of its keys signed.
static int check_signing(struct build *b, const struct plan *p, struct error **err)
{
    const json_t *keys = json_object_get(p->header, "trusted_keys");
    struct signature s;
    const struct buf text = {.data = (char *)"kbuild run", .len = strlen("kbuild run")};
    if (!keys || !b->remote)
        return 0;
    if (!b->remote->signing_key) {
        error_set(err, ERROR_USAGE,
                  "the plan takes signed results only, and this machine has no KBUILD_SIGNING_KEY");
        return error_hint(err, "run it on a machine with a key that the planner trusts");
    }
    if (signature_make(b->remote->signing_key, &text, &s, err) < 0)
        return error_wrap(err, "KBUILD_SIGNING_KEY");
    for (size_t i = 0; i < json_array_size(keys); i++)
        if (!strcmp(item_of(keys, i), s.key))
            return 0;
    return mismatch("the signing key", "another one", s.key, err);
}

int plan_check(struct build *b, const struct plan *p, struct error **err)
{
    json_auto_t *here = plan_depends(b, err);
    const json_t *planned = json_object_get(p->header, "depends");
    const char *name;
    json_t *value;
    if (!here)
        return -1;
    json_object_foreach(here, name, value)
    {
        const char *text = json_string_value(json_object_get(planned, name));
        if (!text || strcmp(text, json_string_value(value)) != 0)
            return mismatch(name, text, json_string_value(value), err);
    }
    return check_signing(b, p, err);
}

char *plan_variable_path(const char *project, const char *name, size_t i, const char *base,
                         bool directory)
{
    return directory ? xasprintf("%s/variables/%s/%s", project, name, base)
                     : xasprintf("%s/variables/%s/%zu/%s", project, name, i, base);
}

// The files of a variable on this machine: in the project, or where they were when it was planned.
static int set_files(const char *name, const json_t *value, const char *project, struct error **err)
{
    const json_t *files = json_object_get(value, "files");
    bool directory = !strcmp(text_of(value, "type"), "directory");
    cleanup_buf struct buf text = {0};
    for (size_t i = 0; i < json_array_size(files); i++) {
        const json_t *file = json_array_get(files, i);
        const char *path = json_string_value(json_object_get(file, "path"));
        const char *digest = json_string_value(json_object_get(file, "sha256"));
        char found[DIGEST_HEX_SIZE];
        if (!path || !digest || strchr(name, '/'))
            return error_set(err, ERROR_USAGE, "the plan's value of %s is damaged", name);
        cleanup_free char *here =
            project ? plan_variable_path(project, name, i, path_base(path), directory)
                    : xstrdup(path);
        if (digest_file(here, found, NULL, err) < 0) {
            (*err)->kind = ERROR_USAGE;
            return error_wrap(err, "%s of the plan", name);
        }
        if (strcmp(found, digest) != 0)
            return mismatch(here, digest, found, err);
        buf_printf(&text, "%s%s", i ? "," : "", here);
    }
    cleanup_free char *folder = project ? xasprintf("%s/variables/%s", project, name) : NULL;
    const char *whole = json_string_value(json_object_get(value, "text"));
    setenv(name,
           directory   ? (folder  ? folder
                          : whole ? whole
                                  : "")
           : text.data ? text.data
                       : "",
           1);
    return 0;
}

static int set_variable(const char *name, const json_t *value, const char *project,
                        struct error **err)
{
    const char *set = getenv(name), *text = json_string_value(json_object_get(value, "text"));
    if (json_object_get(value, "files"))
        return set_files(name, value, project, err);
    if (!text)
        return error_set(err, ERROR_USAGE, "the plan's value of %s is damaged", name);
    if (set && *set && strcmp(set, text) != 0)
        return mismatch(name, text, set, err);
    setenv(name, text, 1);
    return 0;
}

// Variables that are set here and were not when it was planned would change keys; secrets that the
// plan gives to another node only are not for this one.
static int drop_others(const struct plan *p, const json_t *node, const char *recipes,
                       struct error **err)
{
    const json_t *planned = json_object_get(p->header, "variables");
    const json_t *secrets = json_object_get(node, "secrets");
    struct recipe_set *set = recipe_set_open(recipes, err);
    cleanup_strlist struct strlist names = {0};
    int result = set ? recipe_names(set, &names, err) : -1;
    for (size_t i = 0; i < names.n && !result; i++) {
        const struct recipe *r = recipe_get(set, names.items[i], NULL);
        for (size_t k = 0; r && k < r->variable_count && !result; k++) {
            const struct recipe_variable *v = &r->variables[k];
            const char *here = getenv(v->name);
            if (!here || !*here || json_object_get(planned, v->name))
                continue;
            bool given = false;
            for (size_t n = 0; n < json_array_size(secrets); n++)
                given |= !strcmp(item_of(secrets, n), v->name);
            if (v->type == VARIABLE_SECRET && !given)
                unsetenv(v->name);
            else if (v->type != VARIABLE_SECRET)
                result = mismatch(v->name, NULL, here, err);
        }
    }
    recipe_set_free(set);
    return result;
}

static int check_secrets(const json_t *node, struct error **err)
{
    const json_t *secrets = json_object_get(node, "secrets");
    for (size_t i = 0; i < json_array_size(secrets); i++) {
        const char *name = json_string_value(json_array_get(secrets, i));
        if (name && getenv(name) && *getenv(name))
            continue;
        error_set(err, ERROR_USAGE, "%s needs the secret %s, and this machine was not given it",
                  json_string_value(json_object_get(node, "node")), name ? name : "");
        return error_hint(err, "run it on a machine that has it: the plan never carries a secret");
    }
    return 0;
}

static int apply_choices(const struct plan *p, struct source_choices *choices, struct error **err)
{
    const json_t *words = json_object_get(p->header, "source");
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)words, name, value)
    {
        cleanup_free char *text =
            xasprintf("%s=%s", name, json_string_value(value) ? json_string_value(value) : "");
        if (source_choices_add(choices, text, false, err) < 0)
            return -1;
    }
    return 0;
}

int plan_apply(const struct plan *p, const json_t *node, const char *project,
               struct build_options *o, struct source_choices *choices, struct error **err)
{
    const char *builder = json_string_value(json_object_get(p->header, "builder"));
    const char *sources = json_string_value(json_object_get(p->header, "sources"));
    const char *name;
    json_t *value;
    if (check_secrets(node, err) < 0 || drop_others(p, node, o->recipes, err) < 0)
        return -1;
    json_object_foreach(json_object_get(p->header, "variables"), name, value)
    {
        if (set_variable(name, value, project, err) < 0)
            return -1;
    }
    o->from_plan = o->locked = true;
    o->host_builder = builder && !strcmp(builder, "host");
    o->debian = sources && !strcmp(sources, "debian");
    o->prebuilt = json_string_value(json_object_get(p->header, "prebuilt"));
    o->release = json_string_value(json_object_get(p->header, "release"));
    o->choices = choices;
    return apply_choices(p, choices, err);
}

// ---- the registry ----

static int set_or_compare(const char *name, const char *text, struct error **err)
{
    const char *set = getenv(name);
    if (set && *set && strcmp(set, text) != 0)
        return mismatch(name, text, set, err);
    setenv(name, text, 1);
    return 0;
}

int plan_use_registry(const struct plan *p, struct error **err)
{
    const json_t *registry = json_object_get(p->header, "registry");
    const char *artefacts = text_of(registry, "artefacts");
    const char *builders = text_of(registry, "builders"), *slash = strchr(artefacts, '/');
    if (*builders && set_or_compare("BUILDER_REGISTRY", builders, err) < 0)
        return -1;
    if (slash) {
        cleanup_free char *host = xstrndup(artefacts, (size_t)(slash - artefacts));
        if (set_or_compare("ARTEFACT_REGISTRY", host, err) < 0 ||
            set_or_compare("ARTEFACT_REPOSITORY", slash + 1, err) < 0)
            return -1;
    }
    setenv("PUSH_TO_REGISTRY", "yes", 0);
    return 0;
}

// ---- finding the node ----

// "kernel:s390x" -> recipe and architecture; false: no recipe of that name, or not for that.
static bool find_target(struct build *b, const char *id, const struct recipe **r,
                        const struct arch **arch)
{
    const char *colon = strchr(id, ':');
    cleanup_free char *name = colon ? xstrndup(id, (size_t)(colon - id)) : NULL;
    if (!name || !recipe_exists(b->recipes, name))
        return false;
    *r = recipe_get(b->recipes, name, NULL);
    *arch = arch_find(colon + 1, NULL);
    return *r && *arch && recipe_supports(*r, *arch);
}

static int no_node(const char *id, struct error **err)
{
    error_set(err, ERROR_USAGE, "there is no node %s in this project", id);
    error_hint(err, "`kbuild plan --remote TARGET` prints the ids of nodes");
    return -1;
}

struct node *plan_add_node(struct build *b, const json_t *line, struct error **err)
{
    const struct recipe *r;
    const struct arch *arch;
    const char *id = text_of(line, "node"), *target = text_of(line, "target");
    if (!find_target(b, target, &r, &arch)) {
        no_node(target, err);
        return NULL;
    }
    if (!plan_artifact(b, r, arch, err))
        return NULL;
    struct node *node = graph_find(&b->graph, id);
    if (!node)
        no_node(id, err);
    return node;
}

static struct node *try_target(struct build *b, const struct recipe *r, const struct arch *arch,
                               const char *id)
{
    cleanup_error struct error *ignored = NULL;
    if (r->action == ACTION_GROUP || !recipe_supports(r, arch) ||
        !plan_artifact(b, r, arch, &ignored))
        return NULL;
    return graph_find(&b->graph, id);
}

struct node *plan_search(struct build *(*open)(void *context, struct error **err), void *context,
                         const char *id, struct build **out, struct error **err)
{
    cleanup_strlist struct strlist names = {0};
    const struct recipe *r;
    const struct arch *arch;
    struct build *b = open(context, err);
    if (!b)
        return NULL;
    if (find_target(b, id, &r, &arch)) {
        *out = b;
        return plan_artifact(b, r, arch, err);
    }
    int result = recipe_names(b->recipes, &names, err);
    build_close(b);
    for (size_t i = 0; i < names.n && !result; i++)
        for (size_t k = 0; k < arch_count; k++) {
            *out = open(context, err);
            if (!*out)
                return NULL;
            r = recipe_get((*out)->recipes, names.items[i], NULL);
            struct node *node = r ? try_target(*out, r, &arch_table[k], id) : NULL;
            if (node)
                return node;
            build_close(steal(*out));
        }
    if (!result)
        no_node(id, err);
    return NULL;
}
