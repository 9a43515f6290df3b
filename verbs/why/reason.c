// SPDX-License-Identifier: Apache-2.0
// Says what a change of a key text means for people: the file and its lines, the variable, the
// commit, the package.
#include "why/internal.h"

#include <ctype.h>
#include <string.h>

// A path as the user would write it.
static char *shown_path(const char *path)
{
    cleanup_free char *here = getcwd(NULL, 0);
    size_t n = here ? strlen(here) : 0;
    bool below = n > 1 && !strncmp(path, here, n) && path[n] == '/';
    return xstrdup(below ? path + n + 1 : path);
}

static const char *change_word(const struct key_change *c)
{
    return !c->before ? "added" : !c->now ? "removed" : "changed";
}

static json_t *facts_of(const char *what, const char *name, const struct key_change *c)
{
    return json_pack("{s:s, s:o, s:s}", "what", what, "name", json_visible(name), "change",
                     change_word(c));
}

static void finish(struct why_reason *out, struct buf *text, json_t *facts)
{
    out->text = buf_take(text);
    json_object_set_new(facts, "text", json_visible(out->text));
    out->facts = facts;
}

// ---- files ----

static const char *kind_text(const char *before, const char *now)
{
    if (*before == 'x' && *now == '-')
        return "is no longer executable";
    if (*before == '-' && *now == 'x')
        return "is executable now";
    return *now == 'l' ? "is a link now" : *now == 'd' ? "is an empty folder now" : "changed";
}

// Adds "recipes/a/build.sh line 3 changed", if both texts are known.
static bool add_lines(const char *path, const char *before, struct buf *text, json_t *facts)
{
    cleanup_buf struct buf now = {0};
    if (!before || file_read(path, LAST_TEXT_MAX, &now, NULL) < 0)
        return false;
    struct line_ranges ranges = {0};
    lines_compare(before, now.data ? now.data : "", &ranges);
    bool found = ranges.n;
    bool removed = ranges.n == 1 && ranges.items[0].change == LINES_REMOVED;
    cleanup_free char *lines = found ? lines_text(&ranges) : NULL;
    if (found) {
        buf_printf(text, removed ? " lost lines %s" : " %s", lines);
        if (!removed)
            buf_puts(text, ranges.n == 1 && ranges.items[0].change == LINES_ADDED
                               ? (ranges.items[0].from == ranges.items[0].to ? " was added"
                                                                             : " were added")
                               : " changed");
        json_object_set_new(facts, "lines", lines_json(&ranges));
    }
    free(ranges.items);
    return found;
}

static void file_reason(struct build *b, const struct node *node, const struct key_change *c,
                        const json_t *texts, struct why_reason *out)
{
    cleanup_free char *path = key_file_path(b, node, c->subject);
    cleanup_free char *shown = shown_path(path ? path : c->subject);
    struct buf text = {0};
    json_t *facts = facts_of("file", shown, c);
    const char *before = json_string_value(json_object_get(texts, c->subject));
    buf_puts(&text, shown);
    if (!c->before || !c->now)
        buf_printf(&text, " was %s", change_word(c));
    else if (*c->before != *c->now)
        buf_printf(&text, " %s", kind_text(c->before, c->now));
    else if (!path || !add_lines(path, before, &text, facts))
        buf_puts(&text, " changed");
    finish(out, &text, facts);
}

// ---- keys of recipe.yaml ----

static void recipe_reason(const struct node *node, const struct key_change *c, const json_t *texts,
                          struct why_reason *out)
{
    const struct recipe *r = job_of(node)->recipe;
    cleanup_free char *shown = shown_path(r->file);
    cleanup_free char *name = xasprintf("recipe %s", c->subject);
    const char *before = json_string_value(json_object_get(texts, name));
    const struct yaml *now = yaml_get(r->document->root, c->subject);
    struct buf text = {0};
    json_t *facts = facts_of("recipe", shown, c);
    json_object_set_new(facts, "key", json_string(c->subject));
    // Of a recipe that is `like` another one the lines may be of either file.
    struct yaml_document *old =
        now && before && !r->like ? yaml_parse("before", before, strlen(before), NULL) : NULL;
    if (old) {
        size_t line;
        cleanup_free char *below = yaml_compare(old->root, now, &line);
        buf_printf(&text, "%s line %zu (%s%s%s) changed", shown, line, c->subject,
                   *below ? "." : "", below);
        json_object_set_new(facts, "lines",
                            json_pack("[{s:s, s:I, s:I}]", "change", "changed", "from",
                                      (json_int_t)line, "to", (json_int_t)line));
        yaml_document_free(old);
    } else {
        buf_printf(&text, "the key %s of %s %s%s", c->subject, shown,
                   c->before && c->now ? "" : "was ", change_word(c));
    }
    finish(out, &text, facts);
}

// ---- variables ----

enum { VALUE_SHOWN = 60 };

static void add_values(struct buf *text, const char *before, const char *now)
{
    if (strlen(before) <= VALUE_SHOWN && strlen(now) <= VALUE_SHOWN)
        buf_printf(text, " from %s to %s", before, now);
}

static void variable_reason(const struct key_change *c, struct why_reason *out)
{
    struct buf text = {0};
    const char *value = c->now ? c->now : c->before;
    size_t n = strcspn(c->subject, " ");
    cleanup_free char *name = xstrndup(c->subject, n);
    json_t *facts = facts_of("variable", name, c);
    if (c->subject[n]) {
        buf_printf(&text, "the file %s of the variable %s", c->subject + n + 1, name);
        json_object_set_new(facts, "file", json_visible(c->subject + n + 1));
    } else {
        buf_printf(&text, "the %s %s", starts_with(value, "secret ") ? "secret" : "variable", name);
    }
    buf_printf(&text, c->before && c->now ? " %s" : " was %s", change_word(c));
    if (c->before && c->now && !c->subject[n] && !starts_with(value, "secret ")) {
        add_values(&text, c->before, c->now);
        json_object_set_new(facts, "before", json_visible(c->before));
        json_object_set_new(facts, "now", json_visible(c->now));
    }
    finish(out, &text, facts);
}

// ---- packages ----

static bool read_list(struct build *b, const char *value, struct strlist *out)
{
    cleanup_buf struct buf text = {0};
    const char *digest = oci_digest_hex(value);
    if (!digest || !digest_is_hex(digest) || store_has_blob(b->store, digest, NULL) <= 0)
        return false;
    cleanup_close int fd = store_open_blob(b->store, digest, NULL);
    if (fd < 0 || fd_read_all(fd, "a list of packages", (size_t)16 << 20, &text, NULL) < 0)
        return false;
    strlist_split(out, text.data ? text.data : "", "\n");
    return true;
}

// "package amd64 bash 5.2.15-2+b8 amd64 <SHA-256>": the name and its architecture, and the version.
static bool read_package(const char *line, char **name, char **version)
{
    cleanup_strlist struct strlist words = {0};
    strlist_split(&words, line, " ");
    if (words.n < 5 || strcmp(words.items[0], "package") != 0)
        return false;
    *name = xasprintf("%s:%s", words.items[2], words.items[4]);
    *version = xstrdup(words.items[3]);
    return true;
}

// The first package with another version, and how many others there are.
static void add_packages(const struct strlist *before, const struct strlist *now, struct buf *text)
{
    size_t others = 0;
    bool shown = false;
    for (size_t i = 0; i < now->n; i++) {
        cleanup_free char *name = NULL, *version = NULL, *was = NULL;
        if (strlist_has(before, now->items[i]) || !read_package(now->items[i], &name, &version))
            continue;
        for (size_t k = 0; k < before->n && !was; k++) {
            cleanup_free char *other = NULL, *its = NULL;
            if (read_package(before->items[k], &other, &its) && !strcmp(other, name))
                was = steal(its);
        }
        others += shown;
        if (!shown && was)
            buf_printf(text, ": %s from %s to %s", name, was, version);
        else if (!shown)
            buf_printf(text, ": %s is new", name);
        shown = true;
    }
    if (others)
        buf_printf(text, " and %zu more", others);
}

// ---- other facts ----

enum shown { SHOW_NOTHING, SHOW_VALUES, SHOW_DIGITS, SHOW_VERSION, SHOW_PACKAGES };
// What a fact is for people. "%s" is the rest of its words.
static const struct fact_phrase {
    const char *fact;
    const char *text;
    enum shown shown;
} phrases[] = {
    {"format", "kbuild's own format for it", SHOW_VALUES},
    {"list format", "kbuild's own format for it", SHOW_VALUES},
    {"disk format", "kbuild's own format for it", SHOW_VALUES},
    {"sysroot format", "kbuild's own format for it", SHOW_VALUES},
    {"codec", "the library that packs results", SHOW_NOTHING},
    {"target", "the architecture of the target", SHOW_VALUES},
    {"host", "the architecture of this machine", SHOW_VALUES},
    {"architecture", "its architecture", SHOW_VALUES},
    {"distribution", "its distribution", SHOW_VALUES},
    {"git-commit", "its commit", SHOW_DIGITS},
    {"git-submodules", "the choice of its submodules", SHOW_VALUES},
    {"archive-sha256", "the SHA-256 of its archive", SHOW_DIGITS},
    {"image-manifest", "its image", SHOW_DIGITS},
    {"image", "its image", SHOW_DIGITS},
    {"prebuilt", "the artefact that it is taken from", SHOW_DIGITS},
    {"local-tree", "the content of its folder", SHOW_NOTHING},
    {"local-time", "the newest time in its folder", SHOW_NOTHING},
    {"debian-file", "the file that is taken from its package", SHOW_VALUES},
    {"debian-packages", "its set of packages", SHOW_PACKAGES},
    {"packages", "its set of packages", SHOW_PACKAGES},
    {"setup", "the setup script of the builder", SHOW_NOTHING},
    {"script", "the script of the list", SHOW_VALUES},
    {"epoch", "the newest time in its sources", SHOW_NOTHING},
    {"sealer", "the program that seals", SHOW_VALUES},
    {"output", "the name of the output", SHOW_VALUES},
    {"tool %s", "%s of this machine", SHOW_VERSION},
    {"constant %s", "the constant %s, which versions.yaml fills in,", SHOW_NOTHING},
    {"package %s", "the package %s", SHOW_NOTHING},
    {"same-version %s", "the group of packages %s", SHOW_NOTHING},
    {"argument %s", "the argument %s", SHOW_NOTHING},
    {"patch %s", "a patch", SHOW_NOTHING},
    {"role %s", "the input %s", SHOW_VALUES},
    {"work %s", "the work that --until left", SHOW_NOTHING},
};

static const struct fact_phrase *find_phrase(const char *fact, const char **rest)
{
    for (size_t i = 0; i < ARRAY_LEN(phrases); i++) {
        size_t n = strcspn(phrases[i].fact, "%");
        *rest = fact + n;
        if (phrases[i].fact[n] ? !strncmp(fact, phrases[i].fact, n)
                               : !strcmp(fact, phrases[i].fact))
            return &phrases[i];
    }
    return NULL;
}

// "<digest> gcc (Debian 12.2.0) 12.2.0": the version.
static const char *tool_version(const char *value)
{
    const char *blank = strchr(value, ' ');
    return blank ? blank + 1 : "";
}

static void add_shown(struct build *b, enum shown shown, const struct key_change *c,
                      struct buf *text)
{
    cleanup_strlist struct strlist before = {0}, now = {0};
    switch (shown) {
    case SHOW_NOTHING:
        return;
    case SHOW_VALUES:
        add_values(text, c->before, c->now);
        return;
    case SHOW_DIGITS:
        buf_printf(text, " from %.12s to %.12s",
                   oci_digest_hex(c->before) ? oci_digest_hex(c->before) : c->before,
                   oci_digest_hex(c->now) ? oci_digest_hex(c->now) : c->now);
        return;
    case SHOW_VERSION:
        if (strcmp(tool_version(c->before), tool_version(c->now)) != 0)
            add_values(text, tool_version(c->before), tool_version(c->now));
        return;
    case SHOW_PACKAGES:
        if (read_list(b, c->before, &before) && read_list(b, c->now, &now))
            add_packages(&before, &now, text);
        return;
    }
}

static void fact_reason(struct build *b, const struct key_change *c, struct why_reason *out)
{
    struct buf text = {0};
    const char *rest = "";
    const struct fact_phrase *p = find_phrase(c->subject, &rest);
    json_t *facts = facts_of("fact", c->subject, c);
    if (p) {
        const struct placeholder name = {"%s", rest};
        cleanup_free char *expanded = placeholders_expand(p->text, &name, 1);
        buf_puts(&text, expanded);
    } else {
        buf_printf(&text, "`%s` in its key", c->subject);
    }
    buf_printf(&text, c->before && c->now ? " %s" : " was %s", change_word(c));
    if (p && c->before && c->now)
        add_shown(b, p->shown, c, &text);
    if (c->before)
        json_object_set_new(facts, "before", json_visible(c->before));
    if (c->now)
        json_object_set_new(facts, "now", json_visible(c->now));
    finish(out, &text, facts);
}

bool change_is_weak(const struct key_change *c)
{
    return c->kind == CHANGE_FACT &&
           (!strcmp(c->subject, "epoch") || !strcmp(c->subject, "local-time") ||
            starts_with(c->subject, "role ") || starts_with(c->subject, "work times"));
}

bool reason_of_change(struct build *b, const struct node *node, const struct key_change *change,
                      const json_t *texts, struct why_reason *out)
{
    switch (change->kind) {
    case CHANGE_FILE:
        file_reason(b, node, change, texts, out);
        return true;
    case CHANGE_RECIPE:
        recipe_reason(node, change, texts, out);
        return true;
    case CHANGE_VARIABLE:
        variable_reason(change, out);
        return true;
    case CHANGE_FACT:
        fact_reason(b, change, out);
        return true;
    case CHANGE_INPUT:
        break;
    }
    return false;
}
