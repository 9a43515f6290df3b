// SPDX-License-Identifier: Apache-2.0
// What lies beside the tarballs of a target.
#include "graph/job.h"

#include "base/file.h"

#include <string.h>

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
