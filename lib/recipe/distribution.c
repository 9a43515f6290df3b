// SPDX-License-Identifier: Apache-2.0
// The distribution of this host, from os-release(5).
#include "recipe/distribution.h"

#include "base/file.h"

#include <string.h>

#define OS_RELEASE_MAX ((size_t)1 << 16)

// The value of NAME in os-release text, quotes taken off, to be freed; NULL if absent or empty.
static char *release_value(const char *text, const char *name)
{
    size_t length = strlen(name);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, length) != 0 || line[length] != '=')
            continue;
        const char *value = line + length + 1;
        size_t n = strcspn(value, "\r\n");
        if (n >= 2 && (*value == '"' || *value == '\'') && value[n - 1] == *value) {
            value++;
            n -= 2;
        }
        return n ? xstrndup(value, n) : NULL;
    }
    return NULL;
}

int distribution_read(const char *path, struct distribution *out, struct error **err)
{
    cleanup_buf struct buf text = {0};
    *out = (struct distribution){0};
    if (file_read(path, OS_RELEASE_MAX, &text, err) < 0)
        return -1;
    out->id = release_value(text.data ? text.data : "", "ID");
    out->codename = release_value(text.data ? text.data : "", "VERSION_CODENAME");
    if (out->id && out->codename)
        return 0;
    error_user(err, "%s names no %s", path, out->id ? "VERSION_CODENAME" : "ID");
    distribution_free(out);
    return error_hint(err, "builders are made from Debian or Ubuntu packages; on another "
                           "distribution use --builder=host");
}

int distribution_host(struct distribution *out, struct error **err)
{
    const char *path = path_exists("/etc/os-release") ? "/etc/os-release" : "/usr/lib/os-release";
    if (distribution_read(path, out, err) < 0)
        return error_wrap(err, "finding out this host's distribution");
    return 0;
}

void distribution_free(struct distribution *d)
{
    free(d->id);
    free(d->codename);
    *d = (struct distribution){0};
}
