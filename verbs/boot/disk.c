// SPDX-License-Identifier: Apache-2.0
// Finds the root of a guest with a disk; for a measured disk it proves that a changed one does not
// start. The hash is read from the same file as by runtimes.
#include "boot/internal.h"

#include "base/file.h"
#include "base/error.h"
#include "disk/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

// Linux' names of the first virtio disk and its partitions.
#define ROOT_PLAIN "root=/dev/vda1"
#define DATA "/dev/vda1"
#define HASHES "/dev/vda2"
// Linux, Documentation/admin-guide/device-mapper/dm-init.rst
#define ROOT_MEASURED "dm-mod.create=\"root,,,ro,%s\" root=/dev/dm-0"

static const struct node *disk_node(struct trial *t)
{
    const char *part = t->recipe->boot->disk;
    cleanup_free char *name = xasprintf("%.*s:%s", (int)strcspn(part, ":"), part, t->arch->name);
    return graph_find(&t->b->graph, name);
}

static bool has_member(const struct listing *l, const char *path)
{
    for (size_t i = 0; i < l->n; i++)
        if (!strcmp(l->entries[i].path, path))
            return true;
    return false;
}

// Reads the root hash from the tarball: 1, or 0 if there is none.
static int read_hash(struct trial *t, struct verity *v, struct error **err)
{
    const struct node *node = disk_node(t);
    const struct recipe_initrd *tree = job_of(node)->recipe->initrd;
    const char *hash = tree ? tree->disk.verity.hash : NULL;
    const struct node_output *o = &node->outputs[0];
    struct listing listing = {0};
    cleanup_close int fd = hash ? store_open_blob(t->b->store, o->digest, err) : -1;
    if (!hash)
        return 0;
    int result = fd < 0 ? -1 : list_archive(fd, o->name, &listing, err);
    bool there = !result && has_member(&listing, hash);
    listing_free(&listing);
    if (result < 0 || !there)
        return result;
    cleanup_buf struct buf text = {0};
    cleanup_free char *file = boot_take_out(t, o, hash, "hash", err);
    if (!file || file_read(file, 1 << 16, &text, err) < 0)
        return -1;
    return verity_text_read(text.data ? text.data : "", text.len, v, err) < 0 ? -1 : 1;
}

static char *root_text(struct trial *t, const struct verity *v)
{
    cleanup_free char *table = v ? verity_table(v, DATA, HASHES) : NULL;
    cleanup_free char *root = v ? xasprintf(ROOT_MEASURED, table) : xstrdup(ROOT_PLAIN);
    const struct placeholder names[] = {{"{root}", root}};
    const char *append = t->recipe->boot->append;
    return placeholders_expand(append ? append : "{root}", names, ARRAY_LEN(names));
}

int boot_find_root(struct trial *t, struct error **err)
{
    int measured = read_hash(t, &t->verity, err);
    if (measured < 0)
        return -1;
    t->measured = measured;
    t->append = root_text(t, measured ? &t->verity : NULL);
    return 0;
}

int boot_take_disk(struct trial *t, struct error **err)
{
    if (boot_take_part(t, t->recipe->boot->disk, t->arch, "disk", &t->disk, err) < 0)
        return -1;
    return boot_find_root(t, err);
}

// ---- changed disks, which must not start ----

// The kernel rejects its root, with the messages of dm-verity (drivers/md/dm-verity-target.c), and
// panics because it has none.
static int expect_refusal(struct trial *t, const char *what, struct error **err)
{
    struct strlist *before = (struct strlist *)t->machine.expect;
    cleanup_strlist struct strlist corrupted = {0};
    strlist_add(&corrupted, "is corrupted");
    t->machine.expect = &corrupted;
    fprintf(t->console, "==== %s\n", what);
    int result = qemu_expect_panic(&t->machine, err);
    t->machine.expect = before;
    if (result < 0)
        return error_wrap(err, "with %s the guest has to be refused", what);
    log_note("proven: with %s it does not start: the kernel says that a block is corrupted", what);
    return 0;
}

// Changes the first byte of the file system. Only dm-verity reads it: ext4's superblock is 1024
// bytes later, in the same block.
static int change_byte(struct trial *t, struct error **err)
{
    unsigned char sector[DISK_SECTOR], byte;
    cleanup_close int fd = open(t->disk, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, errno, "opening %s", t->disk);
    if (disk_read_at(fd, t->disk, sector, sizeof sector, 0, err) < 0)
        return -1;
    uint64_t first = mbr_first_partition(sector);
    if (disk_read_at(fd, t->disk, &byte, 1, first, err) < 0)
        return -1;
    byte ^= 1;
    return fd_write_at(fd, t->disk, &byte, 1, first, err);
}

int boot_prove_refusals(struct trial *t, struct error **err)
{
    struct verity other = t->verity;
    if (!t->disk)
        return 0;
    if (!t->measured) {
        log_note("not proven: that nothing else would start: the disk is not measured");
        return 0;
    }
    other.root[0] ^= 0x10;
    cleanup_free char *append = root_text(t, &other);
    const char *before = t->machine.append;
    t->machine.append = append;
    int result = expect_refusal(t, "one digit of the root hash changed", err);
    t->machine.append = before;
    if (result < 0 || change_byte(t, err) < 0)
        return -1;
    return expect_refusal(t, "one byte of the disk changed", err);
}
