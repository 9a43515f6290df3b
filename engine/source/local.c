// SPDX-License-Identifier: Apache-2.0
// Uses a local folder as a source: lists and hashes its files for the pin, and copies and hashes
// them again for the source's tree. The folder is untrusted: everything in it is reached from its
// descriptor, component by component, and never through a link.
#include "source/git_internal.h"

#include "base/error.h"
#include "base/file.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ENTRIES_MAX 5000000u
#define BYTES_MAX ((uint64_t)64 << 30)
#define CHUNK_SIZE ((size_t)1 << 18)

// ---- which files ----

static bool has_git_folder(const char *path)
{
    for (const char *p = path; *p; p += strcspn(p, "/"), p += *p == '/') {
        size_t n = strcspn(p, "/");
        if (n == 4 && !strncasecmp(p, ".git", 4))
            return true;
    }
    return false;
}

static int add_walked_entry(const struct beneath_entry *e, void *context, struct error **err)
{
    struct local_tree *t = context;
    if (e->depth && e->event != BENEATH_LEAVE && !has_git_folder(e->path))
        local_tree_add(t, e->path, e->event == BENEATH_ENTER, false);
    if (t->n > ENTRIES_MAX)
        return error_user(err, "%s has more than %u files", t->folder, ENTRIES_MAX);
    return 0;
}

static int select_files(const struct source_spec *spec, const struct source_options *o, int root,
                        bool compare_commit, struct local_tree *t, struct error **err)
{
    *t = (struct local_tree){.label = spec->label,
                             .folder = spec->url,
                             .submodules = spec->submodules,
                             .time = SOURCE_TIME_UNKNOWN,
                             .compare = compare_commit};
    if (local_tree_own(t, o, err) < 0)
        return -1;
    int git = local_git_entries(t, err);
    const struct beneath_walk walk = {
        .visit = add_walked_entry, .context = t, .depth_limit = TREE_DEPTH_MAX};
    if (git < 0 || (!git && beneath_walk(root, spec->url, &walk, err) < 0))
        return -1;
    local_tree_sort(t);
    return 0;
}

// ---- their content ----

struct folder_copy {
    struct local_tree *tree;
    int root;
    struct beneath *to;  // NULL: only hash
    struct buf *listing; // store/store.h
    struct strlist open; // the directories that the last entry is in
    const char *path;    // of the current file
    char *chunk;
    uint64_t bytes, entries;
};

static int copy_failed(const struct folder_copy *t, const char *doing, struct error **err)
{
    return error_errno(err, errno, "%s %s/%s", doing, t->tree->folder, t->path);
}

static int file_changed(const struct folder_copy *t, struct error **err)
{
    error_user(err, "%s/%s changed while it was read", t->tree->folder, t->path);
    return error_hint(err, "run it again when nothing writes there any more");
}

static void add_listing_line(struct folder_copy *t, const char *start, const char *path)
{
    buf_puts(t->listing, start);
    tree_escape(t->listing, path);
    buf_puts(t->listing, "\n");
    t->entries++;
}

// An error if the folder has a `.git` that git does not accept as a repository.
static int check_git_in(const struct folder_copy *t, const char *folder, struct error **err)
{
    if (!t->tree->git)
        return 0;
    cleanup_free char *git = xasprintf("%s/.git", folder);
    cleanup_close int fd = beneath_open(t->root, git, O_PATH, 0);
    if (fd < 0 && errno != ELOOP) // that is a link
        return 0;
    cleanup_free char *shown = xasprintf("%s/%s", t->tree->folder, folder);
    return local_check_git(shown, err);
}

// Lists and makes the new directories of a path, whose first `length` bytes are the folder.
static int enter_folders(struct folder_copy *t, const char *path, size_t length, struct error **err)
{
    size_t depth = 0;
    for (size_t end = 0; end < length; depth++) {
        end += strcspn(path + end, "/");
        if (end > length)
            end = length;
        cleanup_free char *folder = xstrndup(path, end++);
        if (depth < t->open.n && !strcmp(t->open.items[depth], folder))
            continue;
        while (t->open.n > depth)
            free(t->open.items[--t->open.n]);
        strlist_add(&t->open, folder);
        add_listing_line(t, "d ", folder);
        if (check_git_in(t, folder, err) < 0)
            return -1;
        cleanup_free char *inside = xasprintf("%s/x", folder); // any name in it
        const char *base;
        if (t->to && beneath_parent(t->to, inside, &base, err) < 0)
            return -1;
    }
    return 0;
}

static int parent_length(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (int)(slash - path) : 0;
}

static int take_link(struct folder_copy *t, int parent, const char *name, struct error **err)
{
    char target[PATH_MAX + 1];
    ssize_t n = readlinkat(parent, name, target, sizeof target - 1);
    if (n <= 0)
        return copy_failed(t, "reading the link", err);
    target[n] = '\0';
    const char *base;
    if (enter_folders(t, t->path, (size_t)parent_length(t->path), err) < 0)
        return -1;
    int to = t->to ? beneath_parent(t->to, t->path, &base, err) : -1;
    if (t->to && to < 0)
        return -1;
    if (t->to && symlinkat(target, to, base) < 0)
        return copy_failed(t, "copying the link", err);
    cleanup_buf struct buf line = {0};
    buf_puts(&line, "l ");
    tree_escape(&line, target);
    buf_puts(&line, " ");
    add_listing_line(t, line.data, t->path);
    char blob[DIGEST_HEX_SIZE];
    struct digest_stream *d = digest_begin_blob((uint64_t)n);
    digest_add(d, target, (size_t)n);
    digest_end(d, blob);
    local_taken(t->tree, t->path, TREE_LINK, blob);
    return 0;
}

static int create_copy(struct folder_copy *t, bool executable, struct error **err)
{
    const char *base;
    int to = beneath_parent(t->to, t->path, &base, err);
    if (to < 0)
        return -1;
    int fd = openat(to, base, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 || fchmod(fd, executable ? 0755 : 0644) < 0) {
        copy_failed(t, "copying", err);
        if (fd >= 0)
            close(fd);
        return -1;
    }
    return fd;
}

struct taken_file {
    struct stat before;
    char digest[DIGEST_HEX_SIZE];
    struct digest_stream *blob; // or NULL
    uint64_t size;
};

// Hashes the file, and copies it if `out` is a descriptor.
static int copy_bytes(struct folder_copy *t, int fd, int out, struct taken_file *f,
                      struct error **err)
{
    struct digest_stream *d = digest_begin();
    int result = 0;
    while (!result) {
        ssize_t n = fd_read(fd, t->chunk, CHUNK_SIZE);
        if (n < 0)
            result = copy_failed(t, "reading", err);
        if (n <= 0)
            break;
        digest_add(d, t->chunk, (size_t)n);
        if (f->blob)
            digest_add(f->blob, t->chunk, (size_t)n);
        f->size += (uint64_t)n;
        t->bytes += (uint64_t)n;
        progress(t->tree->label, t->bytes, 0, "bytes");
        if (t->bytes > BYTES_MAX)
            result = error_user(err, "%s holds more than 64 GiB", t->tree->folder);
        else if (out >= 0)
            result = fd_write_all(out, t->path, t->chunk, (size_t)n, err);
    }
    digest_end(d, f->digest);
    return result;
}

static bool same_time_and_size(const struct stat *a, const struct stat *b)
{
    return a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_size == b->st_size;
}

static int copy_file(struct folder_copy *t, int fd, int out, enum tree_kind kind,
                     struct taken_file *f, struct error **err)
{
    char blob[DIGEST_HEX_SIZE];
    struct stat after;
    if (local_wants_blob(t->tree, t->path, kind))
        f->blob = digest_begin_blob((uint64_t)f->before.st_size);
    bool compared = f->blob;
    int result = copy_bytes(t, fd, out, f, err);
    if (f->blob)
        digest_end(f->blob, blob);
    if (result < 0)
        return -1;
    if (fstat(fd, &after) < 0 || !same_time_and_size(&f->before, &after) ||
        f->size != (uint64_t)after.st_size)
        return file_changed(t, err);
    local_taken(t->tree, t->path, kind, compared ? blob : NULL);
    return 0;
}

static int take_file(struct folder_copy *t, int parent, const char *name, struct error **err)
{
    cleanup_close int out = -1;
    cleanup_close int fd = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct taken_file f = {0};
    if (fd < 0 || fstat(fd, &f.before) < 0)
        return copy_failed(t, "reading", err);
    if (!S_ISREG(f.before.st_mode))
        return file_changed(t, err);
    enum tree_kind kind = f.before.st_mode & S_IXUSR ? TREE_EXECUTABLE : TREE_FILE;
    if (enter_folders(t, t->path, (size_t)parent_length(t->path), err) < 0 ||
        (t->to && (out = create_copy(t, kind == TREE_EXECUTABLE, err)) < 0) ||
        copy_file(t, fd, out, kind, &f, err) < 0)
        return -1;
    cleanup_free char *line = xasprintf("%c %" PRIu64 " %s ", kind, f.size, f.digest);
    add_listing_line(t, line, t->path);
    return 0;
}

static int refuse_special_file(const struct folder_copy *t, mode_t mode, struct error **err)
{
    error_user(err, "%s/%s is a %s: a source holds files, directories and links only",
               t->tree->folder, t->path,
               S_ISFIFO(mode)   ? "fifo"
               : S_ISSOCK(mode) ? "socket"
                                : "device");
    return error_hint(err, "move it away, or let git ignore it");
}

// A tracked file that is missing is no error: it was removed.
static bool is_gone(int errnum)
{
    return errnum == ENOENT || errnum == ENOTDIR || errnum == ELOOP || errnum == EXDEV;
}

static int take_directory(struct folder_copy *t, const struct local_entry *e, struct error **err)
{
    if (e->tracked) // a submodule's
        local_taken(t->tree, e->path, TREE_DIRECTORY, NULL);
    return enter_folders(t, e->path, strlen(e->path), err);
}

static int take_entry(struct folder_copy *t, const struct local_entry *e, struct error **err)
{
    t->path = e->path;
    size_t length = (size_t)parent_length(e->path);
    cleanup_free char *folder = length ? xstrndup(e->path, length) : xstrdup(".");
    cleanup_close int parent = beneath_open(t->root, folder, O_PATH | O_DIRECTORY, 0);
    const char *name = path_base(e->path);
    struct stat st;
    if (parent < 0 || fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return is_gone(errno) ? 0 : copy_failed(t, "reading", err);
    if (S_ISDIR(st.st_mode) && e->directory)
        return take_directory(t, e, err);
    if (S_ISDIR(st.st_mode))
        return 0;
    if (e->directory) // a submodule's folder that was replaced
        return e->tracked ? 0 : file_changed(t, err);
    if (S_ISLNK(st.st_mode))
        return take_link(t, parent, name, err);
    return S_ISREG(st.st_mode) ? take_file(t, parent, name, err)
                               : refuse_special_file(t, st.st_mode, err);
}

static int take_entries(struct folder_copy *t, struct error **err)
{
    const struct local_tree *tree = t->tree;
    int result = 0;
    t->chunk = xmalloc(CHUNK_SIZE);
    buf_puts(t->listing, "kbuild-tree 1\n");
    for (size_t i = 0; !result && i < tree->n; i++) {
        const struct local_entry *e = &tree->entries[i];
        if ((i && !path_compare(e->path, e[-1].path)) || local_is_own(tree, e->path, e->tracked))
            continue;
        result = take_entry(t, e, err);
        if (!result && t->entries > ENTRIES_MAX)
            result = error_user(err, "%s has more than %u files", tree->folder, ENTRIES_MAX);
    }
    free(t->chunk);
    strlist_free(&t->open);
    local_compare_end(t->tree);
    if (!result && !t->entries) {
        error_user(err, "%s holds no file", tree->folder);
        if (tree->git)
            error_hint(err, "git ignores all that is there");
        result = -1;
    }
    return result;
}

// ---- interface for all kinds of sources ----

static const struct source_choice *planned_choice(const struct source_spec *spec,
                                                  const struct source_options *o)
{
    for (size_t i = 0; o->choices && i < o->choices->n; i++) {
        const struct source_choice *c = &o->choices->items[i];
        if (c->planned && !strcmp(c->folder, spec->url))
            return c;
    }
    return NULL;
}

static int take_folder(const struct source_spec *spec, const struct source_options *o,
                       struct beneath *to, struct source_pin *out, struct error **err)
{
    cleanup_close int root = open(spec->url, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return error_errno(err, errno, "opening %s", spec->url);
    cleanup_local_tree struct local_tree tree = {0};
    cleanup_buf struct buf listing = {0};
    if (select_files(spec, o, root, !to, &tree, err) < 0)
        return -1;
    struct folder_copy t = {.tree = &tree, .root = root, .to = to, .listing = &listing};
    if (take_entries(&t, err) < 0)
        return -1;
    out->sha256 = xmalloc(DIGEST_HEX_SIZE);
    digest_bytes(listing.data, listing.len, out->sha256);
    const struct source_choice *planned = planned_choice(spec, o);
    out->commit = !planned ? steal(tree.commit) : planned->commit ? xstrdup(planned->commit) : NULL;
    out->time = planned ? planned->time : tree.time;
    out->dirty = planned ? planned->dirty : tree.dirty;
    return 0;
}

int local_source_resolve(const struct source_spec *spec, const struct source_options *o,
                         struct source_pin *out, struct error **err)
{
    return take_folder(spec, o, NULL, out, err);
}

static int set_entry_time(const struct beneath_entry *e, void *context, struct error **err)
{
    const int64_t *when = context;
    const struct timespec times[2] = {{.tv_sec = *when}, {.tv_sec = *when}};
    if (e->event == BENEATH_ENTER)
        return 0;
    int done = e->event == BENEATH_LEAVE
                   ? fchmod(e->fd, 0755) | futimens(e->fd, times)
                   : utimensat(e->directory, e->name, times, AT_SYMLINK_NOFOLLOW);
    return done < 0 ? error_errno(err, errno, "setting the time of %s", e->path) : 0;
}

int local_source_fetch(const struct source_spec *spec, const struct source_pin *pin,
                       const struct source_options *o, const char *destination, json_t *provenance,
                       bool *unusable, struct error **err)
{
    cleanup_close int folder = open(destination, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return error_errno(err, errno, "opening %s", destination);
    struct beneath to = {.root = folder};
    struct source_pin now = {0};
    int result = take_folder(spec, o, &to, &now, err);
    beneath_close(&to);
    bool same = !result && now.sha256 && !strcmp(now.sha256, pin->sha256) && now.time == pin->time;
    if (!result && !same) {
        error_user(err, "%s changed since it was looked at", spec->url);
        result = error_hint(err, "run it again when nothing writes there any more");
    }
    int64_t when = pin->time;
    const struct beneath_walk times = {.visit = set_entry_time, .context = &when};
    if (!result)
        result = beneath_walk(folder, destination, &times, err);
    source_pin_free(&now);
    if (result < 0)
        return -1;
    json_object_set_new(provenance, "kind", json_string("local"));
    json_object_set_new(provenance, "tree", json_string(pin->sha256));
    return 0;
}

void source_local_provenance(const struct source_spec *spec, const struct source_pin *pin,
                             json_t *provenance)
{
    if (spec->kind != SOURCE_LOCAL || !provenance)
        return;
    json_object_del(provenance, "commit");
    json_object_del(provenance, "dirty");
    if (!pin->commit)
        return;
    json_object_set_new(provenance, "commit", json_string(pin->commit));
    json_object_set_new(provenance, "dirty", json_boolean(pin->dirty));
}

char *source_local_text(const struct source_spec *spec, const struct source_pin *pin)
{
    if (spec->kind != SOURCE_LOCAL)
        return NULL;
    const char *what = spec->checkout ? "the checkout that versions.yaml is in, " : "";
    if (!pin->sha256)
        return xasprintf("%s%s", what, spec->url);
    if (!pin->commit)
        return xasprintf("%s%s, tree %.12s", what, spec->url, pin->sha256);
    return xasprintf("%s%s, commit %.12s%s, tree %.12s", what, spec->url, pin->commit,
                     pin->dirty ? " with changes" : "", pin->sha256);
}
