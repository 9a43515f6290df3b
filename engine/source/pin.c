// SPDX-License-Identifier: Apache-2.0
// What identifies a source: its pin, the lines of a key that are made of it, and the time of its
// tree.
#include "base/digest.h"
#include "base/error.h"
#include "source/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

void pin_new_digest(const struct source_spec *spec, const struct source_options *o,
                    const char *sha256, struct source_pin *out)
{
    out->sha256 = xstrdup(sha256);
    out->fresh = true;
    if (o->lock)
        lock_put(o->lock, &(struct lock_entry){.url = spec->url, .sha256 = (char *)sha256});
}

void source_pin_free(struct source_pin *p)
{
    free(p->commit);
    free(p->tree);
    free(p->sha256);
    *p = (struct source_pin){0};
}

int set_folder_time(const char *folder, int64_t when, struct error **err)
{
    const struct timespec times[2] = {{.tv_sec = when}, {.tv_sec = when}};
    if (utimensat(AT_FDCWD, folder, times, 0) < 0)
        return error_errno(err, errno, "setting the time of %s", folder);
    return 0;
}

int source_key_text(const struct source_spec *spec, const struct source_pin *pin, struct buf *out,
                    struct error **err)
{
    switch (spec->kind) {
    case SOURCE_GIT: // the commit, not only the tree: its time is the step's SOURCE_DATE_EPOCH
        buf_printf(out, "git-commit %s\ngit-submodules %s\n", pin->commit,
                   submodules_words[spec->submodules]);
        break;
    case SOURCE_ARCHIVE:
        buf_printf(out, "archive-sha256 %s\n", pin->sha256);
        break;
    case SOURCE_DEBIAN:
        buf_printf(out, "debian-packages sha256:%s\n", pin->sha256);
        if (spec->debian->file)
            buf_printf(out, "debian-file %s\n", spec->debian->file);
        break;
    case SOURCE_IMAGE:
        buf_printf(out, "image-manifest sha256:%s\n", pin->sha256);
        break;
    case SOURCE_LOCAL:
        buf_printf(out, "local-tree %s\nlocal-time %" PRId64 "\n", pin->sha256, pin->time);
        break;
    }
    for (size_t i = 0; i < spec->patches.n; i++) {
        char digest[DIGEST_HEX_SIZE];
        if (digest_file(spec->patches.items[i], digest, NULL, err) < 0)
            return error_wrap(err, "%s", spec->label);
        buf_printf(out, "patch %s\n", digest);
    }
    return 0;
}
