// SPDX-License-Identifier: Apache-2.0
// A store that is inspected and cleaned: info, verify, gc, and what a killed one leaves behind.
#include "test.h"

#include "store_help.h"

static void put_zeros(struct store *s, size_t length, char digest[static DIGEST_HEX_SIZE])
{
    struct error *err = NULL;
    cleanup_free char *bytes = xcalloc(1, length);
    store_put_bytes(s, bytes, length, digest, &err);
    no_error(err);
}

static struct store_info info_of(const struct fixture *f)
{
    struct store_info info;
    struct error *err = NULL;
    store_info(f->store, &info, &err);
    no_error(err);
    return info;
}

static struct store_info collect(const struct fixture *f, uint64_t max)
{
    struct store_info removed;
    struct error *err = NULL;
    store_gc(f->store, max, &removed, &err);
    no_error(err);
    return removed;
}

EACH_TEST(set_up, tear_down)

TEST(info_counts_what_is_there)
{
    struct fixture *f = *state;
    char digest[DIGEST_HEX_SIZE], key[DIGEST_HEX_SIZE];
    put_zeros(f->store, 1000, digest);
    put_tree(f->store, "12345", digest);
    fake_key(1, key);
    put_record(f->store, key, digest, "tree");
    struct store_info info = info_of(f);
    assert_int_equal(info.blobs, 1); // not the listing
    assert_int_equal(info.blob_bytes, 1000);
    assert_int_equal(info.trees, 1);
    assert_int_equal(info.tree_bytes, 10 + 5);
    assert_int_equal(info.actions, 1);
    assert_int_equal(info.damaged, 0);
}

static void collect_report(const char *what, void *context)
{
    strlist_add(context, what);
}

static bool reported(const struct strlist *reports, const char *part)
{
    for (size_t i = 0; i < reports->n; i++)
        if (strstr(reports->items[i], part))
            return true;
    return false;
}

TEST(verify_finds_all_damage)
{
    struct fixture *f = *state;
    char good[DIGEST_HEX_SIZE], blob[DIGEST_HEX_SIZE], tree[DIGEST_HEX_SIZE];
    char keys[5][DIGEST_HEX_SIZE];
    for (unsigned i = 0; i < 5; i++)
        fake_key(i, keys[i]);
    put_text(f->store, "good", good);
    put_text(f->store, "bad", blob);
    put_tree(f->store, "tree", tree);
    put_record(f->store, keys[0], good, "blob");
    put_record(f->store, keys[1], blob, "blob");
    put_record(f->store, keys[2], tree, "tree");
    put_record(f->store, keys[3], good, "blob");
    put_record(f->store, keys[4], keys[4], "tree"); // never was there
    assert_int_equal(store_verify(f->store, NULL, NULL, NULL), 0);
    put_record(f->store, keys[4], keys[4], "tree");

    cleanup_free char *blob_path = store_blob_path(f->store, blob);
    flip_byte(blob_path, 0);
    cleanup_free char *tree_path = store_tree_path(f->store, tree);
    add_file(tree_path, "more", "", 0644);
    cleanup_free char *record = object_path(f->store, "actions", keys[3]);
    flip_byte(record, 4);
    add_file(f->cache, "sha256/stray", "", 0644);
    add_file(f->cache, "trees/ab/stray", "", 0644);

    cleanup_strlist struct strlist reports = {0};
    struct error *err = NULL;
    int damaged = store_verify(f->store, collect_report, &reports, &err);
    no_error(err);
    assert_int_equal(damaged, 5);
    assert_true(reported(&reports, blob));
    assert_true(reported(&reports, tree));
    for (unsigned i = 1; i < 5; i++)
        assert_true(reported(&reports, keys[i]));
    assert_false(reported(&reports, keys[0]));
    assert_false(reported(&reports, good));
    struct store_info info = info_of(f);
    assert_int_equal(info.actions, 1);
    assert_int_equal(info.damaged, 5);
    assert_int_equal(store_verify(f->store, collect_report, &reports, NULL), 0);
    assert_int_equal(store_has_blob(f->store, good, NULL), 1);
}

TEST(records_that_make_no_sense_do_no_harm)
{
    struct fixture *f = *state;
    static const char *const bodies[] = {
        "{}",
        "{\"outputs\":null}",
        "{\"outputs\":{\"digest\":\"x\"}}",
        "{\"outputs\":[1,null,\"x\",[],{}]}",
        "{\"outputs\":[{\"digest\":\"../../../../etc/passwd\",\"kind\":\"blob\"}]}",
        "{\"outputs\":[{\"digest\":7,\"kind\":\"tree\"}]}",
    };
    for (unsigned i = 0; i < ARRAY_LEN(bodies); i++) {
        char key[DIGEST_HEX_SIZE];
        fake_key(i, key);
        json_t *record = json_loads(bodies[i], 0, NULL);
        assert_int_equal(store_action_put(f->store, key, record, NULL), 0);
        json_decref(record);
    }
    assert_int_equal(store_verify(f->store, NULL, NULL, NULL), 0);
    collect(f, 1000);
    assert_int_equal(info_of(f).actions, ARRAY_LEN(bodies));
}

TEST(gc_removes_the_least_recently_used)
{
    struct fixture *f = *state;
    char blobs[4][DIGEST_HEX_SIZE], keys[4][DIGEST_HEX_SIZE];
    for (unsigned i = 0; i < 4; i++) {
        fake_key(i, keys[i]);
        put_zeros(f->store, 1000 + i, blobs[i]);
        put_record(f->store, keys[i], blobs[i], "blob");
        used_ago(f, "actions", keys[i], 1000 - (int)i);
    }
    json_t *used = NULL;
    assert_int_equal(store_action_get(f->store, keys[0], &used, NULL), 1); // in use after all
    json_decref(used);
    struct store_info removed = collect(f, 2500);
    assert_int_equal(removed.blobs, 2);
    assert_int_equal(removed.blob_bytes, 1001 + 1002);
    assert_int_equal(removed.actions, 2);
    for (unsigned i = 0; i < 4; i++) {
        bool kept = i == 0 || i == 3;
        assert_int_equal(store_has_blob(f->store, blobs[i], NULL), kept);
        json_t *record;
        assert_int_equal(store_action_get(f->store, keys[i], &record, NULL), kept);
        json_decref(record);
    }
    removed = collect(f, 2500); // nothing more to do
    assert_int_equal(removed.blobs, 0);
}

TEST(gc_keeps_what_a_kept_record_needs)
{
    struct fixture *f = *state;
    char shared[DIGEST_HEX_SIZE], own[DIGEST_HEX_SIZE], tree[DIGEST_HEX_SIZE];
    char old[DIGEST_HEX_SIZE], new[DIGEST_HEX_SIZE];
    fake_key(1, old);
    fake_key(2, new);
    put_zeros(f->store, 5000, shared);
    put_zeros(f->store, 3000, own);
    put_tree(f->store, "tree", tree);
    json_t *record = json_pack("{s:[{s:s,s:s},{s:s,s:s},{s:s,s:s},{s:s,s:s}]}", "outputs", "digest",
                               shared, "kind", "blob", "digest", own, "kind", "blob", "digest",
                               tree, "kind", "tree", "digest", own, "kind", "blob"); // one twice
    assert_int_equal(store_action_put(f->store, old, record, NULL), 0);
    json_decref(record);
    put_record(f->store, new, shared, "blob");
    used_ago(f, "actions", old, 100);
    struct store_info removed = collect(f, 6000);
    assert_int_equal(removed.actions, 1);
    assert_int_equal(removed.blobs, 1);
    assert_int_equal(removed.trees, 1);
    assert_int_equal(store_has_blob(f->store, shared, NULL), 1);
    assert_int_equal(store_has_blob(f->store, own, NULL), 0);
    assert_int_equal(store_has_tree(f->store, tree, false, NULL), 0);
    assert_int_equal(store_has_blob(f->store, tree, NULL), 0); // the listing went with it
    assert_int_equal(count_in(f, "tmp"), 2);                   // our own, with its lock
    assert_int_equal(store_verify(f->store, NULL, NULL, NULL), 0);
    json_t *kept = NULL;
    assert_int_equal(store_action_get(f->store, new, &kept, NULL), 1);
    json_decref(kept);
}

TEST(gc_goes_by_use_for_what_has_no_record)
{
    struct fixture *f = *state;
    char old[DIGEST_HEX_SIZE], new[DIGEST_HEX_SIZE], tree[DIGEST_HEX_SIZE];
    put_zeros(f->store, 1000, old);
    put_zeros(f->store, 1001, new);
    put_tree(f->store, "tree", tree);
    used_ago(f, "verified", old, 100);
    used_ago(f, "verified", tree, 200);
    used_ago(f, "verified", new, 300);
    assert_int_equal(store_has_blob(f->store, new, NULL), 1); // a use
    assert_int_equal(store_has_tree(f->store, tree, false, NULL), 1);
    collect(f, 1100);
    assert_int_equal(store_has_blob(f->store, old, NULL), 0);
    assert_int_equal(store_has_blob(f->store, new, NULL), 1);
    assert_int_equal(store_has_tree(f->store, tree, false, NULL), 1);
    collect(f, 0);
    assert_int_equal(info_of(f).blobs, 0);
    assert_int_equal(info_of(f).trees, 0);
}

TEST(gc_removes_records_whose_outputs_are_gone)
{
    struct fixture *f = *state;
    char key[DIGEST_HEX_SIZE], digest[DIGEST_HEX_SIZE];
    fake_key(1, key);
    put_text(f->store, "blob", digest);
    put_record(f->store, key, digest, "blob");
    cleanup_free char *path = store_blob_path(f->store, digest);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(collect(f, 1 << 20).actions, 1);
    assert_int_equal(info_of(f).actions, 0);
}

TEST(gc_empties_damaged_and_tmp_and_nothing_else)
{
    struct fixture *f = *state;
    char digest[DIGEST_HEX_SIZE];
    put_text(f->store, "blob", digest);
    cleanup_free char *path = store_blob_path(f->store, digest);
    flip_byte(path, 0);
    assert_int_equal(store_has_blob(f->store, digest, NULL), 0);
    add_file(f->cache, "tmp/from-elsewhere/file", "", 0644);
    add_file(f->cache, "git/mirror/HEAD", "", 0644);
    cleanup_free char *mine = store_temporary(f->store, "mine", NULL);
    struct store_info removed = collect(f, 1 << 20);
    assert_int_equal(removed.damaged, 1);
    assert_int_equal(count_in(f, "damaged"), 0);
    assert_int_equal(count_in(f, "tmp"), 2);
    assert_int_equal(count_in(f, "git"), 1);
    assert_true(is_directory(mine));
}

TEST(gc_does_not_run_beside_another_process)
{
    struct fixture *f = *state;
    struct error *err = NULL;
    char digest[DIGEST_HEX_SIZE];
    put_text(f->store, "blob", digest);
    struct store *other = store_open(f->cache, &err);
    no_error(err);
    assert_int_equal(store_gc(f->store, 0, NULL, &err), -1);
    assert_non_null(err->hint);
    expect_error(&err, "another process uses it");
    assert_int_equal(store_has_blob(f->store, digest, NULL), 1);
    assert_int_equal(store_gc(other, 0, NULL, &err), -1); // the lock is still shared
    expect_error(&err, "another process uses it");
    store_close(other);
    store_gc(f->store, 0, NULL, &err);
    no_error(err);
    assert_int_equal(store_has_blob(f->store, digest, NULL), 0);
    // and it is given back
    other = store_open(f->cache, &err);
    no_error(err);
    store_close(other);
}

TEST(what_a_killed_process_left_is_swept_when_the_store_is_opened)
{
    struct fixture *f = *state;
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    if (child == 0) {
        struct store *s = store_open(f->cache, NULL);
        check(make_tree(s, "half a tree"));
        struct blob_draft d = {0};
        check(store_blob_begin(s, &d, NULL) == 0);
        check(write(pipes[1], "x", 1) == 1);
        pause();
    }
    close(pipes[1]);
    char byte;
    assert_int_equal(read(pipes[0], &byte, 1), 1);
    reopen(f);
    assert_int_equal(count_work(f), 1); // it lives: nothing of it is touched
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(count_in(f, "tmp"), 3);
    cleanup_free char *mine = store_temporary(f->store, "mine", NULL);
    struct store *another = store_open(f->cache, NULL);
    assert_int_equal(count_work(f), 1);      // ours
    assert_int_equal(count_in(f, "tmp"), 3); // two locks
    assert_true(is_directory(mine));
    store_close(another);
    store_close(f->store);
    f->store = NULL;
    assert_int_equal(count_in(f, "tmp"), 0);
    close(pipes[0]);
}

TEST(a_forked_child_does_not_take_the_parents_folder_away)
{
    struct fixture *f = *state;
    cleanup_free char *mine = store_temporary(f->store, "mine", NULL);
    pid_t child = fork();
    if (child == 0) {
        char digest[DIGEST_HEX_SIZE];
        check(store_put_bytes(f->store, "child", 5, digest, NULL) == 0);
        store_close(f->store);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(is_directory(mine));
    store_close(store_open(f->cache, NULL)); // sweeps
    assert_true(is_directory(mine));
    assert_int_equal(info_of(f).blobs, 1);
}

TEST(a_store_that_was_moved_is_hashed_again_and_fine)
{
    struct fixture *f = *state;
    char blob[DIGEST_HEX_SIZE], tree[DIGEST_HEX_SIZE];
    put_text(f->store, "blob", blob);
    put_tree(f->store, "tree", tree);
    cleanup_free char *copy = xasprintf("%s/copy", f->folder);
    cleanup_free char *command = xasprintf("cp -r %s %s", f->cache, copy);
    assert_int_equal(system(command), 0);
    struct store *s = store_open(copy, NULL);
    assert_int_equal(store_has_blob(s, blob, NULL), 1);
    assert_int_equal(store_has_tree(s, tree, true, NULL), 1);
    assert_int_equal(store_verify(s, NULL, NULL, NULL), 0);
    store_close(s);
}
