// SPDX-License-Identifier: Apache-2.0
// Resolves the variables that a recipe declares, from the user's environment, and the recipe's
// constants. The key has files by content and secrets by public name, or no secret where a
// certificate represents it. A default may follow the version of the release, which is found here.
#include "graph/job.h"

#include "base/file.h"
#include "base/input.h"
#include "base/process.h"
#include "se/se.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

// ---- variables ----

static int add_file(struct variable_value *value, const char *path, struct error **err)
{
    char digest[DIGEST_HEX_SIZE];
    struct stat st;
    if (stat(path, &st) < 0)
        return error_errno(err, errno, "%s: reading %s", value->variable->name, path);
    if (!S_ISREG(st.st_mode))
        return error_user(err, "%s: %s is %s, not a file", value->variable->name, path,
                          S_ISDIR(st.st_mode) ? "a directory" : "a special file");
    if (strchr(path_base(path), '\n')) // it would add a line to the key
        return error_user(err, "%s: the name of %s has a line break in it", value->variable->name,
                          path);
    if (digest_file(path, digest, NULL, err) < 0)
        return error_wrap(err, "%s", value->variable->name);
    cleanup_free char *absolute = path_absolute(path);
    strlist_add(&value->files, absolute);
    strlist_add(&value->digests, digest);
    return 0;
}

static int required_error(const struct recipe *r, const struct recipe_variable *v,
                          struct error **err)
{
    static const char *const words[] = {[VARIABLE_TEXT] = "TEXT",
                                        [VARIABLE_YES_NO] = "yes",
                                        [VARIABLE_FILE] = "FILE",
                                        [VARIABLE_DIRECTORY] = "DIR",
                                        [VARIABLE_SECRET] = "FILE"};
    error_user(err, "%s: %s", r->name, v->required);
    return error_hint(err, "set %s, for example: %s=%s kbuild %s", v->name, v->name, words[v->type],
                      r->name);
}

static int resolve_directory(const struct recipe *r, struct variable_value *value,
                             struct error **err)
{
    const struct recipe_variable *v = value->variable;
    if (!is_directory(value->text)) {
        error_user(err, "%s: %s is not a directory", v->name, value->text);
        return error_hint(err, "%s names the directory that holds %s", v->name,
                          v->pattern ? v->pattern : "the files");
    }
    struct strlist names = {0};
    int result = list_directory(value->text, &names, err);
    for (size_t i = 0; i < names.n && !result; i++) {
        if (v->pattern && fnmatch(v->pattern, names.items[i], 0))
            continue;
        cleanup_free char *path = xasprintf("%s/%s", value->text, names.items[i]);
        result = add_file(value, path, err);
    }
    strlist_free(&names);
    if (!result && !value->files.n && v->required) {
        result = error_user(err, "%s: %s (no %s in %s)", r->name, v->required,
                            v->pattern ? v->pattern : "file", value->text);
        error_hint(err, "put the files there, or point %s at another directory", v->name);
    }
    return result;
}

static int resolve_files(struct variable_value *value, struct error **err)
{
    struct strlist paths = {0};
    if (value->variable->list)
        strlist_split(&paths, value->text, ",");
    else
        strlist_add(&paths, value->text);
    int result = 0;
    for (size_t i = 0; i < paths.n && !result; i++)
        result = add_file(value, paths.items[i], err);
    strlist_free(&paths);
    return result;
}

// Only the public name is passed on. A signing key has none: its certificate is in the key.
static int resolve_secret(const struct recipe *r, struct variable_value *value, struct error **err)
{
    cleanup_free char *absolute = path_absolute(value->text);
    if (path_exists(value->text) && !is_regular_file(value->text)) {
        error_user(err, "%s: %s is not a file", value->variable->name, value->text);
        return error_hint(err,
                          "a secret of a build is read more than once, so it cannot be a pipe");
    }
    if (r->sign && !strcmp(r->sign->key, value->variable->name)) {
        strlist_add(&value->files, absolute);
        return 0;
    }
    cleanup_secret_memory struct secret_memory secret = {0};
    char id[DIGEST_HEX_SIZE];
    if (se_secret_load(value->text, &secret, err) < 0)
        return error_wrap(err, "%s", value->variable->name);
    int result = se_secret_id(&secret, id, err);
    strlist_add(&value->files, absolute);
    strlist_add(&value->digests, id);
    return result;
}

// Text that JSON cannot hold would have no unique form in the key.
static int check_utf8(const char *name, const char *text, struct error **err)
{
    json_t *string = json_string(text);
    if (!string)
        return error_user(err, "%s is not UTF-8 text: '%s'", name, text);
    json_decref(string);
    return 0;
}

// ---- refused values ----

static bool is_refused(const struct recipe_refused *refused, const struct arch *target,
                       const char *text, bool *here)
{
    bool some = false;
    for (size_t i = 0; i < ARRAY_LEN(refused->architectures); i++)
        some |= refused->architectures[i];
    *here = some;
    return !strcmp(refused->is, text) &&
           (!some || (target && refused->architectures[target - arch_table]));
}

static int check_value(const struct recipe *r, const struct recipe_variable *v,
                       const struct arch *target, const char *text, struct error **err)
{
    bool here;
    for (size_t i = 0; i < v->refused_count; i++)
        if (is_refused(&v->refused[i], target, text, &here))
            return error_user(err, "%s: %s=%s cannot be made%s%s: %s", r->name, v->name, text,
                              here ? " for " : "", here ? target->name : "", v->refused[i].why);
    if (!v->values.n || strlist_has(&v->values, text))
        return 0;
    cleanup_free char *all = strlist_join(&v->values, ", ");
    error_user(err, "%s: %s is '%s'", r->name, v->name, text);
    return error_hint(err, "it is one of: %s", all);
}

static const char *default_of(const struct recipe_variable *v, const char *release)
{
    unsigned major, minor;
    if (!v->by_release.before || sscanf(v->by_release.before, "%u.%u", &major, &minor) != 2)
        return v->default_ ? v->default_ : "";
    return release && version_before(release, major, minor) ? v->by_release.is
                                                            : v->by_release.otherwise;
}

// Of this process; by a plan, before anything else runs.
static struct given {
    char *name, *text;
} * given;
static size_t given_n, given_cap;

static struct given *find_given(const char *name)
{
    for (size_t i = 0; i < given_n; i++)
        if (!strcmp(given[i].name, name))
            return &given[i];
    return NULL;
}

void variable_give(const char *name, const char *text)
{
    struct given *g = find_given(name);
    if (!g && !text)
        return;
    if (!g) {
        given = xgrow(given, &given_cap, given_n + 1, sizeof *given);
        g = &given[given_n++];
        *g = (struct given){.name = xstrdup(name)};
    }
    free(g->text);
    g->text = text ? xstrdup(text) : NULL;
}

const char *variable_value(const char *name)
{
    const struct given *g = find_given(name);
    return g && g->text ? g->text : getenv(name);
}

bool variables_follow_release(const struct recipe *r)
{
    for (size_t i = 0; i < r->variable_count; i++)
        if (r->variables[i].by_release.before)
            return true;
    return false;
}

static int resolve(const struct recipe *r, const struct arch *target, const char *release,
                   struct variable_value *value, struct error **err)
{
    const struct recipe_variable *v = value->variable;
    const char *text = variable_value(v->name);
    // Files, folders and switches decide what is trusted or sealed; a text may be empty.
    if (v->type != VARIABLE_TEXT && text == getenv(v->name) &&
        security_variable(v->name, &text, err) < 0)
        return -1;
    if (!text || !*text)
        text = default_of(v, release);
    value->text = xstrdup(text);
    if (!*text)
        return v->required ? required_error(r, v, err) : 0;
    if (check_value(r, v, target, text, err) < 0)
        return -1;
    switch (v->type) {
    case VARIABLE_TEXT:
        if (strchr(text, '\n'))
            return error_user(err, "%s: a line break is not allowed in it", v->name);
        return check_utf8(v->name, text, err);
    case VARIABLE_YES_NO:
        if (strcmp(text, "yes") && strcmp(text, "no"))
            return error_user(err, "%s is '%s': it must be yes or no", v->name, text);
        return 0;
    case VARIABLE_FILE:
        return resolve_files(value, err);
    case VARIABLE_DIRECTORY:
        return resolve_directory(r, value, err);
    case VARIABLE_SECRET:
        return resolve_secret(r, value, err);
    }
    return 0;
}

int variables_resolve(const struct recipe *r, const struct arch *target, const char *release,
                      struct variable_value **out, struct error **err)
{
    struct variable_value *values = xcalloc(r->variable_count, sizeof *values);
    for (size_t i = 0; i < r->variable_count; i++) {
        values[i].variable = &r->variables[i];
        if (resolve(r, target, release, &values[i], err) < 0) {
            variables_free(values, r->variable_count);
            return -1;
        }
    }
    *out = values;
    return 0;
}

// A JSON string keeps any value on one line.
static void add_quoted(struct buf *out, const char *text)
{
    json_t *string = json_string(text);
    cleanup_free char *quoted = json_dumps(string, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
    json_decref(string);
    if (!quoted) // checked when it was resolved
        abort();
    buf_puts(out, quoted);
}

void variables_key(const struct variable_value *values, size_t count, struct buf *out)
{
    for (size_t i = 0; i < count; i++) {
        const struct variable_value *value = &values[i];
        const char *name = value->variable->name;
        if (value->variable->type == VARIABLE_TEXT || value->variable->type == VARIABLE_YES_NO) {
            buf_printf(out, "variable %s ", name);
            add_quoted(out, value->text);
            buf_puts(out, "\n");
        }
        if (value->variable->type == VARIABLE_SECRET) {
            if (value->digests.n)
                buf_printf(out, "variable %s secret %s\n", name, value->digests.items[0]);
            continue;
        }
        for (size_t f = 0; f < value->files.n; f++)
            buf_printf(out, "variable %s file %s %s\n", name, path_base(value->files.items[f]),
                       value->digests.items[f]);
    }
}

const struct variable_value *variable_find(const struct job *job, const char *name)
{
    for (size_t i = 0; i < job->value_count; i++)
        if (!strcmp(job->values[i].variable->name, name))
            return &job->values[i];
    return NULL;
}

const char *variable_text(const struct job *job, const char *name)
{
    const struct variable_value *value = variable_find(job, name);
    return value ? value->text : "";
}

bool condition_holds(const struct job *job, const struct recipe_condition *c)
{
    return !c->variable || strlist_has(&c->is, variable_text(job, c->variable));
}

bool condition_expected(const struct recipe *r, const struct recipe_condition *c)
{
    for (size_t i = 0; c->variable && i < r->variable_count; i++) {
        const struct recipe_variable *v = &r->variables[i];
        const char *set = variable_value(v->name), *otherwise = v->default_ ? v->default_ : "";
        if (!strcmp(v->name, c->variable))
            return strlist_has(&c->is, set && *set ? set : otherwise);
    }
    return !c->variable;
}

void variables_free(struct variable_value *values, size_t count)
{
    for (size_t i = 0; values && i < count; i++) {
        free(values[i].text);
        strlist_free(&values[i].files);
        strlist_free(&values[i].digests);
    }
    free(values);
}

// ---- constants ----
// A recipe's `environment`: constants of the step, with values of versions.yaml filled in.

int constants_resolve(struct job *job, const struct versions *v, struct error **err)
{
    const struct recipe *r = job->recipe;
    for (size_t i = 0; i < r->environment.n; i++) {
        cleanup_free char *text = arch_expand(r->environment.items[i], job->target);
        cleanup_free char *constant =
            versions_expand(v, v->document->root, text, &job->filled_in, err);
        if (!constant)
            return error_wrap(err, "%s: environment", r->file);
        strlist_add(&job->constants, constant);
    }
    return 0;
}

// The key has the recipe's text as written; values of versions.yaml are added here.
void constants_key(const struct job *job, struct buf *out)
{
    for (size_t i = 0; i < job->constants.n; i++) {
        const char *constant = job->constants.items[i];
        if (!strcmp(constant, job->recipe->environment.items[i]))
            continue;
        int name = (int)strcspn(constant, "=");
        char digest[DIGEST_HEX_SIZE];
        digest_bytes(constant, strlen(constant), digest);
        buf_printf(out, "constant %.*s %s\n", name, constant, digest);
    }
}
