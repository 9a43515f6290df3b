// SPDX-License-Identifier: Apache-2.0
// Records of actions, and the logs of their steps.
#include "store/internal.h"

#include "base/file.h"
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

// ---- logs ----
// Keeps build logs of actions, logs/ab/cdef... by the action's key. They are for people: nothing
// depends on a log, it is not synced, and it is removed with its record.

#define LOG_LIMIT ((off_t)64 << 20) // of a longer log the end is kept

static int copy_log(int from, int to, const char *path, struct error **err)
{
    struct stat st;
    if (fstat(from, &st) < 0)
        return error_errno(err, errno, "reading a log");
    off_t start = st.st_size > LOG_LIMIT ? st.st_size - LOG_LIMIT : 0;
    if (lseek(from, start, SEEK_SET) < 0)
        return error_errno(err, errno, "reading a log");
    if (!start)
        return copy_content(from, "a log", to, path, err);
    static const char said[] = "kbuild: the beginning was too long to be kept\n";
    if (fd_write_all(to, path, said, sizeof said - 1, err) < 0)
        return -1;
    cleanup_free char *chunk = xmalloc(1 << 20);
    ssize_t n;
    while ((n = read(from, chunk, 1 << 20)) > 0)
        if (fd_write_all(to, path, chunk, (size_t)n, err) < 0)
            return -1;
    return n < 0 ? error_errno(err, errno, "reading a log") : 0;
}

int store_log_put(struct store *s, const char *key, int from, struct error **err)
{
    if (check_digest(key, "an action key", err) < 0)
        return -1;
    cleanup_close int fd = -1;
    cleanup_free char *path = session_file(s, "log", &fd, err);
    if (!path)
        return -1;
    int result = copy_log(from, fd, path, err);
    if (!result && fchmod(fd, 0644) < 0)
        result = error_errno(err, errno, "writing %s", path);
    if (!result)
        result = name_object(s, path, "logs", key, err);
    if (result)
        at_unlink(s, path);
    return result;
}

int store_log_open(struct store *s, const char *key, int *fd, time_t *made, struct error **err)
{
    if (check_digest(key, "an action key", err) < 0)
        return -1;
    cleanup_free char *path = object_path(s, "logs", key);
    cleanup_close int log = at_open(s, path, O_RDONLY | O_NONBLOCK, 0);
    struct stat st;
    if (log < 0 && errno == ENOENT)
        return 0;
    if (log < 0 || fstat(log, &st) < 0)
        return error_errno(err, errno, "reading %s", path);
    if (!S_ISREG(st.st_mode) || at_foreign(&st))
        return 0;
    *made = st.st_mtim.tv_sec;
    *fd = steal_fd(&log);
    return 1;
}

static void log_remove(struct store *s, const char *key)
{
    cleanup_free char *path = object_path(s, "logs", key);
    at_unlink(s, path);
}

int logs_sweep(struct store *s, struct error **err)
{
    cleanup_free char *logs = xasprintf("%s/logs", s->directory);
    cleanup_strlist struct strlist folders = {0};
    if (!at_is_directory(s, logs))
        return 0;
    if (at_list(s, logs, &folders, err) < 0)
        return -1;
    for (size_t i = 0; i < folders.n; i++) {
        cleanup_free char *folder = xasprintf("%s/%s", logs, folders.items[i]);
        cleanup_strlist struct strlist names = {0};
        if (!at_is_directory(s, folder)) // not made by the store
            continue;
        if (at_list(s, folder, &names, err) < 0)
            return -1;
        for (size_t k = 0; k < names.n; k++) {
            cleanup_free char *record =
                xasprintf("%s/actions/%s/%s", s->directory, folders.items[i], names.items[k]);
            cleanup_free char *log = xasprintf("%s/%s", folder, names.items[k]);
            if (!at_exists(s, record))
                at_unlink(s, log);
        }
    }
    return 0;
}

// ---- records ----
// Reads and writes action records, and locks actions against two processes.

#define RECORD_LIMIT ((size_t)64 << 20)
#define CANONICAL (JSON_COMPACT | JSON_SORT_KEYS | JSON_ENSURE_ASCII)

// The digest of the record without its member "sha256".
static void digest_record(json_t *record, char digest[static DIGEST_HEX_SIZE])
{
    json_object_del(record, "sha256");
    cleanup_free char *text = json_dumps(record, CANONICAL);
    digest_bytes(text ? text : "", text ? strlen(text) : 0, digest);
}

// The fault of a record that was read, or NULL. Removes "sha256" from it.
static const char *fault(json_t *record, const char *key)
{
    const char *named = json_string_value(json_object_get(record, "key"));
    const char *sum = json_string_value(json_object_get(record, "sha256"));
    if (!named || strcmp(named, key) != 0)
        return "it is the record of another key";
    if (!sum)
        return "it has no digest of itself";
    cleanup_free char *expected = xstrdup(sum);
    char found[DIGEST_HEX_SIZE];
    digest_record(record, found);
    return strcmp(found, expected) ? "its content does not have the digest that it names" : NULL;
}

static void damaged(struct store *s, const char *key, const char *path, const char *why)
{
    cleanup_free char *label = xasprintf("action-%s", key);
    move_damaged(s, path, label, why);
}

// A file that somebody else wrote, or could have written, is an error without an errno.
static int read_record(struct store *s, const char *path, struct buf *text, struct error **err)
{
    cleanup_close int fd = at_open(s, path, O_RDONLY | O_NONBLOCK, 0);
    struct stat st;
    if (fd < 0 && errno == ELOOP)
        return error_user(err, "it is a link");
    if (fd < 0 || fstat(fd, &st) < 0)
        return error_errno(err, errno, "reading %s", path);
    const char *foreign = S_ISREG(st.st_mode) ? at_foreign(&st) : "it is not a file";
    if (foreign)
        return error_user(err, "%s", foreign);
    buf_add(text, "", 0);
    return fd_read_all(fd, path, RECORD_LIMIT, text, err);
}

json_t *action_parse(const struct buf *text, const char *key, const char **wrong)
{
    json_t *record =
        json_loadb(text->data ? text->data : "", text->len, JSON_REJECT_DUPLICATES, NULL);
    *wrong = record ? fault(record, key) : "it is not JSON";
    if (!*wrong)
        return record;
    json_decref(record);
    return NULL;
}

int action_read(struct store *s, const char *key, json_t **record, struct error **err)
{
    *record = NULL;
    if (check_digest(key, "an action key", err) < 0)
        return -1;
    cleanup_free char *path = object_path(s, "actions", key);
    cleanup_buf struct buf text = {0};
    cleanup_error struct error *why = NULL;
    if (read_record(s, path, &text, &why) < 0) {
        if (why->errnum == ENOENT)
            return 0;
        if (why->errnum == 0 || why->errnum == EIO) {
            damaged(s, key, path, why->message); // a directory, too large, a bad disk
            return 0;
        }
        if (err)
            *err = steal(why);
        return -1;
    }
    const char *wrong;
    *record = action_parse(&text, key, &wrong);
    if (!*record)
        damaged(s, key, path, wrong);
    return *record != NULL;
}

int store_action_get(struct store *s, const char *key, json_t **record, struct error **err)
{
    int found = action_read(s, key, record, err);
    if (found > 0) {
        cleanup_free char *path = object_path(s, "actions", key);
        at_touch(s, path); // the last use, for gc; a read-only store has none
    }
    return found;
}

int store_action_put(struct store *s, const char *key, json_t *record, struct error **err)
{
    if (check_digest(key, "an action key", err) < 0)
        return -1;
    if (!json_is_object(record))
        return error_user(err, "the record of action %s is not a JSON object", key);
    json_t *copy = json_copy(record);
    char digest[DIGEST_HEX_SIZE];
    json_object_set_new(copy, "key", json_string(key));
    digest_record(copy, digest);
    json_object_set_new(copy, "sha256", json_string(digest));
    cleanup_free char *text = json_dumps(copy, JSON_INDENT(2) | JSON_SORT_KEYS);
    json_decref(copy);
    if (!text)
        return error_user(err, "the record of action %s can't be written as JSON", key);
    cleanup_free char *line = xasprintf("%s\n", text);
    if (write_object(s, "actions", key, line, strlen(line), true, err) < 0)
        return error_wrap(err, "adding a record to the cache %s", s->directory);
    return 0;
}

int store_action_remove(struct store *s, const char *key, struct error **err)
{
    if (check_digest(key, "an action key", err) < 0)
        return -1;
    cleanup_free char *path = object_path(s, "actions", key);
    if (at_unlink(s, path) < 0 && errno != ENOENT)
        return error_errno(err, errno, "removing %s", path);
    log_remove(s, key);
    return 0;
}

struct outputs {
    void (*each)(enum object_kind, const char *, void *);
    void *context;
};

static void pass_blob(const char *digest, void *context)
{
    struct outputs *o = context;
    o->each(OBJECT_BLOB, digest, o->context);
}

void record_outputs(struct store *s, const json_t *record,
                    void (*each)(enum object_kind kind, const char *digest, void *), void *context)
{
    struct outputs o = {each, context};
    const json_t *list = json_object_get(record, "outputs");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *output = json_array_get(list, i);
        const char *digest = json_string_value(json_object_get(output, "digest"));
        const char *kind = json_string_value(json_object_get(output, "kind"));
        if (!digest || !digest_is_hex(digest))
            continue;
        bool tree = kind && !strcmp(kind, "tree");
        each(tree ? OBJECT_TREE : OBJECT_BLOB, digest, context);
        if (!tree)
            oci_references(s, digest, pass_blob, &o);
    }
}

// ---- locks ----
// Only gc, with the exclusive lock, removes the file, so a lock on it is a lock on the name.
int store_lock_try(struct store *s, const char *key, int *fd, struct error **err)
{
    if (check_digest(key, "an action key", err) < 0)
        return -1;
    cleanup_free char *path = xasprintf("%s/locks/%s", s->directory, key);
    cleanup_close int lock = at_open(s, path, O_RDWR | O_NONBLOCK, 0);
    if (lock < 0 && errno == ENOENT)
        lock = at_create_in(s, "locks", path, 0644);
    if (lock < 0 && errno == EEXIST) // another process made it
        lock = at_open(s, path, O_RDWR | O_NONBLOCK, 0);
    if (lock < 0)
        return error_errno(err, errno, "locking %s", path);
    if (flock(lock, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? 0 : error_errno(err, errno, "locking %s", path);
    *fd = steal_fd(&lock);
    return 1;
}

int store_lock(struct store *s, const char *key, void (*waiting)(void *), void *context,
               struct error **err)
{
    int fd = -1;
    int locked = store_lock_try(s, key, &fd, err);
    if (locked)
        return locked < 0 ? -1 : fd;
    if (waiting)
        waiting(context);
    // A signal, handled or blocked by the program, is received here, ends the wait, and is then
    // sent again.
    sigset_t set, old;
    ending_signals(&set);
    pthread_sigmask(SIG_BLOCK, &set, &old);
    int caught = 0;
    while (!locked && caught <= 0) {
        static const struct timespec pause = {.tv_nsec = 50000000};
        caught = sigtimedwait(&set, NULL, &pause);
        if (caught <= 0)
            locked = store_lock_try(s, key, &fd, err);
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (caught > 0) {
        raise(caught);
        return error_set(err, ERROR_INTERRUPT,
                         "interrupted while another kbuild was at work on it");
    }
    return locked < 0 ? -1 : fd;
}

// ---- memos ----

#define MEMO_MAX ((size_t)64 << 10)

int store_memo_get(struct store *s, const char *name, struct buf *out)
{
    char digest[DIGEST_HEX_SIZE];
    digest_bytes(name, strlen(name), digest);
    cleanup_free char *path = object_path(s, "memo", digest);
    cleanup_close int fd = at_open(s, path, O_RDONLY | O_NONBLOCK, 0);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || at_foreign(&st))
        return 0;
    cleanup_buf struct buf text = {0};
    if (fd_read_all(fd, path, MEMO_MAX, &text, NULL) < 0 || !text.len ||
        strlen(text.data) != text.len)
        return 0;
    buf_add(out, text.data, text.len);
    return 1;
}

void store_memo_put(struct store *s, const char *name, const char *text)
{
    char digest[DIGEST_HEX_SIZE];
    digest_bytes(name, strlen(name), digest);
    write_object(s, "memo", digest, text, strlen(text), false, NULL);
}

// ---- digests of files outside the store ----

enum { SETTLED_SECONDS = 3 }; // file systems keep times of two seconds at the coarsest

static void describe_file(const struct stat *st, struct buf *out)
{
    buf_printf(out, "%jx %ju %o %jd %jd.%09ld %jd.%09ld\n", (uintmax_t)st->st_dev,
               (uintmax_t)st->st_ino, st->st_mode, (intmax_t)st->st_size,
               (intmax_t)st->st_mtim.tv_sec, st->st_mtim.tv_nsec, (intmax_t)st->st_ctim.tv_sec,
               st->st_ctim.tv_nsec);
}

// The digest in the memo, if it is of the file that this text describes.
static bool recall_digest(struct store *s, const char *name, const struct buf *file,
                          char digest[static DIGEST_HEX_SIZE])
{
    cleanup_buf struct buf memo = {0};
    if (!store_memo_get(s, name, &memo) || memo.len != file->len + DIGEST_HEX_SIZE - 1 ||
        memcmp(memo.data, file->data, file->len) != 0 || !digest_is_hex(memo.data + file->len))
        return false;
    memcpy(digest, memo.data + file->len, DIGEST_HEX_SIZE);
    return true;
}

static bool is_settled(const struct stat *st, time_t now)
{
    return st->st_mtim.tv_sec + SETTLED_SECONDS < now && st->st_ctim.tv_sec + SETTLED_SECONDS < now;
}

int store_digest_file(struct store *s, const char *path, char digest[static DIGEST_HEX_SIZE],
                      struct error **err)
{
    struct stat before, after;
    cleanup_buf struct buf file = {0};
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &before) < 0)
        return error_errno(err, errno, "reading %s", path);
    cleanup_free char *name = xasprintf("digest of %s", path);
    describe_file(&before, &file);
    bool settled = S_ISREG(before.st_mode) && is_settled(&before, time(NULL));
    if (settled && recall_digest(s, name, &file, digest))
        return 0;
    if (digest_fd(fd, path, digest, NULL, err) < 0)
        return -1;
    cleanup_buf struct buf later = {0};
    if (!settled || fstat(fd, &after) < 0)
        return 0;
    describe_file(&after, &later);
    if (later.len != file.len || memcmp(later.data, file.data, file.len) != 0)
        return 0; // it changed while it was read
    buf_puts(&file, digest);
    store_memo_put(s, name, file.data);
    return 0;
}
