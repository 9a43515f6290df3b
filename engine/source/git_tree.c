// SPDX-License-Identifier: Apache-2.0
// Reads the tree of a commit: writes it as files, and finds where its submodules come from.
// Repositories are hostile: a tree may name "..", ".git", the same name twice (once as a link, once
// as a folder), or expand to more than any disk holds. Every name is created new (O_EXCL) relative
// to an open folder, so nothing is written through a link.
//
// libgit2 hashes objects as it reads them, so the tree's id verifies every file.
#include "base/error.h"
#include "source/git_internal.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

// ---- exporting ----

#define ENTRIES_MAX 5000000u
#define BYTES_MAX ((uint64_t)64 << 30)
#define DEPTH_MAX 256

struct export_walk {
    const struct mirror *mirror;
    git_odb *odb;
    struct export *e;
    bool *damaged;
    struct buf path; // from the source's root, for messages
};

static int tree_export(struct export_walk *w, const git_oid *id, int folder, unsigned depth,
                       struct error **err);

static int refuse_entry(const struct export_walk *w, struct error **err, const char *why)
{
    w->e->refused = true;
    return error_user(err, "%s: its file \"%s\" %s", w->mirror->shown, w->path.data, why);
}

// Is the name the cause? The caller checks errno.
static int export_failed(const struct export_walk *w, struct error **err)
{
    w->e->refused = true;
    return error_errno(err, errno, "writing \"%s\" of %s", w->path.data, w->mirror->shown);
}

static int object_damaged(struct export_walk *w, struct error **err, const git_oid *id)
{
    char hex[GIT_OID_HEXSZ + 1];
    git_oid_tostr(hex, sizeof hex, id);
    *w->damaged = true;
    return git_failed(err, "the mirror %s is damaged at object %s", w->mirror->path, hex);
}

static bool name_is_safe(const char *name)
{
    return *name && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
           strcasecmp(name, ".git") != 0;
}

static int set_time(int fd, int64_t when)
{
    const struct timespec times[2] = {{.tv_sec = when}, {.tv_sec = when}};
    return futimens(fd, times);
}

static int file_export(struct export_walk *w, git_odb_object *object, int folder, const char *name,
                       bool executable, struct error **err)
{
    cleanup_close int fd =
        openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return export_failed(w, err);
    if (fd_write_all(fd, w->path.data, git_odb_object_data(object), git_odb_object_size(object),
                     err) < 0)
        return -1;
    if (fchmod(fd, executable ? 0755 : 0644) < 0 || set_time(fd, w->e->time) < 0)
        return export_failed(w, err);
    return 0;
}

static int link_export(struct export_walk *w, git_odb_object *object, int folder, const char *name,
                       struct error **err)
{
    size_t length = git_odb_object_size(object);
    const char *bytes = git_odb_object_data(object);
    if (length == 0 || length >= PATH_MAX || memchr(bytes, '\0', length))
        return refuse_entry(w, err, "is a symbolic link to nowhere");
    cleanup_free char *target = xstrndup(bytes, length);
    const struct timespec times[2] = {{.tv_sec = w->e->time}, {.tv_sec = w->e->time}};
    if (symlinkat(target, folder, name) < 0 ||
        utimensat(folder, name, times, AT_SYMLINK_NOFOLLOW) < 0)
        return export_failed(w, err);
    return 0;
}

static int blob_export(struct export_walk *w, const git_tree_entry *entry, git_filemode_t mode,
                       int folder, struct error **err)
{
    git_odb_object *object = NULL;
    const git_oid *id = git_tree_entry_id(entry);
    const char *name = git_tree_entry_name(entry);
    if (git_odb_read(&object, w->odb, id) < 0 || git_odb_object_type(object) != GIT_OBJECT_BLOB) {
        git_odb_object_free(object);
        return object_damaged(w, err, id);
    }
    int result;
    w->e->bytes += git_odb_object_size(object);
    if (w->e->bytes > BYTES_MAX)
        result = refuse_entry(w, err, "makes the whole larger than 64 GiB");
    else if (mode == GIT_FILEMODE_LINK)
        result = link_export(w, object, folder, name, err);
    else
        result = file_export(w, object, folder, name, mode == GIT_FILEMODE_BLOB_EXECUTABLE, err);
    git_odb_object_free(object);
    return result;
}

static int folder_make(struct export_walk *w, int parent, const char *name, struct error **err)
{
    if (mkdirat(parent, name, 0755) < 0) {
        export_failed(w, err);
        return -1;
    }
    cleanup_close int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fchmod(fd, 0755) < 0) {
        export_failed(w, err);
        return -1;
    }
    return steal_fd(&fd);
}

static void submodule_note(struct export_walk *w, const git_oid *commit)
{
    struct export *e = w->e;
    char hex[GIT_OID_HEXSZ + 1];
    git_oid_tostr(hex, sizeof hex, commit);
    e->submodules =
        xgrow(e->submodules, &e->submodule_cap, e->submodule_count + 1, sizeof *e->submodules);
    e->submodules[e->submodule_count++] = (struct submodule){xstrdup(w->path.data), xstrdup(hex)};
}

static int entry_export(struct export_walk *w, const git_tree_entry *entry, int folder,
                        unsigned depth, struct error **err)
{
    const char *name = git_tree_entry_name(entry);
    if (!name_is_safe(name))
        return refuse_entry(w, err, "has a name that no repository may use");
    if (++w->e->entries > ENTRIES_MAX)
        return refuse_entry(w, err, "is one of more than 5,000,000");
    progress(w->mirror->label, w->e->entries, 0, "files");
    git_filemode_t mode = git_tree_entry_filemode_raw(entry);
    if ((mode & S_IFMT) == S_IFREG) // 0100664 is in some old repositories
        mode = mode & 0100 ? GIT_FILEMODE_BLOB_EXECUTABLE : GIT_FILEMODE_BLOB;
    switch (mode) {
    case GIT_FILEMODE_BLOB:
    case GIT_FILEMODE_BLOB_EXECUTABLE:
    case GIT_FILEMODE_LINK:
        return blob_export(w, entry, mode, folder, err);
    case GIT_FILEMODE_TREE:
    case GIT_FILEMODE_COMMIT: {
        cleanup_close int fd = folder_make(w, folder, name, err);
        if (fd < 0)
            return -1;
        if (mode == GIT_FILEMODE_TREE)
            return tree_export(w, git_tree_entry_id(entry), fd, depth + 1, err);
        submodule_note(w, git_tree_entry_id(entry));
        return set_time(fd, w->e->time) < 0 ? export_failed(w, err) : 0;
    }
    default:
        return refuse_entry(w, err, "is neither file, directory, link nor submodule");
    }
}

static int tree_export(struct export_walk *w, const git_oid *id, int folder, unsigned depth,
                       struct error **err)
{
    if (depth > DEPTH_MAX)
        return refuse_entry(w, err, "is more than 256 directories deep");
    git_tree *tree = NULL;
    if (git_tree_lookup(&tree, w->mirror->repository, id) < 0)
        return object_damaged(w, err, id);
    size_t length = w->path.len;
    int result = 0;
    for (size_t i = 0; result == 0 && i < git_tree_entrycount(tree); i++) {
        const git_tree_entry *entry = git_tree_entry_byindex(tree, i);
        buf_printf(&w->path, "%s%s", length ? "/" : "", git_tree_entry_name(entry));
        result = entry_export(w, entry, folder, depth, err);
        w->path.len = length;
        w->path.data[length] = '\0';
    }
    git_tree_free(tree);
    if (result == 0 && set_time(folder, w->e->time) < 0)
        return export_failed(w, err);
    return result;
}

int git_export(const struct mirror *m, const char *commit, int folder, struct export *e,
               git_oid *tree, bool *damaged, struct error **err)
{
    struct export_walk w = {.mirror = m, .e = e, .damaged = damaged};
    git_commit *c = NULL;
    git_oid id;
    int result = 0;
    buf_puts(&w.path, "");
    git_oid_fromstr(&id, commit);
    if (git_commit_lookup(&c, m->repository, &id) < 0 || git_repository_odb(&w.odb, m->repository))
        result = object_damaged(&w, err, &id);
    if (result == 0) {
        *tree = *git_commit_tree_id(c);
        if (e->time < 0)
            e->time = git_commit_time(c) > 0 ? git_commit_time(c) : 0;
        result = tree_export(&w, tree, folder, 0, err);
    }
    git_odb_free(w.odb);
    git_commit_free(c);
    buf_free(&w.path);
    return result;
}

void export_free(struct export *e)
{
    for (size_t i = 0; i < e->submodule_count; i++) {
        free(e->submodules[i].path);
        free(e->submodules[i].commit);
    }
    free(e->submodules);
    *e = (struct export){0};
}

#define GITMODULES_MAX ((size_t)1 << 20)

// The file is parsed here, since libgit2 follows [include] to files of this machine.
struct modules_reader {
    const char *at, *end;
    size_t line;
    bool ours; // within [submodule "name"]
    struct submodule_places *places;
    struct strlist names; // in step with places
    struct submodule_place *place;
};

static int peek_byte(const struct modules_reader *m)
{
    return m->at < m->end ? (unsigned char)*m->at : EOF;
}

static int take_byte(struct modules_reader *m)
{
    int c = peek_byte(m);
    m->at += c != EOF;
    m->line += c == '\n';
    return c;
}

static bool is_blank(int c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static void skip_blanks(struct modules_reader *m, bool lines)
{
    while (is_blank(peek_byte(m)) || (lines && peek_byte(m) == '\n'))
        take_byte(m);
}

static void skip_line(struct modules_reader *m)
{
    while (peek_byte(m) != EOF && peek_byte(m) != '\n')
        take_byte(m);
}

static struct submodule_place *submodule_named(struct modules_reader *m, const char *name)
{
    struct submodule_places *p = m->places;
    for (size_t i = 0; i < m->names.n; i++)
        if (strcmp(m->names.items[i], name) == 0)
            return &p->items[i];
    strlist_add(&m->names, name);
    p->items = xgrow(p->items, &p->cap, p->n + 1, sizeof *p->items);
    p->items[p->n] = (struct submodule_place){0};
    return &p->items[p->n++];
}

// Letters, digits, '-' and '.', in lower case.
static void take_name(struct modules_reader *m, struct buf *out)
{
    for (int c = peek_byte(m); isalnum(c) || c == '-' || c == '.'; c = peek_byte(m)) {
        char lower = (char)tolower(take_byte(m));
        buf_add(out, &lower, 1);
    }
}

// "[section]" or "[section "name"]", after the first bracket. NULL, or the error.
static const char *take_section(struct modules_reader *m)
{
    cleanup_buf struct buf section = {0}, name = {0};
    bool named = false;
    take_name(m, &section);
    skip_blanks(m, false);
    if (peek_byte(m) == '"') {
        named = true;
        take_byte(m);
        for (int c = take_byte(m); c != '"'; c = take_byte(m)) {
            c = c == '\\' ? take_byte(m) : c;
            if (c == EOF || c == '\n' || c == '\0')
                return "a section's name has no end";
            buf_add(&name, &(char){(char)c}, 1);
        }
        skip_blanks(m, false);
    }
    if (!section.len || take_byte(m) != ']')
        return "a section has no end";
    m->ours = named && strcmp(section.data, "submodule") == 0;
    m->place = m->ours ? submodule_named(m, name.data ? name.data : "") : NULL;
    return NULL;
}

// The text after "=": quotes, escapes, a comment, a line that continues in the next one.
static const char *take_value(struct modules_reader *m, struct buf *out)
{
    static const char escapes[] = "n\nt\tb\b\"\"\\\\"; // pairs
    bool quoted = false;
    size_t solid = 0; // without blanks at the end
    for (;;) {
        int c = take_byte(m);
        if (c == EOF || (c == '\n' && !quoted) || ((c == '#' || c == ';') && !quoted))
            break;
        if (c == '\n' || c == '\0')
            return "a value has no end";
        if (c == '"') {
            quoted = !quoted;
            solid = out->len;
            continue;
        }
        if (c == '\\') {
            c = take_byte(m);
            c = c == '\r' ? take_byte(m) : c;
            if (c == '\n')
                continue;
            const char *pair = escapes;
            while (*pair && *pair != c)
                pair += 2;
            if (c == EOF || !*pair)
                return "a value holds an unknown escape";
            buf_add(out, pair + 1, 1);
            solid = out->len;
            continue;
        }
        buf_add(out, &(char){(char)c}, 1);
        if (quoted || !is_blank(c))
            solid = out->len;
    }
    if (quoted)
        return "a value has no end";
    buf_puts(out, "");
    out->len = solid;
    out->data[solid] = '\0';
    if (m->at[-1] == '#' || m->at[-1] == ';')
        skip_line(m);
    return NULL;
}

static void replace_text(char **field, const char *value)
{
    free(*field);
    *field = xstrdup(value);
}

static const char *take_variable(struct modules_reader *m)
{
    cleanup_buf struct buf name = {0}, value = {0};
    const char *wrong = NULL;
    take_name(m, &name);
    if (!name.len)
        return "this is neither a section nor a variable";
    skip_blanks(m, false);
    int c = peek_byte(m);
    if (c == '=') {
        take_byte(m);
        skip_blanks(m, false);
        wrong = take_value(m, &value);
    } else if (c != EOF && c != '\n' && c != '#' && c != ';') {
        return "a variable has no \"=\"";
    }
    if (wrong || !m->ours || !value.data)
        return wrong;
    if (strcmp(name.data, "path") == 0)
        replace_text(&m->place->path, value.data);
    else if (strcmp(name.data, "url") == 0)
        replace_text(&m->place->url, value.data);
    else if (strcmp(name.data, "update") == 0)
        m->place->skip = strcmp(value.data, "none") == 0;
    return NULL;
}

int submodule_places_parse(const char *shown, const char *text, size_t length,
                           struct submodule_places *out, struct error **err)
{
    struct modules_reader m = {.at = text, .end = text + length, .line = 1, .places = out};
    const char *wrong = NULL;
    if (length > GITMODULES_MAX)
        return error_user(err, "%s: its .gitmodules is larger than 1 MiB", shown);
    if (length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        m.at += 3;
    size_t line = 1;
    while (!wrong) {
        skip_blanks(&m, true);
        line = m.line;
        int c = peek_byte(&m);
        if (c == EOF)
            break;
        if (c == '#' || c == ';') {
            skip_line(&m);
        } else if (c == '[') {
            take_byte(&m);
            wrong = take_section(&m);
        } else {
            wrong = take_variable(&m);
        }
    }
    strlist_free(&m.names);
    return wrong ? error_user(err, "%s: its .gitmodules, line %zu: %s", shown, line, wrong) : 0;
}

int submodule_places_read(const struct mirror *m, const char *commit, struct submodule_places *out,
                          struct error **err)
{
    git_oid id;
    git_commit *c = NULL;
    git_tree *tree = NULL;
    git_blob *blob = NULL;
    git_oid_fromstr(&id, commit);
    int result = 0;
    if (git_commit_lookup(&c, m->repository, &id) < 0 || git_commit_tree(&tree, c) < 0)
        result = git_failed(err, "reading commit %s of %s", commit, m->shown);
    const git_tree_entry *entry = tree ? git_tree_entry_byname(tree, ".gitmodules") : NULL;
    // A link or folder of this name is no list of submodules.
    if (entry && (git_tree_entry_filemode(entry) == GIT_FILEMODE_BLOB ||
                  git_tree_entry_filemode(entry) == GIT_FILEMODE_BLOB_EXECUTABLE)) {
        if (git_blob_lookup(&blob, m->repository, git_tree_entry_id(entry)) < 0)
            result = git_failed(err, "reading .gitmodules of %s", m->shown);
        else
            result = submodule_places_parse(m->shown, git_blob_rawcontent(blob),
                                            (size_t)git_blob_rawsize(blob), out, err);
    }
    git_blob_free(blob);
    git_tree_free(tree);
    git_commit_free(c);
    return result;
}

const struct submodule_place *submodule_place_find(const struct submodule_places *p,
                                                   const char *path)
{
    for (size_t i = 0; i < p->n; i++) {
        const char *known = p->items[i].path;
        size_t n = known ? strlen(known) : 0;
        while (n && known[n - 1] == '/')
            n--;
        if (n && strncmp(known, path, n) == 0 && path[n] == '\0')
            return &p->items[i];
    }
    return NULL;
}

void submodule_places_free(struct submodule_places *p)
{
    for (size_t i = 0; i < p->n; i++) {
        free(p->items[i].path);
        free(p->items[i].url);
    }
    free(p->items);
    *p = (struct submodule_places){0};
}
