// SPDX-License-Identifier: Apache-2.0
// Files and directories, with errors that name the path: read, written, copied, and replaced in one
// step; folders that kbuild keeps things in; and names that somebody else chose.
#ifndef KBUILD_BASE_FILE_H
#define KBUILD_BASE_FILE_H

#include "base/error.h"
#include "base/memory.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

// Reads a whole regular file of at most `limit` bytes into out (appended).
int file_read(const char *path, size_t limit, struct buf *out, struct error **err);
// Reads everything from fd, at most `limit` bytes; `name` is for messages.
int fd_read_all(int fd, const char *name, size_t limit, struct buf *out, struct error **err);
int fd_write_all(int fd, const char *name, const void *bytes, size_t length, struct error **err);
// read(2), resumed after a signal: at most `size` bytes, 0 at the end, -1 with errno.
ssize_t fd_read(int fd, void *bytes, size_t size);
// The bytes from `offset` on: fewer than `size` only if the file ends there; -1 with errno.
ssize_t fd_read_at(int fd, void *bytes, size_t size, uint64_t offset);
int fd_write_at(int fd, const char *name, const void *bytes, size_t length, uint64_t offset,
                struct error **err);
// The same as file_read() for a name in an open folder, never through a link. `shown` is its path
// for messages.
int file_read_at(int folder, const char *name, const char *shown, size_t limit, struct buf *out,
                 struct error **err);
// Replaces `path` in one step: a file without a name, fsync, then the name. On failure nothing is
// left behind and an old file is unchanged. A link of that name is replaced, not followed; its
// folder is opened by the rules of folder_open(). A path that leads to a special file is refused.
int file_write(const char *path, const void *bytes, size_t length, mode_t mode, struct error **err);
int file_write_at(int folder, const char *name, const char *shown, const void *bytes, size_t length,
                  mode_t mode, struct error **err);

// The same for content that is streamed: begin opens a file for `path` (mode 0600), commit gives it
// `mode` and the name, abandon drops it. After either the struct is empty. A killed process leaves
// nothing if the file system has O_TMPFILE; without it, and while an old file is being replaced, it
// leaves one file that the next draft for `path` removes.
struct file_draft {
    char *path, *temporary; // temporary: its name in `folder` if it has one
    int folder;
    int fd; // write here
};
int file_draft_begin(struct file_draft *d, const char *path, struct error **err);
int file_draft_begin_at(struct file_draft *d, int folder, const char *name, const char *shown,
                        struct error **err);
int file_draft_commit(struct file_draft *d, mode_t mode, struct error **err);
// Without fsync: complete for every process at once, but a power cut may lose it. For large results
// that are quick to make again.
int file_draft_commit_unsynced(struct file_draft *d, mode_t mode, struct error **err);
// An existing file is an error (EEXIST).
int file_draft_commit_new(struct file_draft *d, mode_t mode, struct error **err);
void file_draft_abandon(struct file_draft *d); // does nothing on an empty struct
#define FILE_DRAFT_NONE ((struct file_draft){.folder = -1, .fd = -1})
#define cleanup_draft __attribute__((cleanup(file_draft_abandon)))

// Whether these are of one file.
bool same_inode(const struct stat *a, const struct stat *b);
// Whether the name in the folder, not followed, still is that of the open file.
bool fd_has_name(int fd, int folder, const char *name);
// Whether two paths lead to the same file, with links followed; also for one that does not exist
// yet.
bool same_file(const char *a, const char *b);

// Makes `name` a hard link to the open file, replacing an old one in one step. -1 with errno.
int file_link_at(int fd, int folder, const char *name);

// A folder that gets its name when it is complete: begin makes an empty one (mode 0700) beside
// `path`; commit gives it `mode` and the name, which must be free or an empty folder; abandon
// removes it and its content. If this process dies first, a cleanup process removes the folder; if
// that fails too, the next begin for `path` does.
struct folder_draft {
    char *path;
    char *temporary; // where to write
    int folder, fd;
    int cleanup; // a socket: closed without CLEANUP_DONE, the cleanup process removes the folder
    pid_t cleanup_pid;
};
int folder_draft_begin(struct folder_draft *d, const char *path, struct error **err);
int folder_draft_commit(struct folder_draft *d, mode_t mode, struct error **err);
void folder_draft_abandon(struct folder_draft *d);
#define FOLDER_DRAFT_NONE ((struct folder_draft){.folder = -1, .fd = -1, .cleanup = -1})
#define cleanup_folder_draft __attribute__((cleanup(folder_draft_abandon)))

// mkdir -p, by the rules of folder_open() for links. Existing directories are no error.
int make_directories(const char *path, mode_t mode, struct error **err);
// Makes the parent directory of `path`.
int make_parent(const char *path, struct error **err);
// Waits for a lock of the file against other processes, for reading it, changing it and replacing
// it. It is one of its directory: the file itself is replaced, and a lock file beside it would be
// litter. Closing the descriptor that it returns releases it; -1 on failure.
int file_lock_parent(const char *path, struct error **err);
// rm -rf, never following links, also through directories without write permission. A path that
// does not exist is no error.
int remove_tree(const char *path, struct error **err);

// The sorted names in a directory, without "." and "..". A read error is an error, not a shorter
// list.
int list_directory(const char *path, struct strlist *out, struct error **err);
int list_directory_at(int fd, const char *shown, struct strlist *out, struct error **err);
bool path_exists(const char *path); // follows links
bool is_directory(const char *path);
bool is_regular_file(const char *path);  // follows links
char *path_absolute(const char *path);   // against the current directory; not resolved; to be freed
const char *path_base(const char *path); // after the last '/'
// True if `path` is relative, not empty, and has no empty, "." or ".." component.
bool path_is_clean(const char *path);
// What of `path` is below `folder`, by their components: "" if they are equal; NULL if it is
// outside. A pointer into `path`.
const char *path_below(const char *path, const char *folder);
// For sorting: by bytes, but '/' before all others, so that a folder stands next to its entries.
int path_compare(const char *a, const char *b);
// The first executable of this name on PATH, to be freed; NULL if there is none.
char *find_program(const char *name);
// A new file without a name in `folder`, for reading and writing, which disappears when its
// descriptor is closed. With NULL it is in TMPDIR (/tmp) or, if none can be made there, in memory.
// Returns the descriptor, or -1.
int nameless_file(const char *folder, struct error **err);
// Makes a new temporary directory inside `parent` (mode 0700). Its path, to be freed.
char *make_temporary_directory(const char *parent, const char *prefix, struct error **err);

// 1980-01-01 00:00:00 UTC: the earliest time that zip and FAT can hold.
#define EPOCH_1980 315532800

// ---- copying ----

// The content of `from`, from its offset on, into the empty file `to`: shared where the file system
// can, else copied. The names are for messages.
int copy_content(int from, const char *from_name, int to, const char *to_name, struct error **err);

// Copies what is in the directory `from` into the directory `to`, which exists; files of the same
// name there are an error, directories are merged. Keeps content (shared where the file system
// can), permission bits, modification times and links; not owners or hard links. Anything but
// files, directories and links is an error that names it.
int copy_tree(const char *from, const char *to, struct error **err);

// ---- folders that kbuild keeps things in or writes results to ----
// They are opened once and used by descriptor. The path may contain symbolic links of this user, of
// root, or of the user who called sudo: they control what this process writes anyway. A link of
// anybody else, anywhere in the path, is an error that names it.

// True for the effective user, for root, and, where this process is root's, for the user who called
// sudo (SUDO_UID).
bool owner_is_trusted(uid_t uid);
// "user 1000 (name)" for messages; to be freed.
char *owner_name(uid_t uid);
// Why somebody else could have written what is at the path, as a sentence with the path ("X belongs
// to user 1000"); to be freed. NULL: nobody could. A link at its end is followed.
char *path_distrust(const char *path);
// The same for a directory with everything below it, where links are not followed; and for all that
// is on the way from `top`, which is not looked at, to a path below it: both without links and
// "..".
char *tree_distrust(const char *path);
char *way_distrust(const char *top, const char *path);

enum {
    FOLDER_MAKE = 1,          // missing folders are made
    FOLDER_TRUSTED_OWNER = 2, // its owner must be trusted
    FOLDER_OWNER_WRITABLE = 4 // FOLDER_TRUSTED_OWNER, and nobody else may write to it: new ones are
                              // made so; one of this user that is empty or as checked out is
                              // closed; any other is refused
};
// A descriptor for *at() calls and for listing, or -1. `what` names it in messages ("cache").
int folder_open(const char *path, const char *what, int rules, struct error **err);
// The folder that holds the file of this path (O_PATH), and the file's name, which points into
// `path`. The owner of that folder does not matter: a file gets its name there in one step.
int folder_open_parent(const char *path, const char **base, struct error **err);
// The path of the file that `path` leads to, with the last component followed too, by the same
// rules. It need not exist. To be freed.
char *folder_follow(const char *path, struct error **err);
// A folder inside an open one, by the same rules, but never through a link. `shown` is for
// messages.
int folder_open_at(int folder, const char *name, const char *shown, const char *what, int rules,
                   struct error **err);
// fsync() of a folder. File systems that cannot do that (they answer EINVAL or the like: SMB, some
// of FUSE) store names later: no error. -1 with errno.
int folder_sync(int fd);

// ---- beneath one directory ----
// Files and directories reached from the descriptor of one directory, component by component and
// never through a link. What a step, a builder or another user left is read, changed and removed
// this way: no name in it leads outside, even if it is replaced at the same time.

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
// 0, or -1 with an error, which ends the walk, or, for BENEATH_ENTER of a directory that is not to
// be entered, BENEATH_SKIP: then there is no BENEATH_LEAVE. The descriptors belong to the walk.
typedef int beneath_visit(const struct beneath_entry *e, void *context, struct error **err);
enum { BENEATH_SKIP = 1 };
struct beneath_walk {
    beneath_visit *visit;
    void *context;
    // Called instead of an error for a directory that cannot be opened; 0 leaves it out. Or NULL.
    int (*closed)(const struct beneath_entry *e, int errnum, void *context, struct error **err);
    bool sorted; // the names of a directory by their bytes
    bool access; // add missing owner permissions to directories
    unsigned
        depth_limit; // more directories inside one another, the root counted, are an error; 0: none
};
// Visits `root` and everything in it. Any depth takes three descriptors. A directory that is
// replaced or moved during the walk is an error, as is one that cannot be read, but for `closed`.
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
