// SPDX-License-Identifier: Apache-2.0
// Listings of tarballs, kept in the store between runs, so that a merge decompresses nothing. Each
// is a blob with an action record whose key is made of the tarball's digest, so it is verified,
// counted and collected like other blobs.
#ifndef KBUILD_STORE_TARBALL_LISTINGS_H
#define KBUILD_STORE_TARBALL_LISTINGS_H

#include "pack/pack.h"
#include "store/store.h"

int listing_save(struct store *s, const char *digest, const struct listing *l, struct error **err);

// A cache for merge_archives(). It knows the digest of a tarball in `directory` without reading it
// if a <target>-sha256sum there names one, and the file is a hard link to that blob in the store,
// which the store has verified. Everything is borrowed; free with listings_close().
struct listings {
    struct listing_cache cache; // context is this struct
    struct store *store;
    struct strlist sums; // "<digest>  <file name>"
};
void listings_open(struct listings *out, struct store *s, const char *directory);
void listings_close(struct listings *l);

#endif
