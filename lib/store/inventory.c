// SPDX-License-Identifier: Apache-2.0
// Lists the objects in the store.
#include "store/internal.h"
#include "store/tree.h"

#include <errno.h>
#include <string.h>

const char *const object_folder[] = {"sha256", "trees", "actions"};

static int compare_objects(const void *a, const void *b)
{
    const struct object *x = a, *y = b;
    return x->kind != y->kind ? (int)x->kind - (int)y->kind : strcmp(x->digest, y->digest);
}

static int tree_size(struct store *s, const char *digest, uint64_t *size, struct error **err)
{
    cleanup_buf struct buf listing = {0};
    int has = store_tree_listing(s, digest, &listing, err);
    return has <= 0 ? has : tree_bytes(listing.data, listing.len, size, err);
}

static int add(struct store *s, struct inventory *v, enum object_kind kind, const char *path,
               const char *digest, struct error **err)
{
    struct stat st;
    if (at_stat(s, path, &st) < 0) // removed since
        return errno == ENOENT ? 0 : error_errno(err, errno, "reading %s", path);
    struct object o = {.kind = kind, .used = st.st_mtim};
    memcpy(o.digest, digest, DIGEST_HEX_SIZE);
    if (kind == OBJECT_BLOB)
        o.size = (uint64_t)st.st_size;
    if (kind != OBJECT_ACTION) {
        // The mtime of a blob is when it was stored; of a tree, when its root was made.
        struct timespec used = verified_last_use(s, digest);
        if (used.tv_sec)
            o.used = used;
    }
    v->items = xgrow(v->items, &v->cap, v->n + 1, sizeof *v->items);
    v->items[v->n++] = o;
    return 0;
}

static int read_fan_out(struct store *s, struct inventory *v, enum object_kind kind,
                        const char *folder, struct error **err)
{
    cleanup_strlist struct strlist names = {0};
    if (at_list(s, folder, &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++) {
        cleanup_free char *path = xasprintf("%s/%s", folder, names.items[i]);
        cleanup_free char *digest = xasprintf("%s%s", path_base(folder), names.items[i]);
        if (!digest_is_hex(digest))
            strlist_add(&v->strays, path);
        else if (add(s, v, kind, path, digest, err) < 0)
            return -1;
    }
    return 0;
}

static int read_kind(struct store *s, struct inventory *v, enum object_kind kind,
                     struct error **err)
{
    cleanup_free char *folder = xasprintf("%s/%s", s->directory, object_folder[kind]);
    cleanup_strlist struct strlist names = {0};
    if (!at_is_directory(s, folder))
        return 0;
    if (at_list(s, folder, &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++) {
        cleanup_free char *path = xasprintf("%s/%s", folder, names.items[i]);
        if (strlen(names.items[i]) != 2 || !at_is_directory(s, path))
            strlist_add(&v->strays, path);
        else if (read_fan_out(s, v, kind, path, err) < 0)
            return -1;
    }
    return 0;
}

int inventory_read(struct store *s, bool sizes, struct inventory *out, struct error **err)
{
    for (enum object_kind kind = OBJECT_BLOB; kind <= OBJECT_ACTION; kind++)
        if (read_kind(s, out, kind, err) < 0)
            return error_wrap(err, "looking through the cache %s", s->directory);
    if (out->n)
        qsort(out->items, out->n, sizeof *out->items, compare_objects);
    for (size_t i = 0; i < out->n && sizes; i++)
        if (out->items[i].kind == OBJECT_TREE &&
            tree_size(s, out->items[i].digest, &out->items[i].size, err) < 0)
            return error_wrap(err, "looking through the cache %s", s->directory);
    return 0;
}

struct object *inventory_find(const struct inventory *v, enum object_kind kind, const char *digest)
{
    struct object wanted = {.kind = kind};
    memcpy(wanted.digest, digest, DIGEST_HEX_SIZE);
    return v->n ? bsearch(&wanted, v->items, v->n, sizeof wanted, compare_objects) : NULL;
}

void inventory_free(struct inventory *v)
{
    free(v->items);
    strlist_free(&v->strays);
    *v = (struct inventory){0};
}

int store_info(struct store *s, struct store_info *out, struct error **err)
{
    cleanup_inventory struct inventory v = {0};
    *out = (struct store_info){0};
    if (inventory_read(s, true, &v, err) < 0)
        return -1;
    for (size_t i = 0; i < v.n; i++) {
        const struct object *o = &v.items[i];
        if (o->kind == OBJECT_ACTION) {
            out->actions++;
        } else if (o->kind == OBJECT_TREE) {
            out->trees++;
            out->tree_bytes += o->size;
        } else if (!inventory_find(&v, OBJECT_TREE, o->digest)) {
            out->blobs++;
            out->blob_bytes += o->size;
        }
    }
    cleanup_free char *damaged = xasprintf("%s/damaged", s->directory);
    cleanup_strlist struct strlist names = {0};
    if (at_is_directory(s, damaged) && at_list(s, damaged, &names, err) < 0)
        return -1;
    out->damaged = names.n;
    return 0;
}
