// SPDX-License-Identifier: Apache-2.0
// Opens, locks and repairs the bare repositories in the cache that git sources are fetched into,
// and manages their refs.
#include "source/git_internal.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

static void libgit2_begin(void)
{
    git_libgit2_init();
    // Git checks the owner of a repository because it runs hooks and programs from the
    // configuration. Here objects are only read and hashed. So a cache that another user filled, or
    // a repository in a mounted folder, may be used.
    git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
    git_libgit2_opts(GIT_OPT_SET_USER_AGENT, "kbuild " KBUILD_VERSION);
#if LIBGIT2_VER_MAJOR > 1 || (LIBGIT2_VER_MAJOR == 1 && LIBGIT2_VER_MINOR >= 7)
    git_libgit2_opts(GIT_OPT_SET_SERVER_CONNECT_TIMEOUT, 30000);
    git_libgit2_opts(GIT_OPT_SET_SERVER_TIMEOUT, 120000);
#endif
}

void mirror_library_begin(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, libgit2_begin);
}

int git_failed(struct error **err, const char *format, ...)
{
    int errnum = errno; // of a call without a libgit2 message, such as a full disk
    va_list args;
    va_start(args, format);
    cleanup_free char *what = xvasprintf(format, args);
    va_end(args);
    const git_error *last = git_error_last();
    if (last && last->message)
        return error_user(err, "%s: %s", what, last->message);
    return errnum ? error_errno(err, errnum, "%s", what) : error_user(err, "%s: git failed", what);
}

bool is_commit_id(const char *text)
{
    return hex_is_lower(text, 40);
}

static char *mirror_path(struct store *store, const char *url)
{
    char hex[DIGEST_HEX_SIZE];
    digest_bytes(url, strlen(url), hex);
    return xasprintf("%s/git/%.40s.git", store_directory(store), hex);
}

// As the store makes its other directories: closed to others, who could put objects into it.
static int make_mirrors(struct store *store, struct error **err)
{
    cleanup_free char *path = xasprintf("%s/git", store_directory(store));
    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        return error_errno(err, errno, "creating the directory %s", path);
    return 0;
}

static int lock_mirror(struct store *store, const char *path, const char *shown, struct error **err)
{
    cleanup_free char *name = xasprintf("%.*s.lock", (int)(strlen(path) - 4), path);
    if (make_mirrors(store, err) < 0)
        return -1;
    cleanup_close int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        return error_errno(err, errno, "locking the mirror %s", path);
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return steal_fd(&fd);
    if (errno == EWOULDBLOCK)
        log_note("waiting for another kbuild that fetches %s", shown);
    while (flock(fd, LOCK_EX) < 0)
        if (errno != EINTR)
            return error_errno(err, errno, "locking the mirror %s", path);
    return steal_fd(&fd);
}

static bool is_incomplete_pack(const char *name)
{
    return !starts_with(name, "pack-");
}

static bool is_lock_file(const char *name)
{
    return ends_with(name, ".lock");
}

// Folders in which a killed fetch leaves files, and which: incomplete packs, and libgit2's own
// locks, which outlive their process and would block every later fetch.
static const struct {
    const char *folder;
    bool (*left_over)(const char *name);
} leftovers[] = {
    {"objects/pack", is_incomplete_pack}, {".", is_lock_file}, {"refs/kbuild/ref", is_lock_file}};

// Only with the mirror's lock held: then no other kbuild uses it.
static void sweep_mirror(const char *path)
{
    for (size_t i = 0; i < ARRAY_LEN(leftovers); i++) {
        cleanup_free char *folder = xasprintf("%s/%s", path, leftovers[i].folder);
        cleanup_strlist struct strlist names = {0};
        if (!is_directory(folder) || list_directory(folder, &names, NULL) < 0)
            continue;
        for (size_t k = 0; k < names.n; k++)
            if (leftovers[i].left_over(names.items[k])) {
                cleanup_free char *file = xasprintf("%s/%s", folder, names.items[k]);
                unlink(file);
            }
    }
}

// A new mirror appears complete or not at all.
static int make_mirror(const char *path, git_repository **out, struct error **err)
{
    cleanup_free char *fresh = xasprintf("%s.new", path);
    git_repository *made = NULL;
    if (remove_tree(fresh, err) < 0 || remove_tree(path, err) < 0)
        return -1;
    if (git_repository_init(&made, fresh, true) < 0)
        return git_failed(err, "making the mirror %s", path);
    git_repository_free(made);
    if (rename(fresh, path) < 0)
        return error_errno(err, errno, "making the mirror %s", path);
    if (git_repository_open_bare(out, path) < 0)
        return git_failed(err, "opening the new mirror %s", path);
    return 0;
}

int mirror_open(struct store *store, const char *url, const char *label, bool write,
                struct mirror *out, struct error **err)
{
    mirror_library_begin();
    *out = (struct mirror){.lock = -1,
                           .url = xstrdup(url),
                           .shown = http_url_shown(url),
                           .label = xstrdup(label),
                           .path = mirror_path(store, url)};
    if (write) {
        out->lock = lock_mirror(store, out->path, out->shown, err);
        if (out->lock < 0)
            return -1;
        sweep_mirror(out->path);
    }
    int result = git_repository_open_bare(&out->repository, out->path);
    if (result == GIT_ENOTFOUND && !write)
        return 0;
    if (result == GIT_ENOTFOUND)
        return make_mirror(out->path, &out->repository, err) < 0 ? -1 : 1;
    if (result < 0)
        return git_failed(err, "opening the mirror %s of %s", out->path, out->shown);
    return 1;
}

void mirror_close(struct mirror *m)
{
    git_repository_free(m->repository);
    free(m->url);
    free(m->shown);
    free(m->label);
    free(m->path);
    if (m->lock >= 0)
        close(m->lock);
    *m = MIRROR_NONE;
}

int mirror_discard(struct store *store, const char *url, struct error **err)
{
    cleanup_free char *path = mirror_path(store, url);
    cleanup_free char *shown = http_url_shown(url);
    cleanup_close int lock = lock_mirror(store, path, shown, err);
    return lock < 0 ? -1 : remove_tree(path, err);
}

bool mirror_has_commit(const struct mirror *m, const char *commit)
{
    git_oid id;
    git_commit *c = NULL;
    bool has = m->repository && git_oid_fromstr(&id, commit) == 0 &&
               git_commit_lookup(&c, m->repository, &id) == 0;
    git_commit_free(c);
    return has;
}

static char *mirror_ref_name(const char *upstream_name)
{
    char hex[DIGEST_HEX_SIZE];
    digest_bytes(upstream_name, strlen(upstream_name), hex);
    return xasprintf("refs/kbuild/ref/%.32s", hex);
}

int mirror_set_ref(struct mirror *m, const char *name, const git_oid *id, struct error **err)
{
    cleanup_free char *flat = mirror_ref_name(name);
    git_reference *ref = NULL;
    if (git_reference_create(&ref, m->repository, flat, id, true, NULL) < 0)
        return git_failed(err, "recording %s of %s", name, m->shown);
    git_reference_free(ref);
    return 0;
}

int mirror_forget_refs(struct mirror *m, struct error **err)
{
    git_strarray names = {0};
    int result = git_reference_list(&names, m->repository);
    for (size_t i = 0; i < names.count && result == 0; i++)
        result = git_reference_remove(m->repository, names.strings[i]);
    git_strarray_dispose(&names);
    return result < 0 ? git_failed(err, "removing the refs of the mirror of %s", m->shown) : 0;
}

static int find_named_ref(const struct mirror *m, const char *name, git_oid *out)
{
    cleanup_free char *flat = mirror_ref_name(name);
    git_reference *ref = NULL;
    git_object *commit = NULL;
    int found = git_reference_lookup(&ref, m->repository, flat) == 0 &&
                git_reference_peel(&commit, ref, GIT_OBJECT_COMMIT) == 0;
    if (found)
        *out = *git_object_id(commit);
    git_object_free(commit);
    git_reference_free(ref);
    return found;
}

int mirror_find_ref(const struct mirror *m, const char *ref, git_oid *out)
{
    if (!m->repository)
        return 0;
    cleanup_free char *tag = xasprintf("refs/tags/%s", ref);
    cleanup_free char *branch = xasprintf("refs/heads/%s", ref);
    cleanup_free char *with_v = xasprintf("refs/tags/v%s", ref);
    return find_named_ref(m, ref, out) || find_named_ref(m, tag, out) ||
           find_named_ref(m, branch, out) ||
           (ref[0] >= '0' && ref[0] <= '9' && find_named_ref(m, with_v, out));
}

int mirror_find_prefix(const struct mirror *m, const char *prefix, git_oid *out)
{
    size_t n = strlen(prefix);
    git_oid id;
    git_object *commit = NULL;
    if (n < 7 || n > 40 || strspn(prefix, "0123456789abcdef") != n || !m->repository ||
        git_oid_fromstrn(&id, prefix, n) < 0 ||
        git_object_lookup_prefix(&commit, m->repository, &id, n, GIT_OBJECT_COMMIT) < 0)
        return 0;
    *out = *git_object_id(commit);
    git_object_free(commit);
    return 1;
}
