// SPDX-License-Identifier: Apache-2.0
// gzip by several threads: one member, the same bytes whatever the threads, read back by zlib.
#include "test.h"

#include "pack/pack.h"

#include "base/file.h"
#include "base/memory.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

static int memory_file(void)
{
    int fd = memfd_create("gzip", MFD_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

// Text that compresses somewhat, and repeats across the borders of blocks.
static char *some_content(size_t n)
{
    char *out = xmalloc(n + 1);
    unsigned x = 1;
    for (size_t i = 0; i < n; i++) {
        x = x * 1103515245 + 12345;
        out[i] = i % 300 < 200 && i >= 300 ? out[i - 300] : (char)(x >> 16);
    }
    return out;
}

static size_t compress_into(int fd, const char *content, size_t n, unsigned threads, size_t piece)
{
    struct error *err = NULL;
    struct gzip *g = gzip_begin(fd, threads);
    for (size_t i = 0; i < n; i += piece)
        assert_int_equal(gzip_add(g, content + i, n - i < piece ? n - i : piece, &err), 0);
    assert_int_equal(gzip_end(g, &err), 0);
    gzip_free(g);
    return (size_t)lseek(fd, 0, SEEK_END);
}

// Inflates exactly one member and nothing behind it.
static void expect_content(int fd, size_t size, const char *content, size_t n)
{
    cleanup_free unsigned char *in = xmalloc(size), *out = xmalloc(n + 1);
    assert_int_equal(pread(fd, in, size, 0), size);
    z_stream z = {.next_in = in, .avail_in = (uInt)size, .next_out = out, .avail_out = (uInt)n + 1};
    assert_int_equal(inflateInit2(&z, 16 + MAX_WBITS), Z_OK);
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    assert_int_equal(z.avail_in, 0);
    assert_int_equal(z.total_out, n);
    assert_memory_equal(out, content, n);
    inflateEnd(&z);
}

TEST(every_size_comes_back_and_threads_change_nothing)
{
    static const size_t sizes[] = {
        0, 1, GZIP_BLOCK - 1, GZIP_BLOCK, GZIP_BLOCK + 1, 2 * GZIP_BLOCK, 9 * GZIP_BLOCK + 77};
    static const unsigned threads[] = {0, 1, 2, 3, 8};
    cleanup_free char *content = some_content(sizes[ARRAY_LEN(sizes) - 1]);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        cleanup_close int first = memory_file();
        size_t size = compress_into(first, content, sizes[i], 1, 10240);
        expect_content(first, size, content, sizes[i]);
        cleanup_free char *expected = xmalloc(size), *found = xmalloc(size);
        assert_int_equal(pread(first, expected, size, 0), size);
        for (size_t t = 0; t < ARRAY_LEN(threads); t++) {
            cleanup_close int fd = memory_file();
            assert_int_equal(compress_into(fd, content, sizes[i], threads[t], 700001), size);
            assert_int_equal(pread(fd, found, size, 0), size);
            assert_memory_equal(found, expected, size);
        }
    }
}

TEST(a_file_is_compressed_from_its_beginning)
{
    struct error *err = NULL;
    const size_t n = 3 * GZIP_BLOCK + 5;
    cleanup_free char *content = some_content(n);
    cleanup_close int from = memory_file(), to = memory_file();
    assert_int_equal(fd_write_all(from, "a file", content, n, NULL), 0);
    assert_int_equal(gzip_file(from, "a file", to, 2, &err), 0);
    expect_content(to, (size_t)lseek(to, 0, SEEK_END), content, n);
}

TEST(a_full_disk_is_an_error_and_not_a_hang)
{
    static const unsigned threads[] = {1, 4};
    cleanup_free char *content = some_content(GZIP_BLOCK);
    for (size_t t = 0; t < ARRAY_LEN(threads); t++) {
        cleanup_error struct error *err = NULL;
        cleanup_close int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
        struct gzip *g = gzip_begin(full, threads[t]);
        int result = 0;
        for (int i = 0; i < 40 && !result; i++)
            result = gzip_add(g, content, GZIP_BLOCK, &err);
        if (!result)
            result = gzip_end(g, &err);
        assert_int_equal(result, -1);
        assert_non_null(err);
        gzip_free(g); // with blocks on their way
    }
}
