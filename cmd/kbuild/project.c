// SPDX-License-Identifier: Apache-2.0
// Implements the verbs on the cache and on versions.yaml: cache info, cache verify, cache gc,
// versions get.
#include "kbuild.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

// ---- cache ----

// "500M", "20G", "0": powers of 1024 with K, M, G, T.
static int parse_size(const char *text, uint64_t *out, struct error **err)
{
    static const char units[] = "KMGT";
    char *end;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    const char *unit = *end ? strchr(units, *end & ~0x20) : NULL;
    unsigned shift = unit && *end ? 10 * (unsigned)(unit - units + 1) : 0;
    if (errno || end == text || *text == '-' || (*end && (!unit || end[1])) ||
        n > UINT64_MAX >> shift) {
        error_set(err, ERROR_USAGE, "--max-size=%s is not a size", text);
        return error_hint(err, "a number with K, M, G or T, for example --max-size=20G");
    }
    *out = (uint64_t)n << shift;
    return 0;
}

static int print_store_info(struct global_options *g, struct store *s, struct error **err)
{
    struct store_info i;
    if (store_info(s, &i, err) < 0)
        return -1;
    if (g->json) {
        json_t *e = json_pack("{s:o, s:I, s:I, s:I, s:I, s:I, s:I}", "directory",
                              json_visible(store_directory(s)), "blobs", (json_int_t)i.blobs,
                              "blob_bytes", (json_int_t)i.blob_bytes, "trees", (json_int_t)i.trees,
                              "tree_bytes", (json_int_t)i.tree_bytes, "actions",
                              (json_int_t)i.actions, "damaged", (json_int_t)i.damaged);
        print_json(stdout, e, JSON_COMPACT);
        json_decref(e);
        return 0;
    }
    print("directory  %s\nblobs      %llu, %.1f MB\ntrees      %llu, %.1f MB\nactions    %llu\n"
          "damaged    %llu\n",
          store_directory(s), (unsigned long long)i.blobs, (double)i.blob_bytes / 1e6,
          (unsigned long long)i.trees, (double)i.tree_bytes / 1e6, (unsigned long long)i.actions,
          (unsigned long long)i.damaged);
    return 0;
}

static void print_damaged(const char *what, void *context)
{
    print("damaged: %s\n", what);
}

static int verify_store(struct global_options *g, struct store *s, struct error **err)
{
    int damaged = store_verify(s, print_damaged, NULL, err);
    if (damaged < 0)
        return -1;
    if (damaged) {
        error_user(err, "%d damaged entries were moved to %s/damaged", damaged, store_directory(s));
        return error_hint(err, "the next build makes them again; check the disk");
    }
    print("all entries in %s match their digests; `kbuild verify TARGET` shows whether an entry is "
          "what its sources give\n",
          store_directory(s));
    return 0;
}

static int collect_garbage(struct global_options *g, struct store *s, struct error **err)
{
    uint64_t max = UINT64_MAX;
    struct store_info removed;
    const char *size = option_value(g, "--max-size");
    if ((size && parse_size(size, &max, err) < 0) || store_gc(s, max, &removed, err) < 0)
        return -1;
    print("removed %llu blobs, %llu trees, %llu actions: %.1f MB\n",
          (unsigned long long)removed.blobs, (unsigned long long)removed.trees,
          (unsigned long long)removed.actions,
          (double)(removed.blob_bytes + removed.tree_bytes) / 1e6);
    return 0;
}

static int run_with_store(struct global_options *g,
                          int (*what)(struct global_options *, struct store *, struct error **),
                          struct error **err)
{
    struct store *s = store_open(g->build.cache, err);
    int result = s ? what(g, s, err) : -1;
    store_close(s);
    return result;
}

int verb_cache_info(struct global_options *g, struct strlist *words, struct error **err)
{
    return run_with_store(g, print_store_info, err);
}

int verb_cache_verify(struct global_options *g, struct strlist *words, struct error **err)
{
    return run_with_store(g, verify_store, err);
}

int verb_cache_gc(struct global_options *g, struct strlist *words, struct error **err)
{
    return run_with_store(g, collect_garbage, err);
}

// ---- versions get ----

int verb_versions_get(struct global_options *g, struct strlist *words, struct error **err)
{
    struct versions *v = versions_load(g->build.versions, err);
    if (!v)
        return -1;
    const struct yaml *node = versions_get(v, words->items[0], err);
    if (node) {
        cleanup_buf struct buf text = {0};
        yaml_print(node, &text);
        print_text(stdout, text.data ? text.data : "\n", text.data ? text.len : 1);
    }
    versions_free(v);
    return node ? 0 : -1;
}
