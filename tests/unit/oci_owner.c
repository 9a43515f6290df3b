// SPDX-License-Identifier: Apache-2.0
// A store that somebody else prepared: links, owners, modes. Tests of owners need root.
#include "test.h"

#include "store_help.h"

#include "oci/oci.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static const char key[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

static void expect_refusal(const char *directory, const char *words)
{
    struct error *err = NULL;
    struct store *s = store_open(directory, &err);
    assert_null(s);
    assert_non_null(err);
    if (!strstr(err->message, words) || !err->hint)
        fail_msg("\"%s\" is not in: %s", words, err->message);
    error_free(err);
}

static char *fresh_store(struct fixture *t, const char *name)
{
    char *directory = xasprintf("%s/%s", t->folder, name);
    struct store *s = store_open(directory, NULL);
    assert_non_null(s);
    store_close(s);
    return directory;
}

EACH_TEST(set_up, tear_down)

TEST(a_link_in_place_of_a_folder_is_refused)
{
    static const char *const names[] = {"sha256", "trees", "actions", "verified", "locks",
                                        "tmp",    "git",   "images",  "damaged",  "lock"};
    struct fixture *t = *state;
    cleanup_free char *victim = xasprintf("%s/victim", t->folder);
    cleanup_free char *inside = xasprintf("%s/kept", victim);
    assert_int_equal(mkdir(victim, 0755), 0);
    assert_int_equal(mkdir(inside, 0755), 0);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        cleanup_free char *store = xasprintf("%s/linked-%s", t->folder, names[i]);
        cleanup_free char *link = xasprintf("%s/%s", store, names[i]);
        assert_int_equal(mkdir(store, 0755), 0);
        assert_int_equal(symlink(victim, link), 0);
        expect_refusal(store, link);
        assert_int_equal(unlink(link), 0);
        assert_int_equal(symlink("nowhere", link), 0); // also one that leads nowhere
        expect_refusal(store, link);
    }
    cleanup_strlist struct strlist left = {0};
    assert_int_equal(list_directory(victim, &left, NULL), 0);
    assert_int_equal(left.n, 1);
}

TEST(a_fifo_for_a_lock_is_refused)
{
    struct fixture *t = *state;
    cleanup_free char *store = xasprintf("%s/fifo", t->folder);
    cleanup_free char *lock = xasprintf("%s/lock", store);
    assert_int_equal(mkdir(store, 0755), 0);
    assert_int_equal(mkfifo(lock, 0644), 0);
    expect_refusal(store, "not a file that kbuild made");
}

TEST(a_link_deeper_inside_is_not_followed)
{
    struct fixture *t = *state;
    char digest[DIGEST_HEX_SIZE];
    cleanup_free char *directory = fresh_store(t, "deep");
    cleanup_free char *victim = xasprintf("%s/deep-victim", t->folder);
    digest_bytes("text", 4, digest);
    cleanup_free char *link = xasprintf("%s/sha256/%.2s", directory, digest);
    assert_int_equal(mkdir(victim, 0755), 0);
    assert_int_equal(symlink(victim, link), 0);
    struct store *s = store_open(directory, NULL);
    struct error *err = NULL;
    assert_int_equal(store_put_bytes(s, "text", 4, digest, &err), -1);
    assert_int_equal(err->errnum, ELOOP);
    error_free(err);
    store_close(s);
    assert_int_equal(rmdir(victim), 0); // nothing was written there
}

TEST(a_store_that_others_may_write_is_refused)
{
    struct fixture *t = *state;
    cleanup_free char *directory = fresh_store(t, "open");
    cleanup_free char *actions = xasprintf("%s/actions", directory);
    assert_int_equal(chmod(directory, 0777), 0);
    expect_refusal(directory, "may be written by others");
    assert_int_equal(chmod(directory, 0755), 0);
    cleanup_free char *inside = xasprintf("%s/aa", actions);
    assert_int_equal(mkdir(inside, 0755), 0);
    assert_int_equal(chmod(actions, 0775), 0);
    expect_refusal(directory, actions);
}

TEST(a_new_store_is_closed_whatever_the_umask)
{
    struct fixture *t = *state;
    mode_t mask = umask(0);
    cleanup_free char *directory = fresh_store(t, "mask");
    struct store *s = store_open(directory, NULL);
    umask(mask);
    assert_non_null(s);
    store_close(s);
}

TEST(a_blob_that_others_may_write_is_not_used)
{
    struct fixture *t = *state;
    char digest[DIGEST_HEX_SIZE];
    cleanup_free char *directory = fresh_store(t, "writable");
    struct store *s = store_open(directory, NULL);
    assert_int_equal(store_put_bytes(s, "text", 4, digest, NULL), 0);
    cleanup_free char *path = store_blob_path(s, digest);
    assert_int_equal(chmod(path, 0666), 0);
    assert_int_equal(store_has_blob(s, digest, NULL), 0);
    assert_false(path_exists(path));
    store_close(s);
}

static void give_away(const char *path)
{
    assert_int_equal(lchown(path, 1234, 1234), 0);
}

TEST(what_belongs_to_somebody_else_is_not_used)
{
    struct fixture *t = *state;
    if (geteuid() != 0)
        skip();
    unsetenv("SUDO_UID");
    char digest[DIGEST_HEX_SIZE];
    cleanup_free char *directory = fresh_store(t, "planted");
    struct store *s = store_open(directory, NULL);
    // a record
    json_t *record = json_pack("{s:[]}", "outputs");
    assert_int_equal(store_action_put(s, key, record, NULL), 0);
    json_t *read = NULL;
    assert_int_equal(store_action_get(s, key, &read, NULL), 1);
    json_decref(read);
    cleanup_free char *path = xasprintf("%s/actions/%.2s/%s", directory, key, key + 2);
    give_away(path);
    assert_int_equal(store_action_get(s, key, &read, NULL), 0);
    assert_null(read);
    json_decref(record);
    // a blob
    assert_int_equal(store_put_bytes(s, "text", 4, digest, NULL), 0);
    cleanup_free char *blob = store_blob_path(s, digest);
    give_away(blob);
    assert_int_equal(store_has_blob(s, digest, NULL), 0);
    store_close(s);
    // folders
    cleanup_free char *trees = xasprintf("%s/trees", directory);
    give_away(trees);
    expect_refusal(directory, "belongs to user 1234");
    assert_int_equal(chown(trees, 0, 0), 0);
    give_away(directory);
    expect_refusal(directory, "belongs to user 1234");
}

// With sudo the store is the caller's, and what leaves it is root's own.
TEST(a_result_is_never_a_name_of_another_users_file)
{
    struct fixture *t = *state;
    if (geteuid() != 0)
        skip();
    char digest[DIGEST_HEX_SIZE];
    struct stat a, b;
    cleanup_free char *directory = fresh_store(t, "sudo");
    cleanup_free char *result = xasprintf("%s/result", t->folder);
    struct store *s = store_open(directory, NULL);
    assert_int_equal(store_put_bytes(s, "text", 4, digest, NULL), 0);
    cleanup_free char *blob = store_blob_path(s, digest);
    assert_int_equal(store_restore_blob(s, digest, result, NULL), 0);
    assert_int_equal(stat(blob, &a), 0);
    assert_int_equal(stat(result, &b), 0);
    assert_int_equal(a.st_ino, b.st_ino); // root's own: a hard link
    give_away(blob);
    setenv("SUDO_UID", "1234", 1);
    assert_int_equal(store_restore_blob(s, digest, result, NULL), 0);
    unsetenv("SUDO_UID");
    assert_int_equal(stat(result, &b), 0);
    assert_int_not_equal(a.st_ino, b.st_ino);
    assert_int_equal(b.st_uid, 0);
    store_close(s);
}

TEST(a_layout_is_not_written_through_links)
{
    struct fixture *t = *state;
    char digest[DIGEST_HEX_SIZE];
    cleanup_free char *directory = fresh_store(t, "layout-store");
    cleanup_free char *layout = xasprintf("%s/layout", t->folder);
    cleanup_free char *blobs = xasprintf("%s/blobs", layout);
    cleanup_free char *victim = xasprintf("%s/layout-victim", t->folder);
    static const char manifest[] = "{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\"}";
    struct store *s = store_open(directory, NULL);
    struct error *err = NULL;
    assert_int_equal(store_put_bytes(s, manifest, strlen(manifest), digest, NULL), 0);
    assert_int_equal(oci_write_layout(s, digest, "a", layout, NULL), 0);
    assert_int_equal(remove_tree(blobs, NULL), 0);
    assert_int_equal(mkdir(victim, 0755), 0);
    assert_int_equal(symlink(victim, blobs), 0);
    assert_int_equal(oci_write_layout(s, digest, "a", layout, &err), -1);
    assert_non_null(strstr(err->message, "is a link"));
    error_free(err);
    assert_int_equal(rmdir(victim), 0);
    store_close(s);
}
