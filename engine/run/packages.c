// SPDX-License-Identifier: Apache-2.0
// Resolves the distribution packages of builders and root file systems to a list of files with
// their digests, since names say nothing about content. The list is part of the key.
#include "run/internal.h"

#include "base/error.h"
#include "source/packages.h"

#include <string.h>

struct source_options source_options(struct build *b)
{
    return (struct source_options){.store = b->store,
                                   .lock = b->lock,
                                   .debian = b->options.debian,
                                   .choices = b->options.choices,
                                   .output = b->options.output,
                                   .offline = b->options.offline,
                                   .locked = b->options.locked,
                                   .mirrors = b->mirrors};
}

static struct packages_request request_of(const struct node *node)
{
    const struct job *job = job_of(node);
    return (struct packages_request){.kind = node->kind == NODE_BUILDER ? PACKAGES_BUILDER
                                                                        : PACKAGES_ROOTFS,
                                     .distribution = &job->distribution,
                                     .arch = job->target,
                                     .names = &job->packages,
                                     .same = &job->same};
}

int identify_packages(struct build *b, struct node *node, bool resolve, struct error **err)
{
    struct job *job = job_of(node);
    const struct source_options o = source_options(b);
    const struct packages_request r = request_of(node);
    int known = resolve ? packages_resolve(&r, &o, job->package_list, err)
                        : packages_known(&r, &o, job->package_list, err);
    if (known < 0)
        return error_wrap(err, "%s", job->label);
    if (!resolve && !known)
        return 0;
    buf_printf(&node->identity, "packages sha256:%s\n", job->package_list);
    node->identified = true;
    return 0;
}

int open_packages(struct build *b, const struct node *node, struct package_set *out,
                  struct error **err)
{
    const struct source_options o = source_options(b);
    const struct packages_request r = request_of(node);
    return packages_open(&r, &o, job_of(node)->package_list, out, err);
}

// ---- kbuild update, kbuild lock ----

struct question {
    struct build *b;
    struct node *node;
};

static int ask(const struct question *q, packages_action *action,
               char digest[static DIGEST_HEX_SIZE], struct error **err)
{
    const struct source_options o = source_options(q->b);
    const struct packages_request r = request_of(q->node);
    if (job_has_packages(q->node))
        return action(&r, &o, digest, err);
    return debian_source_request(job_of(q->node)->spec.debian, &o, action, digest, err);
}

static int for_packages(struct build *b, packages_action *action, struct error **err)
{
    for (size_t i = 0; i < b->graph.n; i++) {
        const struct question q = {b, b->graph.nodes[i]};
        const struct job *job = job_of(q.node);
        char before[DIGEST_HEX_SIZE] = "", now[DIGEST_HEX_SIZE] = "";
        if (!job_has_packages(q.node) &&
            (q.node->kind != NODE_SOURCE || job->spec.kind != SOURCE_DEBIAN))
            continue;
        if (ask(&q, packages_known, before, err) < 0 || ask(&q, action, now, err) < 0)
            return error_wrap(err, "%s", job->label);
        log_note("%s: %s, list %.12s", job->label,
                 strcmp(before, now) ? "other packages than before" : "the same packages", now);
    }
    return lock_save(b->lock, err);
}

int build_update(struct build *b, struct error **err)
{
    if (check_asked_source_names(b, err) < 0)
        return -1;
    return for_packages(b, packages_refresh, err);
}

// What a cached list pins is already in the lock.
static bool tell_unknown_lists(struct build *b)
{
    bool told = false;
    for (size_t i = 0; i < b->graph.n; i++) {
        const struct node *node = b->graph.nodes[i];
        const struct job *job = job_of(node);
        if (!job->list || node_is_known(node))
            continue;
        log_warning("%s was not fetched yet, so it is not known whether it has files that must be "
                    "locked: kbuild fetch %s, then lock again",
                    job->label, job->recipe->name);
        told = true;
    }
    return told;
}

int build_lock(struct build *b, struct error **err)
{
    if (for_packages(b, packages_pin, err) < 0)
        return -1;
    if (!tell_unknown_lists(b))
        log_note("%s names all of it; look at the lines, and commit them", b->lock->path);
    return 0;
}
