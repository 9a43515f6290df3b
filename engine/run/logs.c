// SPDX-License-Identifier: Apache-2.0
// Opens the log of a target, for people to read: that of the build that made the result in the
// store, else the last one in the output directory.
#include "run/internal.h"

#include "base/error.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static int open_last(struct build *b, const char *path, struct error **err)
{
    cleanup_free char *shown = xasprintf("%s/logs", b->options.output);
    // Reading creates nothing.
    cleanup_close int folder =
        folder_open(b->options.output, "output directory", FOLDER_TRUSTED_OWNER, err);
    if (folder < 0)
        return -1;
    cleanup_close int logs =
        folder_open_at(folder, "logs", shown, "directory", FOLDER_TRUSTED_OWNER, err);
    if (logs < 0)
        return -1;
    struct stat st;
    const char *name = path_base(path);
    cleanup_close int fd = openat(logs, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && errno == ELOOP)
        return error_user(err, "opening the log %s: it is a link, and none is followed there",
                          path);
    if (fd < 0 || fstat(fd, &st) < 0)
        return error_errno(err, errno, "opening the log %s", path);
    if (!S_ISREG(st.st_mode))
        return error_user(err, "opening the log %s: it is not a file", path);
    return steal_fd(&fd);
}

// Opens the log of the build that made the result; it may be missing.
static int open_kept(struct build *b, const struct node *node, struct error **err)
{
    int fd = -1;
    time_t when = 0;
    int found = store_log_open(b->store, node->key, &fd, &when, err);
    if (found > 0) {
        struct tm tm;
        char text[64] = "";
        if (localtime_r(&when, &tm))
            strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm);
        log_note("the log of the build of %s that made the result in the cache, on %s",
                 node_label(node), text);
    }
    return found < 0 ? -1 : fd;
}

static int no_log_error(struct build *b, const struct node *node, struct error **err)
{
    json_auto_t *record = NULL;
    store_action_get(b->store, node->key, &record, NULL);
    const char *by = json_string_value(json_object_get(record, "built_by"));
    error_user(err, "the log of %s is not here: its result was taken from a cache%s%s",
               node_label(node), by ? ", and made by " : "", by ? by : "");
    return error_hint(err, "USE_CACHE=no kbuild %s makes it here", job_of(node)->recipe->name);
}

int build_log_open(struct build *b, const char *target, struct error **err)
{
    cleanup_error struct error *why = NULL;
    const struct node *node = build_add_target(b, target, &why);
    cleanup_error struct error *unknown = NULL;
    bool cached = node && build_evaluate(b, false, &unknown) == 0 && node_is_known(node);
    int fd = cached ? open_kept(b, node, err) : -1;
    if (fd >= 0 || (err && *err))
        return fd;
    cleanup_free char *path = build_log_path(&b->options, target);
    struct error *missing = NULL;
    fd = open_last(b, path, &missing);
    if (fd < 0 && node && missing->errnum == ENOENT) {
        // In a plan with two of that name it has its id.
        cleanup_free char *other = build_log_path(&b->options, node->id);
        fd = open_last(b, other, NULL);
        if (fd >= 0)
            error_free(missing);
    }
    if (fd >= 0)
        return fd;
    if (cached && missing->errnum == ENOENT) {
        error_free(missing);
        return no_log_error(b, node, err);
    }
    if (err)
        *err = missing;
    else
        error_free(missing);
    return -1;
}
