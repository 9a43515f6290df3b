// SPDX-License-Identifier: Apache-2.0
// Upstream's rule for tags, with which its pipelines and ours find each other's artifacts.
#include "registry/registry.h"

#include <ctype.h>
#include <string.h>

#define TAG_LENGTH 127 // with the suffix

char *registry_tag(const char *text, const char *suffix)
{
    size_t rest = strlen(suffix) + 1, n = 0;
    size_t most = rest < TAG_LENGTH ? TAG_LENGTH - rest : 0;
    cleanup_free char *tag = xmalloc(most + 1);
    for (; *text && n < most; text++) {
        unsigned char c = (unsigned char)*text;
        // As `tr -cd '[:print:]'` does: byte by byte, so that nothing of UTF-8 stays.
        if (c < ' ' || c > '~')
            continue;
        bool legal = isalnum(c) || c == '_' || c == '.' || c == '-';
        // Upstream lets a tag begin with "." or "-", which every registry then refuses.
        if (n == 0 && !isalnum(c))
            legal = false;
        tag[n++] = legal ? (char)c : '_';
    }
    tag[n] = '\0';
    return xasprintf("%s-%s", tag, suffix);
}
