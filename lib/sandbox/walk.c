// SPDX-License-Identifier: Apache-2.0
#include "sandbox/room.h"

#include <errno.h>

int walk_tree(const char *root, walk_visit *visit, struct error **err)
{
    cleanup_free char *top = xstrdup(root);
    char *paths[] = {top, NULL};
    FTS *walk = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    if (!walk)
        return error_errno(err, errno, "reading %s", root);
    int result = 0;
    for (FTSENT *e; !result && (e = fts_read(walk));)
        if (e->fts_info == FTS_ERR || e->fts_info == FTS_DNR || e->fts_info == FTS_NS)
            result = error_errno(err, e->fts_errno, "reading %s", e->fts_path);
        else
            result = visit(e, err);
    fts_close(walk);
    return result;
}
