// SPDX-License-Identifier: Apache-2.0
// Handles the user's choices for single sources (--source, KBUILD_SOURCE): checks their names, and
// reports local sources and recipes left out because a source is missing.
#include "graph/available.h"
#include "run/internal.h"

#include "base/error.h"
#include "base/print.h"

#include <string.h>

void build_say(struct build *b, const char *text)
{
    if (strlist_has(&b->notes, text))
        return;
    strlist_add(&b->notes, text);
    log_note("%s", text);
}

static void say(const char *text, void *context)
{
    build_say(context, text);
}

struct choosing choosing_of(struct build *b, struct source_options *o)
{
    *o = source_options(b);
    return (struct choosing){.set = b->recipes,
                             .versions = b->versions,
                             .sources = o,
                             .prebuilt = b->options.prebuilt,
                             .say = say,
                             .context = b};
}

// ---- names ----

static int refuse_name(const struct source_choice *c, const char *whose, struct strlist *names,
                       struct error **err)
{
    strlist_sort(names);
    const char *nearest = nearest_name(c->name, names);
    cleanup_free char *all = strlist_join(names, ", ");
    error_set(err, ERROR_USAGE, "%s: %s source '%s'", c->environment ? "KBUILD_SOURCE" : "--source",
              whose, c->name);
    if (!names->n)
        return error_hint(err, "there are none");
    return nearest ? error_hint(err, "did you mean %s? There are: %s", nearest, all)
                   : error_hint(err, "there are: %s", all);
}

static int check_names(const struct build *b, const struct strlist *names, const char *whose,
                       bool environment, struct error **err)
{
    const struct source_choices *c = b->options.choices;
    for (size_t i = 0; c && i < c->n; i++) {
        if (c->items[i].environment != environment || strlist_has(names, c->items[i].name))
            continue;
        cleanup_strlist struct strlist copy = {0};
        strlist_add_all(&copy, names);
        return refuse_name(&c->items[i], whose, &copy, err);
    }
    return 0;
}

int check_source_names(struct build *b, struct error **err)
{
    const struct source_choices *c = b->options.choices;
    cleanup_strlist struct strlist recipes = {0}, names = {0};
    if (!c || !c->n)
        return 0;
    if (recipe_names(b->recipes, &recipes, err) < 0)
        return -1;
    for (size_t i = 0; i < recipes.n; i++) {
        const struct recipe *r = recipe_get(b->recipes, recipes.items[i], NULL);
        for (size_t k = 0; r && k < r->source_count; k++)
            if (!strlist_has(&names, r->sources[k].name))
                strlist_add(&names, r->sources[k].name);
    }
    for (size_t i = 0; i < c->n; i++)
        if (b->options.locked && c->items[i].origin == ORIGIN_FOLDER) {
            error_set(err, ERROR_USAGE,
                      "--locked takes only what versions.lock names, and %s is %s",
                      c->items[i].name, c->items[i].folder);
            return error_hint(err, "leave one of the two out");
        }
    return check_names(b, &names, "no recipe here has a", false, err) < 0
               ? -1
               : check_names(b, &names, "no recipe here has a", true, err);
}

void note_source_names(struct build *b, const struct recipe *r, const struct arch *target)
{
    source_names(b->recipes, r, target, &b->source_names);
    strlist_addf(&b->asked, "%s", r->name);
}

int check_asked_source_names(struct build *b, struct error **err)
{
    cleanup_free char *targets = strlist_join(&b->asked, ", ");
    cleanup_free char *whose = xasprintf("%s %s no", targets, b->asked.n > 1 ? "have" : "has");
    return b->asked.n ? check_names(b, &b->source_names, whose, false, err) : 0;
}

// ---- local sources ----

char *job_local(const struct job *job)
{
    return source_local_text(&job->spec, &job->pin);
}

char *node_local_text(const struct node *node)
{
    return node->kind == NODE_SOURCE ? job_local(job_of(node)) : NULL;
}

void say_local(struct build *b, const struct node *node)
{
    cleanup_free char *text = node_local_text(node);
    cleanup_free char *line = text ? xasprintf("%s is %s", node_label(node), text) : NULL;
    if (line)
        build_say(b, line);
}

void log_local_inputs(const struct node *node)
{
    for (size_t i = 0; i < node->need_count; i++) {
        cleanup_free char *text = node_local_text(node->needs[i].node);
        if (text)
            print_to(stderr, "kbuild: %s is %s\n", node_label(node->needs[i].node), text);
    }
}
