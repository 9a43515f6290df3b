// SPDX-License-Identifier: Apache-2.0
// versions.yaml from anyone: parse, print, parse again, and look things up. What is printed must
// read back as the same tree, and its printed form must not change any more.
// Seeds: tests/fuzz/seeds/yaml/.
#include "recipe/recipe.h"
#include "recipe/versions.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

// Aliases are shared nodes on one side and copies on the other; the limits keep that small enough.
static void require_same(const struct yaml *a, const struct yaml *b)
{
    require(a->kind == b->kind && a->n == b->n && yaml_is_null(a) == yaml_is_null(b));
    if (a->kind == YAML_SCALAR)
        require(!strcmp(a->text, b->text));
    for (size_t i = 0; i < a->n; i++) {
        if (a->kind == YAML_MAP)
            require(!strcmp(a->keys[i], b->keys[i]));
        require_same(a->items[i], b->items[i]);
    }
}

static void round_trip(const struct yaml_document *d)
{
    cleanup_buf struct buf once = {0}, twice = {0};
    cleanup_error struct error *err = NULL;
    yaml_print(d->root, &once);
    struct yaml_document *again = yaml_parse("printed", once.data, once.len, &err);
    // Written out, many aliases can be more than one document may hold.
    if (!again && (strstr(err->message, "limit") || strstr(err->message, "more than")))
        return;
    require(again != NULL);
    require_same(d->root, again->root);
    yaml_print(again->root, &twice);
    require(once.len == twice.len && !memcmp(once.data, twice.data, once.len));
    yaml_document_free(again);
}

// Every text of the document is tried as a path and as a template over every small map.
static void look_up(struct versions *v, const struct yaml *node, unsigned *budget)
{
    if (!*budget || !--*budget)
        return;
    if (node->kind == YAML_SCALAR) {
        cleanup_error struct error *path = NULL, *template = NULL;
        versions_text(v, node->text, &path);
        free(versions_expand(v, v->document->root, node->text, NULL, &template));
        return;
    }
    struct error *err = NULL;
    debian_source_free(debian_source_parse(v->document, node, &err));
    error_free(err);
    for (size_t i = 0; i < node->n; i++)
        look_up(v, node->items[i], budget);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error *err = NULL;
    struct yaml_document *d = yaml_parse("fuzz", (const char *)data, size, &err);
    require(!d == !!err);
    error_free(err);
    if (!d)
        return 0;
    if (d->root->kind != YAML_SCALAR)
        round_trip(d);
    struct versions v = {.path = d->file, .document = d};
    unsigned budget = 200;
    if (d->root->kind == YAML_MAP)
        look_up(&v, d->root, &budget);
    yaml_document_free(d);
    return 0;
}
