// SPDX-License-Identifier: Apache-2.0
// Packs layers: reads them twice, first the names, then the contents that are kept; and gives the
// merged tree to a sink, in order.
#include "pack/internal.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <string.h>
#include <sys/stat.h>

enum { CHUNK = 1 << 18 };

// Gets the kept contents of a layer.
struct layer_sink {
    int (*begin)(void *context, size_t content, struct error **err);
    int (*data)(void *context, const void *bytes, size_t length, struct error **err);
    void *context;
};

// A path is left out if a glob matches it or a directory above it.
static bool excluded(const struct initrd_layer *layer, const char *path)
{
    if (!layer->exclude || !layer->exclude->n || !*path)
        return false;
    cleanup_free char *part = xstrdup(path);
    for (size_t i = 0; i < layer->exclude->n; i++) {
        size_t n = strlen(path);
        for (;;) {
            memcpy(part, path, n);
            part[n] = '\0';
            if (!fnmatch(layer->exclude->items[i], part, 0))
                return true;
            const char *slash = memrchr(path, '/', n);
            if (!slash)
                break;
            n = (size_t)(slash - path);
        }
    }
    return false;
}

static size_t add_content(struct layers *l, size_t layer, size_t member, uint64_t size,
                          const struct layer_node *n)
{
    l->contents = xgrow(l->contents, &l->content_cap, l->content_n + 1, sizeof *l->contents);
    l->contents[l->content_n] =
        (struct content){.layer = layer, .member = member, .size = size, .node = *n};
    struct layer_node *own = &l->contents[l->content_n].node;
    own->content = l->content_n;
    own->path = own->link = NULL;
    own->attributes = n->attributes ? xstrdup(n->attributes) : NULL;
    return l->content_n++;
}

// ---- archives ----

static const char *unwanted_kind(const struct initrd_layer *layer, unsigned mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG:
    case S_IFDIR:
    case S_IFLNK:
        return NULL;
    case S_IFCHR:
    case S_IFBLK:
        return layer->keep_nodes ? NULL : "a device node";
    case S_IFIFO:
        return layer->keep_nodes ? NULL : "a fifo";
    default:
        return "neither file, directory nor link";
    }
}

// The nodes of one layer, by clean path in the layer: a hard link may refer to an excluded name.
// The value indexes `nodes`.
struct names {
    struct map by_path;
    struct layer_node *nodes; // link is owned
    size_t n, cap;
};

static void names_free(struct names *names)
{
    for (size_t i = 0; i < names->n; i++)
        free(names->nodes[i].link);
    free(names->nodes);
    map_free(&names->by_path);
}

static int hard_link_node(const struct names *names, const struct reader_member *m,
                          struct layer_node *n, struct error **err)
{
    const size_t *i = map_find(&names->by_path, m->link);
    if (!i || *i >= names->n || S_ISDIR(names->nodes[*i].mode))
        return error_user(err, "it is a hard link to no file that came before it");
    if (m->size)
        return error_user(err, "it is a hard link with content, which only a cpio has");
    *n = names->nodes[*i];
    return 0;
}

static int member_node(struct layers *l, const struct initrd_layer *layer, size_t number,
                       size_t member, const struct reader_member *m, struct layer_node *n,
                       struct error **err)
{
    const char *unwanted = unwanted_kind(layer, m->mode);
    if (unwanted)
        return error_user(err, "it is %s", unwanted);
    if (S_ISREG(m->mode) && !m->size_known)
        return error_user(err, "its size is not known beforehand");
    // Only a root file system keeps owners; in other layers they are those of the builder.
    *n = (struct layer_node){.mode = S_ISLNK(m->mode) ? S_IFLNK | 0777 : m->mode,
                             .mtime = clamp_time(m->mtime, l->epoch),
                             .uid = layer->keep_nodes ? m->uid : 0,
                             .gid = layer->keep_nodes ? m->gid : 0,
                             .major = m->major,
                             .minor = m->minor,
                             .link = (char *)m->link,
                             .attributes = (char *)m->attributes,
                             .content = NO_CONTENT,
                             .layer = number};
    if (S_ISREG(m->mode))
        n->content = add_content(l, number, member, m->size, n);
    return 0;
}

static int add_member(struct layers *l, struct names *names, const struct initrd_layer *layer,
                      size_t number, size_t member, const struct reader_member *m,
                      struct error **err)
{
    struct layer_node n = {0};
    bool out = excluded(layer, m->path);
    if (out && !S_ISREG(m->mode) && !S_ISLNK(m->mode))
        return 0;
    int result = m->hardlink ? hard_link_node(names, m, &n, err)
                             : member_node(l, layer, number, member, m, &n, err);
    if (result < 0)
        return result;
    if (!m->hardlink) {
        names->nodes = xgrow(names->nodes, &names->cap, names->n + 1, sizeof *names->nodes);
        names->nodes[names->n] = n;
        names->nodes[names->n].link = n.link ? xstrdup(n.link) : NULL;
        names->nodes[names->n].attributes = NULL; // of a file: kept in its content
        map_put(&names->by_path, m->path, names->n++);
    }
    return out ? 0 : layers_add(l, m->path, &n, err);
}

static int open_archive(const struct initrd_layer *layer, struct reader **r, struct error **err)
{
    int fd = open(layer->archive, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, errno, "opening %s", layer->archive);
    *r = reader_open(fd, layer->archive, 0, err);
    if (*r)
        return fd;
    close(fd);
    return -1;
}

static int read_archive_names(struct layers *l, const struct initrd_layer *layer, size_t number,
                              struct error **err)
{
    struct reader *opened = NULL;
    cleanup_close int fd = open_archive(layer, &opened, err);
    if (fd < 0)
        return -1;
    cleanup_reader struct reader *r = opened;
    struct names names = {0};
    struct reader_member m;
    int result;
    for (size_t member = 0; (result = reader_next(r, &m, err)) > 0; member++) {
        if (add_member(l, &names, layer, number, member, &m, err) < 0) {
            result = reader_wrap(r, err);
            break;
        }
        reader_progress(r, "reading layers");
    }
    names_free(&names);
    return result;
}

// The first kept content of this layer, from index `i` on.
static size_t next_kept(const struct layers *l, size_t i, size_t layer)
{
    while (i < l->content_n && (l->contents[i].layer < layer ||
                                (l->contents[i].layer == layer && !l->contents[i].links)))
        i++;
    return i < l->content_n && l->contents[i].layer == layer ? i : NO_CONTENT;
}

static int read_archive_contents(const struct layers *l, const struct initrd_layer *layer,
                                 size_t number, const struct layer_sink *sink, struct error **err)
{
    struct reader *opened = NULL;
    size_t wanted = next_kept(l, 0, number);
    if (wanted == NO_CONTENT)
        return 0;
    cleanup_close int fd = open_archive(layer, &opened, err);
    if (fd < 0)
        return -1;
    cleanup_reader struct reader *r = opened;
    struct reader_member m;
    for (size_t member = 0; wanted != NO_CONTENT; member++) {
        int n = reader_next(r, &m, err);
        if (n < 0)
            return n;
        const struct content *c = &l->contents[wanted];
        if (n == 0 || (member == c->member && (!S_ISREG(m.mode) || m.size != c->size)))
            return error_user(err, "%s changed while it was being read", layer->name);
        if (member != c->member)
            continue;
        if (sink->begin(sink->context, wanted, err) < 0 ||
            reader_content(r, sink->data, sink->context, err) < 0)
            return reader_wrap(r, err);
        wanted = next_kept(l, wanted + 1, number);
    }
    return 0;
}

// ---- folders ----

static int read_folder_names(struct layers *l, const struct initrd_layer *layer, size_t number,
                             struct error **err)
{
    cleanup_scan struct scan scan = SCAN_NONE;
    if (scan_folder(layer->folder, &scan, err) < 0)
        return -1;
    cleanup_free size_t *contents = xcalloc(scan.n, sizeof *contents);
    for (size_t i = 0; i < scan.n; i++) {
        const struct scan_entry *e = &scan.entries[i];
        struct layer_node n = {.mode = normal_mode(e->mode),
                               .mtime = clamp_time(e->mtime, l->epoch),
                               .link = e->link,
                               .content = NO_CONTENT,
                               .layer = number};
        if (S_ISREG(e->mode))
            n.content = contents[i] =
                e->first == i ? add_content(l, number, i, e->size, &n) : contents[e->first];
        if (!excluded(layer, e->path) && layers_add(l, e->path, &n, err) < 0)
            return error_wrap(err, "%s", e->path);
    }
    return 0;
}

static int copy_file(const struct scan *scan, const struct scan_entry *e, uint64_t size,
                     const struct layer_sink *sink, struct error **err)
{
    cleanup_close int fd = scan_open(scan, e, err);
    cleanup_free char *chunk = xmalloc(CHUNK);
    while (fd >= 0) {
        ssize_t n = fd_read(fd, chunk, CHUNK);
        if (n < 0)
            return error_errno(err, errno, "reading it");
        if ((uint64_t)n > size || (n == 0 && size))
            return error_user(err, "it changed while it was being read");
        if (n == 0)
            return 0;
        if (sink->data(sink->context, chunk, (size_t)n, err) < 0)
            return -1;
        size -= (uint64_t)n;
    }
    return -1;
}

static int read_folder_contents(const struct layers *l, const struct initrd_layer *layer,
                                size_t number, const struct layer_sink *sink, struct error **err)
{
    cleanup_scan struct scan scan = SCAN_NONE;
    if (scan_folder(layer->folder, &scan, err) < 0)
        return -1;
    for (size_t i = next_kept(l, 0, number); i != NO_CONTENT; i = next_kept(l, i + 1, number)) {
        const struct content *c = &l->contents[i];
        if (c->member >= scan.n || scan.entries[c->member].size != c->size)
            return error_user(err, "it changed while it was being read");
        if (sink->begin(sink->context, i, err) < 0 ||
            copy_file(&scan, &scan.entries[c->member], c->size, sink, err) < 0)
            return error_wrap(err, "%s", scan.entries[c->member].path);
    }
    return 0;
}

// First pass: adds everything in layer number `number` to the tree.
static int layer_read_names(struct layers *l, const struct initrd_layer *layer, size_t number,
                            struct error **err)
{
    return layer->folder ? read_folder_names(l, layer, number, err)
                         : read_archive_names(l, layer, number, err);
}

// Second pass: calls begin for each kept content of the layer, in order, then data for its bytes.
static int layer_read_contents(const struct layers *l, const struct initrd_layer *layer,
                               size_t number, const struct layer_sink *sink, struct error **err)
{
    return layer->folder ? read_folder_contents(l, layer, number, sink, err)
                         : read_archive_contents(l, layer, number, sink, err);
}

// ---- the merged tree, in order ----

struct layers_output {
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

static void sort_nodes(struct layers_output *t)
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

static int emit_node(struct layers_output *t, const struct layer_node *n, size_t first,
                     size_t names, uint64_t size, struct error **err)
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
    struct layers_output *t = context;
    const struct content *c = &t->layers->contents[content];
    return emit_node(t, &c->node, t->first_of[content], c->links, c->size, err);
}

static int add_data(void *context, const void *bytes, size_t length, struct error **err)
{
    struct layers_output *t = context;
    cleanup_free char *what = xasprintf("packing %s", t->options->what);
    t->done += length;
    progress(what, t->done, t->total, "bytes");
    return t->sink->data(t->sink->context, bytes, length, err);
}

static int emit_all(struct layers_output *t, const struct initrd_layer *layers, size_t count,
                    struct error **err)
{
    const struct layers *l = t->layers;
    for (size_t i = 0; i < l->n && rank(t->order[i]) < 2; i++)
        if (emit_node(t, t->order[i], i, 1, 0, err) < 0)
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
    struct layers_output t = {.layers = &tree, .options = o, .sink = sink};
    int result = 0;
    for (size_t i = 0; i < count && !result; i++)
        if (layer_read_names(&tree, &layers[i], i, err) < 0)
            result = error_wrap(err, "layer %s", layers[i].name);
    if (!result && layers_complete(&tree, o->init, err) == 0) {
        sort_nodes(&t);
        result = emit_all(&t, layers, count, err);
    } else {
        result = -1;
    }
    free(t.order);
    free(t.names);
    free(t.first_of);
    layers_free(&tree);
    return result;
}
