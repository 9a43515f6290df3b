// SPDX-License-Identifier: Apache-2.0
// Blobs of the store: found by digest, kept whole, and what a full or foreign disk does to them.
#include "test.h"

#include "store_help.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>

EACH_TEST(set_up, tear_down)

TEST(a_blob_is_found_under_its_sha256)
{
    struct fixture *f = *state;
    char digest[DIGEST_HEX_SIZE];
    put_text(f->store, "abc", digest);
    // FIPS 180-4, the example of one block
    assert_string_equal(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(store_has_blob(f->store, digest, NULL), 1);
    cleanup_free char *path = store_blob_path(f->store, digest);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode, S_IFREG | 0444);
    cleanup_buf struct buf text = {0};
    cleanup_close int fd = store_open_blob(f->store, digest, NULL);
    assert_int_equal(fd_read_all(fd, "blob", 100, &text, NULL), 0);
    assert_string_equal(text.data, "abc");
    assert_true(write(fd, "x", 1) < 0);
}

TEST(an_empty_blob_and_a_large_one_are_kept)
{
    struct fixture *f = *state;
    struct error *err = NULL;
    char digest[DIGEST_HEX_SIZE], expected[DIGEST_HEX_SIZE];
    put_text(f->store, "", digest);
    assert_int_equal(store_has_blob(f->store, digest, NULL), 1);

    size_t length = 3000001;
    cleanup_free char *bytes = xcalloc(1, length);
    memset(bytes + 100, 7, 1000);
    struct blob_draft d = {0};
    store_blob_begin(f->store, &d, &err);
    no_error(err);
    assert_int_equal(fd_write_all(d.fd, "draft", bytes, length, NULL), 0);
    uint64_t size;
    store_blob_commit(f->store, &d, digest, &size, &err);
    no_error(err);
    assert_null(d.path);
    assert_int_equal(size, length);
    digest_bytes(bytes, length, expected);
    assert_string_equal(digest, expected);
    assert_int_equal(store_has_blob(f->store, digest, NULL), 1);
}

TEST(an_abandoned_draft_leaves_nothing)
{
    struct fixture *f = *state;
    struct blob_draft d = {0};
    store_blob_abandon(&d); // nothing begun: nothing happens
    assert_int_equal(store_blob_begin(f->store, &d, NULL), 0);
    cleanup_free char *path = xstrdup(d.path);
    assert_true(path_exists(path));
    store_blob_abandon(&d);
    assert_false(path_exists(path));
    assert_int_equal(count_in(f, "sha256"), 0);
}

TEST(what_is_missing_is_missing)
{
    struct fixture *f = *state;
    struct error *err = NULL;
    char digest[DIGEST_HEX_SIZE];
    fake_key(1, digest);
    assert_int_equal(store_has_blob(f->store, digest, NULL), 0);
    assert_int_equal(store_open_blob(f->store, digest, &err), -1);
    assert_non_null(err->hint);
    expect_error(&err, digest);
}

TEST(a_digest_that_is_none_is_an_error)
{
    struct fixture *f = *state;
    static const char *const bad[] = {
        "",
        "../../etc/passwd",
        "abc",
        "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad0",
        "../../../../../../../../../../../../../../../../etc/passwd.......",
        NULL};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct error *err = NULL;
        cleanup_buf struct buf listing = {0};
        cleanup_free char *target = xasprintf("%s/out", f->folder);
#define REFUSED(call, failure)                                                                     \
    do {                                                                                           \
        assert_true((call) == (failure));                                                          \
        expect_error(&err, "64 lower-case hexadecimal digits");                                    \
    } while (0)
        REFUSED(store_has_blob(f->store, bad[i], &err), -1);
        REFUSED(store_open_blob(f->store, bad[i], &err), -1);
        REFUSED(store_restore_blob(f->store, bad[i], target, &err), -1);
        REFUSED(store_has_tree(f->store, bad[i], true, &err), -1);
        json_t *record;
        REFUSED(store_action_get(f->store, bad[i], &record, &err), -1);
        assert_null(record);
        REFUSED(store_action_put(f->store, bad[i], json_null(), &err), -1);
        REFUSED(store_action_remove(f->store, bad[i], &err), -1);
        REFUSED(store_lock(f->store, bad[i], NULL, NULL, &err), -1);
        REFUSED(store_tree_listing(f->store, bad[i], &listing, &err), -1);
        REFUSED(oci_write_layout(f->store, bad[i], "name", target, &err), -1);
        assert_null(store_blob_path(f->store, bad[i]));
        assert_null(store_tree_path(f->store, bad[i]));
        assert_false(path_exists(target));
    }
}

TEST(a_damaged_blob_is_noticed_moved_away_and_made_again)
{
    struct fixture *f = *state;
    char digest[DIGEST_HEX_SIZE];
    for (int round = 0; round < 2; round++) {
        put_text(f->store, "a blob", digest);
        assert_int_equal(store_has_blob(f->store, digest, NULL), 1);
        cleanup_free char *path = store_blob_path(f->store, digest);
        flip_byte(path, 3);
        assert_int_equal(store_has_blob(f->store, digest, NULL), 0);
        assert_false(path_exists(path));
        assert_int_equal(count_in(f, "damaged"), round + 1);
        assert_true(warned_of(f, digest + 2));
    }
    put_text(f->store, "a blob", digest);
    assert_int_equal(store_has_blob(f->store, digest, NULL), 1);
}

TEST(damage_is_noticed_when_opening_and_restoring)
{
    struct fixture *f = *state;
    struct error *err = NULL;
    char digest[DIGEST_HEX_SIZE];
    cleanup_free char *target = xasprintf("%s/out", f->folder);
    put_text(f->store, "a blob", digest);
    cleanup_free char *path = store_blob_path(f->store, digest);
    flip_byte(path, 0);
    assert_int_equal(store_open_blob(f->store, digest, &err), -1);
    expect_error(&err, "no valid blob");
    put_text(f->store, "a blob", digest);
    flip_byte(path, 0);
    assert_int_equal(store_restore_blob(f->store, digest, target, &err), -1);
    expect_error(&err, "no valid blob");
    assert_false(path_exists(target));
}

// Puts a draft over a damaged blob, with no check between.
TEST(damage_is_mended_by_writing_the_blob_again)
{
    struct fixture *f = *state;
    char digest[DIGEST_HEX_SIZE];
    put_text(f->store, "a blob", digest);
    cleanup_free char *path = store_blob_path(f->store, digest);
    flip_byte(path, 0);
    put_text(f->store, "a blob", digest);
    cleanup_buf struct buf text = {0};
    assert_int_equal(file_read(path, 100, &text, NULL), 0);
    assert_string_equal(text.data, "a blob");
}

TEST(a_truncated_blob_is_noticed)
{
    struct fixture *f = *state;
    char digest[DIGEST_HEX_SIZE];
    put_text(f->store, "a blob", digest);
    cleanup_free char *path = store_blob_path(f->store, digest);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(truncate(path, 3), 0);
    // even if the time is put back
    struct timespec times[2] = {st.st_atim, st.st_mtim};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    assert_int_equal(store_has_blob(f->store, digest, NULL), 0);
}

TEST(damage_by_another_process_is_noticed_too)
{
    struct fixture *f = *state;
    char digest[DIGEST_HEX_SIZE];
    put_text(f->store, "a blob", digest);
    cleanup_free char *path = store_blob_path(f->store, digest);
    reopen(f);
    flip_byte(path, 1);
    reopen(f);
    assert_int_equal(store_has_blob(f->store, digest, NULL), 0);
}

TEST(a_folder_or_link_in_the_place_of_a_blob_is_damage)
{
    struct fixture *f = *state;
    char digest[DIGEST_HEX_SIZE];
    put_text(f->store, "a blob", digest);
    cleanup_free char *path = store_blob_path(f->store, digest);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0755), 0);
    assert_int_equal(store_has_blob(f->store, digest, NULL), 0);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    assert_int_equal(store_has_blob(f->store, digest, NULL), 0);
    assert_int_equal(mkfifo(path, 0644), 0);
    assert_int_equal(store_has_blob(f->store, digest, NULL), 0);
    assert_int_equal(count_in(f, "damaged"), 3);
}

// Content that does not match its name, with verified/ saying that it does: only a reader that
// hashes would notice.
TEST(an_unchanged_blob_is_not_hashed_again_by_a_later_process)
{
    struct fixture *f = *state;
    char digest[DIGEST_HEX_SIZE];
    put_text(f->store, "a blob", digest);
    cleanup_free char *path = store_blob_path(f->store, digest);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    flip_byte(path, 0);
    struct timespec times[2] = {st.st_atim, st.st_mtim};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    reopen(f);
    assert_int_equal(store_has_blob(f->store, digest, NULL), 1);
    // A full verification hashes whatever verified/ says.
    assert_int_equal(store_verify(f->store, NULL, NULL, NULL), 1);
    assert_int_equal(store_has_blob(f->store, digest, NULL), 0);
}

TEST(a_hard_link_does_not_count_as_a_change)
{
    struct fixture *f = *state;
    char digest[DIGEST_HEX_SIZE];
    put_text(f->store, "a blob", digest);
    cleanup_free char *path = store_blob_path(f->store, digest);
    cleanup_free char *other = xasprintf("%s/other", f->folder);
    assert_int_equal(link(path, other), 0);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_true(verified_matches(f->store, digest, &st));
    // but a write through that link does
    flip_byte(other, 0);
    assert_int_equal(store_has_blob(f->store, digest, NULL), 0);
}

TEST(a_torn_note_of_a_verification_costs_only_a_hash)
{
    struct fixture *f = *state;
    char digest[DIGEST_HEX_SIZE];
    static const char *const torn[] = {"", "1", "0 0 0 0\n", "\xff\xff"};
    put_text(f->store, "a blob", digest);
    cleanup_free char *note = object_path(f->store, "verified", digest);
    for (size_t i = 0; i < ARRAY_LEN(torn); i++) {
        write_text(note, torn[i], 0644);
        reopen(f);
        assert_int_equal(store_has_blob(f->store, digest, NULL), 1);
    }
    cleanup_buf struct buf text = {0};
    assert_int_equal(file_read(note, 100, &text, NULL), 0);
    assert_int_not_equal(strlen(text.data), strlen(torn[3])); // it was written again
}

TEST(a_file_from_elsewhere_is_copied_and_left_alone)
{
    struct fixture *f = *state;
    char digest[DIGEST_HEX_SIZE];
    uint64_t size;
    struct error *err = NULL;
    cleanup_free char *path = xasprintf("%s/a file", f->folder);
    write_text(path, "content", 0640);
    store_put_file(f->store, path, digest, &size, &err);
    no_error(err);
    assert_int_equal(size, 7);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    assert_int_equal(st.st_nlink, 1);
    assert_int_equal(store_has_blob(f->store, digest, NULL), 1);
}

TEST(a_file_from_tmp_is_moved)
{
    struct fixture *f = *state;
    char digest[DIGEST_HEX_SIZE];
    struct error *err = NULL;
    cleanup_free char *folder = store_temporary(f->store, "out", NULL);
    cleanup_free char *path = xasprintf("%s/file", folder);
    write_text(path, "content", 0600);
    struct stat before, after;
    assert_int_equal(stat(path, &before), 0);
    store_put_file(f->store, path, digest, NULL, &err);
    no_error(err);
    assert_false(path_exists(path));
    cleanup_free char *blob = store_blob_path(f->store, digest);
    assert_int_equal(stat(blob, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
}

TEST(a_file_of_tmp_with_another_name_is_copied)
{
    struct fixture *f = *state;
    char digest[DIGEST_HEX_SIZE];
    cleanup_free char *folder = store_temporary(f->store, "out", NULL);
    cleanup_free char *path = xasprintf("%s/file", folder);
    cleanup_free char *other = xasprintf("%s/other", folder);
    write_text(path, "content", 0644);
    assert_int_equal(link(path, other), 0);
    assert_int_equal(store_put_file(f->store, path, digest, NULL, NULL), 0);
    cleanup_close int fd = open(other, O_WRONLY | O_TRUNC | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(store_has_blob(f->store, digest, NULL), 1);
}

TEST(only_files_can_be_put)
{
    struct fixture *f = *state;
    char digest[DIGEST_HEX_SIZE];
    struct error *err = NULL;
    assert_int_equal(store_put_file(f->store, f->folder, digest, NULL, &err), -1);
    expect_error(&err, "a directory");
    assert_int_equal(store_put_file(f->store, "/dev/null", digest, NULL, &err), -1);
    expect_error(&err, "a special file");
    assert_int_equal(store_put_file(f->store, "/does/not/exist", digest, NULL, &err), -1);
    expect_error(&err, "/does/not/exist");
}

TEST(a_restored_blob_is_a_hard_link_and_replaces_what_was_there)
{
    struct fixture *f = *state;
    char first[DIGEST_HEX_SIZE], second[DIGEST_HEX_SIZE];
    struct error *err = NULL;
    cleanup_free char *folder = xasprintf("%s/new", f->folder);
    cleanup_free char *path = xasprintf("%s/out", folder);
    put_text(f->store, "first", first);
    put_text(f->store, "second", second);
    store_restore_blob(f->store, first, path, &err);
    no_error(err);
    struct stat st, again;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_nlink, 2);
    store_restore_blob(f->store, first, path, &err); // nothing to do
    no_error(err);
    store_restore_blob(f->store, second, path, &err);
    no_error(err);
    assert_int_equal(stat(path, &again), 0);
    assert_int_not_equal(st.st_ino, again.st_ino);
    cleanup_strlist struct strlist names = {0};
    assert_int_equal(list_directory(folder, &names, NULL), 0);
    assert_int_equal(names.n, 1);
    store_restore_blob(f->store, second, folder, &err);
    expect_error(&err, "directory is in the way");
}

TEST(a_blob_is_copied_to_another_file_system)
{
    struct fixture *f = *state;
    char digest[DIGEST_HEX_SIZE];
    struct error *err = NULL;
    struct stat here, there;
    assert_int_equal(stat(f->cache, &here), 0);
    if (stat("/dev/shm", &there) < 0 || here.st_dev == there.st_dev || access("/dev/shm", W_OK))
        skip();
    cleanup_free char *folder = make_temporary_directory("/dev/shm", "cache-test", NULL);
    cleanup_free char *path = xasprintf("%s/out", folder);
    put_text(f->store, "content", digest);
    store_restore_blob(f->store, digest, path, &err);
    no_error(err);
    char found[DIGEST_HEX_SIZE];
    assert_int_equal(digest_file(path, found, NULL, NULL), 0);
    assert_string_equal(found, digest);
    remove_tree(folder, NULL);
}

static void use_read_only_store(struct fixture *f)
{
    static const char known[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    struct error *err = NULL;
    char digest[DIGEST_HEX_SIZE];
    struct store *s = store_open(f->cache, &err);
    check(s);
    check(store_has_blob(s, known, &err) == 1);
    check(store_has_blob(s, known, &err) == 1);
    int fd = store_open_blob(s, known, &err);
    check(fd >= 0);
    close(fd);
    check(store_put_bytes(s, "abc", 3, digest, &err) == 0); // it is there
    check(store_put_bytes(s, "new", 3, digest, &err) == -1);
    check(strstr(err->message, f->cache) && err->hint);
    error_free(err);
    err = NULL;
    check(!store_temporary(s, "x", &err));
    check(strstr(err->message, f->cache));
    error_free(err);
    err = NULL;
    check(store_action_put(s, known, json_object(), &err) == -1 && err);
    error_free(err);
    err = NULL;
    check(store_gc(s, 0, NULL, &err) == -1 && err);
    error_free(err);
    err = NULL;
    check(store_verify(s, NULL, NULL, &err) == 0);
    struct store_info info;
    check(store_info(s, &info, &err) == 0 && info.blobs == 1);
    store_close(s);
}

TEST(a_read_only_store_can_be_read)
{
    struct fixture *f = *state;
    char digest[DIGEST_HEX_SIZE];
    put_text(f->store, "abc", digest);
    store_close(f->store);
    f->store = NULL;
    cleanup_free char *find = xasprintf("find %s -type d -exec chmod a-w {} +", f->cache);
    assert_int_equal(system(find), 0);
    as_ordinary_user(use_read_only_store, f);
    // the same where the notes of verifications are lost
    cleanup_free char *verified = xasprintf("%s/verified", f->cache);
    remove_tree(verified, NULL);
    as_ordinary_user(use_read_only_store, f);
}

static void use_damaged_read_only_store(struct fixture *f)
{
    static const char known[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    struct store *s = store_open(f->cache, NULL);
    check(s);
    check(store_has_blob(s, known, NULL) == 0);
    check(warned_of(f, "could not be moved away"));
    check(store_open_blob(s, known, NULL) == -1);
    store_close(s);
}

TEST(damage_in_a_read_only_store_is_never_used)
{
    struct fixture *f = *state;
    char digest[DIGEST_HEX_SIZE];
    put_text(f->store, "abc", digest);
    cleanup_free char *path = store_blob_path(f->store, digest);
    flip_byte(path, 0);
    store_close(f->store);
    f->store = NULL;
    cleanup_free char *find = xasprintf("find %s -type d -exec chmod a-w {} +", f->cache);
    assert_int_equal(system(find), 0);
    as_ordinary_user(use_damaged_read_only_store, f);
}

TEST(a_store_in_an_impossible_place_is_an_error)
{
    struct fixture *f = *state;
    struct error *err = NULL;
    cleanup_free char *file = xasprintf("%s/file", f->folder);
    cleanup_free char *below = xasprintf("%s/below", file);
    write_text(file, "", 0644);
    assert_null(store_open(file, &err));
    expect_error(&err, file);
    assert_null(store_open(below, &err));
    expect_error(&err, file);
}

static void fail_to_write_a_big_blob(struct fixture *f, int expected)
{
    struct error *err = NULL;
    char digest[DIGEST_HEX_SIZE], small[DIGEST_HEX_SIZE];
    struct store *s = store_open(f->cache, &err);
    check(s);
    check(store_put_bytes(s, "small", 5, small, &err) == 0);
    size_t length = (size_t)4 << 20;
    char *bytes = xcalloc(1, length);
    check(store_put_bytes(s, bytes, length, digest, &err) == -1);
    check(err->errnum == expected);
    check(strstr(err->message, f->cache));
    error_free(err);
    err = NULL;
    char *big = xasprintf("%s/big", f->folder);
    check(store_put_file(s, big, digest, NULL, &err) == -1);
    check(err->errnum == expected);
    error_free(err);
    free(bytes);
    free(big);
    check(store_has_blob(s, small, NULL) == 1);
    check(store_verify(s, NULL, NULL, NULL) == 0);
    store_close(s);
    check(count_in(f, "sha256") == 1);
    check(count_in(f, "tmp") == 0);
}

static void write_with_a_limit(struct fixture *f)
{
    struct rlimit limit = {1 << 20, 1 << 20};
    signal(SIGXFSZ, SIG_IGN);
    check(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    fail_to_write_a_big_blob(f, EFBIG);
}

// false: the child could not do it here.
static bool run_in_child(void (*body)(struct fixture *), struct fixture *f)
{
    store_close(f->store);
    f->store = NULL;
    cleanup_free char *big = xasprintf("%s/big", f->folder);
    write_text(big, "", 0644);
    assert_int_equal(truncate(big, 4 << 20), 0);
    pid_t child = fork();
    if (child == 0) {
        body(f);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        return false;
    assert_int_equal(status, 0);
    return true;
}

TEST(a_blob_that_can_not_be_written_whole_leaves_nothing)
{
    if (!run_in_child(write_with_a_limit, *state))
        skip();
}

static bool write_proc(const char *path, const char *text)
{
    cleanup_close int fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

// Its own mounts: root may have them, others in a user namespace, where that is switched on.
static bool enter_namespaces(void)
{
    cleanup_free char *uid = xasprintf("%u %u 1", geteuid(), geteuid());
    cleanup_free char *gid = xasprintf("%u %u 1", getegid(), getegid());
    if (geteuid() != 0 &&
        (unshare(CLONE_NEWUSER) < 0 || !write_proc("/proc/self/setgroups", "deny") ||
         !write_proc("/proc/self/uid_map", uid) || !write_proc("/proc/self/gid_map", gid)))
        return false;
    return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

static void write_to_a_full_disk(struct fixture *f)
{
    if (!enter_namespaces() || mount("full", f->cache, "tmpfs", 0, "size=1m") < 0)
        _exit(77);
    fail_to_write_a_big_blob(f, ENOSPC);
}

TEST(a_full_disk_is_a_clear_error_and_leaves_nothing)
{
    if (!run_in_child(write_to_a_full_disk, *state))
        skip();
}

TEST(a_new_store_takes_from_the_one_it_lies_in_only_blobs_that_are_what_their_names_say)
{
    struct fixture *f = *state;
    struct error *err = NULL;
    char good[DIGEST_HEX_SIZE], bad[DIGEST_HEX_SIZE], key[DIGEST_HEX_SIZE];
    put_text(f->store, "good", good);
    put_text(f->store, "what was verified", bad);
    // As who can write the store can do: other content, with the inode and the times of the old.
    cleanup_free char *path = store_blob_path(f->store, bad);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(chmod(path, 0644), 0);
    cleanup_close int fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, "WHAT", 4, 0), 4);
    const struct timespec times[2] = {st.st_atim, st.st_mtim};
    assert_int_equal(futimens(fd, times), 0);
    assert_int_equal(chmod(path, 0444), 0);
    assert_int_equal(store_has_blob(f->store, bad, NULL), 1); // what the other is for
    fake_key(1, key);
    json_auto_t *record = json_pack("{s:[]}", "outputs"), *found = NULL;
    assert_int_equal(store_action_put(f->store, key, record, NULL), 0);
    store_memo_put(f->store, "memo", "text");

    struct store *s = store_open_new(f->cache, &err);
    no_error(err);
    assert_string_equal(store_directory(store_lasting(s)), f->cache);
    assert_ptr_equal(store_lasting(f->store), f->store);
    assert_int_equal(store_has_blob(s, good, NULL), 1);
    assert_int_equal(store_has_blob(s, bad, NULL), 0);
    cleanup_buf struct buf memo = {0};
    assert_int_equal(store_action_get(s, key, &found, NULL), 0);
    assert_int_equal(store_memo_get(s, "memo", &memo), 0);
    // What is made again gets the right content.
    put_text(s, "what was verified", bad);
    cleanup_buf struct buf text = {0};
    cleanup_close int made = store_open_blob(s, bad, NULL);
    assert_int_equal(fd_read_all(made, "blob", 100, &text, NULL), 0);
    assert_string_equal(text.data, "what was verified");
    cleanup_free char *folder = xstrdup(store_directory(s));
    assert_true(path_exists(folder));
    store_close(s);
    assert_false(path_exists(folder));
    assert_int_equal(store_has_blob(f->store, good, NULL), 1);
}
