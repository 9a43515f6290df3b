// SPDX-License-Identifier: Apache-2.0
// Archives: writes deterministic tar.xz and tar.zst and a cpio for initrds, reads any archive, and
// merges tarballs. Over libarchive, liblzma and libzstd. Knows nothing of recipes or graphs.
//
// Output: pax-restricted tar ("./" prefix, first member "./", directories listed, sorted by bytes),
// uid 0 gid 0 root root, mtimes clamped to `epoch`, modes 0755 or 0644 by the execute bit (0777
// links), no times but mtime, no device numbers or ACLs; of the extended attributes user.* and file
// capabilities. Compressed with liblzma's multithreaded encoder (also for one thread), preset 6, an
// even number of equal blocks of at most 24 MiB (one, up to 16 MiB), CRC64, and the two zero
// records of the end in a last block of their own with a 4 KiB dictionary, the marker for splicing.
// The bytes do not depend on the number of threads.
//
// Input is untrusted. Every reader refuses names that are absolute, contain ".." or newlines or are
// longer than 4095 bytes or 128 components, more than 5 million members, content over the limit,
// and anything after the end of the archive. Functions that write files also refuse device nodes,
// fifos, sockets and links that lead out of the destination (absolute ones too). The message has
// the member's name. Nothing is written through a link.
//
// Formats: POSIX.1-2017, pax, "pax Interchange Format" (tar); The .xz File Format 1.1.0
// (tukaani.org); RFC 8878 (zstd); RFC 1951 and 1952 (gzip); Linux, Documentation/driver-api/
// early-userspace/buffer-format.rst (newc cpio). docs/packing.md.
//
// Descriptors: they are the caller's, and stay open. A reader's file is read from its start with
// pread(), whatever the offset is; a writer writes at the offset of its fd.
//
// Ownership: what is passed in is borrowed for the call; texts that are returned are to be freed,
// listings with listing_free(). Paths and names that a callback gets are valid during the call.
//
// Units: sizes are bytes, times seconds since 1970 (UTC), modes those of stat(2), digests SHA-256
// as 64 lower-case hex digits.
//
// Errors: 0, or -1 with *err, unless a function says otherwise. What was written to an fd before a
// failure is useless. A callback's -1 ends the call, with the callback's error.
#ifndef KBUILD_PACK_PACK_H
#define KBUILD_PACK_PACK_H

#include "base/error.h"
#include "base/memory.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// "liblzma 5.4.1 + libarchive 3.6.2 + zlib 1.2.13": the libraries that the compressed bytes depend
// on. Part of the key of everything packed. The string is static.
const char *pack_codec_version(void);
// Its part that is known without loading a library.
const char *pack_lzma_version(void);
// The file of the library that is loaded to find that out, as library_path() says it
// (base/library.h).
const char *pack_codec_library(void);

// ---- writing ----
enum pack_format { FORMAT_XZ, FORMAT_ZSTD };
int pack_format_named(const char *name, enum pack_format *out, struct error **err); // "tar.xz"
enum pack_format pack_format_of(const char *file);          // by its name; FORMAT_XZ if unknown
const char *pack_format_extension(enum pack_format format); // "tar.xz"

struct listing;
struct pack_options {
    int64_t epoch;    // seconds since 1970; later mtimes become this
    unsigned threads; // of the encoder; 0: as many as there are processors
    enum pack_format format;
    struct listing *listing; // gets what list_archive() would give; or NULL
};
// Packs the tree at `folder` into fd. Hard links stay hard links: the first name in the sorted
// order is the file. Devices, fifos, sockets and names with newlines in the tree are errors.
int pack_tree(const char *folder, int fd, const struct pack_options *o, struct error **err);
// The same for an open directory, which `shown` names in messages; for an untrusted directory.
int pack_directory(int directory, const char *shown, int fd, const struct pack_options *o,
                   struct error **err);
// A tarball with the given members only. Used for results that kbuild itself makes.
struct pack_member {
    const char *path;   // clean relative path
    const char *link;   // symlink target, or NULL
    const char *source; // file to read the content from (NULL for a link or directory)
    int mode;           // permission bits for a file, used as they are
    bool directory;
};
// Parent directories are added. Members may come in any order. All get the epoch as their time.
int pack_members(const struct pack_member *members, size_t count, int fd,
                 const struct pack_options *o, struct error **err);

// ---- reading ----
struct unpack_options {
    bool strip_first;   // drop the first component of every name (a source archive's top folder)
    uint64_t max_bytes; // limit of all content; 0: 64 GiB
    bool attributes;    // set extended attributes; a warning says if some could not be
    bool root;          // the folder is a root file system: links may lead anywhere
    bool follow;        // ... members may lead through them, resolved inside; names may be absolute
    const char *shown;  // the folder's name in messages; NULL: its path
    // Members for which this returns true are left out; or NULL.
    bool (*skip)(const char *path, unsigned mode);
};
// A tar, cpio or ar (plain or with gzip, xz, zstd or bzip2), or a zip that is a file, from fd into
// the existing folder, which should be empty: files there are replaced, directories kept. Owners
// are ignored, setuid, setgid and sticky bits dropped, mtimes kept; the owner may read every file
// and write every directory. With strip_first everything must be in one top folder. *newest (may be
// NULL) gets the newest mtime. `name` is for messages. On failure the unpacked files stay.
int unpack(int fd, const char *name, const char *folder, const struct unpack_options *o,
           int64_t *newest, struct error **err);
// Limits decompression bombs: the most bytes that an archive of `size` bytes may unpack to, at most
// 64 GiB. Real ones are packed to about a tenth.
uint64_t unpack_limit(uint64_t size);
// As unpack() for a user: the folder appears complete or not at all. It must be empty or not exist.
int unpack_new(const char *file, const char *folder, struct error **err);
// Extracts one file from an archive, which must be a regular file since it is read twice. Follows
// symlinks inside the archive (like "x.container"), absolute ones from its root. Writes its bytes
// to out_fd. `resolved` (may be NULL) gets the final member name, to be freed.
int unpack_member(int fd, const char *name, const char *member, int out_fd, char **resolved,
                  struct error **err);
// The same: 1; 0 if the archive has no such member, or a link leads to none; -1.
int unpack_member_if(int fd, const char *name, const char *member, int out_fd, char **resolved,
                     struct error **err);

struct listing_entry {
    char *path;    // without "./", no trailing slash; "" is the root
    unsigned mode; // file type and permissions; devices and fifos are listed too
    uint64_t size;
    int64_t mtime; // seconds since 1970
    char *link;    // symlink target, or hardlink target with mode S_IFREG and hardlink true
    bool hardlink;
    char *attributes; // extended ones, as text that compares (reader.h), or NULL
    char digest[65];  // SHA-256 of a regular file's content, else ""
};
struct listing {
    struct listing_entry *entries;
    size_t n, cap;
    bool normal; // every member is as pack_tree() writes it: owner, mode, name
    char *text;  // holds all texts of the entries, if listing_read() made them; else NULL
};
// All members in the archive's order. The listing is to be freed also after an error.
int list_archive(int fd, const char *name, struct listing *out, struct error **err);
// The same, and shows the content of each file: `bytes` is called for its pieces in order, with the
// number of the entry. A hard link of a tar has no content of its own.
struct listing_watch {
    void (*bytes)(void *context, size_t entry, uint64_t offset, const void *bytes, size_t length);
    void *context;
};
int list_archive_watched(int fd, const char *name, const struct listing_watch *watch,
                         struct listing *out, struct error **err);
void listing_free(struct listing *l);
// Writes a listing as bytes, and reads it back. Bytes that listing_write() cannot have written are
// an error.
void listing_write(const struct listing *l, struct buf *out);
int listing_read(const void *bytes, size_t length, struct listing *out, struct error **err);

// ---- layers: an initrd, or the content of a file system ----
// Merges layers, in order, into one tree; an entry of a later layer replaces an earlier one of the
// same path (a directory stays one, with its first mode). A name that leads through a link of the
// tree goes where the link points, as "bin/foo" with a merged /usr; so a root file system must be
// the first layer. Nothing is unpacked on disk: only names are in memory, and each layer is read
// twice. Order: directories, then links and nodes, each sorted, then files in the layers' order.
struct initrd_layer {
    const char *name;              // for messages
    const char *archive;           // path of a tar (any compression), or
    const char *folder;            // a folder (files become root:root, modes 0755/0644)
    const struct strlist *exclude; // globs of paths left out, with all below, or NULL; "*" takes
                                   // "/" too: "usr/share/doc/*"
    bool keep_nodes; // a root file system: device nodes, fifos and owners are kept; in other
                     // layers nodes are errors and everything is root's
};
// One file, directory, link or node. Valid during the call.
struct pack_entry {
    const char *const *names; // clean paths, "" is the root; several are hard links to one file
    size_t name_count;
    unsigned mode; // type and permissions
    int64_t mtime; // at most the epoch
    int64_t uid, gid;
    unsigned major, minor;  // of a device
    const char *link;       // symlink target, or NULL
    uint64_t size;          // of the content that follows
    const char *attributes; // extended ones (reader.h), or NULL
};
struct pack_sink {
    int (*entry)(void *context, const struct pack_entry *e, struct error **err);
    // The content of the last entry, in order, e->size bytes in all.
    int (*data)(void *context, const void *bytes, size_t length, struct error **err);
    void *context;
};
struct layers_options {
    int64_t epoch;
    const char *init; // "init" or "sbin/init": a path that must be an executable file in the end
    const char *what; // for messages: "the initrd"
};
// Adds what an init needs and no layer has: /dev with console and null, /proc /sys /run /tmp, and
// with "init" /init as a link to /sbin/init.
int pack_layers(const struct initrd_layer *layers, size_t count, const struct layers_options *o,
                const struct pack_sink *sink, struct error **err);

struct initrd_options {
    int64_t epoch;
    bool compress; // gzip -9 without name and time
};
// Writes the tree as a deterministic newc cpio with the init /init. The format has no extended
// attributes.
int pack_initrd(const struct initrd_layer *layers, size_t count, int fd,
                const struct initrd_options *o, struct error **err);

// ---- merge ----
// Keeps listings between runs, so that a merge can list a tarball without decompressing it. The key
// of a tarball is the SHA-256 of the whole file.
struct listing_cache {
    void *context;
    // 1 and the digest if it is known without reading the file; 0: the file must be hashed.
    int (*known)(void *context, int fd, const char *path, char digest[static 65],
                 struct error **err);
    int (*get)(void *context, const char *digest, struct listing *out,
               struct error **err); // 1, 0, -1
    int (*put)(void *context, const char *digest, const struct listing *l, struct error **err);
};
struct merge_options {
    const char *version;       // text of <prefix>/VERSION, without newline; or NULL
    const char *versions_yaml; // file copied to <prefix>/versions.yaml, or NULL
    struct pack_options pack;  // epoch 0: the newest time in the components; the listing is ignored
    const char *prefix;        // "opt/kata"
    const char *scratch;       // folder for recompressed components
    const struct listing_cache *cache; // or NULL
    bool rehash;                       // hash every input, also those whose digest is known
};
// Merges component tarballs into one. Two tarballs may have the same directory, or the same path
// with the same kind, mode and content; anything else is an error that names the path and both
// tarballs. Members that would overwrite a host's own configuration when unpacked at / (the list of
// kata-artifacts.md, 2.4) are an error that lists them all. The bytes do not depend on the order of
// `paths`.
//
// A tarball of pack_tree() in the same format is spliced: its compressed bytes are copied. Any
// other is rewritten with normal modes first.
int merge_archives(const struct strlist *paths, int fd, const struct merge_options *o,
                   struct error **err);

// Writes one tarball again in the format of `o`, with normal modes as a merge does. With epoch 0
// times stay as they are.
int recompress_archive(const char *path, int fd, const struct pack_options *o, struct error **err);

// ---- gzip ----
// Makes one gzip stream (RFC 1952; RFC 1951) in several threads, from blocks of one size, each
// deflated with the 32 KiB before it as dictionary and ended on a byte (zlib's Z_SYNC_FLUSH). It is
// a single member, so every reader accepts it. The bytes follow from the content, the level and the
// version of zlib, and not from the number of threads. Memory: some 1.2 MB for each block in
// progress, two per thread.

enum { GZIP_BLOCK = 512 << 10, GZIP_LEVEL = 6 }; // the level is docker's

struct gzip;
struct gzip *gzip_begin(int fd, unsigned threads); // 0: one thread; fd is not owned
int gzip_add(struct gzip *g, const void *bytes, size_t length, struct error **err);
int gzip_end(struct gzip *g, struct error **err); // writes the rest
void gzip_free(struct gzip *g);                   // NULL is allowed

// The whole of `from`, from its beginning.
int gzip_file(int from, const char *name, int to, unsigned threads, struct error **err);

// ---- installing ----
// Tarballs into a host's tree, optionally with another prefix.

// A symbolic link that no tarball has; path is below the prefix, target relative to it.
struct install_link {
    const char *path, *target;
};
struct install_options {
    const char *from;   // clean path that the tarballs use: "opt/kata"
    const char *prefix; // absolute path that it becomes: "/usr"
    const char *root;   // the tree: "/"
    bool dry_run;       // write nothing
    const struct install_link *links;
    size_t link_count;
    const struct listing_cache *cache; // or NULL
    // Called for each file and link, with its path in the tree ("/usr/bin/x"); or NULL.
    void (*say)(const char *path, void *context);
    void *context;
};

// Whether any member of the tarball is below `from`; tarballs without one are for guests. 1, 0, -1.
int install_concerns(const char *path, const struct install_options *o, struct error **err);
// Installs all tarballs at once. Refuses members that are not below `from`, links that lead out of
// it, what the merge refuses (device nodes, two tarballs that disagree, the host's own files:
// pack.h), and links in o->links that would lead nowhere. Files and links are replaced in one step
// each, existing folders are unchanged. The owner is the user who runs this; modes and times are
// the tarball's.
int install_archives(const struct strlist *paths, const struct install_options *o,
                     struct error **err);

#endif
