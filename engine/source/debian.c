// SPDX-License-Identifier: Apache-2.0
// Fetches a distribution source: the files of a resolved package (packages.h), kept as blobs and
// unpacked with dpkg-deb or dpkg-source.
#include "base/error.h"
#include "base/file.h"
#include "base/process.h"
#include "pack/pack.h"
#include "source/internal.h"
#include "source/packages.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <string.h>

// ---- unpacking ----

#define DEPTH_MAX 64

// Run by root, dpkg-deb makes whatever a package contains: devices, and setuid programs. A source
// has neither. Until they are removed nobody else can reach them: the folders above, in the cache's
// tmp, are 0700.
static int check_unpacked_entry(const struct beneath_entry *e, void *context, struct error **err)
{
    int64_t *newest = context;
    struct stat st;
    if (e->type == DT_DIR)
        return 0;
    if (e->type != DT_REG && e->type != DT_LNK)
        return error_user(err, "it holds a device, fifo or socket: %s", e->path);
    if (fstatat(e->directory, e->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return error_errno(err, errno, "reading %s", e->path);
    if (st.st_mtim.tv_sec > *newest)
        *newest = st.st_mtim.tv_sec;
    return 0;
}

// *newest gets the newest mtime of a file. Directories don't count: unpacking changes theirs.
static int check_unpacked(const char *folder, int64_t *newest, struct error **err)
{
    cleanup_close int fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, errno, "reading %s", folder);
    const struct beneath_walk walk = {
        .visit = check_unpacked_entry, .context = newest, .access = true, .depth_limit = DEPTH_MAX};
    *newest = 0;
    return beneath_walk(fd, folder, &walk, err) < 0 ? -1 : beneath_strip(fd, folder, err);
}

int deb_unpack(const char *deb, const char *folder, int64_t *newest, struct error **err)
{
    // Packages, unlike other archives, may hold links to absolute paths (Debian policy 10.5).
    const char *const argv[] = {"dpkg-deb", "--extract", deb, folder, NULL};
    struct process p = {.argv = (char *const *)argv, .input = -1};
    if (process_run(&p, NULL, err) < 0 || check_unpacked(folder, newest, err) < 0)
        return error_wrap(err, "unpacking %s", path_base(deb));
    return 0;
}

struct glob_search {
    const char *glob;
    struct strlist found;
};

static int add_match(const struct beneath_entry *e, void *context, struct error **err)
{
    struct glob_search *s = context;
    if (e->type == DT_REG && fnmatch(s->glob, e->path, FNM_PATHNAME) == 0)
        strlist_add(&s->found, e->path);
    return 0;
}

// The path of the one file below the folder that matches; to be freed.
static char *find_one(const char *folder, const char *glob, struct error **err)
{
    struct glob_search s = {.glob = glob + strspn(glob, "/")};
    const struct beneath_walk walk = {.visit = add_match, .context = &s, .sorted = true};
    cleanup_close int fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    char *path = NULL;
    if (fd < 0)
        error_errno(err, errno, "reading %s", folder);
    else if (beneath_walk(fd, folder, &walk, err) < 0)
        ;
    else if (s.found.n == 0)
        error_user(err, "the package has no file %s", s.glob);
    else if (s.found.n > 1)
        error_user(err, "more than one file of the package matches %s: %s and %s", s.glob,
                   s.found.items[0], s.found.items[1]);
    else
        path = xasprintf("%s/%s", folder, s.found.items[0]);
    strlist_free(&s.found);
    return path;
}

int deb_unpack_inside(const char *folder, const char *glob, const char *destination,
                      int64_t *newest, struct error **err)
{
    cleanup_free char *path = find_one(folder, glob, err);
    if (!path)
        return -1;
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return error_errno(err, errno, "opening %s", path);
    struct unpack_options o = {.strip_first = true};
    return unpack(fd, path_base(path), destination, &o, newest, err);
}

static int changelog_time(const char *folder, int64_t *when, struct error **err)
{
    cleanup_free char *changelog = xasprintf("%s/debian/changelog", folder);
    const char *const argv[] = {"dpkg-parsechangelog", "-l", changelog, "-S", "Timestamp", NULL};
    struct process p = {.argv = (char *const *)argv, .input = -1};
    cleanup_buf struct buf text = {0};
    buf_puts(&text, "");
    if (process_run(&p, &text, err) < 0)
        return -1;
    *when = strtoll(text.data, NULL, 10);
    return 0;
}

// Unpacks a source package, its patches applied, with dpkg-source. *when gets the time of its
// newest changelog entry.
static int dsc_unpack(const char *dsc, const char *destination, int64_t *when, struct error **err)
{
    // apt has checked the files against its signed indexes; the signature inside the .dsc is the
    // uploader's, whose key most machines lack.
    const char *const argv[] = {"dpkg-source", "--no-check", "--no-copy", "--extract",
                                dsc,           destination,  NULL};
    struct process p = {.argv = (char *const *)argv, .input = -1};
    cleanup_buf struct buf said = {0};
    cleanup_free char *tool = find_program("dpkg-source");
    if (!tool) {
        error_user(err, "unpacking a Debian source package needs dpkg-source");
        return error_hint(err, "apt-get install dpkg-dev (or: make deps)");
    }
    if (rmdir(destination) < 0) // dpkg-source makes it
        return error_errno(err, errno, "replacing the directory %s", destination);
    if (process_run(&p, &said, err) < 0) {
        make_directories(destination, 0755, NULL);
        return error_wrap(err, "unpacking %s", path_base(dsc));
    }
    return changelog_time(destination, when, err);
}

// One fetch.
struct debian_fetch {
    const struct debian_source *source;
    const struct source_options *o;
    const char *label;
    struct distribution host;
    char *folder; // scratch
    struct package_set set;
};

static void debian_fetch_end(struct debian_fetch *f)
{
    if (f->folder)
        remove_tree(f->folder, NULL);
    distribution_free(&f->host);
    free(f->folder);
    package_set_free(&f->set);
}
#define cleanup_debian_fetch __attribute__((cleanup(debian_fetch_end)))

// The request for a recipe's packages; `names` is filled and remains the caller's.
static struct packages_request request_of_source(const struct debian_source *s,
                                                 const struct distribution *host,
                                                 struct strlist *names)
{
    if (s->source)
        strlist_add(names, s->source);
    else
        strlist_add_all(names, &s->packages);
    return (struct packages_request){.kind = s->source ? PACKAGES_SOURCE : PACKAGES_FIRST,
                                     .distribution = host,
                                     .arch = s->arch ? s->arch : arch_host(),
                                     .names = names,
                                     .dependency = s->dependency,
                                     .upstream_too = s->upstream_too};
}

int debian_source_request(const struct debian_source *s, const struct source_options *o,
                          packages_action *action, char digest[static DIGEST_HEX_SIZE],
                          struct error **err)
{
    struct distribution host;
    cleanup_strlist struct strlist names = {0};
    if (distribution_host(&host, err) < 0)
        return -1;
    const struct packages_request r = request_of_source(s, &host, &names);
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
static int restore_known_files(struct debian_fetch *f, const char *folder, struct error **err)
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
static int keep_package_files(struct debian_fetch *f, const char *folder, struct error **err)
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

static int get_package_files(struct debian_fetch *f, const char *folder, struct error **err)
{
    if (make_directories(folder, 0700, err) < 0)
        return -1;
    int all = restore_known_files(f, folder, err);
    if (all)
        return all < 0 ? -1 : 0;
    if (f->o->offline) {
        cleanup_free char *what = xasprintf("the package %s", f->set.chosen);
        return refuse_offline(what, err);
    }
    if (packages_download(&f->set, NULL, f->o, folder, err) < 0)
        return err && (!(*err)->hint || !strstr((*err)->hint, "kbuild update"))
                   ? -1
                   : error_hint(err,
                                "if the mirror has newer versions by now, `kbuild update TARGET` "
                                "takes those; `--source NAME=DIR` takes a directory that has what "
                                "the package contains");
    return keep_package_files(f, folder, err);
}

// ---- unpacking ----
// The path of the .deb or .dsc, once all its files are in one folder.
static char *get_main_file(struct debian_fetch *f, struct error **err)
{
    cleanup_free char *folder = xasprintf("%s/files", f->folder);
    if (get_package_files(f, folder, err) < 0)
        return NULL;
    for (size_t i = 0; i < f->set.n; i++)
        if (ends_with(f->set.items[i].file, f->source->source ? ".dsc" : ".deb"))
            return xasprintf("%s/%s", folder, f->set.items[i].file);
    error_user(err, "the package %s has neither .deb nor .dsc", f->set.chosen);
    return NULL;
}

static int unpack_package(struct debian_fetch *f, const char *destination, struct error **err)
{
    cleanup_free char *file = get_main_file(f, err);
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
static char *version_in_name(const char *file)
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

static void debian_provenance_add(const struct debian_fetch *f, json_t *provenance)
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
            cleanup_free char *version = version_in_name(p->file);
            json_object_set_new(provenance, "version", json_string(version));
        }
        json_array_append_new(list, json_pack("{s:s, s:s}", "name", p->file, "sha256", p->sha256));
    }
    json_object_set_new(provenance, "files", list);
}

int debian_source_fetch(const struct source_spec *spec, const struct source_pin *pin,
                        const struct source_options *o, const char *destination, json_t *provenance,
                        bool *unusable, struct error **err)
{
    cleanup_debian_fetch struct debian_fetch f = {
        .source = spec->debian, .o = o, .label = spec->label};
    cleanup_strlist struct strlist names = {0};
    if (distribution_host(&f.host, err) < 0)
        return -1;
    const struct packages_request r = request_of_source(spec->debian, &f.host, &names);
    f.folder = store_temporary(o->store, "debian", err);
    if (!f.folder || packages_open(&r, o, pin->sha256, &f.set, err) < 0 ||
        unpack_package(&f, destination, err) < 0)
        return -1;
    debian_provenance_add(&f, provenance);
    return 0;
}
