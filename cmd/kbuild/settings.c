// SPDX-License-Identifier: Apache-2.0
// Implements the verb settings: prints the value of each setting and where it comes from, then why
// they would be refused, if they would be.
#include "kbuild.h"

#include "base/file.h"
#include "http/http.h"

#include <jansson.h>
#include <string.h>

// A login does not belong into any setting, and so may be in one. In a name of a registry, and what
// becomes a part of one, all that is before the last '@' is hidden, unless a digest comes after it:
// a password may have commas and '='. To be freed.
static char *without_login(enum setting which, const char *text)
{
    static const enum setting names[] = {SETTING_REGISTRY, SETTING_REPOSITORY,
                                         SETTING_BUILDER_REGISTRY, SETTING_PREBUILT,
                                         SETTING_TARGET_BRANCH};
    const char *at = NULL, *equals = strchr(text, '=');
    bool name = false;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        name |= which == names[i];
    for (const char *p = text; name && (p = strchr(p, '@')); p++)
        at = starts_with(p, "@sha256:") ? at : p;
    if (!at)
        return http_text_shown(text);
    size_t kept =
        which == SETTING_PREBUILT && equals && equals < at ? (size_t)(equals - text) + 1 : 0;
    return xasprintf("%.*s***%s", (int)kept, text, at);
}

// ---- a line ----

static json_t *origin_json(const struct chosen_setting *s)
{
    static const char *const words[] = {[SET_BY_OPTION] = "option",
                                        [SET_BY_ENVIRONMENT] = "environment",
                                        [SET_BY_FILE] = "file",
                                        [SET_BY_DEFAULT] = "default"};
    json_t *line = json_pack("{s:s}", "origin", words[s->origin]);
    if (s->origin == SET_BY_FILE) {
        json_object_set_new(line, "file", json_visible(s->file->path));
        json_object_set_new(line, "line", json_integer((json_int_t)s->line));
    } else if (s->origin != SET_BY_DEFAULT) {
        json_object_set_new(line, "name", json_string(s->name));
    }
    return line;
}

static void print_value(const struct global_options *g, const char *key, const char *source,
                        json_t *value, const struct chosen_setting *s)
{
    json_auto_t *owned = value;
    if (g->json) {
        json_auto_t *line = origin_json(s);
        json_object_set_new(line, "setting", json_string(key));
        if (source)
            json_object_set_new(line, "source", json_visible(source));
        json_object_set(line, "value", value);
        print_json(stdout, line, JSON_COMPACT | JSON_SORT_KEYS);
        return;
    }
    cleanup_free char *origin = setting_origin_text(s);
    cleanup_free char *name = source ? xasprintf("%s %s", key, source) : xstrdup(key);
    size_t n = json_is_array(value) ? json_array_size(value) : 1;
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_is_array(value) ? json_array_get(value, i) : value;
        print("%-18s %-44s %s\n", i ? "" : name,
              json_is_string(item) ? json_string_value(item) : "-", i ? "" : origin);
    }
}

// Lists are arrays: `prebuilt` is one text with commas for the engine.
static void print_setting(const struct global_options *g, enum setting which)
{
    const struct chosen_setting *s = &g->defaults.all[which];
    bool list = which == SETTING_RECIPES || which == SETTING_PREBUILT;
    cleanup_strlist struct strlist texts = {0};
    json_t *values = json_array();
    for (size_t i = 0; i < s->values.n; i++) {
        cleanup_free char *text = without_login(which, s->values.items[i]);
        if (which == SETTING_PREBUILT)
            strlist_split(&texts, text, ",");
        else
            strlist_add(&texts, text);
    }
    for (size_t i = 0; i < texts.n; i++)
        json_array_append_new(values, json_visible(texts.items[i]));
    json_t *value = list && texts.n ? json_incref(values)
                    : texts.n       ? json_incref(json_array_get(values, 0))
                                    : json_null();
    json_decref(values);
    print_value(g, setting_names[which].key, NULL, value, s);
}

// ---- sources by name ----

struct source_lines {
    const struct global_options *g;
    struct strlist names; // printed: what comes first counts
};

static int print_source(const struct chosen_source *s, void *context, struct error **err)
{
    struct source_lines *l = context;
    size_t n = strcspn(s->text, "=");
    cleanup_free char *name = xstrndup(s->text, n);
    if (strlist_has(&l->names, name))
        return 0;
    strlist_add(&l->names, name);
    cleanup_free char *value = without_login(SETTING_SOURCE, s->text[n] ? s->text + n + 1 : "");
    cleanup_free char *shown = without_login(SETTING_SOURCE, name);
    print_value(l->g, setting_names[SETTING_SOURCE].key, shown, json_visible(value), &s->from);
    return 0;
}

static void print_sources(const struct global_options *g)
{
    struct source_lines l = {.g = g};
    const char *variable = setting_names[SETTING_SOURCE].variable, *set = getenv(variable);
    cleanup_strlist struct strlist options = {0}, words = {0};
    option_values(g, "--source", &options);
    strlist_split(&words, set ? set : "", " \t\n");
    for (size_t i = 0; i < options.n + words.n; i++) {
        bool option = i < options.n;
        const struct chosen_source s = {
            .text = option ? options.items[i] : words.items[i - options.n],
            .from = {.origin = option ? SET_BY_OPTION : SET_BY_ENVIRONMENT,
                     .name = option ? "--source" : variable}};
        print_source(&s, &l, NULL);
    }
    each_source_of_files(g, print_source, &l, NULL);
    if (!l.names.n) {
        const struct chosen_setting none = {.origin = SET_BY_DEFAULT};
        print_value(g, setting_names[SETTING_SOURCE].key, NULL, json_null(), &none);
    }
    strlist_free(&l.names);
}

// ---- files ----

static void print_file(const struct global_options *g, enum settings_owner owner)
{
    const struct settings_file *f = &g->defaults.files[owner];
    const char *whose = owner == SETTINGS_PROJECT ? "project" : "user";
    cleanup_free char *own = owner == SETTINGS_USER ? settings_user_path() : NULL;
    const char *path = f->path ? f->path : own;
    if (g->json) {
        json_auto_t *line =
            json_pack("{s:s, s:o, s:b}", "settings_of", whose, "file",
                      path ? json_visible(path) : json_null(), "found", f->path != NULL);
        print_json(stdout, line, JSON_COMPACT);
        return;
    }
    print("%-18s %s%s\n", owner == SETTINGS_PROJECT ? "# project's file" : "# your own file",
          path ? path : "none",
          f->path || !path    ? ""
          : path_exists(path) ? " (not read)"
                              : " (not there)");
}

int verb_settings(struct global_options *g, struct strlist *words, struct error **err)
{
    int result = global_options_read(g, err);
    for (enum settings_owner owner = SETTINGS_PROJECT; owner <= SETTINGS_USER; owner++)
        print_file(g, owner);
    for (enum setting i = 0; i < SETTINGS; i++)
        if (i == SETTING_SOURCE)
            print_sources(g);
        else
            print_setting(g, i);
    if (result < 0 || outputs_check(g, err) < 0)
        return -1;
    return build_check(&g->build, err);
}
