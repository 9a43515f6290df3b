// SPDX-License-Identifier: Apache-2.0
// The output directory, opened once, and the logs in it.
//
// <output>/logs/<label>.log is the log of the last attempt that printed something. Each attempt
// writes a new file, so nothing is written through a link or into a file that another process has
// open. The log of the build that made a result is kept in the store beside the result's record,
// for users who get the result from there (logs.c reads both).
#include "run/internal.h"

#include "base/error.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

// Results in the cache could collide with its files, and would be removed with it.
static int refuse_cache(struct build *b, struct error **err)
{
    cleanup_free char *output = realpath(b->options.output, NULL);
    const char *shown = store_directory(store_lasting(b->store));
    cleanup_free char *cache = realpath(shown, NULL);
    if (b->options.temporary_output || !output || !cache || !path_below(output, cache))
        return 0;
    close(steal_fd(&b->run->output_fd));
    error_user(err, "the output directory %s is in the cache %s", b->options.output, shown);
    return error_hint(err, "name another one with -o, or another cache with --cache");
}

int output_folder(struct build *b, struct error **err)
{
    if (!b->run->output_open) {
        static const int rules = FOLDER_MAKE | FOLDER_TRUSTED_OWNER;
        b->run->output_fd = folder_open(b->options.output, "output directory", rules, err);
        if (b->run->output_fd < 0 || refuse_cache(b, err) < 0)
            return -1;
        b->run->output_open = true;
    }
    return b->run->output_fd;
}

int output_subfolder(struct build *b, const char *name, struct error **err)
{
    cleanup_free char *shown = xasprintf("%s/%s", b->options.output, name);
    int folder = output_folder(b, err);
    if (folder < 0)
        return -1;
    return folder_open_at(folder, name, shown, "directory", FOLDER_MAKE | FOLDER_TRUSTED_OWNER,
                          err);
}

// ---- logs ----

int output_log_open(struct build *b, const char *path, struct error **err)
{
    cleanup_close int logs = output_subfolder(b, "logs", err);
    if (logs < 0)
        return error_wrap(err, "creating the log %s", path);
    const char *name = path_base(path);
    struct stat st;
    if (fstatat(logs, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode))
        return error_errno(err, EISDIR, "creating the log %s", path); // the only case in which the
                                                                      // old one stays
    int fd = openat(logs, ".", O_TMPFILE | O_RDWR | O_APPEND | O_CLOEXEC, 0644);
    if (fd >= 0)
        return fd;
    if (unlinkat(logs, name, 0) < 0 && errno != ENOENT)
        return error_errno(err, errno, "creating the log %s", path);
    int flags = O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW | O_CLOEXEC;
    fd = openat(logs, name, flags, 0644);
    return fd < 0 ? error_errno(err, errno, "creating the log %s", path) : fd;
}

static bool has_name(int log)
{
    struct stat st;
    return fstat(log, &st) == 0 && st.st_nlink;
}

void output_log_place(struct build *b, const char *path, int log)
{
    if (has_name(log))
        return;
    cleanup_error struct error *err = NULL;
    cleanup_close int logs = output_subfolder(b, "logs", &err);
    cleanup_free char *unnamed = xasprintf("/proc/self/fd/%d", log);
    cleanup_free char *passing = xasprintf(".%.200s.%d", path_base(path), (int)getpid());
    if (logs < 0) {
        log_warning("the log %s: %s", path, err ? err->message : "its directory cannot be opened");
        return;
    }
    unlinkat(logs, passing, 0); // of a process that was killed
    if (linkat(AT_FDCWD, unnamed, logs, passing, AT_SYMLINK_FOLLOW) < 0 ||
        renameat(logs, passing, logs, path_base(path)) < 0) {
        log_warning("the log %s could not be put there: %s", path, strerror(errno));
        unlinkat(logs, passing, 0);
    }
}

void output_log_keep(struct build *b, const struct node *node, const struct steplog *log,
                     bool made_here)
{
    if (!log->path)
        return;
    cleanup_close int logs = made_here ? -1 : output_subfolder(b, "logs", NULL);
    // Losing the log is no reason to fail a build.
    if (made_here && log->file >= 0)
        store_log_put(b->store, node->key, log->file, NULL);
    else if (logs >= 0 && has_name(log->file))
        unlinkat(logs, path_base(log->path), 0); // it says nothing of how the result was made
}
