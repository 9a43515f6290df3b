// SPDX-License-Identifier: Apache-2.0
// Implements the verbs on archives: merge, pack, unpack, payload push, payload index.
#include "kbuild.h"

#include "base/file.h"
#include "base/input.h"
#include "base/print.h"
#include "graph/job.h"
#include "payload/payload.h"
#include "release/release.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// ---- merge ----

static int choose_format(const char *given, const char *output, enum pack_format *out,
                         struct error **err)
{
    *out = pack_format_of(output);
    return given ? pack_format_named(given, out, err) : 0;
}

// What makes no target reads of sources the version only.
static int reject_other_sources(struct global_options *g, struct recipe_set *set,
                                struct error **err)
{
    cleanup_strlist struct strlist given = {0};
    option_values(g, "--source", &given);
    for (size_t i = 0; i < given.n; i++) {
        cleanup_free char *name = xstrndup(given.items[i], strcspn(given.items[i], "="));
        if (set && release_version_reads(set, name))
            continue;
        error_set(err, ERROR_USAGE, "--source %s would have no effect: VERSION is not read there",
                  given.items[i]);
        return error_hint(err, "leave it out");
    }
    return 0;
}

// Adds the components of a target's release, if one is named.
static int merge_components(struct global_options *g, const char *target,
                            const struct merge_request *wanted, struct error **err)
{
    struct merge_request r = *wanted;
    cleanup_recipes_view struct recipes_view recipes = {0};
    struct release release = {0};
    cleanup_strlist struct strlist guests = {0};
    struct recipe_set *own = NULL;
    int result = target ? recipes_view_open(&g->build, &recipes, err)
                        : open_recipes(g, !r.components->n, &own, err);
    if (!result && target)
        result = release_of(&recipes.selection, target, g->build.arch, &release, err);
    else if (!result && !r.components->n)
        result = release_guests(own, &guests, err);
    if (!result && !target)
        result = reject_other_sources(g, own, err);
    r.set = target ? recipes.set : own;
    r.release = target ? &release : NULL;
    r.guests = &guests;
    meter_begin();
    if (!result)
        result = merge_directory(&r, err);
    meter_end();
    recipe_set_free(own);
    release_free(&release);
    return result;
}

int verb_merge(struct global_options *g, struct strlist *words, struct error **err)
{
    cleanup_strlist struct strlist components = {0}, lists = {0};
    const char *output = option_value(g, "--output"), *format = option_value(g, "--format"),
               *target = option_value(g, "--target");
    struct merge_request r = {.cache = g->build.cache,
                              .choices = &g->choices,
                              .jobs = g->build.jobs,
                              .components = &components,
                              .rehash = option_given(g, "--rehash")};
    option_values(g, "--components", &lists);
    if (choose_format(format, output ? output : "", &r.format, err) < 0)
        return -1;
    if (target && lists.n)
        return usage_error(err, "merge", "give only one of --target and --components");
    if (!target && command_line_reject(&g->line, BIT(COMMON_ARCH) | BIT(COMMON_SOURCES),
                                       "without --target", err) < 0)
        return -1;
    if (words->n == 2 &&
        command_line_reject(&g->line, BIT(COMMON_VERSIONS),
                            "with a second argument that names versions.yaml", err) < 0)
        return -1;
    if (target) {
        struct strlist targets = {.items = (char **)&target, .n = 1};
        if (check_targets(g, &targets, false, err) < 0)
            return -1;
    }
    for (size_t i = 0; i < lists.n; i++)
        strlist_split(&components, lists.items[i], ", ");
    if (lists.n && !components.n)
        return usage_error(err, "merge", "--components names no component");
    cleanup_free char *usual = xasprintf("kata-static.%s", pack_format_extension(r.format));
    r.directory = words->items[0];
    r.output = output ? output : usual;
    r.versions_yaml = words->n == 2 ? words->items[1] : g->build.versions;
    return merge_components(g, target, &r, err);
}

// ---- pack, unpack ----

int verb_pack(struct global_options *g, struct strlist *words, struct error **err)
{
    const char *format = option_value(g, "--format");
    struct pack_options o = {.threads = g->build.jobs};
    if (choose_format(format, words->items[1], &o.format, err) < 0 ||
        // SOURCE_DATE_EPOCH limits all times. Without it they are unchanged.
        environment_epoch(&o.epoch, err) < 0)
        return -1;
    cleanup_draft struct file_draft draft = FILE_DRAFT_NONE;
    if (file_draft_begin(&draft, words->items[1], err) < 0)
        return -1;
    meter_begin();
    int result = pack_tree(words->items[0], draft.fd, &o, err);
    meter_end();
    return result < 0 ? -1 : file_draft_commit(&draft, 0644, err);
}

int verb_unpack(struct global_options *g, struct strlist *words, struct error **err)
{
    meter_begin();
    int result = unpack_new(words->items[0], words->items[1], err);
    meter_end();
    return result;
}

// ---- payload ----

int verb_payload_push(struct global_options *g, struct strlist *words, struct error **err)
{
    cleanup_strlist struct strlist guests = {0};
    const char *layout = option_value(g, "--layout");
    const char *compression = option_value(g, "--compression");
    struct payload_request r = {.versions_yaml = g->build.versions,
                                .choices = &g->choices,
                                .cache = g->build.cache,
                                .jobs = g->build.jobs,
                                .arch = g->build.arch,
                                .base = option_value(g, "--base"),
                                .output = option_value(g, "--output"),
                                .commit = option_value(g, "--commit"),
                                .shim_components = option_value(g, "--shim-components"),
                                .any_base = option_given(g, "--any-base"),
                                .keep_base_files = option_given(g, "--keep-base-files"),
                                .installed = g->build.installed,
                                .plain_http = option_given(g, "--plain-http")};
    bool components = layout && !strcmp(layout, "components");
    bool zstd = compression && !strcmp(compression, "zstd");
    if (words->n < 2 && !r.output)
        return usage_error(err, "payload push", "expected: FILE REGISTRY/REPOSITORY [TAG]");
    bool scratch = r.base && !strcmp(r.base, "scratch");
    bool pulls = !scratch && !(r.base && starts_with(r.base, "oci:"));
    if (scratch && (r.any_base || r.keep_base_files))
        return usage_error(err, "payload push",
                           "with --base=scratch there is nothing of a base to keep or to look for");
    if (r.output && r.plain_http && !pulls)
        return usage_error(err, "payload push",
                           "--plain-http is not used: no registry is involved");
    r.layout = components ? PAYLOAD_COMPONENTS : layout ? PAYLOAD_UNPACKED : PAYLOAD_FITTING;
    r.compression = zstd ? PAYLOAD_ZSTD : PAYLOAD_GZIP;
    r.source = words->items[0];
    r.repository = words->n > 1 ? words->items[1] : NULL;
    r.tag = words->n > 2 ? words->items[2] : NULL;
    bool directory = is_directory(r.source);
    if (open_recipes(g, directory, &r.set, err) < 0)
        return -1;
    int result = directory ? release_guests(r.set, &guests, err) : 0;
    if (!result)
        result = reject_other_sources(g, r.set, err);
    r.guests = &guests;
    meter_begin();
    if (!result)
        result = payload_push(&r, print_line, NULL, err);
    meter_end();
    recipe_set_free(r.set);
    return result;
}

int verb_payload_index(struct global_options *g, struct strlist *words, struct error **err)
{
    return payload_index(words->items[0], words->items + 1, words->n - 1,
                         option_given(g, "--plain-http"), g->build.cache, print_line, NULL, err);
}

// ---- image ----

int verb_payload_image(struct global_options *g, struct strlist *words, struct error **err)
{
    cleanup_strlist struct strlist labels = {0};
    struct image_request r = {.archives = words,
                              .labels = &labels,
                              .cache = g->build.cache,
                              .jobs = g->build.jobs,
                              .arch = g->build.arch ? g->build.arch : arch_host(),
                              .base = option_value(g, "--base"),
                              .output = option_value(g, "--output"),
                              .entrypoint = option_value(g, "--entrypoint"),
                              .plain_http = option_given(g, "--plain-http")};
    option_values(g, "--label", &labels);
    if (!r.output)
        return usage_error(err, "payload image",
                           "--output=oci:DIR or --output=oci-archive:FILE is missing");
    bool pulls = r.base && strcmp(r.base, "scratch") != 0 && !starts_with(r.base, "oci:");
    if (r.plain_http && !pulls)
        return usage_error(err, "payload image",
                           "--plain-http is not used: no registry is involved");
    meter_begin();
    int result = image_make(&r, print_line, NULL, err);
    meter_end();
    return result;
}
