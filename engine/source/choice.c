// SPDX-License-Identifier: Apache-2.0
// The texts of --source and KBUILD_SOURCE -> a list of choices by name.
#include "source/source.h"

#include "base/file.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static int refuse(const struct source_choice *c, const char *text, const char *why,
                  struct error **err)
{
    return error_set(err, ERROR_USAGE, "%s%s: %s", c->environment ? "KBUILD_SOURCE: " : "--source ",
                     text, why);
}

static int read_origin(struct source_choice *c, const char *text, const char *value,
                       struct error **err)
{
    char real[PATH_MAX];
    if (!strcmp(value, "upstream") || !strcmp(value, "debian")) {
        c->origin = *value == 'u' ? ORIGIN_UPSTREAM : ORIGIN_DEBIAN;
        return 0;
    }
    c->origin = ORIGIN_FOLDER;
    if (!realpath(value, real)) {
        refuse(c, text, strerror(errno), err);
        if (starts_with(value, "~"))
            return error_hint(err, "the shell did not replace ~: write $HOME");
        return error_hint(err, "NAME=DIR names a folder; NAME=upstream and NAME=debian are words");
    }
    if (!is_directory(real)) {
        refuse(c, text, "it is not a folder", err);
        return error_hint(err, "unpack an archive first: kbuild unpack FILE DIR");
    }
    c->folder = xstrdup(real);
    return 0;
}

static void choice_free(struct source_choice *c)
{
    free(c->name);
    free(c->folder);
    error_free(c->fault);
}

static struct source_choice *find(const struct source_choices *c, const char *name)
{
    for (size_t i = 0; i < c->n; i++)
        if (!strcmp(c->items[i].name, name))
            return &c->items[i];
    return NULL;
}

int source_choices_add(struct source_choices *c, const char *text, bool environment,
                       struct error **err)
{
    struct source_choice one = {.environment = environment};
    const char *equals = strchr(text, '=');
    if (!equals || equals == text || !equals[1]) {
        refuse(&one, text, "it is not NAME=DIR, NAME=upstream or NAME=debian", err);
        return error_hint(err, "NAME is what the recipe calls the source");
    }
    one.name = xstrndup(text, (size_t)(equals - text));
    struct source_choice *known = find(c, one.name);
    int result = 0;
    if (known && known->environment == environment)
        result = refuse(&one, text, "the source is named twice", err);
    if (result == 0 && read_origin(&one, text, equals + 1, &one.fault) < 0) {
        if (environment)
            one.folder = xstrdup(equals + 1);
        else
            *err = steal(one.fault);
        result = environment ? 0 : -1;
    }
    if (result < 0) {
        choice_free(&one);
        return -1;
    }
    if (!known) {
        c->items = xgrow(c->items, &c->cap, c->n + 1, sizeof *c->items);
        c->items[c->n++] = one;
    } else if (environment) {
        choice_free(&one);
    } else {
        choice_free(known);
        *known = one;
    }
    return 0;
}

int source_choices_environment(struct source_choices *c, const char *text, struct error **err)
{
    cleanup_strlist struct strlist words = {0};
    strlist_split(&words, text, " \t\n");
    for (size_t i = 0; i < words.n; i++)
        if (source_choices_add(c, words.items[i], true, err) < 0)
            return -1;
    return 0;
}

int source_choice_check(const struct source_choice *c, struct error **err)
{
    if (!c->fault)
        return 0;
    error_set(err, c->fault->kind, "%s", c->fault->message);
    return error_hint(err, "%s", c->fault->hint);
}

const struct source_choice *source_choice_of(const struct source_choices *c, const char *name)
{
    return c ? find(c, name) : NULL;
}

void source_choices_free(struct source_choices *c)
{
    for (size_t i = 0; i < c->n; i++)
        choice_free(&c->items[i]);
    free(c->items);
    *c = (struct source_choices){0};
}
