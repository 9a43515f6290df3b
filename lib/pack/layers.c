// SPDX-License-Identifier: Apache-2.0
// Keeps the merged tree of layers: names, links and the place of each content; and tells it to a
// sink, in order.
#include "pack/internal.h"

#include "base/error.h"
#include "base/memory.h"

#include <string.h>
#include <sys/stat.h>

enum { LINKS_MAX = 40 }; // as in the kernel

static struct layer_node *node_at(const struct layers *l, const char *path)
{
    const size_t *i = map_find(&l->by_path, path);
    return i ? &l->nodes[*i] : NULL;
}

static struct layer_node *new_node(struct layers *l, const char *path)
{
    l->nodes = xgrow(l->nodes, &l->cap, l->n + 1, sizeof *l->nodes);
    map_put(&l->by_path, path, l->n);
    struct layer_node *n = &l->nodes[l->n++];
    *n = (struct layer_node){.path = xstrdup(path), .content = NO_CONTENT};
    return n;
}

static void make_directory(struct layers *l, const char *path)
{
    struct layer_node *n = new_node(l, path);
    n->mode = S_IFDIR | 0755;
    n->mtime = l->epoch;
    n->implicit = true;
}

static void layers_begin(struct layers *l, int64_t epoch)
{
    *l = (struct layers){.epoch = epoch};
    make_directory(l, "");
    l->nodes[0].implicit = false; // the root is 0755, independent of umask
}

static void drop_last(struct buf *b)
{
    const char *slash = memrchr(b->data, '/', b->len);
    b->len = slash ? (size_t)(slash - b->data) : 0;
    b->data[b->len] = '\0';
}

// The clean path of `path` in the tree with links followed (the last component only if
// follow_last). Missing directories above it are made if `make`. To be freed; NULL on error.
static char *layers_place(struct layers *l, const char *path, bool follow_last, bool make,
                          struct error **err)
{
    cleanup_buf struct buf place = {0};
    cleanup_free char *rest = xstrdup(path);
    buf_puts(&place, "");
    for (unsigned links = 0; *rest;) {
        size_t n = strcspn(rest, "/"), gap = strspn(rest + n, "/"), old = place.len;
        bool last = !rest[n + gap];
        cleanup_free char *part = xstrndup(rest, n);
        memmove(rest, rest + n + gap, strlen(rest + n + gap) + 1);
        if (!*part || !strcmp(part, "."))
            continue;
        if (!strcmp(part, "..")) {
            if (!place.len) {
                error_user(err, "it is behind a link that leads out");
                return NULL;
            }
            drop_last(&place);
            continue;
        }
        buf_printf(&place, "%s%s", old ? "/" : "", part);
        const struct layer_node *node = node_at(l, place.data);
        if (node && S_ISLNK(node->mode) && (!last || follow_last)) {
            if (++links > LINKS_MAX) {
                error_user(err, "it is behind links that go in circles");
                return NULL;
            }
            char *joined = xasprintf("%s/%s", node->link, rest);
            free(rest);
            rest = joined;
            place.len = *node->link == '/' ? 0 : old;
            place.data[place.len] = '\0';
        } else if (!last && !node && make) {
            make_directory(l, place.data);
        } else if (!last && node && !S_ISDIR(node->mode)) {
            error_user(err, "\"%s\" above it is not a directory", place.data);
            return NULL;
        }
    }
    return buf_take(&place);
}

// Follows links in every component: the node's index, or NO_CONTENT if there is nothing.
static size_t layers_find(struct layers *l, const char *path)
{
    cleanup_free char *place = layers_place(l, path, true, false, NULL);
    const size_t *i = place ? map_find(&l->by_path, place) : NULL;
    return i ? *i : NO_CONTENT;
}

static void copy_into(struct layers *l, struct layer_node *to, const struct layer_node *from)
{
    char *path = to->path;
    free(to->link);
    free(to->attributes);
    if (to->content != NO_CONTENT)
        l->contents[to->content].links--;
    *to = *from;
    to->path = path;
    to->link = from->link ? xstrdup(from->link) : NULL;
    to->attributes = from->attributes ? xstrdup(from->attributes) : NULL;
    if (to->content != NO_CONTENT)
        l->contents[to->content].links++;
}

int layers_add(struct layers *l, const char *path, const struct layer_node *n, struct error **err)
{
    bool directory = S_ISDIR(n->mode);
    cleanup_free char *place = layers_place(l, path, directory, true, err);
    if (!place)
        return -1;
    struct layer_node *there = node_at(l, place);
    bool was_directory = there && S_ISDIR(there->mode);
    if (there && was_directory != directory) {
        error_user(err, "\"%s\" is %s here and %s in an earlier layer", place,
                   directory ? "a directory" : "none", was_directory ? "a directory" : "none");
        return error_hint(err, "a root file system has to be the first layer");
    }
    if (was_directory && !there->implicit)
        return 0;
    copy_into(l, there ? there : new_node(l, place), n);
    return 0;
}

static void layers_free(struct layers *l)
{
    for (size_t i = 0; i < l->n; i++) {
        free(l->nodes[i].path);
        free(l->nodes[i].link);
        free(l->nodes[i].attributes);
    }
    for (size_t i = 0; i < l->content_n; i++)
        free(l->contents[i].node.attributes);
    free(l->nodes);
    free(l->contents);
    map_free(&l->by_path);
    *l = (struct layers){0};
}

// ---- telling the tree ----

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
