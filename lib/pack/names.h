// SPDX-License-Identifier: Apache-2.0
// Names of members, links between them, and normal modes. Shared by all readers and writers of
// archives here.
#ifndef KBUILD_PACK_NAMES_H
#define KBUILD_PACK_NAMES_H

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"

#include <locale.h>
#include <stdint.h>

#define NAME_LIMIT 4095           // bytes in a member's name
#define DEPTH_LIMIT BENEATH_DEPTH // components in a member's name

// Replaces *out by the clean form of a member's name: without empty and "." components and without
// a trailing slash; "" is the root. Refuses absolute names, "..", newlines and names over the
// limits.
int clean_name(const char *raw, struct buf *out, struct error **err);
// The text with control characters written as \x1b, for hostile names in messages; to be freed.
char *printable(const char *text);

// Where a symlink at the clean name `path` leads, judged from its target's text alone.
enum link_reach {
    LINK_INSIDE,   // stays below the root, whether its components are links or not
    LINK_DOUBTFUL, // "a/../b": depends on whether "a" is a link
    LINK_OUTSIDE   // absolute, or climbs above the root
};
enum link_reach link_reach(const char *path, const char *target);

// 0755 for directories and files that their owner may execute, 0777 for links, else 0644; with the
// type bits.
unsigned normal_mode(unsigned mode);
int64_t clamp_time(int64_t mtime, int64_t epoch); // 0 to epoch

// libarchive converts names by the locale of the thread. While this scope exists the thread uses
// C.UTF-8, so that bytes in archives do not depend on the user's locale.
struct utf8_scope {
    locale_t utf8, old;
};
struct utf8_scope utf8_begin(void);
void utf8_end(struct utf8_scope *s);
#define WITH_UTF8_NAMES                                                                            \
    __attribute__((cleanup(utf8_end), unused)) struct utf8_scope utf8_scope_ = utf8_begin()

#endif
