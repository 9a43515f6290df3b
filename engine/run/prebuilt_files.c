// SPDX-License-Identifier: Apache-2.0
// Reads which files a prebuilt artifact's manifest lists, and the SHA-256 sums beside them.
#include "run/prebuilt.h"
#include "share/share.h"

#include <string.h>

enum { FILES_MAX = 64 };

static int read_file(const json_t *layer, struct prebuilt_files *out, struct error **err)
{
    const char *title =
        json_string_value(json_object_get(json_object_get(layer, "annotations"), OCI_TITLE));
    const char *hex = oci_descriptor_digest(layer, NULL);
    json_int_t size = json_integer_value(json_object_get(layer, "size"));
    if (!title)
        return 0; // a tree of kbuild's, which is no file
    if (starts_with(title, "./"))
        title += 2;
    if (!path_is_clean(title) || strchr(title, '/') || strchr(title, '\n'))
        return error_user(err, "it names a file that is none of its own: %.200s", title);
    if (!hex || size < 0)
        return error_user(err, "it does not say where %s is", title);
    if (prebuilt_files_find(out, title))
        return error_user(err, "it has %s twice", title);
    out->items[out->n++] = (struct prebuilt_file){title, hex, (uint64_t)size};
    return 0;
}

int prebuilt_files_read(const json_t *manifest, struct prebuilt_files *out, struct error **err)
{
    const json_t *layers = json_object_get(manifest, "layers");
    size_t n = json_array_size(layers);
    if (n > FILES_MAX)
        return error_user(err, "it has %zu files, more than the %d that make sense", n, FILES_MAX);
    out->items = xcalloc(n + 1, sizeof *out->items);
    for (size_t i = 0; i < n; i++)
        if (read_file(json_array_get(layers, i), out, err) < 0)
            return -1;
    return 0;
}

const struct prebuilt_file *prebuilt_files_find(const struct prebuilt_files *f, const char *title)
{
    for (size_t i = 0; i < f->n; i++)
        if (!strcmp(f->items[i].title, title))
            return &f->items[i];
    return NULL;
}

const struct prebuilt_file *prebuilt_tarball(const struct prebuilt_files *f, const char *output)
{
    static const char *const formats[] = {"xz", "zst"};
    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        cleanup_free char *name = xasprintf("kata-static-%s.tar.%s", output, formats[i]);
        const struct prebuilt_file *found = prebuilt_files_find(f, name);
        if (found)
            return found;
    }
    return NULL;
}

// "<64 hex digits>  <name>" or "<64 hex digits> *<name>"; in place.
static bool split_line(char *line, const char **digest, const char **name)
{
    size_t n = strlen(line);
    if (n < 67 || line[64] != ' ' || (line[65] != ' ' && line[65] != '*'))
        return false;
    line[64] = '\0';
    *digest = line;
    *name = path_base(line + 66);
    return digest_is_hex(line);
}

int prebuilt_check_sums(const struct prebuilt_files *f, const char *target, const char *sums,
                        struct error **err)
{
    const struct prebuilt_file *tarball = prebuilt_tarball(f, target);
    cleanup_strlist struct strlist lines = {0};
    bool named = false;
    strlist_split(&lines, sums, "\n");
    for (size_t i = 0; i < lines.n; i++) {
        const char *digest, *name;
        if (!*lines.items[i])
            continue;
        if (!split_line(lines.items[i], &digest, &name))
            return error_user(err, "line %zu of its %s-sha256sum is no sum", i + 1, target);
        const struct prebuilt_file *file = prebuilt_files_find(f, name);
        if (!file)
            return error_user(err, "its %s-sha256sum names %.200s, which it does not have", target,
                              name);
        if (strcmp(file->digest, digest) != 0)
            return error_user(err, "%s has the SHA-256 %s, but its %s-sha256sum says %s", name,
                              file->digest, target, digest);
        named |= file == tarball;
    }
    return named ? 0
                 : error_user(err, "its %s-sha256sum does not name kata-static-%s.tar.*", target,
                              target);
}
