// SPDX-License-Identifier: Apache-2.0
// Results -> output directory, under upstream's names and with upstream's side files:
//
//   kata-static-<output>.tar.xz         the tarball (a hard link to the store's blob where it can
//   be) <target>-version                    what it was made from: first 9 digits of its action key
//   <target>-builder-image-version      the builder's image name
//   <target>-sha256sum                  sha256sum's format, one line a tarball
//   what else the artifact leaves       side files under their own names (record_side_file)
#include "run/internal.h"

#include "base/log.h"

#include <errno.h>
#include <string.h>

// Writes only what differs, so that a run with nothing to do touches nothing.
static int write_if_changed(int folder, const char *name, const char *path, const struct buf *text,
                            struct error **err)
{
    cleanup_buf struct buf old = {0};
    if (text->data && file_read_at(folder, name, path, 1 << 20, &old, NULL) == 0 &&
        old.len == text->len && !memcmp(old.data, text->data, text->len))
        return 0;
    return file_write_at(folder, name, path, text->data, text->len, 0644, err);
}

const char *const place_side_names[PLACE_SIDE_FILES] = {"sha256sum", "builder-image-version",
                                                        "version"};

void place_side_texts(const struct node *node, struct buf texts[static PLACE_SIDE_FILES])
{
    const struct job *job = job_of(node);
    const struct role *role = job_role(job, ROLE_BUILDER, NULL);
    for (size_t i = 0; i < node->output_count; i++)
        if (!node->outputs[i].side)
            buf_printf(&texts[0], "%s  %s\n", node->outputs[i].digest, node->outputs[i].name);
    if (role)
        buf_printf(&texts[1], "%s-%.9s-%s\n", role->name, role->node->key, arch_host()->name);
    else
        buf_puts(&texts[1], "none\n");
    buf_printf(&texts[2], "%s-%.9s\n", job->target->name, node->key);
}

static int place_side_files(struct build *b, const struct node *node, int folder,
                            struct error **err)
{
    struct buf texts[PLACE_SIDE_FILES] = {0};
    int result = 0;
    place_side_texts(node, texts);
    for (size_t i = 0; i < PLACE_SIDE_FILES; i++) {
        cleanup_free char *name =
            xasprintf("%s-%s", job_of(node)->recipe->name, place_side_names[i]);
        cleanup_free char *path = xasprintf("%s/%s", b->options.output, name);
        // A prebuilt artifact brought its own.
        if (!result && !node_output(node, name))
            result = write_if_changed(folder, name, path, &texts[i], err);
        buf_free(&texts[i]);
    }
    return result;
}

// "<architecture>-<key>" in <target>-version is of what was here before.
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

static int compare_recipes(const void *a, const void *b)
{
    const struct recipe *x = (*(struct job *const *)a)->recipe,
                        *y = (*(struct job *const *)b)->recipe;
    return x < y ? -1 : x > y;
}

int place_check(struct build *b, struct error **err)
{
    cleanup_free struct job **placed = xcalloc(b->graph.n, sizeof(struct job *));
    size_t n = 0;
    for (size_t i = 0; i < b->graph.n; i++)
        if (job_of(b->graph.nodes[i])->placed) {
            placed[n++] = job_of(b->graph.nodes[i]);
            if (check_architecture(b, placed[n - 1], err) < 0)
                return -1;
        }
    qsort(placed, n, sizeof(struct job *), compare_recipes);
    for (size_t i = 1; i < n; i++) {
        const struct job *one = placed[i - 1], *two = placed[i];
        if (one->recipe != two->recipe)
            continue;
        error_user(err,
                   "%s is wanted for %s and for %s, and both would be %s/kata-static-%s.tar.xz",
                   one->recipe->name, one->target->name, two->target->name, b->options.output,
                   one->recipe->outputs.items[0]);
        return error_hint(err, "build one after the other, with --arch and another -o DIR");
    }
    return 0;
}
