// SPDX-License-Identifier: Apache-2.0
// Applies patches to a fetched tree, with patch(1).
#include "base/digest.h"
#include "base/process.h"
#include "source/internal.h"

#include <errno.h>
#include <fcntl.h>

// Offsets are allowed; fuzz, which ignores lines of context, is not: it can change a wrong place. A
// failed patch leaves no .rej or .orig files.
static int apply(const char *patch, const char *folder, struct error **err)
{
    const char *const argv[] = {
        "patch",           "-p1",     "--fuzz=0", "--batch", "--forward", "--no-backup-if-mismatch",
        "--reject-file=-", "--input", patch,      NULL};
    cleanup_free char *path =
        xasprintf("PATH=%s", getenv("PATH") ? getenv("PATH") : "/usr/bin:/bin");
    const char *const environment[] = {path, "LC_ALL=C", "TZ=UTC", NULL};
    cleanup_close int output = nameless_file(folder, err);
    if (output < 0)
        return -1;
    struct process p = {.argv = (char *const *)argv,
                        .environment = (char *const *)environment,
                        .directory = folder,
                        .input = -1,
                        .output = output,
                        .errors = output};
    cleanup_error struct error *why = NULL;
    if (process_run(&p, NULL, &why) == 0)
        return 0;
    cleanup_buf struct buf said = {0};
    if (lseek(output, 0, SEEK_SET) == 0)
        fd_read_all(output, "patch", (size_t)1 << 20, &said, NULL);
    const char *end = said.len > 2000 ? said.data + said.len - 2000 : said.data;
    error_user(err, "applying the patch %s: %s\n%s", patch, why->message, end ? end : "");
    return error_hint(err,
                      "the patch does not fit this version of the source: renew it (fuzz is not "
                      "accepted)");
}

static int set_times(const char *path, struct timespec when, unsigned depth, struct error **err);

static int set_times_inside(const char *path, struct timespec when, unsigned depth,
                            struct error **err)
{
    cleanup_strlist struct strlist names = {0};
    if (list_directory(path, &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++) {
        cleanup_free char *inside = xasprintf("%s/%s", path, names.items[i]);
        if (set_times(inside, when, depth + 1, err) < 0)
            return -1;
    }
    return 0;
}

// Sets this time on everything newer than `when`: the patched files.
static int set_times(const char *path, struct timespec when, unsigned depth, struct error **err)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        return error_errno(err, errno, "reading %s", path);
    if (S_ISDIR(st.st_mode) && depth < 256 && set_times_inside(path, when, depth, err) < 0)
        return -1;
    if (st.st_mtim.tv_sec <= when.tv_sec)
        return 0;
    const struct timespec times[2] = {when, when};
    if (utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW) < 0)
        return error_errno(err, errno, "setting the time of %s", path);
    return 0;
}

int apply_patches(const struct strlist *patches, const char *folder, json_t *provenance,
                  struct error **err)
{
    struct stat st;
    if (patches->n == 0)
        return 0;
    if (stat(folder, &st) < 0)
        return error_errno(err, errno, "reading %s", folder);
    json_t *list = json_array();
    json_object_set_new(provenance, "patches", list);
    for (size_t i = 0; i < patches->n; i++) {
        char digest[DIGEST_HEX_SIZE];
        if (digest_file(patches->items[i], digest, NULL, err) < 0 ||
            apply(patches->items[i], folder, err) < 0)
            return -1;
        json_array_append_new(
            list, json_pack("{s:s, s:s}", "name", path_base(patches->items[i]), "sha256", digest));
    }
    if (set_times(folder, st.st_mtim, 0, err) < 0)
        return -1;
    return set_folder_time(folder, st.st_mtim.tv_sec, err);
}

int set_folder_time(const char *folder, int64_t when, struct error **err)
{
    const struct timespec times[2] = {{.tv_sec = when}, {.tv_sec = when}};
    if (utimensat(AT_FDCWD, folder, times, 0) < 0)
        return error_errno(err, errno, "setting the time of %s", folder);
    return 0;
}
