// SPDX-License-Identifier: Apache-2.0
// Makes the artifacts of layers. An initrd is one cpio of them (lib/pack). An image is a file
// system, made with the file system's own tools in the recipe's builder, then a raw disk with
// partition tables and, if it is measured, a hash tree (lib/disk). Nothing is mounted, and no
// device is needed.
#include "run/internal.h"

#include "base/error.h"
#include "base/file.h"
#include "base/process.h"
#include "disk/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

// ---- layers ----

struct layer_list {
    struct initrd_layer *items;
    size_t n;
    struct strlist strings; // paths
};

// Fills in "{os}", "{osversion}" and "{arch}" in a name.
static char *layers_expand_name(const struct job *job, const char *text)
{
    const struct role *rootfs = job_role(job, ROLE_ROOTFS, NULL);
    const struct distribution *d = rootfs ? &job_of(rootfs->node)->distribution : NULL;
    const struct placeholder names[] = {{"{os}", d ? d->id : "none"},
                                        {"{osversion}", d ? d->codename : "none"},
                                        {"{arch}", job->target->name}};
    return placeholders_expand(text, names, ARRAY_LEN(names));
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

// The layers that apply, in order; to be freed also after an error.
static int layers_collect(struct build *b, const struct job *job, struct layer_list *l,
                          struct error **err)
{
    const struct recipe_initrd *i = job->recipe->initrd;
    *l = (struct layer_list){.items = xcalloc(i->layer_count, sizeof *l->items)};
    phase("collecting");
    for (size_t n = 0; n < i->layer_count; n++)
        if (add_layer(b, job, &i->layers[n], l, err) < 0)
            return -1;
    return 0;
}

static void layer_list_free(struct layer_list *l)
{
    strlist_free(&l->strings);
    free(l->items);
}

// Packs `file` as the recipe's output, with its link and one more file (or NULL) beside it.
static int layers_pack(struct build *b, const struct node *node, const char *file,
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

// Records a note for people about the init inside.
static void layers_record(const struct job *job, json_t *record)
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

// ---- initrd ----

int identify_initrd(struct build *b, struct node *node, struct error **err)
{
    const struct job *job = job_of(node);
    cleanup_free char *output = layers_expand_name(job, job->recipe->initrd->output);
    buf_printf(&node->identity, "output %s\n", output);
    return 0;
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

#define DISK_FORMAT "4" // raise it when the same tree would make another image
#define FILL "fill"     // folder in /build with the files for the tools
#define SYSTEM "filesystem"

// ---- image: identity ----

static bool is_measured(const struct job *job)
{
    const struct recipe_verity *v = &job->recipe->initrd->disk.verity;
    return v->hash && condition_holds(job, &v->when);
}

// The format of the root hash; the variable is the user's text.
static int hash_form(const struct job *job, enum verity_text *out, struct error **err)
{
    const struct recipe_verity *v = &job->recipe->initrd->disk.verity;
    const char *form = v->variable ? variable_text(job, v->variable) : v->format;
    *out = form && !strcmp(form, "line") ? VERITY_TEXT_LINE : VERITY_TEXT_VERITYSETUP;
    if (!form || !strcmp(form, "line") || !strcmp(form, "veritysetup"))
        return 0;
    return error_user(err, "%s is '%s', and has to be veritysetup or line", v->variable, form);
}

int identify_disk(struct build *b, struct node *node, struct error **err)
{
    const struct job *job = job_of(node);
    enum verity_text form;
    if (hash_form(job, &form, err) < 0)
        return error_wrap(err, "%s", job->label);
    cleanup_free char *output = layers_expand_name(job, job->recipe->initrd->output);
    buf_printf(&node->identity, "disk format %s\noutput %s\n", DISK_FORMAT, output);
    return 0;
}

// ---- image: tools ----

struct disk_work {
    struct build *b;
    const struct node *node;
    struct step step;
    struct strlist environment;
    char *scratch, *system, *image; // files, as this process sees them
    struct ext4_size size;
    char digest[DIGEST_HEX_SIZE]; // of the tree
    struct disk_layout layout;
    struct verity verity;
    enum verity_text form;
};

static void disk_work_free(struct disk_work *w)
{
    step_free(&w->step);
    strlist_free(&w->environment);
    free(w->system);
    free(w->image);
    if (w->scratch)
        remove_tree(w->scratch, NULL);
    free(w->scratch);
}

// Runs a program in the builder's root file system, in /build. Its output goes to the log, unless
// `messages` is not NULL: then that gets its standard error, and the rest is discarded.
static int run_tool(struct disk_work *w, const char *command, const struct strlist *more,
                    int highest_status, struct buf *messages, struct error **err)
{
    cleanup_strlist struct strlist argv = {0};
    cleanup_free char *file = xasprintf("%s/messages", w->scratch);
    cleanup_close int nothing = messages ? open("/dev/null", O_WRONLY | O_CLOEXEC) : -1;
    cleanup_close int errors =
        messages ? open(file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
    int status = 0;
    if (messages && (nothing < 0 || errors < 0))
        return error_errno(err, errno, "creating %s", file);
    strlist_split(&argv, command, " ");
    if (more)
        strlist_add_all(&argv, more);
    struct sandbox s = w->step.sandbox;
    s.argv = argv.items;
    s.environment = &w->environment;
    s.input = -1;
    s.output = messages ? nothing : 0;
    s.errors = messages ? errors : 0;
    pid_t pid = sandbox_start(&s, err);
    if (pid < 0 || sandbox_wait(pid, &status, err) < 0)
        return -1;
    if (messages && (lseek(errors, 0, SEEK_SET) < 0 ||
                     fd_read_all(errors, file, (size_t)1 << 24, messages, err) < 0))
        return -1;
    if (WIFEXITED(status) && WEXITSTATUS(status) <= highest_status)
        return 0;
    cleanup_free char *how = process_status_text(status);
    if (messages && messages->len)
        error_set(err, ERROR_STEP, "%s ended with %s: %s", argv.items[0], how, messages->data);
    else
        error_set(err, ERROR_STEP, "%s ended with %s; see the log", argv.items[0], how);
    cleanup_free char *shows = remote_log_command(&w->b->options, w->node->id);
    if (!step_disk_is_full(w->scratch, err) && shows)
        error_hint(err, "%s shows all that it said", shows);
    return -1;
}

static int run_debugfs(struct disk_work *w, struct error **err)
{
    cleanup_buf struct buf messages = {0};
    if (run_tool(w, "debugfs -w -f " FILL "/commands " SYSTEM, NULL, 0, &messages, err) < 0)
        return -1;
    return ext4_check_messages(messages.data ? messages.data : "", err);
}

// ---- image: ext4 ----

static int fill_tree(struct disk_work *w, const struct layer_list *l, struct error **err)
{
    cleanup_free char *folder = xasprintf("%s/" FILL, w->step.work);
    if (make_directories(folder, 0755, err) < 0)
        return -1;
    cleanup_ext4_fill struct ext4_fill *f = ext4_fill_begin(folder, FILL, err);
    if (!f)
        return -1;
    const struct layers_options options = {
        .epoch = w->node->epoch, .init = "sbin/init", .what = "the image"};
    struct pack_sink sink = ext4_fill_sink(f);
    if (pack_layers(l->items, l->n, &options, &sink, err) < 0)
        return -1;
    return ext4_fill_end(f, &w->size, w->digest, err);
}

static int plan_disk(struct disk_work *w, struct error **err)
{
    const struct job *job = job_of(w->node);
    const struct recipe_disk *d = &job->recipe->initrd->disk;
    const struct disk_plan plan = {.header = d->dax,
                                   .measured = is_measured(job),
                                   .content = w->size.blocks * DISK_BLOCK,
                                   .align = d->align};
    return disk_layout(&plan, &w->layout, err);
}

static int make_ext4(struct disk_work *w, struct error **err)
{
    cleanup_strlist struct strlist options = {0};
    cleanup_close int fd = open(w->system, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0 || ftruncate(fd, (off_t)w->layout.parts[0].size) < 0)
        return error_errno(err, errno, "creating %s", w->system);
    ext4_mke2fs_options(&w->size, w->digest, &options);
    strlist_add(&options, SYSTEM);
    phase("making the file system");
    if (run_tool(w, "mke2fs", &options, 0, NULL, err) < 0 || run_debugfs(w, err) < 0)
        return -1;
    // With -D it always changes something, and exits with 1. After that nothing may be left to
    // repair.
    if (run_tool(w, "e2fsck -f -y -D " SYSTEM, NULL, 1, NULL, err) < 0 ||
        run_tool(w, "e2fsck -f -n " SYSTEM, NULL, 0, NULL, err) < 0)
        return -1;
    return ext4_check_count(fd, "the new file system", 0, &w->size, err);
}

// ---- image: the disk ----

// Zero blocks become holes in the image.
static int copy_system(struct disk_work *w, int image, struct error **err)
{
    static const char zeros[1 << 16];
    uint64_t at = w->layout.disk + w->layout.parts[0].start;
    cleanup_free char *chunk = xmalloc(sizeof zeros);
    cleanup_close int fd = open(w->system, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return error_errno(err, errno, "opening %s", w->system);
    for (uint64_t done = 0; done < w->layout.parts[0].size;) {
        uint64_t left = w->layout.parts[0].size - done;
        size_t n = left < sizeof zeros ? (size_t)left : sizeof zeros;
        if (disk_read_at(fd, w->system, chunk, n, done, err) < 0 ||
            (memcmp(chunk, zeros, n) != 0 &&
             fd_write_at(image, w->image, chunk, n, at + done, err) < 0))
            return -1;
        done += n;
    }
    return 0;
}

static int add_hash_tree(struct disk_work *w, int image, struct error **err)
{
    const struct recipe_verity *r = &job_of(w->node)->recipe->initrd->disk.verity;
    const struct disk_partition *parts = w->layout.parts;
    struct verity *v = &w->verity;
    *v = (struct verity){.data_blocks = parts[0].size / DISK_BLOCK,
                         .superblock = w->form == VERITY_TEXT_VERITYSETUP};
    v->salt_size = r->salt ? strlen(r->salt) / 2 : VERITY_DIGEST;
    if (r->salt)
        hex_decode(r->salt, v->salt, v->salt_size);
    else
        derive(w->digest, "verity salt", v->salt, v->salt_size);
    uuid_derive(w->digest, "verity", v->uuid);
    if (verity_size(v) > parts[1].size)
        return error_user(err, "the hashes do not fit in the second partition");
    phase("measuring");
    return verity_format(image, w->image, w->layout.disk + parts[0].start,
                         w->layout.disk + parts[1].start, v, err);
}

static int make_image(struct disk_work *w, struct error **err)
{
    unsigned char signature[4];
    cleanup_close int image = open(w->image, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (image < 0 || ftruncate(image, (off_t)w->layout.size) < 0)
        return error_errno(err, errno, "creating %s", w->image);
    derive(w->digest, "disk", signature, sizeof signature);
    uint32_t number = (uint32_t)signature[0] << 24 | (uint32_t)signature[1] << 16 |
                      (uint32_t)signature[2] << 8 | signature[3];
    if (copy_system(w, image, err) < 0 ||
        disk_write_tables(image, w->image, &w->layout, number, err) < 0)
        return -1;
    return is_measured(job_of(w->node)) ? add_hash_tree(w, image, err) : 0;
}

// ---- image: results ----

// After the tarball, which must be the record's first output.
static int record_hash(struct disk_work *w, const struct buf *text, json_t *record,
                       struct error **err)
{
    char digest[DIGEST_HEX_SIZE];
    cleanup_strlist struct strlist names = {0};
    if (store_put_bytes(w->b->store, text->data, text->len, digest, err) < 0)
        return -1;
    side_files_of_action(job_of(w->node)->recipe, &names);
    record_side_file(record, names.items[0], digest, text->len);
    return 0;
}

static int pack_disk(struct disk_work *w, json_t *record, struct error **err)
{
    const struct job *job = job_of(w->node);
    const struct recipe_verity *r = &job->recipe->initrd->disk.verity;
    cleanup_buf struct buf text = {0};
    cleanup_free char *file = xasprintf("%s/hash", w->scratch);
    cleanup_free char *output = layers_expand_name(job, job->recipe->initrd->output);
    const struct pack_member hash = {.path = r->hash, .source = file, .mode = 0644};
    bool measured = is_measured(job);
    if (measured) {
        cleanup_free char *device = xasprintf("%s, partition 2", path_base(output));
        verity_text_write(&w->verity, w->form, device, &text);
        if (file_write(file, text.data, text.len, 0600, err) < 0)
            return -1;
    }
    phase("packing");
    if (layers_pack(w->b, w->node, w->image, measured ? &hash : NULL, record, err) < 0)
        return -1;
    return measured ? record_hash(w, &text, record, err) : 0;
}

static int make_in_scratch(struct disk_work *w, json_t *record, struct error **err)
{
    struct layer_list l;
    if (step_prepare(w->b, (struct node *)w->node, w->scratch, NULL, &w->step, err) < 0)
        return -1;
    w->system = xasprintf("%s/" SYSTEM, w->step.work);
    w->image = xasprintf("%s/image", w->scratch);
    strlist_add_all(&w->environment, &w->step.environment);
    ext4_environment(FILL, w->node->epoch, &w->environment);
    if (hash_form(job_of(w->node), &w->form, err) < 0)
        return -1;
    int result = layers_collect(w->b, job_of(w->node), &l, err);
    if (!result)
        result = fill_tree(w, &l, err);
    layer_list_free(&l);
    if (result < 0 || plan_disk(w, err) < 0 || make_ext4(w, err) < 0 || make_image(w, err) < 0)
        return -1;
    return pack_disk(w, record, err);
}

int make_disk(struct build *b, struct node *node, json_t *record, struct error **err)
{
    struct disk_work w = {.b = b, .node = node};
    w.scratch = store_temporary(b->store, job_of(node)->recipe->name, err);
    int result = w.scratch ? make_in_scratch(&w, record, err) : -1;
    if (!result)
        layers_record(job_of(node), record);
    disk_work_free(&w);
    return result < 0 ? error_wrap(err, "%s", job_of(node)->label) : 0;
}
