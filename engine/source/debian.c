// SPDX-License-Identifier: Apache-2.0
// Fetches a distribution source: the files of a resolved package (packages.h), kept as blobs and
// unpacked.
#include "source/packages.h"

#include "base/error.h"
#include "source/internal.h"

#include <errno.h>
#include <string.h>

// One fetch.
struct fetch {
    const struct debian_source *source;
    const struct source_options *o;
    const char *label;
    struct distribution host;
    char *folder; // scratch
    struct package_set set;
};

static void fetch_end(struct fetch *f)
{
    if (f->folder)
        remove_tree(f->folder, NULL);
    distribution_free(&f->host);
    free(f->folder);
    package_set_free(&f->set);
}
#define cleanup_fetch __attribute__((cleanup(fetch_end)))

// The request for a recipe's packages; `names` is filled and remains the caller's.
static struct packages_request request_of(const struct debian_source *s,
                                          const struct distribution *host, struct strlist *names)
{
    if (s->source)
        strlist_add(names, s->source);
    else
        strlist_add_all(names, &s->packages);
    return (struct packages_request){.kind = s->source ? PACKAGES_SOURCE : PACKAGES_FIRST,
                                     .distribution = host,
                                     .arch = arch_host(),
                                     .names = names};
}

int debian_source_request(const struct debian_source *s, const struct source_options *o,
                          packages_action *action, char digest[static DIGEST_HEX_SIZE],
                          struct error **err)
{
    struct distribution host;
    cleanup_strlist struct strlist names = {0};
    if (distribution_host(&host, err) < 0)
        return -1;
    const struct packages_request r = request_of(s, &host, &names);
    int result = action(&r, o, digest, err);
    distribution_free(&host);
    return result;
}

int debian_source_resolve(const struct source_spec *spec, const struct source_options *o,
                          struct source_pin *out, struct error **err)
{
    char digest[DIGEST_HEX_SIZE];
    if (debian_source_request(spec->debian, o, packages_resolve, digest, err) < 0)
        return -1;
    out->sha256 = xstrdup(digest);
    return 0;
}

// ---- getting it ----

// Puts the files of the set that the store has into the folder. 1: all of them; 0: not all.
static int restore_known(struct fetch *f, const char *folder, struct error **err)
{
    bool all = true;
    for (size_t i = 0; i < f->set.n; i++) {
        const struct package *p = &f->set.items[i];
        cleanup_free char *path = xasprintf("%s/%s", folder, p->file);
        int has = store_has_blob(f->o->store, p->sha256, err);
        if (has < 0 || (has && store_restore_blob(f->o->store, p->sha256, path, err) < 0))
            return -1;
        all = all && has;
    }
    return all;
}

// Keeps the files, so that --offline works and a version is downloaded once.
static int keep_files(struct fetch *f, const char *folder, struct error **err)
{
    for (size_t i = 0; i < f->set.n; i++) {
        const struct package *p = &f->set.items[i];
        cleanup_free char *path = xasprintf("%s/%s", folder, p->file);
        char digest[DIGEST_HEX_SIZE];
        if (store_put_file(f->o->store, path, digest, NULL, err) < 0 ||
            (!path_exists(path) && store_restore_blob(f->o->store, digest, path, err) < 0))
            return -1;
    }
    return 0;
}

static int get_files(struct fetch *f, const char *folder, struct error **err)
{
    if (make_directories(folder, 0700, err) < 0)
        return -1;
    int all = restore_known(f, folder, err);
    if (all)
        return all < 0 ? -1 : 0;
    if (f->o->offline) {
        cleanup_free char *what = xasprintf("the package %s", f->set.chosen);
        return refuse_offline(what, err);
    }
    if (packages_download(&f->set, NULL, f->o, folder, err) < 0)
        return -1;
    return keep_files(f, folder, err);
}

// ---- unpacking ----
// The path of the .deb or .dsc, once all its files are in one folder.
static char *get_first(struct fetch *f, struct error **err)
{
    cleanup_free char *folder = xasprintf("%s/files", f->folder);
    if (get_files(f, folder, err) < 0)
        return NULL;
    for (size_t i = 0; i < f->set.n; i++)
        if (ends_with(f->set.items[i].file, f->source->source ? ".dsc" : ".deb"))
            return xasprintf("%s/%s", folder, f->set.items[i].file);
    error_user(err, "the package %s has neither .deb nor .dsc", f->set.chosen);
    return NULL;
}

static int unpack_package(struct fetch *f, const char *destination, struct error **err)
{
    cleanup_free char *file = get_first(f, err);
    int64_t when = 0;
    if (!file)
        return -1;
    int result;
    progress(f->label, 0, 0, "bytes");
    if (f->source->source) {
        result = dsc_unpack(file, destination, &when, err);
    } else if (!f->source->file) {
        result = deb_unpack(file, destination, &when, err);
    } else {
        cleanup_free char *content = xasprintf("%s/content", f->folder);
        result = make_directories(content, 0700, err);
        if (result == 0)
            result = deb_unpack(file, content, &when, err);
        if (result == 0)
            result = deb_unpack_inside(content, f->source->file, destination, &when, err);
    }
    return result < 0 ? -1 : set_folder_time(destination, when, err);
}

// "busybox_1%3a1.35.0-4_amd64.deb": name, version, architecture; a .dsc has no epoch in its name.
static char *version_of(const char *file)
{
    const char *start = strchr(file, '_');
    if (!start)
        return xstrdup("");
    size_t length = strcspn(start + 1, "_");
    if (ends_with(file, ".dsc"))
        length = strlen(start + 1) - strlen(".dsc");
    cleanup_free char *text = xstrndup(start + 1, length);
    char *colon = strstr(text, "%3a");
    if (!colon)
        return steal(text);
    return xasprintf("%.*s:%s", (int)(colon - text), text, colon + 3);
}

static void provenance_add(const struct fetch *f, json_t *provenance)
{
    json_t *list = json_array();
    json_object_set_new(provenance, "kind", json_string("debian"));
    json_object_set_new(provenance, "distribution",
                        json_pack("{s:s, s:s}", "id", f->host.id, "codename", f->host.codename));
    json_object_set_new(provenance, f->source->source ? "source" : "package",
                        json_string(f->set.chosen));
    for (size_t i = 0; i < f->set.n; i++) {
        const struct package *p = &f->set.items[i];
        if (ends_with(p->file, ".deb") || ends_with(p->file, ".dsc")) {
            cleanup_free char *version = version_of(p->file);
            json_object_set_new(provenance, "version", json_string(version));
        }
        json_array_append_new(list, json_pack("{s:s, s:s}", "name", p->file, "sha256", p->sha256));
    }
    json_object_set_new(provenance, "files", list);
}

int debian_source_fetch(const struct source_spec *spec, const struct source_pin *pin,
                        const struct source_options *o, const char *destination, json_t *provenance,
                        struct error **err)
{
    cleanup_fetch struct fetch f = {.source = spec->debian, .o = o, .label = spec->label};
    cleanup_strlist struct strlist names = {0};
    if (distribution_host(&f.host, err) < 0)
        return -1;
    const struct packages_request r = request_of(spec->debian, &f.host, &names);
    f.folder = store_temporary(o->store, "debian", err);
    if (!f.folder || packages_open(&r, o, pin->sha256, &f.set, err) < 0 ||
        unpack_package(&f, destination, err) < 0)
        return -1;
    provenance_add(&f, provenance);
    return 0;
}
