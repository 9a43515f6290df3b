// SPDX-License-Identifier: Apache-2.0
// Writes one normal tarball (pack.h, docs/packing.md), pax-restricted tar over a compressor, or a
// newc cpio.
#ifndef KBUILD_PACK_TAR_OUT_H
#define KBUILD_PACK_TAR_OUT_H

#include "pack/pack.h"

struct tar_out;
// The compressor divides its work by the expected size (compressor.h): about `files` members with
// `bytes` of content in all.
struct tar_out *tar_out_open(int fd, const struct pack_options *o, size_t files, uint64_t bytes,
                             struct error **err);

struct tar_entry {
    const char *path; // clean; "" is the root
    unsigned mode;    // type and permissions, written as they are
    uint64_t size;    // of a regular file that is not a hard link
    int64_t mtime;    // clamped to the epoch by tar_out
    const char *link; // symlink target; or the clean path of an earlier file, with hardlink
    bool hardlink;
    const char *attributes; // extended ones (attributes.h), or NULL
};
int tar_out_entry(struct tar_out *t, const struct tar_entry *e, struct error **err);
// The content of the last entry, in order, `size` bytes in all.
int tar_out_data(struct tar_out *t, const void *bytes, size_t length, struct error **err);
// An entry with the content of a file that must have exactly e->size bytes. Closes source_fd.
int tar_out_file(struct tar_out *t, const struct tar_entry *e, int source_fd, struct error **err);
// Writes the directories above `path` that were not written yet, with the epoch as their time.
int tar_out_parents(struct tar_out *t, const char *path, struct error **err);
bool tar_out_has_directory(const struct tar_out *t, const char *path);
// Ends the archive. Without it the file is incomplete.
int tar_out_finish(struct tar_out *t, struct error **err);
void tar_out_free(struct tar_out *t); // NULL is allowed

static inline void tar_out_free_p(struct tar_out **t)
{
    tar_out_free(*t);
}
#define cleanup_tar_out __attribute__((cleanup(tar_out_free_p)))

// ---- cpio out ----
// Writes a newc cpio (Linux, Documentation/driver-api/early-userspace/buffer-format.rst), plain or
// gzip -9. Inode numbers count up from 1 in the order of writing.

struct cpio_out;
struct cpio_out *cpio_out_open(int fd, bool compress, struct error **err);
// Writes one name of an entry, with `size` bytes of content to follow; with `again` it is one more
// name of the previous file: only the last name has the content.
int cpio_out_entry(struct cpio_out *c, const char *path, const struct pack_entry *e, uint64_t size,
                   bool again, struct error **err);
int cpio_out_data(struct cpio_out *c, const void *bytes, size_t length, struct error **err);
int cpio_out_finish(struct cpio_out *c, struct error **err);
void cpio_out_free(struct cpio_out *c);

static inline void cpio_out_free_p(struct cpio_out **c)
{
    cpio_out_free(*c);
}
#define cleanup_cpio_out __attribute__((cleanup(cpio_out_free_p)))

#endif
