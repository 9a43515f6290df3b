// SPDX-License-Identifier: Apache-2.0
// Implements `kbuild provenance`: writes the documents to files.
#include "prove/documents.h"

#include "base/file.h"
#include "graph/job.h"
#include "provenance/provenance.h"
#include "run/run.h"

#include <string.h>

typedef json_t *make_document(struct build *b, const struct node *node, struct error **err);
static const struct {
    const char *suffix;
    make_document *make;
} documents[] = {{PROVENANCE_FILE, provenance_statement}, {SPDX_FILE, provenance_spdx}};

static int write_one(struct build *b, const struct node *node, make_document *make,
                     const char *path, struct error **err)
{
    json_t *value = make(b, node, err);
    if (!value)
        return -1;
    cleanup_free char *text = provenance_text(value);
    json_decref(value);
    if (!strcmp(path, "-"))
        return fd_write_all(STDOUT_FILENO, "standard output", text, strlen(text), err);
    if (make_parent(path, err) < 0)
        return -1;
    return file_write(path, text, strlen(text), 0644, err);
}

static int write_documents(struct build *b, const struct node *node,
                           const struct provenance_request *r, provenance_say *say, void *context,
                           struct error **err)
{
    const char *target = job_of(node)->recipe->name;
    for (size_t i = 0; i < ARRAY_LEN(documents); i++) {
        bool spdx = documents[i].make == provenance_spdx;
        if (r->spdx || r->file ? spdx != r->spdx : false)
            continue;
        cleanup_free char *path =
            r->file ? xstrdup(r->file)
                    : xasprintf("%s/%s-%s", b->options.output, target, documents[i].suffix);
        if (write_one(b, node, documents[i].make, path, err) < 0)
            return error_wrap(err, "describing how %s was made", target);
        if (strcmp(path, "-") != 0)
            say(path, context);
    }
    return 0;
}

int provenance_write(struct build *b, const struct provenance_request *r, provenance_say *say,
                     void *context, struct error **err)
{
    struct targets targets = {0};
    int result = build_add_targets(b, r->target, &targets, err);
    if (!result)
        result = build_evaluate(b, false, err);
    if (!result && r->file && targets.n > 1) {
        result = error_set(err, ERROR_USAGE, "%s is a group of %zu targets, and -o names one file",
                           r->target, targets.n);
        error_hint(err, "without -o each gets its own files in %s", b->options.output);
    }
    for (size_t i = 0; i < targets.n && !result; i++)
        result = write_documents(b, targets.nodes[i], r, say, context, err);
    free(targets.nodes);
    return result;
}
