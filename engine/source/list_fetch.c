// SPDX-License-Identifier: Apache-2.0
// Fetches the files of a list, and lays them out as a tree.
#include "source/list.h"

#include "base/error.h"
#include "source/download.h"
#include "source/git_internal.h"
#include "source/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define FILE_MAX_BYTES ((uint64_t)64 << 30)
#define NAMED_MAX 10 // missing files in a message

struct list_fetch {
    const struct list *list;
    const char *label;
    const struct source_options *o;
    const char *destination;
    char (*digests)[DIGEST_HEX_SIZE]; // of each line's file, "" while unknown
    struct download_item *items;      // the downloads
    const char **urls;                // URLs of the downloads
    size_t *lines;                    // lines of the downloads
    size_t n;
};

static bool line_is_file(const struct list_line *l)
{
    return l->kind == LIST_ARCHIVE || l->kind == LIST_FILE;
}

// ---- files that are here ----

// The digest in the line or in versions.lock; or NULL.
static const char *known_line_digest(const struct list_fetch *f, const struct list_line *l)
{
    if (l->digest)
        return l->digest;
    const struct lock_entry *entry = f->o->lock ? lock_find(f->o->lock, l->canonical, NULL) : NULL;
    return entry ? entry->sha256 : NULL;
}

static int refuse_unknown(const struct list_fetch *f, const struct list_line *l, struct error **err)
{
    cleanup_free char *what = xasprintf("the file %s", l->canonical);
    return refuse_unlocked(f->o, what, err);
}

// Mirrors first, the canonical address last.
static void add_download_item(struct list_fetch *f, size_t line, const char *sha256)
{
    const struct list_line *l = &f->list->items[line];
    struct download_item *p = &f->items[f->n];
    size_t first =
        f->n ? (size_t)(f->items[f->n - 1].urls - f->urls) + f->items[f->n - 1].url_count : 0;
    *p = (struct download_item){
        .name = l->name, .urls = f->urls + first, .sha256 = sha256, .max_bytes = FILE_MAX_BYTES};
    for (size_t i = 1; i < l->urls.n; i++)
        f->urls[first + p->url_count++] = l->urls.items[i];
    if (!l->elsewhere)
        f->urls[first + p->url_count++] = l->urls.items[0];
    f->lines[f->n++] = line;
}

static int find_missing(struct list_fetch *f, struct error **err)
{
    size_t urls = 0;
    for (size_t i = 0; i < f->list->n; i++)
        urls += f->list->items[i].urls.n;
    f->digests = xcalloc(f->list->n + 1, sizeof *f->digests);
    f->items = xcalloc(f->list->n + 1, sizeof *f->items);
    f->lines = xcalloc(f->list->n + 1, sizeof *f->lines);
    f->urls = xcalloc(urls + 1, sizeof *f->urls);
    for (size_t i = 0; i < f->list->n; i++) {
        const struct list_line *l = &f->list->items[i];
        if (!line_is_file(l))
            continue;
        const char *digest = known_line_digest(f, l);
        if (!digest && f->o->locked)
            return refuse_unknown(f, l, err);
        int has = digest ? store_has_blob(f->o->store, digest, err) : 0;
        if (has < 0)
            return -1;
        if (has)
            memcpy(f->digests[i], digest, DIGEST_HEX_SIZE);
        else
            add_download_item(f, i, digest);
    }
    return 0;
}

// ---- missing files ----

static int open_mirror(const struct list_fetch *f, const struct list_line *l, struct mirror *m,
                       struct error **err)
{
    return mirror_open(f->o->store, l->urls.items[0], f->label, false, m, err);
}

// 1: the store has the commit of a git line.
static int has_commit(const struct list_fetch *f, const struct list_line *l, struct error **err)
{
    cleanup_mirror struct mirror m = MIRROR_NONE;
    int found = open_mirror(f, l, &m, err);
    return found <= 0 ? found : mirror_has_commit(&m, l->digest);
}

// "a, b, c, and 12 more"; to be freed.
static char *first_names(const struct strlist *names)
{
    cleanup_strlist struct strlist first = {0};
    for (size_t i = 0; i < names->n && i < NAMED_MAX; i++)
        strlist_add(&first, names->items[i]);
    cleanup_free char *text = strlist_join(&first, ", ");
    return names->n > NAMED_MAX ? xasprintf("%s, and %zu more", text, names->n - NAMED_MAX)
                                : steal(text);
}

static int check_offline(const struct list_fetch *f, struct error **err)
{
    cleanup_strlist struct strlist missing = {0};
    if (!f->o->offline)
        return 0;
    for (size_t i = 0; i < f->n; i++)
        strlist_add(&missing, f->items[i].name);
    for (size_t i = 0; i < f->list->n; i++) {
        const struct list_line *l = &f->list->items[i];
        int has = l->kind == LIST_GIT ? has_commit(f, l, err) : 1;
        if (has < 0)
            return -1;
        if (!has)
            strlist_add(&missing, l->name);
    }
    if (!missing.n)
        return 0;
    cleanup_free char *names = first_names(&missing);
    error_user(err,
               "%zu of its %zu files and trees are not in the cache, and --offline forbids "
               "downloading them: %s",
               missing.n, f->list->n, names);
    return error_hint(err, "run `kbuild fetch` once with the network");
}

static int hint_failed(const struct list_fetch *f, const struct download_item *p, bool missing,
                       struct error **err)
{
    const struct list_line *l = &f->list->items[f->lines[p - f->items]];
    if (missing)
        return error_hint(err,
                          "no server has it any more, or the address is wrong: a file that was "
                          "withdrawn can come from a mirror that kept it (docs/sources.md, "
                          "Lists), or the list has to name another version");
    if (p->status == 403)
        return error_hint(err,
                          "the server requires a login (~/.netrc), or does not have the file: a "
                          "mirror may have kept it (docs/sources.md, Lists), or the list has to "
                          "name another version");
    if (l->kind == LIST_FILE && p->sha256 && f->o->lock)
        lock_hint(f->o->lock, l->canonical, NULL, err);
    if ((*err)->hint)
        return -1;
    return error_hint(err, "check the network and the proxy settings (https_proxy). What was "
                           "downloaded is kept: the next run resumes there");
}

// Files for which the list has no URL that may be requested.
static int check_requestable(const struct list_fetch *f, struct error **err)
{
    cleanup_strlist struct strlist missing = {0};
    for (size_t i = 0; i < f->n; i++)
        if (!f->items[i].url_count)
            strlist_add(&missing, f->items[i].name);
    if (!missing.n)
        return 0;
    cleanup_free char *names = first_names(&missing);
    error_user(err,
               "%zu of its %zu files and trees are not in the cache, and the settings of this "
               "machine allow "
               "no server for them: %s",
               missing.n, f->list->n, names);
    return error_hint(
        err, "the script's notes, above or in the log (kbuild log), say which setting that is");
}

// All failures, as one error.
static int report_failures(const struct list_fetch *f, struct error **err)
{
    cleanup_strlist struct strlist names = {0};
    struct download_item *first = NULL;
    size_t had = 0;
    bool missing = false;
    for (size_t i = 0; i < f->n; i++) {
        struct download_item *p = &f->items[i];
        had += *p->digest != '\0';
        if (!p->why)
            continue;
        first = first ? first : p;
        missing |= p->missing;
        strlist_add(&names, p->name);
    }
    if (!first)
        return had == f->n
                   ? 0
                   : error_user(err, "%zu files were not downloaded, and no server said why",
                                f->n - had);
    *err = steal(first->why);
    if (names.n == 1) {
        error_wrap(err, "%s", first->name);
    } else {
        cleanup_free char *all = first_names(&names);
        error_wrap(err, "%zu files could not be downloaded: %s. The first: %s", names.n, all,
                   first->name);
    }
    return hint_failed(f, first, missing, err);
}

static int download_missing(struct list_fetch *f, struct error **err)
{
    const struct downloads d = {
        .store = f->o->store, .label = f->label, .items = f->items, .n = f->n};
    int result = downloads_run(&d, err);
    if (result == 0)
        result = report_failures(f, err);
    for (size_t i = 0; i < f->n; i++) {
        error_free(steal(f->items[i].why));
        memcpy(f->digests[f->lines[i]], f->items[i].digest, DIGEST_HEX_SIZE);
    }
    return result;
}

static void note_new_pins(const struct list_fetch *f)
{
    size_t fresh = 0;
    for (size_t i = 0; i < f->n; i++)
        fresh += !f->items[i].sha256;
    if (fresh)
        log_warning("%s: no SHA-256 is known for %zu of its files; what came is "
                    "trusted from now on, and goes into versions.lock",
                    f->label, fresh);
}

// ---- the tree ----

static json_t *provenance_entry(const struct list_line *l, const char *digest)
{
    static const char *const words[] = {
        [LIST_ARCHIVE] = "archive", [LIST_FILE] = "file", [LIST_GIT] = "git"};
    return json_pack("{s:s, s:s, s:s, s:s, s:s*}", "kind", words[l->kind], "name", l->name, "url",
                     l->canonical, l->kind == LIST_GIT ? "commit" : "sha256", digest, "purl",
                     l->purl);
}

// Sets the common time of all files on the blob: it may have been stored for another use.
static int set_blob_time(const struct list_fetch *f, const char *digest, struct error **err)
{
    cleanup_free char *path = store_blob_path(f->o->store, digest);
    static const struct timespec times[2] = {{.tv_sec = LIST_FILE_TIME},
                                             {.tv_sec = LIST_FILE_TIME}};
    struct stat st;
    if (lstat(path, &st) == 0 && st.st_mtim.tv_sec == LIST_FILE_TIME && !st.st_mtim.tv_nsec)
        return 0;
    if (utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW) < 0)
        return error_errno(err, errno, "setting the time of %s", path);
    return 0;
}

static int place_file(const struct list_fetch *f, const struct list_line *l, const char *digest,
                      struct error **err)
{
    cleanup_free char *path = xasprintf("%s/%s", f->destination, l->name);
    if (set_blob_time(f, digest, err) < 0 || store_restore_blob(f->o->store, digest, path, err) < 0)
        return -1;
    return set_folder_time(path, LIST_FILE_TIME, err); // a copy, if links are not possible
}

static int place_tree(const struct list_fetch *f, const struct list_line *l, struct error **err)
{
    cleanup_free char *path = xasprintf("%s/%s", f->destination, l->name);
    cleanup_free char *label = xasprintf("%s: %s", f->label, l->name);
    const struct source_spec spec = {
        .kind = SOURCE_GIT, .label = label, .url = l->urls.items[0], .submodules = SUBMODULES_NO};
    const struct source_pin pin = {.commit = l->digest};
    json_auto_t *provenance = json_object();
    bool unusable = false;
    if (make_directories(path, 0755, err) < 0 ||
        git_source_fetch(&spec, &pin, f->o, path, provenance, &unusable, err) < 0)
        return error_wrap(err, "%s", l->name);
    return 0;
}

static int place_entries(const struct list_fetch *f, json_t *entries, struct error **err)
{
    for (size_t i = 0; i < f->list->n; i++) {
        const struct list_line *l = &f->list->items[i];
        if (l->kind == LIST_ASK)
            continue;
        const char *digest = l->kind == LIST_GIT ? l->digest : f->digests[i];
        if ((l->kind == LIST_GIT ? place_tree(f, l, err) : place_file(f, l, digest, err)) < 0)
            return -1;
        json_array_append_new(entries, provenance_entry(l, digest));
        progress("files laid out", i + 1, f->list->n, "files");
    }
    return 0;
}

// Sets the same time on the folders of the names.
static int set_folder_times(const struct list_fetch *f, struct error **err)
{
    for (size_t i = 0; i < f->list->n; i++) {
        const struct list_line *l = &f->list->items[i];
        cleanup_free char *path = xasprintf("%s/%s", f->destination, l->name);
        char *slash = l->kind == LIST_ASK ? NULL : strrchr(path, '/');
        for (; slash >= path + strlen(f->destination); slash = strrchr(path, '/')) {
            *slash = '\0';
            if (set_folder_time(path, LIST_FILE_TIME, err) < 0)
                return -1;
        }
    }
    return 0;
}

static void list_fetching_free(struct list_fetch *f)
{
    free(f->digests);
    free(f->items);
    free(f->urls);
    free(f->lines);
}

int list_fetch(const struct list *l, const char *label, const struct source_options *o,
               const char *destination, json_t **entries, struct error **err)
{
    struct list_fetch f = {.list = l, .label = label, .o = o, .destination = destination};
    json_auto_t *list = json_array();
    int result = find_missing(&f, err);
    if (result == 0)
        result = check_offline(&f, err);
    if (result == 0)
        result = check_requestable(&f, err);
    if (result == 0)
        result = download_missing(&f, err);
    if (result == 0) {
        note_new_pins(&f);
        result = place_entries(&f, list, err);
    }
    if (result == 0)
        result = set_folder_times(&f, err);
    list_fetching_free(&f);
    if (result == 0)
        *entries = steal(list);
    return result;
}

// ---- answers ----

static void answer_key(const char *url, char key[static DIGEST_HEX_SIZE])
{
    cleanup_free char *text = xasprintf("kbuild answer 1\n%s\n", url);
    digest_bytes(text, strlen(text), key);
}

// The last answer is kept for --offline: there it can only lead to files that are here.
static int recall_answer(const struct source_options *o, const char *url, struct buf *out,
                         struct error **err)
{
    char key[DIGEST_HEX_SIZE];
    answer_key(url, key);
    json_auto_t *record = NULL;
    if (store_action_get(o->store, key, &record, err) < 0)
        return -1;
    const char *digest = json_string_value(
        json_object_get(json_array_get(json_object_get(record, "outputs"), 0), "digest"));
    int has = digest && digest_is_hex(digest) ? store_has_blob(o->store, digest, err) : 0;
    if (has < 0)
        return -1;
    if (!has) {
        cleanup_free char *shown = http_url_shown(url);
        return refuse_offline(shown, err);
    }
    cleanup_close int fd = store_open_blob(o->store, digest, err);
    return fd < 0 || fd_read_all(fd, "an answer", LIST_ANSWER_MAX, out, err) < 0 ? -1 : 1;
}

static int keep_answer(const struct source_options *o, const char *url, const char *digest,
                       size_t size, struct error **err)
{
    char key[DIGEST_HEX_SIZE];
    answer_key(url, key);
    json_auto_t *record = json_pack("{s:[{s:s, s:s, s:s, s:I}]}", "outputs", "name", "answer",
                                    "digest", digest, "kind", "blob", "size", (json_int_t)size);
    return store_action_put(o->store, key, record, err);
}

int list_answer(const struct list_line *ask, const char *label, const struct source_options *o,
                struct buf *out, struct error **err)
{
    const char *url = ask->urls.items[0];
    if (o->offline)
        return recall_answer(o, url, out, err);
    struct download_item p = {
        .name = ask->name, .urls = &url, .url_count = 1, .max_bytes = LIST_ANSWER_MAX};
    const struct downloads d = {.store = o->store, .label = label, .items = &p, .n = 1};
    if (downloads_run(&d, err) < 0)
        return -1;
    if (p.why && p.missing) {
        error_free(p.why);
        return 0;
    }
    if (p.why) {
        *err = p.why;
        return error_wrap(err, "%s", ask->name);
    }
    cleanup_close int fd = store_open_blob(o->store, p.digest, err);
    if (fd < 0 || fd_read_all(fd, "an answer", LIST_ANSWER_MAX, out, err) < 0 ||
        keep_answer(o, url, p.digest, out->len, err) < 0)
        return -1;
    return 1;
}

// ---- pins ----

enum list_pins list_pins_compare(const json_t *entries, const struct lock *lock)
{
    enum list_pins result = LIST_PINS_HOLD;
    for (size_t i = 0; i < json_array_size(entries); i++) {
        const json_t *e = json_array_get(entries, i);
        const char *kind = json_string_value(json_object_get(e, "kind"));
        const char *url = json_string_value(json_object_get(e, "url"));
        const char *digest = json_string_value(json_object_get(e, "sha256"));
        if (!kind || strcmp(kind, "file") != 0)
            continue;
        if (!url || !digest || !digest_is_hex(digest))
            return LIST_PINS_OTHER;
        const struct lock_entry *line = lock_find(lock, url, NULL);
        if (line && strcmp(line->sha256, digest) != 0)
            return LIST_PINS_OTHER;
        if (!line)
            result = LIST_PINS_NEW;
    }
    return result;
}

void list_pins_put(const json_t *entries, struct lock *lock)
{
    for (size_t i = 0; i < json_array_size(entries); i++) {
        const json_t *e = json_array_get(entries, i);
        const char *kind = json_string_value(json_object_get(e, "kind"));
        const char *url = json_string_value(json_object_get(e, "url"));
        const char *digest = json_string_value(json_object_get(e, "sha256"));
        if (kind && !strcmp(kind, "file") && url && digest && digest_is_hex(digest))
            lock_put(lock, &(struct lock_entry){
                               .url = (char *)url, .sha256 = (char *)digest, .file = true});
    }
}
