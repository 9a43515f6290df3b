// SPDX-License-Identifier: Apache-2.0
// Says which libraries compress, without loading the slow one: what it said is remembered in the
// store, with the identity of its file.
#include "run/internal.h"

#include "base/library.h"
#include "pack/pack.h"

#include <string.h>

// The memo: the path of the library, its identity (library_identity(), some lines), and last the
// version.
static char *recall_version(struct build *b, const char *name)
{
    cleanup_buf struct buf memo = {0};
    char *rest = store_memo_get(b->store, name, &memo) ? memo.data : NULL;
    const char *path = rest ? strsep(&rest, "\n") : NULL;
    char *last = rest ? strrchr(rest, '\n') : NULL;
    if (!path || !last || !last[1])
        return NULL;
    cleanup_free char *version = xstrdup(last + 1), *now = library_identity(path);
    last[1] = '\0';
    return now && !strcmp(now, rest) ? steal(version) : NULL;
}

static void remember_version(struct build *b, const char *name, const char *version)
{
    const char *path = pack_codec_library();
    cleanup_free char *identity = path ? library_identity(path) : NULL;
    // Mapped under this path still: it was not replaced since it was loaded.
    if (!identity || !library_is_mapped(path))
        return;
    cleanup_free char *memo = xasprintf("%s\n%s%s", path, identity, version);
    store_memo_put(b->store, name, memo);
}

// Those that this program is linked with say their versions at once. To be freed.
static char *memo_name(void)
{
    return xasprintf("codec version, kbuild %s, liblzma %s", KBUILD_VERSION, pack_lzma_version());
}

const char *plan_codec_version(struct build *b)
{
    struct run_state *s = b->run;
    if (s->codec_version)
        return s->codec_version;
    cleanup_free char *name = memo_name();
    s->codec_version = recall_version(b, name);
    if (!s->codec_version) {
        s->codec_version = xstrdup(pack_codec_version());
        remember_version(b, name, s->codec_version);
    }
    return s->codec_version;
}

int codec_hold(struct build *b, struct error **err)
{
    const char *planned = b->run->codec_version, *loaded = pack_codec_version();
    if (!planned || !strcmp(planned, loaded))
        return 0;
    cleanup_free char *name = memo_name();
    store_memo_put(b->store, name, ""); // so that the next run asks the library
    error_user(err, "the keys were made for %s, but what is loaded is %s", planned, loaded);
    return error_hint(err, "the library was replaced meanwhile: run kbuild again");
}
