// SPDX-License-Identifier: Apache-2.0
// Resolves and fetches a source of any kind, and applies its patches with patch(1).
#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "base/process.h"
#include "source/internal.h"

#include <errno.h>
#include <fcntl.h>

// ---- patches ----

// Offsets are allowed; fuzz, which ignores lines of context, is not: it can change a wrong place. A
// failed patch leaves no .rej or .orig files.
static int apply_patch(const char *patch, const char *folder, struct error **err)
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

// Gives everything newer than `when` that time: the patched files. The root is the caller's.
static int set_patched_time(const struct beneath_entry *e, void *context, struct error **err)
{
    const struct timespec *when = context, times[2] = {*when, *when};
    struct stat st;
    if (e->event == BENEATH_ENTER || !e->depth)
        return 0;
    if (fstatat(e->directory, e->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return error_errno(err, errno, "reading %s", e->path);
    if (st.st_mtim.tv_sec > when->tv_sec &&
        utimensat(e->directory, e->name, times, AT_SYMLINK_NOFOLLOW) < 0)
        return error_errno(err, errno, "setting the time of %s", e->path);
    return 0;
}

// Applies the patches in order with patch -p1. Changed files get the folder's mtime, which is kept.
static int apply_patches(const struct strlist *patches, const char *folder, json_t *provenance,
                         struct error **err)
{
    struct stat st;
    if (patches->n == 0)
        return 0;
    cleanup_close int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return error_errno(err, errno, "reading %s", folder);
    json_t *list = json_array();
    json_object_set_new(provenance, "patches", list);
    for (size_t i = 0; i < patches->n; i++) {
        char digest[DIGEST_HEX_SIZE];
        if (digest_file(patches->items[i], digest, NULL, err) < 0 ||
            apply_patch(patches->items[i], folder, err) < 0)
            return -1;
        json_array_append_new(
            list, json_pack("{s:s, s:s}", "name", path_base(patches->items[i]), "sha256", digest));
    }
    const struct beneath_walk walk = {.visit = set_patched_time, .context = &st.st_mtim};
    if (beneath_walk(fd, folder, &walk, err) < 0)
        return -1;
    return set_folder_time(folder, st.st_mtim.tv_sec, err);
}

// ---- resolving and fetching ----

static const struct {
    source_resolver *resolve;
    source_fetcher *fetch;
} source_kinds[] = {
    [SOURCE_GIT] = {git_source_resolve, git_source_fetch},
    [SOURCE_ARCHIVE] = {archive_source_resolve, archive_source_fetch},
    [SOURCE_DEBIAN] = {debian_source_resolve, debian_source_fetch},
    [SOURCE_IMAGE] = {image_source_resolve, image_source_fetch},
    [SOURCE_LOCAL] = {local_source_resolve, local_source_fetch},
};

static int check_urls(const struct source_spec *spec, struct error **err)
{
    if (spec->kind == SOURCE_DEBIAN || spec->kind == SOURCE_LOCAL || spec->kind == SOURCE_IMAGE)
        return 0;
    if (url_check(spec, spec->url, err) < 0)
        return -1;
    return spec->sums ? url_check(spec, spec->sums, err) : 0;
}

int source_resolve(const struct source_spec *spec, const struct source_options *o,
                   struct source_pin *out, struct error **err)
{
    cleanup_error struct error *discarded = NULL;
    *out = (struct source_pin){0};
    if (!err)
        err = &discarded;
    if (check_urls(spec, err) == 0 && source_kinds[spec->kind].resolve(spec, o, out, err) == 0)
        return 0;
    source_pin_free(out);
    return error_wrap(err, "%s", spec->label);
}

// Removes a pin of this run that could not be used; an older pin is the user's decision.
static void withdraw_pin(const struct source_spec *spec, const struct source_pin *pin,
                         const struct source_options *o, struct error **err)
{
    cleanup_error struct error *why = NULL;
    const char *ref = spec->kind == SOURCE_GIT ? spec->ref : NULL;
    if (!pin->fresh)
        lock_hint(o->lock, spec->url, ref, err);
    else if (lock_remove(o->lock, spec->url, ref, &why) < 0)
        log_warning("%s", why->message);
}

static void fetch_failed(const struct source_spec *spec, const struct source_pin *pin,
                         const struct source_options *o, bool unusable, struct error **err)
{
    if (!o->lock)
        return;
    if (unusable && error_may_blame_content(*err))
        withdraw_pin(spec, pin, o, err);
    // The registry may have lost the image.
    else if (spec->kind == SOURCE_IMAGE && !o->offline && (*err)->kind != ERROR_INTERRUPT)
        lock_hint_append(o->lock, spec->url, NULL, err);
}

int source_fetch(const struct source_spec *spec, const struct source_pin *pin,
                 const struct source_options *o, const char *destination, json_t **provenance,
                 struct error **err)
{
    json_auto_t *record = json_object();
    cleanup_error struct error *discarded = NULL;
    bool unusable = false;
    if (!err)
        err = &discarded; // what failed decides what happens next
    int result = check_urls(spec, err);
    if (result == 0)
        result = source_kinds[spec->kind].fetch(spec, pin, o, destination, record, &unusable, err);
    if (result < 0)
        fetch_failed(spec, pin, o, unusable, err);
    if (result < 0 || apply_patches(&spec->patches, destination, record, err) < 0)
        return error_wrap(err, "%s", spec->label);
    if (provenance)
        *provenance = steal(record);
    return 0;
}
