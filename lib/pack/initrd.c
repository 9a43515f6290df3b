// SPDX-License-Identifier: Apache-2.0
#include "pack/cpio_out.h"
#include "pack/layer_read.h"
#include "pack/layers.h"
#include "pack/names.h"
#include "pack/pack.h"

#include "base/log.h"

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
    {"tmp", S_IFDIR | 01777, 0, 0, NULL},     {"init", S_IFLNK | 0777, 0, 0, "/sbin/init"},
};

static int add_basics(struct layers *l, struct error **err)
{
    for (size_t i = 0; i < ARRAY_LEN(basics); i++) {
        struct node n = {.mode = basics[i].mode,
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

static int check_init(struct layers *l, struct error **err)
{
    size_t i = layers_find(l, "init");
    if (i == NO_CONTENT) {
        error_user(err, "there is neither an /init nor a /sbin/init in it");
        return error_hint(err,
                          "one of its layers has to bring the init, and a link has to lead to it");
    }
    if (!S_ISREG(l->nodes[i].mode) || !(l->nodes[i].mode & 0111))
        return error_user(err, "its /init is \"%s\", which is no executable file",
                          l->nodes[i].path);
    return 0;
}

// ---- writing ----

struct writing {
    const struct layers *layers;
    struct cpio_out *out;
    // Nodes by kind, then by path: directories, the rest without content, then files, grouped by
    // content in the order of the layers.
    const struct node **order;
    size_t *first_of; // for each content, where its names start in `order`
    uint64_t done, total;
};

static unsigned rank(const struct node *n)
{
    return S_ISDIR(n->mode) ? 0 : n->content == NO_CONTENT ? 1 : 2;
}

static int by_rank(const void *a, const void *b)
{
    const struct node *x = *(struct node *const *)a, *y = *(struct node *const *)b;
    if (rank(x) != rank(y))
        return rank(x) < rank(y) ? -1 : 1;
    if (x->content != y->content)
        return x->content < y->content ? -1 : 1;
    return strcmp(x->path, y->path);
}

static void sort_nodes(struct writing *w)
{
    const struct layers *l = w->layers;
    w->order = xcalloc(l->n, sizeof(struct node *));
    w->first_of = xcalloc(l->content_n, sizeof *w->first_of);
    for (size_t i = 0; i < l->n; i++)
        w->order[i] = &l->nodes[i];
    qsort(w->order, l->n, sizeof(struct node *), by_rank);
    for (size_t i = l->n; i-- > 0;)
        if (w->order[i]->content != NO_CONTENT)
            w->first_of[w->order[i]->content] = i;
    for (size_t i = 0; i < l->content_n; i++)
        w->total += l->contents[i].links ? l->contents[i].size : 0;
}

// All names of a file; the last one takes the content (both the kernel and cpio expect it there).
static int begin_content(void *context, size_t content, struct error **err)
{
    struct writing *w = context;
    const struct content *c = &w->layers->contents[content];
    for (size_t i = 0; i < c->links; i++) {
        const struct node *n = w->order[w->first_of[content] + i];
        bool last = i + 1 == c->links;
        if (cpio_out_entry(w->out, n->path, &c->node, last ? c->size : 0, c->links, i > 0, err) < 0)
            return -1;
    }
    return 0;
}

static int add_data(void *context, const void *bytes, size_t length, struct error **err)
{
    struct writing *w = context;
    w->done += length;
    progress("packing the initrd", w->done, w->total, "bytes");
    return cpio_out_data(w->out, bytes, length, err);
}

static int write_all(struct writing *w, const struct initrd_layer *layers, size_t count,
                     struct error **err)
{
    const struct layers *l = w->layers;
    for (size_t i = 0; i < l->n && rank(w->order[i]) < 2; i++)
        if (cpio_out_entry(w->out, w->order[i]->path, w->order[i], 0, 1, false, err) < 0)
            return error_wrap(err, "%s", w->order[i]->path);
    const struct layer_sink sink = {begin_content, add_data, w};
    for (size_t i = 0; i < count; i++)
        if (layer_read_contents(l, &layers[i], i, &sink, err) < 0)
            return error_wrap(err, "layer %s", layers[i].name);
    return cpio_out_finish(w->out, err);
}

int pack_initrd(const struct initrd_layer *layers, size_t count, int fd,
                const struct initrd_options *o, struct error **err)
{
    WITH_UTF8_NAMES;
    struct layers tree;
    layers_begin(&tree, o->epoch);
    struct writing w = {.layers = &tree};
    int result = 0;
    for (size_t i = 0; i < count && !result; i++)
        if (layer_read_names(&tree, &layers[i], i, err) < 0)
            result = error_wrap(err, "layer %s", layers[i].name);
    if (!result && add_basics(&tree, err) == 0 && check_init(&tree, err) == 0) {
        sort_nodes(&w);
        cleanup_cpio_out struct cpio_out *out = w.out = cpio_out_open(fd, o->compress, err);
        result = out ? write_all(&w, layers, count, err) : -1;
    } else {
        result = -1;
    }
    free(w.order);
    free(w.first_of);
    layers_free(&tree);
    return result < 0 ? error_wrap(err, "packing the initrd") : 0;
}
