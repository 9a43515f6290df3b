// SPDX-License-Identifier: Apache-2.0
// Reads the settings of the shared cache from the environment, opens its repositories, and stops
// using it after a failure.
#include "share/internal.h"

#include "base/error.h"
#include "base/input.h"

#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <sys/mman.h>

// Queries: the answer comes within seconds, or the build continues without it.
static const struct registry_options query_options = {.tries = 2, .silence_seconds = 4};
static const struct registry_options transfer_options = {.tries = 4, .silence_seconds = 15};

enum { REFUSED_MAX = 3 };

static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

// The builder, for people: a CI job's address, else user and machine.
static char *built_by(void)
{
    const char *set = environment("KBUILD_BUILT_BY");
    const char *server = environment("GITHUB_SERVER_URL"), *run = environment("GITHUB_RUN_ID"),
               *repository = environment("GITHUB_REPOSITORY");
    if (set)
        return xstrdup(set);
    if (server && run && repository)
        return xasprintf("%s/%s/actions/runs/%s", server, repository, run);
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    const struct passwd *user = getpwuid(getuid());
    return xasprintf("%s@%s", user ? user->pw_name : "nobody", *host ? host : "localhost");
}

// Uses only the registry and the repository of a name; both must be valid.
static int check_name(const char *variable, const char *text, char **out, struct error **err)
{
    struct reference reference;
    if (reference_parse(text, &reference, err) < 0)
        return error_wrap(err, "%s", variable);
    int result = 0;
    if (reference.tag || reference.digest) {
        error_user(err, "%s is %s: it names a repository, without a tag", variable, text);
        result = -1;
    } else {
        *out = xstrdup(text);
    }
    reference_free(&reference);
    return result;
}

static int read_environment(struct remote *r, struct error **err)
{
    const char *registry = environment("ARTEFACT_REGISTRY");
    const char *repository = environment("ARTEFACT_REPOSITORY");
    const char *builders = environment("BUILDER_REGISTRY");
    if (environment_yes_no("PUSH_TO_REGISTRY", false, &r->push, err) < 0 ||
        environment_yes_no("RELEASE", false, &r->release, err) < 0)
        return -1;
    r->branch = environment("TARGET_BRANCH");
    if (!r->branch)
        r->branch = "main";
    if (security_variable("KBUILD_SIGNING_KEY", &r->signing_key, err) < 0)
        return -1;
    if (registry) {
        cleanup_free char *name =
            xasprintf("%s/%s", registry, repository ? repository : "kata-containers");
        if (check_name("ARTEFACT_REGISTRY/ARTEFACT_REPOSITORY", name, &r->artefacts, err) < 0)
            return -1;
    }
    return builders ? check_name("BUILDER_REGISTRY", builders, &r->builders, err) : 0;
}

// Upstream detects a missing variable after the build; kbuild before it.
int remote_check(const struct build *b, struct error **err)
{
    bool push, release;
    if (environment_yes_no("PUSH_TO_REGISTRY", false, &push, err) < 0 ||
        environment_yes_no("RELEASE", false, &release, err) < 0)
        return -1;
    if (!push || b->remote || b->options.offline || b->options.remote == REMOTE_OFF ||
        b->options.variation)
        return 0;
    error_user(err, "PUSH_TO_REGISTRY=yes, but no registry is named");
    return error_hint(err, "set ARTEFACT_REGISTRY and ARTEFACT_REPOSITORY, or BUILDER_REGISTRY; "
                           "--remote=off pushes nothing");
}

int remote_open(struct build *b, struct error **err)
{
    if (b->options.offline || b->options.remote == REMOTE_OFF)
        return 0;
    struct remote *r = xcalloc(1, sizeof *r);
    r->state =
        mmap(NULL, sizeof *r->state, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int result = r->state == MAP_FAILED ? error_errno(err, errno, "sharing memory")
                                        : read_environment(r, err);
    if (result < 0 || (!r->artefacts && !r->builders)) {
        remote_close(r);
        if (!result && b->options.remote == REMOTE_REQUIRE) {
            error_user(err, "--remote=require, but no registry is named");
            return error_hint(err,
                              "set ARTEFACT_REGISTRY and ARTEFACT_REPOSITORY, or BUILDER_REGISTRY");
        }
        return result;
    }
    r->built_by = built_by();
    r->keys = b->trusted;
    b->remote = r;
    return 0;
}

void remote_close(struct remote *r)
{
    if (!r)
        return;
    if (r->state && r->state != MAP_FAILED)
        munmap(r->state, sizeof *r->state);
    free(r->artefacts);
    free(r->builders);
    free(r->built_by);
    free(r->commit);
    trusted_keys_free(r->own);
    free(r);
}

bool remote_usable(const struct build *b, const struct node *node, enum remote_way way)
{
    const struct remote *r = b->remote;
    // Results of another environment are compared with the first build, and not shared.
    if (!r || b->options.variation || (way == REMOTE_WRITE && !r->push) ||
        __atomic_load_n(&r->state->disabled[way], __ATOMIC_RELAXED))
        return false;
    // Results with changes by hand are not shared.
    if (b->until || job_of(node)->checkpoint)
        return false;
    if (way == REMOTE_READ && node->kind == NODE_ARTIFACT && !b->options.use_cache)
        return false;
    if (way == REMOTE_READ && node->kind == NODE_SOURCE && sources_from_origin(b))
        return false;
    // Local files are private and not shared; results made from them are.
    if (node->kind == NODE_SOURCE && job_of(node)->spec.kind == SOURCE_LOCAL)
        return false;
    if (job_of(node)->prebuilt) // it came from a registry
        return false;
    return r->artefacts || entry_is_image(r, node);
}

int remote_disable(struct build *b, enum remote_way way, struct error *why, struct error **err)
{
    static const char *const what[] = {"the shared cache cannot be used",
                                       "the shared cache could not be written"};
    if (b->options.remote == REMOTE_REQUIRE || why->kind == ERROR_INTERRUPT) {
        *err = why;
        error_wrap(err, "%s", what[way]);
        if (!(*err)->hint)
            error_hint(err, b->needs_remote
                                ? "try again when the registry answers"
                                : "without --remote=require the build continues without it");
        return -1;
    }
    if (!__atomic_exchange_n(&b->remote->state->disabled[way], 1, __ATOMIC_RELAXED))
        log_warning("%s, continuing without it: %s", what[way], why->message);
    error_free(why);
    return 0;
}

int remote_push_failed(struct build *b, bool down, struct error *why, struct error **err)
{
    struct remote_state *state = b->remote->state;
    int before = __atomic_fetch_add(&state->refused, 1, __ATOMIC_RELAXED);
    if (down || before + 1 >= REFUSED_MAX || b->options.remote == REMOTE_REQUIRE ||
        why->kind == ERROR_INTERRUPT)
        return remote_disable(b, REMOTE_WRITE, why, err);
    log_warning("the shared cache could not be written, this result is only in the local cache: %s",
                why->message);
    error_free(why);
    return 0;
}

void remote_warn_denied(struct remote *r, const char *what, enum registry_denial why)
{
    if (why == NOT_DENIED || __atomic_exchange_n(&r->state->warned_denied, 1, __ATOMIC_RELAXED))
        return;
    if (why == DENIED_USER)
        log_note("the registry does not say whether it has %s, which is usual for what does not "
                 "exist yet: treated as missing",
                 what);
    else
        log_warning("the registry denies anonymous access to %s: treated as missing. "
                    "If the shared cache has it, log in (`skopeo login`, or "
                    "ARTEFACT_REGISTRY_USERNAME and ARTEFACT_REGISTRY_PASSWORD)",
                    what);
}

struct registry *remote_repository(const struct remote *r, const struct node *node, bool transfer,
                                   struct error **err)
{
    cleanup_free char *path = entry_path(node);
    cleanup_free char *name =
        entry_is_image(r, node) ? xstrdup(r->builders) : xasprintf("%s/%s", r->artefacts, path);
    struct reference reference;
    if (reference_parse(name, &reference, err) < 0)
        return NULL;
    struct registry_options o = transfer ? transfer_options : query_options;
    o.session = r->session;
    o.no_mirrors = r->push; // a writer needs the current state
    // Upstream's variables, only for the registry that they belong to.
    if (!entry_is_image(r, node))
        registry_login(&o.user, &o.password);
    struct registry *registry = registry_open(&reference, &o, err);
    reference_free(&reference);
    return registry;
}
