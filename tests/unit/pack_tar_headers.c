// SPDX-License-Identifier: Apache-2.0
// Tars that GNU tar, Python's tarfile and libarchive do not read as the same members are refused,
// by everything that reads one; those that all read alike are read.
#include "test.h"

#include "pack_help.h"

// Parts of a tar: h() a header, member() one with content, ext() an extension, pax() and gnu().
static const char helper[] =
    "def h(name=b'x', type=b'0', size=0, **f):\n"
    "    b = bytearray(512)\n"
    "    def put(at, value): b[at:at + len(value)] = value\n"
    "    put(0, name); put(100, f.get('mode', b'0000644\\0')); put(108, f.get('uid', "
    "b'0000000\\0'))\n"
    "    put(116, b'0000000\\0'); put(124, size if isinstance(size, bytes) else b'%011o\\0' % "
    "size)\n"
    "    put(136, b'00000000001\\0'); put(156, type); put(157, f.get('link', b''))\n"
    "    put(257, f.get('magic', b'ustar\\00000')); put(345, f.get('prefix', b'')); "
    "put(386, f.get('sparse', b''))\n"
    "    put(148, b' ' * 8); put(148, b'%06o\\0 ' % (sum(b) + f.get('off', 0)))\n"
    "    return bytes(b)\n"
    "def padded(data): return data + bytes(-len(data) % 512)\n"
    "def member(data=b'data', **f): return h(**{'size': len(data), **f}) + padded(data)\n"
    "def ext(type, body): return h(b'e', type, len(body)) + padded(body)\n"
    "def record(key, value):\n"
    "    n = len(key) + len(value) + 3\n"
    "    while len(b'%d' % n) + len(key) + len(value) + 3 != n: n += 1\n"
    "    return b'%d %s=%s\\n' % (n, key, value)\n"
    "def pax(*pairs): return ext(b'x', b''.join(record(*p) for p in pairs))\n"
    "def g(*pairs): return ext(b'g', b''.join(record(*p) for p in pairs))\n"
    "def L(name): return ext(b'L', name + b'\\0')\n"
    "def K(name): return ext(b'K', name + b'\\0')\n"
    "gnu = {'magic': b'ustar  \\0'}\n"
    "end = bytes(1024)\n";

// The bytes of in.tar, as that helper's expression.
static void make(const char *parts)
{
    cleanup_free char *script =
        xasprintf("%sopen('%s', 'wb').write(%s)\n", helper, at("in.tar"), parts);
    char *const argv[] = {(char *)"python3", (char *)"-c", script, NULL};
    struct process p = {.argv = argv, .input = -1};
    struct error *err = NULL;
    no_error(process_run(&p, NULL, &err), err);
}

static int list_it(struct listing *l, struct error **err)
{
    cleanup_close int fd = open_again(at("in.tar"));
    return list_archive(fd, "in.tar", l, err);
}

static int merge_it(struct error **err)
{
    const struct merge_options o = {.prefix = "opt/kata", .scratch = scratch};
    cleanup_strlist struct strlist paths = {0};
    strlist_add(&paths, at("in.tar"));
    cleanup_close int fd = create(at("merged"));
    return merge_archives(&paths, fd, &o, err);
}

static int unpack_one(struct error **err)
{
    cleanup_close int fd = open_again(at("in.tar")), out = create(at("one"));
    return unpack_member(fd, "in.tar", "x", out, NULL, err);
}

static const struct {
    const char *parts, *why;
} refused[] = {
    {"g((b'size', b'1')) + member() + end", "a global one with \"size\""},
    {"g((b'path', b'y')) + member() + end", "a global one with \"path\""},
    {"member() + g((b'linkpath', b'/etc')) + h(b'l', b'2', link=b'x') + end", "\"linkpath\""},
    {"g((b'comment', b'c'), (b'mtime', b'1')) + member() + end", "a global one with \"mtime\""},
    {"g((b'SCHILY.xattr.security.capability', b'c')) + member() + end", "a global one with"},
    {"pax((b'path', b'y')) + g((b'comment', b'c')) + member() + end", "the second one of one"},
    {"pax((b'path', b'y')) + pax((b'mtime', b'1')) + member() + end", "the second one of one"},
    {"pax((b'path', b'y')) + L(b'z') + member() + end", "the second one of one member"},
    {"L(b'z') + pax((b'path', b'y')) + member() + end", "the second one of one member"},
    {"L(b'z') + L(b'y') + member() + end", "the second one of one member"},
    {"K(b'z') + K(b'y') + h(type=b'2', link=b'w') + end", "the second one of one member"},
    {"pax((b'path', b'y'), (b'path', b'x')) + member() + end", "key \"path\" twice"},
    {"pax((b'path', b'')) + member() + end", "\"path\" that is no name"},
    {"pax((b'path', b'y\\0z')) + member() + end", "\"path\" that is no name"},
    {"pax((b'size', b'0')) + member() + end", "two sizes, 4 and 0"},
    {"pax((b'size', b'512')) + h(size=0) + member() + end", "two sizes, 0 and 512"},
    {"pax((b'size', b'-1')) + member() + end", "size \"-1\", which is no number"},
    {"pax((b'hdrcharset', b'EBCDIC')) + member() + end", "in the character set \"EBCDIC\""},
    {"pax((b'GNU.sparse.name', b'y')) + member() + end", "the extended key \"GNU.sparse.name\""},
    {"pax((b'SCHILY.realsize', b'9')) + member() + end", "the extended key \"SCHILY.realsize\""},
    {"pax((b'linkpath', b'/etc')) + member() + end", "a link target or a content, which"},
    {"ext(b'x', b'99 path=y\\n') + member() + end", "extended records that are not valid"},
    {"ext(b'x', b'010 path=y\\n') + member() + end", "extended records that are not valid"},
    {"ext(b'x', b'10 path=y\\nrest') + member() + end", "extended records that are not valid"},
    {"ext(b'L', b'y\\0z') + member() + end", "has something behind it"},
    {"L(b'') + member() + end", "a long name that is empty"},
    {"h(b'e', b'L', 2 << 20) + bytes(2 << 20) + member() + end", "larger than 1 MiB"},
    {"member() + L(b'y') + end", "ends the archive, after one that is of a member"},
    {"member(size=b'\\377' * 12) + end", "a size that is no positive number"},
    {"member(size=b'\\200' + b'\\377' * 11) + end", "a size that is no positive number"},
    {"member(size=b'-0000000004\\0') + end", "a size that is no positive number"},
    {"member(size=b'0000_000004\\0') + end", "a size that is no positive number"},
    {"member(mode=b'-000644\\0') + end", "a mode or an owner that is no positive number"},
    {"member(uid=b'\\377' * 8) + end", "a mode or an owner that is no positive number"},
    {"member() + member(type=b'1', link=b'x', name=b'y') + end", "which this type has not"},
    {"member() + member(type=b'2', link=b'x', name=b'y') + end", "which this type has not"},
    {"member(type=b'5', name=b'y') + end", "which this type has not"},
    {"member(name=b'y/') + end", "of a file whose name ends in a slash"},
    {"member(type=b'V') + end", "has the type 'V'"},
    {"member(type=b'X') + end", "has the type 'X'"},
    {"member() + h(b'y', b'M') + end", "has the type 'M'"},
    {"member(magic=b'star  \\0\\0') + end", "of no known kind of tar"},
    {"member(prefix=b'etc', **gnu) + end", "where others have a part of the name"},
    {"member(prefix=b'etc', magic=b'') + end", "where others have a part of the name"},
    {"member() + member(name=b'y', off=1) + end", "its checksum does not fit"},
    {"member(type=b'S', sparse=b'%011o\\0%011o\\0' % (0, 4), **gnu) + end", "a sparse map that is "
                                                                            "not in order"},
    {"member() + bytes(512) + member(name=b'y') + end", "continues after the end"},
    {"member(prefix=b'etc', type=b'\\0', **gnu) + end", "where others have a part of the name"},
    {"pax((b'SUN.holesdata', b' 512 1024')) + member() + end",
     "the extended key \"SUN.holesdata\""},
    {"member(sparse=b'%011o\\0%011o\\0' % (512, 512), **gnu) + end", "is no sparse file"},
    {"member(sparse=bytes(96) + b'\\1', **gnu) + end", "is no sparse file"},
    {"member(sparse=bytes(97) + b'7', **gnu) + end", "is no sparse file"},
    {"L(b'y') + member(name=b'x/', type=b'\\0', **gnu) + end", "a directory by one of its names"},
    {"pax((b'path', b'y/')) + member(type=b'\\0') + end", "a directory by one of its names"},
    {"member(type=b'S', magic=b'', sparse=b'%011o\\0%011o\\0' % (0, 4) + bytes(72) + b'4') + end",
     "a sparse map that is not GNU tar's"},
};

static const struct {
    const char *parts, *path, *link;
} read_alike[] = {
    {"g((b'comment', b'c')) + member() + end", "x", NULL},
    {"g((b'comment', b'c')) + pax((b'path', b'y')) + member() + end", "y", NULL},
    {"L(b'y' * 200) + member(**gnu) + end", NULL, NULL},
    {"K(b'y' * 200) + L(b'z/y') + h(type=b'2', link=b'w', **gnu) + end", "z/y", NULL},
    {"pax((b'path', b'y'), (b'linkpath', b'z')) + h(type=b'2', link=b'w') + end", "y", "z"},
    {"member(prefix=b'a/b') + end", "a/b/x", NULL},
    {"member(magic=b'') + end", "x", NULL},
    {"h(b'd/', b'\\0') + end", "d", NULL},
    {"member(size=b'\\200' + bytes(10) + b'\\4') + end", "x", NULL},
    {"pax((b'size', b'4'), (b'VENDOR.unknown', b'v')) + member() + end", "x", NULL},
    // Bytes as they are: some versions of libarchive compose the characters.
    {"pax((b'path', b'e\\xcc\\x81')) + member() + end", "e\xcc\x81", NULL},
    {"pax((b'hdrcharset', b'BINARY'), (b'path', b'\\xe9')) + member() + end", "\xe9", NULL},
    {"pax((b'path', b'\\xe9\\xff')) + member() + end", "\xe9\xff", NULL},
};

ALL_TESTS(make_scratch, drop_scratch)

TEST(what_readers_do_not_read_alike_is_refused_everywhere)
{
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        const char *why = refused[i].why;
        struct listing l = {0};
        struct error *err = NULL;
        make(refused[i].parts);
        print_message("%s\n", refused[i].parts);
        expect_error(list_it(&l, &err), err, why);
        listing_free(&l);
        err = NULL;
        expect_error(merge_it(&err), err, why);
        err = NULL;
        expect_error(unpack_new(at("in.tar"), at("new"), &err), err, why);
        assert_false(path_exists(at("new")));
        err = NULL;
        expect_error(unpack_one(&err), err, why);
    }
}

TEST(what_all_read_alike_is_read)
{
    for (size_t i = 0; i < ARRAY_LEN(read_alike); i++) {
        struct listing l = {0};
        struct error *err = NULL;
        make(read_alike[i].parts);
        print_message("%s\n", read_alike[i].parts);
        no_error(list_it(&l, &err), err);
        assert_int_equal(l.n, 1);
        if (read_alike[i].path)
            assert_string_equal(l.entries[0].path, read_alike[i].path);
        if (read_alike[i].link)
            assert_string_equal(l.entries[0].link, read_alike[i].link);
        assert_int_equal(l.entries[0].size,
                         l.entries[0].link || S_ISDIR(l.entries[0].mode) ? 0 : 4);
        listing_free(&l);
    }
}
