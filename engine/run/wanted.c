// SPDX-License-Identifier: Apache-2.0
// Reads and writes the file that lists which targets an output directory is to hold.
#include "run/wanted.h"

#include "run/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

#define PENDING "pending"

static char *file_in(const char *directory)
{
    return xasprintf("%s/targets", directory);
}

static struct wanted_item *add(struct wanted *w)
{
    w->items = xgrow(w->items, &w->cap, w->n + 1, sizeof *w->items);
    w->items[w->n] = (struct wanted_item){0};
    return &w->items[w->n++];
}

static void item_free(struct wanted_item *i)
{
    free(i->file);
    free(i->target);
    free(i->arch);
}

void wanted_free(struct wanted *w)
{
    for (size_t i = 0; i < w->n; i++)
        item_free(&w->items[i]);
    free(w->items);
    *w = (struct wanted){0};
}

static int parse(const char *line, struct wanted *out)
{
    cleanup_strlist struct strlist words = {0};
    strlist_split(&words, line, " ");
    if (words.n != 4 || (!digest_is_hex(words.items[0]) && strcmp(words.items[0], PENDING) != 0) ||
        strchr(words.items[1], '/'))
        return -1;
    struct wanted_item *i = add(out);
    if (digest_is_hex(words.items[0]))
        memcpy(i->digest, words.items[0], DIGEST_HEX_SIZE);
    i->file = xstrdup(words.items[1]);
    i->target = xstrdup(words.items[2]);
    i->arch = xstrdup(words.items[3]);
    return 0;
}

int wanted_read(const char *directory, struct wanted *out, struct error **err)
{
    cleanup_free char *path = file_in(directory);
    cleanup_buf struct buf text = {0};
    cleanup_strlist struct strlist lines = {0};
    struct error *why = NULL;
    // A link there is an error, also a dangling one: it may hide files that are wanted.
    cleanup_close int folder = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0 && errno == ENOENT)
        return 0;
    if (folder < 0)
        return error_errno(err, errno, "reading %s", path);
    if (file_read_at(folder, "targets", path, 1 << 20, &text, &why) < 0) {
        if (why->errnum != ENOENT) {
            *err = why;
            return -1;
        }
        error_free(why);
        return 0;
    }
    strlist_split(&lines, text.data ? text.data : "", "\n");
    for (size_t i = 0; i < lines.n; i++) {
        if (parse(lines.items[i], out) == 0)
            continue;
        error_user(err, "%s: line %zu is not '<digest> <file> <target> <architecture>'", path,
                   i + 1);
        return error_hint(err, "remove the file and build its targets again");
    }
    return 0;
}

// ---- noting ----

static void forget(struct wanted *w, const char *target)
{
    size_t kept = 0;
    for (size_t i = 0; i < w->n; i++) {
        if (!strcmp(w->items[i].target, target))
            item_free(&w->items[i]);
        else
            w->items[kept++] = w->items[i];
    }
    w->n = kept;
}

static void note_node(struct wanted *w, const struct node *node, bool placed)
{
    const struct job *job = job_of(node);
    forget(w, job->recipe->name);
    for (size_t i = 0; i < job->recipe->outputs.n; i++) {
        struct wanted_item *item = add(w);
        item->file = xasprintf("kata-static-%s.tar.xz", job->recipe->outputs.items[i]);
        item->target = xstrdup(job->recipe->name);
        item->arch = xstrdup(job->target->name);
        const struct node_output *o = placed ? node_output(node, item->file) : NULL;
        if (o)
            memcpy(item->digest, o->digest, DIGEST_HEX_SIZE);
    }
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct wanted_item *)a)->file, ((const struct wanted_item *)b)->file);
}

static int write_down(int folder, const char *directory, struct wanted *w, struct error **err)
{
    cleanup_free char *path = file_in(directory);
    cleanup_buf struct buf text = {0}, old = {0};
    if (w->n)
        qsort(w->items, w->n, sizeof *w->items, compare);
    for (size_t i = 0; i < w->n; i++)
        buf_printf(&text, "%s %s %s %s\n", *w->items[i].digest ? w->items[i].digest : PENDING,
                   w->items[i].file, w->items[i].target, w->items[i].arch);
    struct error *why = NULL;
    if (file_read_at(folder, "targets", path, 1 << 20, &old, &why) < 0 && why->errnum != ENOENT) {
        *err = why;
        return -1;
    }
    bool same =
        !why && old.len == text.len && (!text.len || !memcmp(old.data, text.data, text.len));
    bool none = why && !text.len;
    error_free(why);
    return same || none ? 0
                        : file_write_at(folder, "targets", path, text.data, text.len, 0644, err);
}

static bool is_among(struct node **nodes, size_t n, const struct node *node)
{
    for (size_t i = 0; i < n; i++)
        if (nodes[i] == node)
            return true;
    return false;
}

int wanted_note(struct build *b, struct node **placed, size_t placed_count, struct error **err)
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
    cleanup_wanted struct wanted w = {0};
    if (wanted_read(directory, &w, err) < 0)
        return -1;
    for (size_t i = 0; i < b->graph.n; i++)
        if (job_of(b->graph.nodes[i])->placed)
            note_node(&w, b->graph.nodes[i], is_among(placed, placed_count, b->graph.nodes[i]));
    return write_down(folder, directory, &w, err);
}
