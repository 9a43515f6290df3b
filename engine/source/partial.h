// SPDX-License-Identifier: Apache-2.0
// A download that outlives a killed kbuild, and that only one process works on: a locked folder of
// the store's, named by the url. Only within this room.
//
//   <store>/tmp/download-<first 40 hex digits of SHA-256 of the url>/data, data.from
#ifndef KBUILD_SOURCE_PARTIAL_H
#define KBUILD_SOURCE_PARTIAL_H

#include "store/store.h"

struct partial {
    char *folder, *data; // data: the file that is downloaded
    int lock;
};
#define PARTIAL_NONE ((struct partial){.lock = -1})
#define cleanup_partial __attribute__((cleanup(partial_close)))

// Waits, with a note, while another process has it.
int partial_open(struct partial *p, struct store *store, const char *url, struct error **err);
// 1: opened; 0: somebody else has it; -1: error.
int partial_try(struct partial *p, struct store *store, const char *url, struct error **err);
// The data becomes a blob of the store, without a copy.
int partial_store(const struct partial *p, struct store *store, char digest[static DIGEST_HEX_SIZE],
                  struct error **err);
void partial_remove(const struct partial *p); // what came is of no use
// Nothing stays where nothing came.
void partial_close(struct partial *p);

#endif
