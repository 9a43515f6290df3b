// SPDX-License-Identifier: Apache-2.0
// Merges layers into one tree, and passes its entries one by one to a writer: a cpio (initrd.c) or
// a file system.
#include "pack/layers.h"
#include "pack/names.h"
#include "pack/pack.h"

#include "base/error.h"

#include <string.h>
#include <sys/stat.h>

#define NO_LAYER ((size_t)-1)

static const struct {
    const char *path;
    unsigned mode;
    unsigned major, minor; // Linux, Documentation/admin-guide/devices.txt
    const char *link;
} basics[] = {
    {"dev", S_IFDIR | 0755, 0, 0, NULL},      {"dev/console", S_IFCHR | 0600, 5, 1, NULL},
    {"dev/null", S_IFCHR | 0666, 1, 3, NULL}, {"proc", S_IFDIR | 0755, 0, 0, NULL},
    {"run", S_IFDIR | 0755, 0, 0, NULL},      {"sys", S_IFDIR | 0755, 0, 0, NULL},
    {"tmp", S_IFDIR | 01777, 0, 0, NULL},     {"init", S_IFLNK | 0777, 0, 0, "/sbin/init"}, // last
};

// Adds the basic nodes; the link is for kernels that look only for /init.
static int add_basics(struct layers *l, const char *init, struct error **err)
{
    size_t count = ARRAY_LEN(basics) - (strcmp(init, "init") ? 1 : 0);
    for (size_t i = 0; i < count; i++) {
        struct layer_node n = {.mode = basics[i].mode,
                               .mtime = l->epoch,
                               .major = basics[i].major,
                               .minor = basics[i].minor,
                               .link = (char *)basics[i].link,
                               .content = NO_CONTENT,
                               .layer = NO_LAYER};
        cleanup_free char *place = layers_place(l, basics[i].path, S_ISDIR(n.mode), false, err);
        if (!place)
            return error_wrap(err, "adding /%s", basics[i].path);
        if (map_find(&l->by_path, place) && !l->nodes[*map_find(&l->by_path, place)].implicit)
            continue;
        if (layers_add(l, basics[i].path, &n, err) < 0)
            return error_wrap(err, "adding /%s", basics[i].path);
    }
    return 0;
}

static int check_init(struct layers *l, const char *init, struct error **err)
{
    size_t i = layers_find(l, init);
    if (i == NO_CONTENT) {
        if (strcmp(init, "init"))
            error_user(err, "there is no /%s in it", init);
        else
            error_user(err, "there is neither an /init nor a /sbin/init in it");
        return error_hint(err,
                          "one of its layers has to bring the init, and a link has to lead to it");
    }
    if (!S_ISREG(l->nodes[i].mode) || !(l->nodes[i].mode & 0111))
        return error_user(err, "its /%s is \"%s\", which is no executable file", init,
                          l->nodes[i].path);
    return 0;
}

// ---- entries ----

struct telling {
    const struct layers *layers;
    const struct layers_options *options;
    const struct pack_sink *sink;
    // Nodes by kind, then by path: directories, the rest without content, then files, grouped by
    // content in the order of the layers.
    const struct layer_node **order;
    size_t *first_of; // for each content, where its names start in `order`
    const char **names;
    uint64_t done, total;
};

static unsigned rank(const struct layer_node *n)
{
    return S_ISDIR(n->mode) ? 0 : n->content == NO_CONTENT ? 1 : 2;
}

static int by_rank(const void *a, const void *b)
{
    const struct layer_node *x = *(struct layer_node *const *)a,
                            *y = *(struct layer_node *const *)b;
    if (rank(x) != rank(y))
        return rank(x) < rank(y) ? -1 : 1;
    if (x->content != y->content)
        return x->content < y->content ? -1 : 1;
    return strcmp(x->path, y->path);
}

static void sort_nodes(struct telling *t)
{
    const struct layers *l = t->layers;
    t->order = xcalloc(l->n, sizeof(struct layer_node *));
    t->names = xcalloc(l->n, sizeof(char *));
    t->first_of = xcalloc(l->content_n, sizeof *t->first_of);
    for (size_t i = 0; i < l->n; i++)
        t->order[i] = &l->nodes[i];
    qsort(t->order, l->n, sizeof(struct layer_node *), by_rank);
    for (size_t i = 0; i < l->n; i++)
        t->names[i] = t->order[i]->path;
    for (size_t i = l->n; i-- > 0;)
        if (t->order[i]->content != NO_CONTENT)
            t->first_of[t->order[i]->content] = i;
    for (size_t i = 0; i < l->content_n; i++)
        t->total += l->contents[i].links ? l->contents[i].size : 0;
}

static int tell(struct telling *t, const struct layer_node *n, size_t first, size_t names,
                uint64_t size, struct error **err)
{
    const struct pack_entry e = {.names = t->names + first,
                                 .name_count = names,
                                 .mode = n->mode,
                                 .mtime = n->mtime,
                                 .uid = n->uid,
                                 .gid = n->gid,
                                 .major = n->major,
                                 .minor = n->minor,
                                 .link = n->link,
                                 .size = size,
                                 .attributes = n->attributes};
    return t->sink->entry(t->sink->context, &e, err);
}

static int begin_content(void *context, size_t content, struct error **err)
{
    struct telling *t = context;
    const struct content *c = &t->layers->contents[content];
    return tell(t, &c->node, t->first_of[content], c->links, c->size, err);
}

static int add_data(void *context, const void *bytes, size_t length, struct error **err)
{
    struct telling *t = context;
    cleanup_free char *what = xasprintf("packing %s", t->options->what);
    t->done += length;
    progress(what, t->done, t->total, "bytes");
    return t->sink->data(t->sink->context, bytes, length, err);
}

static int tell_all(struct telling *t, const struct initrd_layer *layers, size_t count,
                    struct error **err)
{
    const struct layers *l = t->layers;
    for (size_t i = 0; i < l->n && rank(t->order[i]) < 2; i++)
        if (tell(t, t->order[i], i, 1, 0, err) < 0)
            return -1;
    const struct layer_sink sink = {begin_content, add_data, t};
    for (size_t i = 0; i < count; i++)
        if (layer_read_contents(l, &layers[i], i, &sink, err) < 0)
            return error_wrap(err, "layer %s", layers[i].name);
    return 0;
}

int pack_layers(const struct initrd_layer *layers, size_t count, const struct layers_options *o,
                const struct pack_sink *sink, struct error **err)
{
    WITH_UTF8_NAMES;
    struct layers tree;
    layers_begin(&tree, o->epoch);
    struct telling t = {.layers = &tree, .options = o, .sink = sink};
    int result = 0;
    for (size_t i = 0; i < count && !result; i++)
        if (layer_read_names(&tree, &layers[i], i, err) < 0)
            result = error_wrap(err, "layer %s", layers[i].name);
    if (!result && add_basics(&tree, o->init, err) == 0 && check_init(&tree, o->init, err) == 0) {
        sort_nodes(&t);
        result = tell_all(&t, layers, count, err);
    } else {
        result = -1;
    }
    free(t.order);
    free(t.names);
    free(t.first_of);
    layers_free(&tree);
    return result;
}
