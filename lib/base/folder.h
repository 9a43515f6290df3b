// SPDX-License-Identifier: Apache-2.0
// Folders that kbuild keeps things in or writes results to, opened once and used by descriptor.
//
// The path may contain symbolic links of this user, of root, or of the user who called sudo: they
// control what this process writes anyway. A link of anybody else, anywhere in the path, is an
// error that names it. After opening, only the descriptor is used.
#ifndef KBUILD_BASE_FOLDER_H
#define KBUILD_BASE_FOLDER_H

#include "base/error.h"

#include <stdbool.h>
#include <sys/types.h>

// True for the effective user, for root, and, where this process is root's, for the user who called
// sudo (SUDO_UID).
bool owner_is_trusted(uid_t uid);
// "user 1000 (name)" for messages; to be freed.
char *owner_name(uid_t uid);

enum {
    FOLDER_MAKE = 1,  // missing folders are made
    FOLDER_OURS = 2,  // its owner must be trusted
    FOLDER_CLOSED = 4 // FOLDER_OURS, and nobody else may write to it: new ones are made so;
                      // one of this user that is empty or as checked out is closed; any other is
                      // refused
};
// A descriptor for *at() calls and for listing, or -1. `what` names it in messages ("cache").
int folder_open(const char *path, const char *what, int rules, struct error **err);
// The folder that holds the file of this path (O_PATH), and the file's name, which points into
// `path`. The owner of that folder does not matter: a file gets its name there in one step.
int folder_of(const char *path, const char **base, struct error **err);
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

#endif
