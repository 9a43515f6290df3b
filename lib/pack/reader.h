// SPDX-License-Identifier: Apache-2.0
// Reads an archive member by member, with checked names. Formats: tar, cpio (newc and odc), ar;
// plain or compressed with gzip, xz, zstd or bzip2; and zip, but not from a pipe.
//
// Data after the end of an archive (two archives joined with cat) is an error, since other readers
// ignore it.
//
// libarchive finds the members, and liblzma decodes xz: no format is parsed here (formats: pack.h).
// Ownership, units and errors are as in pack.h; what a reader returns (names, pieces of content)
// belongs to it, until the next call.
#ifndef KBUILD_PACK_READER_H
#define KBUILD_PACK_READER_H

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "pack/libarchive.h"

#include <locale.h>
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
    const char *attributes; // extended ones, or NULL
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

// Limits the memory of each decoder of this process for decoding xz blocks in parallel; blocks that
// do not fit are decoded one after another, in the memory of their dictionary. 0 (the default): a
// quarter of the machine's memory, at most 1 GiB. Call it before the first decoder is started.
void decoder_bound_memory(uint64_t bytes);

// ---- names of members ----
// Names, links between them, and normal modes: shared by all readers and writers of archives.

#define NAME_LIMIT 4095           // bytes in a member's name
#define DEPTH_LIMIT BENEATH_DEPTH // components in a member's name

// Replaces *out by the clean form of a member's name: without empty and "." components and without
// a trailing slash; "" is the root. Refuses absolute names, "..", newlines and names over the
// limits.
int clean_name(const char *raw, struct buf *out, struct error **err);
// The text with control characters written as \x1b, for hostile names in messages; to be freed.
char *printable(const char *text);

// Where a symlink at the clean name `path` leads, judged from its target's text alone.
enum link_reach {
    LINK_INSIDE,    // stays below the root, whether its components are links or not
    LINK_UNDECIDED, // "a/../b": depends on whether "a" is a link
    LINK_OUTSIDE    // absolute, or climbs above the root
};
enum link_reach link_reach(const char *path, const char *target);

// 0755 for directories and files that their owner may execute, 0777 for links, else 0644; with the
// type bits.
unsigned normal_mode(unsigned mode);
int64_t clamp_time(int64_t mtime, int64_t epoch); // 0 to epoch

// libarchive converts names by the locale of the thread. While this scope exists the thread uses
// C.UTF-8, so that bytes in archives do not depend on the user's locale.
struct utf8_scope {
    locale_t utf8, old;
};
struct utf8_scope utf8_begin(void);
void utf8_end(struct utf8_scope *s);
#define WITH_UTF8_NAMES                                                                            \
    __attribute__((cleanup(utf8_end), unused)) struct utf8_scope utf8_scope_ = utf8_begin()

// ---- extended attributes ----
// Extended attributes of a file as one line of text: "<name>=<value>,<name>=<value>", both in hex,
// sorted; NULL: none. So strcmp() compares them, and listings can hold them. And the comparison of
// two archives.
//
// Only attributes that belong to the file: user.* and security.capability. Labels and ACLs belong
// to the machine that holds it.

// Of an open file; *out is to be freed. A file system without attributes has none.
int attributes_of_file(int fd, char **out, struct error **err);
char *attributes_of_entry(struct archive_entry *entry); // to be freed
void attributes_to_entry(const char *attributes, struct archive_entry *entry);
// Sets them. *lost is set if some could not be set without privilege or file system support.
int attributes_to_file(const char *attributes, int fd, bool *lost, struct error **err);

// ---- compare ----
// Differences between two archives, for people.

// One of the two archives; fd is a regular file.
struct compared {
    int fd;
    const char *name;   // for messages
    const char *called; // "the first build"
};
// Calls `report` with a line for each difference: members in only one archive, different kinds,
// modes, times, targets, attributes, and contents with the first bytes that differ. At most 40
// lines, then the number of the others. Returns the number of differences; 0 means the same members
// in the same order.
int compare_archives(const struct compared *a, const struct compared *b,
                     void (*report)(void *context, const char *line), void *context,
                     struct error **err);

#endif
