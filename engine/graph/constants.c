// SPDX-License-Identifier: Apache-2.0
// A recipe's `environment`: constants of the step, with what versions.yaml says filled in.
#include "graph/job.h"

#include <string.h>

int constants_resolve(struct job *job, const struct versions *v, struct error **err)
{
    const struct recipe *r = job->recipe;
    for (size_t i = 0; i < r->environment.n; i++) {
        cleanup_free char *text = arch_expand(r->environment.items[i], job->target);
        cleanup_free char *constant = versions_expand(v, v->document->root, text, err);
        if (!constant)
            return error_wrap(err, "%s: environment", r->file);
        strlist_add(&job->constants, constant);
    }
    return 0;
}

// What a recipe says is in the key as it is written; a value of versions.yaml comes to that.
void constants_key(const struct job *job, struct buf *out)
{
    for (size_t i = 0; i < job->constants.n; i++) {
        const char *constant = job->constants.items[i];
        if (!strcmp(constant, job->recipe->environment.items[i]))
            continue;
        int name = (int)strcspn(constant, "=");
        char digest[DIGEST_HEX_SIZE];
        digest_bytes(constant, strlen(constant), digest);
        buf_printf(out, "constant %.*s %s\n", name, constant, digest);
    }
}
