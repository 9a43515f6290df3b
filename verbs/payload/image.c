// SPDX-License-Identifier: Apache-2.0
// Implements `kbuild payload image`: archives become layers on a base, and the image says which
// program it starts.
#include "payload/internal.h"

#include "base/input.h"
#include "registry/registry.h"
#include "source/source.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

struct image_run {
    const struct image_request *r;
    struct store *store;
    int64_t epoch;
    char *path, *name; // of the output
    struct payload_image image;
};

static int add_archive(struct image_run *m, const char *file, struct error **err)
{
    char digest[DIGEST_HEX_SIZE];
    cleanup_close int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, errno, "reading %s", file);
    if (digest_file(file, digest, NULL, err) < 0)
        return -1;
    struct layer_source from = {.fd = fd,
                                .name = path_base(file),
                                .at_root = true,
                                .digest = digest,
                                .threads = m->r->jobs};
    struct payload_layer l = {0};
    if (payload_layer_make(m->store, &from, LAYER_GZIP, m->epoch, &l, err) < 0)
        return -1;
    *payload_layers_add(&m->image.layers) = l;
    return 0;
}

// The object of this name in another, which gets one if it has none.
static json_t *object_in(json_t *parent, const char *name)
{
    if (!json_is_object(json_object_get(parent, name)))
        json_object_set_new(parent, name, json_object());
    return json_object_get(parent, name);
}

static int add_labels(json_t *config, const struct strlist *labels, struct error **err)
{
    for (size_t i = 0; i < labels->n; i++) {
        const char *label = labels->items[i], *equals = strchr(label, '=');
        if (!equals || equals == label)
            return error_set(err, ERROR_USAGE, "--label=%s must be NAME=VALUE", label);
        cleanup_free char *name = xstrndup(label, (size_t)(equals - label));
        if (json_object_set_new(object_in(config, "Labels"), name, json_string(equals + 1)) < 0)
            return error_set(err, ERROR_USAGE, "--label=%s is not UTF-8", name);
    }
    return 0;
}

// What a runtime does with the image (config.md). An entry point replaces the base's command, too,
// which was meant for another program.
static int describe(struct image_run *m, struct error **err)
{
    json_t *config = object_in(m->image.config, "config");
    if (!json_object_get(config, "Env"))
        json_object_set_new(config, "Env",
                            json_pack("[s]", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:"
                                             "/usr/bin:/sbin:/bin"));
    if (m->r->entrypoint) {
        json_object_set_new(config, "Entrypoint", json_pack("[s]", m->r->entrypoint));
        json_object_del(config, "Cmd");
    }
    return add_labels(config, m->r->labels, err);
}

static int deliver(struct image_run *m, struct error **err)
{
    cleanup_strlist struct strlist tags = {0};
    strlist_add(&tags, m->name ? m->name : "latest");
    const struct payload_request as = {.output = m->r->output};
    struct payload_target target = {
        .store = m->store, .request = &as, .path = m->path, .tags = &tags};
    return payload_deliver(&target, &m->image, err);
}

static int make(struct image_run *m, struct error **err)
{
    const struct image_request *r = m->r;
    if (payload_output_parse(r->output, &m->path, &m->name, err) < 0 ||
        environment_epoch(&m->epoch, err) < 0 || !(m->store = cache_open(r->cache, false, err)) ||
        payload_base_load(m->store, r->base, r->arch, r->plain_http, &m->image, err) < 0 ||
        describe(m, err) < 0)
        return -1;
    for (size_t i = 0; i < r->archives->n; i++)
        if (add_archive(m, r->archives->items[i], err) < 0)
            return -1;
    return payload_image_compose(m->store, &m->image, err) < 0 ? -1 : deliver(m, err);
}

int image_make(const struct image_request *r, payload_print *print, void *context,
               struct error **err)
{
    struct image_run m = {.r = r, .image.maker = "kbuild payload image"};
    int result = make(&m, err);
    if (!result) {
        cleanup_free char *line =
            xasprintf("%s: digest: sha256:%s size: %llu", m.name ? m.name : "latest",
                      m.image.manifest, (unsigned long long)m.image.manifest_size);
        print(line, context);
    }
    payload_image_free(&m.image);
    free(m.path);
    free(m.name);
    store_close(m.store);
    return result ? error_wrap(err, "making an image") : 0;
}
