// SPDX-License-Identifier: Apache-2.0
// Takes the parts of a boot section out of the results: files of tarballs, and the disk with the
// command line that names its root.
#include "boot/internal.h"

#include "base/error.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

char *boot_extract_member(struct boot_run *run, const struct node_output *o, const char *member,
                          const char *name, struct error **err)
{
    cleanup_free char *path = xasprintf("%s/%s", run->folder, name);
    cleanup_close int in = store_open_blob(run->b->store, o->digest, err);
    cleanup_close int out = in < 0 ? -1 : open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (in >= 0 && out < 0)
        error_errno(err, errno, "creating %s", path);
    if (out < 0 || unpack_member(in, o->name, member, out, NULL, err) < 0)
        return NULL;
    return steal(path);
}

const struct node *boot_part_node(const struct boot_run *run, const char *reference,
                                  const struct arch *arch)
{
    cleanup_free char *name =
        xasprintf("%.*s:%s", (int)strcspn(reference, ":"), reference, arch->name);
    return graph_find(&run->b->graph, name);
}

const struct node *boot_find_part(struct boot_run *run, const char *reference,
                                  const struct arch *arch, struct error **err)
{
    const struct node *node = boot_part_node(run, reference, arch);
    if (node && node->output_count)
        return node;
    error_user(err,
               "booting %s: its boot section names %.*s:%s, which is not among the built targets",
               run->recipe->name, (int)strcspn(reference, ":"), reference, arch->name);
    return NULL;
}

int boot_extract_part(struct boot_run *run, const char *reference, const struct arch *arch,
                      const char *name, char **out, struct error **err)
{
    const struct node *node = reference ? boot_find_part(run, reference, arch, err) : NULL;
    if (!node)
        return reference ? -1 : 0;
    const char *member = strchr(reference, ':') + 1;
    *out =
        boot_extract_member(run, &node->outputs[0], member, name ? name : path_base(member), err);
    return *out ? 0 : -1;
}

// ---- the disk and its root ----

// Linux' names of the first virtio disk and its partitions.
#define ROOT_PLAIN "root=/dev/vda1"
#define DATA "/dev/vda1"
#define HASHES "/dev/vda2"
// Linux, Documentation/admin-guide/device-mapper/dm-init.rst
#define ROOT_MEASURED "dm-mod.create=\"root,,,ro,%s\" root=/dev/dm-0"

static bool has_member(const struct listing *l, const char *path)
{
    for (size_t i = 0; i < l->n; i++)
        if (!strcmp(l->entries[i].path, path))
            return true;
    return false;
}

// Reads the root hash from the tarball: 1, or 0 if there is none.
static int read_root_hash(struct boot_run *run, struct verity *v, struct error **err)
{
    const struct node *node = boot_part_node(run, run->recipe->boot->disk, run->arch);
    const struct recipe_initrd *tree = job_of(node)->recipe->initrd;
    const char *hash = tree ? tree->disk.verity.hash : NULL;
    const struct node_output *o = &node->outputs[0];
    struct listing listing = {0};
    cleanup_close int fd = hash ? store_open_blob(run->b->store, o->digest, err) : -1;
    if (!hash)
        return 0;
    int result = fd < 0 ? -1 : list_archive(fd, o->name, &listing, err);
    bool there = !result && has_member(&listing, hash);
    listing_free(&listing);
    if (result < 0 || !there)
        return result;
    cleanup_buf struct buf text = {0};
    cleanup_free char *file = boot_extract_member(run, o, hash, "hash", err);
    if (!file || file_read(file, 1 << 16, &text, err) < 0)
        return -1;
    return verity_text_read(text.data ? text.data : "", text.len, v, err) < 0 ? -1 : 1;
}

char *boot_root_command_line(struct boot_run *run, const struct verity *v)
{
    cleanup_free char *table = v ? verity_table(v, DATA, HASHES) : NULL;
    cleanup_free char *root = v ? xasprintf(ROOT_MEASURED, table) : xstrdup(ROOT_PLAIN);
    const struct placeholder names[] = {{"{root}", root}};
    const char *append = run->recipe->boot->append;
    return placeholders_expand(append ? append : "{root}", names, ARRAY_LEN(names));
}

int boot_find_root(struct boot_run *run, struct error **err)
{
    int measured = read_root_hash(run, &run->verity, err);
    if (measured < 0)
        return -1;
    run->measured = measured;
    run->append = boot_root_command_line(run, measured ? &run->verity : NULL);
    return 0;
}
