// SPDX-License-Identifier: Apache-2.0
// Keeps build logs of actions, logs/ab/cdef... by the action's key. They are for people: nothing
// depends on a log, it is not synced, and it is removed with its record.
#include "store/internal.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

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

void log_remove(struct store *s, const char *key)
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
