// SPDX-License-Identifier: Apache-2.0
// Implements payload push and payload index.
#include "kbuild.h"

#include "base/file.h"
#include "base/print.h"
#include "payload/payload.h"
#include "release/release.h"

#include <string.h>

static void say(const char *line, void *context)
{
    print("%s\n", line);
}

int verb_payload_push(struct global_options *g, struct strlist *words, struct error **err)
{
    cleanup_strlist struct strlist guests = {0};
    const char *layout = option_value(g, "--layout");
    const char *compression = option_value(g, "--compression");
    struct payload_request r = {.versions_yaml = g->build.versions,
                                .cache = g->build.cache,
                                .jobs = g->build.jobs,
                                .arch = g->build.arch,
                                .base = option_value(g, "--base"),
                                .output = option_value(g, "--output"),
                                .commit = option_value(g, "--commit"),
                                .shim_components = option_value(g, "--shim-components"),
                                .plain_http = option_given(g, "--plain-http")};
    bool components = layout && !strcmp(layout, "components");
    bool zstd = compression && !strcmp(compression, "zstd");
    if (words->n < 2 && !r.output)
        return usage_error(err, "payload push", "expected: FILE REGISTRY/REPOSITORY [TAG]");
    bool pulls = r.base && strcmp(r.base, "scratch") != 0 && !starts_with(r.base, "oci:");
    if (r.output && r.plain_http && !pulls)
        return usage_error(err, "payload push", "--plain-http: no registry is asked for anything");
    r.layout = components ? PAYLOAD_COMPONENTS : PAYLOAD_UNPACKED;
    r.compression = zstd ? PAYLOAD_ZSTD : PAYLOAD_GZIP;
    r.source = words->items[0];
    r.repository = words->n > 1 ? words->items[1] : NULL;
    r.tag = words->n > 2 ? words->items[2] : NULL;
    bool directory = is_directory(r.source);
    if (open_recipes(g, directory, &r.set, err) < 0)
        return -1;
    int result = directory ? release_guests(r.set, &guests, err) : 0;
    r.guests = &guests;
    meter_begin();
    if (!result)
        result = payload_push(&r, say, NULL, err);
    meter_end();
    recipe_set_free(r.set);
    return result;
}

int verb_payload_index(struct global_options *g, struct strlist *words, struct error **err)
{
    return payload_index(words->items[0], words->items + 1, words->n - 1,
                         option_given(g, "--plain-http"), g->build.cache, say, NULL, err);
}
