// SPDX-License-Identifier: Apache-2.0
// kill -9 at random moments, and several processes at once.
#include "test.h"

#include "store_help.h"

#include <time.h>

// Writes what `seed` says, so that a reader knows what to expect: blob, tree, record, and now and
// then a collection.
static void work(const char *cache, unsigned seed, unsigned rounds)
{
    struct store *s = store_open(cache, NULL);
    check(s);
    for (unsigned i = 0; i < rounds; i++) {
        char blob[DIGEST_HEX_SIZE], tree[DIGEST_HEX_SIZE], key[DIGEST_HEX_SIZE];
        unsigned number = (seed * 7 + i) % 40;
        size_t length = (size_t)number * 3000;
        char *bytes = xmalloc(length + 1);
        memset(bytes, (int)number, length + 1);
        check(store_put_bytes(s, bytes, length, blob, NULL) == 0);
        free(bytes);
        char *text = xasprintf("tree %u", number);
        char *path = store_temporary(s, "tree", NULL);
        check(path);
        add_file(path, "a/file", text, 0644);
        add_file(path, "b/tool", text, 0755);
        check(store_put_tree(s, path, tree, NULL) == 0);
        free(text);
        free(path);
        fake_key(number, key);
        json_t *record = json_pack("{s:[{s:s,s:s},{s:s,s:s}]}", "outputs", "digest", blob, "kind",
                                   "blob", "digest", tree, "kind", "tree");
        check(store_action_put(s, key, record, NULL) == 0);
        json_decref(record);
        if (i % 16 == 15)
            store_gc(s, 200000, NULL, NULL); // fails while another is there, and that is fine
    }
    store_close(s);
}

static void print_report(const char *what, void *context)
{
    print_message("verify: %s\n", what);
}

// Every record is whole, every output is valid, nothing lies about.
static void expect_sound(struct fixture *f)
{
    struct error *err = NULL;
    reopen(f); // which sweeps
    assert_int_equal(count_work(f), 0);
    assert_int_equal(count_in(f, "tmp"), 1); // our own lock
    size_t before = count_in(f, "actions");
    int damaged = store_verify(f->store, print_report, NULL, &err);
    no_error(err);
    assert_int_equal(damaged, 0);
    assert_int_equal(count_in(f, "damaged"), 0);
    assert_int_equal(count_in(f, "actions"), before);
    if (f->warnings.n)
        fail_msg("%s", f->warnings.items[0]);
}

static void sleep_ms(unsigned ms)
{
    struct timespec time = {ms / 1000, (long)(ms % 1000) * 1000000};
    nanosleep(&time, NULL);
}

EACH_TEST(set_up, tear_down)

TEST(killed_at_any_moment_the_store_is_valid)
{
    struct fixture *f = *state;
    unsigned seed = (unsigned)time(NULL);
    print_message("seed %u\n", seed);
    store_close(f->store);
    f->store = NULL;
    // At least 40 kills; on a busy machine later ones, until records and trees were among what was
    // left.
    bool written = false;
    unsigned latest = 60;
    for (unsigned round = 0; round < 40 || (!written && round < 200); round++) {
        pid_t child = fork();
        if (child == 0) {
            work(f->cache, round, 1000);
            _exit(0);
        }
        sleep_ms(5 + (unsigned)rand_r(&seed) % latest);
        kill(child, SIGKILL);
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status)); // it was at work, and had not failed
        expect_sound(f);
        struct store_info info;
        assert_int_equal(store_info(f->store, &info, NULL), 0);
        written |= info.actions > 0 && info.trees > 0;
        latest += written ? 0 : 10;
        store_close(f->store);
        f->store = NULL;
    }
    assert_true(written); // it was valid, and not for want of anything being written
}

TEST(four_processes_write_the_same_things)
{
    struct fixture *f = *state;
    pid_t children[4];
    for (unsigned i = 0; i < 4; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            work(f->cache, 1, 40);
            _exit(0);
        }
    }
    for (unsigned i = 0; i < 4; i++) {
        int status;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    expect_sound(f);
    struct store_info info;
    assert_int_equal(store_info(f->store, &info, NULL), 0);
    assert_int_equal(info.blobs, 40);
    assert_int_equal(info.trees, 40);
    assert_int_equal(info.actions, 40);
}

TEST(some_are_killed_while_others_continue)
{
    struct fixture *f = *state;
    unsigned seed = (unsigned)time(NULL);
    pid_t steady[2];
    for (unsigned i = 0; i < 2; i++) {
        steady[i] = fork();
        if (steady[i] == 0) {
            work(f->cache, i, 60);
            _exit(0);
        }
    }
    for (unsigned i = 0; i < 15; i++) {
        pid_t child = fork();
        if (child == 0) {
            work(f->cache, i, 1000);
            _exit(0);
        }
        sleep_ms(5 + (unsigned)rand_r(&seed) % 40);
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
    }
    for (unsigned i = 0; i < 2; i++) {
        int status;
        assert_int_equal(waitpid(steady[i], &status, 0), steady[i]);
        assert_int_equal(status, 0);
    }
    expect_sound(f);
}

TEST(two_restore_the_same_file)
{
    struct fixture *f = *state;
    char digests[2][DIGEST_HEX_SIZE];
    put_text(f->store, "first", digests[0]);
    put_text(f->store, "second", digests[1]);
    cleanup_free char *folder = xasprintf("%s/build", f->folder);
    cleanup_free char *path = xasprintf("%s/out", folder);
    pid_t children[3];
    for (unsigned i = 0; i < 3; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            struct store *s = store_open(f->cache, NULL);
            for (unsigned n = 0; n < 300; n++)
                check(store_restore_blob(s, digests[(n + i) % 2], path, NULL) == 0);
            store_close(s);
            _exit(0);
        }
    }
    for (unsigned i = 0; i < 3; i++) {
        int status;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    cleanup_strlist struct strlist names = {0};
    assert_int_equal(list_directory(folder, &names, NULL), 0);
    assert_int_equal(names.n, 1);
}
