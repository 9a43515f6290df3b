// SPDX-License-Identifier: Apache-2.0
// Extended attributes of a file as one line of text: "<name>=<value>,<name>=<value>", both in hex,
// sorted; NULL: none. So strcmp() compares them, and listings can hold them. And the comparison of
// two archives.
//
// Only attributes that belong to the file: user.* and security.capability. Labels and ACLs belong
// to the machine that holds it.
#ifndef KBUILD_PACK_ATTRIBUTES_H
#define KBUILD_PACK_ATTRIBUTES_H

#include "base/error.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdbool.h>

// Of an open file; *out is to be freed. A file system without attributes has none.
int attributes_of_file(int fd, char **out, struct error **err);
char *attributes_of_entry(struct archive_entry *entry); // to be freed
void attributes_to_entry(const char *attributes, struct archive_entry *entry);
// Sets them. *lost is set if some could not be set without privilege or file system support.
int attributes_to_file(const char *attributes, int fd, bool *lost, struct error **err);

// ---- compare ----
// Differences between two archives, for people.

// One of the two archives; fd is a regular file.
struct compared {
    int fd;
    const char *name;   // for messages
    const char *called; // "the first build"
};
// Calls `report` with a line for each difference: members in only one archive, different kinds,
// modes, times, targets, attributes, and contents with the first bytes that differ. At most 40
// lines, then the number of the others. Returns the number of differences; 0 means the same members
// in the same order.
int compare_archives(const struct compared *a, const struct compared *b,
                     void (*report)(void *context, const char *line), void *context,
                     struct error **err);

#endif
