// SPDX-License-Identifier: Apache-2.0
// The one thing that apt does not say of the sources that it is configured with: whom an entry
// trusts. Only within this room.
#ifndef KBUILD_SOURCE_APT_ENTRY_H
#define KBUILD_SOURCE_APT_ENTRY_H

#include "base/buf.h"
#include "base/error.h"

// Appends the options of one entry of sources.list(5) that say whom it trusts and for how long, as
// lines of deb822 ("Signed-By: ..."). `entry` is what apt calls it (SOURCESENTRY of `apt-get
// indextargets`): "FILE:LINE" in the one-line format, "FILE:STANZA" in files that end in .sources.
int apt_entry_options(const char *entry, struct strlist *out, struct error **err);

// The same from the text of such a file, which is cut up: the entry with this number, from 1.
void apt_entry_parse(char *text, bool deb822, size_t number, struct strlist *out);

#endif
