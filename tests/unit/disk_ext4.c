// SPDX-License-Identifier: Apache-2.0
// What debugfs is told of a tree. Whether a file system comes of it: tests/e2e/disk.bats.
#include "test.h"

#include "disk/disk.h"

#include "base/file.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

static char *scratch;

static int begin(void **state)
{
    scratch = make_temporary_directory(getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp", "disk", NULL);
    return scratch ? 0 : -1;
}

static int end(void **state)
{
    int result = remove_tree(scratch, NULL);
    free(scratch);
    return result;
}

static int tell(struct ext4_fill *f, struct pack_entry e, const char *const *names, size_t n,
                struct error **err)
{
    struct pack_sink sink = ext4_fill_sink(f);
    e.names = names;
    e.name_count = n;
    return sink.entry(sink.context, &e, err);
}

#define TELL(f, err, entry, ...)                                                                   \
    tell(f, (struct pack_entry)entry, (const char *const[]){__VA_ARGS__},                          \
         sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *), err)
#define ENTRY(...)                                                                                 \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

ALL_TESTS(begin, end)

TEST(commands_hold_hostile_names)
{
    struct error *err = NULL;
    struct ext4_size size;
    char digest[DIGEST_HEX_SIZE];
    cleanup_buf struct buf text = {0};
    cleanup_ext4_fill struct ext4_fill *f = ext4_fill_begin(scratch, "in", &err);
    struct pack_sink sink = ext4_fill_sink(f);
    assert_int_equal(TELL(f, &err, ENTRY(.mode = S_IFDIR | 0755), ""), 0);
    assert_int_equal(TELL(f, &err, ENTRY(.mode = S_IFDIR | 01777, .gid = 7), "a \"b\""), 0);
    assert_int_equal(TELL(f, &err, ENTRY(.mode = S_IFLNK | 0777, .link = "!rm \"x"), "-l"), 0);
    assert_int_equal(
        TELL(f, &err, ENTRY(.mode = S_IFCHR | 0600, .major = 5, .minor = 1), "a \"b\"/<12>"), 0);
    assert_int_equal(TELL(f, &err,
                          ENTRY(.mode = S_IFREG | 04755, .size = 2, .mtime = 9, .uid = 70000,
                                .attributes = "757365722e78=00ff"),
                          "#\xff", "z"),
                     0);
    assert_int_equal(sink.data(sink.context, "hi", 2, &err), 0);
    assert_int_equal(ext4_fill_end(f, &size, digest, &err), 0);
    cleanup_free char *path = xasprintf("%s/commands", scratch);
    assert_int_equal(file_read(path, 1 << 16, &text, &err), 0);
    assert_string_equal(text.data, "set_super_value flags 1\n"
                                   "set_inode_field \"/\" mode 040755\n"
                                   "set_inode_field \"/\" mtime @0\n"
                                   "mkdir \"/a \"\"b\"\"\"\n"
                                   "set_inode_field \"/a \"\"b\"\"\" mode 041777\n"
                                   "set_inode_field \"/a \"\"b\"\"\" gid 7\n"
                                   "set_inode_field \"/a \"\"b\"\"\" mtime @0\n"
                                   "symlink \"/-l\" \"!rm \"\"x\"\n"
                                   "set_inode_field \"/-l\" mtime @0\n"
                                   "cd \"/a \"\"b\"\"\"\n"
                                   "mknod \"<12>\" c 5 1\n"
                                   "cd /\n"
                                   "set_inode_field \"/a \"\"b\"\"/<12>\" mode 020600\n"
                                   "set_inode_field \"/a \"\"b\"\"/<12>\" mtime @0\n"
                                   "write in/0 \"/#\xff\"\n"
                                   "set_inode_field \"/#\xff\" mode 0104755\n"
                                   "set_inode_field \"/#\xff\" uid 70000\n"
                                   "set_inode_field \"/#\xff\" mtime @9\n"
                                   "set_inode_field \"/#\xff\" links_count 2\n"
                                   "ea_set -f in/1 \"/#\xff\" \"user.x\"\n"
                                   "expand_dir \"/\"\n"
                                   "link \"/#\xff\" \"/z\"\n");
    assert_int_equal(size.used, 10 + 1 + 4);
    assert_true(size.inodes >= size.used);
    // mke2fs makes a journal of 1024 blocks only where half of what is free holds it.
    assert_int_equal(size.blocks, 2050);
}

static void expect_refused(int result, struct error *err, const char *why)
{
    assert_int_equal(result, -1);
    if (!strstr(err->message, why))
        fail_msg("\"%s\" is not in \"%s\"", why, err->message);
    error_free(err);
}
// The result first: a call and its error as two arguments would be evaluated in any order.
#define REFUSED(call, why)                                                                         \
    do {                                                                                           \
        struct error *err = NULL;                                                                  \
        int refused_result = (call);                                                               \
        expect_refused(refused_result, err, why);                                                  \
    } while (0)

TEST(what_debugfs_cannot_take_is_refused)
{
    cleanup_free char *folder = xasprintf("%s/refused", scratch);
    cleanup_free char *deep = xcalloc(1, 4200), *long_name = xcalloc(1, 300);
    assert_int_equal(mkdir(folder, 0700), 0);
    cleanup_ext4_fill struct ext4_fill *f = ext4_fill_begin(folder, "in", NULL);
    memset(long_name, 'x', 256);
    for (size_t i = 0; i < 4190; i++)
        deep[i] = i % 200 == 199 ? '/' : '"'; // two bytes each
    REFUSED(TELL(f, &err, ENTRY(.mode = S_IFREG), "lost+found"), "lost+found: this is no directory");
    REFUSED(TELL(f, &err, ENTRY(.mode = S_IFREG), "a", "lost+found"), "lost+found: this is no");
    REFUSED(TELL(f, &err, ENTRY(.mode = S_IFLNK, .link = "x"), "lost+found"), "lost+found: this");
    REFUSED(TELL(f, &err, ENTRY(.mode = S_IFCHR), "lost+found"), "lost+found: this is no directory");
    assert_int_equal(TELL(f, NULL, ENTRY(.mode = S_IFDIR), "lost+found"), 0);
    assert_int_equal(TELL(f, NULL, ENTRY(.mode = S_IFLNK, .link = "x"), "lost+found/lost+found"),
                     0);
    REFUSED(TELL(f, &err, ENTRY(.mode = S_IFDIR), "a\nwrite /etc/passwd b"), "line break");
    REFUSED(TELL(f, &err, ENTRY(.mode = S_IFDIR), "a\rb"), "line break");
    REFUSED(TELL(f, &err, ENTRY(.mode = S_IFLNK, .link = "a\n!id"), "l"), "line break");
    REFUSED(TELL(f, &err, ENTRY(.mode = S_IFDIR), deep), "too long for debugfs");
    REFUSED(TELL(f, &err, ENTRY(.mode = S_IFDIR), long_name), "255 bytes");
    REFUSED(TELL(f, &err, ENTRY(.mode = S_IFDIR, .uid = (int64_t)1 << 32), "d"), "owner");
    REFUSED(TELL(f, &err, ENTRY(.mode = S_IFBLK, .major = 70000), "n"), "device number");
    REFUSED(TELL(f, &err, ENTRY(.mode = S_IFSOCK), "s"), "kind");
    const char **many = xcalloc(65001, sizeof *many);
    for (size_t i = 0; i < 65001; i++)
        many[i] = "x";
    REFUSED(tell(f, (struct pack_entry){.mode = S_IFREG}, many, 65001, &err), "at most 65000");
    free(many);
    REFUSED(TELL(f, &err, ENTRY(.mode = S_IFDIR, .attributes = "78"), "e"), "attribute");
    struct pack_sink sink = ext4_fill_sink(f);
    assert_int_equal(TELL(f, NULL, ENTRY(.mode = S_IFREG, .size = 1), "f"), 0);
    REFUSED(sink.data(sink.context, "ab", 2, &err), "more content");
    struct ext4_size size;
    char digest[DIGEST_HEX_SIZE];
    REFUSED(ext4_fill_end(f, &size, digest, &err), "ended early");
}

TEST(messages_are_failures)
{
    assert_int_equal(ext4_check_messages("debugfs 1.47.0 (5-Feb-2023)\n", NULL), 0);
    REFUSED(ext4_check_messages("debugfs 1.47.0 (5-Feb-2023)\nwrite: No space\n", &err),
            "write: No space");
    REFUSED(ext4_check_messages("", &err), "debugfs printed");
    REFUSED(ext4_check_messages("ld.so: no libext2fs\n", &err), "libext2fs");
}

// Blocks for `count` links whose names have `length` bytes, in one directory.
static uint64_t blocks_of_names(const char *folder, unsigned count, size_t length)
{
    struct error *err = NULL;
    struct ext4_size size;
    char digest[DIGEST_HEX_SIZE];
    cleanup_free char *path = xasprintf("%s/%s", scratch, folder), *name = xcalloc(1, length + 1);
    assert_int_equal(mkdir(path, 0700), 0);
    cleanup_ext4_fill struct ext4_fill *f = ext4_fill_begin(path, "in", &err);
    assert_int_equal(TELL(f, &err, ENTRY(.mode = S_IFDIR | 0755), ""), 0);
    for (unsigned i = 0; i < count; i++) {
        memset(name, 'x', length);
        name[snprintf(name, 9, "%08u", i)] = length > 8 ? 'x' : 0;
        assert_int_equal(TELL(f, &err, ENTRY(.mode = S_IFLNK | 0777, .link = "y"), name), 0);
    }
    assert_int_equal(ext4_fill_end(f, &size, digest, &err), 0);
    return size.blocks;
}

// A link needs no block of its own, and its name needs room in the directory.
TEST(names_take_room)
{
    enum { NAMES = 20000 }; // beyond the least that a file system has
    uint64_t few = blocks_of_names("short", NAMES, 8), many = blocks_of_names("long", NAMES, 248);
    assert_true(many - few >= NAMES * 240 / DISK_BLOCK);
}
