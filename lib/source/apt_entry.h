// SPDX-License-Identifier: Apache-2.0
// Entries of sources.list(5), read from either of its two formats. Only within lib/source.
#ifndef KBUILD_SOURCE_APT_ENTRY_H
#define KBUILD_SOURCE_APT_ENTRY_H

#include "base/buf.h"
#include "base/error.h"

struct apt_entry {
    bool deb; // false: deb-src only
    struct strlist uris, suites, components;
    struct strlist options; // deb822 lines ("Trusted: yes") of those that say whom to trust
    const char *signed_by;  // the value of Signed-By among the options, or NULL
};
struct apt_entries {
    struct apt_entry *items;
    size_t n, cap;
};

// Both append what is enabled and whole; what apt itself would complain about is left out.
void apt_entries_parse_lines(struct apt_entries *out, const char *text);
void apt_entries_parse_deb822(struct apt_entries *out, const char *text);
void apt_entries_free(struct apt_entries *e);

// The value of a path setting of apt.conf(5) ("Dir::Etc::sourceparts/d"), to be freed.
int apt_config_path(const char *setting, char **out, struct error **err);

#endif
