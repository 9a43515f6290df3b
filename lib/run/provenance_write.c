// SPDX-License-Identifier: Apache-2.0
// `kbuild provenance`: the documents as files.
#include "run/provenance_room.h"

#include <string.h>

typedef json_t *make_document(struct build *b, const struct node *node, struct error **err);
static const struct {
    const char *suffix;
    make_document *make;
} documents[] = {{"provenance.json", provenance_statement}, {"spdx.json", provenance_spdx}};

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

int provenance_write(struct build *b, const struct provenance_request *r,
                     void (*say)(const char *path, void *context), void *context,
                     struct error **err)
{
    struct node *node = build_add_target(b, r->target, err);
    if (!node || build_evaluate(b, false, err) < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_LEN(documents); i++) {
        bool spdx = documents[i].make == provenance_spdx;
        if (r->spdx || r->file ? spdx != r->spdx : false)
            continue;
        cleanup_free char *path =
            r->file ? xstrdup(r->file)
                    : xasprintf("%s/%s-%s", b->options.output, r->target, documents[i].suffix);
        if (write_one(b, node, documents[i].make, path, err) < 0)
            return error_wrap(err, "describing how %s was made", r->target);
        if (strcmp(path, "-") != 0)
            say(path, context);
    }
    return 0;
}
