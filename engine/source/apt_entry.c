// SPDX-License-Identifier: Apache-2.0
// Reads the options of one entry of sources.list(5), in either of its two formats.
#include "source/apt.h"

#include "base/file.h"

#include <string.h>
#include <strings.h>

#define BLANKS " \t\r"
#define APT_FILE_MAX ((size_t)1 << 20)

// The others (arch, lang, target, pdiffs) select indexes, and apt reports its selection.
static const char *const kept_options[] = {
    "Signed-By",       "Trusted",    "Check-Valid-Until", "Valid-Until-Min",
    "Valid-Until-Max", "Check-Date", "Date-Max-Future",   "By-Hash",
    "Allow-Insecure",  "Allow-Weak", "Snapshot",          "Allow-Downgrade-To-Insecure",
};

static void keep_option(const char *name, size_t length, const char *value, struct strlist *out)
{
    for (size_t i = 0; i < ARRAY_LEN(kept_options); i++)
        if (strncasecmp(kept_options[i], name, length) == 0 && !kept_options[i][length])
            strlist_addf(out, "%s: %s", kept_options[i], value);
}

// "deb [arch=amd64 signed-by=a,b] uri suite component..."
static void read_line(const char *line, struct strlist *out)
{
    const char *start = line + strspn(line, BLANKS);
    start += strcspn(start, BLANKS); // "deb"
    start += strspn(start, BLANKS);
    const char *end = *start == '[' ? strchr(start, ']') : NULL;
    if (!end)
        return;
    cleanup_free char *inside = xstrndup(start + 1, (size_t)(end - start - 1));
    cleanup_strlist struct strlist words = {0};
    strlist_split(&words, inside, BLANKS);
    for (size_t i = 0; i < words.n; i++) {
        const char *equals = strchr(words.items[i], '=');
        if (equals)
            keep_option(words.items[i], (size_t)(equals - words.items[i]), equals + 1, out);
    }
}

// ---- deb822(5): fields whose values continue in lines that begin with a blank ----

static void end_field(struct buf *field, struct strlist *out)
{
    const char *colon = field->len ? strchr(field->data, ':') : NULL;
    if (colon) {
        const char *value = colon + 1 + strspn(colon + 1, BLANKS);
        size_t n = strlen(value);
        while (n && strchr(BLANKS "\n", value[n - 1]))
            n--;
        cleanup_free char *trimmed = xstrndup(value, n);
        keep_option(field->data, (size_t)(colon - field->data), trimmed, out);
    }
    field->len = 0;
}

static bool is_blank_line(const char *line)
{
    return line[strspn(line, BLANKS)] == '\0';
}

// The stanza's fields. Comments may stand between the lines of a value.
static void read_stanza(char *text, size_t wanted, struct strlist *out)
{
    cleanup_buf struct buf field = {0};
    size_t stanza = 0;
    bool inside = false;
    for (char *line; (line = strsep(&text, "\n"));) {
        if (*line == '#')
            continue;
        if (is_blank_line(line)) {
            end_field(&field, out);
            inside = false;
            continue;
        }
        stanza += !inside;
        inside = true;
        if (stanza != wanted)
            continue;
        if (*line != ' ' && *line != '\t')
            end_field(&field, out);
        buf_printf(&field, "%s%s", field.len ? "\n" : "", line);
    }
    end_field(&field, out);
}

static void read_numbered_line(char *text, size_t wanted, struct strlist *out)
{
    char *line = strsep(&text, "\n");
    for (size_t i = 1; line && i < wanted; i++)
        line = strsep(&text, "\n");
    if (line)
        read_line(line, out);
}

void apt_entry_parse(char *text, bool deb822, size_t number, struct strlist *out)
{
    if (deb822)
        read_stanza(text, number, out);
    else
        read_numbered_line(text, number, out);
}

int apt_entry_options(const char *entry, struct strlist *out, struct error **err)
{
    const char *colon = strrchr(entry, ':');
    if (!colon)
        return error_user(err, "apt calls an entry of its sources \"%s\", which names no place",
                          entry);
    cleanup_free char *path = xstrndup(entry, (size_t)(colon - entry));
    size_t number = strtoul(colon + 1, NULL, 10);
    cleanup_buf struct buf text = {0};
    if (file_read(path, APT_FILE_MAX, &text, err) < 0)
        return -1;
    if (text.data)
        apt_entry_parse(text.data, ends_with(path, ".sources"), number, out);
    return 0;
}
