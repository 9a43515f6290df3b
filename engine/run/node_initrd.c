// SPDX-License-Identifier: Apache-2.0
// Makes the initrd: one cpio from layers (lib/pack), in a tarball with upstream's names.
#include "run/internal.h"

#include "base/error.h"
#include "pack/pack.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

// Fills in "{os}", "{osversion}" and "{arch}" in a name.
char *layers_expand_name(const struct job *job, const char *text)
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
    cleanup_free char *output = layers_expand_name(job, job->recipe->initrd->output);
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

static const char *keep_string(struct layer_list *l, char *text)
{
    strlist_add(&l->strings, text);
    free(text);
    return l->strings.items[l->strings.n - 1];
}

static int add_layer(struct build *b, const struct job *job, const struct recipe_layer *layer,
                     struct layer_list *l, struct error **err)
{
    const struct recipe *r = job->recipe;
    struct initrd_layer *out = &l->items[l->n];
    *out = (struct initrd_layer){0};
    if (!condition_holds(job, &layer->when))
        return 0;
    if (layer->overlay) {
        out->name = layer->overlay;
        out->folder = layer->folder;
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
            return 0; // an optional need, or another alternative of `any`
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

int layers_collect(struct build *b, const struct job *job, struct layer_list *l, struct error **err)
{
    const struct recipe_initrd *i = job->recipe->initrd;
    *l = (struct layer_list){.items = xcalloc(i->layer_count, sizeof *l->items)};
    phase("collecting");
    for (size_t n = 0; n < i->layer_count; n++)
        if (add_layer(b, job, &i->layers[n], l, err) < 0)
            return -1;
    return 0;
}

void layer_list_free(struct layer_list *l)
{
    strlist_free(&l->strings);
    free(l->items);
}

static int write_initrd(struct build *b, const struct node *node, const struct layer_list *l,
                        const char *path, struct error **err)
{
    cleanup_close int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_errno(err, errno, "creating %s", path);
    struct initrd_options options = {.epoch = node->epoch, .compress = true};
    return pack_initrd(l->items, l->n, fd, &options, err);
}

int layers_pack(struct build *b, const struct node *node, const char *file,
                const struct pack_member *beside, json_t *record, struct error **err)
{
    const struct job *job = job_of(node);
    const struct recipe_initrd *i = job->recipe->initrd;
    cleanup_free char *output = layers_expand_name(job, i->output);
    cleanup_free char *link =
        i->link ? xasprintf("%.*s%s", (int)(path_base(output) - output), output, path_base(i->link))
                : NULL;
    struct pack_member members[3] = {{.path = output, .source = file, .mode = 0644}};
    struct tarball t = {.members = members, .count = 1};
    if (link)
        members[t.count++] = (struct pack_member){.path = link, .link = path_base(output)};
    if (beside)
        members[t.count++] = *beside;
    return output_tarball(b, node, job->recipe->outputs.items[0], &t, record, err);
}

void layers_record(const struct job *job, json_t *record)
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
    struct layer_list l;
    int result = layers_collect(b, job, &l, err);
    cleanup_free char *scratch = result ? NULL : store_temporary(b->store, "initrd", err);
    if (scratch) {
        cleanup_free char *file = xasprintf("%s/initrd", scratch);
        phase("writing the cpio");
        result = write_initrd(b, node, &l, file, err);
        if (!result) {
            phase("packing");
            result = layers_pack(b, node, file, NULL, record, err);
        }
        remove_tree(scratch, NULL);
    } else {
        result = -1;
    }
    layers_record(job, record);
    layer_list_free(&l);
    return result < 0 ? error_wrap(err, "%s", job->label) : 0;
}
