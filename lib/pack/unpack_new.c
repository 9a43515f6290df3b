// SPDX-License-Identifier: Apache-2.0
// Unpacks an archive into a new or empty folder, which appears only when it is complete.
#include "pack/pack.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static bool is_empty(const char *folder)
{
    cleanup_strlist struct strlist names = {0};
    return list_directory(folder, &names, NULL) == 0 && !names.n;
}

int unpack_new(const char *file, const char *folder, struct error **err)
{
    cleanup_free char *target = xstrdup(folder);
    for (size_t n = strlen(target); n > 1 && target[n - 1] == '/'; n--)
        target[n - 1] = '\0';
    if (path_exists(target) && !(is_directory(target) && is_empty(target))) {
        error_user(err, "unpacking into %s: there is something already", target);
        return error_hint(err, "name a folder that is empty or does not exist");
    }
    cleanup_close int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, errno, "opening %s", file);
    const char *base = path_base(target);
    cleanup_free char *parent =
        base == target ? xstrdup(".") : xstrndup(target, (size_t)(base - target));
    if (make_directories(parent, 0777, err) < 0)
        return -1;
    cleanup_folder_draft struct folder_draft fresh = FOLDER_DRAFT_NONE;
    if (folder_draft_begin(&fresh, target, err) < 0)
        return -1;
    const struct unpack_options o = {.attributes = true, .shown = target};
    mode_t mask = umask(0);
    umask(mask);
    if (unpack(fd, file, fresh.temporary, &o, NULL, err) < 0)
        return -1;
    return folder_draft_commit(&fresh, 0777 & ~mask, err);
}
