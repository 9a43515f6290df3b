// SPDX-License-Identifier: Apache-2.0
// Reads an archive member by member, with checked names. Formats: tar, cpio (newc and odc), ar;
// plain or compressed with gzip, xz, zstd or bzip2; and zip, but not from a pipe.
//
// Data after the end of an archive (two archives joined with cat) is an error, since other readers
// ignore it.
#ifndef KBUILD_PACK_READER_H
#define KBUILD_PACK_READER_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define READER_MAX_BYTES ((uint64_t)64 << 30) // of all content together
#define READER_MAX_MEMBERS 5000000

struct reader;
// `name` is for messages; max_bytes 0 is READER_MAX_BYTES. fd is not owned.
struct reader *reader_open(int fd, const char *name, uint64_t max_bytes, struct error **err);

// After this call absolute names are relative to the root of the archive: "/etc/x" is "etc/x".
void reader_accept_absolute(struct reader *r);

// Valid until the next call.
struct reader_member {
    const char *path; // clean; "" is the root
    const char *link; // symlink target as it is, or the clean path of a hard link's target
    bool hardlink;
    unsigned mode; // type and all permission bits; a hard link is S_IFREG
    uint64_t size; // of the content that follows
    bool size_known;
    int64_t mtime;
    long mtime_ns;
    int64_t uid, gid;
    unsigned major, minor;  // of a device node
    const char *attributes; // extended ones (attributes.h), or NULL
    bool normal;            // root's, with "./": as tar_out.c writes it, except mode and time
};
// 1: *m is the next member (the rest of the previous one's content is skipped); 0: the end.
int reader_next(struct reader *r, struct reader_member *m, struct error **err);
// 1: the next piece of content at *offset (gaps are zeros); 0: no more, and *offset is the end.
// Errors of this and of reader_content() do not name the member: reader_wrap() does.
int reader_piece(struct reader *r, const void **bytes, size_t *length, uint64_t *offset,
                 struct error **err);
// The whole content in order, with zeros in the gaps.
typedef int reader_sink(void *context, const void *bytes, size_t length, struct error **err);
int reader_content(struct reader *r, reader_sink *sink, void *context, struct error **err);
// The same into a file; `to_name` is for messages.
int reader_content_to(struct reader *r, int to, const char *to_name, struct error **err);
// Puts 'reading NAME: "MEMBER"' before the message. Returns -1.
int reader_wrap(const struct reader *r, struct error **err);
void reader_progress(const struct reader *r, const char *what);
void reader_close(struct reader *r); // NULL is allowed

static inline void reader_close_p(struct reader **r)
{
    reader_close(*r);
}
#define cleanup_reader __attribute__((cleanup(reader_close_p)))

#endif
