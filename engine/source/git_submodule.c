// SPDX-License-Identifier: Apache-2.0
// Finds the origins of a commit's submodules: its file .gitmodules (gitmodules(5); the format:
// git-config(1), "Syntax").
#include "source/git.h"

#include <ctype.h>
#include <string.h>

#define GITMODULES_MAX ((size_t)1 << 20)

// The file is parsed here, since libgit2 follows [include] to files of this machine.
struct modules {
    const char *at, *end;
    size_t line;
    bool ours; // within [submodule "name"]
    struct submodule_places *places;
    struct strlist names; // in step with places
    struct submodule_place *place;
};

static int look(const struct modules *m)
{
    return m->at < m->end ? (unsigned char)*m->at : EOF;
}

static int take(struct modules *m)
{
    int c = look(m);
    m->at += c != EOF;
    m->line += c == '\n';
    return c;
}

static bool is_blank(int c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static void skip_blanks(struct modules *m, bool lines)
{
    while (is_blank(look(m)) || (lines && look(m) == '\n'))
        take(m);
}

static void skip_line(struct modules *m)
{
    while (look(m) != EOF && look(m) != '\n')
        take(m);
}

static struct submodule_place *place_named(struct modules *m, const char *name)
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
static void take_name(struct modules *m, struct buf *out)
{
    for (int c = look(m); isalnum(c) || c == '-' || c == '.'; c = look(m)) {
        char lower = (char)tolower(take(m));
        buf_add(out, &lower, 1);
    }
}

// "[section]" or "[section "name"]", after the first bracket. NULL, or the error.
static const char *take_section(struct modules *m)
{
    cleanup_buf struct buf section = {0}, name = {0};
    bool named = false;
    take_name(m, &section);
    skip_blanks(m, false);
    if (look(m) == '"') {
        named = true;
        take(m);
        for (int c = take(m); c != '"'; c = take(m)) {
            c = c == '\\' ? take(m) : c;
            if (c == EOF || c == '\n' || c == '\0')
                return "a section's name has no end";
            buf_add(&name, &(char){(char)c}, 1);
        }
        skip_blanks(m, false);
    }
    if (!section.len || take(m) != ']')
        return "a section has no end";
    m->ours = named && strcmp(section.data, "submodule") == 0;
    m->place = m->ours ? place_named(m, name.data ? name.data : "") : NULL;
    return NULL;
}

// The text after "=": quotes, escapes, a comment, a line that continues in the next one.
static const char *take_value(struct modules *m, struct buf *out)
{
    static const char escapes[] = "n\nt\tb\b\"\"\\\\"; // pairs
    bool quoted = false;
    size_t solid = 0; // without blanks at the end
    for (;;) {
        int c = take(m);
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
            c = take(m);
            c = c == '\r' ? take(m) : c;
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

static void replace(char **field, const char *value)
{
    free(*field);
    *field = xstrdup(value);
}

static const char *take_variable(struct modules *m)
{
    cleanup_buf struct buf name = {0}, value = {0};
    const char *wrong = NULL;
    take_name(m, &name);
    if (!name.len)
        return "this is neither a section nor a variable";
    skip_blanks(m, false);
    int c = look(m);
    if (c == '=') {
        take(m);
        skip_blanks(m, false);
        wrong = take_value(m, &value);
    } else if (c != EOF && c != '\n' && c != '#' && c != ';') {
        return "a variable has no \"=\"";
    }
    if (wrong || !m->ours || !value.data)
        return wrong;
    if (strcmp(name.data, "path") == 0)
        replace(&m->place->path, value.data);
    else if (strcmp(name.data, "url") == 0)
        replace(&m->place->url, value.data);
    else if (strcmp(name.data, "update") == 0)
        m->place->skip = strcmp(value.data, "none") == 0;
    return NULL;
}

int submodule_places_parse(const char *shown, const char *text, size_t length,
                           struct submodule_places *out, struct error **err)
{
    struct modules m = {.at = text, .end = text + length, .line = 1, .places = out};
    const char *wrong = NULL;
    if (length > GITMODULES_MAX)
        return error_user(err, "%s: its .gitmodules is larger than 1 MiB", shown);
    if (length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        m.at += 3;
    size_t line = 1;
    while (!wrong) {
        skip_blanks(&m, true);
        line = m.line;
        int c = look(&m);
        if (c == EOF)
            break;
        if (c == '#' || c == ';') {
            skip_line(&m);
        } else if (c == '[') {
            take(&m);
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
