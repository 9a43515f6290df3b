// SPDX-License-Identifier: Apache-2.0
// Uses a plan on the machine that makes one of its nodes: compares it with this machine and its
// project, sets the plan's options and variables, and finds the node.
#include "run/plan_file.h"

#include "base/error.h"
#include "run/internal.h"
#include "share/share.h"

#include <stdlib.h>
#include <string.h>

// Something is other here than the plan says; NULL: it is not set. Returns -1.
static int plan_mismatch(const char *what, const char *planned, const char *here,
                         struct error **err)
{
    error_set(err, ERROR_USAGE,
              "the plan does not match this machine: %s is %s here, and %s in the plan", what,
              here && *here ? here : "not set", planned && *planned ? planned : "not set");
    return error_hint(err, "its results would have other keys: plan again with this project, or "
                           "use a machine like the one that planned");
}

static bool is_item(const json_t *array, const char *name)
{
    for (size_t i = 0; i < json_array_size(array); i++)
        if (!strcmp(plan_item(array, i), name))
            return true;
    return false;
}

static int other_trusted(const char *planned, const char *here, struct error **err)
{
    plan_mismatch("a key of KBUILD_TRUSTED_KEYS", planned, here, err);
    return error_hint(err, "set KBUILD_TRUSTED_KEYS to the public keys that the planner has");
}

// What this machine signs is made of what it trusts, so it has to trust those whom the planner
// trusts, and nobody else.
static int check_trusted(const struct build *b, const json_t *keys, struct error **err)
{
    cleanup_strlist struct strlist names = {0};
    if (!b->trusted) {
        error_set(err, ERROR_USAGE,
                  "the plan takes signed results only, and this machine has no "
                  "KBUILD_TRUSTED_KEYS: it would take and sign what anybody pushed");
        return error_hint(err, "set it to the public keys that the planner has");
    }
    trusted_keys_names(b->trusted, &names);
    for (size_t i = 0; i < json_array_size(keys); i++)
        if (!strlist_has(&names, plan_item(keys, i)))
            return other_trusted(plan_item(keys, i), NULL, err);
    for (size_t i = 0; i < names.n; i++)
        if (!is_item(keys, names.items[i]))
            return other_trusted(NULL, names.items[i], err);
    return 0;
}

int plan_check_signing(struct build *b, const struct plan *p, struct error **err)
{
    const json_t *keys = json_object_get(p->header, "trusted_keys");
    struct signature s;
    const struct buf text = {.data = (char *)"kbuild run", .len = strlen("kbuild run")};
    if (!keys || json_is_null(keys) || !b->remote)
        return 0;
    if (!b->remote->signing_key) {
        error_set(err, ERROR_USAGE,
                  "the plan takes signed results only, and this machine has no KBUILD_SIGNING_KEY");
        return error_hint(err, "run it on a machine with a key that the planner trusts");
    }
    if (signature_make(b->remote->signing_key, &text, &s, err) < 0)
        return error_wrap(err, "KBUILD_SIGNING_KEY");
    if (!is_item(keys, s.key))
        return plan_mismatch("the signing key", "another one", s.key, err);
    return check_trusted(b, keys, err);
}

// Not an error by itself: what versions make in another way, `format` and `codec` say.
static int other_version(const struct plan *p, struct error **err)
{
    const char *version = plan_text(p->header, "kbuild");
    if (!strcmp(version, KBUILD_VERSION))
        return -1;
    return error_hint(err,
                      "it was planned by kbuild %s, and this is %s: plan again with this version "
                      "and this project, or use a machine like the one that planned",
                      version, KBUILD_VERSION);
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
        if (text && !strcmp(text, json_string_value(value)))
            continue;
        plan_mismatch(name, text, json_string_value(value), err);
        return other_version(p, err);
    }
    return 0;
}

char *plan_variable_path(const char *project, const char *name, size_t i, const char *base,
                         bool directory)
{
    return directory ? xasprintf("%s/variables/%s/%s", project, name, base)
                     : xasprintf("%s/variables/%s/%zu/%s", project, name, i, base);
}

// Where a directory's files are; the user's text may be relative to another folder.
static char *variable_folder(const char *name, const json_t *value, const char *project)
{
    const char *first = plan_text(json_array_get(json_object_get(value, "files"), 0), "path");
    if (project)
        return xasprintf("%s/variables/%s", project, name);
    return *first ? xstrndup(first, (size_t)(path_base(first) - first))
                  : xstrdup(plan_text(value, "text"));
}

// What is no file (a pipe, a device) may never end.
static int digest_regular(const char *path, char digest[static DIGEST_HEX_SIZE], struct error **err)
{
    return path_exists(path) && !is_regular_file(path) ? error_user(err, "%s is not a file", path)
                                                       : digest_file(path, digest, NULL, err);
}

static int of_plan(const char *name, struct error **err)
{
    (*err)->kind = ERROR_USAGE;
    return error_wrap(err, "%s of the plan", name);
}

// The files of a variable on this machine: in the project, or where they were when it was planned.
static int set_files(const char *name, const json_t *value, const char *project, struct error **err)
{
    const json_t *files = json_object_get(value, "files");
    bool directory = !strcmp(plan_text(value, "type"), "directory");
    cleanup_buf struct buf text = {0};
    if (!directory && !json_array_size(files))
        return error_set(err, ERROR_USAGE, "the plan's value of %s is damaged: it names no file",
                         name);
    for (size_t i = 0; i < json_array_size(files); i++) {
        const json_t *file = json_array_get(files, i);
        const char *path = json_string_value(json_object_get(file, "path"));
        const char *digest = json_string_value(json_object_get(file, "sha256"));
        char found[DIGEST_HEX_SIZE] = "";
        if (!path || !digest || strchr(name, '/'))
            return error_set(err, ERROR_USAGE, "the plan's value of %s is damaged", name);
        cleanup_free char *here =
            project ? plan_variable_path(project, name, i, path_base(path), directory)
                    : xstrdup(path);
        if (digest_regular(here, found, err) < 0)
            return of_plan(name, err);
        if (strcmp(found, digest) != 0)
            return plan_mismatch(here, digest, found, err);
        buf_printf(&text, "%s%s", i ? "," : "", here);
    }
    cleanup_free char *folder = directory ? variable_folder(name, value, project) : NULL;
    if (folder && !is_directory(folder)) {
        error_user(err, "%s is not a directory", folder);
        return of_plan(name, err);
    }
    variable_give(name, folder ? folder : text.data ? text.data : "");
    return 0;
}

// The recipes of a project choose the names of variables, and what says that one differs is seen by
// others: the value of this machine may be a password.
static int other_value(const char *name, const char *planned, const char *here, bool project,
                       struct error **err)
{
    return plan_mismatch(name, planned, project ? "another text" : here, err);
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
        return other_value(name, text, set, project != NULL, err);
    variable_give(name, text);
    return 0;
}

// A variable that is set here and was not when it was planned would change keys; a secret that the
// plan gives to another node only is not for this one.
static int check_variable(const struct plan *p, const json_t *node, const char *name, bool secret,
                          bool project, struct error **err)
{
    const char *here = getenv(name);
    if (!here || !*here)
        return 0;
    if (!secret)
        return json_object_get(json_object_get(p->header, "variables"), name)
                   ? 0
                   : other_value(name, NULL, here, project, err);
    if (!is_item(json_object_get(node, "secrets"), name))
        unsetenv(name);
    return 0;
}

// The forms that a value has in a plan, by name: recipes may declare a name in several.
enum value_form { VALUE_DAMAGED = 0, VALUE_TEXT = 1, VALUE_FILE = 2, VALUE_DIRECTORY = 4 };

static enum value_form form_of_type(enum variable_type type)
{
    return type == VARIABLE_FILE        ? VALUE_FILE
           : type == VARIABLE_DIRECTORY ? VALUE_DIRECTORY
                                        : VALUE_TEXT;
}

static enum value_form form_of_value(const json_t *value)
{
    const char *type = plan_text(value, "type");
    if (!json_object_get(value, "files"))
        return json_is_string(json_object_get(value, "text")) ? VALUE_TEXT : VALUE_DAMAGED;
    return !strcmp(type, "file")        ? VALUE_FILE
           : !strcmp(type, "directory") ? VALUE_DIRECTORY
                                        : VALUE_DAMAGED;
}

static void declare(json_t *declared, const char *name, enum value_form form)
{
    json_int_t before = json_integer_value(json_object_get(declared, name));
    json_object_set_new(declared, name, json_integer(before | form));
}

static int check_recipe(const struct plan *p, const json_t *node, const struct recipe *r,
                        bool project, json_t *declared, struct error **err)
{
    for (size_t i = 0; i < r->variable_count; i++) {
        const struct recipe_variable *v = &r->variables[i];
        bool secret = v->type == VARIABLE_SECRET;
        if (!secret)
            declare(declared, v->name, form_of_type(v->type));
        if (check_variable(p, node, v->name, secret, project, err) < 0)
            return -1;
    }
    if (!r->builder)
        return 0;
    cleanup_free char *image = builder_image_variable(r->builder);
    declare(declared, image, VALUE_TEXT);
    return check_variable(p, node, image, false, project, err);
}

// A plan can set variables that recipes declare, and no others: PATH, for example.
static int check_names(const struct plan *p, const json_t *declared, struct error **err)
{
    const char *name;
    json_t *value;
    json_object_foreach(json_object_get(p->header, "variables"), name, value)
    {
        const json_t *forms = json_object_get(declared, name);
        if (forms && (json_integer_value(forms) & form_of_value(value)))
            continue;
        if (forms)
            error_set(err, ERROR_USAGE,
                      "the plan's value of %s is damaged: recipes declare it as another type",
                      name);
        else
            error_set(err, ERROR_USAGE,
                      "the plan sets %s, which no recipe of this project declares", name);
        return error_hint(err, "plan again with this project");
    }
    return 0;
}

static int check_variables(const struct plan *p, const json_t *node, const struct strlist *recipes,
                           bool project, struct error **err)
{
    struct recipe_set *set = recipe_set_open(recipes, err);
    cleanup_strlist struct strlist names = {0};
    json_auto_t *declared = json_object();
    int result = set ? recipe_names(set, &names, err) : -1;
    for (size_t i = 0; i < names.n && !result; i++) {
        const struct recipe *r = recipe_get(set, names.items[i], NULL);
        if (r)
            result = check_recipe(p, node, r, project, declared, err);
    }
    recipe_set_free(set);
    return result < 0 ? -1 : check_names(p, declared, err);
}

static int check_secrets(const json_t *node, struct error **err)
{
    const json_t *secrets = json_object_get(node, "secrets");
    for (size_t i = 0; i < json_array_size(secrets); i++) {
        const char *name = plan_item(secrets, i), *set = *name ? getenv(name) : NULL;
        if (set && is_regular_file(set))
            continue;
        // Its value is not said: what a plan takes for the name of a file may be a password.
        error_set(err, ERROR_USAGE,
                  set && *set ? "%s needs the secret %s, and here that names no file"
                              : "%s needs the secret %s, and this machine was not given it",
                  plan_text(node, "node"), name);
        return error_hint(err, "run it on a machine that has it: the plan never carries a secret");
    }
    return 0;
}

static int refuse_folders(const struct plan *p, struct error **err)
{
    void *first = json_object_iter(json_object_get(p->header, "folders"));
    if (!first)
        return 0;
    error_set(err, ERROR_USAGE,
              "the plan takes the source %s from a directory of the machine that planned",
              json_object_iter_key(first));
    return error_hint(err, "only a project has it: kbuild plan --remote --push, and here "
                           "--plan=oci:REFERENCE");
}

static int apply_choices(const struct plan *p, struct source_choices *choices, struct error **err)
{
    const json_t *words = json_object_get(p->header, "source");
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)words, name, value)
    {
        const char *origin = json_string_value(value);
        // A folder of this machine is none of the plan's business.
        if (!origin || (strcmp(origin, "upstream") != 0 && strcmp(origin, "debian") != 0))
            return error_set(err, ERROR_USAGE, "the plan's choice of the source %s is damaged",
                             name);
        cleanup_free char *text = xasprintf("%s=%s", name, origin);
        if (source_choices_add(choices, text, NULL, err) < 0)
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
    if ((!project && refuse_folders(p, err) < 0) || check_secrets(node, err) < 0 ||
        check_variables(p, node, o->recipes, project != NULL, err) < 0)
        return -1;
    json_object_foreach(json_object_get(p->header, "variables"), name, value)
    {
        if (set_variable(name, value, project, err) < 0)
            return -1;
    }
    o->from_plan = o->locked = o->secrets_elsewhere = true;
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
        return plan_mismatch(name, text, set, err);
    setenv(name, text, 1);
    return 0;
}

int plan_check_login(struct error **err)
{
    const char *user = NULL, *password = NULL, *set = getenv("ARTEFACT_REGISTRY");
    registry_login(&user, &password);
    if (!user || (set && *set))
        return 0;
    error_set(
        err, ERROR_USAGE,
        "ARTEFACT_REGISTRY_USERNAME is set, and ARTEFACT_REGISTRY, which it belongs to, is not");
    return error_hint(err, "a plan cannot say who gets this machine's login: set "
                           "ARTEFACT_REGISTRY, too");
}

static int check_repository(const char *text, struct error **err)
{
    struct reference r = {0};
    int result = reference_parse(text, &r, err);
    bool whole = !result && !r.tag && !r.digest;
    if (!result)
        reference_free(&r);
    if (!result && !whole)
        result = error_user(err, "%s: it names a repository, without a tag", text);
    if (result < 0) {
        error_wrap(err, "the registry of the plan");
        (*err)->kind = ERROR_USAGE;
    }
    return result;
}

int plan_use_registry(const struct plan *p, struct error **err)
{
    const json_t *registry = json_object_get(p->header, "registry");
    const char *artefacts = plan_text(registry, "artefacts");
    const char *builders = plan_text(registry, "builders"), *slash = strchr(artefacts, '/');
    if (!slash || slash == artefacts || !slash[1]) {
        error_set(err, ERROR_USAGE, "the plan names no registry: \"artefacts\" is \"%s\"",
                  artefacts);
        return error_hint(err, "it is where results go: plan again, with ARTEFACT_REGISTRY and "
                               "ARTEFACT_REPOSITORY");
    }
    if (check_repository(artefacts, err) < 0 || (*builders && check_repository(builders, err) < 0))
        return -1;
    if (*builders && set_or_compare("BUILDER_REGISTRY", builders, err) < 0)
        return -1;
    cleanup_free char *host = xstrndup(artefacts, (size_t)(slash - artefacts));
    if (set_or_compare("ARTEFACT_REGISTRY", host, err) < 0 ||
        set_or_compare("ARTEFACT_REPOSITORY", slash + 1, err) < 0)
        return -1;
    setenv("PUSH_TO_REGISTRY", "yes", 0);
    return 0;
}

// ---- finding the node ----

// "kernel:s390x" -> recipe and architecture. 0: no recipe of that name, or not for that; -1: the
// recipe has an error.
static int find_target(struct build *b, const char *id, const struct recipe **r,
                       const struct arch **arch, struct error **err)
{
    const char *colon = strchr(id, ':');
    cleanup_free char *name = colon ? xstrndup(id, (size_t)(colon - id)) : NULL;
    if (!name || !recipe_exists(b->recipes, name))
        return 0;
    *r = recipe_get(b->recipes, name, err);
    *arch = arch_find(colon + 1, NULL);
    return *r ? *arch && recipe_supports(*r, *arch) : -1;
}

static int no_node(const char *id, struct error **err)
{
    error_set(err, ERROR_USAGE, "there is no node %s in this project", id);
    error_hint(err, "`kbuild plan --remote TARGET` prints the ids of nodes");
    return -1;
}

// With a directory there may be more files, or fewer, than the plan has.
static int compare_files(const struct plan *p, const struct variable_value *v, struct error **err)
{
    const char *name = v->variable->name;
    const json_t *planned = json_object_get(json_object_get(p->header, "variables"), name);
    const json_t *files = json_object_get(planned, "files");
    bool same = json_array_size(files) == v->files.n;
    for (size_t i = 0; i < v->files.n && same; i++) {
        const json_t *file = json_array_get(files, i);
        same = !strcmp(path_base(plan_text(file, "path")), path_base(v->files.items[i])) &&
               !strcmp(plan_text(file, "sha256"), v->digests.items[i]);
    }
    if (same)
        return 0;
    error_set(err, ERROR_USAGE,
              "the plan does not match this machine: the files of %s are others here", name);
    return error_hint(err, "its results would have other keys: plan again, or use the files that "
                           "the plan names");
}

static void note_planned_key(const struct plan *p, const struct node *node)
{
    const json_t *line = plan_node(p, node->id);
    job_of(node)->planned_key = json_string_value(json_object_get(line, "key"));
}

static int compare_variables(const struct plan *p, const struct graph *g, struct error **err)
{
    for (size_t i = 0; i < g->n; i++) {
        const struct job *job = job_of(g->nodes[i]);
        for (size_t k = 0; k < job->value_count; k++) {
            const struct variable_value *v = &job->values[k];
            bool files =
                v->variable->type == VARIABLE_FILE || v->variable->type == VARIABLE_DIRECTORY;
            if (files && compare_files(p, v, err) < 0)
                return -1;
        }
    }
    return 0;
}

struct node *plan_add_node(struct build *b, const struct plan *p, const json_t *line,
                           struct error **err)
{
    const struct recipe *r;
    const struct arch *arch;
    const char *id = plan_text(line, "node"), *target = plan_text(line, "target");
    int found = find_target(b, target, &r, &arch, err);
    if (found <= 0) {
        if (!found)
            no_node(target, err);
        return NULL;
    }
    if (!plan_artifact(b, r, arch, err))
        return NULL;
    struct node *node = graph_find(&b->graph, id);
    if (!node)
        no_node(id, err);
    if (!node || compare_variables(p, &b->graph, err) < 0)
        return NULL;
    note_planned_key(p, node);
    for (size_t i = 0; i < node->need_count; i++)
        note_planned_key(p, node->needs[i].node);
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
    int found = find_target(b, id, &r, &arch, err);
    if (found > 0) {
        *out = b;
        return plan_artifact(b, r, arch, err);
    }
    int result = found < 0 ? -1 : recipe_names(b->recipes, &names, err);
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
