// SPDX-License-Identifier: Apache-2.0
// Places results in the output directory, under upstream's names and with upstream's side files:
//
//   kata-static-<output>.tar.xz         the tarball (a hard link to the store's blob if possible)
//   <target>-version                    what it was made from: first 9 digits of its action key
//   <target>-builder-image-version      the builder's image name
//   <target>-sha256sum                  sha256sum's format, one line a tarball
//   other files of the artifact         side files under their own names (record_side_file)
#include "run/internal.h"

#include "base/error.h"
#include "provenance/provenance.h"

#include <errno.h>
#include <string.h>

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
static void say_what_is_replaced(struct build *b, const struct node *node, int folder)
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
    say_what_is_replaced(b, node, folder);
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
    if (!meant || job->target == meant)
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
        return error_hint(err, "name the file that it makes (%s) otherwise: %s-%s are kbuild's own",
                          r->action == ACTION_IMAGE ? "disk.verity.hash" : "output", r->name,
                          taken);
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
        if (!strcmp(f->items[i - 1].name, f->items[i].name))
            return refuse_pair(b, &f->items[i - 1], f->items[i].job, err);
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
    placed_files_free(&files);
    return result;
}
