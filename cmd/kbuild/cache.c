// SPDX-License-Identifier: Apache-2.0
// Implements `kbuild cache info`, `verify` and `gc`.
#include "kbuild.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

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

static int print_info(struct global_options *g, struct store *s, struct error **err)
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

static void report(const char *what, void *context)
{
    print("damaged: %s\n", what);
}

static int verify_all(struct global_options *g, struct store *s, struct error **err)
{
    int damaged = store_verify(s, report, NULL, err);
    if (damaged < 0)
        return -1;
    if (damaged) {
        error_user(err, "%d damaged entries were set aside in %s/damaged", damaged,
                   store_directory(s));
        return error_hint(err, "the next build makes them again; check the disk");
    }
    print("everything in %s has the digest that it is kept under; whether that is what its sources "
          "make, `kbuild verify TARGET` shows\n",
          store_directory(s));
    return 0;
}

static int collect(struct global_options *g, struct store *s, struct error **err)
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

static int with_store(struct global_options *g,
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
    return with_store(g, print_info, err);
}

int verb_cache_verify(struct global_options *g, struct strlist *words, struct error **err)
{
    return with_store(g, verify_all, err);
}

int verb_cache_gc(struct global_options *g, struct strlist *words, struct error **err)
{
    return with_store(g, collect, err);
}
