// SPDX-License-Identifier: Apache-2.0
// What identifies a library that is loaded later: its file, the loader's cache and variables.
#include "test.h"

#include "base/file.h"
#include "base/library.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static char *scratch;

static int set_up(void **state)
{
    scratch = make_temporary_directory("/tmp", "kbuild-library", NULL);
    unsetenv("LD_LIBRARY_PATH");
    return scratch ? 0 : -1;
}

static int tear_down(void **state)
{
    int result = remove_tree(scratch, NULL);
    free(scratch);
    return result;
}

EACH_TEST(set_up, tear_down)

TEST(a_loaded_library_has_a_path_and_is_mapped)
{
    const char *path = library_path((const void *)zlibVersion);
    assert_non_null(path);
    assert_true(library_is_mapped(path));
    cleanup_free char *copy = xasprintf("%s/libz.so", scratch);
    cleanup_buf struct buf bytes = {0};
    assert_int_equal(file_read(path, (size_t)16 << 20, &bytes, NULL), 0);
    assert_int_equal(file_write(copy, bytes.data, bytes.len, 0644, NULL), 0);
    assert_false(library_is_mapped(copy)); // the same bytes, but another file
    assert_false(library_is_mapped("/nowhere/libz.so"));
}

TEST(whatever_may_load_another_file_changes_the_identity)
{
    if (access("/etc/ld.so.cache", R_OK) != 0) {
        print_message("SKIPPED: this machine's loader has no cache\n");
        skip();
    }
    cleanup_free char *path = xasprintf("%s/lib.so", scratch);
    assert_null(library_identity(path)); // not there
    assert_int_equal(file_write(path, "one", 3, 0644, NULL), 0);
    cleanup_free char *first = library_identity(path), *same = library_identity(path);
    assert_non_null(first);
    assert_string_equal(first, same);
    setenv("LD_LIBRARY_PATH", scratch, 1);
    assert_null(library_identity(path)); // whatever is in that folder now, or later
    unsetenv("LD_LIBRARY_PATH");
    assert_int_equal(file_write(path, "two", 3, 0644, NULL), 0); // of the same size
    cleanup_free char *replaced = library_identity(path);
    assert_string_not_equal(first, replaced);
    cleanup_free char *link = xasprintf("%s/link.so", scratch);
    assert_int_equal(symlink(path, link), 0);
    cleanup_free char *linked = library_identity(link);
    assert_int_equal(unlink(link), 0);
    assert_int_equal(symlink("/proc/self/exe", link), 0);
    cleanup_free char *led_elsewhere = library_identity(link);
    assert_string_not_equal(linked, led_elsewhere);
}
