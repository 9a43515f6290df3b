// SPDX-License-Identifier: Apache-2.0
// Parses the words of a command line to a verb, its options and its operands, by the table of
// verbs.c. Words without effect are errors.
#include "kbuild.h"

#include "base/file.h"

#include <string.h>

int usage_error(struct error **err, const char *verb, const char *why)
{
    const char *space = strchr(verb, ' ');
    cleanup_free char *first = xstrndup(verb, space ? (size_t)(space - verb) : strlen(verb));
    const struct verb *v = verb_find(first, space ? space + 1 : NULL);
    error_set(err, ERROR_USAGE, "%s: %s", verb, why);
    if (v)
        return error_hint(err, "usage: kbuild %s%s%s; `kbuild help %s` has the options", v->name,
                          *v->operands ? " " : "", v->operands, v->name);
    return error_hint(err, "`kbuild help %s` has more", verb);
}

// ---- options ----

static bool option_is(const struct option *o, const char *word, size_t n)
{
    if (o->letter && n == 2 && word[0] == '-' && word[1] == o->letter)
        return true;
    return strlen(o->name) == n && !strncmp(o->name, word, n);
}

// Splits an option: returns the length of its name; *value is the attached value.
static size_t split_option(const char *word, const char **value)
{
    *value = NULL;
    if (word[1] == '-') {
        const char *equals = strchr(word, '=');
        *value = equals ? equals + 1 : NULL;
        return equals ? (size_t)(equals - word) : strlen(word);
    }
    *value = word[2] ? word + 2 : NULL; // -j4
    return 2;
}

static const struct option *find_option(const struct option *options, size_t count,
                                        const char *word, size_t n)
{
    for (size_t i = 0; i < count; i++)
        if (option_is(&options[i], word, n))
            return &options[i];
    return NULL;
}

static const struct option *find_common(const char *word, size_t n, enum common_option *which)
{
    const struct option *o = find_option(common_options, COMMON_OPTIONS, word, n);
    *which = o ? (enum common_option)(o - common_options) : COMMON_OPTIONS;
    return o;
}

// Another verb with this option, for the error message.
static const struct verb *other_verb_with(const char *word, size_t n)
{
    for (size_t i = 0; i < verb_count; i++)
        if (find_option(verbs[i].options, verbs[i].option_count, word, n))
            return &verbs[i];
    return NULL;
}

static void add_name(const struct option *o, void *context)
{
    strlist_add(context, o->name);
}

static int unknown_option(const struct command_line *c, const char *word, size_t n,
                          struct error **err)
{
    const struct verb *v = c->verb;
    cleanup_strlist struct strlist names = {0};
    cleanup_free char *name = xstrndup(word, n);
    verb_each_option(v, add_name, &names);
    strlist_add(&names, "--help");
    if (!c->named)
        strlist_add(&names, "--version");
    if (!strcmp(name, "--help") || !strcmp(name, "--version"))
        return error_set(err, ERROR_USAGE, "%s takes no value", name);
    if (find_option(v->options, v->option_count, word, n)) {
        error_set(err, ERROR_USAGE, "%s: the option %s stands before the verb", v->name, name);
        return error_hint(err, "only options that verbs have in common can: kbuild %s %s", v->name,
                          name);
    }
    const char *nearest = nearest_name(name, &names);
    const struct verb *other = other_verb_with(word, n);
    error_set(err, ERROR_USAGE, "%s%sunknown option %s", c->named ? v->name : "",
              c->named ? ": " : "", name);
    if (nearest)
        return error_hint(err, "did you mean %s?", nearest);
    if (other)
        return error_hint(err, "it is an option of `kbuild %s`", other->name);
    return error_hint(err, "`kbuild help %s` lists the options", v->name);
}

// Rejects a common option that the verb does not use.
static int unused_option(const struct verb *v, const struct option *o, struct error **err)
{
    error_set(err, ERROR_USAGE, "%s does not accept %s: it would have no effect", v->name, o->name);
    return error_hint(err, "`kbuild help %s` lists its options", v->name);
}

// "a|b": the value must be one of them.
static int check_value(const struct option *o, const char *value, struct error **err)
{
    if (!*value && !(o->flags & MAY_BE_EMPTY)) {
        error_set(err, ERROR_USAGE, "the value of %s is empty", o->name);
        return error_hint(err, "leave the option out, or give a %s", o->value);
    }
    if (!option_has_choices(o))
        return 0;
    cleanup_strlist struct strlist choices = {0};
    strlist_split(&choices, o->value, "|");
    if (strlist_has(&choices, value))
        return 0;
    cleanup_free char *all = strlist_join(&choices, " or ");
    error_set(err, ERROR_USAGE, "%s is '%s'", o->name, value);
    return error_hint(err, "it can be %s", all);
}

static int add_given(struct command_line *c, const struct option *o, const char *value, bool before,
                     struct error **err)
{
    if (o->value && check_value(o, value, err) < 0)
        return -1;
    for (size_t i = 0; i < c->n && !o->repeatable; i++)
        if (c->given[i].option == o) {
            error_set(err, ERROR_USAGE, "%s is given twice", o->name);
            return error_hint(err, "give it only once");
        }
    c->given = xgrow(c->given, &c->cap, c->n + 1, sizeof *c->given);
    c->given[c->n++] = (struct given_option){o, o->value ? xstrdup(value) : NULL, before};
    return 0;
}

// Takes the option at words[*i], and its value.
static int parse_option(struct command_line *c, const struct strlist *words, size_t *i, bool before,
                        struct error **err)
{
    const char *word = words->items[(*i)++], *value;
    size_t n = split_option(word, &value);
    const struct verb *v = c->verb;
    enum common_option which = COMMON_OPTIONS;
    const struct option *o = before ? NULL : find_option(v->options, v->option_count, word, n);
    bool own = o != NULL;
    if (!o)
        o = find_common(word, n, &which);
    if (!o)
        return unknown_option(c, word, n, err);
    if (!o->value && value) {
        if (word[1] != '-') // -kq
            return unknown_option(c, word, strlen(word), err);
        return error_set(err, ERROR_USAGE, "%s takes no value", o->name);
    }
    if (o->value && !value) {
        if (*i >= words->n)
            return error_set(err, ERROR_USAGE, "%.*s needs a value: %s", (int)n, word, o->value);
        value = words->items[(*i)++];
    }
    if (!own && !(v->common & BIT(which)) && !(before && COMMON_SETTINGS & BIT(which)))
        return unused_option(v, o, err);
    return add_given(c, o, value, before, err);
}

// ---- the verb ----

// Whether the value of the option is the next word. `verb` is the word before, if there is one.
static bool value_follows(const char *word, const char *verb)
{
    const char *value;
    enum common_option which;
    size_t n = split_option(word, &value);
    const struct option *o = find_common(word, n, &which);
    for (size_t i = 0; verb && i < verb_count; i++) {
        const struct option *own = find_option(verbs[i].options, verbs[i].option_count, word, n);
        if (own && starts_with(verbs[i].name, verb))
            o = own;
    }
    return o && o->value && !value;
}

// The index of the next operand from `i`; words->n if there is none.
static size_t next_operand(const struct strlist *words, size_t i, const char *verb)
{
    for (; i < words->n; i++) {
        const char *word = words->items[i];
        if (word[0] != '-' || !word[1])
            return i;
        if (!strcmp(word, "--"))
            return i + 1 < words->n ? i + 1 : words->n;
        i += value_follows(word, verb);
    }
    return words->n;
}

static int unknown_subverb(const char *group, const char *word, struct error **err)
{
    cleanup_free char *expected = verb_group_words(group, ", ");
    cleanup_strlist struct strlist names = {0};
    strlist_split(&names, expected, ", ");
    const char *nearest = word ? nearest_name(word, &names) : NULL;
    if (word)
        error_set(err, ERROR_USAGE, "%s: unknown verb '%s'", group, word);
    else
        error_set(err, ERROR_USAGE, "%s: one of these must follow: %s", group, expected);
    if (nearest)
        return error_hint(err, "did you mean `kbuild %s %s`?", group, nearest);
    return error_hint(err, "%s%s; `kbuild help %s` has more",
                      word ? "there are: " : "expected: ", expected, group);
}

// Finds the verb and removes its words. *at is its position. Without one it is build.
static int find_verb(struct command_line *c, struct strlist *words, size_t *at, struct error **err)
{
    *at = next_operand(words, 0, NULL);
    const char *word = *at < words->n ? words->items[*at] : NULL;
    bool operands = *at > 0 && word && !strcmp(words->items[*at - 1], "--");
    size_t below = words->n;
    c->verb = word && !operands ? verb_find(word, NULL) : NULL;
    if (word && !operands && verb_is_group(word)) {
        below = next_operand(words, *at + 1, word);
        const char *second = below < words->n ? words->items[below] : NULL;
        c->verb = second ? verb_find(word, second) : NULL;
        bool help = strlist_has(words, "--help") || strlist_has(words, "-h");
        if (!c->verb && help && !second) {
            strlist_add(&c->help_words, word);
            c->help = true;
            return 0;
        }
        if (!c->verb) {
            unknown_subverb(word, second, err);
            return -1;
        }
    }
    c->named = c->verb != NULL;
    if (!c->named) {
        c->verb = &verbs[0]; // build
        *at = 0;             // nothing is before it
    }
    cleanup_strlist struct strlist rest = {0};
    for (size_t i = 0; i < words->n; i++)
        if ((i != *at || !c->named) && i != below)
            strlist_add(&rest, words->items[i]);
    struct strlist old = *words;
    *words = rest;
    rest = old;
    return 0;
}

static int check_operands(const struct command_line *c, struct error **err)
{
    const struct verb *v = c->verb;
    if (c->operands.n < v->least) {
        cleanup_free char *why =
            xasprintf("%sexpected: %s", c->operands.n ? "too few arguments; " : "", v->operands);
        return usage_error(err, v->name, why);
    }
    if (c->operands.n > v->most) {
        cleanup_free char *why =
            v->most ? xasprintf("too many arguments; expected: %s", v->operands)
                    : xasprintf("it accepts no arguments, but '%s' is given", c->operands.items[0]);
        return usage_error(err, v->name, why);
    }
    for (size_t i = 0; i < c->operands.n; i++)
        if (!*c->operands.items[i])
            return usage_error(err, v->name, "an argument is empty");
    return 0;
}

// Rejects a result that would overwrite an input of the verb, or another result.
static int check_outputs(const struct command_line *c, struct error **err)
{
    for (size_t i = 0; i < c->n; i++) {
        const struct given_option *result = &c->given[i];
        if (!(result->option->flags & (WRITES_DOCUMENT | WRITES_FILE)))
            continue;
        const char *path = output_path(result->option, result->value), *other = NULL;
        for (size_t k = 0; k < c->n; k++)
            if (k != i && c->given[k].value && same_file(path, c->given[k].value))
                other = c->given[k].option->name;
        for (size_t k = 0; k < c->operands.n && c->verb->names != TARGETS; k++)
            if (!is_directory(path) && same_file(path, c->operands.items[k]))
                other = c->operands.items[k];
        if (!other)
            continue;
        error_set(err, ERROR_USAGE, "%s: %s %s is the same file as %s", c->verb->name,
                  result->option->name, result->value, other);
        return error_hint(err, "its content would be lost: name another file");
    }
    return 0;
}

// Before the verb --output is the directory of the results, after some verbs the file that they
// write.
static int check_output_place(const struct command_line *c, struct error **err)
{
    for (size_t i = 0; i < c->n && c->verb->common & BIT(COMMON_OUTPUT); i++) {
        const struct given_option *g = &c->given[i];
        if (g->option == &common_options[COMMON_OUTPUT] ||
            strcmp(g->option->name, "--output") != 0 || !is_directory(g->value))
            continue;
        error_set(err, ERROR_USAGE, "%s: %s %s is a directory; after this verb it names a file",
                  c->verb->name, g->option->name, g->value);
        return error_hint(err, "the directory of the results is given before it: kbuild -o %s %s",
                          g->value, c->verb->name);
    }
    return 0;
}

// Help and version end the parsing.
static bool parse_help(struct command_line *c, const char *word, bool version_too)
{
    c->help |= !strcmp(word, "--help") || !strcmp(word, "-h");
    c->version |= !strcmp(word, "--version") && version_too;
    return c->help || c->version;
}

// The words of out->verb; those before `at` were before it.
static int parse_words(struct command_line *out, const struct strlist *words, size_t at,
                       struct error **err)
{
    bool only_operands = false;
    for (size_t i = 0; i < words->n;) {
        const char *word = words->items[i];
        bool before = i < at, operand = only_operands || word[0] != '-' || !word[1];
        if (operand || ((out->verb->flags & OWN_PARSER) && !before)) {
            strlist_add(&out->operands, word);
            i++;
        } else if (!strcmp(word, "--")) {
            only_operands = true;
            i++;
        } else if (parse_help(out, word, before || !out->named)) {
            if (!out->named && !out->operands.n)
                out->verb = NULL;
            return 0;
        } else if (parse_option(out, words, &i, before, err) < 0) {
            return -1;
        }
    }
    if (!out->named && !out->operands.n) {
        error_set(err, ERROR_USAGE, "nothing to do: name a target or a verb");
        return error_hint(err, "`kbuild list` shows the targets, `kbuild help` the verbs");
    }
    if (out->verb->flags & OWN_PARSER)
        return 0;
    return check_operands(out, err) < 0 || check_output_place(out, err) < 0
               ? -1
               : check_outputs(out, err);
}

int command_line_parse(int argc, char **argv, struct command_line *out, struct error **err)
{
    cleanup_strlist struct strlist words = {0};
    size_t at;
    for (int i = 1; i < argc; i++)
        strlist_add(&words, argv[i]);
    if (find_verb(out, &words, &at, err) < 0)
        return -1;
    return out->help ? 0 : parse_words(out, &words, at, err);
}

int command_line_parse_words(const struct verb *v, const struct strlist *words,
                             struct command_line *out, struct error **err)
{
    out->verb = v;
    out->named = true;
    return parse_words(out, words, 0, err);
}

void command_line_free(struct command_line *c)
{
    for (size_t i = 0; i < c->n; i++)
        free(c->given[i].value);
    free(c->given);
    strlist_free(&c->operands);
    strlist_free(&c->help_words);
    *c = (struct command_line){0};
}

// ---- what was given ----

// The verb's own option of this name, or the common one. Other names are programming errors.
static const struct option *option_named(const struct command_line *c, const char *name)
{
    enum common_option which;
    const struct option *o =
        find_option(c->verb->options, c->verb->option_count, name, strlen(name));
    if (!o)
        o = find_common(name, strlen(name), &which);
    if (!o)
        abort();
    return o;
}

static const struct given_option *find_given(const struct command_line *c, const struct option *o)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->given[i].option == o)
            return &c->given[i];
    return NULL;
}

const char *command_line_value(const struct command_line *c, const char *name)
{
    const struct given_option *g = find_given(c, option_named(c, name));
    return g ? g->value : NULL;
}

bool command_line_given(const struct command_line *c, const char *name)
{
    return find_given(c, option_named(c, name)) != NULL;
}

void command_line_values(const struct command_line *c, const char *name, struct strlist *out)
{
    const struct option *o = option_named(c, name);
    for (size_t i = 0; i < c->n; i++)
        if (c->given[i].option == o)
            strlist_add(out, c->given[i].value);
}

const char *command_line_common(const struct command_line *c, enum common_option which)
{
    const struct given_option *g = find_given(c, &common_options[which]);
    return g ? (g->value ? g->value : "") : NULL;
}

int command_line_reject(const struct command_line *c, uint32_t common, const char *when,
                        struct error **err)
{
    for (size_t i = 0; i < c->n; i++) {
        const struct given_option *g = &c->given[i];
        enum common_option which = 0;
        while (which < COMMON_OPTIONS && g->option != &common_options[which])
            which++;
        if (which == COMMON_OPTIONS || !(common & BIT(which)) ||
            (g->before && COMMON_SETTINGS & BIT(which)))
            continue;
        error_set(err, ERROR_USAGE, "%s does not accept %s %s: it would have no effect",
                  c->verb->name, g->option->name, when);
        return error_hint(err, "leave it out");
    }
    return 0;
}

int command_line_mode(const struct command_line *c, const char *mode, const char *uses,
                      struct error **err)
{
    cleanup_strlist struct strlist used = {0};
    strlist_split(&used, uses, " ");
    for (size_t i = 0; i < c->verb->option_count; i++) {
        const struct option *o = &c->verb->options[i];
        if (!find_given(c, o) || strlist_has(&used, o->name))
            continue;
        error_set(err, ERROR_USAGE, "%s: %s is not used for %s", c->verb->name, o->name, mode);
        if (used.n)
            return error_hint(err, "options that are used: %s", uses);
        return error_hint(err, "leave it out");
    }
    return 0;
}
