// SPDX-License-Identifier: Apache-2.0
// Finds what changed between two key texts: pairs their lines by what they are about.
#include "graph/change.h"

#include <string.h>

// The words that say what a line is about, if it is not all but the last one.
enum { ALL_WORDS = 99 }; // it has no value: another word is another fact
static const struct fact {
    const char *begin;
    unsigned words;
} facts[] = {
    {"codec ", 1},
    {"tool ", 2},
    {"constant ", 2},
    {"package ", ALL_WORDS},
    {"same-version ", ALL_WORDS},
    {"argument ", ALL_WORDS},
    {"patch ", ALL_WORDS},
    {"role ", 2},
    {"distribution ", 1},
    {"sealer ", 1},
};

static size_t subject_length(const char *line)
{
    const char *blank = strrchr(line, ' ');
    for (size_t i = 0; i < ARRAY_LEN(facts); i++) {
        if (!starts_with(line, facts[i].begin))
            continue;
        if (facts[i].words == ALL_WORDS)
            return strlen(line);
        blank = line - 1;
        for (unsigned n = 0; n < facts[i].words && blank; n++)
            blank = strchr(blank + 1, ' ');
    }
    return blank ? (size_t)(blank - line) : strlen(line);
}

// A line as a fact: kind, subject and value, both in `texts`.
struct fact_list {
    struct key_change *items; // `now` is the value
    size_t n, cap;
    struct strlist *texts;
};

static const char *keep(struct fact_list *l, const char *text, size_t n)
{
    strlist_addf(l->texts, "%.*s", (int)n, text);
    return l->texts->items[l->texts->n - 1];
}

static void read_file_line(struct fact_list *l, const struct key_line *line, struct key_change *c)
{
    const char *kind = line->value - 2; // "x <digest>"
    c->kind = CHANGE_FILE;
    c->subject = keep(l, line->name, strlen(line->name));
    c->now = keep(l, kind, strlen(kind));
}

// "file NAME DIGEST" names one of several files.
static void read_variable_line(struct fact_list *l, const struct key_line *line,
                               struct key_change *c)
{
    const char *last = strrchr(line->value, ' ');
    c->kind = CHANGE_VARIABLE;
    if (starts_with(line->value, "file ") && last > line->value + strlen("file")) {
        const char *name = line->value + strlen("file ");
        cleanup_free char *subject = xasprintf("%s %.*s", line->name, (int)(last - name), name);
        c->subject = keep(l, subject, strlen(subject));
        c->now = keep(l, last + 1, strlen(last + 1));
        return;
    }
    c->subject = keep(l, line->name, strlen(line->name));
    c->now = keep(l, line->value, strlen(line->value));
}

static void read_other_line(struct fact_list *l, const char *line, struct key_change *c)
{
    static const struct {
        const char *begin;
        enum change_kind kind;
    } kinds[] = {{"recipe ", CHANGE_RECIPE}, {"input ", CHANGE_INPUT}};
    size_t skip = 0, n = subject_length(line);
    c->kind = CHANGE_FACT;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (starts_with(line, kinds[i].begin) && n > strlen(kinds[i].begin)) {
            c->kind = kinds[i].kind;
            skip = strlen(kinds[i].begin);
        }
    c->subject = keep(l, line + skip, n - skip);
    c->now = keep(l, line[n] ? line + n + 1 : "", line[n] ? strlen(line + n + 1) : 0);
}

static void add_fact(const struct key_line *line, void *context)
{
    struct fact_list *l = context;
    l->items = xgrow(l->items, &l->cap, l->n + 1, sizeof *l->items);
    struct key_change *c = &l->items[l->n++];
    *c = (struct key_change){0};
    if (line->kind == KEY_FILE)
        read_file_line(l, line, c);
    else if (line->kind == KEY_VARIABLE)
        read_variable_line(l, line, c);
    else
        read_other_line(l, line->text, c);
}

static struct key_change *find_fact(struct fact_list *l, const struct key_change *wanted)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->items[i].subject && l->items[i].kind == wanted->kind &&
            !strcmp(l->items[i].subject, wanted->subject))
            return &l->items[i];
    return NULL;
}

static void add_change(struct key_changes *out, const struct key_change *about, const char *before,
                       const char *now)
{
    out->items = xgrow(out->items, &out->cap, out->n + 1, sizeof *out->items);
    out->items[out->n++] = (struct key_change){about->kind, about->subject, before, now};
}

void key_changes_find(const char *before, const char *now, struct key_changes *out)
{
    struct fact_list old = {.texts = &out->texts}, new = {.texts = &out->texts};
    key_text_read(before, add_fact, &old);
    key_text_read(now, add_fact, &new);
    for (size_t i = 0; i < new.n; i++) {
        struct key_change *was = find_fact(&old, &new.items[i]);
        if (!was || strcmp(was->now, new.items[i].now) != 0)
            add_change(out, &new.items[i], was ? was->now : NULL, new.items[i].now);
        if (was)
            was->subject = NULL; // one line is paired once
    }
    for (size_t i = 0; i < old.n; i++)
        if (old.items[i].subject)
            add_change(out, &old.items[i], old.items[i].now, NULL);
    free(old.items);
    free(new.items);
}

void key_changes_free(struct key_changes *c)
{
    free(c->items);
    strlist_free(&c->texts);
    *c = (struct key_changes){0};
}
