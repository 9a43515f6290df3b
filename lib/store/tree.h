// SPDX-License-Identifier: Apache-2.0
// The canonical listing of a directory tree. Its SHA-256 is the tree's digest.
//
//   kbuild-tree 1
//   d <name>
//   f <size> <sha256> <name>
//   x <size> <sha256> <name>
//   l <target> <name>
//
// One line for each entry below the root, each ended by a newline: directory, file, executable file
// (owner's x bit), symbolic link. Fields are divided by one space. Size is decimal, in bytes. A
// name is the path from the root, components joined by '/'; a directory comes before what is in it,
// and the entries of a directory are sorted by the bytes of their names. In names and targets each
// byte outside 0x21..0x7e, and the backslash, is written \xHH with lower-case digits, so a listing
// is printable ASCII whatever the names are, and two different trees never have the same listing.
// Owners, times, other mode bits, extended attributes and whether two files are hard links of each
// other are not part of it.
#ifndef KBUILD_STORE_TREE_H
#define KBUILD_STORE_TREE_H

#include "base/memory.h"
#include "base/digest.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define TREE_DEPTH_MAX 256 // directories inside one another; deeper is an error

struct tree_options {
    bool adopt; // the tree will be kept: add missing owner access, remove setuid, setgid
                // and sticky bits, and sync it to disk
};
// Appends the listing of the directory `path` to `listing`, hashing every file. Links are not
// followed. A device, fifo, socket, or name that cannot be read is an error that names it.
int tree_list(const char *path, const struct tree_options *o, struct buf *listing,
              struct error **err);

enum tree_kind { TREE_DIRECTORY = 'd', TREE_FILE = 'f', TREE_EXECUTABLE = 'x', TREE_LINK = 'l' };
struct tree_entry {
    enum tree_kind kind;
    uint64_t size;                // of a file
    char digest[DIGEST_HEX_SIZE]; // of a file, else ""
    char *path;                   // raw bytes; belongs to the reader, as does target
    char *target;                 // of a link, else NULL
};
// Reads a listing line by line. Zero-initialise, set text and length.
struct tree_reader {
    const char *text;
    size_t length, offset;
    struct tree_entry entry; // filled by tree_next()
};
// 1: r->entry is the next one; 0: the end; -1: not a listing. Paths are clean (path_is_clean()).
int tree_next(struct tree_reader *r, struct error **err);
void tree_reader_free(struct tree_reader *r);
#define cleanup_tree_reader __attribute__((cleanup(tree_reader_free)))

// Sum of the sizes of the files in a listing.
int tree_bytes(const char *text, size_t length, uint64_t *bytes, struct error **err);
// The first difference of two listings, as text for a message ("usr/bin/gcc: content differs"); to
// be freed; NULL if they are equal.
char *tree_difference(const struct buf *expected, const struct buf *found);
// The path with unprintable bytes escaped as in a listing, for messages; appended.
void tree_escape(struct buf *out, const char *path);

#endif
