// SPDX-License-Identifier: Apache-2.0
// What the files of this room share: the folder that is packed, the writer of tarballs,
// compressors, segments that can be spliced, the decompressor, the tree of layers, and files beside
// their places.
#ifndef KBUILD_PACK_INTERNAL_H
#define KBUILD_PACK_INTERNAL_H

#include "base/error.h"
#include "base/map.h"
#include "base/memory.h"
#include "pack/merge_plan.h"
#include "pack/pack.h"
#include "pack/reader.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// ---- the folder that is packed ----
// The entries of a folder, in the order of packing.

struct scan_entry {
    char *path;    // relative; "" is the folder itself
    unsigned mode; // as it is on disk
    uint64_t size;
    int64_t mtime;
    char *link; // symlink target, or NULL
    dev_t device;
    ino_t inode;
    size_t first; // index of the first entry that is the same file (itself without hard links)
};
// Sorted by the bytes of the path, so a directory comes before its entries.
struct scan {
    struct scan_entry *entries;
    size_t n, cap;
    uint64_t bytes; // of all regular files, each once
    int root;       // the folder, for openat()
};

// Devices, fifos, sockets and names with newlines are errors that name the path.
// The same for a path, whose own last component may be a link.
int scan_folder(const char *folder, struct scan *out, struct error **err);
// Opens a regular file of the scan for reading, without following links; if another file replaced
// it, that is an error.
int scan_open(const struct scan *s, const struct scan_entry *e, struct error **err);
void scan_free(struct scan *s);
#define SCAN_NONE ((struct scan){.root = -1})
#define cleanup_scan __attribute__((cleanup(scan_free)))

// ---- the writer of tarballs ----
// Writes one normal tarball (pack.h, docs/packing.md), pax-restricted tar over a compressor, or a
// newc cpio.

struct tar_out;
// The compressor divides its work by the expected size (this file): about `files` members with
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
    const char *attributes; // extended ones (reader.h), or NULL
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

// ---- compressors ----
// A compressor: bytes of a tar in, a file that can be spliced out. One implementation for each
// format; tar_out.c uses only this interface.

struct compressor {
    // Writes to fd. `threads` 0: one for each processor, as far as memory allows. The bytes do not
    // depend on it. `expected` is the approximate size of the tar; the bytes do depend on it, so it
    // must follow from the content alone. NULL with an error.
    void *(*open)(int fd, unsigned threads, uint64_t expected, struct error **err);
    int (*add)(void *c, const void *bytes, size_t length, struct error **err);
    // What is added after this call is the end of the archive, which is marked (see below).
    int (*end_data)(void *c, struct error **err);
    int (*finish)(void *c, struct error **err);
    void (*free)(void *c); // NULL is allowed
};
const struct compressor *compressor_for(enum pack_format format);

// ---- xz out ----
// The xz compressor (The .xz File Format 1.1.0, tukaani.org): one stream of independent blocks.
//
// liblzma's multithreaded encoder, also for one thread: only this encoder writes sizes into block
// headers, which parallel readers and splicing need, and its bytes do not depend on the number of
// threads.

extern const struct compressor xz_compressor;

// ---- zstd out ----
// The zstd compressor (RFC 8878): one frame of data, the mark, one frame with the tar's end.

extern const struct compressor zstd_compressor;

// A skippable frame (3.1.2) whose content says what follows.
#define ZSTD_MARK_SIZE 24

// ---- segments ----
// The parts of a compressed tarball that can be spliced (a head, the data, an end), and splicing.
//
//   data   compressed members, in units that decompress by themselves (xz blocks, zstd frames)
//   end    the two zero records that end a tar, in a unit of their own that only our packer
//          writes, so that it can be told from data that happens to be zeros
//
// A splice is the data of each input, one after another, then the end of the last one, then
// whatever the format wants around it. Nothing is decompressed. docs/packing.md, "Splicing".

struct span {
    uint64_t offset, length; // bytes of a file
};

struct segment {
    int fd; // not owned
    struct span data, end;
    void *units; // the format's own account of both, owned
};

// The functions of a format. segment_formats[] has one row for each.
struct segment_format {
    enum pack_format format;
    // 1: *out has the parts of this file; 0: a file of this format that kbuild did not write, or
    // another format; -1: it cannot be read. Reads a few hundred bytes and the index, no data.
    int (*open)(int fd, uint64_t size, struct segment *out, struct error **err);
    void (*close)(struct segment *s);
    // The bytes before the first and after the last unit of a file that consists of the data of
    // all `n` segments and the end of the last one.
    int (*head)(struct buf *out, struct error **err);
    int (*tail)(const struct segment *segments, size_t n, struct buf *out, struct error **err);
};
extern const struct segment_format xz_segments, zstd_segments;
const struct segment_format *segment_format(enum pack_format format);

// A running splice. A thread of its own copies the data, so that the caller can meanwhile check
// whether the splice is valid, and make the missing segments.
//
// `segments` and fd are the caller's and must stay until splice_end(); `total` is the expected size
// of all data in bytes, for the progress. Nothing else may write to fd meanwhile.
struct splice;
struct splice *splice_begin(const struct segment_format *format, const struct segment *segments,
                            uint64_t total, int fd);
// Says that the first `ready` segments are complete and may be copied.
void splice_ready(struct splice *s, size_t ready);
// Waits until all ready segments are copied, then writes the end of the last segment and the bytes
// that the format needs after it. Frees s.
int splice_end(struct splice *s, struct error **err);
// Cancels: the bytes written so far are useless. Frees s; NULL is allowed.
void splice_cancel(struct splice *s);

// ---- the decompressor ----
// The decompressor: a thread of its own that runs ahead of the reader, so that decompressing and
// writing files overlap. xz goes through liblzma's multithreaded decoder (blocks in parallel where
// their headers have sizes), everything else through libarchive's filters.

// ---- input ----
// The compressed bytes of an archive, from a file or a pipe. A file is read from its start, with
// pread(), so that several passes need no rewinding and the descriptor's offset never changes.

#define MAGIC_SIZE 6

struct input {
    int fd; // not owned
    bool seekable;
    uint64_t size; // of a file; 0 for a pipe
    off_t at;
    unsigned char head[MAGIC_SIZE]; // the first bytes, to tell formats apart
    size_t head_length;
    _Atomic uint64_t done; // bytes read, for progress from another thread
};

int input_open(struct input *in, int fd, struct error **err);
ssize_t input_read(struct input *in, void *bytes, size_t size); // -1 and errno, 0 at the end
bool input_is_zip(const struct input *in);

struct decoder;
// `in` must outlive it. More than `limit` bytes of output are an error.
struct decoder *decoder_start(struct input *in, uint64_t limit, struct error **err);
// The next bytes: 1 and *bytes, valid until the next call; 0 at the end, when the data was complete
// and the checksums matched; -1 and *why, which belongs to the decoder.
int decoder_next(struct decoder *d, const void **bytes, size_t *length, const char **why);
void decoder_stop(struct decoder *d); // at any time; NULL is allowed

// ---- headers of a tar, read twice ----
// libarchive finds the members; beside it this reads the headers of the same bytes, and refuses
// what GNU tar, Python's tarfile and libarchive do not read alike: global headers other than a
// comment, two extensions or two sizes of one member, keys that are there twice, sparse maps in
// extended headers, numbers that are none, sizes of what has no content, types that not all know.

struct tar_headers;
struct tar_member {
    char *path, *link; // as in the archive; link: NULL for what is no link
    unsigned kind;     // S_IFREG...; a hard link is S_IFREG
    bool hardlink;
    uint64_t size; // of the content, with the holes of a sparse file
};
struct tar_headers *tar_headers_new(void);
// The next bytes of the decompressed stream. False: refused, see tar_headers_problem(). After the
// end of the archive, and in another format, nothing is looked at.
bool tar_headers_take(struct tar_headers *t, const void *bytes, size_t length);
// A sentence without subject, "the header at byte 512 is ..."; NULL if nothing was refused.
const char *tar_headers_problem(const struct tar_headers *t);
bool tar_headers_is_tar(const struct tar_headers *t); // after the first block
// The next member, valid until the next call; NULL: none was found in what was taken so far.
const struct tar_member *tar_headers_next(struct tar_headers *t);
// False: there are members that were not asked for, or the stream ends within one.
bool tar_headers_end(struct tar_headers *t);
void tar_headers_free(struct tar_headers *t); // NULL is allowed

// ---- the tree of layers ----
// The merged tree of the layers of an initrd: names, links and the place of each content, but no
// content. A later layer's entry replaces an earlier one; a name that leads through a link of the
// tree goes where the link points ("bin/foo" to usr/bin when bin is a link to it).

#define NO_CONTENT ((size_t)-1)

struct layer_node {
    char *path;    // "" is the root
    unsigned mode; // type and permissions
    int64_t mtime; // clamped
    int64_t uid, gid;
    unsigned major, minor; // of a device
    char *link;            // symlink target
    char *attributes;      // extended ones (reader.h), or NULL
    size_t content;        // index of a regular file's content; NO_CONTENT: none
    size_t layer;          // that brought it, for messages
    bool implicit;         // a directory that no layer names
};
// One file's content; several nodes have it if there are hard links.
struct content {
    size_t layer, member; // `member`: the number within the layer
    uint64_t size;
    struct layer_node node; // mode, owner and time shared by all names; path is unused
    size_t links;           // nodes with this content; 0: left out
};
struct layers {
    struct layer_node *nodes;
    size_t n, cap;
    struct content *contents; // in the order of layer and member
    size_t content_n, content_cap;
    struct map by_path;
    int64_t epoch;
};

void layers_begin(struct layers *l, int64_t epoch);
// Adds a node; what `n` points to is copied. Parents are made. An existing directory is unchanged.
int layers_add(struct layers *l, const char *path, const struct layer_node *n, struct error **err);
// After the last layer: adds what every initrd has, if no layer has it, and checks that `init`
// leads to an executable file.
int layers_complete(struct layers *l, const char *init, struct error **err);
void layers_free(struct layers *l);

#endif
