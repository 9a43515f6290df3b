// SPDX-License-Identifier: Apache-2.0
// payload push, payload index.
#include "kbuild.h"

#include "run/meter.h"
#include "run/payload.h"

#include <string.h>

static void say(const char *line, void *context)
{
    puts(line);
}

static int choose(const char *option, const char *given, const char *const names[2],
                  struct error **err)
{
    for (int i = 0; i < 2; i++)
        if (!given || !strcmp(given, names[i]))
            return i;
    error_set(err, ERROR_USAGE, "%s=%s is not known", option, given);
    return error_hint(err, "it can be %s or %s", names[0], names[1]);
}

static int push(struct global_options *g, struct strlist *words, struct error **err)
{
    static const char *const layouts[] = {"unpacked", "components"};
    static const char *const compressions[] = {"gzip", "zstd"};
    cleanup_strlist struct strlist storage = {0};
    const char *layout = NULL, *compression = NULL;
    struct payload_request r = {.versions_yaml = g->build.versions,
                                .cache = g->build.cache,
                                .jobs = g->build.jobs,
                                .arch = g->build.arch};
    const struct verb_option options[] = {
        {"--base", NULL, &r.base, NULL, NULL},
        {"--layout", NULL, &layout, NULL, NULL},
        {"--compression", NULL, &compression, NULL, NULL},
        {"--output", "-o", &r.output, NULL, NULL},
        {"--commit", NULL, &r.commit, NULL, NULL},
        {"--shim-components", NULL, &r.shim_components, NULL, NULL},
        {"--plain-http", NULL, NULL, NULL, &r.plain_http}};
    if (parse_verb_options("payload", words, options, ARRAY_LEN(options), &storage, err) < 0)
        return -1;
    if (words->n < (r.output ? 1 : 2) || words->n > 3)
        return usage_error(err, "payload", "expected: payload push FILE REGISTRY/REPOSITORY [TAG]");
    int l = choose("--layout", layout, layouts, err);
    int c = l < 0 ? -1 : choose("--compression", compression, compressions, err);
    if (c < 0)
        return -1;
    r.layout = l == 0 ? PAYLOAD_UNPACKED : PAYLOAD_COMPONENTS;
    r.compression = c == 0 ? PAYLOAD_GZIP : PAYLOAD_ZSTD;
    r.source = words->items[0];
    r.repository = words->n > 1 ? words->items[1] : NULL;
    r.tag = words->n > 2 ? words->items[2] : NULL;
    meter_begin();
    int result = payload_push(&r, say, NULL, err);
    meter_end();
    return result;
}

static int make_index(struct global_options *g, struct strlist *words, struct error **err)
{
    cleanup_strlist struct strlist storage = {0};
    bool plain_http = false;
    const struct verb_option options[] = {{"--plain-http", NULL, NULL, NULL, &plain_http}};
    if (parse_verb_options("payload", words, options, ARRAY_LEN(options), &storage, err) < 0)
        return -1;
    if (words->n < 2)
        return usage_error(err, "payload",
                           "expected: payload index REGISTRY/REPOSITORY:TAG ARCH-TAG...");
    return payload_index(words->items[0], words->items + 1, words->n - 1, plain_http,
                         g->build.cache, say, NULL, err);
}

int verb_payload(struct global_options *g, struct strlist *words, struct error **err)
{
    const char *what = words->n ? words->items[0] : "";
    cleanup_strlist struct strlist rest = {0};
    for (size_t i = 1; i < words->n; i++)
        strlist_add(&rest, words->items[i]);
    if (!strcmp(what, "push"))
        return push(g, &rest, err);
    if (!strcmp(what, "index"))
        return make_index(g, &rest, err);
    return usage_error(err, "payload", "push or index");
}
