// SPDX-License-Identifier: Apache-2.0
// Packs the result of an action as a tarball, into the store, with its listing.
#include "run/internal.h"

#include "store/tarball_listings.h"

static int write_tarball(const struct tarball *t, int fd, const struct pack_options *o,
                         struct error **err)
{
    return t->folder ? pack_directory(t->directory, t->folder, fd, o, err)
                     : pack_members(t->members, t->count, fd, o, err);
}

int output_tarball(struct build *b, const struct node *node, const char *output,
                   const struct tarball *t, json_t *record, struct error **err)
{
    cleanup_free char *name = xasprintf("kata-static-%s.tar.xz", output);
    char digest[DIGEST_HEX_SIZE];
    uint64_t size;
    struct blob_draft draft = {0};
    struct listing listing = {0};
    if (store_blob_begin(b->store, &draft, err) < 0)
        return -1;
    unsigned threads = pack_threads_acquire();
    struct pack_options options = {.epoch = node->epoch, .threads = threads, .listing = &listing};
    int result = write_tarball(t, draft.fd, &options, err);
    pack_threads_release(threads);
    if (result < 0)
        store_blob_abandon(&draft);
    else
        result = store_blob_commit(b->store, &draft, digest, &size, err);
    if (!result)
        result = listing_save(b->store, digest, &listing, err);
    listing_free(&listing);
    if (result < 0)
        return error_wrap(err, "packing %s", name);
    record_output(record, name, digest, false, size);
    return 0;
}
