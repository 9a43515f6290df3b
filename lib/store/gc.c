// SPDX-License-Identifier: Apache-2.0
// Looks at everything in the store: what is there, what nothing needs any more, what is damaged.
#include "store/internal.h"

#include "base/error.h"

#include <errno.h>
#include <string.h>
#include <sys/file.h>

// ---- what is there ----
// Lists the objects in the store.

struct object {
    enum object_kind kind;
    char digest[DIGEST_HEX_SIZE];
    uint64_t size;        // 0 for records; trees: sum of the files, listing not counted
    struct timespec used; // last use
    unsigned references;  // for gc
};
struct inventory {
    struct object *items; // sorted by kind and digest
    size_t n, cap;
    struct strlist strays; // paths in the store that are no object
};
#define cleanup_inventory __attribute__((cleanup(inventory_free)))

static const char *const object_folder[] = {"sha256", "trees", "actions"};

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

// With `sizes`, the listings of trees are read for their sizes; else those are 0.
static int inventory_read(struct store *s, bool sizes, struct inventory *out, struct error **err)
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

static struct object *inventory_find(const struct inventory *v, enum object_kind kind,
                                     const char *digest)
{
    struct object wanted = {.kind = kind};
    memcpy(wanted.digest, digest, DIGEST_HEX_SIZE);
    return v->n ? bsearch(&wanted, v->items, v->n, sizeof wanted, compare_objects) : NULL;
}

static void inventory_free(struct inventory *v)
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

// ---- what nothing needs any more ----
// Collects garbage: removes the least recently used units until the rest fits.
//
// A unit is a record with its outputs, or a blob or tree that no record names. An object is removed
// with the last unit that refers to it. Records are removed before their outputs, and trees are
// renamed before they are emptied, so a kill leaves no record without its outputs and no partial
// tree, only objects without a record, which the next collection finds.

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

struct missing_search {
    const struct collection *collection;
    bool any;
};

static void look_for_output(enum object_kind kind, const char *digest, void *context)
{
    struct missing_search *m = context;
    if (!find_output(m->collection, kind, digest))
        m->any = true;
}

struct output_reference {
    struct collection *collection;
    struct unit *unit;
};

static void refer_output(enum object_kind kind, const char *digest, void *context)
{
    struct output_reference *r = context;
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
    json_auto_t *record = NULL;
    int found = action_read(c->store, o->digest, &record, err);
    if (found <= 0) // 0: damaged and moved away
        return found;
    struct missing_search m = {.collection = c};
    record_outputs(c->store, record, look_for_output, &m);
    if (m.any) { // useless; its remaining outputs become own units
        c->gone.actions++;
        return store_action_remove(c->store, o->digest, err);
    }
    struct unit *u = new_unit(c, o->used);
    u->key = o->digest;
    struct output_reference r = {c, u};
    record_outputs(c->store, record, refer_output, &r);
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

// ---- what is damaged ----
// Verifies every object in the store.

struct store_verification {
    struct store *store;
    void (*report)(const char *what, void *);
    void *context;
    uint64_t done, total; // objects
    int damaged;
};

static void report(struct store_verification *v, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void report(struct store_verification *v, const char *format, ...)
{
    if (!v->report)
        return;
    va_list args;
    va_start(args, format);
    cleanup_free char *text = xvasprintf(format, args);
    va_end(args);
    v->report(text, v->context);
}

static int verify_record(struct store_verification *v, const char *key, struct error **err);

// 1: valid, or removed since it was listed; 0: damaged; -1: error.
static int verify_object(struct store_verification *v, const struct object *o, struct error **err)
{
    if (o->kind == OBJECT_ACTION)
        return verify_record(v, o->digest, err);
    int valid = o->kind == OBJECT_TREE ? tree_verify(v->store, o->digest, err)
                                       : blob_verify(v->store, o->digest, err);
    if (valid == 0) {
        v->damaged++;
        report(v, "%s %s is damaged", o->kind == OBJECT_TREE ? "tree" : "blob", o->digest);
    }
    return valid;
}

struct wanted_object {
    struct store *store;
    struct error **err;
    int result;                    // 1 while all exist
    char missing[DIGEST_HEX_SIZE]; // the first missing one
};

static void want(enum object_kind kind, const char *digest, void *context)
{
    struct wanted_object *w = context;
    if (w->result != 1)
        return;
    w->result = kind == OBJECT_TREE ? store_has_tree(w->store, digest, false, w->err)
                                    : store_has_blob(w->store, digest, w->err);
    memcpy(w->missing, digest, DIGEST_HEX_SIZE);
}

static int verify_record(struct store_verification *v, const char *key, struct error **err)
{
    json_auto_t *record = NULL;
    int found = action_read(v->store, key, &record, err);
    if (found < 0)
        return -1;
    if (!found) {
        v->damaged++;
        report(v, "action record %s is damaged", key);
        return 0;
    }
    struct wanted_object w = {.store = v->store, .err = err, .result = 1};
    record_outputs(v->store, record, want, &w);
    if (w.result)
        return w.result;
    report(v, "action record %s is of no use without %s, and removed", key, w.missing);
    return store_action_remove(v->store, key, err) < 0 ? -1 : 1;
}

int store_verify(struct store *s, void (*reporter)(const char *what, void *), void *context,
                 struct error **err)
{
    struct store_verification v = {.store = s, .report = reporter, .context = context};
    struct error *why = NULL; // so that `err` may be NULL
    cleanup_inventory struct inventory all = {0};
    int result = inventory_read(s, false, &all, &why);
    v.total = all.n;
    // Blobs, then trees, then the records that need them: the order of the inventory.
    for (size_t i = 0; i < all.n && result >= 0; i++) {
        progress("verifying the cache", ++v.done, v.total, "objects");
        result = verify_object(&v, &all.items[i], &why);
    }
    for (size_t i = 0; i < all.strays.n && result >= 0; i++) {
        move_damaged(s, all.strays.items[i], "stray", "it does not belong there");
        report(&v, "%s does not belong there", all.strays.items[i]);
        v.damaged++;
    }
    if (result >= 0)
        return v.damaged;
    error_wrap(&why, "verifying the cache %s", s->directory);
    if (err)
        *err = why;
    else
        error_free(why);
    return -1;
}
