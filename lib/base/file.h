// SPDX-License-Identifier: Apache-2.0
// Files and directories, with errors that name the path.
#ifndef KBUILD_BASE_FILE_H
#define KBUILD_BASE_FILE_H

#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

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
// folder is opened by the rules of folder.h. A path that leads to a special file is refused.
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
// removes it and its content. If this process dies first, a keeper process removes the folder; if
// that fails too, the next begin for `path` does.
struct folder_draft {
    char *path;
    char *temporary; // where to write
    int folder, fd;
    int keeper; // a socket: closed without KEEPER_DONE, the keeper removes the folder
    pid_t keeper_pid;
};
int folder_draft_begin(struct folder_draft *d, const char *path, struct error **err);
int folder_draft_commit(struct folder_draft *d, mode_t mode, struct error **err);
void folder_draft_abandon(struct folder_draft *d);
#define FOLDER_DRAFT_NONE ((struct folder_draft){.folder = -1, .fd = -1, .keeper = -1})
#define cleanup_folder_draft __attribute__((cleanup(folder_draft_abandon)))

// mkdir -p, by the rules of folder.h for links. Existing directories are no error.
int make_directories(const char *path, mode_t mode, struct error **err);
// Makes the parent directory of `path`.
int make_parent(const char *path, struct error **err);
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

#endif
