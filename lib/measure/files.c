// SPDX-License-Identifier: Apache-2.0
// Checks and hashes the files of a launch, and reads those whose bytes are needed.
#include "measure/kernel.h"

#include "measure/ovmf.h"
#include "se/checks.h"

static int hash_open(int fd, const char *path, uint64_t size, struct launch_file *out,
                     struct error **err)
{
    uint64_t hashed;
    if (digest_fd(fd, path, out->sha256, &hashed, err) < 0)
        return -1;
    if (hashed != size)
        return error_user(err, "reading %s: it changed meanwhile", path);
    out->given = true;
    out->size = size;
    return 0;
}

static int read_open(int fd, const char *path, uint64_t size, unsigned char **bytes,
                     struct launch_file *out, struct error **err)
{
    *bytes = xmalloc(size ? size : 1);
    if (read_at(fd, path, 0, *bytes, size, err) < 0)
        return -1;
    digest_bytes(*bytes, size, out->sha256);
    out->given = true;
    out->size = size;
    return 0;
}

static int check_kernel_head(const struct launch_inputs *in, const unsigned char *head,
                             uint64_t size, struct error **err)
{
    uint32_t limit;
    if (bzimage_check(in->kernel, head, size, &limit, err) < 0)
        return -1;
    return bzimage_check_append(in->kernel, in->append, limit, err);
}

// QEMU passes a unified kernel image unchanged to the firmware, without initrd and command line
// (x86_load_linux(): a kernel without "HdrS" is too old for an initrd).
static int check_uki(const struct launch_inputs *in, int fd, uint64_t size, struct error **err)
{
    unsigned char outer[UKI_HEAD] = {0}, inner[BZIMAGE_HEAD] = {0};
    uint64_t place, length;
    uint32_t limit;
    if (in->initrd) {
        error_user(err, "the kernel %s is a unified kernel image, and QEMU gives those no initrd",
                   in->kernel);
        return error_hint(err, "leave --initrd out: the one in the image is what starts");
    }
    if (read_at(fd, in->kernel, 0, outer, size < sizeof outer ? size : sizeof outer, err) < 0 ||
        uki_find_kernel(in->kernel, outer, size, &place, &length, err) < 0 ||
        read_at(fd, in->kernel, place, inner, length < sizeof inner ? length : sizeof inner, err) <
            0)
        return -1;
    cleanup_free char *name = xasprintf("%s, section .linux", in->kernel);
    if (bzimage_check(name, inner, length, &limit, err) < 0)
        return -1;
    return bzimage_check_append(name, in->append, limit, err);
}

int launch_hash_kernel(const struct launch_inputs *in, struct launch_file *out, struct error **err)
{
    uint64_t size;
    unsigned char head[BZIMAGE_HEAD] = {0};
    cleanup_close int fd = user_file_open(in->kernel, &size, err);
    if (fd < 0 ||
        read_at(fd, in->kernel, 0, head, size < sizeof head ? size : sizeof head, err) < 0)
        return -1;
    if ((is_efi_program(head, size) ? check_uki(in, fd, size, err)
                                    : check_kernel_head(in, head, size, err)) < 0)
        return -1;
    return hash_open(fd, in->kernel, size, out, err);
}

int launch_read_kernel(const struct launch_inputs *in, unsigned char **bytes,
                       struct launch_file *out, struct error **err)
{
    uint64_t size;
    cleanup_close int fd = user_file_open(in->kernel, &size, err);
    if (fd < 0)
        return -1;
    if (size > LAUNCH_KERNEL_MAX)
        return error_user(err, "reading kernel %s: it has %llu bytes, more than any kernel",
                          in->kernel, (unsigned long long)size);
    if (read_open(fd, in->kernel, size, bytes, out, err) < 0)
        return -1;
    if (is_efi_program(*bytes, size)) {
        error_user(err,
                   "reading kernel %s: it is an EFI program around a kernel, as unified kernel "
                   "images are: what such a program measures by itself is not known here",
                   in->kernel);
        return error_hint(err, "give the bzImage in it: objcopy -O binary --only-section=.linux "
                               "FILE KERNEL takes it out of a unified kernel image");
    }
    return check_kernel_head(in, *bytes, size, err);
}

int launch_hash_initrd(const char *path, struct launch_file *out, struct error **err)
{
    uint64_t size;
    cleanup_close int fd = user_file_open(path, &size, err);
    if (fd < 0 || check_initrd(path, size, err) < 0)
        return -1;
    return hash_open(fd, path, size, out, err);
}

int launch_read_firmware(const char *path, unsigned char **bytes, struct launch_file *out,
                         struct error **err)
{
    uint64_t size;
    cleanup_close int fd = user_file_open(path, &size, err);
    if (fd < 0)
        return -1;
    if (size > LAUNCH_FIRMWARE_MAX)
        return snp_firmware_error(err, path, "it has %llu bytes, more than any firmware",
                                  (unsigned long long)size);
    return read_open(fd, path, size, bytes, out, err);
}
