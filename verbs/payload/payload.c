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
    char *base;    // its name
    enum payload_layout layout;
    struct payload_installer installer;
    char *output; // path of the layout or archive
    char *name;   // of the image in it, if given
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
    cleanup_error struct error *why = NULL;
    cleanup_free char *commit =
        r->commit ? xstrdup(r->commit) : versions_commit(r->versions_yaml, &why);
    if (!commit && !r->tag && !p->name) {
        *err = steal(why);
        error_wrap(err, "asking git for the commit in upstream's tag");
        return error_hint(err, "give it with --commit=ID, or give a tag");
    }
    if (commit)
        strlist_addf(&p->tags, "kata-containers-%s-%s", commit, tag_arch(p));
    else
        log_note("upstream's tag kata-containers-<commit>-%s is left out (--commit=ID): %s",
                 tag_arch(p), why ? why->message : "git knows none");
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
    if (r->shim_components && r->layout == PAYLOAD_UNPACKED)
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
    return result;
}

// The paths of what a merge adds.
static int reserve_paths(struct push_run *p, struct error **err)
{
    if (!p->directory || p->layout != PAYLOAD_UNPACKED)
        return 0;
    return merge_plan_reserve(&p->plan, "opt/kata/VERSION", err) < 0 ||
                   merge_plan_reserve(&p->plan, "opt/kata/versions.yaml", err) < 0
               ? -1
               : 0;
}

// ---- the base ----

// kata-deploy that installs tarballs looks for kata-static-<component>.tar.zst.
static char *tarball_name(const struct push_run *p, const struct component *c)
{
    const char *tar = strstr(c->name, ".tar.");
    bool zstd = payload_installer_has(&p->installer, INSTALLER_SHIMS);
    return zstd && tar ? xasprintf("%.*s.tar.zst", (int)(tar - c->name), c->name)
                       : xstrdup(c->name);
}

static int check_layout(struct push_run *p, struct error **err)
{
    const struct payload_request *r = p->r;
    bool tarballs = payload_installer_has(&p->installer, INSTALLER_SHIMS);
    enum payload_layout fitting = tarballs ? PAYLOAD_COMPONENTS : PAYLOAD_UNPACKED;
    p->layout = r->layout == PAYLOAD_FITTING ? fitting : r->layout;
    if (p->layout == fitting || r->any_base)
        return 0;
    error_user(err,
               "kata-deploy in the base %s installs %s, and would not see the files of "
               "--layout=%s",
               p->base, tarballs ? "tarballs of components" : "unpacked files",
               tarballs ? "unpacked" : "components");
    return error_hint(err, "leave --layout out; or, if another program installs from the image, "
                           "say --any-base");
}

static int check_program(const struct push_run *p, struct error **err)
{
    if (payload_installer_has(&p->installer, INSTALLER_PROGRAM) ||
        payload_installer_has(&p->installer, INSTALLER_SCRIPT) || p->r->any_base)
        return 0;
    error_user(err,
               "the base %s has no kata-deploy (/usr/bin/kata-deploy, or "
               "/opt/kata-artifacts/scripts/kata-deploy.sh): nothing would install the files",
               p->base);
    return error_hint(err, "without --base it is upstream's kata-deploy of the release; with "
                           "--any-base or --base=scratch the image is one to copy files from, as "
                           "with COPY --from");
}

// A shim whose components are not all there makes kata-deploy fail on each node.
static int check_shims(const struct push_run *p, struct error **err)
{
    enum { LIMIT = 16 << 20 };
    const struct payload_request *r = p->r;
    cleanup_strlist struct strlist components = {0}, complete = {0};
    cleanup_buf struct buf own = {0};
    cleanup_free char *nearest = NULL;
    if (p->layout != PAYLOAD_COMPONENTS || r->any_base || r->keep_base_files)
        return 0;
    for (size_t i = 0; i < p->plan.n; i++) {
        cleanup_free char *name = tarball_name(p, &p->plan.components[i]);
        strlist_add(&components, name);
    }
    if (r->shim_components && file_read(r->shim_components, LIMIT, &own, err) < 0)
        return -1;
    if (payload_installer_check(r->shim_components ? &own : &p->installer.shims, p->arch,
                                &components, &complete, &nearest, err) < 0)
        return -1;
    if (!complete.n) {
        error_user(err, "kata-deploy could install nothing of this for %s: %s", p->arch->name,
                   nearest ? nearest : "shim-components.json names no shim for it");
        return error_hint(err, "push the directory with all components of a shim; or "
                               "--keep-base-files, which leaves those of the base where yours do "
                               "not replace them");
    }
    cleanup_free char *names = strlist_join(&complete, ", ");
    log_note("kata-deploy can install these shims from it: %s", names);
    return 0;
}

// What the base would install of its own.
static int remove_base_files(struct push_run *p, struct error **err)
{
    static const struct {
        enum installer_part part;
        const char *path;
    } all[] = {{INSTALLER_FILES, "opt"}, {INSTALLER_TARBALLS, "tarballs"}};
    for (size_t i = 0; i < ARRAY_LEN(all) && !p->r->keep_base_files; i++) {
        struct payload_layer l = {0};
        if (!payload_installer_has(&p->installer, all[i].part))
            continue;
        if (payload_layer_make_removal(p->store, all[i].path, &l, err) < 0)
            return -1;
        *payload_layers_add(&p->image.layers) = l;
    }
    return 0;
}

static int load_base(struct push_run *p, struct error **err)
{
    const struct payload_request *r = p->r;
    p->base = r->base ? xstrdup(r->base)
                      : payload_base_default(p->version, r->versions_yaml, r->installed,
                                             r->plain_http, err);
    if (!p->base ||
        payload_base_load(p->store, p->base, p->arch, r->plain_http, &p->image, err) < 0)
        return -1;
    if (!strcmp(p->base, "scratch")) {
        p->layout = r->layout == PAYLOAD_FITTING ? PAYLOAD_UNPACKED : r->layout;
        log_note("the image has files alone (--base=scratch): it is one to copy from, and no "
                 "program in it installs them");
        return 0;
    }
    return payload_installer_find(p->store, &p->image.layers, &p->installer, err) < 0 ||
                   check_program(p, err) < 0 || check_layout(p, err) < 0 || check_shims(p, err) < 0
               ? -1
               : remove_base_files(p, err);
}

static int add_component(struct push_run *p, const struct component *c, struct error **err)
{
    bool unpacked = p->layout == PAYLOAD_UNPACKED;
    cleanup_free char *name = tarball_name(p, c);
    cleanup_free char *path = unpacked ? NULL : xasprintf("tarballs/%s", name);
    enum layer_filter filter = !unpacked                           ? LAYER_PLAIN
                               : p->r->compression == PAYLOAD_GZIP ? LAYER_GZIP
                                                                   : LAYER_ZSTD;
    char digest[DIGEST_HEX_SIZE];
    if (c->digest[0])
        memcpy(digest, c->digest, DIGEST_HEX_SIZE);
    else if (digest_file(c->path, digest, NULL, err) < 0)
        return -1;
    struct layer_source from = {.fd = c->fd,
                                .name = c->name,
                                .path = path,
                                .recompress = path && strcmp(name, c->name) ? c->path : NULL,
                                .digest = digest,
                                .threads = p->r->jobs};
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
    bool unpacked = p->layout == PAYLOAD_UNPACKED;
    if (r->shim_components && unpacked)
        return error_set(err, ERROR_USAGE,
                         "shim-components.json belongs to --layout=components, "
                         "and kata-deploy in the base installs unpacked files");
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

// A merged tarball says itself of which release it is; what a merge of the sources here would write
// belongs to components.
static int find_version(struct push_run *p, struct error **err)
{
    const struct payload_request *r = p->r;
    cleanup_free char *in_file = NULL;
    const struct component *c = &p->plan.components[0];
    if (!p->directory && tarball_version(c->fd, c->name, &c->listing, &in_file, err) < 0)
        return -1;
    if (in_file && !strcmp(in_file, RELEASE_UNKNOWN)) {
        free(in_file);
        in_file = NULL;
    }
    p->version = merged_version(r->versions_yaml, r->set, r->choices, in_file, r->source, err);
    return p->version ? 0 : -1;
}

static int make_and_deliver(struct push_run *p, struct error **err)
{
    const struct payload_request *r = p->r;
    if (check_request(p, err) < 0 || environment_epoch(&p->epoch, err) < 0 ||
        collect_tarballs(p, err) < 0 || !(p->store = cache_open(r->cache, false, err)) ||
        make_plan(p, err) < 0)
        return -1;
    const char *directory = p->directory ? r->source : NULL;
    if (payload_arch_find(p->store, &p->plan, directory, r->arch, &p->arch, err) < 0 ||
        find_version(p, err) < 0 || name_tags(p, err) < 0)
        return -1;
    if (load_base(p, err) < 0 || reserve_paths(p, err) < 0 || make_layers(p, err) < 0 ||
        payload_image_compose(p->store, &p->image, err) < 0)
        return -1;
    struct payload_target target = {
        .store = p->store, .request = r, .path = p->output, .tags = &p->tags};
    if (payload_deliver(&target, &p->image, err) < 0)
        return -1;
    if (r->output && r->repository)
        log_note("written to %s; nothing was sent to %s", r->output, r->repository);
    else if (r->output)
        log_note("written to %s", r->output);
    return 0;
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
    free(p.base);
    buf_free(&p.installer.shims);
    strlist_free(&p.paths);
    strlist_free(&p.tags);
    store_close(p.store);
    return result ? error_wrap(err, "making the payload of %s", r->source) : 0;
}
