// SPDX-License-Identifier: Apache-2.0
// WWW-Authenticate: challenge *("," challenge), a challenge being scheme [1*SP (token68 / params)]
// (RFC 9110, sections 5.6 and 11). Written by anyone, so nothing is believed.
#include "registry/room.h"

#include <string.h>
#include <strings.h>

#define VALUE_MAX 4096 // of a parameter
#define CHALLENGES_MAX 16

static bool is_token_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

static const char *skip_space(const char *p)
{
    while (*p == ' ' || *p == '\t')
        p++;
    return p;
}

static const char *take_token(const char *p, char **out)
{
    const char *start = p;
    while (is_token_char(*p))
        p++;
    *out = p > start ? xstrndup(start, (size_t)(p - start)) : NULL;
    return p;
}

// A token or a quoted string. *out stays NULL if there is none.
static const char *take_value(const char *p, char **out)
{
    if (*p != '"')
        return take_token(p, out);
    struct buf value = {0};
    for (p++; *p && *p != '"'; p++) {
        if (*p == '\\' && p[1])
            p++;
        buf_add(&value, p, 1);
    }
    if (*p == '"') {
        p++;
        *out = buf_take(&value);
    }
    buf_free(&value);
    return p;
}

static void set_parameter(struct challenge *c, const char *name, char *value)
{
    const struct {
        const char *name;
        char **field;
    } known[] = {
        {"realm", &c->realm},
        {"service", &c->service},
        {"scope", &c->scope},
        {"error", &c->error},
    };
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (!strcasecmp(known[i].name, name) && !*known[i].field && strlen(value) <= VALUE_MAX) {
            *known[i].field = value;
            return;
        }
    free(value);
}

// The parameters of one challenge, up to the next scheme or the end.
static const char *take_parameters(const char *p, struct challenge *c)
{
    for (;;) {
        const char *start = p = skip_space(p);
        cleanup_free char *name = NULL;
        char *value = NULL;
        p = skip_space(take_token(p, &name));
        if (!name || *p != '=')
            return start;
        p = take_value(skip_space(p + 1), &value);
        if (value)
            set_parameter(c, name, value);
        // What is left up to the comma is no parameter (token68's padding, say).
        p += strcspn(p, ",");
        if (!*p)
            return p;
        p++;
    }
}

void challenges_add(struct challenges *list, const char *value)
{
    const char *p = value;
    while (*p && list->n < CHALLENGES_MAX) {
        p = skip_space(p);
        char *scheme = NULL;
        p = take_token(p, &scheme);
        if (!scheme) {
            p += *p != '\0';
            continue;
        }
        for (char *c = scheme; *c; c++)
            *c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c;
        list->items = xgrow(list->items, &list->cap, list->n + 1, sizeof *list->items);
        list->items[list->n] = (struct challenge){.scheme = scheme};
        p = take_parameters(p, &list->items[list->n++]);
    }
}

const struct challenge *challenges_find(const struct challenges *list, const char *scheme)
{
    for (size_t i = 0; i < list->n; i++)
        if (!strcmp(list->items[i].scheme, scheme))
            return &list->items[i];
    return NULL;
}

void challenges_free(struct challenges *list)
{
    for (size_t i = 0; i < list->n; i++) {
        free(list->items[i].scheme);
        free(list->items[i].realm);
        free(list->items[i].service);
        free(list->items[i].scope);
        free(list->items[i].error);
    }
    free(list->items);
    *list = (struct challenges){0};
}
