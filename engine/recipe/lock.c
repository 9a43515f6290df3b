// SPDX-License-Identifier: Apache-2.0
// Reads versions.lock, finds entries, and writes it when entries were added.
#include "recipe/versions.h"

#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "http/http.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#define MAX_BYTES ((size_t)16 << 20)

static const char heading[] =
    "# Written by kbuild: what each branch, tag or archive of versions.yaml turned out to be.\n"
    "# Remove a line to have it looked up again.\n";

// ---- order: archives before git, then by url, then by ref ----

static int compare_source(const char *url, const char *ref, const struct lock_entry *e)
{
    if (!ref != !e->ref)
        return ref ? 1 : -1;
    int order = strcmp(url, e->url);
    return order || !ref ? order : strcmp(ref, e->ref);
}

// The index of the entry, or the place to insert it; *found says which.
static size_t find_index(const struct lock *l, const char *url, const char *ref, bool *found)
{
    size_t low = 0, high = l->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_source(url, ref, &l->entries[middle]);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    *found = false;
    return low;
}

// A login in a url is private, and no part of the source's identity.
const struct lock_entry *lock_find(const struct lock *l, const char *url, const char *ref)
{
    bool found;
    cleanup_free char *kept = http_url_kept(url);
    size_t i = find_index(l, kept, ref, &found);
    return found ? &l->entries[i] : NULL;
}

static void lock_entry_free(struct lock_entry *e)
{
    if (!e)
        return;
    free(e->url);
    free(e->ref);
    free(e->commit);
    free(e->tree);
    free(e->sha256);
}

static char *copy_text(const char *text)
{
    return text ? xstrdup(text) : NULL;
}

static bool same_text(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
}

static bool same_content(const struct lock_entry *a, const struct lock_entry *b)
{
    return same_text(a->commit, b->commit) && same_text(a->tree, b->tree) &&
           same_text(a->sha256, b->sha256);
}

// Takes over the strings of `entry`.
static void insert_entry(struct lock *l, struct lock_entry entry)
{
    bool found;
    size_t i = find_index(l, entry.url, entry.ref, &found);
    l->entries = xgrow(l->entries, &l->cap, l->n + 1, sizeof *l->entries);
    if (found) {
        lock_entry_free(&l->entries[i]);
    } else {
        memmove(&l->entries[i + 1], &l->entries[i], (l->n - i) * sizeof *l->entries);
        l->n++;
    }
    l->entries[i] = entry;
}

void lock_put(struct lock *l, const struct lock_entry *entry)
{
    const struct lock_entry *old = lock_find(l, entry->url, entry->ref);
    if (old && same_content(old, entry))
        return;
    // An entry that this run added itself stays "added" when it is put again.
    enum lock_state state = !old || old->state == LOCK_ADDED ? LOCK_ADDED : LOCK_REPLACED;
    struct lock_entry e = {http_url_kept(entry->url),
                           copy_text(entry->ref),
                           copy_text(entry->commit),
                           copy_text(entry->tree),
                           copy_text(entry->sha256),
                           entry->file,
                           state};
    insert_entry(l, e);
    l->changed = true;
}

void lock_free(struct lock *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < l->n; i++)
        lock_entry_free(&l->entries[i]);
    free(l->entries);
    free(l->comments);
    free(l->path);
    free(l->file);
    free(l->base);
    free(l);
}

// ---- reading ----

static bool is_object_id(const char *text)
{
    return hex_is_lower(text, 40) || hex_is_lower(text, 64);
}

static int upper_hex_digit(char c)
{
    const char *digits = "0123456789ABCDEF", *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

// In place. False if an escape is broken or hides a NUL.
static bool decode_field(char *text)
{
    char *out = text;
    for (const char *p = text; *p; p++) {
        if (*p != '%') {
            *out++ = *p;
            continue;
        }
        int high = upper_hex_digit(p[1]), low = high < 0 ? -1 : upper_hex_digit(p[2]);
        if (low < 0 || !(high | low))
            return false;
        *out++ = (char)(high << 4 | low);
        p += 2;
    }
    *out = '\0';
    return *text;
}

static void encode_field(struct buf *out, const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; p && *p; p++)
        if (*p <= ' ' || *p == '%' || *p == 0x7f)
            buf_printf(out, "%%%02X", *p);
        else
            buf_add(out, p, 1);
}

// The value of the field "name=value", or NULL.
static char *value_of(char *field, const char *name)
{
    size_t n = strlen(name);
    return !strncmp(field, name, n) && field[n] == '=' ? field + n + 1 : NULL;
}

// Fills `e` with pointers into the line. Returns the error, or NULL.
static const char *parse_line(char *line, struct lock_entry *e)
{
    char *fields[6];
    size_t n = 0;
    do
        fields[n++] = strsep(&line, " ");
    while (line && n < ARRAY_LEN(fields));
    *e = (struct lock_entry){0};
    if (!strcmp(fields[0], "git")) {
        if (n != 5)
            return "a git line is: git <url> <ref> commit=<hex> tree=<hex>";
        e->url = fields[1];
        e->ref = fields[2];
        e->commit = value_of(fields[3], "commit");
        e->tree = value_of(fields[4], "tree");
        if (!e->commit || !is_object_id(e->commit))
            return "commit= must be 40 or 64 hex digits";
        if (!e->tree || !is_object_id(e->tree))
            return "tree= must be 40 or 64 hex digits";
        if (!decode_field(e->ref))
            return "the ref is empty or badly encoded";
    } else if (!strcmp(fields[0], "archive") || !strcmp(fields[0], "file")) {
        e->file = *fields[0] == 'f';
        if (n != 3)
            return e->file ? "a file line is: file <url> sha256=<hex>"
                           : "an archive line is: archive <url> sha256=<hex>";
        e->url = fields[1];
        e->sha256 = value_of(fields[2], "sha256");
        if (!e->sha256 || !digest_is_hex(e->sha256))
            return "sha256= must be 64 hex digits";
    } else {
        return "a line begins with git, archive, file or #";
    }
    return decode_field(e->url) ? NULL : "the url is empty or badly encoded";
}

static const char *add_line(struct lock *l, char *line, struct buf *comments)
{
    if (!*line)
        return NULL;
    if (*line == '#') {
        buf_printf(comments, "%s\n", line);
        return NULL;
    }
    struct lock_entry e;
    const char *wrong = parse_line(line, &e);
    if (wrong)
        return wrong;
    const struct lock_entry *old = lock_find(l, e.url, e.ref);
    if (old)
        return same_content(old, &e) ? NULL
                                     : "this contradicts an earlier line for the same source";
    struct lock_entry owned = {
        http_url_kept(e.url), copy_text(e.ref), copy_text(e.commit), copy_text(e.tree),
        copy_text(e.sha256),  e.file,           LOCK_SAVED};
    insert_entry(l, owned);
    return NULL;
}

static int parse_lock(struct lock *l, struct buf *text, struct error **err)
{
    cleanup_buf struct buf comments = {0};
    size_t number = 0;
    char *first = text->data;
    if (text->len >= 3 && memcmp(first, "\xef\xbb\xbf", 3) == 0)
        first += 3; // Windows editors put a byte order mark before UTF-8
    for (char *p = first, *end = text->data + text->len; p < end;) {
        char *stop = memchr(p, '\n', (size_t)(end - p));
        if (!stop)
            stop = end;
        *stop = '\0';
        number++;
        char *end_of_text = stop > p && stop[-1] == '\r' ? stop - 1 : stop; // CR LF
        *end_of_text = '\0';
        const char *wrong =
            strlen(p) != (size_t)(end_of_text - p) ? "a NUL character" : add_line(l, p, &comments);
        if (wrong) {
            error_user(err, "%s:%zu: %s", l->path, number, wrong);
            error_place(err, l->path, number, 0);
            error_hint(err, "correct the line, or remove it to have the source looked up again");
            return -1;
        }
        p = stop + 1;
    }
    if (comments.len) {
        free(l->comments);
        l->comments = buf_take(&comments);
    }
    return 0;
}

// The target of a link, also if it does not exist yet; to be freed. The file is replaced there, so
// that the link remains.
static char *resolve_links(const char *path)
{
    char *at = path_absolute(path), target[PATH_MAX];
    for (int hops = 0; hops < 40; hops++) {
        ssize_t n = readlink(at, target, sizeof target - 1);
        if (n <= 0)
            break;
        target[n] = '\0';
        size_t folder = (size_t)(path_base(at) - at);
        char *next =
            *target == '/' ? xstrdup(target) : xasprintf("%.*s%s", (int)folder, at, target);
        free(at);
        at = next;
    }
    return at;
}

static int read_lock_file(struct lock *l, const char *file, struct error **err)
{
    cleanup_buf struct buf text = {0};
    if (access(file, F_OK) < 0 && errno == ENOENT)
        return 0;
    return file_read(file, MAX_BYTES, &text, err) < 0 ? -1 : parse_lock(l, &text, err);
}

static struct lock *load_lock(const char *path, const char *base, struct error **err)
{
    struct lock *l = xcalloc(1, sizeof *l);
    l->path = xstrdup(path);
    l->file = resolve_links(path);
    l->base = copy_text(base);
    if ((base && read_lock_file(l, base, err) < 0) || read_lock_file(l, l->file, err) < 0) {
        lock_free(l);
        return NULL;
    }
    return l;
}

struct lock *lock_load(const char *path, struct error **err)
{
    return load_lock(path, NULL, err);
}

static bool can_write(const char *path)
{
    cleanup_free char *file = resolve_links(path);
    cleanup_free char *folder = xstrndup(file, (size_t)(path_base(file) - file));
    return access(folder, W_OK) == 0 && (access(file, W_OK) == 0 || errno == ENOENT);
}

// The path in the user's directory; to be freed, or NULL if there is none.
static char *user_lock_path(const char *versions)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    cleanup_free char *absolute = realpath(versions, NULL);
    char hex[DIGEST_HEX_SIZE];
    if (!absolute || ((!state || *state != '/') && (!home || *home != '/')))
        return NULL;
    digest_bytes(absolute, strlen(absolute), hex);
    return state && *state == '/'
               ? xasprintf("%s/kbuild/locks/versions-%.16s.lock", state, hex)
               : xasprintf("%s/.local/state/kbuild/locks/versions-%.16s.lock", home, hex);
}

struct lock *lock_open(const char *versions, bool installed, struct error **err)
{
    size_t n = strlen(versions);
    if (ends_with(versions, ".yaml"))
        n -= strlen(".yaml");
    cleanup_free char *beside = xasprintf("%.*s.lock", (int)n, versions);
    cleanup_free char *own = can_write(beside) && !installed ? NULL : user_lock_path(versions);
    return own ? load_lock(own, beside, err) : load_lock(beside, NULL, err);
}

// ---- writing ----

void lock_print(const struct lock *l, struct buf *out)
{
    buf_puts(out, l->comments ? l->comments : heading);
    for (size_t i = 0; i < l->n; i++) {
        const struct lock_entry *e = &l->entries[i];
        buf_puts(out, e->ref ? "git " : e->file ? "file " : "archive ");
        encode_field(out, e->url);
        if (e->ref) {
            buf_puts(out, " ");
            encode_field(out, e->ref);
            buf_printf(out, " commit=%s tree=%s\n", e->commit, e->tree);
        } else {
            buf_printf(out, " sha256=%s\n", e->sha256);
        }
    }
}

// Merges the entries of this run into the current file.
static int merge_entries(struct lock *now, const struct lock *ours, struct error **err)
{
    for (size_t i = 0; i < ours->n; i++) {
        const struct lock_entry *e = &ours->entries[i];
        const struct lock_entry *theirs = lock_find(now, e->url, e->ref);
        if (e->state == LOCK_SAVED)
            continue;
        if (e->state == LOCK_ADDED && theirs && !same_content(theirs, e)) {
            error_user(err,
                       "%s: another kbuild has meanwhile recorded %s%s%s as %s, but this one "
                       "used %s",
                       ours->path, e->url, e->ref ? " " : "", e->ref ? e->ref : "",
                       theirs->ref ? theirs->commit : theirs->sha256,
                       e->ref ? e->commit : e->sha256);
            error_hint(err, "the source changed just now: run kbuild again, and it will use the "
                            "recorded one");
            return -1;
        }
        lock_put(now, e);
    }
    return 0;
}

// The current file, to be changed; *fd holds the lock. NULL on failure.
static struct lock *begin_change(const struct lock *l, int *fd, struct error **err)
{
    if (l->base && !path_exists(l->file)) {
        if (make_parent(l->file, err) < 0)
            return NULL;
        log_note("%s %s: new entries are written to %s", l->base,
                 can_write(l->base) ? "belongs to the installation" : "cannot be written", l->path);
    }
    *fd = file_lock_parent(l->file, err);
    struct lock *now = *fd < 0 ? NULL : load_lock(l->path, NULL, err);
    if (!now)
        error_wrap(err, "writing %s", l->path);
    return now;
}

// Rejects a file that kbuild could not read again.
static int write_lock(const struct lock *l, struct error **err)
{
    cleanup_buf struct buf text = {0};
    lock_print(l, &text);
    if (text.len > MAX_BYTES) {
        error_user(err, "%s was not changed: it would have %zu bytes, and the limit is %zu bytes",
                   l->path, text.len, MAX_BYTES);
        return error_hint(
            err, "remove lines that no recipe needs any more. Of a list source (docs/sources.md, "
                 "Lists), entries that name their SHA-256 (`archive`) add no line, and "
                 "`file` entries that begin with a purl add short ones");
    }
    return file_write(l->file, text.data, text.len, 0644, err);
}

int lock_save(struct lock *l, struct error **err)
{
    if (!l->changed)
        return 0;
    cleanup_close int fd = -1;
    struct lock *now = begin_change(l, &fd, err);
    if (!now)
        return -1;
    int result = merge_entries(now, l, err);
    if (!result && now->changed)
        result = write_lock(now, err);
    if (!result) // from now on this lock equals the file
        for (size_t i = 0; i < now->n; i++)
            lock_put(l, &now->entries[i]);
    for (size_t i = 0; !result && i < l->n; i++)
        l->entries[i].state = LOCK_SAVED;
    l->changed = result != 0;
    lock_free(now);
    return result;
}

static void remove_entry(struct lock *l, const char *url, const char *ref)
{
    bool found;
    cleanup_free char *kept = http_url_kept(url);
    size_t i = find_index(l, kept, ref, &found);
    if (!found)
        return;
    lock_entry_free(&l->entries[i]);
    memmove(&l->entries[i], &l->entries[i + 1], (l->n - i - 1) * sizeof *l->entries);
    l->n--;
}

int lock_remove(struct lock *l, const char *url, const char *ref, struct error **err)
{
    const struct lock_entry *ours = lock_find(l, url, ref);
    if (!ours)
        return 0;
    cleanup_close int fd = -1;
    struct lock *now = begin_change(l, &fd, err);
    if (!now)
        return -1;
    const struct lock_entry *theirs = lock_find(now, url, ref);
    int result = 0;
    if (theirs && same_content(theirs, ours)) {
        remove_entry(now, url, ref);
        result = write_lock(now, err);
    }
    lock_free(now);
    remove_entry(l, url, ref);
    return result;
}

// The number of the line in the file, or 0.
static size_t line_of(const char *file, const char *url, const char *ref)
{
    cleanup_buf struct buf text = {0};
    cleanup_free char *kept = http_url_kept(url);
    if (file_read(file, MAX_BYTES, &text, NULL) < 0)
        return 0;
    size_t number = 0;
    for (char *p = text.data, *line; p && (line = strsep(&p, "\n"));) {
        struct lock_entry e;
        number++;
        line[strcspn(line, "\r")] = '\0';
        if (*line && *line != '#' && !parse_line(line, &e) && !compare_source(kept, ref, &e))
            return number;
    }
    return 0;
}

int lock_hint(const struct lock *l, const char *url, const char *ref, struct error **err)
{
    const char *const files[] = {l->file, l->base};
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        size_t line = files[i] && path_exists(files[i]) ? line_of(files[i], url, ref) : 0;
        if (line)
            return error_hint(err,
                              "line %zu of %s pins it: remove that line to have it looked up again",
                              line, i ? l->base : l->path);
    }
    return -1;
}

void lock_hint_append(const struct lock *l, const char *url, const char *ref, struct error **err)
{
    cleanup_free char *other = steal((*err)->hint);
    lock_hint(l, url, ref, err);
    cleanup_free char *line = steal((*err)->hint);
    if (line || other)
        error_hint(err, "%s%s%s", other ? other : "", other && line ? "; " : "", line ? line : "");
}
