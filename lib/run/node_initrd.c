// SPDX-License-Identifier: Apache-2.0
// The initrd: layers stream in, one cpio comes out (lib/pack), in a tarball with upstream's names.
#include "run/internal.h"

#include "pack/pack.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

// "{os}", "{osversion}", "{arch}" in a name.
static char *expand_name(const struct job *job, const char *text)
{
    const struct role *rootfs = job_role(job, ROLE_ROOTFS, NULL);
    const struct distribution *d = rootfs ? &job_of(rootfs->node)->distribution : NULL;
    const struct placeholder names[] = {{"{os}", d ? d->id : "none"},
                                        {"{osversion}", d ? d->codename : "none"},
                                        {"{arch}", job->target->name}};
    return placeholders_expand(text, names, ARRAY_LEN(names));
}

int identify_initrd(struct build *b, struct node *node, struct error **err)
{
    const struct job *job = job_of(node);
    cleanup_free char *output = expand_name(job, job->recipe->initrd->output);
    buf_printf(&node->identity, "output %s\n", output);
    return 0;
}

// The path of an input's first blob, verified.
static char *blob_of(struct build *b, const struct node *node, struct error **err)
{
    const struct node_output *o = &node->outputs[0];
    int has = store_has_blob(b->store, o->digest, err);
    if (has <= 0) {
        if (!has)
            input_damaged(node, err);
        return NULL;
    }
    return store_blob_path(b->store, o->digest);
}

struct layers {
    struct initrd_layer *items;
    size_t n;
    struct strlist strings; // paths
};

static const char *keep_string(struct layers *l, char *text)
{
    strlist_add(&l->strings, text);
    free(text);
    return l->strings.items[l->strings.n - 1];
}

static int add_layer(struct build *b, const struct job *job, const struct recipe_layer *layer,
                     struct layers *l, struct error **err)
{
    const struct recipe *r = job->recipe;
    struct initrd_layer *out = &l->items[l->n];
    *out = (struct initrd_layer){0};
    if (!condition_holds(job, &layer->when))
        return 0;
    if (layer->overlay) {
        out->name = layer->overlay;
        out->folder = keep_string(l, xasprintf("%s/%s", r->folder, layer->overlay));
    } else if (layer->variable) {
        const struct variable_value *v = variable_find(job, layer->variable);
        if (!v || !v->files.n)
            return 0;
        out->name = layer->variable;
        out->archive = v->files.items[0];
    } else {
        const struct role *role = layer->rootfs ? job_role(job, ROLE_ROOTFS, NULL)
                                                : job_role(job, ROLE_ARTIFACT, layer->artifact);
        if (!role)
            return 0; // an optional need, or the other one of `any`
        char *path = blob_of(b, role->node, err);
        if (!path)
            return -1;
        out->name = role->name;
        out->archive = keep_string(l, path);
        out->keep_nodes = layer->rootfs;
        if (layer->rootfs)
            out->exclude = &r->initrd->exclude;
    }
    l->n++;
    return 0;
}

static int write_initrd(struct build *b, const struct node *node, const struct layers *l,
                        const char *path, struct error **err)
{
    cleanup_close int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_errno(err, errno, "creating %s", path);
    struct initrd_options options = {.epoch = node->epoch, .compress = true};
    return pack_initrd(l->items, l->n, fd, &options, err);
}

// Packs `file` as the recipe's output, with its link beside it.
static int pack_result(struct build *b, const struct node *node, const char *file, json_t *record,
                       struct error **err)
{
    const struct job *job = job_of(node);
    const struct recipe_initrd *i = job->recipe->initrd;
    cleanup_free char *output = expand_name(job, i->output);
    cleanup_free char *link =
        i->link ? xasprintf("%.*s%s", (int)(path_base(output) - output), output, path_base(i->link))
                : NULL;
    struct pack_member members[2] = {{.path = output, .source = file, .mode = 0644},
                                     {.path = link, .link = path_base(output)}};
    const struct tarball t = {.members = members, .count = link ? 2 : 1};
    return output_tarball(b, node, job->recipe->outputs.items[0], &t, record, err);
}

// What people are told of the init inside.
static void record_init(const struct job *job, json_t *record)
{
    const struct recipe_initrd *i = job->recipe->initrd;
    const struct recipe_init *init = NULL;
    for (size_t k = 0; k < i->init_count && !init; k++)
        if (job_has(job, i->inits[k].of))
            init = &i->inits[k];
    if (!init)
        return;
    json_object_set_new(json_object_get(record, "provenance"), "init", json_string(init->name));
    cleanup_free char *summary = xasprintf("the init inside is %s%s%s", init->name,
                                           init->note ? ", " : "", init->note ? init->note : "");
    json_object_set_new(record, "summary", json_string(summary));
}

int make_initrd(struct build *b, struct node *node, json_t *record, struct error **err)
{
    const struct job *job = job_of(node);
    const struct recipe_initrd *i = job->recipe->initrd;
    struct layers l = {.items = xcalloc(i->layer_count, sizeof *l.items)};
    int result = 0;
    phase("collecting");
    for (size_t n = 0; n < i->layer_count && !result; n++)
        result = add_layer(b, job, &i->layers[n], &l, err);
    cleanup_free char *scratch = result ? NULL : store_temporary(b->store, "initrd", err);
    if (scratch) {
        cleanup_free char *file = xasprintf("%s/initrd", scratch);
        phase("writing the cpio");
        result = write_initrd(b, node, &l, file, err);
        if (!result) {
            phase("packing");
            result = pack_result(b, node, file, record, err);
        }
        remove_tree(scratch, NULL);
    } else {
        result = -1;
    }
    record_init(job, record);
    strlist_free(&l.strings);
    free(l.items);
    return result < 0 ? error_wrap(err, "%s", job->label) : 0;
}
