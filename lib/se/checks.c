// SPDX-License-Identifier: Apache-2.0
// Checks kernel, initrd and command line before they are sealed.
#include "se/checks.h"

#define KERNEL_MAGIC_OFFSET 0x10008u
#define KERNEL_LIMIT_OFFSET 0x10430u // be64: the longest command line, NUL included
#define KERNEL_MINIMUM 0x10438u
#define OLD_KERNEL_LIMIT 896u // for kernels with 0 there

static const char kernel_magic[6] = {'S', '3', '9', '0', 'E', 'P'};

static int no_kernel(struct error **err, const char *path, const char *why)
{
    error_user(err, "%s: %s", path, why);
    return error_hint(err, "give the raw s390x kernel image: arch/s390/boot/bzImage of a kernel "
                           "build, or a distribution's vmlinuz for s390x");
}

int check_kernel(int fd, const char *path, uint64_t size, uint64_t *limit, struct error **err)
{
    unsigned char head[4] = {0}, magic[sizeof kernel_magic], be[8];
    if (size == 0)
        return no_kernel(err, path, "the kernel is empty");
    if (size >= sizeof head && read_at(fd, path, 0, head, sizeof head, err) < 0)
        return -1;
    if (memcmp(head, "\177ELF", sizeof head) == 0)
        return no_kernel(err, path,
                         "it is an ELF file (vmlinux?), and only a raw kernel image can "
                         "be sealed");
    if (size < KERNEL_MINIMUM)
        return no_kernel(err, path, "it is too short for an s390x Linux kernel");
    if (read_at(fd, path, KERNEL_MAGIC_OFFSET, magic, sizeof magic, err) < 0 ||
        read_at(fd, path, KERNEL_LIMIT_OFFSET, be, sizeof be, err) < 0)
        return -1;
    if (memcmp(magic, kernel_magic, sizeof magic) != 0)
        return no_kernel(err, path, "it is not an s390x Linux kernel (no S390EP at 0x10008)");
    *limit = get_be64(be);
    if (*limit == 0)
        *limit = OLD_KERNEL_LIMIT;
    return 0;
}

int check_command_line(const char *text, size_t length, uint64_t limit, struct error **err)
{
    if (memchr(text, '\0', length))
        return error_user(err, "the kernel command line contains a NUL byte: the kernel would see "
                               "only what lies before it");
    if (length + 1 > limit) {
        error_user(err, "the kernel command line has %zu bytes; this kernel takes at most %llu",
                   length, (unsigned long long)limit - 1);
        return error_hint(err, "shorten it, or build the kernel with a larger "
                               "CONFIG_COMMAND_LINE_SIZE");
    }
    return 0;
}

int check_initrd(const char *path, uint64_t size, struct error **err)
{
    if (size)
        return 0;
    error_user(err, "%s: the initrd is empty", path);
    return error_hint(err, "give an initrd with content, or none at all");
}
