// SPDX-License-Identifier: Apache-2.0
// What a splice believes: listings that were kept, and files that look as if they could be cut. A
// listing that is read is written again as the same bytes. A file that can be cut and reads well is
// spliced with itself, and then holds its members twice, no more and no less.
// Seeds: tests/fuzz/seeds/splice/.
#include "base/file.h"
#include "pack/internal.h"
#include "pack/pack.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void listing_settles(const uint8_t *data, size_t size)
{
    cleanup_error struct error *err = NULL;
    struct listing l = {0};
    int result = listing_read(data, size, &l, &err);
    require((result < 0) == (err != NULL));
    if (!result) {
        cleanup_buf struct buf again = {0};
        listing_write(&l, &again);
        // Numbers may be written with zeros in front; what they say settles at once.
        struct listing second = {0};
        require(listing_read(again.data, again.len, &second, NULL) == 0);
        cleanup_buf struct buf third = {0};
        listing_write(&second, &third);
        require(third.len == again.len && !memcmp(third.data, again.data, again.len));
        listing_free(&second);
    }
    listing_free(&l);
}

static int memory(const void *bytes, size_t length)
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    require(fd >= 0 && fd_write_all(fd, "fuzz", bytes, length, NULL) == 0);
    return fd;
}

static bool text_of(int fd, struct buf *out)
{
    struct listing l = {0};
    cleanup_error struct error *err = NULL;
    bool good = list_archive(fd, "fuzz", &l, &err) == 0;
    if (good)
        listing_write(&l, out);
    listing_free(&l);
    return good;
}

static void cut_and_join(int fd, size_t size, const struct segment_format *format)
{
    cleanup_error struct error *err = NULL;
    struct segment segments[2];
    if (format->open(fd, size, &segments[0], &err) <= 0)
        return;
    require(format->open(fd, size, &segments[1], &err) == 1);
    cleanup_close int out = memory("", 0);
    cleanup_buf struct buf once = {0}, twice = {0};
    struct splice *splice = splice_begin(format, segments, segments[0].data.length * 2, out);
    splice_ready(splice, 2);
    require(splice_end(splice, &err) == 0);
    if (text_of(fd, &once)) {
        const char *entries = memchr(once.data, '\n', once.len);
        size_t length = once.len - (size_t)(entries + 1 - once.data);
        require(text_of(out, &twice));
        require(twice.len == once.len + length);
        require(!memcmp(twice.data + once.len, entries + 1, length));
    }
    format->close(&segments[0]);
    format->close(&segments[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    listing_settles(data, size);
    cleanup_close int fd = memory(data, size);
    cut_and_join(fd, size, &xz_segments);
    cut_and_join(fd, size, &zstd_segments);
    return 0;
}
