// SPDX-License-Identifier: Apache-2.0
// Shared by the tests of lib/store: each test has a store in a folder of its own.
#ifndef KBUILD_TESTS_CACHE_TEST_H
#define KBUILD_TESTS_CACHE_TEST_H

#include "base/error.h"
#include "store/internal.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#define unused __attribute__((unused))

struct fixture {
    char *folder; // everything below it is removed at the end
    char *cache;
    struct store *store;
    struct strlist warnings;
};

static void keep_warning(enum log_level level, const char *line, void *context)
{
    struct fixture *f = context;
    strlist_add(&f->warnings, line);
}

static unused int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    const char *parent = getenv("TMPDIR");
    f->folder = make_temporary_directory(parent ? parent : "/tmp", "cache-test", NULL);
    assert_non_null(f->folder);
    assert_int_equal(chmod(f->folder, 0755), 0);
    f->cache = xasprintf("%s/cache", f->folder);
    f->store = store_open(f->cache, NULL);
    assert_non_null(f->store);
    log_redirect(keep_warning, f);
    *state = f;
    return 0;
}

static unused int tear_down(void **state)
{
    struct fixture *f = *state;
    log_redirect(NULL, NULL);
    store_close(f->store);
    assert_int_equal(remove_tree(f->folder, NULL), 0);
    strlist_free(&f->warnings);
    free(f->cache);
    free(f->folder);
    free(f);
    return 0;
}

// Fails the test with the error's text.
static unused void no_error(struct error *err)
{
    if (err)
        fail_msg("%s", err->message);
}

// Asserts that an error was given whose message has `part`, and frees it.
static unused void expect_error(struct error **err, const char *part)
{
    assert_non_null(*err);
    if (!strstr((*err)->message, part))
        fail_msg("\"%s\" is not in \"%s\"", part, (*err)->message);
    error_free(*err);
    *err = NULL;
}

static unused bool warned_of(const struct fixture *f, const char *part)
{
    for (size_t i = 0; i < f->warnings.n; i++)
        if (strstr(f->warnings.items[i], part))
            return true;
    return false;
}

static unused void reopen(struct fixture *f)
{
    struct error *err = NULL;
    store_close(f->store);
    f->store = store_open(f->cache, &err);
    no_error(err);
}

static unused void put_text(struct store *s, const char *text, char digest[static DIGEST_HEX_SIZE])
{
    struct error *err = NULL;
    store_put_bytes(s, text, strlen(text), digest, &err);
    no_error(err);
}

static unused void write_text(const char *path, const char *text, mode_t mode)
{
    struct error *err = NULL;
    file_write(path, text, strlen(text), mode, &err);
    no_error(err);
}

static unused void add_file(const char *folder, const char *name, const char *text, mode_t mode)
{
    cleanup_free char *path = xasprintf("%s/%s", folder, name);
    assert_int_equal(make_parent(path, NULL), 0);
    write_text(path, text, mode);
}

// Writes one byte into a file as a program that ignores its mode would.
static unused void flip_byte(const char *path, off_t where)
{
    assert_int_equal(chmod(path, 0644), 0);
    cleanup_close int fd = open(path, O_RDWR | O_CLOEXEC);
    char byte;
    assert_int_equal(pread(fd, &byte, 1, where), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, where), 1);
    assert_int_equal(fchmod(fd, 0444), 0);
}

static unused size_t count_in(const struct fixture *f, const char *name)
{
    cleanup_free char *path = xasprintf("%s/%s", f->cache, name);
    cleanup_strlist struct strlist names = {0};
    list_directory(path, &names, NULL);
    return names.n;
}

// What lies in tmp/, but for the locks of those who are at work.
static unused size_t count_work(const struct fixture *f)
{
    cleanup_free char *path = xasprintf("%s/tmp", f->cache);
    cleanup_strlist struct strlist names = {0};
    list_directory(path, &names, NULL);
    size_t count = 0;
    for (size_t i = 0; i < names.n; i++)
        count += !ends_with(names.items[i], ".lock");
    return count;
}

// A tree with a bit of everything, in a temporary folder of the store.
static unused char *make_tree(struct store *s, const char *content)
{
    struct error *err = NULL;
    char *path = store_temporary(s, "tree", &err);
    no_error(err);
    add_file(path, "usr/bin/tool", "#!/bin/sh\n", 0755);
    add_file(path, "usr/share/text", content, 0644);
    add_file(path, "empty", "", 0644);
    cleanup_free char *link = xasprintf("%s/bin", path);
    assert_int_equal(symlink("usr/bin", link), 0);
    cleanup_free char *folder = xasprintf("%s/hollow", path);
    assert_int_equal(mkdir(folder, 0755), 0);
    return path;
}

static unused void put_tree(struct store *s, const char *content,
                            char digest[static DIGEST_HEX_SIZE])
{
    struct error *err = NULL;
    cleanup_free char *path = make_tree(s, content);
    store_put_tree(s, path, digest, &err);
    no_error(err);
}

static unused void fake_key(unsigned number, char key[static DIGEST_HEX_SIZE])
{
    digest_bytes(&number, sizeof number, key);
}

// A record with one output.
static unused void put_record(struct store *s, const char *key, const char *digest,
                              const char *kind)
{
    struct error *err = NULL;
    json_t *record = json_pack("{s:[{s:s, s:s, s:s, s:i}]}", "outputs", "name", "out", "digest",
                               digest, "kind", kind, "size", 1);
    store_action_put(s, key, record, &err);
    json_decref(record);
    no_error(err);
}

// Gives a record or a blob a last use that long ago.
static unused void used_ago(const struct fixture *f, const char *kind, const char *digest,
                            int seconds)
{
    cleanup_free char *path = object_path(f->store, kind, digest);
    struct timespec then = {.tv_sec = time(NULL) - seconds};
    struct timespec times[2] = {then, then};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

// Runs `body` in a child that is an ordinary user if this is root. Its exit status must be 0.
static unused void as_ordinary_user(void (*body)(struct fixture *), struct fixture *f)
{
    pid_t child = fork();
    if (child == 0) {
        if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
            _exit(99);
        body(f);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

// For such a body, where cmocka's assertions would unwind into the parent's stack.
#define check(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

#endif
