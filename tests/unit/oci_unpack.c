// SPDX-License-Identifier: Apache-2.0
// Layers of images, as other programs make them, and hostile ones.
#include "test.h"

#include "store_help.h"

#include "oci/oci.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/xattr.h>

struct member {
    const char *path, *link, *content;
    // 'f', 'd', 'l' symlink, 'h' hard link, 'n' device node, 'x' file with user.test=<link>
    char kind;
};

static int write_layer(const struct fixture *f, const char *filter, const struct member *members,
                       size_t count)
{
    cleanup_free char *path = xasprintf("%s/layer", f->folder);
    struct archive *a = archive_write_new();
    assert_int_equal(archive_write_set_format_pax_restricted(a), ARCHIVE_OK);
    assert_int_equal(archive_write_add_filter_by_name(a, filter), ARCHIVE_OK);
    assert_int_equal(archive_write_open_filename(a, path), ARCHIVE_OK);
    for (size_t i = 0; i < count; i++) {
        const struct member *m = &members[i];
        struct archive_entry *e = archive_entry_new();
        size_t n = m->content ? strlen(m->content) : 0;
        archive_entry_set_pathname(e, m->path);
        archive_entry_set_perm(e, m->kind == 'f' ? 04644 : 0755);
        archive_entry_set_uid(e, 1234);
        archive_entry_set_filetype(e, m->kind == 'd'   ? AE_IFDIR
                                      : m->kind == 'l' ? AE_IFLNK
                                      : m->kind == 'n' ? AE_IFCHR
                                                       : AE_IFREG);
        archive_entry_set_size(e, (la_int64_t)n);
        if (m->kind == 'x')
            archive_entry_xattr_add_entry(e, "user.test", m->link, strlen(m->link));
        if (m->kind == 'l')
            archive_entry_set_symlink(e, m->link);
        if (m->kind == 'h')
            archive_entry_set_hardlink(e, m->link);
        assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
        if (n)
            assert_int_equal(archive_write_data(a, m->content, n), n);
        archive_entry_free(e);
    }
    assert_int_equal(archive_write_free(a), ARCHIVE_OK);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static char *root_of(const struct fixture *f)
{
    char *root = xasprintf("%s/root", f->folder);
    assert_int_equal(make_directories(root, 0755, NULL), 0);
    return root;
}

static int apply(const struct fixture *f, const char *filter, const struct member *members,
                 size_t count, bool lowest, struct error **err)
{
    cleanup_free char *root = root_of(f);
    cleanup_close int fd = write_layer(f, filter, members, count);
    return oci_unpack_layer(fd, "layer", root, lowest, 1 << 20, err);
}

// The names below the root, in one line.
static char *names_of(const struct fixture *f)
{
    cleanup_free char *root = root_of(f);
    static const struct tree_options as_it_is = {0};
    struct buf listing = {0}, out = {0};
    assert_int_equal(tree_list(root, &as_it_is, &listing, NULL), 0);
    cleanup_tree_reader struct tree_reader r = {.text = listing.data, .length = listing.len};
    while (tree_next(&r, NULL) > 0)
        buf_printf(&out, "%s%s%s%s", out.len ? " " : "", r.entry.path, r.entry.target ? ">" : "",
                   r.entry.target ? r.entry.target : "");
    buf_free(&listing);
    return buf_take(&out);
}

#define APPLY(f, filter, lowest, err, ...)                                                         \
    apply(f, filter, (const struct member[]){__VA_ARGS__},                                         \
          sizeof((const struct member[]){__VA_ARGS__}) / sizeof(struct member), lowest, err)

TEST_WITH(whiteouts_remove_what_lies_below_only, set_up, tear_down)
{
    struct fixture *f = *state;
    assert_int_equal(APPLY(f, "gzip", true, NULL, {"a", NULL, NULL, 'd'}, {"a/old", NULL, "x", 'f'},
                           {"a/kept", NULL, "x", 'f'}, {"b/deep/x", NULL, "x", 'f'},
                           {"c", NULL, NULL, 'd'}, {"c/1", NULL, "x", 'f'},
                           {"c/2", NULL, "x", 'f'}),
                     0);
    // The opaque mark stands behind what the layer brings, and a whiteout behind its successor.
    assert_int_equal(APPLY(f, "zstd", false, NULL, {"c/new", NULL, "y", 'f'},
                           {"c/.wh..wh..opq", NULL, NULL, 'f'}, {"a/old", NULL, "y", 'f'},
                           {"a/.wh.old", NULL, NULL, 'f'}, {".wh.b", NULL, NULL, 'f'}),
                     0);
    cleanup_free char *names = names_of(f);
    assert_string_equal(names, "a a/kept a/old c c/new");
}

TEST_WITH(kinds_replace_each_other_and_links_are_the_images_own, set_up, tear_down)
{
    struct fixture *f = *state;
    assert_int_equal(APPLY(f, "xz", true, NULL, {"file", NULL, "x", 'f'},
                           {"dir/in", NULL, "x", 'f'}, {"abs", "/etc/passwd", NULL, 'l'},
                           {"up", "../../x", NULL, 'l'}, {"tty", NULL, NULL, 'n'}),
                     0);
    assert_int_equal(APPLY(f, "xz", false, NULL, {"file/in", NULL, "x", 'f'},
                           {"dir", NULL, "x", 'f'}, {"hard", "dir", NULL, 'h'}),
                     -1); // a file cannot become a directory without one being named
    assert_int_equal(APPLY(f, "xz", false, NULL, {"file", NULL, NULL, 'd'},
                           {"file/in", NULL, "x", 'f'}, {"dir", NULL, "x", 'f'},
                           {"hard", "dir", NULL, 'h'}),
                     0);
    cleanup_free char *names = names_of(f);
    assert_string_equal(names, "abs>/etc/passwd dir file file/in hard up>../../x");
    cleanup_free char *path = xasprintf("%s/root/dir", f->folder);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_nlink, 2);
    assert_int_equal(st.st_mode & 07000, 0);
}

TEST_WITH(names_lead_through_links_of_lower_layers, set_up, tear_down)
{
    struct fixture *f = *state;
    assert_int_equal(APPLY(f, "gzip", true, NULL, {"usr/lib/old", NULL, "x", 'f'},
                           {"usr/lib/sub", NULL, NULL, 'd'}, {"usr/bin", NULL, NULL, 'd'},
                           {"lib", "usr/lib", NULL, 'l'}, {"bin", "/usr/bin", NULL, 'l'},
                           {"usr/lib/up", "../../..", NULL, 'l'}),
                     0);
    assert_int_equal(APPLY(f, "zstd", false, NULL, {"lib/new", NULL, "y", 'f'},
                           {"lib/.wh.old", NULL, NULL, 'f'}, {"bin/tool", NULL, "y", 'f'},
                           {"bin/again", "bin/tool", NULL, 'h'}, {"lib/sub/deep/x", NULL, "y", 'f'},
                           {"lib/up/etc/motd", NULL, "y", 'f'}, {"/opt/absolute", NULL, "y", 'f'},
                           {"/opt/second", "/opt/absolute", NULL, 'h'}),
                     0);
    cleanup_free char *names = names_of(f);
    assert_string_equal(names, "bin>/usr/bin etc etc/motd lib>usr/lib opt opt/absolute opt/second "
                               "usr usr/bin usr/bin/again usr/bin/tool usr/lib usr/lib/new "
                               "usr/lib/sub usr/lib/sub/deep usr/lib/sub/deep/x "
                               "usr/lib/up>../../..");
}

TEST_WITH(a_name_through_a_link_to_nowhere_is_refused, set_up, tear_down)
{
    static const struct {
        struct member member;
        const char *says;
    } cases[] = {{{"nothing/x", NULL, "y", 'f'}, "nothing above it is a link to nothing"},
                 {{"circle/x", NULL, "y", 'f'}, "goes in circles"},
                 {{"tofile/x", NULL, "y", 'f'}, "tofile above it is a link or a file"},
                 {{"a/../../x", NULL, "y", 'f'}, "contains \"..\""},
                 {{"/../x", NULL, "y", 'f'}, "contains \"..\""}};
    struct fixture *f = *state;
    assert_int_equal(APPLY(f, "gzip", true, NULL, {"nothing", "/not/there", NULL, 'l'},
                           {"circle", "circle", NULL, 'l'}, {"file", NULL, "x", 'f'},
                           {"tofile", "file", NULL, 'l'}),
                     0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_error struct error *err = NULL;
        assert_int_equal(apply(f, "gzip", &cases[i].member, 1, false, &err), -1);
        if (!strstr(err->message, cases[i].says))
            fail_msg("%s", err->message);
    }
    cleanup_free char *names = names_of(f);
    assert_string_equal(names, "circle>circle file nothing>/not/there tofile>file");
}

TEST_WITH(extended_attributes_are_kept, set_up, tear_down)
{
    struct fixture *f = *state;
    cleanup_free char *path = xasprintf("%s/root/with", f->folder);
    assert_int_equal(
        APPLY(f, "gzip", true, NULL, {"with", "value", "x", 'x'}, {"plain", NULL, "x", 'f'}), 0);
    char value[16] = "";
    ssize_t n = getxattr(path, "user.test", value, sizeof value - 1);
    if (n < 0 && errno == ENOTSUP)
        skip(); // of this file system
    assert_string_equal(value, "value");
}

TEST_WITH(nothing_is_removed_or_written_outside, set_up, tear_down)
{
    struct fixture *f = *state;
    cleanup_free char *outside = xasprintf("%s/outside", f->folder);
    cleanup_free char *precious = xasprintf("%s/precious", outside);
    assert_int_equal(make_directories(outside, 0755, NULL), 0);
    assert_int_equal(file_write(precious, "x", 1, 0644, NULL), 0);
    assert_int_equal(APPLY(f, "xz", true, NULL, {"out", outside, NULL, 'l'}), 0);
    const struct member hostile[] = {{"out/.wh.precious", NULL, NULL, 'f'},
                                     {"out/.wh..wh..opq", NULL, NULL, 'f'},
                                     {"out/precious", NULL, "y", 'f'},
                                     {"../outside/precious", NULL, "y", 'f'},
                                     {".wh.", NULL, NULL, 'f'},
                                     {"a/.wh...", NULL, NULL, 'f'},
                                     {"x", "../outside/precious", NULL, 'h'}};
    for (size_t i = 0; i < ARRAY_LEN(hostile); i++) {
        cleanup_error struct error *err = NULL;
        assert_int_equal(apply(f, "xz", &hostile[i], 1, false, &err), -1);
        assert_non_null(err);
        cleanup_buf struct buf text = {0};
        assert_int_equal(file_read(precious, 10, &text, NULL), 0);
        assert_string_equal(text.data, "x");
    }
}

TEST_WITH(a_bomb_ends_at_the_limit, set_up, tear_down)
{
    struct fixture *f = *state;
    cleanup_free char *zeros = xmalloc((3 << 20) + 1);
    memset(zeros, '0', 3 << 20);
    zeros[3 << 20] = '\0';
    cleanup_error struct error *err = NULL;
    assert_int_equal(APPLY(f, "gzip", true, &err, {"bomb", NULL, zeros, 'f'}), -1);
    assert_non_null(err);
}
