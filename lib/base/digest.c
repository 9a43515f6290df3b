// SPDX-License-Identifier: Apache-2.0
// Computes SHA-256 and git's SHA-1 over Nettle, and converts hexadecimal text. OpenSSL reads its
// configuration and makes its tables first, which takes longer than the keys of a whole plan.
#include "base/digest.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <nettle/sha1.h>
#include <nettle/sha2.h>
#include <stdlib.h>
#include <string.h>

struct digest_stream {
    bool blob; // SHA-1
    union {
        struct sha256_ctx sha256;
        struct sha1_ctx sha1;
    } context;
};

struct digest_stream *digest_begin(void)
{
    struct digest_stream *d = xcalloc(1, sizeof *d);
    sha256_init(&d->context.sha256);
    return d;
}

struct digest_stream *digest_begin_blob(uint64_t size)
{
    struct digest_stream *d = xcalloc(1, sizeof *d);
    d->blob = true;
    sha1_init(&d->context.sha1);
    cleanup_free char *header = xasprintf("blob %" PRIu64, size);
    digest_add(d, header, strlen(header) + 1);
    return d;
}

void digest_add(struct digest_stream *d, const void *bytes, size_t length)
{
    if (d->blob)
        sha1_update(&d->context.sha1, length, bytes);
    else
        sha256_update(&d->context.sha256, length, bytes);
}

void digest_end(struct digest_stream *d, char hex[static DIGEST_HEX_SIZE])
{
    unsigned char raw[SHA256_DIGEST_SIZE];
    size_t length = d->blob ? SHA1_DIGEST_SIZE : SHA256_DIGEST_SIZE;
    if (d->blob)
        sha1_digest(&d->context.sha1, length, raw);
    else
        sha256_digest(&d->context.sha256, length, raw);
    free(d);
    hex_encode(raw, length, hex);
}

void digest_bytes(const void *bytes, size_t length, char hex[static DIGEST_HEX_SIZE])
{
    struct digest_stream *d = digest_begin();
    digest_add(d, bytes, length);
    digest_end(d, hex);
}

int digest_fd(int fd, const char *name, char hex[static DIGEST_HEX_SIZE], uint64_t *size,
              struct error **err)
{
    struct digest_stream *d = digest_begin();
    size_t chunk_size = (size_t)1 << 18;
    cleanup_free char *chunk = xmalloc(chunk_size);
    uint64_t total = 0;
    for (;;) {
        ssize_t n = fd_read(fd, chunk, chunk_size);
        if (n < 0) {
            int errnum = errno;
            digest_end(d, hex);
            return error_errno(err, errnum, "reading %s", name);
        }
        if (n == 0)
            break;
        digest_add(d, chunk, (size_t)n);
        total += (uint64_t)n;
    }
    digest_end(d, hex);
    if (size)
        *size = total;
    return 0;
}

int digest_file(const char *path, char hex[static DIGEST_HEX_SIZE], uint64_t *size,
                struct error **err)
{
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, errno, "reading %s", path);
    return digest_fd(fd, path, hex, size, err);
}

bool digest_is_hex(const char *text)
{
    return hex_is_lower(text, DIGEST_HEX_SIZE - 1);
}

bool hex_is_lower(const char *text, size_t n)
{
    return strspn(text, "0123456789abcdef") == n && text[n] == '\0';
}

void hex_encode(const void *bytes, size_t length, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *p = bytes;
    for (size_t i = 0; i < length; i++) {
        *out++ = digits[p[i] >> 4];
        *out++ = digits[p[i] & 15];
    }
    *out = '\0';
}

int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool hex_decode(const char *text, void *out, size_t length)
{
    unsigned char *p = out;
    if (strlen(text) != 2 * length)
        return false;
    for (size_t i = 0; i < length; i++) {
        int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        p[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

json_t *hex_json(const void *bytes, size_t length)
{
    cleanup_free char *text = xmalloc(2 * length + 1);
    hex_encode(bytes, length, text);
    return json_string(text);
}
