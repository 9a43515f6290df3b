// SPDX-License-Identifier: Apache-2.0
// UUIDs as text, and from content.
#include "disk/uuid.h"

#include <string.h>

// Where the text has its hyphens.
static bool is_hyphen(size_t i)
{
    return i == 8 || i == 13 || i == 18 || i == 23;
}

void uuid_text(const unsigned char uuid[static UUID_SIZE], char out[static UUID_TEXT])
{
    char hex[2 * UUID_SIZE + 1];
    const char *p = hex;
    hex_encode(uuid, UUID_SIZE, hex);
    for (size_t i = 0; i < UUID_TEXT - 1; i++)
        out[i] = is_hyphen(i) ? '-' : *p++;
    out[UUID_TEXT - 1] = '\0';
}

bool uuid_read(const char *text, unsigned char out[static UUID_SIZE])
{
    char hex[2 * UUID_SIZE + 1] = "", *p = hex;
    if (strlen(text) != UUID_TEXT - 1)
        return false;
    for (size_t i = 0; i < UUID_TEXT - 1; i++)
        if (!is_hyphen(i))
            *p++ = text[i];
        else if (text[i] != '-')
            return false;
    return hex_decode(hex, out, UUID_SIZE);
}

void derive(const char digest[static DIGEST_HEX_SIZE], const char *purpose, void *out, size_t size)
{
    char hex[DIGEST_HEX_SIZE];
    unsigned char all[DIGEST_SIZE];
    cleanup_free char *text = xasprintf("kbuild %s %s", purpose, digest);
    digest_bytes(text, strlen(text), hex);
    if (hex_decode(hex, all, DIGEST_SIZE))
        memcpy(out, all, size);
}

void uuid_derive(const char digest[static DIGEST_HEX_SIZE], const char *purpose,
                 unsigned char out[static UUID_SIZE])
{
    derive(digest, purpose, out, UUID_SIZE);
    out[6] = (out[6] & 0x0f) | 0x80; // version 8
    out[8] = (out[8] & 0x3f) | 0x80; // variant
}
