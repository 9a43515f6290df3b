// SPDX-License-Identifier: Apache-2.0
// Implements `kbuild install`: installs results on this host, or in a tree for one.
#include "install/install.h"

#include "graph/job.h"

#include "base/error.h"
#include "pack/pack.h"
#include "store/tarball_listings.h"

#include <errno.h>
#include <string.h>

#define BUILT_FOR "opt/kata" // a step's PREFIX

struct install_selection {
    struct strlist paths;
    struct install_link *links;
    size_t link_count, link_cap;
};

// The host's tarballs of one target.
static int choose_tarballs(struct build *b, const struct node *node,
                           const struct install_options *o, struct install_selection *c,
                           struct error **err)
{
    size_t before = c->paths.n;
    for (size_t i = 0; i < node->output_count; i++) {
        if (node->outputs[i].side)
            continue;
        cleanup_free char *path = xasprintf("%s/%s", b->options.output, node->outputs[i].name);
        int concerns = install_concerns(path, o, err);
        if (concerns < 0)
            return -1;
        if (concerns)
            strlist_add(&c->paths, path);
        else
            log_note("%s is for guests only: not installed", node->outputs[i].name);
    }
    if (c->paths.n == before) {
        error_user(err, "%s has no files for a host", node_label(node));
        return error_hint(err, "its results are parts of a guest's image or initrd");
    }
    return 0;
}

static void add_links(const struct job *job, struct install_selection *c)
{
    for (size_t i = 0; i < job->recipe->link_count; i++) {
        const struct recipe_link *link = &job->recipe->links[i];
        if (!link->architectures[job->target - arch_table])
            continue;
        c->links = xgrow(c->links, &c->link_cap, c->link_count + 1, sizeof *c->links);
        c->links[c->link_count++] = (struct install_link){link->path, link->target};
    }
}

static int explain_failure(const struct install_options *o, struct error **err)
{
    int why = *err ? (*err)->errnum : 0;
    error_wrap(err, "installing into %s", o->root);
    if (why == EACCES || why == EPERM)
        error_hint(
            err,
            "run the same command with sudo -E, or install into a tree of your own: --root DIR");
    return -1;
}

int build_install(struct build *b, const struct install_request *r, struct error **err)
{
    struct listings listings;
    struct install_selection c = {0};
    struct install_options o = {.from = BUILT_FOR,
                                .prefix = r->prefix ? r->prefix : "/" BUILT_FOR,
                                .root = r->root ? r->root : "/",
                                .dry_run = r->dry_run,
                                .say = r->print,
                                .context = r->context,
                                .cache = &listings.cache};
    int result = 0;
    listings_open(&listings, b->store, b->options.output);
    for (size_t i = 0; i < b->graph.n && !result; i++) {
        const struct node *node = b->graph.nodes[i];
        if (!job_of(node)->asked)
            continue;
        result = choose_tarballs(b, node, &o, &c, err);
        add_links(job_of(node), &c);
    }
    o.links = c.links;
    o.link_count = c.link_count;
    if (!result && install_archives(&c.paths, &o, err) < 0)
        result = explain_failure(&o, err);
    listings_close(&listings);
    strlist_free(&c.paths);
    free(c.links);
    return result;
}
