// SPDX-License-Identifier: Apache-2.0
// os-release(5): which distribution this host is.
#include "base/file.h"
#include "source/room.h"

#include <string.h>

// NAME=value, NAME="value" or NAME='value'
static char *value_of(const struct strlist *lines, const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < lines->n; i++) {
        const char *line = lines->items[i];
        if (strncmp(line, name, n) != 0 || line[n] != '=')
            continue;
        const char *value = line + n + 1;
        size_t length = strlen(value);
        if (length >= 2 && (*value == '"' || *value == '\'') && value[length - 1] == *value)
            return xstrndup(value + 1, length - 2);
        return xstrdup(value);
    }
    return NULL;
}

int host_distribution(char **id, char **codename, struct error **err)
{
    const char *path = path_exists("/etc/os-release") ? "/etc/os-release" : "/usr/lib/os-release";
    cleanup_buf struct buf text = {0};
    cleanup_strlist struct strlist lines = {0};
    if (file_read(path, (size_t)1 << 20, &text, err) < 0)
        return -1;
    strlist_split(&lines, text.data, "\n");
    *id = value_of(&lines, "ID");
    *codename = value_of(&lines, "VERSION_CODENAME");
    if (*id && *codename && **id && **codename)
        return 0;
    free(steal(*id));
    free(steal(*codename));
    error_user(err, "%s names no distribution with a code name", path);
    return error_hint(err, "--sources=debian needs a Debian or Ubuntu release; use "
                           "--sources=upstream here");
}
