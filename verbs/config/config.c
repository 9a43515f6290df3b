// SPDX-License-Identifier: Apache-2.0
// Edits a runtime's configuration: selects the edits by the release of the file, and writes the
// file.
#include "config/internal.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

// What was detected in a file.
struct detected_file {
    const struct config_layout *layout;
    char *default_class; // of containerd's file (internal.h)
};

// ---- planned changes ----

struct edit_plan {
    struct config_change *items;
    size_t n, cap;
};

static void plan_free(struct edit_plan *p)
{
    for (size_t i = 0; i < p->n; i++) {
        strlist_free(&p->items[i].path);
        free(p->items[i].value);
    }
    free(p->items);
}
#define cleanup_plan __attribute__((cleanup(plan_free)))

// Compares as the runtime that reads the file does (internal.h, fold).
static bool same_path(const struct config_change *a, const struct config_change *b)
{
    size_t n = a->path.n;
    bool same = n == b->path.n;
    for (size_t i = 0; same && i < n; i++) {
        bool fold = a->fold && (i == 0 || i + 1 == n);
        const char *x = a->path.items[i], *y = b->path.items[i];
        same = fold ? !strcasecmp(x, y) : !strcmp(x, y);
    }
    return same;
}

// Takes over path and value; replaces a change of the same key.
static void plan_add(struct edit_plan *p, struct config_change *c)
{
    size_t i = 0;
    while (i < p->n && !same_path(&p->items[i], c))
        i++;
    if (i < p->n) {
        strlist_free(&p->items[i].path);
        free(p->items[i].value);
    } else {
        p->items = xgrow(p->items, &p->cap, p->n + 1, sizeof *p->items);
        p->n++;
    }
    p->items[i] = *c;
}

// Whether the reader of the file ignores case in keys: Kata's runtime in Go does, runtime-rs does
// not; only some of containerd's readers do, so its keys are written exactly.
static bool reader_ignores_case(const struct config_kind *kind, const struct config_layout *l)
{
    return kind->reader == CONFIG_KATA && !l->rust;
}

static int expand_table_path(const char *table, const struct config_marks *marks,
                             struct strlist *out, struct error **err)
{
    cleanup_free char *text = config_marks_expand(marks, table, false);
    return *text ? toml_key_parse(text, out, err) : 0;
}

static int expand_key_path(const char *table, const char *key, const struct config_marks *marks,
                           struct strlist *out, struct error **err)
{
    if (expand_table_path(table, marks, out, err) < 0)
        return -1;
    strlist_add(out, key);
    return 0;
}

static int plan_edits(struct edit_plan *p, const struct config_request *request,
                      const struct config_layout *l, const struct config_marks *marks,
                      struct error **err)
{
    for (size_t i = 0; i < l->count; i++) {
        const struct config_edit *e = &l->edits[i];
        struct config_change c = {.operation = e->operation,
                                  .fold = reader_ignores_case(request->kind, l)};
        struct toml_value v = {0};
        int result = expand_key_path(e->table, e->key, marks, &c.path, err);
        c.value = e->value ? config_marks_expand(marks, e->value, true) : NULL;
        plan_add(p, &c);
        if (!result && c.value && toml_value_parse(c.value, strlen(c.value), &v, err) < 0)
            result = error_wrap(err, "the prefix '%s'", marks->prefix);
        buf_free(&v.string);
        if (result < 0)
            return -1;
    }
    return 0;
}

// Whether this table of the edits belongs to the class.
static bool is_table_of_class(const struct config_layout *l, const char *class, const char *name)
{
    cleanup_free char *table = xasprintf("%s.%s", class, name);
    for (size_t i = 0; i < l->count; i++)
        if (!strcmp(l->edits[i].table, table))
            return true;
    return false;
}

// A dotted key in containerd's file must belong to the class: relative to its table
// ("options.ConfigPath"), or the whole path. containerd ignores other keys.
static int resolve_class_key(const struct config_layout *l, const struct config_marks *marks,
                             struct strlist *path, struct error **err)
{
    const char *class = l->edits[1].table;
    cleanup_strlist struct strlist full = {0};
    if (expand_table_path(class, marks, &full, err) < 0)
        return -1;
    size_t same = 0;
    while (same < full.n && same < path->n && !strcmp(full.items[same], path->items[same]))
        same++;
    if (same == full.n && path->n > same)
        return 0;
    if (!is_table_of_class(l, class, path->items[0])) {
        cleanup_free char *key = strlist_join(path, "."), *section = strlist_join(&full, ".");
        error_set(err, ERROR_USAGE, "'%s' is not a key of the class %s", key, marks->name);
        return error_hint(err,
                          "a key of the class is KEY, options.KEY, or with its full path %s.KEY; "
                          "other keys of containerd's file are not edited",
                          section);
    }
    strlist_add_all(&full, path);
    strlist_free(path);
    *path = full;
    full = (struct strlist){0};
    return 0;
}

// Of some tables the file has exactly one ("hypervisor.qemu"): rejects another name.
static int reject_second_section(const struct config_layout *l, const struct strlist *path,
                                 struct error **err)
{
    for (size_t i = 0; i < l->count; i++) {
        const char *table = l->edits[i].table, *dot = table ? strchr(table, '.') : NULL;
        size_t n = dot ? (size_t)(dot - table) : 0;
        if (!n || path->n < 3 || strlen(path->items[0]) != n ||
            strncmp(path->items[0], table, n) != 0 || !strcmp(path->items[1], dot + 1))
            continue;
        error_set(err, ERROR_USAGE, "'%s.%s' would be a second section beside %s", path->items[0],
                  path->items[1], table);
        return error_hint(err, "name a key of %s", table);
    }
    return 0;
}

// A key of one part is the key of that name that the kind edits; in containerd's file any key of
// the class.
static int resolve_key(const struct config_request *request, const struct config_layout *l,
                       const struct config_marks *marks, struct strlist *path, struct error **err)
{
    bool containerd = request->kind->reader == CONFIG_CONTAINERD;
    if (path->n > 1)
        return containerd ? resolve_class_key(l, marks, path, err)
                          : reject_second_section(l, path, err);
    cleanup_free char *key = xstrdup(path->items[0]);
    const char *table = containerd ? l->edits[1].table : NULL;
    for (size_t i = 0; i < l->count; i++)
        if (!strcmp(l->edits[i].key, key) && l->edits[i].operation != CONFIG_TABLE)
            table = l->edits[i].table;
    if (table) {
        strlist_free(path);
        *path = (struct strlist){0};
        return expand_key_path(table, key, marks, path, err);
    }
    error_set(err, ERROR_USAGE, "'%s' is none of the keys that kbuild edits in this kind of file",
              key);
    return error_hint(err, "name its section too, for example hypervisor.qemu.%s", key);
}

// KEY=VALUE
static int plan_setting(struct edit_plan *p, const struct config_request *request,
                        const struct config_layout *l, const struct config_marks *marks,
                        const char *setting, struct error **err)
{
    const char *equals = strchr(setting, '=');
    if (!equals || equals == setting)
        return error_set(err, ERROR_USAGE, "expected KEY=VALUE");
    cleanup_free char *key = xstrndup(setting, (size_t)(equals - setting));
    struct config_change c = {.operation = CONFIG_SET,
                              .value = xstrdup(equals + 1),
                              .fold = reader_ignores_case(request->kind, l)};
    struct toml_value v = {0};
    int result = toml_key_parse(key, &c.path, err);
    if (!result)
        result = resolve_key(request, l, marks, &c.path, err);
    if (!result && toml_value_parse(c.value, strlen(c.value), &v, NULL) < 0) {
        free(c.value);
        c.value = toml_quote(equals + 1);
        buf_free(&v.string);
        result = toml_value_parse(c.value, strlen(c.value), &v, err);
    }
    buf_free(&v.string);
    plan_add(p, &c); // also frees it, whatever the result
    return result;
}

static int make_plan(struct edit_plan *p, const struct config_request *request,
                     const struct detected_file *x, struct error **err)
{
    const struct strlist *settings = request->settings;
    struct config_marks marks;
    int result = config_marks_read(request, x->default_class, &marks, err);
    if (!result)
        result = plan_edits(p, request, x->layout, &marks, err);
    for (size_t i = 0; settings && i < settings->n && !result; i++)
        if (plan_setting(p, request, x->layout, &marks, settings->items[i], err) < 0)
            result = error_wrap(err, "--set %s", settings->items[i]);
    config_marks_free(&marks);
    return result;
}

// ---- the release of the file ----

// Whether the file has this key or table: "TABLE.KEY", TABLE with two parts.
static bool has_key_or_table(const struct toml *t, const char *path, bool fold)
{
    cleanup_strlist struct strlist parts = {0};
    strlist_split(&parts, path, ".");
    return config_find(t, parts.items, parts.n, fold, NULL) ||
           toml_find(t, parts.items, parts.n) != NULL;
}

static bool key_is_false(const struct toml *t, const char *path, bool fold)
{
    cleanup_strlist struct strlist parts = {0};
    strlist_split(&parts, path, ".");
    const struct toml_entry *e = config_find(t, parts.items, parts.n, fold, NULL);
    return e && e->value.kind == TOML_BOOLEAN && !e->value.boolean;
}

// Keys that only runtime-rs has.
static bool is_runtime_rs(const struct toml *t)
{
    static const char *const keys[] = {"agent.kata.dial_timeout_ms",
                                       "agent.kata.reconnect_timeout_ms", "runtime.hypervisor_name",
                                       "hypervisor.qemu.vm_rootfs_driver"};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (has_key_or_table(t, keys[i], false))
            return true;
    return false;
}

static int parse_release(const char *text, unsigned *out, struct error **err)
{
    unsigned major, minor;
    *out = 0;
    if (!text)
        return 0;
    if (*text < '0' || *text > '9' || sscanf(text, "%2u.%2u", &major, &minor) != 2)
        return error_set(err, ERROR_USAGE,
                         "--release %s is no release of Kata: one looks like 4.1.0", text);
    *out = major * 100 + minor;
    return 0;
}

static bool need_is_met(const struct toml *t, const struct config_need *n, bool fold)
{
    cleanup_strlist struct strlist path = {0};
    strlist_split(&path, n->table, ".");
    strlist_add(&path, n->key);
    const struct toml_entry *e = config_find(t, path.items, path.n, fold, NULL);
    if (!e)
        return false;
    if (!n->file)
        return e->value.kind == TOML_BOOLEAN && e->value.boolean;
    return e->value.kind == TOML_STRING && e->value.string.data &&
           !strcmp(path_base(e->value.string.data), n->file);
}

static bool layout_matches(const struct toml *t, const struct config_layout *l, bool rust,
                           unsigned release)
{
    const struct config_need kernel = {"hypervisor.qemu", "kernel", l->kernel};
    return l->rust == rust && (!release || (release >= l->from && release <= l->to)) &&
           (!l->has || (has_key_or_table(t, l->has, !rust) && !key_is_false(t, l->has, !rust))) &&
           (!l->lacks || !has_key_or_table(t, l->lacks, !rust)) &&
           (!l->kernel || need_is_met(t, &kernel, !rust));
}

// The layout of the file, for the edits of a kind. Unchanged for kinds without layouts.
static int find_layout(const struct toml *t, const struct config_request *request,
                       struct detected_file *x, struct error **err)
{
    const struct config_kind *kind = request->kind;
    bool rust = kind->reader == CONFIG_KATA && is_runtime_rs(t);
    struct config_containerd containerd = {0};
    unsigned release = 0;
    int result = kind->reader == CONFIG_KATA ? parse_release(request->release, &release, err)
                                             : config_containerd_read(t, request, &containerd, err);
    x->default_class = containerd.default_class;
    release = kind->reader == CONFIG_KATA ? release : containerd.version;
    if (result < 0)
        return -1;
    for (size_t i = 0; i < kind->layout_count; i++) {
        x->layout = &kind->layouts[i];
        if (layout_matches(t, x->layout, rust, release))
            return 0;
    }
    if (!kind->layout_count)
        return 0;
    const char *runtime = rust ? "runtime-rs" : "Kata's runtime in Go";
    if (release)
        error_user(err, "its keys are those of another release of %s than %s", runtime,
                   request->release);
    else
        error_user(err, "its keys fit no release of %s that kbuild knows", runtime);
    return error_hint(
        err, release ? "leave --release out, or start from that release's own file"
                     : "start from the configuration of your release, or name it: --release 4.1.0");
}

static bool need_is_given(const struct config_request *request, const struct config_need *n)
{
    cleanup_free char *path = xasprintf("%s.%s=", n->table, n->key);
    for (size_t i = 0; request->settings && i < request->settings->n; i++)
        if (starts_with(request->settings->items[i], path))
            return true;
    return false;
}

static int check_needs(const struct toml *t, const struct config_request *request,
                       const struct config_layout *l, struct error **err)
{
    for (size_t i = 0; i < l->need_count; i++) {
        const struct config_need *n = &l->needs[i];
        if (need_is_given(request, n) || need_is_met(t, n, !l->rust))
            continue;
        error_user(err,
                   "in a file of %s, %s.%s must be %s already: its other settings depend on it and "
                   "are not known to kbuild",
                   l->name, n->table, n->key, n->file ? n->file : "true");
        return error_hint(err, "start from Kata's own %s of that release, or set it with --set",
                          l->start);
    }
    return 0;
}

// ---- the text ----

// Rejects a file for another hypervisor: it would get a second one, and the runtime would use
// either.
static int check_hypervisor(const struct toml *t, const struct config_kind *kind,
                            struct error **err)
{
    // Also "Hypervisor": the runtime in Go ignores the case of its fields.
    const struct toml_name *all = toml_child(t, t->root, "hypervisor");
    for (size_t i = 0; !all && i < t->name_count; i++)
        if (t->names[i]->parent == t->root && !strcasecmp(t->names[i]->text, "hypervisor"))
            all = t->names[i];
    if (all && toml_child(t, all, "qemu"))
        return 0;
    for (size_t i = 0; all && i < t->name_count; i++)
        if (t->names[i]->parent == all) {
            error_user(err, "this is the configuration of the hypervisor '%s', not of qemu",
                       t->names[i]->text);
            return error_hint(err, "start from Kata's configuration-qemu.toml");
        }
    if (!kind->layout_count)
        return 0;
    error_user(err, "this is not a configuration of a Kata runtime: it has no [hypervisor.qemu]");
    return error_hint(err, "start from Kata's configuration-qemu.toml");
}

// Finds the layout, or rejects the file.
static int detect_layout(const char *text, size_t length, const char *label,
                         const struct config_request *request, struct detected_file *x,
                         struct error **err)
{
    struct toml *t = toml_parse(text, length, err);
    if (!t) {
        error_wrap(err, "reading %s", label);
        return error_hint(err, "it must be TOML; nothing was changed");
    }
    int result = request->kind->reader == CONFIG_KATA ? check_hypervisor(t, request->kind, err) : 0;
    if (!result)
        result = find_layout(t, request, x, err);
    if (!result)
        result = check_needs(t, request, x->layout, err);
    toml_free(t);
    return result ? error_wrap(err, "editing %s", label) : 0;
}

static int edit_text(const char *text, size_t length, const char *label,
                     const struct config_request *request, const struct detected_file *x,
                     struct lines *lines, struct error **err)
{
    cleanup_plan struct edit_plan plan = {0};
    if (make_plan(&plan, request, x, err) < 0)
        return -1;
    lines_split(lines, text, length);
    for (size_t i = 0; i < plan.n; i++)
        if (config_apply(lines, &plan.items[i], err) < 0)
            return error_wrap(err, "editing %s", label);
    return 0;
}

int config_edit_text(const char *text, size_t length, const char *label,
                     const struct config_request *request, struct buf *edited, struct buf *diff,
                     struct error **err)
{
    static const char mark[] = "\xEF\xBB\xBF"; // byte order mark; Kata's reader skips it
    cleanup_lines struct lines lines = {0};
    const struct config_layout usual = {.edits = request->kind->edits,
                                        .count = request->kind->count};
    struct detected_file x = {.layout = &usual};
    size_t skip = length >= 3 && !memcmp(text, mark, 3) ? 3 : 0;
    const char *body = text + skip;
    int result = detect_layout(body, length - skip, label, request, &x, err);
    if (!result)
        result = edit_text(body, length - skip, label, request, &x, &lines, err);
    free(x.default_class);
    if (result < 0)
        return -1;
    buf_add(edited, mark, skip);
    lines_join(&lines, edited);
    lines_diff(body, length - skip, &lines, label, diff);
    return 0;
}

// ---- the file ----

// Copies the original beside the file, never over another one: FILE.old, or the first free of
// FILE.old.1 and so on. An equal copy is reused. Returns its name.
static char *copy_original(const char *path, const struct buf *text, const struct stat *st,
                           struct error **err)
{
    for (unsigned i = 0; i < 1000; i++) {
        cleanup_free char *name = i ? xasprintf("%s.old.%u", path, i) : xasprintf("%s.old", path);
        cleanup_buf struct buf there = {0};
        if (file_read(name, TOML_SIZE, &there, NULL) == 0 && there.len == text->len &&
            !memcmp(there.data, text->data, text->len))
            return steal(name);
        struct stat taken;
        if (lstat(name, &taken) == 0)
            continue;
        cleanup_draft struct file_draft d = FILE_DRAFT_NONE;
        struct error *why = NULL;
        if (file_draft_begin(&d, name, &why) == 0 &&
            fd_write_all(d.fd, name, text->data, text->len, &why) == 0) {
            if (fchown(d.fd, st->st_uid, st->st_gid) < 0 && errno != EPERM)
                error_errno(&why, errno, "writing %s", name);
            else if (file_draft_commit_new(&d, st->st_mode & 07777, &why) == 0)
                return steal(name);
        }
        if (why->errnum == EEXIST) {
            error_free(why);
            continue;
        }
        *err = why;
        return NULL;
    }
    error_user(err, "copying the original %s: %s.old and 999 more copies exist already", path,
               path);
    error_hint(err, "remove or move away the copies that are no longer needed");
    return NULL;
}

static int replace_file(const char *path, const struct buf *text, const struct stat *st,
                        struct error **err)
{
    cleanup_draft struct file_draft d = FILE_DRAFT_NONE;
    if (file_draft_begin(&d, path, err) < 0)
        return -1;
    struct stat mine;
    bool owned = fstat(d.fd, &mine) == 0 && mine.st_uid == st->st_uid && mine.st_gid == st->st_gid;
    if (!owned && fchown(d.fd, st->st_uid, st->st_gid) < 0)
        return error_errno(err, errno, "setting the owner of the new %s", path);
    if (fd_write_all(d.fd, path, text->data, text->len, err) < 0)
        return -1;
    return file_draft_commit(&d, st->st_mode & 07777, err);
}

// kbuild does not create the administrator's file; the release's own is elsewhere.
static int hint_missing_file(const char *path, const struct config_request *request,
                             struct error **err)
{
    const struct config_kind *kind = request->kind;
    if (!err || (*err)->errnum != ENOENT)
        return -1;
    if (kind->reader == CONFIG_CONTAINERD)
        return error_hint(
            err, "containerd prints its default configuration: containerd config default >%s",
            path);
    const char *base = path_base(path);
    cleanup_free char *folder = xstrndup(path, (size_t)(base - path));
    cleanup_free char *own =
        xasprintf("%s/share/defaults/kata-containers/%s",
                  request->prefix ? request->prefix : CONFIG_PREFIX, kind->layouts[0].start);
    if (!strcmp(own, path))
        return error_hint(err, "it is a file of the release: `kbuild install shim-v2` installs it");
    return error_hint(err,
                      "start from a copy of the release's file, which `kbuild install shim-v2` "
                      "installs: mkdir -p %s && cp %s %s",
                      *folder ? folder : ".", own, path);
}

int config_edit_file(const char *path, const struct config_request *request, bool dry_run,
                     struct config_result *result, struct error **err)
{
    cleanup_buf struct buf text = {0}, edited = {0};
    struct stat st;
    *result = (struct config_result){0};
    if (config_paths_check(request, err) < 0)
        return -1;
    cleanup_free char *end = folder_follow(path, err);
    if (!end) {
        error_wrap(err, "reading %s", path);
        return hint_missing_file(path, request, err);
    }
    result->file = realpath(end, NULL);
    if (!result->file || stat(result->file, &st) < 0) {
        error_errno(err, errno, "reading %s", path);
        return hint_missing_file(path, request, err);
    }
    if (file_read(result->file, TOML_SIZE, &text, err) < 0 ||
        config_edit_text(text.data, text.len, path, request, &edited, &result->diff, err) < 0)
        return -1;
    result->absent = config_absent(request);
    if (!result->diff.len || dry_run)
        return 0;
    if (st.st_nlink > 1) {
        error_user(err, "%s has %u names (hard links), and only this one would get the new text",
                   result->file, (unsigned)st.st_nlink);
        return error_hint(err,
                          "make it a separate file first: cp -p FILE FILE.new && mv FILE.new FILE");
    }
    result->backup = copy_original(result->file, &text, &st, err);
    if (result->backup && replace_file(result->file, &edited, &st, err) == 0)
        return 0;
    if (err && ((*err)->errnum == EACCES || (*err)->errnum == EPERM))
        error_hint(err, "run this as the owner of the file, or as root");
    return error_wrap(err, "editing %s", path);
}

void config_result_free(struct config_result *result)
{
    free(result->file);
    free(result->backup);
    free(result->absent);
    buf_free(&result->diff);
}
