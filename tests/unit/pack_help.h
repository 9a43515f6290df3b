// SPDX-License-Identifier: Apache-2.0
// What the tests of lib/pack share: a scratch folder, files in it, and archives made with
// libarchive directly, which writes anything that it is asked to.
#ifndef KBUILD_TESTS_PACK_HELP_H
#define KBUILD_TESTS_PACK_HELP_H

#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/process.h"
#include "pack/pack.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define EPOCH 1700000000
#define UNUSED __attribute__((unused))

static char *scratch; // each program's own folder

static inline int make_scratch(void **state)
{
    const char *parent = getenv("TMPDIR");
    scratch = make_temporary_directory(parent ? parent : "/tmp", "kbuild-pack", NULL);
    return scratch ? 0 : -1;
}

static inline int drop_scratch(void **state)
{
    int result = remove_tree(scratch, NULL);
    free(scratch);
    return result;
}

// A path in the scratch folder, valid for the next seven calls.
__attribute__((format(printf, 1, 2))) UNUSED static const char *at(const char *format, ...)
{
    static char *paths[8];
    static unsigned next;
    va_list args;
    va_start(args, format);
    cleanup_free char *name = xvasprintf(format, args);
    va_end(args);
    char **path = &paths[next++ % 8];
    free(*path);
    return *path = xasprintf("%s/%s", scratch, name);
}

// The result first: a call and its error as two arguments would be evaluated in any order.
#define no_error(call, err)                                                                        \
    do {                                                                                           \
        int no_error_result = (call);                                                              \
        check_no_error(no_error_result, err);                                                      \
    } while (0)
#define expect_error(call, err, text)                                                              \
    do {                                                                                           \
        int expect_error_result = (call);                                                          \
        check_error(expect_error_result, err, text);                                               \
    } while (0)

static inline void check_no_error(int result, struct error *err)
{
    if (result < 0)
        fail_msg("%s", err ? err->message : "failed without a message");
    assert_null(err);
}

// Checks that it failed with `text` in the message, and frees the error.
static inline void check_error(int result, struct error *err, const char *text)
{
    assert_true(result < 0);
    assert_non_null(err);
    if (!strstr(err->message, text))
        fail_msg("\"%s\" is not in the message: %s", text, err->message);
    error_free(err);
}

UNUSED static void put(const char *path, const char *content, mode_t mode)
{
    struct error *err = NULL;
    no_error(make_parent(path, &err), err);
    no_error(file_write(path, content, strlen(content), mode, &err), err);
}

UNUSED static char *get(const char *path) // to be freed
{
    struct buf b = {0};
    struct error *err = NULL;
    no_error(file_read(path, (size_t)1 << 26, &b, &err), err);
    return buf_take(&b);
}

UNUSED static void expect_content(const char *path, const char *content)
{
    cleanup_free char *is = get(path);
    assert_string_equal(is, content);
}

UNUSED static int create(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    return fd;
}

UNUSED static int open_again(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

UNUSED static void digest_of(const char *path, char hex[DIGEST_HEX_SIZE])
{
    struct error *err = NULL;
    no_error(digest_file(path, hex, NULL, &err), err);
}

UNUSED static void expect_same_bytes(const char *one, const char *two)
{
    char a[DIGEST_HEX_SIZE], b[DIGEST_HEX_SIZE];
    digest_of(one, a);
    digest_of(two, b);
    assert_string_equal(a, b);
}

// ---- archives with libarchive ----

// Tables of these leave the fields out that are zero.
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
struct member {
    const char *name;
    unsigned type;       // S_IFREG...; 0 is a file
    const char *content; // or the target of a link
    bool hard;           // content is the target of a hard link
    unsigned mode;       // 0: 0644
};

UNUSED static void add_member(struct archive *a, const struct member *m)
{
    struct archive_entry *e = archive_entry_new();
    unsigned type = m->type ? m->type : S_IFREG;
    bool file = type == S_IFREG && !m->hard;
    archive_entry_set_pathname(e, m->name);
    archive_entry_set_mode(e, type | (m->mode ? m->mode : 0644));
    archive_entry_set_mtime(e, 1234567890, 0);
    archive_entry_set_size(e, file && m->content ? (la_int64_t)strlen(m->content) : 0);
    if (m->hard)
        archive_entry_set_hardlink(e, m->content);
    else if (type == S_IFLNK)
        archive_entry_set_symlink(e, m->content);
    if (type == S_IFCHR || type == S_IFBLK) {
        archive_entry_set_rdevmajor(e, 1);
        archive_entry_set_rdevminor(e, 3);
    }
    assert_true(archive_write_header(a, e) >= ARCHIVE_WARN);
    if (file && m->content)
        assert_int_equal(archive_write_data(a, m->content, strlen(m->content)), strlen(m->content));
    archive_entry_free(e);
}

// Writes an archive of members up to the first without a name.
UNUSED static void write_archive(const char *path, int (*format)(struct archive *),
                                 int (*filter)(struct archive *), const struct member *m)
{
    struct archive *a = archive_write_new();
    assert_int_equal(format(a), ARCHIVE_OK);
    if (filter)
        assert_int_equal(filter(a), ARCHIVE_OK);
    assert_int_equal(archive_write_open_filename(a, path), ARCHIVE_OK);
    for (; m->name; m++)
        add_member(a, m);
    assert_int_equal(archive_write_close(a), ARCHIVE_OK);
    archive_write_free(a);
}

UNUSED static void write_tar(const char *path, const struct member *m)
{
    write_archive(path, archive_write_set_format_pax_restricted, NULL, m);
}

// An empty folder of this name in the scratch folder.
UNUSED static const char *fresh(const char *name)
{
    const char *path = at("%s", name);
    struct error *err = NULL;
    no_error(remove_tree(path, &err), err);
    assert_int_equal(mkdir(path, 0755), 0);
    return path;
}

UNUSED static int unpack_file_at(const char *archive, const char *folder,
                                 const struct unpack_options *o, struct error **err)
{
    cleanup_close int fd = open_again(archive);
    return unpack(fd, archive, folder, o, NULL, err);
}

#endif
