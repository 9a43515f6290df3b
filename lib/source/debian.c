// SPDX-License-Identifier: Apache-2.0
// A distribution source: the files of a package, from the mirror that this host is configured with.
// They are kept as blobs, and an action record of the store says which were used last, so that
// --offline works after one fetch and the same version is not downloaded twice.
#include "source/debian.h"

#include "base/log.h"
#include "source/apt.h"
#include "source/room.h"

#include <errno.h>
#include <string.h>

#define RECORD_FORMAT 1

// One fetch.
struct fetch {
    const struct debian_source *source;
    const struct source_options *o;
    const char *label;
    char *id, *codename; // the distribution
    char *folder;        // scratch
    char key[DIGEST_HEX_SIZE];
    json_t *record; // {package, files: [{name, sha256, size}]}
};

static void fetch_end(struct fetch *f)
{
    if (f->folder)
        remove_tree(f->folder, NULL);
    free(f->id);
    free(f->codename);
    free(f->folder);
    json_decref(f->record);
}
#define cleanup_fetch __attribute__((cleanup(fetch_end)))

static char *names_of(const struct debian_source *s)
{
    return s->source ? xasprintf("source %s", s->source) : strlist_join(&s->packages, " ");
}

static void make_key(struct fetch *f)
{
    cleanup_free char *names = names_of(f->source);
    cleanup_free char *text =
        xasprintf("kbuild debian source %d\n%s %s\n%s\n", RECORD_FORMAT, f->id, f->codename, names);
    digest_bytes(text, strlen(text), f->key);
}

// ---- the record ----
static json_t *record_make(const char *package, const struct apt_files *files)
{
    json_t *outputs = json_array();
    for (size_t i = 0; i < files->n; i++)
        json_array_append_new(outputs,
                              json_pack("{s:s, s:s, s:s, s:I}", "name", files->items[i].name,
                                        "digest", files->items[i].sha256, "kind", "blob", "size",
                                        (json_int_t)files->items[i].size));
    return json_pack("{s:s, s:o}", "package", package, "outputs", outputs);
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

// 1: every file of the record is in the store.
static int record_complete(struct store *store, const json_t *record, struct error **err)
{
    size_t i;
    json_t *file, *files = json_object_get(record, "outputs");
    if (json_array_size(files) == 0)
        return 0;
    json_array_foreach(files, i, file)
    {
        const char *digest = text_of(file, "digest"), *name = text_of(file, "name");
        if (!digest_is_hex(digest) || !path_is_clean(name) || strchr(name, '/'))
            return 0;
        int has = store_has_blob(store, digest, err);
        if (has <= 0)
            return has;
    }
    return 1;
}

// ---- getting it ----
// The first of the packages that the distribution has.
static int choose(struct fetch *f, struct apt *a, struct apt_files *files, const char **package,
                  struct error **err)
{
    const struct debian_source *s = f->source;
    size_t count = s->source ? 1 : s->packages.n;
    for (size_t i = 0; i < count; i++) {
        *package = s->source ? s->source : s->packages.items[i];
        int found = apt_find(a, *package, s->source != NULL, files, err);
        if (found)
            return found < 0 ? -1 : 0;
    }
    cleanup_free char *names = names_of(s);
    error_user(err, "%s %s has none of these packages: %s", f->id, f->codename, names);
    return error_hint(err,
                      "name another package under `debian:` in versions.yaml, or get the source "
                      "with --sources=upstream");
}

static int store_file(struct fetch *f, const struct apt_file *file, const char *folder,
                      struct error **err)
{
    cleanup_free char *path = xasprintf("%s/%s", folder, file->name);
    char digest[DIGEST_HEX_SIZE];
    if (store_put_file(f->o->store, path, digest, NULL, err) < 0)
        return -1;
    if (strcmp(digest, file->sha256) == 0)
        return 0;
    return error_user(err, "%s has the SHA-256 %s, but the distribution's index says %s",
                      file->name, digest, file->sha256);
}

static int download(struct fetch *f, struct apt *a, const char *package,
                    const struct apt_files *files, struct error **err)
{
    cleanup_free char *folder = xasprintf("%s/files", f->folder);
    if (make_directories(folder, 0700, err) < 0 ||
        apt_download(a, package, f->source->source != NULL, folder, err) < 0)
        return -1;
    for (size_t i = 0; i < files->n; i++)
        if (store_file(f, &files->items[i], folder, err) < 0)
            return -1;
    return 0;
}

static int get_online(struct fetch *f, struct error **err)
{
    cleanup_buf struct buf sources = {0};
    cleanup_free char *folder = xasprintf("%s/apt", f->folder);
    const struct apt_wanted wanted = {.id = f->id,
                                      .codename = f->codename,
                                      .arch = arch_host(),
                                      .source = f->source->source != NULL,
                                      .folder = f->folder};
    if (apt_sources(&wanted, &sources, err) < 0 || make_directories(folder, 0700, err) < 0)
        return -1;
    struct apt *a = apt_open(folder, sources.data, arch_host(), err);
    if (!a || apt_update(a, false, err) < 0) {
        apt_close(a);
        return -1;
    }
    struct apt_files files = {0};
    const char *package = NULL;
    int result = choose(f, a, &files, &package, err);
    if (result == 0) {
        f->record = record_make(package, &files);
        int complete = record_complete(f->o->store, f->record, err);
        result = complete < 0 ? -1 : complete ? 0 : download(f, a, package, &files, err);
    }
    if (result == 0)
        result = store_action_put(f->o->store, f->key, f->record, err);
    apt_files_free(&files);
    apt_close(a);
    return result;
}

static int get_offline(struct fetch *f, struct error **err)
{
    cleanup_error struct error *ignored = NULL;
    f->record = store_action_get(f->o->store, f->key, &ignored);
    int complete = f->record ? record_complete(f->o->store, f->record, err) : 0;
    if (complete < 0)
        return -1;
    if (complete)
        return 0;
    cleanup_free char *names = names_of(f->source);
    cleanup_free char *what = xasprintf("the package %s of %s %s", names, f->id, f->codename);
    return refuse_offline(what, err);
}

// ---- using it ----
// Puts the files where tools find them under their names.
static int restore(struct fetch *f, char **first, struct error **err)
{
    cleanup_free char *folder = xasprintf("%s/restored", f->folder);
    json_t *file, *files = json_object_get(f->record, "outputs");
    size_t i;
    if (make_directories(folder, 0700, err) < 0)
        return -1;
    json_array_foreach(files, i, file)
    {
        const char *name = text_of(file, "name");
        cleanup_free char *path = xasprintf("%s/%s", folder, name);
        if (store_restore_blob(f->o->store, text_of(file, "digest"), path, err) < 0)
            return -1;
        if (!*first && ends_with(name, f->source->source ? ".dsc" : ".deb"))
            *first = xstrdup(path);
    }
    if (!*first)
        return error_user(err, "the package %s has neither .deb nor .dsc",
                          text_of(f->record, "package"));
    return 0;
}

static int unpack_package(struct fetch *f, const char *destination, struct error **err)
{
    cleanup_free char *file = NULL;
    int64_t when = 0;
    if (restore(f, &file, err) < 0)
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
    json_t *file, *files = json_object_get(f->record, "outputs"), *list = json_array();
    size_t i;
    const char *package_key = f->source->source ? "source" : "package";
    json_object_set_new(provenance, "kind", json_string("debian"));
    json_object_set_new(provenance, "distribution",
                        json_pack("{s:s, s:s}", "id", f->id, "codename", f->codename));
    json_object_set(provenance, package_key, json_object_get(f->record, "package"));
    json_array_foreach(files, i, file)
    {
        const char *name = text_of(file, "name");
        if (ends_with(name, ".deb") || ends_with(name, ".dsc")) {
            cleanup_free char *version = version_of(name);
            json_object_set_new(provenance, "version", json_string(version));
        }
        json_array_append_new(
            list, json_pack("{s:s, s:s}", "name", name, "sha256", text_of(file, "digest")));
    }
    json_object_set_new(provenance, "files", list);
}

int debian_source_fetch(const struct source_spec *spec, const struct source_options *o,
                        const char *destination, json_t *provenance, struct error **err)
{
    cleanup_fetch struct fetch f = {.source = spec->debian, .o = o, .label = spec->label};
    struct distribution host;
    if (distribution_host(&host, err) < 0)
        return -1;
    f.id = host.id;
    f.codename = host.codename;
    make_key(&f);
    f.folder = store_temporary(o->store, "debian", err);
    if (!f.folder || (o->offline ? get_offline(&f, err) : get_online(&f, err)) < 0 ||
        unpack_package(&f, destination, err) < 0)
        return -1;
    provenance_add(&f, provenance);
    return 0;
}
