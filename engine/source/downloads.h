// SPDX-License-Identifier: Apache-2.0
// Many files side by side, into the store. Only within this room.
//
// Sixteen at a time, over one libcurl multi handle: connections are kept and shared, by HTTP/2
// where the server has it. The rules for each file are download.h's. A file that another process is
// downloading is left to it and looked at again later.
#ifndef KBUILD_SOURCE_DOWNLOADS_H
#define KBUILD_SOURCE_DOWNLOADS_H

#include "source/source.h"

// One file, and where it may come from.
struct parcel {
    const char *name;        // for messages
    const char *const *urls; // in the order of trial
    size_t url_count;        // at least one
    const char *sha256;      // what it has to be, or NULL
    uint64_t max_bytes;      // a larger one is an error
    // Of the call:
    bool missing;                 // no server has it (404, 410)
    long status;                  // of HTTP, what the last address said; or 0
    char digest[DIGEST_HEX_SIZE]; // of the blob, or ""
    struct error *why;            // why it could not be had; the caller frees it
};

struct downloads {
    struct store *store;
    const char *label; // for progress and notes
    struct parcel *parcels;
    size_t n;
};
#define DOWNLOADS_FAULTS_MAX 10

// Each parcel that was had has its digest, and is a blob of the store. One that could not has
// `why`; after DOWNLOADS_FAULTS_MAX of those, or one that says that a server cannot be reached at
// all, no further ones are begun: they have neither. -1 is for what is wrong with this machine.
int downloads_run(const struct downloads *d, struct error **err);

#endif
