// SPDX-License-Identifier: Apache-2.0
// Reads licences of distribution packages from their machine-readable copyright files (Debian:
// "Machine-readable debian/copyright file", version 1.0), as SPDX licence expressions (SPDX 2.3,
// annex D). Files in another form are ignored: nothing is guessed.
//
// A short name that the SPDX list does not have becomes LicenseRef-<name>.
#include "sandbox/internal.h"

#include "base/file.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { FILE_MAX = 1 << 22, FIELDS_MAX = 100 };

static const struct {
    const char *debian, *spdx;
} licence_names[] = {
    {"Apache-2.0", "Apache-2.0"},
    {"Artistic", "Artistic-1.0-Perl"},
    {"Artistic-2.0", "Artistic-2.0"},
    {"BSD-2-clause", "BSD-2-Clause"},
    {"BSD-3-clause", "BSD-3-Clause"},
    {"BSD-4-clause", "BSD-4-Clause"},
    {"BSL-1.0", "BSL-1.0"},
    {"CC0-1.0", "CC0-1.0"},
    {"CC-BY-SA-4.0", "CC-BY-SA-4.0"},
    {"curl", "curl"},
    {"Expat", "MIT"},
    {"MIT", "MIT"},
    {"FSFAP", "FSFAP"},
    {"FSFUL", "FSFUL"},
    {"FSFULLR", "FSFULLR"},
    {"FTL", "FTL"},
    {"GFDL-1.3", "GFDL-1.3-only"},
    {"GFDL-1.3+", "GFDL-1.3-or-later"},
    {"GFDL-1.2+", "GFDL-1.2-or-later"},
    {"GFDL-NIV-1.3+", "GFDL-1.3-no-invariants-or-later"},
    {"GPL-1", "GPL-1.0-only"},
    {"GPL-1+", "GPL-1.0-or-later"},
    {"GPL-2", "GPL-2.0-only"},
    {"GPL-2.0", "GPL-2.0-only"},
    {"GPL-2+", "GPL-2.0-or-later"},
    {"GPL-2.0+", "GPL-2.0-or-later"},
    {"GPL-3", "GPL-3.0-only"},
    {"GPL-3.0", "GPL-3.0-only"},
    {"GPL-3+", "GPL-3.0-or-later"},
    {"GPL-3.0+", "GPL-3.0-or-later"},
    {"ISC", "ISC"},
    {"LGPL-2", "LGPL-2.0-only"},
    {"LGPL-2.0", "LGPL-2.0-only"},
    {"LGPL-2+", "LGPL-2.0-or-later"},
    {"LGPL-2.0+", "LGPL-2.0-or-later"},
    {"LGPL-2.1", "LGPL-2.1-only"},
    {"LGPL-2.1+", "LGPL-2.1-or-later"},
    {"LGPL-3", "LGPL-3.0-only"},
    {"LGPL-3.0", "LGPL-3.0-only"},
    {"LGPL-3+", "LGPL-3.0-or-later"},
    {"LGPL-3.0+", "LGPL-3.0-or-later"},
    {"MPL-1.1", "MPL-1.1"},
    {"MPL-2.0", "MPL-2.0"},
    {"OpenLDAP-2.8", "OLDAP-2.8"},
    {"OFL-1.1", "OFL-1.1"},
    {"OpenSSL", "OpenSSL"},
    {"Unicode", "Unicode-DFS-2016"},
    {"X11", "X11"},
    {"Zlib", "Zlib"},
};

// The characters that an SPDX idstring has; others become '-'.
static void add_licence_reference(struct buf *out, const char *name)
{
    buf_puts(out, "LicenseRef-");
    for (; *name; name++)
        buf_add(out, isalnum((unsigned char)*name) || *name == '.' ? name : "-", 1);
}

static void add_licence_name(struct buf *out, const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(licence_names); i++) {
        if (!strcasecmp(name, licence_names[i].debian)) {
            buf_puts(out, licence_names[i].spdx);
            return;
        }
    }
    add_licence_reference(out, name);
}

// "GPL-2+ or Expat": the operators and their order mean the same in both. A licence with commas
// (grouping) or exceptions is named as a whole.
static char *spdx_expression(const char *field)
{
    cleanup_strlist struct strlist words = {0};
    struct buf out = {0};
    strlist_split(&words, field, " \t");
    bool plain = words.n % 2 == 1 && !strchr(field, ',');
    for (size_t i = 1; i < words.n && plain; i += 2)
        plain = !strcasecmp(words.items[i], "or") || !strcasecmp(words.items[i], "and");
    bool either = false;
    for (size_t i = 0; i < words.n && plain; i++) {
        if (i % 2 == 0) {
            add_licence_name(&out, words.items[i]);
            continue;
        }
        bool or = !strcasecmp(words.items[i], "or");
        either |= or ;
        buf_puts(&out, or ? " OR " : " AND ");
    }
    if (!plain) {
        cleanup_free char *whole = strlist_join(&words, "-");
        add_licence_reference(&out, whole);
    }
    cleanup_free char *text = buf_take(&out);
    return either ? xasprintf("(%s)", text) : steal(text);
}

// A separate licence paragraph ("License:" without "Files:" before it) has a text, and no claim.
static void read_licence_line(const char *line, bool *of_files, struct strlist *found)
{
    static const char files[] = "Files:", licence[] = "License:";
    if (!*line)
        *of_files = false;
    if (!strncasecmp(line, files, strlen(files)))
        *of_files = true;
    if (!*of_files || strncasecmp(line, licence, strlen(licence)) != 0)
        return;
    const char *value = line + strlen(licence);
    value += strspn(value, " \t");
    if (!*value || found->n >= FIELDS_MAX)
        return;
    cleanup_free char *expression = spdx_expression(value);
    strlist_add_once(found, expression);
}

char *licence_of_copyright(const char *text)
{
    cleanup_strlist struct strlist found = {0};
    bool of_files = false;
    if (strncasecmp(text, "Format:", 7) != 0 || !strstr(text, "copyright-format/1.0"))
        return NULL;
    while (*text) {
        size_t n = strcspn(text, "\n");
        cleanup_free char *line = xstrndup(text, n);
        for (size_t end = n; end && strchr(" \t\r", line[end - 1]); end--)
            line[end - 1] = '\0';
        read_licence_line(line, &of_files, &found);
        text += n + (text[n] == '\n');
    }
    if (!found.n)
        return NULL;
    strlist_sort(&found);
    return strlist_join(&found, " AND ");
}

int rootfs_licences(const char *root, const char *of, struct package_set *set, struct error **err)
{
    cleanup_close int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, errno, "reading %s", root);
    for (size_t i = 0; i < set->n; i++) {
        struct package *p = &set->items[i];
        if (strcmp(p->of, of) != 0)
            continue;
        // The folder may be a link to that of another package of the same source.
        cleanup_free char *path = xasprintf("usr/share/doc/%s/copyright", p->name);
        cleanup_close int file = beneath_open_in_root(fd, path, O_RDONLY | O_NONBLOCK);
        cleanup_buf struct buf text = {0};
        struct stat st;
        if (file < 0 || fstat(file, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > FILE_MAX)
            continue;
        if (fd_read_all(file, path, FILE_MAX, &text, err) < 0)
            return -1;
        p->licence = licence_of_copyright(text.data ? text.data : "");
    }
    return 0;
}
