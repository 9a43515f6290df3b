// SPDX-License-Identifier: Apache-2.0
// Implements `kbuild payload push`: collects the components, makes their layers, puts them on a
// base, and delivers the image.
#include "graph/release_version.h"
#include "payload/internal.h"

#include "release/merge.h"
#include "store/tarball_listings.h"

#include "base/error.h"
#include "base/process.h"
#include "pack/reader.h"
#include "pack/merge_plan.h"
#include "registry/registry.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <string.h>

// For each xz stream that is decoded; with blocks compressed in parallel the total is below 64 MB.
enum { DECODER_MEMORY = 16 << 20 };

struct pushing {
    const struct payload_request *r;
    struct store *store;
    int64_t epoch;
    bool directory; // r->source is one: VERSION and versions.yaml are added, as a merge does
    struct merge_plan plan;
    const struct arch *arch;
    char *version; // Kata's
    char *output;  // path of the layout or archive
    char *name;    // of the image in it, if given
    struct strlist paths, tags;
    struct payload_image image;
};

int payload_epoch(int64_t *out, struct error **err)
{
    const char *text = getenv("SOURCE_DATE_EPOCH");
    char *end = NULL;
    errno = 0;
    *out = text && *text ? strtoll(text, &end, 10) : INT64_MAX;
    if (!text || !*text || (!errno && !*end && *out >= 0))
        return 0;
    error_user(err, "SOURCE_DATE_EPOCH is '%s'", text);
    return error_hint(err, "it is a number of seconds since 1970");
}

// ---- names ----

static char *head_commit(const char *versions_yaml, struct error **err)
{
    const char *base = path_base(versions_yaml);
    cleanup_free char *before = xstrndup(versions_yaml, (size_t)(base - versions_yaml));
    cleanup_free char *folder = path_absolute(*before ? before : ".");
    char *const argv[] = {(char *)"git",       (char *)"-C",   folder,
                          (char *)"rev-parse", (char *)"HEAD", NULL};
    struct process p = {.argv = argv, .input = -1};
    cleanup_buf struct buf text = {0};
    if (process_run(&p, &text, err) < 0) {
        error_wrap(err, "asking git for the commit that upstream's tag names");
        error_hint(err, "--commit=ID says it");
        return NULL;
    }
    while (text.len && text.data[text.len - 1] == '\n')
        text.data[--text.len] = '\0';
    return buf_take(&text);
}

// OCI Distribution 1.1, "Pulling manifests": [a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}
static int check_tag(const char *tag, struct error **err)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    size_t n = strlen(tag);
    if (n && n <= 128 && strspn(tag, allowed) == n && *tag != '.' && *tag != '-')
        return 0;
    error_user(err, "\"%s\" can't be a tag", tag);
    return error_hint(err, "a tag is at most 128 letters, digits, '_', '.' and '-', and does not "
                           "begin with '.' or '-'");
}

// Upstream's tag: kata-containers-<commit>-<arch>, with Go's names for x86_64 and, from 3.30.0 on,
// for aarch64, else as uname -m says.
static const char *tag_arch(const struct pushing *p)
{
    bool x86 = !strcmp(p->arch->name, "x86_64"), arm = !strcmp(p->arch->name, "aarch64");
    return x86 || (arm && !version_before(p->version, 3, 30)) ? p->arch->oci : p->arch->name;
}

static int name_tags(struct pushing *p, struct error **err)
{
    const struct payload_request *r = p->r;
    cleanup_free char *commit = r->commit ? xstrdup(r->commit) : head_commit(r->versions_yaml, err);
    if (!commit)
        return -1;
    strlist_addf(&p->tags, "kata-containers-%s-%s", commit, tag_arch(p));
    if (r->tag && !strlist_has(&p->tags, r->tag))
        strlist_add(&p->tags, r->tag);
    for (size_t i = 0; i < p->tags.n; i++)
        // In a layout a name may differ from a tag.
        if (!(p->name && !strcmp(p->tags.items[i], p->name)) &&
            check_tag(p->tags.items[i], err) < 0)
            return -1;
    return 0;
}

// "oci:DIR[:NAME]", "oci-archive:FILE[:NAME]", as in other tools.
static int read_output(struct pushing *p, struct error **err)
{
    const char *text = p->r->output, *colon = text ? strchr(text, ':') : NULL;
    if (!text)
        return 0;
    if (!colon || !colon[1] || (!starts_with(text, "oci:") && !starts_with(text, "oci-archive:"))) {
        error_set(err, ERROR_USAGE, "--output=%s is neither a layout nor an archive", text);
        return error_hint(err, "--output=oci:DIR or --output=oci-archive:FILE");
    }
    p->output = xstrdup(colon + 1);
    // At the first colon, as skopeo does: a name may contain more.
    char *name = strchr(p->output, ':');
    if (!name)
        return 0;
    *name++ = '\0';
    p->name = xstrdup(name);
    strlist_add(&p->tags, name);
    return oci_check_name(name, err) < 0 ? error_wrap(err, "--output=%s", text) : 0;
}

// Rejects all invalid input before anything is made.
static int check_request(struct pushing *p, struct error **err)
{
    const struct payload_request *r = p->r;
    if (r->shim_components && r->layout != PAYLOAD_COMPONENTS)
        return error_set(err, ERROR_USAGE, "shim-components.json belongs to --layout=components");
    if (r->output)
        return read_output(p, err);
    struct reference to = {0};
    if (reference_parse(r->repository, &to, err) < 0)
        return -1;
    int result = 0;
    if (to.tag || to.digest) {
        result = error_set(err, ERROR_USAGE, "%s has a tag or digest already", r->repository);
        error_hint(err, "write the tag as a word of its own: REGISTRY/REPOSITORY TAG");
    }
    reference_free(&to);
    return result;
}

// ---- content ----

static int collect(struct pushing *p, struct error **err)
{
    p->directory = is_directory(p->r->source);
    if (p->directory) {
        struct merge_request m = {.directory = p->r->source, .guests = p->r->guests};
        return merge_collect(&m, &p->paths, err);
    }
    strlist_add(&p->paths, p->r->source);
    return 0;
}

// Opens, lists and digests the tarballs, and checks that they fit together, as a merge does.
static int make_plan(struct pushing *p, struct error **err)
{
    const struct payload_request *r = p->r;
    struct listings listings = {0};
    cleanup_free char *parent =
        p->directory ? NULL : xstrndup(r->source, (size_t)(path_base(r->source) - r->source));
    listings_open(&listings, p->store, p->directory ? r->source : *parent ? parent : ".");
    struct payload_files files;
    const struct listing_keeper keeper = payload_files_open(&files, p->store, &listings.keeper);
    struct merge_options o = {.prefix = "opt/kata", .keeper = &keeper};
    int result = merge_plan_make(&p->plan, &p->paths, &o, err);
    if (!result)
        result = payload_files_remember(&files, &p->plan, err);
    listings_close(&listings);
    if (!result && p->directory && r->layout == PAYLOAD_UNPACKED &&
        (merge_plan_reserve(&p->plan, "opt/kata/VERSION", err) < 0 ||
         merge_plan_reserve(&p->plan, "opt/kata/versions.yaml", err) < 0))
        return -1;
    return result;
}

static int add_component(struct pushing *p, const struct component *c, struct error **err)
{
    bool unpacked = p->r->layout == PAYLOAD_UNPACKED;
    cleanup_free char *path = unpacked ? NULL : xasprintf("tarballs/%s", c->name);
    enum layer_filter filter = !unpacked                           ? LAYER_PLAIN
                               : p->r->compression == PAYLOAD_GZIP ? LAYER_GZIP
                                                                   : LAYER_ZSTD;
    char digest[DIGEST_HEX_SIZE];
    if (c->digest[0])
        memcpy(digest, c->digest, DIGEST_HEX_SIZE);
    else if (digest_file(c->path, digest, NULL, err) < 0)
        return -1;
    struct layer_source from = {
        .fd = c->fd, .name = c->name, .path = path, .digest = digest, .threads = p->r->jobs};
    struct payload_layer l = {0};
    if (payload_layer_make(p->store, &from, filter, p->epoch, &l, err) < 0)
        return -1;
    *payload_layers_add(&p->image.layers) = l;
    return 0;
}

static int add_texts(struct pushing *p, const struct layer_text *texts, size_t count,
                     const char *made_of, struct error **err)
{
    struct payload_layer l = {0};
    if (payload_layer_make_texts(p->store, texts, count, made_of, LAYER_GZIP, &l, err) < 0)
        return -1;
    *payload_layers_add(&p->image.layers) = l;
    return 0;
}

// Adds the files that a merge would add: VERSION and versions.yaml; and HEAD's versions.yaml and
// shim-components.json beside the tarballs.
static int add_facts(struct pushing *p, struct error **err)
{
    enum { LIMIT = 16 << 20 };
    const struct payload_request *r = p->r;
    cleanup_buf struct buf versions = {0}, shims = {0};
    bool unpacked = r->layout == PAYLOAD_UNPACKED;
    if (unpacked && !p->directory)
        return 0; // they are in the merged tarball
    if (file_read(r->versions_yaml, LIMIT, &versions, err) < 0 ||
        (r->shim_components && file_read(r->shim_components, LIMIT, &shims, err) < 0))
        return -1;
    if (unpacked) {
        cleanup_free char *version = xasprintf("%s\n", p->version);
        const struct layer_text texts[] = {{"opt/kata/VERSION", version, strlen(version)},
                                           {"opt/kata/versions.yaml", versions.data, versions.len}};
        return add_texts(p, texts, ARRAY_LEN(texts), "VERSION and versions.yaml", err);
    }
    const struct layer_text texts[] = {{"versions.yaml", versions.data, versions.len},
                                       {"shim-components.json", shims.data, shims.len}};
    return add_texts(p, texts, r->shim_components ? 2 : 1, "versions.yaml", err);
}

static int make_layers(struct pushing *p, struct error **err)
{
    for (size_t i = 0; i < p->plan.n; i++)
        if (add_component(p, &p->plan.components[i], err) < 0)
            return -1;
    return add_facts(p, err);
}

static void say_all(const struct pushing *p, payload_say *say, void *context)
{
    for (size_t i = 0; i < p->tags.n; i++) {
        cleanup_free char *line =
            xasprintf("%s: digest: sha256:%s size: %llu", p->tags.items[i], p->image.manifest,
                      (unsigned long long)p->image.manifest_size);
        say(line, context);
    }
}

static void warn_of_scratch(const struct pushing *p)
{
    if (!p->r->base)
        log_warning("the image has no base, so it carries files and no program that installs them: "
                    "kata-deploy cannot run from it. --base=REFERENCE names one (docs/payload.md), "
                    "--base=scratch says that none is wanted");
}

static int push(struct pushing *p, struct error **err)
{
    const struct payload_request *r = p->r;
    if (check_request(p, err) < 0 || payload_epoch(&p->epoch, err) < 0 || collect(p, err) < 0 ||
        !(p->store = store_open(r->cache, err)) || make_plan(p, err) < 0)
        return -1;
    const char *directory = p->directory ? r->source : NULL;
    if (payload_arch_find(p->store, &p->plan, directory, r->arch, &p->arch, err) < 0 ||
        !(p->version = merge_version(r->versions_yaml, r->set, err)) || name_tags(p, err) < 0)
        return -1;
    warn_of_scratch(p);
    if (payload_base_load(p->store, r->base, p->arch, r->plain_http, &p->image, err) < 0 ||
        make_layers(p, err) < 0 || payload_image_compose(p->store, &p->image, err) < 0)
        return -1;
    struct payload_target target = {
        .store = p->store, .request = r, .path = p->output, .tags = &p->tags};
    return payload_deliver(&target, &p->image, err);
}

int payload_push(const struct payload_request *r, payload_say *say, void *context,
                 struct error **err)
{
    struct pushing p = {.r = r};
    decoder_bound_memory(DECODER_MEMORY);
    int result = push(&p, err);
    decoder_bound_memory(0);
    if (!result)
        say_all(&p, say, context);
    merge_plan_free(&p.plan);
    payload_image_free(&p.image);
    free(p.output);
    free(p.name);
    free(p.version);
    strlist_free(&p.paths);
    strlist_free(&p.tags);
    store_close(p.store);
    return result ? error_wrap(err, "making the payload of %s", r->source) : 0;
}
