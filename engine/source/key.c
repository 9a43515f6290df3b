// SPDX-License-Identifier: Apache-2.0
// Writes a source's lines of a key: its content and not its origin, so that a mirror or an
// insteadOf has no effect.
#include "base/digest.h"
#include "source/internal.h"

#include <inttypes.h>

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
