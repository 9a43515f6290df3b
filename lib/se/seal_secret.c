// SPDX-License-Identifier: Apache-2.0
// Seal secrets: reads one from its file, and refuses what others can read and what can be guessed.
#include "base/log.h"
#include "se/se.h"

#include <math.h>
#include <openssl/crypto.h>
#include <string.h>
#include <zlib.h>

#define FILE_MAX_BYTES (64u << 10)

static const char make_one[] =
    "make one from random bytes: (umask 077; head -c 64 /dev/urandom >FILE)";

static int check_access(const char *path, const struct stat *st, struct error **err)
{
    if (st->st_uid != geteuid() && st->st_uid != 0) {
        error_user(err, "the seal secret %s belongs to another user (uid %u)", path,
                   (unsigned)st->st_uid);
        return error_hint(err, "who owns it has read it, or can change it: %s", make_one);
    }
    if (!(st->st_mode & 077))
        return 0;
    error_user(err, "the seal secret %s can be %s by %s", path,
               st->st_mode & 044   ? "read"
               : st->st_mode & 022 ? "written"
                                   : "run",
               st->st_mode & 07 ? "everybody" : "its group");
    return error_hint(err, "chmod 600 %s; if others may have seen it, make a new one", path);
}

// ---- how hard is it to guess? ----

// Shannon's entropy of the bytes as they are counted, for all of them.
static double bits_of_counts(const unsigned char *bytes, size_t n)
{
    size_t count[256] = {0};
    double bits = 0;
    for (size_t i = 0; i < n; i++)
        count[bytes[i]]++;
    for (size_t i = 0; i < 256; i++)
        if (count[i])
            bits -= (double)count[i] * log2((double)count[i] / (double)n);
    OPENSSL_cleanse(count, sizeof count);
    return bits;
}

// What Deflate leaves of them: repetitions take no room. Random bytes get no shorter.
static double bits_of_deflate(const unsigned char *bytes, size_t n)
{
    unsigned char out[2 * SE_SECRET_MAX];
    z_stream z = {.next_in = (unsigned char *)bytes,
                  .avail_in = (unsigned)n,
                  .next_out = out,
                  .avail_out = sizeof out};
    if (deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED, -MAX_WBITS, 9, Z_DEFAULT_STRATEGY) != Z_OK)
        out_of_memory();
    deflate(&z, Z_FINISH);
    double bits = 8 * (double)z.total_out;
    deflateEnd(&z);
    OPENSSL_cleanse(out, sizeof out);
    return bits;
}

// Random bytes never repeat as a whole; what does was typed.
static double bits_of_period(const unsigned char *bytes, size_t n)
{
    size_t period = 1;
    while (period < n && memcmp(bytes, bytes + period, n - period) != 0)
        period++;
    return period > n / 2 ? 8 * (double)n : 0;
}

static double least_bits(const unsigned char *bytes, size_t n)
{
    return fmin(bits_of_period(bytes, n),
                fmin(bits_of_counts(bytes, n), bits_of_deflate(bytes, n)));
}

// The least of several estimates, each of which overlooks something: a count does not see
// repetitions, and neither sees "0123456789abcdef", which is a repetition once differences are
// taken. Random bytes of the least length are far above SE_SECRET_BITS_MIN in each.
static double secret_bits(const unsigned char *bytes, size_t n)
{
    unsigned char differences[SE_SECRET_MAX];
    for (size_t i = 0; i < n; i++)
        differences[i] = (unsigned char)(bytes[i] - (i ? bytes[i - 1] : 0));
    double bits = fmin(least_bits(bytes, n), least_bits(differences, n));
    OPENSSL_cleanse(differences, sizeof differences);
    return bits;
}

static bool is_text_line(const unsigned char *bytes, size_t n)
{
    if (bytes[n - 1] != '\n')
        return false;
    for (size_t i = 0; i + 1 < n; i++)
        if ((bytes[i] < ' ' && bytes[i] != '\t' && bytes[i] != '\r') || bytes[i] > '~')
            return false;
    return true;
}

static int check_content(const char *path, const struct secret_memory *s, struct error **err)
{
    if (s->length < SE_SECRET_MIN || s->length > SE_SECRET_MAX) {
        error_user(err, "the seal secret %s has %zu bytes; it must have %u to %u", path, s->length,
                   SE_SECRET_MIN, SE_SECRET_MAX);
        return error_hint(err, "%s", make_one);
    }
    if (secret_bits(s->bytes, s->length) < SE_SECRET_BITS_MIN) {
        error_user(
            err,
            "the seal secret %s can be guessed: its bytes repeat or follow a pattern, and are "
            "worth less than %u random bits",
            path, SE_SECRET_BITS_MIN);
        return error_hint(err, "%s", make_one);
    }
    if (is_text_line(s->bytes, s->length))
        log_warning("the seal secret %s is a text that ends in a line feed, which is part of the "
                    "secret: without it the image is another one",
                    path);
    return 0;
}

int se_secret_load(const char *path, struct secret_memory *out, struct error **err)
{
    struct stat st;
    struct secret_memory s = {0};
    if (secret_memory_read(path, FILE_MAX_BYTES, &s, &st, err) < 0)
        return error_wrap(err, "the seal secret");
    if (check_access(path, &st, err) < 0 || check_content(path, &s, err) < 0) {
        secret_memory_free(&s);
        return -1;
    }
    *out = s;
    return 0;
}
