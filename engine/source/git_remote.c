// SPDX-License-Identifier: Apache-2.0
// Fetches from a remote repository into its mirror, with as few refs as possible.
#include "source/git_internal.h"

#include "base/error.h"
#include "base/file.h"
#include "base/process.h"
#include "http/http.h"

#include <string.h>

// Since 1.7 libgit2 can fetch without history, but not from a local folder.
#if LIBGIT2_VER_MAJOR > 1 || (LIBGIT2_VER_MAJOR == 1 && LIBGIT2_VER_MINOR >= 7)
#define CAN_SHALLOW 1
#endif

#define RETRY_GIT ((struct retry){.left = 2, .pause_ms = 500})

struct git_session {
    struct mirror *mirror;
    git_remote *remote;
    const git_remote_head **heads; // the remote's
    size_t head_count;
    struct git_outcome outcome; // what the transport reported
    unsigned credentials_asked;
    bool wants_login; // it requires a login that is not available
};

static int on_fetch_progress(const git_indexer_progress *p, void *context)
{
    const struct git_session *s = context;
    char what[256];
    snprintf(what, sizeof what, "%s: %.1f MiB received", s->mirror->label,
             (double)p->received_bytes / 1048576);
    progress(what, p->received_objects, p->total_objects, "objects");
    return 0;
}

// Takes an ssh agent's key, once. Nobody can be asked for a password.
static int on_credentials(git_credential **out, const char *url, const char *user, unsigned allowed,
                          void *context)
{
    struct git_session *s = context;
    if (allowed & GIT_CREDENTIAL_USERNAME)
        return git_credential_username_new(out, user ? user : "git");
    if ((allowed & GIT_CREDENTIAL_SSH_KEY) && s->credentials_asked++ == 0)
        return git_credential_ssh_key_from_agent(out, user ? user : "git");
    s->wants_login = true;
    return GIT_EUSER;
}

// libgit2 has its own ssh transport.
static int on_transport(git_transport **out, git_remote *owner, void *context)
{
    struct git_session *s = context;
    const char *url = git_remote_url(owner);
    if (git_http_is_url(url))
        return git_http_transport(out, owner, &s->outcome);
    if (git_stream_is_url(url))
        return git_stream_transport(out, owner, &s->outcome);
    return git_transport_new(out, owner, url);
}

static void set_callbacks(git_remote_callbacks *c, struct git_session *s)
{
    git_remote_init_callbacks(c, GIT_REMOTE_CALLBACKS_VERSION);
    c->transfer_progress = on_fetch_progress;
    c->credentials = on_credentials;
    c->transport = on_transport;
    c->payload = s;
}

static void session_end(struct git_session *s)
{
    git_remote_free(s->remote); // disconnects
    git_outcome_clear(&s->outcome);
    *s = (struct git_session){.mirror = s->mirror};
}

// url.<base>.insteadOf was applied by session_begin(), from all of git's configuration.
static int connect_once(struct git_session *s, const char *url)
{
    git_remote_callbacks callbacks;
    git_remote_create_options options;
    set_callbacks(&callbacks, s);
    git_remote_create_options_init(&options, GIT_REMOTE_CREATE_OPTIONS_VERSION);
    options.repository = s->mirror->repository;
    options.flags = GIT_REMOTE_CREATE_SKIP_INSTEADOF | GIT_REMOTE_CREATE_SKIP_DEFAULT_FETCHSPEC;
    s->credentials_asked = 0;
    int result = git_remote_create_with_opts(&s->remote, url, &options);
    if (result == 0)
        result = git_remote_connect(s->remote, GIT_DIRECTION_FETCH, &callbacks, NULL, NULL);
    if (result == 0)
        result = git_remote_ls(&s->heads, &s->head_count, s->remote);
    return result;
}

static bool is_transient(const struct git_session *s, int result)
{
    const git_error *last = git_error_last();
    if (s->outcome.failure)
        return s->outcome.may_pass;
    if (result == GIT_EAUTH || result == GIT_EUSER || result == GIT_ENOTFOUND || !last)
        return false;
    return last->klass == GIT_ERROR_NET || last->klass == GIT_ERROR_OS ||
           last->klass == GIT_ERROR_SSL || last->klass == GIT_ERROR_SSH ||
           last->klass == GIT_ERROR_HTTP;
}

static int remote_refused(struct git_session *s, struct error **err)
{
    if (s->outcome.failure) {
        *err = steal(s->outcome.failure);
        return error_wrap(err, "fetching %s", s->mirror->shown);
    }
    if (s->wants_login) {
        error_user(err, "fetching %s: it asks for a login", s->mirror->shown);
        return error_hint(err, "check the url: hosts ask for a login where a repository does not "
                               "exist or is not public");
    }
    return git_failed(err, "fetching %s", s->mirror->shown);
}

static int remote_failed(struct git_session *s, int code, struct error **err)
{
    bool again = is_transient(s, code);
    remote_refused(s, err);
    if (again && err)
        (*err)->kind = ERROR_AGAIN; // for `kbuild run`
    return -1;
}

// A folder that is no repository is not a network error.
static int check_local_repository(const struct git_session *s, const char *url, struct error **err)
{
    cleanup_free char *folder = git_folder_of(url);
    git_repository *repository = NULL;
    if (!is_directory(folder)) {
        error_user(err, "fetching %s: the directory %s does not exist", s->mirror->shown, folder);
        return error_hint(err, "check the url in versions.yaml, and git's url.<base>.insteadOf");
    }
    int result = git_repository_open(&repository, folder);
    bool shallow = result == 0 && git_repository_is_shallow(repository) == 1;
    git_repository_free(repository);
    if (result < 0) {
        error_user(err, "fetching %s: the directory %s is no git repository", s->mirror->shown,
                   folder);
        return error_hint(err, "name the directory that holds .git, or a bare repository");
    }
    return shallow ? (git_refuse_shallow(err), error_wrap(err, "fetching %s", s->mirror->shown))
                   : 0;
}

static int session_begin(struct git_session *s, struct error **err)
{
    struct retry retry = RETRY_GIT;
    cleanup_free char *url = git_url_instead(s->mirror->url, err);
    if (!url || (url_is_local(url) && check_local_repository(s, url, err) < 0))
        return -1;
    for (;;) {
        int result = connect_once(s, url);
        if (result == 0)
            return 0;
        if (!is_transient(s, result) || !retry_pause(&retry, s->outcome.retry_after)) {
            remote_failed(s, result, err);
            session_end(s);
            return -1;
        }
        session_end(s);
    }
}

static bool local_transport(const struct git_session *s)
{
    const char *url = git_remote_url(s->remote);
    return url && url_is_local(url);
}

// Downloads the objects of one refspec list. `shallow`: only the newest commit, where libgit2 can.
static int download_refs(struct git_session *s, char **refspecs, size_t count, bool shallow)
{
    git_fetch_options options;
    git_fetch_options_init(&options, GIT_FETCH_OPTIONS_VERSION);
    set_callbacks(&options.callbacks, s);
    options.download_tags = GIT_REMOTE_DOWNLOAD_TAGS_NONE;
#ifdef CAN_SHALLOW
    if (shallow && !local_transport(s))
        options.depth = 1;
    else if (git_repository_is_shallow(s->mirror->repository) == 1 && !local_transport(s))
        options.depth = GIT_FETCH_DEPTH_UNSHALLOW;
#else
    (void)shallow;
    (void)local_transport;
#endif
    git_strarray list = {.strings = refspecs, .count = count};
    return git_remote_download(s->remote, &list, &options);
}

// libgit2 walks the mirror's history to tell the server what is there, and stops at a commit that
// it cannot parse, even an old one. Without refs there is nothing to walk.
static bool mirror_history_is_broken(const struct git_session *s)
{
    const git_error *last = git_error_last();
    return !s->outcome.failure && last &&
           (last->klass == GIT_ERROR_INVALID || last->klass == GIT_ERROR_OBJECT ||
            last->klass == GIT_ERROR_ODB);
}

// The same, with a new connection when the old one breaks.
static int download_refs_retrying(struct git_session *s, char **refspecs, size_t count,
                                  bool shallow, struct error **err)
{
    struct retry retry = RETRY_GIT;
    bool forgotten = false;
    for (;;) {
        int result = download_refs(s, refspecs, count, shallow);
        if (result == 0)
            return 0;
        bool forget = !forgotten && mirror_history_is_broken(s);
        if (forget && mirror_forget_refs(s->mirror, err) < 0)
            return -1;
        forgotten |= forget;
        if (!forget && (!is_transient(s, result) || !retry_pause(&retry, s->outcome.retry_after)))
            return remote_failed(s, result, err);
        session_end(s);
        if (session_begin(s, err) < 0)
            return -1;
    }
}

// ---- refs of the remote ----
static const git_remote_head *find_head(const struct git_session *s, const char *name)
{
    for (size_t i = 0; i < s->head_count; i++)
        if (strcmp(s->heads[i]->name, name) == 0)
            return s->heads[i];
    return NULL;
}

// "v1.0" is first a tag, then a branch, as for git itself.
static const git_remote_head *find_ref(const struct git_session *s, const char *ref)
{
    if (starts_with(ref, "refs/") || strcmp(ref, "HEAD") == 0)
        return find_head(s, ref);
    cleanup_free char *tag = xasprintf("refs/tags/%s", ref);
    cleanup_free char *branch = xasprintf("refs/heads/%s", ref);
    const git_remote_head *t = find_head(s, tag), *b = find_head(s, branch);
    if (t && b && !git_oid_equal(&t->oid, &b->oid))
        log_warning("%s has a tag and a branch named %s: the tag is taken", s->mirror->shown, ref);
    if (t || b || ref[0] < '0' || ref[0] > '9')
        return t ? t : b;
    // A version that is written without the v of its tag, as in Kata's versions.yaml up to 2.0.4.
    cleanup_free char *with_v = xasprintf("refs/tags/v%s", ref);
    return find_head(s, with_v);
}

static int no_such_ref(const struct git_session *s, const char *ref, struct error **err)
{
    cleanup_strlist struct strlist names = {0};
    for (size_t i = 0; i < s->head_count; i++) {
        const char *name = s->heads[i]->name;
        if (ends_with(name, "^{}"))
            continue;
        if (starts_with(name, "refs/heads/"))
            strlist_add(&names, name + strlen("refs/heads/"));
        else if (starts_with(name, "refs/tags/"))
            strlist_add(&names, name + strlen("refs/tags/"));
    }
    const char *nearest = nearest_name(ref, &names);
    error_user(err, "%s has no branch or tag named %s", s->mirror->shown, ref);
    if (nearest)
        return error_hint(err, "did you mean %s?", nearest);
    return error_hint(err, "a commit must be given by its full 40 digits");
}

// Fetches one ref that the remote has and remembers it. *out gets its commit.
static int fetch_head(struct git_session *s, const git_remote_head *head, bool shallow,
                      git_oid *out, struct error **err)
{
    // The head belongs to the connection, which may be replaced.
    cleanup_free char *name = xstrdup(head->name);
    git_oid id = head->oid;
    char *refspec = xasprintf("+%s:refs/kbuild/fetched", name);
    int result = download_refs_retrying(s, &refspec, 1, shallow, err);
    free(refspec);
    if (result < 0)
        return -1;
    git_object *object = NULL, *commit = NULL;
    result = git_object_lookup(&object, s->mirror->repository, &id, GIT_OBJECT_ANY);
    if (result == 0)
        result = git_object_peel(&commit, object, GIT_OBJECT_COMMIT);
    if (result == 0)
        *out = *git_object_id(commit);
    git_object_free(object);
    git_object_free(commit);
    if (result < 0)
        return git_failed(err, "%s of %s is no commit", name, s->mirror->shown);
    return mirror_set_ref(s->mirror, name, &id, err);
}

int remote_fetch_ref(struct mirror *m, const char *ref, git_oid *out, struct error **err)
{
    struct git_session s = {.mirror = m};
    if (session_begin(&s, err) < 0)
        return -1;
    const git_remote_head *head = find_ref(&s, ref);
    int result = 0;
    if (head)
        result = fetch_head(&s, head, true, out, err);
    else if (!mirror_find_prefix(m, ref, out))
        result = no_such_ref(&s, ref, err);
    session_end(&s);
    return result;
}

// ---- a commit by its id ----
static const git_remote_head *find_tip(const struct git_session *s, const git_oid *commit)
{
    for (size_t i = 0; i < s->head_count; i++)
        if (git_oid_equal(&s->heads[i]->oid, commit)) {
            if (!ends_with(s->heads[i]->name, "^{}"))
                return s->heads[i];
            const char *name = s->heads[i]->name;
            cleanup_free char *tag = xstrndup(name, strlen(name) - 3);
            return find_head(s, tag);
        }
    return NULL;
}

static int tag_moved(const struct git_session *s, const char *ref, const char *was,
                     const git_oid *is, struct error **err)
{
    char now[GIT_OID_HEXSZ + 1];
    git_oid_tostr(now, sizeof now, is);
    error_user(err, "the tag %s of %s was commit %s when it was locked, but is %s now", ref,
               s->mirror->shown, was, now);
    return error_hint(err,
                      "a tag that moves is a release made again, or an attack: find out which, "
                      "and then remove the source's line from versions.lock");
}

// If the locked ref is a tag, it must still name the commit.
static int check_tag(struct git_session *s, const char *commit, const char *ref, struct error **err)
{
    const git_remote_head *head = ref ? find_ref(s, ref) : NULL;
    if (!head || !starts_with(head->name, "refs/tags/"))
        return 0;
    git_oid is;
    if (fetch_head(s, head, true, &is, err) < 0)
        return -1;
    git_oid want;
    git_oid_fromstr(&want, commit);
    return git_oid_equal(&is, &want) ? 0 : tag_moved(s, ref, commit, &is, err);
}

static int remember_commit(struct mirror *m, const char *commit, struct error **err)
{
    git_oid id;
    git_oid_fromstr(&id, commit);
    return mirror_set_ref(m, commit, &id, err);
}

// Not every server sends a commit without a ref; then all its history is needed.
static int fetch_unnamed(struct git_session *s, const char *commit, struct error **err)
{
    char *direct = xasprintf("+%s:refs/kbuild/fetched", commit);
    int result = download_refs(s, &direct, 1, true);
    free(direct);
    if (result == 0 && mirror_has_commit(s->mirror, commit))
        return 0;
    session_end(s);
    if (session_begin(s, err) < 0)
        return -1;
    log_note("%s does not serve the commit %.12s by its id: fetching all branches and tags",
             s->mirror->shown, commit);
    char all[2][40] = {"+refs/heads/*:refs/kbuild/heads/*", "+refs/tags/*:refs/kbuild/tags/*"};
    char *both[2] = {all[0], all[1]};
    return download_refs_retrying(s, both, 2, false, err);
}

int remote_fetch_commit(struct mirror *m, const char *commit, const char *ref, struct error **err)
{
    git_oid want;
    git_oid_fromstr(&want, commit);
    struct git_session s = {.mirror = m};
    if (session_begin(&s, err) < 0)
        return -1;
    int result = check_tag(&s, commit, ref, err);
    if (result == 0 && !mirror_has_commit(m, commit)) {
        const git_remote_head *tip = find_tip(&s, &want);
        git_oid got;
        result = tip ? fetch_head(&s, tip, true, &got, err) : fetch_unnamed(&s, commit, err);
    }
    session_end(&s);
    if (result < 0)
        return -1;
    if (mirror_has_commit(m, commit))
        return remember_commit(m, commit, err);
    error_user(err, "%s has no commit %s", m->shown, commit);
    return error_hint(err, "it may have been on a branch that was rewritten; if so, remove the "
                           "source's line from versions.lock to have it looked up again");
}
