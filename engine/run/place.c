// SPDX-License-Identifier: Apache-2.0
// Places results in the output directory, under upstream's names and with upstream's side files:
//
//   kata-static-<output>.tar.xz         the tarball (a hard link to the store's blob if possible)
//   <target>-version                    what it was made from: first 9 digits of its action key
//   <target>-builder-image-version      the builder's image name
//   <target>-sha256sum                  sha256sum's format, one line a tarball
//   other files of the artifact         side files under their own names (record_side_file)
//   targets                             which files the directory is to hold (format: run.h)
#include "run/internal.h"

#include "base/error.h"
#include "provenance/provenance.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

#define TARGETS_FILE "targets" // in the output directory: what lies there

// Writes only what differs, so that a run without work changes nothing.
static int write_if_changed(int folder, const char *name, const char *path, const struct buf *text,
                            struct error **err)
{
    cleanup_buf struct buf old = {0};
    if (text->data && file_read_at(folder, name, path, 1 << 20, &old, NULL) == 0 &&
        old.len == text->len && !memcmp(old.data, text->data, text->len))
        return 0;
    return file_write_at(folder, name, path, text->data, text->len, 0644, err);
}

static int place_side_files(struct build *b, const struct node *node, int folder,
                            struct error **err)
{
    struct buf texts[SIDE_FILES] = {0};
    int result = 0;
    side_file_texts(node, texts);
    for (size_t i = 0; i < SIDE_FILES; i++) {
        cleanup_free char *name =
            xasprintf("%s-%s", job_of(node)->recipe->name, side_file_names[i]);
        cleanup_free char *path = xasprintf("%s/%s", b->options.output, name);
        // A prebuilt artifact has its own.
        if (!result && !node_output(node, name))
            result = write_if_changed(folder, name, path, &texts[i], err);
        buf_free(&texts[i]);
    }
    return result;
}

// Reports the replaced result, from the "<architecture>-<key>" in <target>-version.
static void warn_replaced(struct build *b, const struct node *node, int folder)
{
    const struct job *job = job_of(node);
    cleanup_free char *name = xasprintf("%s-version", job->recipe->name);
    cleanup_buf struct buf old = {0};
    if (file_read_at(folder, name, name, 1 << 20, &old, NULL) < 0)
        return;
    for (const struct arch *a = arch_table; a < arch_table + arch_count; a++) {
        size_t n = strlen(a->name);
        if (a != job->target && starts_with(old.data, a->name) && old.data[n] == '-')
            log_warning("%s: %s of %s replaces that of %s; -o '%s/{arch}' keeps both",
                        b->options.output, job->recipe->name, job->target->name, a->name,
                        b->options.output);
    }
}

int place_outputs(struct build *b, const struct node *node, struct error **err)
{
    int folder = output_folder(b, err);
    if (folder < 0)
        return -1;
    warn_replaced(b, node, folder);
    for (size_t i = 0; i < node->output_count; i++) {
        const struct node_output *o = &node->outputs[i];
        cleanup_free char *path = xasprintf("%s/%s", b->options.output, o->name);
        if (store_restore_blob_at(b->store, o->digest, folder, o->name, path, err) < 0)
            return -1;
    }
    return place_side_files(b, node, folder, err);
}

static int check_architecture(const struct build *b, const struct job *job, struct error **err)
{
    const struct arch *meant = b->options.output_arch;
    if (!meant || b->options.several || job->target == meant)
        return 0;
    error_user(err, "%s is for %s, and {arch} in -o stands for %s", job->recipe->name,
               job->target->name, meant->name);
    return error_hint(err, "add --arch=%s", job->target->name);
}

// A file in the output directory, and the target that it belongs to.
struct placed_file {
    char *name;
    const struct job *job;
};

struct placed_files {
    struct placed_file *items;
    size_t n, cap;
};

static void placed_files_free(struct placed_files *f)
{
    for (size_t i = 0; i < f->n; i++)
        free(f->items[i].name);
    free(f->items);
}

// The names that kbuild itself uses: <target>-<name>.
static void own_names(struct strlist *out)
{
    for (size_t i = 0; i < SIDE_FILES; i++)
        strlist_add(out, side_file_names[i]);
    strlist_add(out, PROVENANCE_FILE);
    strlist_add(out, SPDX_FILE);
}

// All files that a recipe can place.
static void file_names(const struct recipe *r, struct strlist *out)
{
    cleanup_strlist struct strlist own = {0};
    for (size_t i = 0; i < r->outputs.n; i++)
        strlist_addf(out, "kata-static-%s.tar.xz", r->outputs.items[i]);
    own_names(&own);
    for (size_t i = 0; i < own.n; i++)
        strlist_addf(out, "%s-%s", r->name, own.items[i]);
    side_files_of_action(r, out);
}

int place_check_recipe(const struct recipe *r, struct error **err)
{
    cleanup_strlist struct strlist names = {0}, seen = {0}, own = {0};
    file_names(r, &names);
    for (size_t i = 0; i < names.n; i++) {
        if (!strlist_has(&seen, names.items[i])) {
            strlist_add(&seen, names.items[i]);
            continue;
        }
        own_names(&own);
        cleanup_free char *taken = strlist_join(&own, ", ");
        error_user(err, "%s: two files of it would be called %s in the output directory", r->file,
                   names.items[i]);
        return error_hint(
            err, "give the file that it makes (%s) another name: kbuild itself writes %s-%s",
            r->action == ACTION_IMAGE ? "disk.verity.hash" : "output", r->name, taken);
    }
    return 0;
}

static int compare_files(const void *a, const void *b)
{
    const struct placed_file *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order ? order : strcmp(x->job->target->name, y->job->target->name);
}

static void add_names(struct placed_files *f, const struct job *job)
{
    cleanup_strlist struct strlist names = {0};
    file_names(job->recipe, &names);
    for (size_t i = 0; i < names.n; i++) {
        f->items = xgrow(f->items, &f->cap, f->n + 1, sizeof *f->items);
        f->items[f->n++] = (struct placed_file){xstrdup(names.items[i]), job};
    }
}

static int refuse_pair(const struct build *b, const struct placed_file *f, const struct job *other,
                       struct error **err)
{
    const struct recipe *r = f->job->recipe;
    if (r != other->recipe) {
        error_user(err, "%s and %s both leave a file %s/%s", r->name, other->recipe->name,
                   b->options.output, f->name);
        return error_hint(err, "build one after the other, with another -o DIR");
    }
    error_user(err, "%s is wanted for %s and for %s, and both would be %s/kata-static-%s.tar.xz",
               r->name, f->job->target->name, other->target->name, b->options.output,
               r->outputs.items[0]);
    return error_hint(err, "build one after the other, with --arch and another -o DIR");
}

static int check_pairs(const struct build *b, struct placed_files *f, struct error **err)
{
    qsort(f->items, f->n, sizeof *f->items, compare_files);
    for (size_t i = 1; i < f->n; i++)
        if (!strcmp(f->items[i - 1].name, f->items[i].name) &&
            (!b->options.several || f->items[i - 1].job->target == f->items[i].job->target))
            return refuse_pair(b, &f->items[i - 1], f->items[i].job, err);
    return 0;
}

// The trace is written last, and would take the place of a result.
static int check_trace(const struct build *b, const struct placed_files *f, struct error **err)
{
    cleanup_strlist struct strlist names = {0};
    strlist_add(&names, LAST_RUN_FILE);
    strlist_add(&names, TARGETS_FILE);
    for (size_t i = 0; i < f->n; i++)
        strlist_add(&names, f->items[i].name);
    for (size_t i = 0; b->options.trace && i < names.n; i++) {
        cleanup_free char *path = xasprintf("%s/%s", b->options.output, names.items[i]);
        if (!same_file(b->options.trace, path))
            continue;
        error_user(err, "--trace %s is %s, which the run writes, too", b->options.trace, path);
        return error_hint(err, "name another file");
    }
    return 0;
}

int place_check(struct build *b, struct error **err)
{
    struct placed_files files = {0};
    int result = 0;
    for (size_t i = 0; i < b->graph.n && !result; i++) {
        const struct job *job = job_of(b->graph.nodes[i]);
        if (!job->placed)
            continue;
        result = check_architecture(b, job, err);
        add_names(&files, job);
    }
    if (!result && files.n)
        result = check_pairs(b, &files, err);
    if (!result)
        result = check_trace(b, &files, err);
    placed_files_free(&files);
    return result;
}

// ---- the file that lists the targets ----

#define PENDING "pending"

static char *targets_path(const char *directory)
{
    return xasprintf("%s/" TARGETS_FILE, directory);
}

static struct output_target *add_target(struct output_targets *w)
{
    w->items = xgrow(w->items, &w->cap, w->n + 1, sizeof *w->items);
    w->items[w->n] = (struct output_target){0};
    return &w->items[w->n++];
}

static void target_free(struct output_target *i)
{
    free(i->file);
    free(i->target);
    free(i->arch);
}

void output_targets_free(struct output_targets *w)
{
    for (size_t i = 0; i < w->n; i++)
        target_free(&w->items[i]);
    free(w->items);
    *w = (struct output_targets){0};
}

static int parse_target(const char *line, struct output_targets *out)
{
    cleanup_strlist struct strlist words = {0};
    strlist_split(&words, line, " ");
    if (words.n != 4 || (!digest_is_hex(words.items[0]) && strcmp(words.items[0], PENDING) != 0) ||
        strchr(words.items[1], '/'))
        return -1;
    struct output_target *i = add_target(out);
    if (digest_is_hex(words.items[0]))
        memcpy(i->digest, words.items[0], DIGEST_HEX_SIZE);
    i->file = xstrdup(words.items[1]);
    i->target = xstrdup(words.items[2]);
    i->arch = xstrdup(words.items[3]);
    return 0;
}

int output_targets_read(const char *directory, struct output_targets *out, struct error **err)
{
    cleanup_free char *path = targets_path(directory);
    cleanup_buf struct buf text = {0};
    cleanup_strlist struct strlist lines = {0};
    struct error *why = NULL;
    // A link there is an error, also a dangling one: it may hide files that are wanted.
    cleanup_close int folder = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0 && errno == ENOENT)
        return 0;
    if (folder < 0)
        return error_errno(err, errno, "reading %s", path);
    if (file_read_at(folder, TARGETS_FILE, path, 1 << 20, &text, &why) < 0) {
        if (why->errnum != ENOENT) {
            *err = why;
            return -1;
        }
        error_free(why);
        return 0;
    }
    strlist_split(&lines, text.data ? text.data : "", "\n");
    for (size_t i = 0; i < lines.n; i++) {
        if (parse_target(lines.items[i], out) == 0)
            continue;
        error_user(err, "%s: line %zu is not '<digest> <file> <target> <architecture>'", path,
                   i + 1);
        return error_hint(err, "remove the file and build its targets again");
    }
    return 0;
}

static void remove_target(struct output_targets *w, const char *target)
{
    size_t kept = 0;
    for (size_t i = 0; i < w->n; i++) {
        if (!strcmp(w->items[i].target, target))
            target_free(&w->items[i]);
        else
            w->items[kept++] = w->items[i];
    }
    w->n = kept;
}

static void note_node(struct output_targets *w, const struct node *node, bool placed)
{
    const struct job *job = job_of(node);
    remove_target(w, job->recipe->name);
    for (size_t i = 0; i < job->recipe->outputs.n; i++) {
        struct output_target *item = add_target(w);
        item->file = xasprintf("kata-static-%s.tar.xz", job->recipe->outputs.items[i]);
        item->target = xstrdup(job->recipe->name);
        item->arch = xstrdup(job->target->name);
        const struct node_output *o = placed ? node_output(node, item->file) : NULL;
        if (o)
            memcpy(item->digest, o->digest, DIGEST_HEX_SIZE);
    }
}

static int compare_targets(const void *a, const void *b)
{
    return strcmp(((const struct output_target *)a)->file, ((const struct output_target *)b)->file);
}

static int write_targets(int folder, const char *directory, struct output_targets *w,
                         struct error **err)
{
    cleanup_free char *path = targets_path(directory);
    cleanup_buf struct buf text = {0}, old = {0};
    if (w->n)
        qsort(w->items, w->n, sizeof *w->items, compare_targets);
    for (size_t i = 0; i < w->n; i++)
        buf_printf(&text, "%s %s %s %s\n", *w->items[i].digest ? w->items[i].digest : PENDING,
                   w->items[i].file, w->items[i].target, w->items[i].arch);
    struct error *why = NULL;
    if (file_read_at(folder, TARGETS_FILE, path, 1 << 20, &old, &why) < 0 &&
        why->errnum != ENOENT) {
        *err = why;
        return -1;
    }
    bool same =
        !why && old.len == text.len && (!text.len || !memcmp(old.data, text.data, text.len));
    bool none = why && !text.len;
    error_free(why);
    return same || none ? 0
                        : file_write_at(folder, TARGETS_FILE, path, text.data, text.len, 0644, err);
}

static bool is_among(struct node **nodes, size_t n, const struct node *node)
{
    for (size_t i = 0; i < n; i++)
        if (nodes[i] == node)
            return true;
    return false;
}

int output_targets_note(struct build *b, struct node **placed, size_t placed_count,
                        struct error **err)
{
    const char *directory = b->options.output;
    int folder = output_folder(b, err);
    if (folder < 0)
        return -1;
    // Another kbuild may be building into the same directory. It needs its own descriptor, since
    // `folder` stays open.
    cleanup_close int lock = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock < 0 || flock(lock, LOCK_EX) < 0)
        return error_errno(err, errno, "locking %s", directory);
    cleanup_output_targets struct output_targets w = {0};
    if (output_targets_read(directory, &w, err) < 0)
        return -1;
    for (size_t i = 0; i < b->graph.n; i++)
        if (job_of(b->graph.nodes[i])->placed)
            note_node(&w, b->graph.nodes[i], is_among(placed, placed_count, b->graph.nodes[i]));
    return write_targets(folder, directory, &w, err);
}
