// SPDX-License-Identifier: Apache-2.0
// Reads kbuild.yaml: checks who could have written the file, and each value, with its place.
#include "recipe/settings.h"

#include "base/file.h"
#include "base/input.h"
#include "recipe/internal.h"
#include "registry/registry.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#define SETTINGS_MAX ((size_t)64 << 10)

char *settings_user_path(void)
{
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    if (config && *config == '/') // the specification: a relative one is to be ignored
        return xasprintf("%s/kbuild/kbuild.yaml", config);
    return home && *home ? xasprintf("%s/.config/kbuild/kbuild.yaml", home) : NULL;
}

// ---- one value ----

// The reader of maps, whose functions get it back as what it is here.
struct settings_reader {
    struct recipe_reader reader; // first
    struct settings_file *file;
    char *directory; // of the file
    bool named;      // by the user, who has looked at what it names
};

static const struct settings_reader *settings_of(const struct recipe_reader *r)
{
    return (const struct settings_reader *)r;
}

static bool is_project(const struct recipe_reader *r)
{
    return settings_of(r)->file->owner == SETTINGS_PROJECT;
}

static void add_value(struct setting_value *v, size_t line, const char *text)
{
    v->lines = xgrow(v->lines, &v->lines_cap, v->items.n + 1, sizeof *v->lines);
    v->lines[v->items.n] = line;
    strlist_add(&v->items, text);
}

static int refuse_for_project(struct recipe_reader *r, const char *how)
{
    cleanup_free char *own = settings_user_path();
    return error_hint(r->err,
                      "a project's file speaks for everybody who checks it out: %s, or put "
                      "it into your own file, %s",
                      how, own ? own : "~/.config/kbuild/kbuild.yaml");
}

static int read_choice(struct recipe_reader *r, const struct yaml *node, const char *const *words,
                       void *target)
{
    cleanup_free char *text = NULL;
    cleanup_strlist struct strlist all = {0};
    if (read_line(r, node, &text) < 0)
        return -1;
    for (size_t i = 0; words[i]; i++)
        strlist_add(&all, words[i]);
    if (!strlist_has(&all, text)) {
        cleanup_free char *known = strlist_join(&all, " or ");
        reader_error(r, node, "'%s' is no value of it", text);
        return error_hint(r->err, "it can be %s", known);
    }
    add_value(target, node->line, text);
    return 0;
}

static int read_sources_word(struct recipe_reader *r, const struct yaml *node, void *target)
{
    static const char *const words[] = {"upstream", "debian", NULL};
    return read_choice(r, node, words, target);
}

static int read_remote(struct recipe_reader *r, const struct yaml *node, void *target)
{
    static const char *const words[] = {"auto", "off", "require", NULL};
    return read_choice(r, node, words, target);
}

static int read_builder_word(struct recipe_reader *r, const struct yaml *node, void *target)
{
    static const char *const words[] = {"image", "host", NULL};
    if (read_choice(r, node, words, target) < 0)
        return -1;
    if (!is_project(r) || strcmp(node->text, "host") != 0)
        return 0;
    reader_error(r, node,
                 "a project cannot say 'host': steps would see and use the programs of "
                 "this machine");
    return refuse_for_project(r, "give --builder=host");
}

static int read_jobs(struct recipe_reader *r, const struct yaml *node, void *target)
{
    if (expect(r, node, YAML_SCALAR) < 0)
        return -1;
    const char *text = node->text;
    size_t n = strlen(text);
    long jobs = n && n <= 4 && strspn(text, "0123456789") == n ? strtol(text, NULL, 10) : 0;
    if (jobs < 1 || jobs > 4096)
        return reader_error(r, node, "'%s': the number of jobs must be from 1 to 4096", text);
    add_value(target, node->line, text);
    return 0;
}

static int read_arch(struct recipe_reader *r, const struct yaml *node, void *target)
{
    cleanup_free char *text = NULL;
    cleanup_error struct error *why = NULL;
    if (read_line(r, node, &text) < 0)
        return -1;
    if (!arch_find(text, &why)) {
        reader_error(r, node, "%s", why->message);
        return why->hint ? error_hint(r->err, "%s", why->hint) : -1;
    }
    add_value(target, node->line, text);
    return 0;
}

static int read_branch(struct recipe_reader *r, const struct yaml *node, void *target)
{
    cleanup_free char *text = NULL;
    if (read_line(r, node, &text) < 0)
        return -1;
    add_value(target, node->line, text);
    return 0;
}

// ---- paths ----

// The path as the file means it: below its directory, or of the home; to be freed.
static char *absolute(const struct settings_reader *s, const char *text)
{
    const char *home = getenv("HOME");
    if (*text == '/')
        return xstrdup(text);
    if (starts_with(text, "~/") && home && *home)
        return xasprintf("%s/%s", home, text + 2);
    while (starts_with(text, "./"))
        text += 2;
    return !strcmp(text, ".") || !*text ? xstrdup(s->directory)
                                        : xasprintf("%s/%s", s->directory, text);
}

static int refuse_outside(struct recipe_reader *r, const struct yaml *node, const char *option)
{
    cleanup_free char *how = xasprintf("give it with %s", option);
    reader_error(r, node, "'%s' is outside of the project, %s", node->text,
                 settings_of(r)->directory);
    return refuse_for_project(r, how);
}

// What a project's file names belongs to those who may write the file, with the directories on the
// way to it; recipes, which are programs, with everything in them.
static int check_owners(struct recipe_reader *r, const struct yaml *node, const char *top,
                        const char *real, bool whole)
{
    const struct settings_reader *s = settings_of(r);
    if (s->named)
        return 0;
    cleanup_free char *why = way_distrust(top, real);
    if (!why && whole)
        why = tree_distrust(real);
    if (!why)
        return 0;
    reader_error(r, node, "'%s': %s", node->text, why);
    return error_hint(r->err,
                      "it could say what is built, and from what. If that is meant: "
                      "--settings %s; without the files: --settings none",
                      s->file->path);
}

// Of a project's file it has to be inside of the project, links followed; then or if `needed` it
// has to exist.
static int read_inside(struct recipe_reader *r, const struct yaml *node, const char *option,
                       bool needed, char **out)
{
    char real[PATH_MAX], top[PATH_MAX];
    const struct settings_reader *s = settings_of(r);
    cleanup_free char *text = NULL;
    if (read_line(r, node, &text) < 0)
        return -1;
    cleanup_free char *path = absolute(s, text);
    bool found = realpath(path, real);
    if (!found && (needed || is_project(r))) {
        reader_error(r, node, "'%s': %s", text, strerror(errno));
        return error_hint(r->err, "paths are relative to %s", s->directory);
    }
    if (is_project(r) && (!realpath(s->directory, top) || !path_below(real, top)))
        return refuse_outside(r, node, option);
    if (is_project(r) && check_owners(r, node, top, real, !strcmp(option, "--recipes")) < 0)
        return -1;
    *out = steal(path);
    return 0;
}

static int read_existing(struct recipe_reader *r, const struct yaml *node, const char *option,
                         char **out)
{
    return read_inside(r, node, option, true, out);
}

static int read_versions(struct recipe_reader *r, const struct yaml *node, void *target)
{
    cleanup_free char *path = NULL;
    if (read_existing(r, node, "--versions", &path) < 0)
        return -1;
    if (is_directory(path))
        return reader_error(r, node, "'%s' is a directory; a file is expected here", node->text);
    add_value(target, node->line, path);
    return 0;
}

// A file, or a directory of them.
static int read_trusted_keys(struct recipe_reader *r, const struct yaml *node, void *target)
{
    cleanup_free char *path = NULL;
    if (read_existing(r, node, "KBUILD_TRUSTED_KEYS", &path) < 0)
        return -1;
    add_value(target, node->line, path);
    return 0;
}

static int read_existing_directory(struct recipe_reader *r, const struct yaml *node,
                                   const char *option, char **out)
{
    if (read_existing(r, node, option, out) < 0)
        return -1;
    return is_directory(*out) ? 0 : reader_error(r, node, "'%s' is not a directory", node->text);
}

static int read_recipes(struct recipe_reader *r, const struct yaml *node, void *target)
{
    if (expect(r, node, YAML_LIST) < 0)
        return -1;
    if (!node->n)
        return reader_error(r, node, "the list is empty");
    for (size_t i = 0; i < node->n; i++) {
        cleanup_free char *path = NULL;
        const struct yaml *item = node->items[i];
        bool word = item->kind == YAML_SCALAR && !strcmp(item->text, RECIPES_DEFAULT);
        if (!word && read_existing_directory(r, item, "--recipes", &path) < 0)
            return -1;
        add_value(target, item->line, word ? RECIPES_DEFAULT : path);
    }
    return 0;
}

static int read_cache(struct recipe_reader *r, const struct yaml *node, void *target)
{
    cleanup_free char *text = NULL;
    if (read_line(r, node, &text) < 0)
        return -1;
    cleanup_free char *path = absolute(settings_of(r), text);
    add_value(target, node->line, path);
    return 0;
}

// Whether what will be made at this path is below `top`: what of it exists is, links followed.
static bool will_be_below(const char *path, const char *top)
{
    char real[PATH_MAX];
    struct stat st;
    cleanup_free char *rest = xstrdup(path);
    while (!realpath(rest, real)) {
        char *slash = strrchr(rest, '/');
        if (errno != ENOENT || lstat(rest, &st) == 0 || !slash || slash == rest)
            return false; // a link to nothing could lead anywhere
        *slash = '\0';
    }
    return path_below(real, top);
}

// It may be made by the build.
static int read_output(struct recipe_reader *r, const struct yaml *node, void *target)
{
    char top[PATH_MAX];
    const struct settings_reader *s = settings_of(r);
    if (read_cache(r, node, target) < 0)
        return -1;
    if (!is_project(r))
        return 0;
    cleanup_free char *path = absolute(s, node->text);
    bool inside = path_is_clean(node->text) && realpath(s->directory, top);
    for (size_t i = 0; inside && i < arch_count; i++) {
        cleanup_free char *of_arch = arch_expand(path, &arch_table[i]);
        inside = will_be_below(of_arch, top);
    }
    return inside ? 0 : refuse_outside(r, node, "--output");
}

// ---- sources ----

static int read_one_source(struct recipe_reader *r, const char *name, const struct yaml *node,
                           size_t line, void *target)
{
    cleanup_free char *path = NULL;
    cleanup_free char *option = xasprintf("--source %s=DIR", name);
    if (expect(r, node, YAML_SCALAR) < 0)
        return -1;
    bool word = !strcmp(node->text, "upstream") || !strcmp(node->text, "debian");
    // One's own file is for many projects: a directory that is gone is an error of what uses it.
    if (!word && read_inside(r, node, option, false, &path) < 0)
        return -1;
    cleanup_free char *text = xasprintf("%s=%s", name, word ? node->text : path);
    add_value(target, line, text);
    return 0;
}

static int read_source_map(struct recipe_reader *r, const struct yaml *node, void *target)
{
    if (expect(r, node, YAML_MAP) < 0)
        return -1;
    for (size_t i = 0; i < node->n; i++) {
        if (!name_is_clean(node->keys[i]))
            return yaml_error_at(r->document, node->key_lines[i], node->key_columns[i], r->err,
                                 "source: '%s' cannot be the name of a source", node->keys[i]);
        reader_enter(r, node, i);
        if (read_one_source(r, node->keys[i], node->items[i], node->key_lines[i], target) < 0)
            return -1;
    }
    return 0;
}

// "@" is for a digest; before anything else it ends a login.
static bool has_login(const char *text)
{
    for (const char *p = text; (p = strchr(p, '@')); p++)
        if (!starts_with(p, "@sha256:"))
            return true;
    return false;
}

static int read_prebuilt(struct recipe_reader *r, const struct yaml *node, void *target)
{
    struct strlist texts = {0};
    int result = read_lines(r, node, &texts);
    for (size_t i = 0; i < texts.n && !result; i++) {
        if (strpbrk(texts.items[i], ", ") || has_login(texts.items[i]))
            result = reader_error(r, node->items[i], // without the text: it may hold a login
                                  "TARGET or TARGET=REFERENCE is expected here");
        else
            add_value(target, node->items[i]->line, texts.items[i]);
    }
    strlist_free(&texts);
    return result;
}

// ---- registries ----

// `format` makes a whole reference of the text.
static int read_reference(struct recipe_reader *r, const struct yaml *node, const char *before,
                          const char *after, void *target)
{
    cleanup_free char *text = NULL;
    cleanup_error struct error *why = NULL;
    struct reference reference;
    if (read_line(r, node, &text) < 0)
        return -1;
    if (strchr(text, '@')) { // do not repeat what may be a password
        reader_error(r, node, "an '@' has no place here");
        return error_hint(r->err, "a login goes into the files of `skopeo login`, or into "
                                  "ARTEFACT_REGISTRY_USERNAME and ARTEFACT_REGISTRY_PASSWORD");
    }
    cleanup_free char *whole = xasprintf("%s%s%s", before, text, after);
    if (reference_parse(whole, &reference, &why) < 0)
        return reader_error(r, node, "%s", why->message);
    bool tag = reference.tag != NULL;
    reference_free(&reference);
    if (tag)
        return reader_error(r, node, "'%s' has a tag", text);
    add_value(target, node->line, text);
    return 0;
}

static int read_registry(struct recipe_reader *r, const struct yaml *node, void *target)
{
    return read_reference(r, node, "", "/x", target);
}

static int read_repository(struct recipe_reader *r, const struct yaml *node, void *target)
{
    return read_reference(r, node, "localhost/", "", target);
}

static int read_builder_registry(struct recipe_reader *r, const struct yaml *node, void *target)
{
    return read_reference(r, node, "", "", target);
}

// ---- the table ----

// Architectures have a rule of their own in the environment (TARGET_ARCH and ARCH).
#define EACH_SETTING(X)                                                                            \
    X(SETTING_SOURCES, "sources", "KBUILD_SOURCES", read_sources_word)                             \
    X(SETTING_SOURCE, "source", "KBUILD_SOURCE", read_source_map)                                  \
    X(SETTING_PREBUILT, "prebuilt", "KBUILD_PREBUILT", read_prebuilt)                              \
    X(SETTING_BUILDER, "builder", NULL, read_builder_word)                                         \
    X(SETTING_ARCH, "arch", NULL, read_arch)                                                       \
    X(SETTING_JOBS, "jobs", NULL, read_jobs)                                                       \
    X(SETTING_CACHE, "cache", "KBUILD_CACHE", read_cache)                                          \
    X(SETTING_OUTPUT, "output", NULL, read_output)                                                 \
    X(SETTING_VERSIONS, "versions", NULL, read_versions)                                           \
    X(SETTING_RECIPES, "recipes", NULL, read_recipes)                                              \
    X(SETTING_REMOTE, "remote", NULL, read_remote)                                                 \
    X(SETTING_REGISTRY, "registry", "ARTEFACT_REGISTRY", read_registry)                            \
    X(SETTING_REPOSITORY, "repository", "ARTEFACT_REPOSITORY", read_repository)                    \
    X(SETTING_BUILDER_REGISTRY, "builder-registry", "BUILDER_REGISTRY", read_builder_registry)     \
    X(SETTING_TARGET_BRANCH, "target-branch", "TARGET_BRANCH", read_branch)                        \
    X(SETTING_TRUSTED_KEYS, "trusted-keys", "KBUILD_TRUSTED_KEYS", read_trusted_keys)

#define NAME_ROW(which, key, variable, read) [which] = {key, variable},
const struct setting_name setting_names[SETTINGS] = {EACH_SETTING(NAME_ROW)};
#define FIELD_ROW(which, key, variable, read)                                                      \
    {key, read, offsetof(struct settings_file, values[which]), ANYWHERE, 0},
static const struct field fields[] = {EACH_SETTING(FIELD_ROW)};
static const struct schema schema = SCHEMA("kbuild.yaml", fields);

// ---- keys that are refused ----

static bool names_secret(const char *key)
{
    static const char *const parts[] = {"password", "passwd",   "passphrase", "secret",
                                        "token",    "username", "credential", "login",
                                        "private",  "signing"};
    cleanup_free char *lower = xstrdup(key);
    for (char *p = lower; *p; p++)
        *p = *p >= 'A' && *p <= 'Z' ? (char)(*p | 0x20) : *p;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (strstr(lower, parts[i]))
            return true;
    return !strcmp(lower, "key") || !strcmp(lower, "auth");
}

// Before the value is looked at, which may not be repeated in a message then.
static int check_key(struct recipe_reader *r, const char *key, size_t line, size_t column)
{
    if (names_secret(key)) {
        yaml_error_at(r->document, line, column, r->err,
                      "'%s' names a secret, and kbuild.yaml never has one", key);
        return error_hint(r->err,
                          "logins: `skopeo login`, or ARTEFACT_REGISTRY_USERNAME and "
                          "ARTEFACT_REGISTRY_PASSWORD; the signing key: KBUILD_SIGNING_KEY");
    }
    for (size_t k = 0; k < SETTINGS; k++)
        if (setting_names[k].variable && !strcmp(setting_names[k].variable, key)) {
            yaml_error_at(r->document, line, column, r->err, "unknown key '%s' in kbuild.yaml",
                          key);
            return error_hint(r->err, "did you mean '%s'?", setting_names[k].key);
        }
    return 0;
}

// ---- the file ----

// Every key, also after one that is wrong: `kbuild settings` shows all. The first error is kept.
static int read_keys(struct settings_reader *s, const struct yaml *root, struct error **err)
{
    struct error *first = NULL;
    for (size_t i = 0; i < root->n; i++) {
        const struct yaml one = {.kind = YAML_MAP,
                                 .line = root->line,
                                 .column = root->column,
                                 .n = 1,
                                 .items = root->items + i,
                                 .keys = root->keys + i,
                                 .key_lines = root->key_lines + i,
                                 .key_columns = root->key_columns + i};
        struct error *why = NULL;
        s->reader.err = &why;
        if (check_key(&s->reader, one.keys[0], one.key_lines[0], one.key_columns[0]) == 0)
            read_map(&s->reader, &one, &schema, 1, s->file);
        if (first)
            error_free(why);
        else
            first = why;
    }
    s->reader.err = err;
    if (!first)
        return 0;
    if (err)
        *err = first;
    else
        error_free(first);
    return -1;
}

static int parse_file(const char *path, enum settings_owner owner, bool named, const char *text,
                      size_t length, struct settings_file *out, struct error **err)
{
    *out = (struct settings_file){.path = xstrdup(path), .owner = owner};
    struct yaml_document *d = yaml_parse(path, text, length, err);
    if (!d)
        return -1;
    struct settings_reader s = {.reader = {.document = d, .err = err}, .file = out, .named = named};
    s.directory = xstrndup(path, path_base(path) > path + 1 ? (size_t)(path_base(path) - path) - 1
                                                            : strlen("/"));
    int result = expect(&s.reader, d->root, YAML_MAP) < 0 ? -1 : read_keys(&s, d->root, err);
    free(s.directory);
    yaml_document_free(d);
    return result;
}

int settings_parse(const char *path, enum settings_owner owner, const char *text, size_t length,
                   struct settings_file *out, struct error **err)
{
    return parse_file(path, owner, false, text, length, out, err);
}

static int refuse_file(const char *path, const char *why, struct error **err)
{
    error_user(err, "%s %s", path, why);
    return error_hint(err,
                      "it could say what is built, and from what. If that is meant: "
                      "--settings %s; without the files: --settings none",
                      path);
}

// Opens it if nobody but this user and root could have written it.
static int open_own(const char *path, struct error **err)
{
    struct stat st;
    cleanup_free char *real = folder_follow(path, err);
    if (!real)
        return -1;
    cleanup_close int fd = open(real, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &st) < 0)
        return error_errno(err, errno, "reading %s", path);
    if (!S_ISREG(st.st_mode))
        return error_user(err, "%s is not a file", path);
    if (!owner_is_trusted(st.st_uid)) {
        cleanup_free char *owner = owner_name(st.st_uid);
        cleanup_free char *why = xasprintf("belongs to %s", owner);
        return refuse_file(path, why, err);
    }
    if (st.st_mode & S_IWOTH)
        return refuse_file(path, "can be written by everybody (chmod o-w closes it)", err);
    return steal_fd(&fd);
}

int settings_read(const char *path, enum settings_owner owner, bool named,
                  struct settings_file *out, struct error **err)
{
    cleanup_buf struct buf text = {0};
    cleanup_free char *full = path_absolute(path);
    *out = (struct settings_file){.path = xstrdup(full), .owner = owner};
    if (named) {
        if (user_file_read(path, SETTINGS_MAX, &text, err) < 0)
            return -1;
    } else {
        cleanup_close int fd = open_own(full, err);
        if (fd < 0 || fd_read_all(fd, full, SETTINGS_MAX, &text, err) < 0)
            return -1;
    }
    settings_file_free(out);
    return parse_file(full, owner, named, text.data ? text.data : "", text.len, out, err);
}

void settings_file_free(struct settings_file *f)
{
    for (size_t i = 0; i < SETTINGS; i++) {
        strlist_free(&f->values[i].items);
        free(f->values[i].lines);
    }
    free(f->path);
    *f = (struct settings_file){0};
}
