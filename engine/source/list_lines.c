// SPDX-License-Identifier: Apache-2.0
// Reads the lines of a list. They come from a script that read untrusted files, so each field is
// checked as hostile input.
#include "source/list.h"

#include "base/digest.h"
#include "base/file.h"
#include "http/http.h"
#include "source/internal.h"

#include <string.h>

#define URLS_MAX 16
#define URL_MAX 4000
#define PURL_MAX 1000
#define NAME_MAX_BYTES 1000
#define COMPONENT_MAX 255
#define FOLDERS_MAX 1000

static const struct {
    const char *word;
    enum list_kind kind;
    const char *digest; // "sha256=" and the like, or NULL
    const char *shape;
} line_kinds[] = {
    {"archive", LIST_ARCHIVE,
     "sha256=", "an archive line is: archive URL [URL...] sha256=HEX [purl=PURL] NAME"},
    {"file", LIST_FILE, NULL, "a file line is: file URL [URL...] [purl=PURL] NAME"},
    {"git", LIST_GIT, "commit=", "a git line is: git URL commit=HEX [purl=PURL] NAME"},
    {"ask", LIST_ASK, NULL, "an ask line is: ask URL NAME"},
};

// ---- fields ----

static bool is_printable(const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p; p++)
        if (*p <= ' ' || *p >= 0x7f)
            return false;
    return true;
}

// The error in a name, or NULL.
static const char *name_fault(const char *name)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-@!~=%,/";
    if (!path_is_clean(name))
        return "the name is not a relative path without empty, '.' or '..' parts";
    if (strlen(name) > NAME_MAX_BYTES)
        return "the name is too long";
    if (name[strspn(name, letters)])
        return "a name is made of letters, digits, '/' and \"._+-@!~=%,\"";
    for (const char *part = name; part; part = strchr(part, '/')) {
        part += *part == '/';
        if (*part == '-')
            return "a part of the name begins with '-'";
        if (strcspn(part, "/") > COMPONENT_MAX)
            return "a part of the name is too long";
    }
    return NULL;
}

// Is the folder of a path, or one above it, among `folders`?
static bool is_below_folder(const char *path, const struct strlist *folders)
{
    for (size_t i = 0; i < folders->n; i++) {
        const char *below = path_below(path, folders->items[i]);
        if (below && *below)
            return true;
    }
    return false;
}

static const char *file_url_fault(const char *url, bool first, const struct strlist *folders)
{
    const char *path = url + strlen("file://");
    if (first)
        return "the first address of a line is http or https; file: is for mirrors";
    // libcurl decodes percent signs, so they are rejected.
    if (*path != '/' || !path_is_clean(path + 1) || strpbrk(path, "%?#"))
        return "a file: address is file:///PATH without '%', '?', '#' and parts like '..'";
    if (!folders || !is_below_folder(path, folders))
        return "a file: address has to lie below a directory that the user's own configuration "
               "names";
    return NULL;
}

// purl-spec: pkg:TYPE/NAME and more.
static const char *purl_fault(const char *purl)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+-";
    if (!starts_with(purl, "pkg:") || !is_printable(purl) || strlen(purl) > PURL_MAX)
        return "a purl begins with pkg:";
    size_t type = strspn(purl + 4, letters);
    return type && purl[4 + type] == '/' && purl[4 + type + 1] ? NULL : "a purl is pkg:TYPE/NAME";
}

// The error in an address, or NULL.
static const char *url_fault(const char *url, enum list_kind kind, bool first,
                             const struct strlist *folders)
{
    static const char *const schemes[] = {"https://", "http://", "git://", "ssh://"};
    if (strlen(url) > URL_MAX)
        return "the address is too long";
    if (!is_printable(url))
        return "the address holds characters that none has";
    if (kind != LIST_GIT && starts_with(url, "file://"))
        return file_url_fault(url, first && kind != LIST_ASK, folders);
    for (size_t i = 0; i < (kind == LIST_GIT ? 4 : 2); i++) {
        if (!starts_with(url, schemes[i]))
            continue;
        if (strstr(url + strlen(schemes[i]), "://"))
            return "the address holds another one";
        const char *host = url + strlen(schemes[i]);
        return *host && !strchr("-/?#", *host) && http_url_is_clear(url)
                   ? NULL
                   : "the address has no host, or it is not clear where its login ends";
    }
    return kind == LIST_GIT
               ? "the address of a repository begins with https://, http://, ssh:// or "
                 "git://"
               : "an address begins with https:// or http://";
}

static const char *digest_fault(enum list_kind kind, const char *digest)
{
    if (kind == LIST_ARCHIVE)
        return digest_is_hex(digest) ? NULL : "sha256= is followed by 64 lower-case hex digits";
    return strlen(digest) == 40 && strspn(digest, "0123456789abcdef") == 40
               ? NULL
               : "commit= is followed by 40 lower-case hex digits";
}

// ---- a line ----

// The first field: the identity of the file in records and in the lock, requested or not.
static const char *read_first_url(const char *field, const struct strlist *folders,
                                  struct list_line *out)
{
    bool named = starts_with(field, "pkg:") && out->kind != LIST_GIT && out->kind != LIST_ASK;
    out->elsewhere = named || *field == '!';
    field += *field == '!';
    strlist_add(&out->urls, field);
    out->canonical =
        named ? xstrdup(field) : http_url_shown(field); // a version behind '@' is no host
    return named ? purl_fault(field) : url_fault(field, out->kind, true, folders);
}

// The fields after the first word; the last one is the name.
static const char *read_urls(char **fields, size_t n, size_t k, const struct strlist *folders,
                             struct list_line *out)
{
    const char *digest = line_kinds[k].digest;
    size_t at = 0;
    for (; at + 1 < n && !starts_with(fields[at], "purl="); at++) {
        if (digest && starts_with(fields[at], digest))
            break;
        const char *fault = at == 0 ? read_first_url(fields[at], folders, out)
                                    : url_fault(fields[at], out->kind, false, folders);
        if (fault)
            return fault;
        if (at)
            strlist_add(&out->urls, fields[at]);
    }
    if (digest && (at + 1 >= n || !starts_with(fields[at], digest)))
        return line_kinds[k].shape;
    if (digest)
        out->digest = xstrdup(fields[at++] + strlen(digest));
    if (at + 1 < n && starts_with(fields[at], "purl=") && out->kind != LIST_ASK)
        out->purl = xstrdup(fields[at++] + strlen("purl="));
    bool one = out->kind == LIST_GIT || out->kind == LIST_ASK;
    if (at + 1 != n || !out->urls.n || (one && (out->urls.n > 1 || out->elsewhere)))
        return line_kinds[k].shape;
    out->name = xstrdup(fields[at]);
    return NULL;
}

// Modifies `line`. Returns the error, or NULL.
static const char *parse_line(char *line, const struct strlist *folders, struct list_line *out)
{
    char *fields[URLS_MAX + 4];
    size_t n = 0, k = 0;
    do {
        if (n == ARRAY_LEN(fields))
            return "the line has too many fields";
        fields[n++] = strsep(&line, " ");
        if (!*fields[n - 1])
            return "fields are separated by one blank, and none is empty";
    } while (line);
    while (k < ARRAY_LEN(line_kinds) && strcmp(line_kinds[k].word, fields[0]) != 0)
        k++;
    if (k == ARRAY_LEN(line_kinds))
        return strcmp(fields[0], "nothing") != 0 ? "a line begins with archive, file, git or ask"
                                                 : "\"nothing\" is no line beside others";
    out->kind = line_kinds[k].kind;
    const char *fault = n < 3 ? line_kinds[k].shape : read_urls(fields + 1, n - 1, k, folders, out);
    if (!fault)
        fault = name_fault(out->name);
    if (!fault && out->digest)
        fault = digest_fault(out->kind, out->digest);
    if (!fault && out->purl)
        fault = purl_fault(out->purl);
    return fault;
}

static void list_line_free(struct list_line *line)
{
    strlist_free(&line->urls);
    free(line->canonical);
    free(line->digest);
    free(line->purl);
    free(line->name);
}

void list_lines_free(struct list *l)
{
    for (size_t i = 0; i < l->n; i++)
        list_line_free(&l->items[i]);
    free(l->items);
    *l = (struct list){0};
}

// ---- names ----

static int compare_lines(const void *a, const void *b)
{
    const struct list_line *x = *(const struct list_line *const *)a,
                           *y = *(const struct list_line *const *)b;
    if ((x->kind == LIST_ASK) != (y->kind == LIST_ASK))
        return x->kind == LIST_ASK ? 1 : -1;
    int order = path_compare(x->name, y->name);
    return order ? order : x->number < y->number ? -1 : 1;
}

// Names of `ask` lines must be unique.
static int check_pair(const struct list_line *a, const struct list_line *b, struct error **err)
{
    const char *below = path_below(b->name, a->name);
    if (!below || (a->kind == LIST_ASK) != (b->kind == LIST_ASK))
        return 0;
    return !*below
               ? error_user(err, "lines %zu and %zu both have the name %s", a->number, b->number,
                            a->name)
               : error_user(err, "line %zu has the name %s, which is a directory in line %zu: %s",
                            a->number, a->name, b->number, b->name);
}

static int check_names(const struct list *l, struct error **err)
{
    cleanup_free const struct list_line **sorted = xcalloc(l->n + 1, sizeof(struct list_line *));
    for (size_t i = 0; i < l->n; i++)
        sorted[i] = &l->items[i];
    qsort(sorted, l->n, sizeof(struct list_line *), compare_lines);
    for (size_t i = 1; i < l->n; i++)
        if (check_pair(sorted[i - 1], sorted[i], err) < 0)
            return -1;
    return 0;
}

static int compare_canonical(const void *a, const void *b)
{
    const struct list_line *x = *(const struct list_line *const *)a,
                           *y = *(const struct list_line *const *)b;
    int order = strcmp(x->canonical, y->canonical);
    return order ? order : x->number < y->number ? -1 : 1;
}

// Is its canonical URL its only identity?
static bool is_known_by_url(const struct list_line *l)
{
    return l->kind == LIST_FILE || (l->kind == LIST_ARCHIVE && starts_with(l->canonical, "pkg:"));
}

// One pin for two files would give one of them the content of the other.
static int check_canonical(const struct list *l, struct error **err)
{
    cleanup_free const struct list_line **sorted = xcalloc(l->n + 1, sizeof(struct list_line *));
    size_t n = 0;
    for (size_t i = 0; i < l->n; i++)
        if (is_known_by_url(&l->items[i]))
            sorted[n++] = &l->items[i];
    qsort(sorted, n, sizeof(struct list_line *), compare_canonical);
    for (size_t i = 1; i < n; i++)
        if (!strcmp(sorted[i - 1]->canonical, sorted[i]->canonical))
            return error_user(err, "lines %zu and %zu are both the file %s", sorted[i - 1]->number,
                              sorted[i]->number, sorted[i]->canonical);
    return 0;
}

// ---- the whole text ----

// The start of a line for a message, without logins: half a login could not be recognised. To be
// freed.
static char *shown_line(const char *line, size_t length)
{
    cleanup_free char *whole = xstrndup(line, length);
    cleanup_buf struct buf text = {0};
    char *rest = whole;
    for (const char *field; (field = strsep(&rest, " "));) { // empty ones, too
        cleanup_free char *shown =
            starts_with(field, "pkg:") ? xstrdup(field) : http_url_shown(field);
        // A second login in one field must not be shown.
        size_t known = strstr(shown, "://") ? (size_t)(strstr(shown, "://") + 3 - shown) : 0;
        const char *more = strstr(shown + known, "://");
        buf_printf(&text, "%s%.*s%s", text.len || field > whole ? " " : "",
                   more ? (int)(more - shown) : INT_MAX, shown, more ? "..." : "");
    }
    return xasprintf("%.200s%s", text.data ? text.data : "", text.len > 200 ? "..." : "");
}

static int parse_text(const char *text, size_t length, const struct strlist *folders,
                      struct list *out, struct error **err)
{
    const char *end = text + length;
    for (const char *p = text; p < end;) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        size_t n = (size_t)((stop ? stop : end) - p);
        if (out->n == LIST_LINES_MAX)
            return error_user(err, "there are more than %d lines", LIST_LINES_MAX);
        out->items = xgrow(out->items, &out->cap, out->n + 1, sizeof *out->items);
        struct list_line *line = &out->items[out->n++];
        *line = (struct list_line){.number = out->n};
        cleanup_free char *copy = xstrndup(p, n);
        const char *fault = strlen(copy) != n ? "it holds a NUL character"
                            : !stop           ? "it is cut: the newline at its end is missing"
                                              : parse_line(copy, folders, line);
        if (fault) {
            cleanup_free char *shown = shown_line(p, n);
            return error_user(err, "line %zu: %s: \"%s\"", line->number, fault, shown);
        }
        p = stop + 1;
    }
    return check_names(out, err) < 0 || check_canonical(out, err) < 0 ? -1 : 0;
}

int list_parse(const char *text, size_t length, const struct strlist *folders, struct list *out,
               struct error **err)
{
    static const char nothing[] = "nothing\n";
    *out = (struct list){0};
    if (!length)
        return error_user(err, "no line (a list without a file is the line \"nothing\")");
    if (length == strlen(nothing) && !memcmp(text, nothing, length))
        return 0;
    int result = length > LIST_BYTES_MAX
                     ? error_user(err, "it has more than %zu MiB", LIST_BYTES_MAX >> 20)
                     : parse_text(text, length, folders, out, err);
    if (result < 0)
        list_lines_free(out);
    return result;
}

void list_folders(const char *text, bool plain, struct strlist *out)
{
    cleanup_strlist struct strlist words = {0};
    strlist_split(&words, text, " \t\r\n\"',|=;()[]{}");
    for (size_t i = 0; i < words.n; i++) {
        char *path = words.items[i];
        bool url = starts_with(path, "file://");
        path += url ? strlen("file://") : 0;
        size_t n = strlen(path);
        while (n > 1 && path[n - 1] == '/')
            path[--n] = '\0';
        if (out->n < FOLDERS_MAX && (url || plain) && *path == '/' && path_is_clean(path + 1) &&
            !strlist_has(out, path))
            strlist_add(out, path);
    }
}
