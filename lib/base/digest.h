// SPDX-License-Identifier: Apache-2.0
// SHA-256 (FIPS 180-4), the digest of everything that kbuild names by content, and git's ids of
// files. Computed by Nettle.
#ifndef KBUILD_BASE_DIGEST_H
#define KBUILD_BASE_DIGEST_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define DIGEST_SIZE 32
#define DIGEST_HEX_SIZE 65 // 64 lower-case hex digits and a NUL

struct digest_stream; // one running SHA-256
struct digest_stream *digest_begin(void);
void digest_add(struct digest_stream *d, const void *bytes, size_t length);
// The same for the id that git gives a file of `size` bytes (a "blob"): SHA-1 of a header and the
// bytes. 40 hex digits. Only for comparing with git's ids; kbuild names nothing by it.
struct digest_stream *digest_begin_blob(uint64_t size);
// Writes the hex digest and frees the stream.
void digest_end(struct digest_stream *d, char hex[static DIGEST_HEX_SIZE]);

void digest_bytes(const void *bytes, size_t length, char hex[static DIGEST_HEX_SIZE]);
// Hashes from the current offset of fd to its end; *size (may be NULL) gets the number of bytes.
int digest_fd(int fd, const char *name, char hex[static DIGEST_HEX_SIZE], uint64_t *size,
              struct error **err);
int digest_file(const char *path, char hex[static DIGEST_HEX_SIZE], uint64_t *size,
                struct error **err);
bool digest_is_hex(const char *text); // 64 lower-case hex digits

void hex_encode(const void *bytes, size_t length, char *out); // out: 2 * length + 1
struct json_t;
// The same as a JSON string, to be released with json_decref().
struct json_t *hex_json(const void *bytes, size_t length);
int hex_digit(char c); // its value, or -1
// Whether the text is `n` lower-case hex digits, and nothing else.
bool hex_is_lower(const char *text, size_t n);
// Decodes exactly `length` bytes; false unless text is 2 * length hex digits.
bool hex_decode(const char *text, void *out, size_t length);

#endif
