// SPDX-License-Identifier: Apache-2.0
// Checkpoints: the work of a step that stopped between two phases. The record, builddir.json:
//
//   {"target", "architecture", "phase": the last one that is done, or "", "key_text",
//    "content": digest of both folders, or absent, "edited": bool}
//
// It is written before anything else, and before each phase without "content": folders without it
// were made by a run that did not end. So after a kill or a full disk at any moment the next
// --until can replace the folders. A run that is interrupted regularly records the content, and
// later changes by hand are detected.
#include "run/internal.h"

#include "base/error.h"
#include "base/file.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static struct checkpoint *checkpoint_new(struct build *b, const struct node *node)
{
    struct checkpoint *w = xcalloc(1, sizeof *w);
    const char *target = job_of(node)->recipe->name;
    w->shown = xasprintf("%s/%s/builddir", b->options.output, target);
    w->builddir = path_absolute(w->shown);
    w->destdir = xasprintf("%.*sdestdir", (int)(path_base(w->builddir) - w->builddir), w->builddir);
    w->record = xasprintf("%s.json", w->builddir);
    return w;
}

void checkpoint_free(struct checkpoint *w)
{
    if (!w)
        return;
    free(w->builddir);
    free(w->destdir);
    free(w->record);
    free(w->shown);
    free(w->key_text);
    free(w->content);
    free(w->lines);
    free(w->listing_digest);
    free(w);
}

// ---- the record ----

static char *copy_member(const json_t *record, const char *name)
{
    const char *text = json_string_value(json_object_get(record, name));
    return text ? xstrdup(text) : NULL;
}

static int read_record(const struct node *node, struct checkpoint *w, const json_t *record,
                       struct error **err)
{
    const struct recipe *r = job_of(node)->recipe;
    const char *phase = json_string_value(json_object_get(record, "phase"));
    w->key_text = copy_member(record, "key_text");
    w->content = copy_member(record, "content");
    w->edited = json_is_true(json_object_get(record, "edited"));
    if (!phase || !w->key_text)
        return error_user(err, "it is not what kbuild wrote");
    for (size_t i = 0; i < r->phase_count; i++)
        if (!strcmp(r->phases[i].name, phase))
            w->reached = i + 1;
    return 0;
}

// The folders are resumed only if this user's kbuild or this user made them: nobody else could
// write there, and no link leads elsewhere.
static int check_folders(struct build *b, const struct node *node, struct error **err)
{
    const char *target = job_of(node)->recipe->name, *const names[] = {"builddir", "destdir"};
    cleanup_free char *shown = xasprintf("%s/%s", b->options.output, target);
    int output = output_folder(b, err);
    cleanup_close int folder =
        output < 0 ? -1
                   : folder_open_at(output, target, shown, "directory", FOLDER_OWNER_WRITABLE, err);
    if (folder < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct stat st;
        if (fstatat(folder, names[i], &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
            continue; // a run ended before making it
        if (fstatat(folder, names[i], &st, AT_SYMLINK_NOFOLLOW) < 0)
            return error_errno(err, errno, "opening %s/%s", shown, names[i]);
        if (S_ISDIR(st.st_mode) && owner_is_trusted(st.st_uid))
            continue;
        cleanup_free char *owner = owner_name(st.st_uid);
        if (S_ISDIR(st.st_mode))
            error_user(err, "%s/%s belongs to %s", shown, names[i], owner);
        else
            error_user(err, "%s/%s is not a real directory", shown, names[i]);
        return error_hint(err, "remove %s and begin again", shown);
    }
    return 0;
}

int checkpoint_load(struct build *b, const struct node *node, struct checkpoint **out,
                    struct error **err)
{
    struct checkpoint *w = checkpoint_new(b, node);
    cleanup_buf struct buf text = {0};
    int result = path_exists(w->record) && is_directory(w->builddir) ? 1 : 0;
    if (result && check_folders(b, node, err) < 0) {
        checkpoint_free(w);
        return -1;
    }
    if (result && (result = file_read(w->record, 1 << 24, &text, err)) == 0) {
        json_t *record = json_loadb(text.data ? text.data : "", text.len, 0, NULL);
        result = read_record(node, w, record, err);
        json_decref(record);
        if (result < 0) {
            error_wrap(err, "reading %s", w->record);
            error_hint(err, "remove %s and begin again", w->shown);
        } else {
            result = 1;
        }
    }
    if (result <= 0)
        checkpoint_free(w);
    else
        *out = w;
    return result;
}

int checkpoint_save(const struct node *node, const struct checkpoint *w, struct error **err)
{
    const struct job *job = job_of(node);
    const char *phase = w->reached ? job->recipe->phases[w->reached - 1].name : "";
    json_t *record = json_pack("{s:s, s:s, s:s, s:s, s:s*, s:b}", "target", job->recipe->name,
                               "architecture", job->target->name, "phase", phase, "key_text",
                               w->key_text, "content", w->content, "edited", w->edited);
    cleanup_free char *dump = json_dumps(record, JSON_INDENT(2));
    cleanup_free char *text = xasprintf("%s\n", dump ? dump : "");
    json_decref(record);
    return file_write(w->record, text, strlen(text), 0644, err);
}

int checkpoint_check(const struct node *node, const struct checkpoint *w, const char *key_text,
                     struct error **err)
{
    if (!strcmp(w->key_text, key_text))
        return 0;
    const char *target = job_of(node)->recipe->name;
    cleanup_buf struct buf change = {0};
    graph_explain_change(w->key_text, key_text, &change);
    error_user(err, "%s was made from other inputs than %s has now; this has changed since:\n%s",
               w->shown, target, change.data ? change.data : "");
    size_t end = strlen((*err)->message);
    while (end && (*err)->message[end - 1] == '\n')
        (*err)->message[--end] = '\0';
    return error_hint(err,
                      "undo that; or keep your changes elsewhere, remove %s, and begin again "
                      "with --until",
                      w->shown);
}

// ---- the content ----

static int list_tree(const char *path, struct buf *listing, struct error **err)
{
    static const struct tree_options as_it_is = {.adopt = false};
    return tree_list(path, &as_it_is, listing, err);
}

int checkpoint_content(const struct checkpoint *w, char **digest, struct error **err)
{
    cleanup_buf struct buf listing = {0};
    char hex[DIGEST_HEX_SIZE];
    if (list_tree(w->builddir, &listing, err) < 0 || list_tree(w->destdir, &listing, err) < 0)
        return -1;
    digest_bytes(listing.data, listing.len, hex);
    free(*digest);
    *digest = xstrdup(hex);
    return 0;
}

// One line a file, "<seconds>.<nanoseconds> <name>", in the listing's order.
static int add_times(const char *folder, const struct buf *listing, struct buf *times,
                     struct error **err)
{
    cleanup_tree_reader struct tree_reader reader = {.text = listing->data, .length = listing->len};
    int more;
    while ((more = tree_next(&reader, err)) > 0) {
        const struct tree_entry *e = &reader.entry;
        cleanup_free char *path = xasprintf("%s/%s", folder, e->path);
        struct stat st;
        if (e->kind != TREE_FILE && e->kind != TREE_EXECUTABLE)
            continue;
        if (lstat(path, &st) < 0)
            return error_errno(err, errno, "reading %s", path);
        buf_printf(times, "%lld.%09ld %s\n", (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
                   e->path);
    }
    return more;
}

// The key lines, and the digest that identifies the same content in a copy.
static int describe(const struct node *node, struct checkpoint *w, struct error **err)
{
    const struct {
        const char *name, *path;
    } folders[] = {{"builddir", w->builddir}, {"destdir", w->destdir}};
    const struct recipe *r = job_of(node)->recipe;
    cleanup_buf struct buf lines = {0}, times = {0}, both = {0};
    char hex[DIGEST_HEX_SIZE];
    buf_printf(&lines, "work after %s\n", w->reached ? r->phases[w->reached - 1].name : "nothing");
    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        cleanup_buf struct buf listing = {0};
        if (list_tree(folders[i].path, &listing, err) < 0 ||
            add_times(folders[i].path, &listing, &times, err) < 0)
            return -1;
        digest_bytes(listing.data, listing.len, hex);
        buf_printf(&lines, "work %s %s\n", folders[i].name, hex);
        buf_add(&both, listing.data, listing.len);
    }
    digest_bytes(times.data ? times.data : "", times.len, hex);
    buf_printf(&lines, "work times %s\n", hex);
    w->lines = buf_take(&lines);
    digest_bytes(both.data, both.len, hex);
    w->listing_digest = xstrdup(hex);
    return 0;
}

// ---- begin and resume ----

// An error if the folders have changes by hand. Remains of a killed run are kbuild's own.
static int check_untouched(const struct node *node, struct checkpoint *w, struct error **err)
{
    cleanup_free char *now = NULL;
    if (!w->edited && !w->content) {
        log_note("%s was left by a run that did not end; it is made again", w->shown);
        return 0;
    }
    if (!w->edited && checkpoint_content(w, &now, err) < 0)
        return -1;
    if (w->edited || strcmp(w->content, now) != 0) {
        error_user(err, "%s has changes that would be lost", w->shown);
        return error_hint(err, "resume from it with `kbuild %s --continue`, or remove it",
                          job_of(node)->recipe->name);
    }
    return 0;
}

int checkpoint_strip(const struct checkpoint *w, struct error **err)
{
    const char *const folders[] = {w->builddir, w->destdir};
    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        cleanup_close int fd = beneath_open_owned(AT_FDCWD, folders[i]);
        if (fd < 0)
            return error_errno(err, errno, "opening %s", folders[i]);
        if (beneath_strip(fd, folders[i], err) < 0)
            return -1;
    }
    return 0;
}

// kbuild may replace the folders if there is a record, in any state; the record is written first,
// so that this is always true.
static int recreate_folders(const struct node *node, const struct checkpoint *w, struct error **err)
{
    if (!path_exists(w->record) && (path_exists(w->builddir) || path_exists(w->destdir))) {
        error_user(err, "%s is there already, and kbuild did not make it",
                   path_exists(w->builddir) ? w->shown : w->destdir);
        return error_hint(err, "remove it, or name another output directory with -o");
    }
    if (checkpoint_save(node, w, err) < 0 || remove_tree(w->builddir, err) < 0 ||
        remove_tree(w->destdir, err) < 0 || make_directories(w->builddir, 0755, err) < 0)
        return -1;
    return make_directories(w->destdir, 0755, err);
}

struct checkpoint *checkpoint_begin(struct build *b, const struct node *node, struct error **err)
{
    struct checkpoint *old = NULL;
    cleanup_close int folder = output_subfolder(b, job_of(node)->recipe->name, err);
    // Nobody else may enter it: it may hold a setuid program until it is stripped.
    if (folder >= 0 && fchmod(folder, 0700) < 0) {
        error_errno(err, errno, "making the directory of %s private", job_of(node)->recipe->name);
        return NULL;
    }
    int found = folder < 0 ? -1 : checkpoint_load(b, node, &old, err);
    int result = found < 0 ? -1 : found ? check_untouched(node, old, err) : 0;
    checkpoint_free(old);
    if (result < 0)
        return NULL;
    struct checkpoint *w = checkpoint_new(b, node);
    w->key_text = xstrdup(node->key_text);
    if (recreate_folders(node, w, err) == 0)
        return w;
    checkpoint_free(w);
    return NULL;
}

void checkpoint_record_content(struct build *b, const struct node *node)
{
    struct checkpoint *w = NULL;
    if (checkpoint_load(b, node, &w, NULL) > 0 && !w->content &&
        checkpoint_content(w, &w->content, NULL) == 0)
        checkpoint_save(node, w, NULL);
    checkpoint_free(w);
}

int checkpoint_resume(struct build *b, struct node *node, struct error **err)
{
    struct job *job = job_of(node);
    if (!job->checkpoint) {
        int found = checkpoint_load(b, node, &job->checkpoint, err);
        if (found <= 0)
            return found;
    }
    struct checkpoint *w = job->checkpoint;
    if (checkpoint_check(node, w, node->key_text, err) < 0)
        return -1;
    if (!w->lines && describe(node, w, err) < 0)
        return error_wrap(err, "resuming in %s", w->shown);
    char *text = xasprintf("%s%s", node->key_text, w->lines);
    free(node->key_text);
    node->key_text = text;
    digest_bytes(text, strlen(text), node->key);
    return 0;
}

// The first target that has kept work, or without `having` the first that can have it; NULL: none.
static const struct node *find_target(struct build *b, bool having)
{
    for (size_t i = 0; i < b->graph.n; i++) {
        const struct node *node = b->graph.nodes[i];
        if (!job_of(node)->asked)
            continue;
        struct checkpoint *w = checkpoint_new(b, node);
        bool found = !having || (path_exists(w->record) && is_directory(w->builddir));
        checkpoint_free(w);
        if (found)
            return node;
    }
    return NULL;
}

int checkpoint_expected(struct build *b, struct error **err)
{
    const struct node *node = find_target(b, true) ? NULL : find_target(b, false);
    if (!node)
        return 0;
    const char *target = job_of(node)->recipe->name;
    error_user(err, "there is nothing to resume: no %s/%s/builddir", b->options.output, target);
    return error_hint(err, "`kbuild %s --until=PHASE` leaves it", target);
}

void checkpoint_report_unused(struct build *b)
{
    const struct node *node = b->options.resume ? NULL : find_target(b, true);
    if (!node)
        return;
    const char *target = job_of(node)->recipe->name;
    log_note("%s/%s/builddir is not used: `kbuild %s --continue` builds from it", b->options.output,
             target, target);
}

// Removes the empty output folders of a new step: the kept ones are copied there.
static int drop_empty(const char *destdir, struct error **err)
{
    cleanup_strlist struct strlist names = {0};
    cleanup_close int fd = open(destdir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, errno, "opening %s", destdir);
    if (list_directory_at(fd, destdir, &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++)
        if (unlinkat(fd, names.items[i], AT_REMOVEDIR) < 0)
            return error_errno(err, errno, "removing %s/%s", destdir, names.items[i]);
    return 0;
}

int checkpoint_copy(const struct checkpoint *w, const char *builddir, const char *destdir,
                    struct error **err)
{
    struct checkpoint copy = {.builddir = (char *)builddir, .destdir = (char *)destdir};
    cleanup_free char *digest = NULL;
    if (drop_empty(destdir, err) < 0 || copy_tree(w->builddir, builddir, err) < 0 ||
        copy_tree(w->destdir, destdir, err) < 0 || checkpoint_content(&copy, &digest, err) < 0)
        return -1;
    // The key was computed from the content when this run began.
    if (strcmp(digest, w->listing_digest) != 0)
        return error_user(err, "%s changed while kbuild was running", w->shown);
    return 0;
}
