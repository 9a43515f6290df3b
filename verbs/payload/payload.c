// SPDX-License-Identifier: Apache-2.0
// Implements `kbuild payload push`: collects the components, makes their layers, puts them on a
// base, and delivers the image.
#include "graph/job.h"
#include "payload/internal.h"

#include "release/release.h"
#include "store/tarball_listings.h"

#include "base/error.h"
#include "base/input.h"
#include "pack/merge_plan.h"
#include "pack/reader.h"
#include "registry/registry.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

// For each xz stream that is decoded; with blocks compressed in parallel the total is below 64 MB.
enum { DECODER_MEMORY = 16 << 20 };

struct push_run {
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

// ---- names ----

// OCI Distribution 1.1, "Pulling manifests": [a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}
static int check_tag(const char *tag, struct error **err)
{
    if (reference_tag_is_valid(tag))
        return 0;
    error_user(err, "\"%s\" is not a valid tag", tag);
    return error_hint(err, "a tag is at most 128 letters, digits, '_', '.' and '-', and does not "
                           "begin with '.' or '-'");
}

// Upstream's tag: kata-containers-<commit>-<arch>, with Go's names for x86_64 and, from 3.30.0 on,
// for aarch64, else as uname -m says.
static const char *tag_arch(const struct push_run *p)
{
    bool x86 = !strcmp(p->arch->name, "x86_64"), arm = !strcmp(p->arch->name, "aarch64");
    return x86 || (arm && !version_before(p->version, 3, 30)) ? p->arch->oci : p->arch->name;
}

static int name_tags(struct push_run *p, struct error **err)
{
    const struct payload_request *r = p->r;
    cleanup_free char *commit =
        r->commit ? xstrdup(r->commit) : versions_commit(r->versions_yaml, err);
    if (!commit) {
        error_wrap(err, "asking git for the commit in upstream's tag");
        return error_hint(err, "give it with --commit=ID");
    }
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

static int parse_output(struct push_run *p, struct error **err)
{
    if (payload_output_parse(p->r->output, &p->output, &p->name, err) < 0)
        return -1;
    if (p->name)
        strlist_add(&p->tags, p->name);
    return 0;
}

// Rejects all invalid input before anything is made.
static int check_request(struct push_run *p, struct error **err)
{
    const struct payload_request *r = p->r;
    if (r->shim_components && r->layout != PAYLOAD_COMPONENTS)
        return error_set(err, ERROR_USAGE, "shim-components.json belongs to --layout=components");
    if (r->output)
        return parse_output(p, err);
    struct reference to = {0};
    if (reference_parse(r->repository, &to, err) < 0)
        return -1;
    int result = 0;
    if (to.tag || to.digest) {
        result = error_set(err, ERROR_USAGE, "%s has a tag or digest already", r->repository);
        error_hint(err, "give the tag as a separate word: REGISTRY/REPOSITORY TAG");
    }
    reference_free(&to);
    return result;
}

// ---- digests of tarballs that were hashed before ----
// A file is identified by its path, inode, size and times; a file changed within the last seconds
// is not remembered, since it may change again within the same tick.

struct known_files {
    struct store *store;
    const struct listing_cache *below; // used first
};

enum { SETTLED_SECONDS = 2 };

static int file_key(int fd, const char *path, bool *settled, char key[static DIGEST_HEX_SIZE])
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -1;
    cleanup_free char *absolute = path_absolute(path);
    cleanup_free char *text = xasprintf(
        "kbuild file 1\npath %s\ninode %llu %llu\nsize %lld\nmodified %lld.%09ld\nchanged "
        "%lld.%09ld\n",
        absolute, (unsigned long long)st.st_dev, (unsigned long long)st.st_ino,
        (long long)st.st_size, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
        (long long)st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
    digest_bytes(text, strlen(text), key);
    time_t now = time(NULL);
    *settled =
        st.st_mtim.tv_sec < now - SETTLED_SECONDS && st.st_ctim.tv_sec < now - SETTLED_SECONDS;
    return 0;
}

static int find_digest(void *context, int fd, const char *path, char digest[static DIGEST_HEX_SIZE],
                       struct error **err)
{
    struct known_files *f = context;
    char key[DIGEST_HEX_SIZE];
    bool settled;
    int found = f->below->known(f->below->context, fd, path, digest, err);
    if (found || file_key(fd, path, &settled, key) < 0)
        return found;
    json_auto_t *record = NULL;
    store_action_get(f->store, key, &record, NULL); // after an error it is hashed
    const char *hex = json_string_value(json_object_get(record, "file"));
    if (hex && digest_is_hex(hex)) {
        memcpy(digest, hex, DIGEST_HEX_SIZE);
        found = 1;
    }
    return found;
}

static int get_listing(void *context, const char *digest, struct listing *out, struct error **err)
{
    const struct known_files *f = context;
    return f->below->get(f->below->context, digest, out, err);
}

static int put_listing(void *context, const char *digest, const struct listing *listing,
                       struct error **err)
{
    const struct known_files *f = context;
    return f->below->put(f->below->context, digest, listing, err);
}

// A cache of listings that also has these digests.
static struct listing_cache known_files_open(struct known_files *f, struct store *s,
                                             const struct listing_cache *below)
{
    *f = (struct known_files){s, below};
    return (struct listing_cache){f, find_digest, get_listing, put_listing};
}

static int known_files_record(struct known_files *f, const struct merge_plan *plan,
                              struct error **err)
{
    for (size_t i = 0; i < plan->n; i++) {
        const struct component *c = &plan->components[i];
        char key[DIGEST_HEX_SIZE];
        bool settled;
        if (!c->digest[0] || file_key(c->fd, c->path, &settled, key) < 0 || !settled)
            continue;
        json_auto_t *record = NULL;
        store_action_get(f->store, key, &record, NULL);
        const char *hex = json_string_value(json_object_get(record, "file"));
        if (hex && !strcmp(hex, c->digest))
            continue;
        json_auto_t *new =
            json_pack("{s:s, s:s, s:[]}", "node", "file", "file", c->digest, "outputs");
        if (store_action_put(f->store, key, new, err) < 0)
            return -1;
    }
    return 0;
}

// ---- content ----

static int collect_tarballs(struct push_run *p, struct error **err)
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
static int make_plan(struct push_run *p, struct error **err)
{
    const struct payload_request *r = p->r;
    struct listings listings = {0};
    cleanup_free char *parent =
        p->directory ? NULL : xstrndup(r->source, (size_t)(path_base(r->source) - r->source));
    listings_open(&listings, p->store, p->directory ? r->source : *parent ? parent : ".");
    struct known_files files;
    const struct listing_cache cache = known_files_open(&files, p->store, &listings.cache);
    struct merge_options o = {.prefix = "opt/kata", .cache = &cache};
    int result = merge_plan_make(&p->plan, &p->paths, &o, err);
    if (!result)
        result = known_files_record(&files, &p->plan, err);
    listings_close(&listings);
    if (!result && p->directory && r->layout == PAYLOAD_UNPACKED &&
        (merge_plan_reserve(&p->plan, "opt/kata/VERSION", err) < 0 ||
         merge_plan_reserve(&p->plan, "opt/kata/versions.yaml", err) < 0))
        return -1;
    return result;
}

static int add_component(struct push_run *p, const struct component *c, struct error **err)
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

static int add_text_layer(struct push_run *p, const struct layer_text *texts, size_t count,
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
static int add_version_files(struct push_run *p, struct error **err)
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
        return add_text_layer(p, texts, ARRAY_LEN(texts), "VERSION and versions.yaml", err);
    }
    const struct layer_text texts[] = {{"versions.yaml", versions.data, versions.len},
                                       {"shim-components.json", shims.data, shims.len}};
    return add_text_layer(p, texts, r->shim_components ? 2 : 1, "versions.yaml", err);
}

static int make_layers(struct push_run *p, struct error **err)
{
    for (size_t i = 0; i < p->plan.n; i++)
        if (add_component(p, &p->plan.components[i], err) < 0)
            return -1;
    return add_version_files(p, err);
}

static void print_results(const struct push_run *p, payload_print *print, void *context)
{
    for (size_t i = 0; i < p->tags.n; i++) {
        cleanup_free char *line =
            xasprintf("%s: digest: sha256:%s size: %llu", p->tags.items[i], p->image.manifest,
                      (unsigned long long)p->image.manifest_size);
        print(line, context);
    }
}

static void warn_without_base(const struct push_run *p)
{
    if (!p->r->base)
        log_warning("the image has no base, so it contains files but no program that installs "
                    "them: kata-deploy cannot run from it. --base=REFERENCE names a base "
                    "(docs/payload.md), --base=scratch means that it has none");
}

static int make_and_deliver(struct push_run *p, struct error **err)
{
    const struct payload_request *r = p->r;
    if (check_request(p, err) < 0 || environment_epoch(&p->epoch, err) < 0 ||
        collect_tarballs(p, err) < 0 || !(p->store = store_open(r->cache, err)) ||
        make_plan(p, err) < 0)
        return -1;
    const char *directory = p->directory ? r->source : NULL;
    if (payload_arch_find(p->store, &p->plan, directory, r->arch, &p->arch, err) < 0 ||
        !(p->version = merge_version(r->versions_yaml, r->set, r->choices, err)) || name_tags(p, err) < 0)
        return -1;
    warn_without_base(p);
    if (payload_base_load(p->store, r->base, p->arch, r->plain_http, &p->image, err) < 0 ||
        make_layers(p, err) < 0 || payload_image_compose(p->store, &p->image, err) < 0)
        return -1;
    struct payload_target target = {
        .store = p->store, .request = r, .path = p->output, .tags = &p->tags};
    return payload_deliver(&target, &p->image, err);
}

int payload_push(const struct payload_request *r, payload_print *print, void *context,
                 struct error **err)
{
    struct push_run p = {.r = r};
    decoder_bound_memory(DECODER_MEMORY);
    int result = make_and_deliver(&p, err);
    decoder_bound_memory(0);
    if (!result)
        print_results(&p, print, context);
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
