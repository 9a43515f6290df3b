// SPDX-License-Identifier: Apache-2.0
// Archives: deterministic tar + xz out, any archive in, one cpio for initrds, and the merge. Over
// libarchive and liblzma. Knows nothing of recipes or graphs.
//
// What is written: pax-restricted tar ("./" prefix, first member "./", directories listed, sorted by
// bytes), uid 0 gid 0 root root, mtimes clamped to `epoch`, modes 0755 or 0644 by the execute bit
// (0777 links), no times but mtime, no device numbers, xattrs or ACLs. Compressed with liblzma's
// multithreaded encoder (also for one thread), preset 6, blocks of 8 MiB, CRC64, and the two zero
// records of the end in a last block of their own with a 4 KiB dictionary: the marker that a splice
// recognises. The bytes do not depend on the number of threads.
//
// What is read is hostile: names that are absolute, contain "..", NUL or newlines, device nodes,
// fifos, sockets, links that lead out of the destination, sizes over the limit are refused with the
// member's name. Nothing is written through a link.
#ifndef KBUILD_PACK_PACK_H
#define KBUILD_PACK_PACK_H

#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

// "liblzma 5.4.1 + libarchive 3.6.2 + zlib 1.2.13": the libraries that decide the compressed bytes.
// Part of the key of whatever is packed. The string is static.
const char *pack_codec_version(void);

// ---- writing ----
struct pack_options {
    int64_t epoch;    // seconds since 1970; later mtimes become this
    unsigned threads; // of the encoder; 0: as many as there are processors
};
// Packs the tree at `folder` into fd.
int pack_tree(const char *folder, int fd, const struct pack_options *o, struct error **err);
// A tarball with the given members only. Used for results that kbuild itself makes.
struct pack_member {
    const char *path;   // clean relative path
    const char *link;   // symlink target, or NULL
    const char *source; // file to read the content from (NULL for a link or directory)
    int mode;           // permission bits for a file, used as they are
    bool directory;
};
// Parent directories are added. Members may come in any order.
int pack_members(const struct pack_member *members, size_t count, int fd,
                 const struct pack_options *o, struct error **err);

// ---- reading ----
struct unpack_options {
    bool strip_first;    // drop the first component of every name (a source archive's top folder)
    uint64_t max_bytes;  // of all content together; 0: 64 GiB
    bool any_owner;      // reserved for trees that are never run as they are: owners are ignored
};
// Any archive that libarchive reads (tar, cpio, ar, zip; gzip, xz, zstd, bzip2) from fd into the
// existing folder. Owners are ignored, setuid and setgid bits dropped. *newest (may be NULL) gets
// the newest mtime. `name` is for messages.
int unpack(int fd, const char *name, const char *folder, const struct unpack_options *o,
           int64_t *newest, struct error **err);
// One file out of an archive: follows symlinks inside the archive (as "x.container" has them).
// Writes its bytes to out_fd. `resolved` (may be NULL) gets the final member name, to be freed.
int unpack_member(int fd, const char *name, const char *member, int out_fd, char **resolved,
                  struct error **err);

struct listing_entry {
    char *path;      // without "./", no trailing slash; "" is the root
    unsigned mode;   // file type and permissions
    uint64_t size;
    int64_t mtime;   // seconds since 1970
    char *link;      // symlink target, or hardlink target with mode S_IFREG and hardlink true
    bool hardlink;
    char digest[65]; // SHA-256 of a regular file's content, else ""
};
struct listing {
    struct listing_entry *entries;
    size_t n, cap;
};
int list_archive(int fd, const char *name, struct listing *out, struct error **err);
void listing_free(struct listing *l);

// ---- initrd ----
// One deterministic newc cpio out of layers, in order; a later layer's entry replaces an earlier
// one's of the same path (a directory stays one). Nothing is unpacked on disk: memory holds the
// names only, and each layer is read twice.
struct initrd_layer {
    const char *name;              // for messages
    const char *archive;           // path of a tar (any compression), or
    const char *folder;            // a folder (files become root:root, modes 0755/0644)
    const struct strlist *exclude; // globs of paths left out, e.g. "usr/share/doc/*", or NULL
    bool keep_nodes;               // device nodes of this layer are kept (a root file system)
};
struct initrd_options {
    int64_t epoch;
    bool compress; // gzip -9 without name and time
};
// Adds what an init needs if no layer has it: /dev with console and null, /proc /sys /run /tmp, and
// /init as a link to /sbin/init. It is an error if there is no /init in the end.
int pack_initrd(const struct initrd_layer *layers, size_t count, int fd,
                const struct initrd_options *o, struct error **err);

// ---- merge ----
struct merge_options {
    const char *version;       // text of <prefix>/VERSION, without newline
    const char *versions_yaml; // file copied to <prefix>/versions.yaml, or NULL
    struct pack_options pack;  // epoch 0: the newest time in the components
    const char *prefix;        // "opt/kata"
};
// Merges component tarballs into one. The same directory, or the same path with the same kind, mode
// and content, is harmless; anything else is an error that names path and both tarballs. Members
// that would overwrite a host's own configuration when unpacked at / (the list of
// kata-artifacts.md, 2.4) are an error that lists them all.
int merge_archives(const struct strlist *paths, int fd, const struct merge_options *o,
                   struct error **err);

#endif
