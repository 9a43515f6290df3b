// SPDX-License-Identifier: Apache-2.0
// Computes SHA-256 and git's SHA-1 over OpenSSL, and converts hexadecimal text.
#include "base/digest.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <string.h>

static struct digest_stream *begin(const EVP_MD *kind)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (!context || EVP_DigestInit_ex(context, kind, NULL) != 1)
        abort(); // no OpenSSL lacks SHA-256 and SHA-1
    return (struct digest_stream *)context;
}

struct digest_stream *digest_begin(void)
{
    return begin(EVP_sha256());
}

struct digest_stream *digest_begin_blob(uint64_t size)
{
    struct digest_stream *d = begin(EVP_sha1());
    cleanup_free char *header = xasprintf("blob %" PRIu64, size);
    digest_add(d, header, strlen(header) + 1);
    return d;
}

void digest_add(struct digest_stream *d, const void *bytes, size_t length)
{
    if (EVP_DigestUpdate((EVP_MD_CTX *)d, bytes, length) != 1)
        abort();
}

void digest_end(struct digest_stream *d, char hex[static DIGEST_HEX_SIZE])
{
    unsigned char raw[DIGEST_SIZE];
    unsigned length = 0;
    if (EVP_DigestFinal_ex((EVP_MD_CTX *)d, raw, &length) != 1)
        abort();
    EVP_MD_CTX_free((EVP_MD_CTX *)d);
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
    return strspn(text, "0123456789abcdef") == 64 && text[64] == '\0';
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

static int hex_digit(char c)
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
