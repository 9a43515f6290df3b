// SPDX-License-Identifier: Apache-2.0
// Makes the planner's part of a node, and answers questions about it: roles, builder, side files.
#include "graph/job.h"

#include "base/file.h"
#include "oci/oci.h"

#include <string.h>

struct job *job_new(struct node *node, const struct recipe *r, const struct arch *target)
{
    struct job *job = xcalloc(1, sizeof *job);
    job->recipe = r;
    job->target = target;
    node->data = job;
    job_set_label(node, false);
    return job;
}

void job_set_label(struct node *node, bool unique)
{
    struct job *job = job_of(node);
    bool artifact = node->kind == NODE_ARTIFACT;
    char *label = xstrdup(unique ? node->id : artifact ? job->recipe->name : node->name);
    if (!artifact)
        *strchr(label, ':') = ' ';
    free(node->label);
    node->label = label;
    job->label = label;
}

void job_free(struct job *job)
{
    free(job->roles);
    variables_free(job->values, job->value_count);
    strlist_free(&job->constants);
    version_values_free(&job->filled_in);
    source_spec_free(&job->spec);
    source_pin_free(&job->pin);
    strlist_free(&job->arguments);
    strlist_free(&job->packages);
    strlist_free(&job->same);
    strlist_free(&job->fetched);
    distribution_free(&job->distribution);
    free(job->setup);
    free(job->image_name);
    free(job->prebuilt);
    free(job->summary);
    free(job);
}

const struct role *job_role(const struct job *job, enum role_kind kind, const char *name)
{
    for (size_t i = 0; i < job->role_count; i++)
        if (job->roles[i].kind == kind && (!name || !strcmp(job->roles[i].name, name)))
            return &job->roles[i];
    return NULL;
}

bool job_has(const struct job *job, const char *name)
{
    return job_role(job, ROLE_ARTIFACT, name) || *variable_text(job, name);
}

const struct arch *node_arch(const struct node *node)
{
    return job_of(node)->list ? NULL : job_of(node)->target; // a source has none
}

char *build_log_path(const struct build_options *o, const char *label)
{
    char *path = xasprintf("%s/logs/%s.log", o->output, label);
    for (char *p = path + strlen(o->output) + strlen("/logs/"); *p; p++)
        if (*p == ' ' || *p == '/' || *p == ':')
            *p = '-';
    return path;
}

char *remote_log_command(const struct build_options *o, const char *id)
{
    return o->project ? xasprintf("kbuild log %s --remote --plan=oci:%s", id, o->project) : NULL;
}

// ---- builder ----
// Makes the image of a builder from its tree.

int builder_image(struct build *b, const struct node *node, const char *tree,
                  char image[static DIGEST_HEX_SIZE], struct error **err)
{
    const struct oci_image about = {.architecture = job_of(node)->target->oci,
                                    .created_by = "kbuild: mmdebstrap"};
    return oci_store_rootfs(b->store, tree, &about, image, err);
}

// ---- side files ----
// Names the files beside the tarballs of a target.

const char *const side_file_names[SIDE_FILES] = {"sha256sum", "builder-image-version", "version"};

void side_file_texts(const struct node *node, struct buf texts[static SIDE_FILES])
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

static void of_disk(const struct recipe *r, struct strlist *out)
{
    const char *hash = r->initrd->disk.verity.hash;
    if (hash)
        strlist_addf(out, "%s-%s", r->name, path_base(hash));
}

static void of_se_image(const struct recipe *r, struct strlist *out)
{
    const char *image = path_base(r->image->output), *dot = strrchr(image, '.');
    cleanup_free char *stem = xstrndup(image, dot ? (size_t)(dot - image) : strlen(image));
    strlist_addf(out, "%s.json", stem);
    strlist_add(out, "hdr.bin");
    strlist_addf(out, "%s.seal-record.json", stem);
}

void side_files_of_action(const struct recipe *r, struct strlist *out)
{
    if (r->action == ACTION_IMAGE)
        of_disk(r, out);
    else if (r->action == ACTION_SE_IMAGE)
        of_se_image(r, out);
}

// ---- the lines of a key text ----

// "variable NAME VALUE"
static bool is_variable(const char *line, struct key_line *out)
{
    static const char word[] = "variable ";
    if (!starts_with(line, word))
        return false;
    const char *name = line + strlen(word);
    size_t n = strcspn(name, " ");
    out->name = xstrndup(name, n);
    out->value = name[n] ? name + n + 1 : "";
    return true;
}

// "file recipe build.sh x <digest>"
static bool is_file(const char *line, struct key_line *out)
{
    const char *last = strrchr(line, ' ');
    if (!starts_with(line, "file ") || !last || !digest_is_hex(last + 1))
        return false;
    const char *folder = line + strlen("file ");
    size_t n = strcspn(folder, " ");
    const char *path = folder + n + 1;
    const char *end = last;
    while (end > path && end[-1] != ' ')
        end--; // the kind
    if (end <= path)
        return false;
    out->name = xasprintf("%.*s/%.*s", (int)n, folder, (int)(end - path - 1), path);
    out->value = last + 1;
    return true;
}

// "work builddir <digest>"
static bool is_work(const char *line, struct key_line *out)
{
    const char *last = strrchr(line, ' ');
    if ((!starts_with(line, "work builddir ") && !starts_with(line, "work destdir ")) || !last ||
        !digest_is_hex(last + 1))
        return false;
    out->name = xstrndup(line, (size_t)(last - line));
    out->value = last + 1;
    return true;
}

void key_text_read(const char *text, key_line_visit *visit, void *context)
{
    cleanup_strlist struct strlist lines = {0};
    strlist_split(&lines, text, "\n");
    for (size_t i = 0; i < lines.n; i++) {
        struct key_line line = {.kind = KEY_OTHER, .text = lines.items[i]};
        if (is_variable(line.text, &line))
            line.kind = KEY_VARIABLE;
        else if (is_file(line.text, &line))
            line.kind = KEY_FILE;
        else if (is_work(line.text, &line))
            line.kind = KEY_WORK;
        visit(&line, context);
        free(line.name);
    }
}

bool node_is_folder(const struct node *node)
{
    return node->kind == NODE_SOURCE && job_of(node)->spec.kind == SOURCE_LOCAL &&
           !job_of(node)->list;
}

bool node_is_unshared(const struct node *node)
{
    return node_is_folder(node) || job_of(node)->prebuilt;
}
