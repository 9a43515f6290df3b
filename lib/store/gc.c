// SPDX-License-Identifier: Apache-2.0
// Collects garbage: removes the least recently used units until the rest fits.
//
// A unit is a record with its outputs, or a blob or tree that no record names. An object is removed
// with the last unit that refers to it. Records are removed before their outputs, and trees are
// renamed before they are emptied, so a kill leaves no record without its outputs and no partial
// tree, only objects without a record, which the next collection finds.
#include "base/error.h"
#include "store/internal.h"

#include <errno.h>
#include <string.h>
#include <sys/file.h>

struct unit {
    struct timespec used;
    const char *key; // of a record; else NULL
    size_t *objects; // indices into the inventory
    size_t n, cap;
};

struct collection {
    struct store *store;
    struct inventory all;
    struct unit *units;
    size_t n, cap;
    struct store_info gone;
};

static void refer(struct collection *c, struct unit *u, struct object *o)
{
    u->objects = xgrow(u->objects, &u->cap, u->n + 1, sizeof *u->objects);
    u->objects[u->n++] = (size_t)(o - c->all.items);
    o->references++;
}

// The listing of a tree is a part of the tree.
static struct object *find_output(const struct collection *c, enum object_kind kind,
                                  const char *digest)
{
    struct object *tree = inventory_find(&c->all, OBJECT_TREE, digest);
    return tree ? tree : inventory_find(&c->all, kind, digest);
}

struct missing {
    const struct collection *collection;
    bool any;
};

static void look_for_output(enum object_kind kind, const char *digest, void *context)
{
    struct missing *m = context;
    if (!find_output(m->collection, kind, digest))
        m->any = true;
}

struct referring {
    struct collection *collection;
    struct unit *unit;
};

static void refer_output(enum object_kind kind, const char *digest, void *context)
{
    struct referring *r = context;
    refer(r->collection, r->unit, find_output(r->collection, kind, digest));
}

static struct unit *new_unit(struct collection *c, struct timespec used)
{
    c->units = xgrow(c->units, &c->cap, c->n + 1, sizeof *c->units);
    c->units[c->n] = (struct unit){.used = used};
    return &c->units[c->n++];
}

static int add_record_unit(struct collection *c, const struct object *o, struct error **err)
{
    struct error *why = NULL;
    json_t *record = action_read(c->store, o->digest, &why);
    if (!record) { // damaged and moved away, or an error
        if (why)
            *err = why;
        return why ? -1 : 0;
    }
    struct missing m = {.collection = c};
    record_outputs(c->store, record, look_for_output, &m);
    if (m.any) { // useless; its remaining outputs become own units
        json_decref(record);
        c->gone.actions++;
        return store_action_remove(c->store, o->digest, err);
    }
    struct unit *u = new_unit(c, o->used);
    u->key = o->digest;
    struct referring r = {c, u};
    record_outputs(c->store, record, refer_output, &r);
    json_decref(record);
    return 0;
}

static int compare_units(const void *a, const void *b)
{
    const struct unit *x = a, *y = b;
    if (x->used.tv_sec != y->used.tv_sec)
        return x->used.tv_sec < y->used.tv_sec ? -1 : 1;
    return (x->used.tv_nsec > y->used.tv_nsec) - (x->used.tv_nsec < y->used.tv_nsec);
}

// Makes the units, sorted by last use, oldest first.
static int plan(struct collection *c, uint64_t *total, struct error **err)
{
    if (inventory_read(c->store, true, &c->all, err) < 0)
        return -1;
    for (size_t i = 0; i < c->all.n; i++)
        if (c->all.items[i].kind == OBJECT_ACTION && add_record_unit(c, &c->all.items[i], err) < 0)
            return -1;
    for (size_t i = 0; i < c->all.n; i++) {
        struct object *o = &c->all.items[i];
        if (o->kind == OBJECT_ACTION)
            continue;
        if (o->kind == OBJECT_BLOB && inventory_find(&c->all, OBJECT_TREE, o->digest))
            continue;
        *total += o->size;
        if (o->references == 0)
            refer(c, new_unit(c, o->used), o);
    }
    if (c->n)
        qsort(c->units, c->n, sizeof *c->units, compare_units);
    return 0;
}

static int remove_blob(struct store *s, const char *digest, struct error **err)
{
    cleanup_free char *path = object_path(s, "sha256", digest);
    verified_forget(s, digest);
    if (at_unlink(s, path) < 0 && errno != ENOENT)
        return error_errno(err, errno, "removing %s", path);
    return 0;
}

static int remove_stored_tree(struct store *s, const char *digest, struct error **err)
{
    cleanup_free char *path = object_path(s, "trees", digest);
    cleanup_free char *folder = store_temporary(s, "remove", err);
    if (!folder)
        return -1;
    cleanup_free char *away = xasprintf("%s/tree", folder);
    if (at_rename(s, path, away, true) < 0 && errno != ENOENT)
        return error_errno(err, errno, "removing %s", path);
    return at_remove(s, folder, err) < 0 ? -1 : remove_blob(s, digest, err);
}

static int drop_object(struct collection *c, struct object *o, struct error **err)
{
    if (--o->references)
        return 0;
    if (o->kind == OBJECT_TREE) {
        c->gone.trees++;
        c->gone.tree_bytes += o->size;
        return remove_stored_tree(c->store, o->digest, err);
    }
    c->gone.blobs++;
    c->gone.blob_bytes += o->size;
    return remove_blob(c->store, o->digest, err);
}

static int drop_unit(struct collection *c, struct unit *u, struct error **err)
{
    if (u->key) {
        if (store_action_remove(c->store, u->key, err) < 0)
            return -1;
        c->gone.actions++;
    }
    for (size_t i = 0; i < u->n; i++)
        if (drop_object(c, &c->all.items[u->objects[i]], err) < 0)
            return -1;
    return 0;
}

// Empties a folder of the store, which stays.
static int empty_folder(struct store *s, const char *name, uint64_t *count, struct error **err)
{
    cleanup_free char *folder = xasprintf("%s/%s", s->directory, name);
    cleanup_strlist struct strlist names = {0};
    if (!at_is_directory(s, folder))
        return 0;
    if (at_list(s, folder, &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++) {
        cleanup_free char *path = xasprintf("%s/%s", folder, names.items[i]);
        if (at_remove(s, path, err) < 0)
            return -1;
    }
    if (count)
        *count += names.n;
    return 0;
}

static int collect(struct collection *c, uint64_t max_bytes, struct error **err)
{
    uint64_t total = 0;
    if (plan(c, &total, err) < 0)
        return -1;
    for (size_t i = 0; i < c->n; i++) {
        uint64_t left = total - c->gone.blob_bytes - c->gone.tree_bytes;
        if (left <= max_bytes)
            break;
        progress("collecting garbage", total - left, total - max_bytes, "bytes");
        if (drop_unit(c, &c->units[i], err) < 0)
            return -1;
    }
    if (images_sweep(c->store, err) < 0 || logs_sweep(c->store, err) < 0 ||
        empty_folder(c->store, "damaged", &c->gone.damaged, err) < 0 ||
        empty_folder(c->store, "locks", NULL, err) < 0)
        return -1;
    session_sweep(c->store, true);
    return 0;
}

// Changes the shared lock to the exclusive one. flock() releases the first before it tries the
// second, so after a failure the shared lock is taken again.
static int lock_alone(struct store *s, struct error **err)
{
    if (session_open(s, err) < 0)
        return -1;
    if (s->lock < 0)
        return error_errno(err, s->lock_errnum, "locking %s/lock", s->directory);
    if (flock(s->lock, LOCK_EX | LOCK_NB) == 0)
        return 0;
    int errnum = errno;
    while (flock(s->lock, LOCK_SH) < 0 && errno == EINTR)
        ;
    if (errnum != EWOULDBLOCK)
        return error_errno(err, errnum, "locking %s/lock", s->directory);
    error_user(err, "another process uses it");
    return error_hint(err, "wait until the other kbuild has ended, and try again");
}

int store_gc(struct store *s, uint64_t max_bytes, struct store_info *removed, struct error **err)
{
    if (lock_alone(s, err) < 0)
        return error_wrap(err, "collecting garbage in the cache %s", s->directory);
    struct collection c = {.store = s};
    struct error *why = NULL; // so that `err` may be NULL
    int result = collect(&c, max_bytes, &why);
    while (flock(s->lock, LOCK_SH) < 0 && errno == EINTR)
        ;
    for (size_t i = 0; i < c.n; i++)
        free(c.units[i].objects);
    free(c.units);
    inventory_free(&c.all);
    if (removed)
        *removed = c.gone;
    if (result < 0) {
        error_wrap(&why, "collecting garbage in the cache %s", s->directory);
        if (err)
            *err = why;
        else
            error_free(why);
    }
    return result;
}
