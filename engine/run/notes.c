// SPDX-License-Identifier: Apache-2.0
// The notes on a plan: which sources are local folders, which recipes were left out since a source
// is missing, which replace others, which variables are set and have no effect here, so that the
// result only looks like one with them. Checks the names of the user's choices for single sources
// (--source, KBUILD_SOURCE).
#include "run/internal.h"

#include "base/error.h"
#include "base/print.h"

#include <string.h>

void build_note(struct build *b, const char *text)
{
    if (strlist_has(&b->run->notes, text))
        return;
    strlist_add(&b->run->notes, text);
    log_note("%s", text);
}

static void note_choice(const char *text, void *context)
{
    build_note(context, text);
}

struct recipe_selection recipe_selection_of(struct build *b, struct source_options *o)
{
    *o = source_options(b);
    return (struct recipe_selection){.set = b->recipes,
                                     .versions = b->versions,
                                     .sources = o,
                                     .prebuilt = b->options.prebuilt,
                                     .say = note_choice,
                                     .context = b};
}

// ---- names ----

static int refuse_name(const struct source_choice *c, const char *whose, struct strlist *names,
                       struct error **err)
{
    strlist_sort(names);
    const char *nearest = nearest_name(c->name, names);
    cleanup_free char *all = strlist_join(names, ", ");
    error_set(err, ERROR_USAGE, "%s: %s source '%s'", c->where ? c->where : "--source", whose,
              c->name);
    if (!names->n)
        return error_hint(err, "there are none");
    return nearest ? error_hint(err, "did you mean %s? There are: %s", nearest, all)
                   : error_hint(err, "there are: %s", all);
}

// Either those of options, or the others.
static int check_names(const struct build *b, const struct strlist *names, const char *whose,
                       bool options, struct error **err)
{
    const struct source_choices *c = b->options.choices;
    for (size_t i = 0; c && i < c->n; i++) {
        if (!c->items[i].where != options || c->items[i].optional ||
            strlist_has(names, c->items[i].name))
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
            strlist_add_once(&names, r->sources[k].name);
    }
    for (size_t i = 0; i < c->n; i++)
        if (b->options.locked && !b->options.from_plan && c->items[i].origin == ORIGIN_FOLDER) {
            error_set(
                err, ERROR_USAGE,
                "--locked takes only what versions.lock names, but the source %s is the directory "
                "%s",
                c->items[i].name, c->items[i].folder);
            return error_hint(err, "leave out --locked, or the choice of that directory");
        }
    return check_names(b, &names, "no recipe here has a", true, err) < 0
               ? -1
               : check_names(b, &names, "no recipe here has a", false, err);
}

void note_source_names(struct build *b, const struct recipe *r, const struct arch *target)
{
    source_names(b->recipes, r, target, &b->run->source_names);
    strlist_addf(&b->run->targets, "%s", r->name);
}

int check_asked_source_names(struct build *b, struct error **err)
{
    cleanup_free char *targets = strlist_join(&b->run->targets, ", ");
    cleanup_free char *whose =
        xasprintf("%s %s no", targets, b->run->targets.n > 1 ? "have" : "has");
    return b->run->targets.n ? check_names(b, &b->run->source_names, whose, true, err) : 0;
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

void note_local_source(struct build *b, const struct node *node)
{
    cleanup_free char *text = node_local_text(node);
    cleanup_free char *line = text ? xasprintf("%s is %s", node_label(node), text) : NULL;
    if (line)
        build_note(b, line);
}

void log_local_inputs(const struct node *node)
{
    for (size_t i = 0; i < node->need_count; i++) {
        cleanup_free char *text = node_local_text(node->needs[i].node);
        if (text)
            print_to(stderr, "kbuild: %s is %s\n", node_label(node->needs[i].node), text);
    }
}

// ---- variables without effect ----

static bool is_set(const struct recipe_ignored *one)
{
    const char *text = getenv(one->name);
    return text && *text && (!one->value || strcmp(text, one->value) != 0);
}

// The targets of the plan whose recipes have the same entry for this variable.
static void targets_of(const struct build *b, const struct recipe_ignored *one, struct strlist *out)
{
    for (size_t i = 0; i < b->graph.n; i++) {
        const struct node *node = b->graph.nodes[i];
        const struct recipe *r = job_of(node)->recipe;
        for (size_t k = 0; node->kind == NODE_ARTIFACT && k < r->ignored.count; k++)
            if (!strcmp(r->ignored.list[k].name, one->name) &&
                !strcmp(r->ignored.list[k].why, one->why) && !strlist_has(out, r->name))
                strlist_add(out, r->name);
    }
}

static void note_ignored_of_recipe(struct build *b, const struct recipe *r)
{
    for (size_t i = 0; i < r->ignored.count; i++) {
        const struct recipe_ignored *one = &r->ignored.list[i];
        if (!is_set(one))
            continue;
        cleanup_strlist struct strlist names = {0};
        targets_of(b, one, &names);
        cleanup_free char *targets = strlist_join(&names, ", ");
        cleanup_free char *text =
            xasprintf("%s is set and has no effect on %s: %s", one->name, targets, one->why);
        build_note(b, text);
    }
}

int ignored_texts(struct recipe_set *set, struct strlist *out, struct error **err)
{
    const struct recipe_ignored_list *l = recipe_set_ignored(set, err);
    for (size_t i = 0; l && i < l->count; i++)
        if (is_set(&l->list[i]))
            strlist_addf(out, "%s is set and has no effect: %s", l->list[i].name, l->list[i].why);
    return l ? 0 : -1;
}

void note_replaced_recipes(struct build *b)
{
    const struct strlist *all = recipe_set_replaced(b->recipes);
    for (size_t i = 0; i < all->n; i++) {
        cleanup_free char *text = xasprintf("recipes: %s", all->items[i]);
        build_note(b, text);
    }
}

int note_ignored_variables(struct build *b, struct error **err)
{
    cleanup_strlist struct strlist texts = {0};
    if (ignored_texts(b->recipes, &texts, err) < 0)
        return -1;
    for (size_t i = 0; i < texts.n; i++)
        build_note(b, texts.items[i]);
    for (size_t i = 0; i < b->graph.n; i++)
        if (b->graph.nodes[i]->kind == NODE_ARTIFACT)
            note_ignored_of_recipe(b, job_of(b->graph.nodes[i])->recipe);
    return 0;
}
