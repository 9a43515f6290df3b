// SPDX-License-Identifier: Apache-2.0
// Reads and writes extended attributes of files and archive members, and converts them to and from
// text.
#include "pack/reader.h"

#include "base/digest.h"
#include "base/memory.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/xattr.h>

enum { NAMES_LIMIT = 1 << 16, VALUE_LIMIT = 1 << 16 }; // the kernel's (xattr(7))

static const char capability[] = "security.capability";

static bool is_kept(const char *name)
{
    return starts_with(name, "user.") || !strcmp(name, capability);
}

// capabilities(7): the root of a user namespace sets revision 3, which ends with the outer uid of
// that root. Installed by the real root it means revision 2.
static size_t forget_namespace(unsigned char *value, size_t length)
{
    bool namespaced = length == sizeof(struct vfs_ns_cap_data) &&
                      (value[3] << 24 & VFS_CAP_REVISION_MASK) == VFS_CAP_REVISION_3;
    if (!namespaced)
        return length;
    value[3] = VFS_CAP_REVISION_2 >> 24;
    return sizeof(struct vfs_cap_data);
}

static void add(struct strlist *list, const char *name, unsigned char *value, size_t length)
{
    if (!strcmp(name, capability))
        length = forget_namespace(value, length);
    size_t n = strlen(name);
    cleanup_free char *hex_name = xmalloc(2 * n + 1);
    cleanup_free char *hex_value = xmalloc(2 * length + 1);
    hex_encode(name, n, hex_name);
    hex_encode(value, length, hex_value);
    strlist_addf(list, "%s=%s", hex_name, hex_value);
}

static char *join(struct strlist *list)
{
    strlist_sort(list);
    return list->n ? strlist_join(list, ",") : NULL;
}

int attributes_of_file(int fd, char **out, struct error **err)
{
    char names[NAMES_LIMIT];
    *out = NULL;
    ssize_t n = flistxattr(fd, names, sizeof names);
    if (n == 0 || (n < 0 && (errno == ENOTSUP || errno == EPERM)))
        return 0;
    if (n < 0)
        return error_errno(err, errno, "listing its extended attributes");
    cleanup_strlist struct strlist list = {0};
    cleanup_free unsigned char *value = xmalloc(VALUE_LIMIT);
    for (const char *name = names; name < names + n; name += strlen(name) + 1) {
        if (!is_kept(name))
            continue;
        ssize_t length = fgetxattr(fd, name, value, VALUE_LIMIT);
        if (length < 0)
            return error_errno(err, errno, "reading its extended attribute %s", name);
        add(&list, name, value, (size_t)length);
    }
    *out = join(&list);
    return 0;
}

char *attributes_of_entry(struct archive_entry *entry)
{
    const char *name;
    const void *value;
    size_t length;
    cleanup_strlist struct strlist list = {0};
    archive_entry_xattr_reset(entry);
    while (archive_entry_xattr_next(entry, &name, &value, &length) == ARCHIVE_OK) {
        if (!name || !is_kept(name) || length > VALUE_LIMIT)
            continue;
        cleanup_free unsigned char *copy = xmalloc(length + 1);
        memcpy(copy, value, length);
        char *before = list.n ? list.items[list.n - 1] : NULL;
        add(&list, name, copy, length);
        // libarchive writes each attribute under two names, and returns it twice.
        if (before && !strcmp(before, list.items[list.n - 1]))
            free(list.items[--list.n]);
    }
    return join(&list);
}

// Calls `use` for each attribute of the text.
typedef int attribute_use(void *context, const char *name, const void *value, size_t length,
                          struct error **err);
static int each(const char *attributes, attribute_use *use, void *context, struct error **err)
{
    cleanup_strlist struct strlist list = {0};
    strlist_split(&list, attributes ? attributes : "", ",");
    for (size_t i = 0; i < list.n; i++) {
        const char *equals = strchr(list.items[i], '=');
        size_t n = equals ? (size_t)(equals - list.items[i]) / 2 : 0;
        size_t length = equals ? strlen(equals + 1) / 2 : 0;
        cleanup_free char *name = xcalloc(1, n + 1);
        cleanup_free char *value = xcalloc(1, length + 1);
        cleanup_free char *hex_name = xstrndup(list.items[i], 2 * n);
        if (!n || !hex_decode(hex_name, name, n) || !hex_decode(equals + 1, value, length))
            return error_user(err, "its extended attributes are not what a listing has");
        if (use(context, name, value, length, err) < 0)
            return -1;
    }
    return 0;
}

static int to_entry(void *context, const char *name, const void *value, size_t length,
                    struct error **err)
{
    archive_entry_xattr_add_entry(context, name, value, length);
    return 0;
}

void attributes_to_entry(const char *attributes, struct archive_entry *entry)
{
    each(attributes, to_entry, entry, NULL);
}

struct target {
    int fd;
    bool *lost;
};

static int to_file(void *context, const char *name, const void *value, size_t length,
                   struct error **err)
{
    const struct target *t = context;
    if (fsetxattr(t->fd, name, value, length, 0) == 0)
        return 0;
    if (errno != EPERM && errno != ENOTSUP && errno != EACCES)
        return error_errno(err, errno, "setting its extended attribute %s", name);
    *t->lost = true;
    return 0;
}

int attributes_to_file(const char *attributes, int fd, bool *lost, struct error **err)
{
    struct target t = {fd, lost};
    return each(attributes, to_file, &t, err);
}
