// SPDX-License-Identifier: Apache-2.0
// Records of actions: kept under their key, found again, and what happens to a damaged one.
#include "test.h"

#include "store_help.h"

#include <sys/file.h>

EACH_TEST(set_up, tear_down)

TEST(a_record_comes_back_as_it_was_put)
{
    struct fixture *f = *state;
    struct error *err = NULL;
    char key[DIGEST_HEX_SIZE];
    fake_key(1, key);
    json_t *record = json_pack("{s:s, s:[i,f,b,n], s:{s:s}}", "text", "\xc3\xa4 \"quoted\"\n",
                               "list", 7, 0.1, 1, "inner", "z", "last");
    store_action_put(f->store, key, record, &err);
    no_error(err);
    assert_int_equal(json_object_size(record), 3); // the caller's is as it was
    reopen(f);
    json_t *found = NULL;
    assert_int_equal(store_action_get(f->store, key, &found, &err), 1);
    no_error(err);
    assert_non_null(found);
    assert_string_equal(json_string_value(json_object_get(found, "key")), key);
    assert_null(json_object_get(found, "sha256"));
    // What was read can be put again.
    store_action_put(f->store, key, found, &err);
    no_error(err);
    json_object_del(found, "key");
    assert_true(json_equal(record, found));
    json_decref(found);
    assert_int_equal(store_action_get(f->store, key, &found, &err), 1);
    assert_non_null(found);
    json_decref(found);
    json_decref(record);
}

TEST(a_missing_record_is_no_error)
{
    struct fixture *f = *state;
    struct error *err = NULL;
    json_t *found;
    char key[DIGEST_HEX_SIZE];
    fake_key(1, key);
    assert_int_equal(store_action_get(f->store, key, &found, &err), 0);
    assert_null(found);
    no_error(err);
    store_action_remove(f->store, key, &err);
    no_error(err);
    put_record(f->store, key, key, "blob");
    store_action_remove(f->store, key, &err);
    no_error(err);
    assert_int_equal(store_action_get(f->store, key, &found, &err), 0);
    assert_null(found);
    assert_int_equal(store_action_put(f->store, key, NULL, &err), -1);
    expect_error(&err, "not a JSON object");
}

TEST(a_damaged_record_is_moved_away)
{
    struct fixture *f = *state;
    struct error *err = NULL;
    json_t *found;
    char key[DIGEST_HEX_SIZE], other[DIGEST_HEX_SIZE];
    fake_key(1, key);
    fake_key(2, other);
    put_record(f->store, other, other, "blob");
    cleanup_free char *path = object_path(f->store, "actions", key);
    cleanup_free char *others = object_path(f->store, "actions", other);
    cleanup_free char *swap = xasprintf("cp %s %s", others, path);
    cleanup_free char *edit = xasprintf("sed -i s/out/OUT/ %s", path);
    cleanup_free char *cut = xasprintf("truncate -s -5 %s", path);
    cleanup_free char *empty = xasprintf("truncate -s 0 %s", path);
    cleanup_free char *plain = xasprintf("echo '{\"key\":\"%s\"}' >%s", key, path);
    cleanup_free char *list = xasprintf("echo '[]' >%s", path);
    cleanup_free char *nest = xasprintf("head -c 100000 /dev/zero | tr '\\0' '[' >%s", path);
    cleanup_free char *folder = xasprintf("rm %s; mkdir %s", path, path);
    const char *const commands[] = {swap, edit, cut, empty, plain, list, nest, folder};
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        put_record(f->store, key, key, "blob");
        assert_int_equal(system(commands[i]), 0);
        assert_int_equal(store_action_get(f->store, key, &found, &err), 0);
        assert_null(found);
        no_error(err);
        assert_false(path_exists(path));
        assert_int_equal(count_in(f, "damaged"), i + 1);
    }
}

TEST(using_a_record_is_noted_in_its_time)
{
    struct fixture *f = *state;
    char key[DIGEST_HEX_SIZE];
    fake_key(1, key);
    put_record(f->store, key, key, "blob");
    used_ago(f, "actions", key, 5000);
    json_t *found = NULL;
    assert_int_equal(store_action_get(f->store, key, &found, NULL), 1);
    json_decref(found);
    cleanup_free char *path = object_path(f->store, "actions", key);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_true(time(NULL) - st.st_mtim.tv_sec < 1000);
}

static void count_call(void *context)
{
    ++*(int *)context;
}

TEST(a_lock_is_held_by_one_at_a_time)
{
    struct fixture *f = *state;
    char key[DIGEST_HEX_SIZE], other[DIGEST_HEX_SIZE];
    fake_key(1, key);
    fake_key(2, other);
    int waits = 0, second = -1, pipes[2];
    int first = store_lock(f->store, key, count_call, &waits, NULL);
    assert_true(first >= 0);
    assert_int_equal(waits, 0);
    assert_int_equal(store_lock_try(f->store, key, &second, NULL), 0);
    assert_int_equal(store_lock_try(f->store, other, &second, NULL), 1);
    close(second);
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    if (child == 0) { // holds nothing of the parent's but a copy of the lock
        close(first);
        struct store *s = store_open(f->cache, NULL);
        int calls = 0;
        int lock = store_lock(s, key, count_call, &calls, NULL);
        char waited = (char)(lock >= 0 ? calls : 9);
        check(write(pipes[1], &waited, 1) == 1);
        _exit(0);
    }
    close(pipes[1]);
    usleep(100 * 1000);
    flock(first, LOCK_UN);
    close(first);
    char calls = 0;
    assert_int_equal(read(pipes[0], &calls, 1), 1);
    assert_int_equal(calls, 1);
    assert_int_equal(waitpid(child, NULL, 0), child);
    close(pipes[0]);
}

static volatile sig_atomic_t signals_seen;

static void see_signal(int number)
{
    signals_seen++;
}

TEST(a_signal_ends_the_wait_for_a_lock)
{
    struct fixture *f = *state;
    char key[DIGEST_HEX_SIZE];
    fake_key(1, key);
    cleanup_close int held = store_lock(f->store, key, NULL, NULL, NULL);
    assert_true(held >= 0);
    for (int blocked = 0; blocked < 2; blocked++) {
        struct sigaction action = {.sa_handler = see_signal, .sa_flags = SA_RESTART}, old;
        sigset_t set, before, pending;
        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        sigaction(SIGTERM, &action, &old);
        sigprocmask(blocked ? SIG_BLOCK : SIG_UNBLOCK, &set, &before);
        signals_seen = 0;
        pid_t child = fork();
        if (child == 0) {
            usleep(100 * 1000);
            kill(getppid(), SIGTERM);
            _exit(0);
        }
        struct error *err = NULL;
        assert_int_equal(store_lock(f->store, key, NULL, NULL, &err), -1);
        assert_non_null(err);
        assert_int_equal(err->kind, ERROR_INTERRUPT);
        error_free(err);
        // and the program gets its signal all the same, in the way that it wanted it
        assert_int_equal(sigpending(&pending), 0);
        assert_int_equal(signals_seen, !blocked);
        assert_int_equal(sigismember(&pending, SIGTERM), blocked);
        assert_int_equal(waitpid(child, NULL, 0), child);
        sigprocmask(SIG_UNBLOCK, &set, NULL);
        sigprocmask(SIG_SETMASK, &before, NULL);
        sigaction(SIGTERM, &old, NULL);
    }
}

TEST(a_dead_process_holds_no_lock)
{
    struct fixture *f = *state;
    char key[DIGEST_HEX_SIZE];
    fake_key(1, key);
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    if (child == 0) {
        struct store *s = store_open(f->cache, NULL);
        check(store_lock(s, key, NULL, NULL, NULL) >= 0);
        check(write(pipes[1], "x", 1) == 1);
        pause();
    }
    close(pipes[1]);
    char byte;
    assert_int_equal(read(pipes[0], &byte, 1), 1);
    int fd = -1;
    assert_int_equal(store_lock_try(f->store, key, &fd, NULL), 0);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(store_lock_try(f->store, key, &fd, NULL), 1);
    close(fd);
    close(pipes[0]);
}

// ---- memos ----
TEST(a_memo_comes_back_unless_somebody_else_could_have_written_it)
{
    struct fixture *f = *state;
    cleanup_buf struct buf text = {0}, again = {0};
    assert_int_equal(store_memo_get(f->store, "codec", &text), 0);
    store_memo_put(f->store, "codec", "one\ntwo");
    reopen(f);
    assert_int_equal(store_memo_get(f->store, "codec", &text), 1);
    assert_string_equal(text.data, "one\ntwo");
    assert_int_equal(store_memo_get(f->store, "other", &again), 0);
    store_memo_put(f->store, "codec", "three");
    assert_int_equal(store_memo_get(f->store, "codec", &again), 1);
    assert_string_equal(again.data, "three");
    char digest[DIGEST_HEX_SIZE];
    digest_bytes("codec", 5, digest);
    cleanup_free char *path = xasprintf("%s/memo/%.2s/%s", f->cache, digest, digest + 2);
    assert_int_equal(chmod(path, 0666), 0);
    assert_int_equal(store_memo_get(f->store, "codec", &again), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/etc/hostname", path), 0);
    assert_int_equal(store_memo_get(f->store, "codec", &again), 0);
}

// ---- digests of files outside the store ----

// What the memo of a file says of it, without the digest; to be freed. NULL: there is no memo.
static char *remembered(struct fixture *f, const char *path)
{
    cleanup_free char *name = xasprintf("digest of %s", path);
    struct buf memo = {0};
    if (!store_memo_get(f->store, name, &memo))
        return NULL;
    memo.data[memo.len - (DIGEST_HEX_SIZE - 1)] = '\0';
    return buf_take(&memo);
}

TEST(a_file_is_hashed_once_as_long_as_it_is_the_same)
{
    static const char path[] = "/bin/sh"; // older than some seconds
    struct fixture *f = *state;
    struct error *err = NULL;
    char real[DIGEST_HEX_SIZE], digest[DIGEST_HEX_SIZE], forged[DIGEST_HEX_SIZE];
    assert_int_equal(digest_file(path, real, NULL, &err), 0);
    fake_key(7, forged);
    assert_int_equal(store_digest_file(f->store, path, digest, &err), 0);
    no_error(err);
    assert_string_equal(digest, real);
    cleanup_free char *file = remembered(f, path);
    assert_non_null(file);
    // The memo is what counts, while the file is the same.
    cleanup_free char *other = xasprintf("%s%s", file, forged);
    store_memo_put(f->store, "digest of /bin/sh", other);
    assert_int_equal(store_digest_file(f->store, path, digest, &err), 0);
    assert_string_equal(digest, forged);
    // Each field counts, and a damaged memo does not.
    for (char *c = file; *c; c++) {
        char was = *c;
        *c = was == '7' ? '6' : '7';
        cleanup_free char *wrong = xasprintf("%s%s", file, forged);
        store_memo_put(f->store, "digest of /bin/sh", wrong);
        assert_int_equal(store_digest_file(f->store, path, digest, &err), 0);
        assert_string_equal(digest, real);
        *c = was;
    }
    store_memo_put(f->store, "digest of /bin/sh", "x");
    assert_int_equal(store_digest_file(f->store, path, digest, &err), 0);
    assert_string_equal(digest, real);
}

TEST(a_file_that_was_just_changed_is_hashed_each_time)
{
    struct fixture *f = *state;
    struct error *err = NULL;
    char first[DIGEST_HEX_SIZE], second[DIGEST_HEX_SIZE];
    const struct timespec same[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
    cleanup_free char *path = xasprintf("%s/tool", f->folder);
    write_text(path, "one", 0755);
    assert_int_equal(utimensat(AT_FDCWD, path, same, 0), 0);
    assert_int_equal(store_digest_file(f->store, path, first, &err), 0);
    assert_null(remembered(f, path));
    write_text(path, "two", 0755);
    assert_int_equal(utimensat(AT_FDCWD, path, same, 0), 0);
    assert_int_equal(store_digest_file(f->store, path, second, &err), 0);
    no_error(err);
    assert_string_not_equal(first, second);
    assert_int_equal(store_digest_file(f->store, "/nonexistent/tool", second, &err), -1);
    assert_non_null(strstr(err->message, "/nonexistent/tool"));
    error_free(err);
}
