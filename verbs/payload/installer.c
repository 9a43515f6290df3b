// SPDX-License-Identifier: Apache-2.0
// Finds out what a base image installs Kata with: kata-deploy's program in its layers, which form
// of files that wants, and which files of its own it would install. A layer is listed once; the
// cache remembers what it found.
#include "payload/internal.h"

#include "pack/pack.h"
#include "pack/reader.h"

#include <fcntl.h>
#include <string.h>

// What is looked for; where a directory, whether anything is in it.
static const struct wanted {
    const char *path;
    enum installer_part part;
    bool directory;
} wanted[] = {
    {"usr/bin/kata-deploy", INSTALLER_PROGRAM, false},
    {PAYLOAD_ROOT "/scripts/kata-deploy.sh", INSTALLER_SCRIPT, false},
    {PAYLOAD_ROOT "/shim-components.json", INSTALLER_SHIMS, false},
    {PAYLOAD_ROOT "/opt", INSTALLER_FILES, true},
    {PAYLOAD_ROOT "/tarballs", INSTALLER_TARBALLS, true},
};

static bool is_at(const struct wanted *w, const char *path)
{
    return w->directory ? path_below(path, w->path) && strlen(path) > strlen(w->path)
                        : !strcmp(path, w->path);
}

// ---- one layer ----

// Parts that it has, and that it removes from the layers below (image specification, layer.md:
// ".wh.NAME" removes NAME, ".wh..wh..opq" all that is in its directory), as bits.
struct layer_parts {
    unsigned has, removes;
};

static unsigned removed_parts(const char *path)
{
    const char *base = path_base(path);
    bool all = !strcmp(base, ".wh..wh..opq");
    unsigned removed = 0;
    if (!starts_with(base, ".wh."))
        return 0;
    size_t n = (size_t)(base - path);
    cleanup_free char *target = all ? xstrndup(path, n ? n - 1 : 0)
                                    : xasprintf("%.*s%s", (int)n, path, base + strlen(".wh."));
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
        if (!*target || path_below(wanted[i].path, target))
            removed |= 1u << wanted[i].part;
    return removed;
}

static int list_layer(int fd, const char *name, struct layer_parts *out, struct error **err)
{
    WITH_UTF8_NAMES;
    cleanup_reader struct reader *r = reader_open(fd, name, 0, err);
    if (!r)
        return -1;
    struct reader_member m;
    int more;
    reader_accept_absolute(r);
    while ((more = reader_next(r, &m, err)) > 0) {
        out->removes |= removed_parts(m.path);
        bool directory = S_ISDIR(m.mode), removal = starts_with(path_base(m.path), ".wh.");
        for (size_t i = 0; !removal && !directory && i < ARRAY_LEN(wanted); i++)
            out->has |= is_at(&wanted[i], m.path) ? 1u << wanted[i].part : 0;
        reader_progress(r, "reading the base image");
    }
    return more;
}

static int read_layer(struct store *s, const char *digest, struct layer_parts *out,
                      struct error **err)
{
    char key[DIGEST_HEX_SIZE];
    cleanup_free char *text = xasprintf("kbuild installer 1\nlayer %s\n", digest);
    json_auto_t *record = NULL;
    digest_bytes(text, strlen(text), key);
    if (store_action_get(s, key, &record, err) < 0)
        return -1;
    const json_t *has = json_object_get(record, "has"),
                 *removes = json_object_get(record, "removes");
    if (json_is_integer(has) && json_is_integer(removes)) {
        *out = (struct layer_parts){(unsigned)json_integer_value(has),
                                    (unsigned)json_integer_value(removes)};
        return 0;
    }
    cleanup_close int fd = store_open_blob(s, digest, err);
    cleanup_error struct error *why = NULL;
    if (fd < 0)
        return -1;
    if (list_layer(fd, "a layer of the base image", out, &why) < 0) {
        if (!error_may_blame_content(why)) {
            *err = steal(why);
            return -1;
        }
        // Some tools leave the end of a tar out. The layer stays as it is; what was seen counts.
        log_warning("%s", why->message);
        return 0;
    }
    json_auto_t *new =
        json_pack("{s:s, s:I, s:I, s:[]}", "node", "installer", "has", (json_int_t)out->has,
                  "removes", (json_int_t)out->removes, "outputs");
    return store_action_put(s, key, new, err);
}

// ---- the image ----

static int read_shims(struct store *s, const char *digest, struct buf *out, struct error **err)
{
    enum { LIMIT = 16 << 20 };
    cleanup_close int fd = store_open_blob(s, digest, err), copy = nameless_file(NULL, err);
    if (fd < 0 || copy < 0 ||
        unpack_member(fd, "a layer of the base image", PAYLOAD_ROOT "/shim-components.json", copy,
                      NULL, err) < 0)
        return -1;
    if (lseek(copy, 0, SEEK_SET) < 0)
        return error_user(err, "reading a temporary file");
    return fd_read_all(copy, "shim-components.json of the base image", LIMIT, out, err);
}

int payload_installer_find(struct store *s, const struct payload_layers *base,
                           struct payload_installer *out, struct error **err)
{
    const struct payload_layer *shims = NULL;
    for (size_t i = 0; i < base->n; i++) {
        struct layer_parts parts = {0};
        if (read_layer(s, base->items[i].digest, &parts, err) < 0)
            return -1;
        out->parts = (out->parts & ~parts.removes) | parts.has;
        if (parts.has & 1u << INSTALLER_SHIMS)
            shims = &base->items[i];
    }
    return payload_installer_has(out, INSTALLER_SHIMS)
               ? read_shims(s, shims->digest, &out->shims, err)
               : 0;
}

bool payload_installer_has(const struct payload_installer *i, enum installer_part part)
{
    return i->parts & 1u << part;
}

// ---- what it can install ----

// Whether the tarball kata-static-<component>.* is in the set.
static bool has_component(const struct strlist *components, const char *component)
{
    cleanup_free char *name = xasprintf("kata-static-%s.tar.zst", component);
    return strlist_has(components, name);
}

// The components that the shim needs on this architecture and that are missing; false: the shim is
// not for it.
static bool missing_of(const json_t *of_arch, const struct strlist *components, struct strlist *out)
{
    for (size_t i = 0; i < json_array_size(of_arch); i++) {
        const char *name = json_string_value(json_array_get(of_arch, i));
        if (!name || !has_component(components, name))
            strlist_add(out, name ? name : "a component that has no name");
    }
    return json_array_size(of_arch) > 0;
}

int payload_installer_check(const struct buf *shims, const struct arch *arch,
                            const struct strlist *components, struct strlist *complete,
                            char **nearest, struct error **err)
{
    json_auto_t *all = json_loadb(shims->data, shims->len, JSON_REJECT_DUPLICATES, NULL);
    const json_t *list = json_object_get(all, "shims");
    const char *shim;
    json_t *of;
    size_t fewest = SIZE_MAX;
    *nearest = NULL;
    if (!json_is_object(list))
        return error_user(err, "shim-components.json has no object \"shims\"");
    json_object_foreach((json_t *)list, shim, of)
    {
        cleanup_strlist struct strlist missing = {0};
        if (!missing_of(json_object_get(of, arch->name), components, &missing))
            continue;
        if (!missing.n) {
            strlist_add(complete, shim);
        } else if (missing.n < fewest) {
            cleanup_free char *names = strlist_join(&missing, ", ");
            fewest = missing.n;
            free(*nearest);
            *nearest = xasprintf("%s lacks %s", shim, names);
        }
    }
    return 0;
}
