// SPDX-License-Identifier: Apache-2.0
// Reads the map that names the distribution package of a source.
#include "recipe/reader.h"

static const struct field fields[] = {
    {"packages", read_packages, offsetof(struct debian_source, packages), ANYWHERE, 0},
    {"file", read_path, offsetof(struct debian_source, file), ANYWHERE, 0},
    {"source", read_package, offsetof(struct debian_source, source), ANYWHERE, 0},
};
static const struct schema schema = SCHEMA("a debian source", fields);

void debian_source_free(struct debian_source *s)
{
    if (!s)
        return;
    strlist_free(&s->packages);
    free(s->file);
    free(s->source);
    free(s);
}

int read_debian(struct recipe_reader *r, const struct yaml *node, void *target)
{
    struct debian_source *s = *(struct debian_source **)target = xcalloc(1, sizeof *s);
    if (read_map(r, node, &schema, 1, s) < 0)
        return -1;
    if (!s->packages.n == !s->source)
        return yaml_error(r->document, node, r->err,
                          "a debian source has either 'packages' or 'source'");
    if (s->file && s->source)
        return yaml_error(r->document, yaml_get(node, "file"), r->err,
                          "'file' goes with 'packages'; a source package is taken as a whole");
    return 0;
}

struct debian_source *debian_source_parse(const struct yaml_document *d, const struct yaml *node,
                                          struct error **err)
{
    struct recipe_reader r = {.document = d, .err = err, .key = NULL};
    struct debian_source *s = NULL;
    if (read_debian(&r, node, &s) == 0)
        return s;
    debian_source_free(s);
    return NULL;
}
