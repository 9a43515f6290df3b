// SPDX-License-Identifier: Apache-2.0
// Keeps the merged tree of layers: names, links and the place of each content.
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

void layers_begin(struct layers *l, int64_t epoch)
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

void layers_free(struct layers *l)
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

// ---- what every initrd has ----

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

int layers_complete(struct layers *l, const char *init, struct error **err)
{
    return add_basics(l, init, err) < 0 ? -1 : check_init(l, init, err);
}
