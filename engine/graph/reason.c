// SPDX-License-Identifier: Apache-2.0
// Says what the changes of a key text mean for people: the file and its lines, the value of
// versions.yaml, the variable, the commit, the package, the input.
#include "graph/reason.h"

#include "base/file.h"
#include "base/print.h"
#include "graph/lines.h"
#include "oci/oci.h"

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

// Takes the text and the facts.
static struct reason *add_reason(struct reasons *out, struct buf *text, json_t *facts)
{
    out->items = xgrow(out->items, &out->cap, out->n + 1, sizeof *out->items);
    struct reason *r = &out->items[out->n++];
    *r = (struct reason){.text = buf_take(text), .facts = facts};
    json_object_set_new(facts, "text", json_visible(r->text));
    return r;
}

void reasons_add_text(struct reasons *out, const char *what, const char *text)
{
    struct buf copy = {0};
    buf_puts(&copy, text);
    add_reason(out, &copy, json_pack("{s:s}", "what", what));
}

// A value in the facts of a reason.
static void set_value(json_t *facts, const char *name, const char *value)
{
    cleanup_buf struct buf shown = {0};
    visible_line(&shown, value, strlen(value), VISIBLE_LINE_MAX);
    json_object_set_new(facts, name, json_string(shown.data));
}

// ---- files ----

// "<kind> <digest>", as in a key.
static bool is_plain(const char *value)
{
    return *value == '-' || *value == 'x';
}

static const char *kind_text(const char *before, const char *now)
{
    if (is_plain(before) && is_plain(now))
        return *now == 'x' ? "is executable now" : "is no longer executable";
    return *now == 'l' ? "is a link now" : *now == 'd' ? "is an empty directory now" : "changed";
}

// Adds " line 3 changed", or only " changed" if the texts are not known.
static void add_lines(const char *path, const char *before, const char *digest, struct buf *text,
                      json_t *facts)
{
    cleanup_buf struct buf now = {0};
    cleanup_line_ranges struct line_ranges ranges = {0};
    size_t left_out;
    if (path && before && last_text_read(path, digest, &now))
        lines_compare(before, now.data ? now.data : "", &ranges);
    if (!ranges.n) { // also if only the last line lost its end, or got one
        buf_puts(text, " changed");
        return;
    }
    cleanup_free char *lines = lines_text(&ranges);
    buf_printf(text, " %s", lines);
    json_object_set_new(facts, "lines", lines_json(&ranges, &left_out));
    if (left_out)
        json_object_set_new(facts, "lines_left_out", json_integer((json_int_t)left_out));
}

static void file_reason(struct build *b, const struct node *node, const struct key_change *c,
                        const json_t *texts, struct reasons *out)
{
    cleanup_free char *path = key_file_path(b, node, c->subject);
    cleanup_free char *shown = shown_path(path ? path : c->subject);
    struct buf text = {0};
    json_t *facts = facts_of("file", shown, c);
    const char *before = json_string_value(json_object_get(texts, c->subject));
    bool both = c->before && c->now, other_kind = both && *c->before != *c->now;
    buf_puts(&text, shown);
    if (!both)
        buf_printf(&text, " was %s", change_word(c));
    if (other_kind)
        buf_printf(&text, " %s", kind_text(c->before, c->now));
    if (both && strcmp(c->before + 2, c->now + 2) != 0 &&
        (!other_kind || (is_plain(c->before) && is_plain(c->now)))) {
        buf_puts(&text, other_kind ? ", and" : "");
        add_lines(path, before, c->now + 2, &text, facts);
    }
    add_reason(out, &text, facts);
}

// ---- keys of recipe.yaml ----

// A scalar's text, or the whole value.
static char *yaml_text(const struct yaml *value)
{
    struct buf text = {0};
    if (!value)
        return NULL;
    if (value->kind == YAML_SCALAR)
        buf_puts(&text, value->text);
    else
        yaml_print(value, &text);
    return buf_take(&text);
}

// "recipes/a/recipe.yaml line 9 (environment.A) changed: `1` -> `2`"
static void add_place(const char *file, const char *key, const struct yaml_difference *d,
                      struct buf *text, json_t *facts)
{
    cleanup_free char *before = yaml_text(d->before), *now = yaml_text(d->now);
    const char *change = !d->before ? "added" : !d->now ? "removed" : "changed";
    cleanup_free char *values = short_values(before, now);
    const char *dot = *d->path && *key ? "." : "";
    if (d->now)
        buf_printf(text, "%s line %zu (%s%s%s) %s", file, d->line, key, dot, d->path,
                   d->before ? "changed" : "is new");
    else
        buf_printf(text, "%s%s%s is gone from %s line %zu", key, dot, d->path, file, d->line);
    if (values)
        buf_printf(text, ": %s", values);
    json_t *line = json_pack("{s:s, s:I, s:I}", "change", change, "from", (json_int_t)d->line, "to",
                             (json_int_t)d->line);
    if (before)
        json_object_set_new(line, "before", lines_of_text(before));
    if (now)
        json_object_set_new(line, "now", lines_of_text(now));
    json_object_set_new(facts, "lines", json_pack("[o]", line));
    cleanup_free char *path = xasprintf("%s%s%s", key, dot, d->path);
    json_object_set_new(facts, "path", json_visible(path));
}

static void recipe_reason(const struct node *node, const struct key_change *c, const json_t *texts,
                          struct reasons *out)
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
        struct yaml_difference d;
        yaml_compare(old->root, now, &d);
        add_place(shown, c->subject, &d, &text, facts);
        free(d.path);
        yaml_document_free(old);
    } else {
        buf_printf(&text, "the key %s of %s %s%s", c->subject, shown,
                   c->before && c->now ? "" : "was ", change_word(c));
    }
    add_reason(out, &text, facts);
}

// ---- variables ----

enum { VALUE_SHOWN = 60 };

static void add_values(struct buf *text, const char *before, const char *now)
{
    if (strlen(before) <= VALUE_SHOWN && strlen(now) <= VALUE_SHOWN)
        buf_printf(text, " from %s to %s", before, now);
}

static void variable_reason(const struct key_change *c, struct reasons *out)
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
        set_value(facts, "before", c->before);
        set_value(facts, "now", c->now);
    }
    add_reason(out, &text, facts);
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
    {"script", "the script of the list", SHOW_VALUES},
    {"epoch", "the newest time in its sources", SHOW_NOTHING},
    {"sealer", "the program that seals", SHOW_VALUES},
    {"output", "the name of the output", SHOW_VALUES},
    {"tool %s", "%s of this machine", SHOW_VERSION},
    {"--builder", "what it is built in (--builder)", SHOW_VALUES},
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

static void fact_reason(struct build *b, const struct key_change *c, struct reasons *out)
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
        set_value(facts, "before", c->before);
    if (c->now)
        set_value(facts, "now", c->now);
    add_reason(out, &text, facts);
}

// The script that makes a builder of packages: a file of its recipe.
static void setup_reason(struct build *b, const struct node *node, const struct key_change *c,
                         const json_t *texts, struct reasons *out)
{
    cleanup_free char *before = c->before ? xasprintf("- %s", c->before) : NULL;
    cleanup_free char *now = c->now ? xasprintf("- %s", c->now) : NULL;
    const struct key_change file = {CHANGE_FILE, c->subject, before, now};
    file_reason(b, node, &file, texts, out);
}

// ---- values of versions.yaml ----

static void version_reason(const struct versions *v, const struct version_value *value,
                           const char *before, struct reasons *out)
{
    struct buf text = {0};
    cleanup_free char *shown = shown_path(v->path);
    const struct yaml was = {.kind = YAML_SCALAR, .text = (char *)before};
    const struct yaml is = {.kind = YAML_SCALAR, .text = value->text};
    const struct yaml_difference d = {value->line, value->path, &was, &is};
    json_t *facts = json_pack("{s:s, s:o, s:s}", "what", "versions", "name", json_visible(shown),
                              "change", "changed");
    add_place(shown, "", &d, &text, facts);
    add_reason(out, &text, facts);
}

void reasons_add_versions(struct build *b, const struct node *node, const json_t *texts,
                          struct reasons *out)
{
    const struct version_values *used = &job_of(node)->filled_in;
    for (size_t i = 0; i < used->n; i++) {
        cleanup_free char *name = xasprintf("versions %s", used->items[i].path);
        const char *before = json_string_value(json_object_get(texts, name));
        if (before && strcmp(before, used->items[i].text) != 0)
            version_reason(b->versions, &used->items[i], before, out);
    }
}

// ---- the node's own changes ----

// Those that count only if there is no other.
static bool change_is_weak(const struct key_change *c)
{
    return c->kind == CHANGE_FACT &&
           (!strcmp(c->subject, "epoch") || !strcmp(c->subject, "local-time") ||
            starts_with(c->subject, "role ") || starts_with(c->subject, "work times"));
}

static void own_reason(struct build *b, const struct node *node, const struct key_change *change,
                       const json_t *texts, struct reasons *out)
{
    switch (change->kind) {
    case CHANGE_FILE:
        file_reason(b, node, change, texts, out);
        return;
    case CHANGE_RECIPE:
        recipe_reason(node, change, texts, out);
        return;
    case CHANGE_VARIABLE:
        variable_reason(change, out);
        return;
    case CHANGE_FACT:
        if (!strcmp(change->subject, "setup"))
            setup_reason(b, node, change, texts, out);
        else
            fact_reason(b, change, out);
        return;
    case CHANGE_INPUT:
        return;
    }
}

// ---- inputs ----

const char *made_word(const struct node *node)
{
    return node->kind == NODE_SOURCE && !job_of(node)->list ? "fetched" : "made";
}

static const struct node *find_need(const struct node *node, const char *name)
{
    for (size_t i = 0; i < node->need_count; i++)
        if (node->needs[i].input && !strcmp(node->needs[i].node->name, name))
            return node->needs[i].node;
    return NULL;
}

// `need` may be NULL: `name` is all that is known. `format` has it as {input}.
static void add_input(struct reasons *out, const struct node *need, const char *name,
                      enum input_change change, const char *format)
{
    static const char *const words[] = {[INPUT_CHANGED] = "changed",
                                        [INPUT_ADDED] = "added",
                                        [INPUT_REMOVED] = "removed",
                                        [INPUT_UNKNOWN] = "made"};
    for (size_t i = 0; i < out->n; i++) {
        const char *what = json_string_value(json_object_get(out->items[i].facts, "what"));
        const char *known = json_string_value(json_object_get(out->items[i].facts, "name"));
        if (what && known && !strcmp(what, "input") && !strcmp(known, name))
            return; // another output of it
    }
    struct buf text = {0};
    const struct placeholder input = {"{input}", name};
    cleanup_free char *expanded = placeholders_expand(format, &input, 1);
    buf_puts(&text, expanded);
    json_t *facts = json_pack("{s:s, s:o, s:s}", "what", "input", "name", json_visible(name),
                              "change", words[change]);
    if (need)
        json_object_set_new(facts, "node", json_string(need->id));
    struct reason *r = add_reason(out, &text, facts);
    r->input = need;
    r->change = change;
}

// The subject is the name of the input and of its output.
static void input_reason(const struct node *node, const struct key_change *c, struct reasons *out)
{
    const char *end = strrchr(c->subject, ' ');
    cleanup_free char *name =
        xstrndup(c->subject, end ? (size_t)(end - c->subject) : strlen(c->subject));
    const struct node *need = find_need(node, name);
    if (need && !node_is_known(need))
        return; // it is made again, which add_unknown() says
    if (need && c->before)
        add_input(out, need, node_label(need), INPUT_CHANGED, "its input {input} changed");
    else if (need)
        add_input(out, need, node_label(need), INPUT_ADDED, "{input} is a new input");
    else
        add_input(out, NULL, name, INPUT_REMOVED, "{input} is no longer an input");
}

// Inputs that are still to be made: the key of the node is not known before.
static void add_unknown(const struct node *node, bool other_builder, struct reasons *out)
{
    for (size_t i = 0; i < node->need_count; i++) {
        const struct node *need = node->needs[i].node;
        if (!node->needs[i].input || node_is_known(need) ||
            (other_builder && need->kind == NODE_BUILDER)) // that is said
            continue;
        cleanup_free char *format = xasprintf("its input {input} is %s again", made_word(need));
        add_input(out, need, node_label(need), INPUT_UNKNOWN, format);
    }
}

// ---- another --builder ----

static bool is_tool(const struct key_change *c)
{
    return c->kind == CHANGE_FACT && starts_with(c->subject, "tool ");
}

static bool is_builder(const struct key_change *c)
{
    return c->kind == CHANGE_INPUT && starts_with(c->subject, "builder:");
}

// Tools of the machine are in keys with --builder=host only, the builder without it only. So one
// option says what each of these changes would say.
static bool add_other_builder(struct build *b, const struct key_changes *c, struct reasons *out)
{
    const bool host = b->options.host_builder;
    bool other = false;
    for (size_t i = 0; i < c->n; i++)
        other |= !c->items[i].now && (host ? is_builder(&c->items[i]) : is_tool(&c->items[i]));
    if (other)
        fact_reason(b,
                    &(struct key_change){CHANGE_FACT, "--builder", host ? "image" : "host",
                                         host ? "host" : "image"},
                    out);
    return other;
}

// ---- all of them ----

// Whether --builder is another one than it was.
static bool add_changes(struct build *b, const struct node *node, const struct key_changes *c,
                        const json_t *texts, struct reasons *out)
{
    reasons_add_versions(b, node, texts, out);
    bool versions = out->n, other = add_other_builder(b, c, out);
    for (size_t i = 0; i < c->n; i++) {
        bool said = (versions && c->items[i].kind == CHANGE_FACT &&
                     starts_with(c->items[i].subject, "constant ")) ||
                    (other && is_tool(&c->items[i]));
        if (!said && !change_is_weak(&c->items[i]))
            own_reason(b, node, &c->items[i], texts, out);
    }
    for (size_t i = 0; i < c->n; i++)
        if (c->items[i].kind == CHANGE_INPUT && !(other && is_builder(&c->items[i])))
            input_reason(node, &c->items[i], out);
    return other;
}

bool reasons_find(struct build *b, const struct node *node, const struct last_build *past,
                  struct reasons *out)
{
    cleanup_key_changes struct key_changes changes = {0};
    cleanup_free char *now = *node->key ? xstrdup(node->key_text) : graph_known_key_text(node);
    if (past)
        key_changes_find(past->key_text, now, &changes);
    bool other = add_changes(b, node, &changes, past ? past->texts : NULL, out);
    add_unknown(node, other, out);
    if (out->n)
        return true;
    // What only follows from other changes counts if there are none.
    for (size_t i = 0; i < changes.n; i++)
        own_reason(b, node, &changes.items[i], past->texts, out);
    return false;
}

enum { REASONS_KEPT = 20 };

json_t *reasons_json(const struct reasons *r)
{
    json_t *list = json_array();
    for (size_t i = 0; i < r->n && i < REASONS_KEPT; i++)
        json_array_append(list, r->items[i].facts);
    if (r->n > REASONS_KEPT) {
        cleanup_free char *text = xasprintf("%zu more reasons", r->n - REASONS_KEPT);
        json_array_append_new(list, json_pack("{s:s, s:I, s:s}", "what", "more", "count",
                                              (json_int_t)(r->n - REASONS_KEPT), "text", text));
    }
    return list;
}

void reasons_free(struct reasons *r)
{
    for (size_t i = 0; i < r->n; i++) {
        free(r->items[i].text);
        json_decref(r->items[i].facts);
    }
    free(r->items);
    *r = (struct reasons){0};
}
