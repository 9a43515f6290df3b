// SPDX-License-Identifier: Apache-2.0
// What differs between two archives, for people.
#ifndef KBUILD_PACK_COMPARE_H
#define KBUILD_PACK_COMPARE_H

#include "base/error.h"

// One archive of the two; fd is a file.
struct compared {
    int fd;
    const char *name;   // for messages
    const char *called; // "the first build"
};
// Calls `report` with a line for each difference: members that only one has, other kinds, modes,
// times, targets, attributes, and contents, those with the first bytes that differ. At most 40
// lines, then how many more there are. Returns the number of differences; 0 means the same members
// in the same order.
int compare_archives(const struct compared *a, const struct compared *b,
                     void (*report)(void *context, const char *line), void *context,
                     struct error **err);

#endif
