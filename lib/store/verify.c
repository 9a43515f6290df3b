// SPDX-License-Identifier: Apache-2.0
// Verifies every object in the store.
#include "base/error.h"
#include "store/internal.h"

#include <string.h>

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
    struct error *why = NULL;
    json_t *record = action_read(v->store, key, &why);
    if (!record && why) {
        *err = why;
        return -1;
    }
    if (!record) {
        v->damaged++;
        report(v, "action record %s is damaged", key);
        return 0;
    }
    struct wanted_object w = {.store = v->store, .err = err, .result = 1};
    record_outputs(v->store, record, want, &w);
    json_decref(record);
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
