// SPDX-License-Identifier: Apache-2.0
// A source's lines in a key: what it is by content, not where it comes from, so that a mirror or an
// insteadOf changes nothing.
#include "base/digest.h"
#include "source/room.h"

static int debian_key(const struct debian_source *s, struct buf *out, struct error **err)
{
    struct distribution host;
    if (distribution_host(&host, err) < 0)
        return -1;
    buf_printf(out, "debian %s %s\n", host.id, host.codename);
    distribution_free(&host);
    if (s->source) {
        buf_printf(out, "debian-source %s\n", s->source);
        return 0;
    }
    cleanup_free char *names = strlist_join(&s->packages, " ");
    buf_printf(out, "debian-packages %s\n", names);
    if (s->file)
        buf_printf(out, "debian-file %s\n", s->file);
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
        if (debian_key(spec->debian, out, err) < 0)
            return error_wrap(err, "%s", spec->label);
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
