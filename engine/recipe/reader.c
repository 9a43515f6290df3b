// SPDX-License-Identifier: Apache-2.0
// Reads maps of known keys, and the values that do not depend on the kind of map: texts, names,
// lists, architectures, and files.
//
// Files are checked when a recipe is loaded, so that a typing error is found before a long build;
// none may be outside its folder, directly or by links.
#include "recipe/internal.h"

#include "base/file.h"

#include <errno.h>
#include <glob.h>
#include <string.h>
#include <sys/stat.h>

int reader_error(struct recipe_reader *r, const struct yaml *node, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    cleanup_free char *why = xvasprintf(format, args);
    va_end(args);
    // An empty value has no useful position.
    bool at_key = r->key && yaml_is_null(node);
    return yaml_error_at(r->document, at_key ? r->key_line : node->line,
                         at_key ? r->key_column : node->column, r->err, "%s%s%s",
                         r->key ? r->key : "", r->key ? ": " : "", why);
}

void reader_enter(struct recipe_reader *r, const struct yaml *map, size_t index)
{
    r->key = map->keys[index];
    r->key_line = map->key_lines[index];
    r->key_column = map->key_columns[index];
}

int expect(struct recipe_reader *r, const struct yaml *node, enum yaml_kind kind)
{
    if (!yaml_is_null(node) && node->kind == kind)
        return 0;
    const struct yaml wanted = {.kind = kind, .quoted = true};
    const char *is = yaml_kind_name(node);
    return reader_error(r, node, "%s is expected here, but this is %s", yaml_kind_name(&wanted),
                        is);
}

// Finds an architecture by any of its names; an error is at the given place.
static const struct arch *find_arch(struct recipe_reader *r, size_t line, size_t column,
                                    const char *name)
{
    struct error *why = NULL;
    const struct arch *a = arch_find(name, &why);
    if (a)
        return a;
    yaml_error_at(r->document, line, column, r->err, "%s", why->message);
    error_hint(r->err, "%s", why->hint);
    error_free(why);
    return NULL;
}

// ---- maps ----

static const struct field *find_field(const struct schema *s, const char *key)
{
    for (size_t i = 0; i < s->count; i++)
        if (!strcmp(s->fields[i].key, key))
            return &s->fields[i];
    return NULL;
}

static int unknown_key(struct recipe_reader *r, const struct yaml *map, size_t index,
                       const struct schema *s, int mode)
{
    const char *key = map->keys[index];
    yaml_error_at(r->document, map->key_lines[index], map->key_columns[index], r->err,
                  "unknown key '%s' in %s", key, s->kind);
    struct strlist known = {0};
    for (size_t i = 0; i < s->count; i++)
        if (s->fields[i].allowed & mode)
            strlist_add(&known, s->fields[i].key);
    const char *nearest = nearest_name(key, &known);
    cleanup_free char *all = strlist_join(&known, ", ");
    if (nearest)
        error_hint(r->err, "did you mean '%s'?", nearest);
    else
        error_hint(r->err, "known keys: %s", all);
    strlist_free(&known);
    return -1;
}

static int check_required(struct recipe_reader *r, const struct yaml *map, const struct schema *s,
                          int mode)
{
    for (size_t i = 0; i < s->count; i++)
        if ((s->fields[i].required & mode) && !yaml_get(map, s->fields[i].key))
            return yaml_error(r->document, map, r->err, "%s needs the key '%s'", s->kind,
                              s->fields[i].key);
    return 0;
}

int read_map(struct recipe_reader *r, const struct yaml *node, const struct schema *s, int mode,
             void *base)
{
    if (expect(r, node, YAML_MAP) < 0)
        return -1;
    for (size_t i = 0; i < node->n; i++) {
        const struct field *f = find_field(s, node->keys[i]);
        if (!f)
            return unknown_key(r, node, i, s, mode);
        reader_enter(r, node, i);
        if (!(f->allowed & mode))
            return yaml_error_at(r->document, r->key_line, r->key_column, r->err,
                                 "the key '%s' has no meaning in %s", f->key, s->kind);
        if (f->read(r, node->items[i], (char *)base + f->offset) < 0)
            return -1;
    }
    return check_required(r, node, s, mode);
}

int read_arch_map(struct recipe_reader *r, const struct yaml *node, read_value *read, void *values,
                  size_t size)
{
    bool seen[4] = {false};
    if (expect(r, node, YAML_MAP) < 0)
        return -1;
    for (size_t i = 0; i < node->n; i++) {
        reader_enter(r, node, i);
        const struct arch *a = find_arch(r, r->key_line, r->key_column, node->keys[i]);
        if (!a)
            return -1;
        size_t at = (size_t)(a - arch_table);
        if (seen[at])
            return yaml_error_at(r->document, r->key_line, r->key_column, r->err,
                                 "%s is listed twice", a->name);
        seen[at] = true;
        if (read(r, node->items[i], (char *)values + at * size) < 0)
            return -1;
    }
    return 0;
}

// ---- texts ----

bool name_is_clean(const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t n = strlen(name);
    return n && n <= 100 && !strchr("._-", name[0]) && strspn(name, letters) == n;
}

static bool is_line(const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p; p++)
        if (*p < ' ' || *p == 0x7f)
            return false;
    return true;
}

static bool is_package(const char *text)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789+.-:";
    size_t n = strlen(text);
    return n > 1 && !strchr("+.-:", text[0]) && strspn(text, letters) == n;
}

static bool name_pattern_is_clean(const char *text)
{
    return strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789._-*?") == strlen(text);
}

bool template_is_valid(const char *text, const char *const *names)
{
    for (const char *p = text; *(p += strcspn(p, "{}"));) {
        if (p[1] == *p && !names) {
            p += 2;
            continue;
        }
        size_t n = strcspn(p + 1, "{}");
        if (*p == '}' || !n || p[1 + n] != '}')
            return false;
        const char *const *known = names;
        while (known && *known && (strncmp(*known, p + 1, n) != 0 || (*known)[n]))
            known++;
        if (known && !*known)
            return false;
        p += n + 2;
    }
    return true;
}

// The allowed form of a text, and its name for messages.
struct form {
    bool (*fits)(const char *text);
    const char *rule;
};
static bool any_template(const char *text)
{
    return is_line(text) && template_is_valid(text, NULL);
}
static const struct form form_line = {is_line, "a text of one line is expected"};
static const struct form form_template = {any_template, TEMPLATE_RULE};
static const struct form form_name = {
    name_is_clean,
    "a name is made of a-z 0-9 . _ -, begins with a letter or digit, and has at most 100 "
    "characters"};
static const struct form form_name_pattern = {name_pattern_is_clean,
                                              "a name or pattern is made of a-z 0-9 . _ - * ?"};
static const struct form form_package = {is_package, "this cannot be the name of a package"};
static const struct form form_path = {
    path_is_clean, "a path must be relative and without empty, '.' or '..' parts"};

static int read_form(struct recipe_reader *r, const struct yaml *node, const struct form *form,
                     char **out)
{
    if (expect(r, node, YAML_SCALAR) < 0)
        return -1;
    if (!*node->text)
        return reader_error(r, node, "the text is empty");
    if (form && (!form->fits(node->text) || !is_line(node->text)))
        return reader_error(r, node, "'%s': %s", node->text, form->rule);
    *out = xstrdup(node->text);
    return 0;
}

int read_line(struct recipe_reader *r, const struct yaml *node, void *target)
{
    return read_form(r, node, &form_line, target);
}

int read_template(struct recipe_reader *r, const struct yaml *node, void *target)
{
    return read_form(r, node, &form_template, target);
}

int read_name(struct recipe_reader *r, const struct yaml *node, void *target)
{
    return read_form(r, node, &form_name, target);
}

int read_package(struct recipe_reader *r, const struct yaml *node, void *target)
{
    return read_form(r, node, &form_package, target);
}

int read_path(struct recipe_reader *r, const struct yaml *node, void *target)
{
    return read_form(r, node, &form_path, target);
}

int read_yes_no(struct recipe_reader *r, const struct yaml *node, void *target)
{
    static const char *const words[] = {"no", "yes", "false", "true"};
    if (expect(r, node, YAML_SCALAR) < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (!strcmp(node->text, words[i])) {
            *(bool *)target = i & 1;
            return 0;
        }
    return reader_error(r, node, "'%s': yes or no is expected", node->text);
}

int read_name_pattern(struct recipe_reader *r, const struct yaml *node, void *target)
{
    if (read_line(r, node, target) < 0)
        return -1;
    if (strchr(node->text, '/'))
        return reader_error(r, node, "'%s': a pattern of file names holds no '/'", node->text);
    return 0;
}

// ---- lists of texts ----

static int read_forms(struct recipe_reader *r, const struct yaml *node, const struct form *form,
                      struct strlist *out)
{
    if (expect(r, node, YAML_LIST) < 0)
        return -1;
    for (size_t i = 0; i < node->n; i++) {
        cleanup_free char *text = NULL;
        if (read_form(r, node->items[i], form, &text) < 0)
            return -1;
        if (strlist_has(out, text))
            return reader_error(r, node->items[i], "'%s' is listed twice", text);
        strlist_add(out, text);
    }
    return 0;
}

int read_lines(struct recipe_reader *r, const struct yaml *node, void *target)
{
    return read_forms(r, node, &form_line, target);
}

int read_names(struct recipe_reader *r, const struct yaml *node, void *target)
{
    return read_forms(r, node, &form_name, target);
}

int read_name_patterns(struct recipe_reader *r, const struct yaml *node, void *target)
{
    return read_forms(r, node, &form_name_pattern, target);
}

int read_packages(struct recipe_reader *r, const struct yaml *node, void *target)
{
    return read_forms(r, node, &form_package, target);
}

int read_architectures(struct recipe_reader *r, const struct yaml *node, void *target)
{
    bool *architectures = target;
    struct strlist names = {0};
    int result = read_names(r, node, &names);
    if (!result && !names.n)
        result = reader_error(r, node, "the list is empty");
    for (size_t i = 0; i < names.n && !result; i++) {
        const struct arch *a =
            find_arch(r, node->items[i]->line, node->items[i]->column, names.items[i]);
        if (!a)
            result = -1;
        else if (architectures[a - arch_table])
            result = reader_error(r, node->items[i], "%s is listed twice", a->name);
        else
            architectures[a - arch_table] = true;
    }
    strlist_free(&names);
    return result;
}

// ---- files ----

// Suggests a similar name for one that is not in its folder.
static void suggest_name(struct recipe_reader *r, const char *folder, const char *path)
{
    cleanup_free char *parent = xasprintf("%s/%.*s", folder, (int)(path_base(path) - path), path);
    struct strlist names = {0};
    if (list_directory(parent, &names, NULL) == 0) {
        const char *nearest = nearest_name(path_base(path), &names);
        if (nearest)
            error_hint(r->err, "did you mean '%.*s%s'?", (int)(path_base(path) - path), path,
                       nearest);
    }
    strlist_free(&names);
}

// Whether following links from `full` ends inside `folder`.
static bool resolves_inside(const char *folder, const char *full)
{
    cleanup_free char *top = realpath(folder, NULL), *end = realpath(full, NULL);
    return top && end && path_below(end, top);
}

// `path` is relative to `folder` and clean; it must be a regular file (or a folder).
static int check_inside(struct recipe_reader *r, const struct yaml *node, const char *folder,
                        const char *path, bool want_folder)
{
    const char *what = want_folder ? "directory" : "file";
    cleanup_free char *full = xasprintf("%s/%s", folder, path);
    struct stat st;
    if (lstat(full, &st) < 0) {
        if (errno != ENOENT && errno != ENOTDIR)
            return reader_error(r, node, "'%s': %s", path, strerror(errno));
        reader_error(r, node, "there is no %s '%s' in %s", what, path, folder);
        suggest_name(r, folder, path);
        return -1;
    }
    // Without a link nothing can lead outside: the usual case, and a quick one.
    if (S_ISLNK(st.st_mode) || strchr(path, '/')) {
        if (!resolves_inside(folder, full))
            return reader_error(r, node, "'%s' is a link that leads out of %s, or to nothing", path,
                                folder);
        if (stat(full, &st) < 0)
            return reader_error(r, node, "'%s': %s", path, strerror(errno));
    }
    if (want_folder ? !S_ISDIR(st.st_mode) : !S_ISREG(st.st_mode))
        return reader_error(r, node, "'%s' is not a %s", path, what);
    return 0;
}

int read_file(struct recipe_reader *r, const struct yaml *node, void *target)
{
    char **out = target;
    if (read_path(r, node, out) < 0)
        return -1;
    return check_inside(r, node, r->recipe->folder, *out, false);
}

int read_overlay(struct recipe_reader *r, const struct yaml *node, void *target)
{
    struct recipe_layer *layer = target;
    if (read_path(r, node, &layer->overlay) < 0)
        return -1;
    const struct recipe *like = r->recipe->like;
    cleanup_free char *own = xasprintf("%s/%s", r->recipe->folder, layer->overlay);
    const char *folder = like && !path_exists(own) ? like->folder : r->recipe->folder;
    layer->folder = xasprintf("%s/%s", folder, layer->overlay);
    return check_inside(r, node, folder, layer->overlay, true);
}

int read_shared(struct recipe_reader *r, const struct yaml *node, void *target)
{
    struct strlist *out = target;
    if (read_names(r, node, out) < 0)
        return -1;
    for (size_t i = 0; i < out->n; i++) {
        const char *name = out->items[i];
        const char *folder = r->recipes->absolute.items[overlay_find(r->recipes, name)];
        if (check_inside(r, node->items[i], folder, name, true) < 0)
            return -1;
    }
    return 0;
}

// The folder of "shared/<name>/<rest>" or of a path of the recipe, to be freed; *rest gets the path
// in it. NULL, with an error, if the folder is not in 'shared'.
static char *folder_of(struct recipe_reader *r, const struct yaml *node, const char *path,
                       const char **rest)
{
    *rest = path;
    if (!starts_with(path, "shared/"))
        return xstrdup(r->recipe->folder);
    const char *name = path + strlen("shared/"), *slash = strchr(name, '/');
    if (!slash) {
        reader_error(r, node, "'%s': a shared script is shared/<directory>/<file>", path);
        return NULL;
    }
    cleanup_free char *shared = xstrndup(name, (size_t)(slash - name));
    *rest = slash + 1;
    // 'shared' may come later in the file, so this reads the document, not the struct.
    const struct yaml *list = yaml_get(r->document->root, "shared");
    bool listed = false;
    for (size_t i = 0; list && list->kind == YAML_LIST && i < list->n; i++)
        listed |= list->items[i]->kind == YAML_SCALAR && !strcmp(list->items[i]->text, shared);
    if (listed)
        return overlay_path(r->recipes, shared);
    reader_error(r, node, "'%s': the directory '%s' is not in 'shared'", path, shared);
    error_hint(r->err, "add the line: shared: [%s]", shared);
    return NULL;
}

// "shared/<name>/<file>" is a file of a shared folder; others are the recipe's own.
int read_script(struct recipe_reader *r, const struct yaml *node, void *target)
{
    char **out = target;
    const char *rest;
    if (read_path(r, node, out) < 0)
        return -1;
    cleanup_free char *folder = folder_of(r, node, *out, &rest);
    return folder ? check_inside(r, node, folder, rest, false) : -1;
}

// ---- only ----
static struct recipe_only *only_named(struct recipe *recipe, const char *path)
{
    for (size_t i = 0; i < recipe->only_count; i++)
        if (!strcmp(recipe->only[i].path, path))
            return &recipe->only[i];
    recipe->only = xrealloc(recipe->only, (recipe->only_count + 1) * sizeof *recipe->only);
    recipe->only[recipe->only_count] = (struct recipe_only){.path = xstrdup(path)};
    return &recipe->only[recipe->only_count++];
}

static int read_only_path(struct recipe_reader *r, const struct yaml *node, const struct arch *a)
{
    cleanup_free char *path = NULL;
    const char *rest;
    struct stat st;
    if (read_path(r, node, &path) < 0 || !path)
        return -1;
    cleanup_free char *folder = folder_of(r, node, path, &rest);
    if (!folder)
        return -1;
    cleanup_free char *full = xasprintf("%s/%s", folder, rest);
    if (check_inside(r, node, folder, rest, lstat(full, &st) == 0 && S_ISDIR(st.st_mode)) < 0)
        return -1;
    only_named(r->recipe, path)->architectures[a - arch_table] = true;
    return 0;
}

// {x86_64: [path, ...], ...}
int read_only(struct recipe_reader *r, const struct yaml *node, void *target)
{
    if (expect(r, node, YAML_MAP) < 0)
        return -1;
    for (size_t i = 0; i < node->n; i++) {
        const struct arch *a =
            find_arch(r, node->key_lines[i], node->key_columns[i], node->keys[i]);
        reader_enter(r, node, i);
        if (!a || expect(r, node->items[i], YAML_LIST) < 0)
            return -1;
        for (size_t k = 0; k < node->items[i]->n; k++)
            if (read_only_path(r, node->items[i]->items[k], a) < 0)
                return -1;
    }
    return 0;
}

bool recipe_hides(const struct recipe *r, const struct arch *a, const char *path)
{
    for (size_t i = 0; i < r->only_count; i++)
        if (!r->only[i].architectures[a - arch_table] && path_below(path, r->only[i].path))
            return true;
    return false;
}

// ---- patches ----

// The pattern below the folder, whose own name must not act as a pattern.
static char *absolute_pattern(const char *folder, const char *pattern)
{
    struct buf b = {0};
    for (const char *p = folder; *p; p++) {
        if (strchr("*?[\\", *p))
            buf_puts(&b, "\\");
        buf_add(&b, p, 1);
    }
    buf_printf(&b, "/%s", pattern);
    return buf_take(&b);
}

static int check_pattern(struct recipe_reader *r, const struct yaml *node, const char *pattern)
{
    const char *folder = r->recipe->folder;
    cleanup_free char *absolute = absolute_pattern(folder, pattern);
    glob_t found = {0};
    int status = glob(absolute, 0, NULL, &found);
    if (status == GLOB_NOSPACE)
        out_of_memory();
    int result = 0;
    if (!found.gl_pathc)
        result = reader_error(r, node, "no file matches '%s' in %s", pattern, folder);
    for (size_t i = 0; i < found.gl_pathc && !result; i++)
        result = check_inside(r, node, folder, found.gl_pathv[i] + strlen(folder) + 1, false);
    globfree(&found);
    return result;
}

static int check_patch(struct recipe_reader *r, const struct yaml *node, const char *pattern)
{
    if (!path_is_clean(pattern))
        return reader_error(r, node, "'%s' must be relative and without '..'", pattern);
    if (strpbrk(pattern, "{}")) // the files depend on versions.yaml
        return template_is_valid(pattern, NULL)
                   ? 0
                   : reader_error(r, node, "'%s': a placeholder is {name}", pattern);
    if (strpbrk(pattern, "*?[\\"))
        return check_pattern(r, node, pattern);
    return check_inside(r, node, r->recipe->folder, pattern, false);
}

int read_patches(struct recipe_reader *r, const struct yaml *node, void *target)
{
    struct strlist *out = target;
    if (read_lines(r, node, out) < 0)
        return -1;
    for (size_t i = 0; i < out->n; i++)
        if (check_patch(r, node->items[i], out->items[i]) < 0)
            return -1;
    return 0;
}
