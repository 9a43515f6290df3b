// SPDX-License-Identifier: Apache-2.0
// The files that verifying reads: as they are, out of tarballs, from the standard input.
#include "base/file.h"
#include "pack/pack.h"
#include "se/io.h"
#include "se/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#define KATA "opt/kata/share/kata-containers/"
static const char image_member[] = KATA "kata-containers-se.img";
static const char *const kernel_members[] = {KATA "vmlinuz-confidential.container",
                                             KATA "vmlinuz.container", NULL};
static const char *const initrd_members[] = {KATA "kata-containers-initrd-confidential.img", NULL};

// The first of the members that the tarball has.
static int take_out(const char *tarball, const char *const *members, struct error **err)
{
    uint64_t size;
    cleanup_close int in = user_file_open(tarball, &size, err);
    if (in < 0)
        return -1;
    for (; *members; members++) {
        cleanup_close int out = nameless_file(err);
        struct error *why = NULL;
        if (out < 0)
            return -1;
        int result = unpack_member(in, tarball, *members, out, NULL, members[1] ? &why : err);
        error_free(why);
        if (result == 0)
            return steal_fd(&out);
        if (lseek(in, 0, SEEK_SET) < 0)
            return error_errno(err, errno, "reading %s", tarball);
    }
    return -1;
}

static void keep(struct se_originals *o, enum se_original_kind kind, const char *path, int fd)
{
    struct stat st;
    struct se_original *one = &o->of[kind];
    cleanup_close_p(&one->fd);
    free(one->name);
    one->name = xstrdup(path);
    one->fd = fd;
    one->size = fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0;
}

int se_original_open(struct se_originals *o, enum se_original_kind kind, const char *path,
                     struct error **err)
{
    uint64_t size;
    int fd = user_file_open(path, &size, err);
    if (fd < 0)
        return -1;
    keep(o, kind, path, fd);
    return 0;
}

int se_original_unpack(struct se_originals *o, enum se_original_kind kind, const char *tarball,
                       struct error **err)
{
    int fd = take_out(tarball, kind == SE_ORIGINAL_KERNEL ? kernel_members : initrd_members, err);
    if (fd < 0)
        return -1;
    keep(o, kind, tarball, fd);
    return 0;
}

void se_originals_free(struct se_originals *o)
{
    for (size_t i = 0; i < SE_ORIGINALS; i++) {
        cleanup_close_p(&o->of[i].fd);
        free(o->of[i].name);
    }
    *o = SE_ORIGINALS_NONE;
}

int se_image_open(const char *path, char **name, struct error **err)
{
    static const char *const members[] = {image_member, NULL};
    uint64_t size;
    if (strcmp(path, "-") == 0) {
        *name = xstrdup("standard input");
        return user_file_spool(STDIN_FILENO, *name, &size, err);
    }
    bool packed = strstr(path_base(path), ".tar") != NULL;
    int fd = packed ? take_out(path, members, err) : user_file_open(path, &size, err);
    if (fd >= 0)
        *name = packed ? xasprintf("%s in %s", path_base(image_member), path) : xstrdup(path);
    return fd;
}
