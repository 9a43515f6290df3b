// SPDX-License-Identifier: Apache-2.0
// Files and directories reached from the descriptor of one directory, component by component and
// never through a link. What a step, a builder or another user left is read, changed and removed
// this way: no name in it leads outside, even if it is replaced at the same time.
#ifndef KBUILD_BASE_BENEATH_H
#define KBUILD_BASE_BENEATH_H

#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

// ---- one name ----
// openat2(2) with RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS and RESOLVE_NO_MAGICLINKS; O_CLOEXEC,
// O_NOFOLLOW and O_NOCTTY are added to the flags. -1 with errno: ELOOP if a component is a link,
// the last one included; EXDEV if the path leads out.
int beneath_open(int root, const char *path, int flags, mode_t mode);
// The same, following links as long as they stay beneath (RESOLVE_BENEATH alone).
int beneath_follow(int root, const char *path, int flags);
// The same, following links as if `root` were "/" (RESOLVE_IN_ROOT); never a magic link of /proc.
int beneath_open_in_root(int root, const char *path, int flags);
// A directory for reading; "." is `root` itself. Anything else, or a link on the way, is an error
// that says so; `shown` is the name for messages.
int beneath_open_directory(int root, const char *path, const char *shown, struct error **err);
// A real directory for reading. If it cannot be read, its owner gets all permissions first. -1 with
// errno.
int beneath_open_owned(int directory, const char *name);
// A regular file for reading; anything else of that name is an error that says so.
int beneath_open_file(int root, const char *path, const char *shown, struct error **err);
// The permission bits of a file or directory. A link is refused (ELOOP), not followed. -1 with
// errno.
int beneath_chmod(int directory, const char *name, mode_t mode);
// rm -rf of one name, also through directories without permissions, at any depth, with few
// descriptors. A name that does not exist is no error.
int beneath_remove(int directory, const char *name, const char *shown, struct error **err);
// Removes setuid, setgid and sticky bits from `root` and everything in it, and adds the permissions
// that the owner needs to read it, so that a step gives the same result for root and for other
// users.
int beneath_strip(int root, const char *shown, struct error **err);

// ---- a whole tree ----
enum beneath_event {
    BENEATH_ENTER, // a directory, before its entries; also the root
    BENEATH_LEAVE, // the same directory, after its entries
    BENEATH_OTHER  // anything else
};
struct beneath_entry {
    enum beneath_event event;
    unsigned char type; // DT_REG and so on (readdir(3)), never DT_UNKNOWN
    int directory;      // the one that holds it; the root itself for the root
    const char *name;   // in `directory`; "" for the root
    const char *path;   // below the root; "" for the root
    unsigned depth;     // 0 for the root, 1 for its entries
    int fd;             // of a directory, else -1
};
// 0, or -1 with an error, which ends the walk. The descriptors belong to the walk.
typedef int beneath_visit(const struct beneath_entry *e, void *context, struct error **err);
struct beneath_walk {
    beneath_visit *visit;
    void *context;
    bool sorted; // the names of a directory by their bytes
    bool access; // add missing owner permissions to directories
    unsigned
        depth_limit; // more directories inside one another, the root counted, are an error; 0: none
};
// Visits `root` and everything in it. Any depth takes three descriptors. A directory that is
// replaced or moved during the walk is an error, as is one that cannot be read.
int beneath_walk(int root, const char *shown, const struct beneath_walk *w, struct error **err);

// ---- the directories of an archive's members ----
#define BENEATH_DEPTH 128
// Makes directories beneath `root` without following links, or (in_root) following them as if
// `root` were "/" (the kernel does that). The directories of the last path stay open, so neighbours
// in an archive need no new lookup.
struct beneath {
    int root; // not owned
    bool in_root;
    struct level {
        char *name;
        int fd;
    } levels[BENEATH_DEPTH];
    size_t n;
};
// The directory that holds the clean path `path`, and the last component of the path. Missing
// directories are made (0755). The descriptor belongs to `b` and is valid until the next call.
int beneath_parent(struct beneath *b, const char *path, const char **base, struct error **err);
void beneath_close(struct beneath *b);

#endif
