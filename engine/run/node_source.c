// SPDX-License-Identifier: Apache-2.0
// Makes sources, builders and root file systems: the nodes that come from the network.
#include "run/internal.h"

#include "base/error.h"
#include "base/print.h"
#include "oci/oci.h"
#include "share/share.h"
#include "store/store.h"

#include <errno.h>
#include <string.h>

int make_source(struct build *b, struct node *node, json_t *record, struct error **err)
{
    struct job *job = job_of(node);
    if (job->list)
        return make_list(b, node, record, err);
    const struct source_options o = source_options(b);
    cleanup_free char *folder = store_temporary(b->store, "source", err);
    if (!folder)
        return -1;
    json_t *provenance = NULL;
    char digest[DIGEST_HEX_SIZE];
    struct stat st;
    cleanup_free char *local = job_local(job);
    if (local)
        print_to(stderr, "kbuild: %s is %s\n", job->label, local);
    phase(local ? "copying" : "fetching");
    int result = source_fetch(&job->spec, &job->pin, &o, folder, &provenance, err);
    if (!result && stat(folder, &st) < 0)
        result = error_errno(err, errno, "reading %s", folder);
    if (!result) {
        phase("storing");
        result = store_put_tree(b->store, folder, digest, err);
    }
    if (result) {
        remove_tree(folder, NULL);
        json_decref(provenance);
        return error_wrap(err, "%s", job->label);
    }
    record_output(record, "tree", digest, true, 0);
    json_object_set_new(record, "epoch", json_integer(st.st_mtim.tv_sec));
    if (provenance)
        json_object_set_new(record, "provenance", provenance);
    return 0;
}

static int refuse_making_offline(const struct build *b, const struct job *job, struct error **err)
{
    if (!b->options.offline)
        return 0;
    if (b->options.anew) {
        error_user(err, "%s is made anew, and --offline forbids that", job->label);
        return error_hint(err, "--trust-cache takes the one that the cache has");
    }
    error_user(err, "%s is not in the cache, and --offline forbids making it", job->label);
    return error_hint(err, "run `kbuild fetch %s` once with the network", job->recipe->name);
}

// *came gets the packages, or the name and digest of the image.
static int fill_builder(struct build *b, const struct node *node, const char *folder, json_t **came,
                        struct error **err)
{
    const struct job *job = job_of(node);
    if (job->image_name) {
        char digest[DIGEST_HEX_SIZE];
        phase("pulling");
        cleanup_free char *name = image_pinned_name(job->image_name, job->image_digest, err);
        bool unusable = false;
        if (!name ||
            oci_pull_rootfs(b->store, name, job->target->oci, folder, digest, &unusable, err) < 0) {
            image_unpin(b, job, job->image_name, unusable, err);
            return -1;
        }
        *came = json_pack("{s:s, s:s}", "name", job->image_name, "digest", digest);
        return 0;
    }
    const struct source_options o = source_options(b);
    struct package_set set = {0};
    phase("installing packages");
    int result = open_packages(b, node, &set, err);
    const struct rootfs_spec spec = {.distribution = &job->distribution,
                                     .arch = job->target,
                                     .set = &set,
                                     .options = &o,
                                     .setup = job->setup};
    if (!result)
        result = rootfs_unpack(&spec, folder, true, err);
    if (!result)
        *came = packages_to_json(&set);
    package_set_free(&set);
    return result;
}

int make_builder(struct build *b, struct node *node, json_t *record, struct error **err)
{
    struct job *job = job_of(node);
    if (refuse_making_offline(b, job, err) < 0)
        return -1;
    cleanup_free char *folder = store_temporary(b->store, "builder", err);
    if (!folder)
        return -1;
    json_t *came = NULL, *mark = NULL;
    char tree[DIGEST_HEX_SIZE], image[DIGEST_HEX_SIZE], stated[DIGEST_HEX_SIZE];
    int vouched = job->image_name ? image_check_signature(b, node, &mark, stated, err) : 0;
    int result = vouched < 0 ? -1 : fill_builder(b, node, folder, &came, err);
    if (!result) {
        phase("storing");
        result = store_put_tree(b->store, folder, tree, err);
    }
    if (result)
        remove_tree(folder, NULL);
    if (!result && vouched && strcmp(tree, stated) != 0)
        result = error_user(err, "the image that was pulled holds the tree %s, but %s was signed",
                            tree, stated);
    if (!result && mark)
        json_object_set(record, SHARED_MARK, mark);
    json_decref(mark);
    // Upstream's name for a builder image: <recipe>-<hash>-<host architecture>.
    cleanup_free char *name =
        xasprintf("%s-%.9s-%s", job->recipe->builder->name, node->key, job->target->name);
    if (!result)
        result = builder_image(b, node, tree, image, err);
    if (!result)
        result = store_name_image(b->store, image, name, err);
    if (result) {
        json_decref(came);
        return error_wrap(err, "%s", job->label);
    }
    record_output(record, "root", tree, true, 0);
    record_output(record, "image", image, false, 0);
    json_object_set_new(json_object_get(record, "provenance"),
                        job->image_name ? "image" : "packages", came);
    return 0;
}

int make_rootfs(struct build *b, struct node *node, json_t *record, struct error **err)
{
    struct job *job = job_of(node);
    if (refuse_making_offline(b, job, err) < 0)
        return -1;
    cleanup_free char *folder = store_temporary(b->store, "rootfs", err);
    if (!folder)
        return -1;
    const struct source_options o = source_options(b);
    struct package_set set = {0};
    const struct rootfs_spec spec = {
        .distribution = &job->distribution, .arch = job->target, .set = &set, .options = &o};
    struct blob_draft draft = {0};
    char digest[DIGEST_HEX_SIZE];
    uint64_t size = 0;
    phase("installing packages");
    int result = open_packages(b, node, &set, err);
    if (!result)
        result = store_blob_begin(b->store, &draft, err);
    if (!result) {
        result = rootfs_tar(&spec, folder, draft.fd, err);
        if (!result)
            result = store_blob_commit(b->store, &draft, digest, &size, err);
        else
            store_blob_abandon(&draft);
    }
    remove_tree(folder, NULL);
    if (!result) {
        record_output(record, "rootfs.tar", digest, false, size);
        json_object_set_new(json_object_get(record, "provenance"), "packages",
                            packages_to_json(&set));
    }
    package_set_free(&set);
    return result ? error_wrap(err, "%s", job->label) : 0;
}
