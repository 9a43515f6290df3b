// SPDX-License-Identifier: Apache-2.0
// Folders that kbuild keeps things in or writes results to, opened once and used by descriptor.
//
// The path to one may lead through symbolic links of this user, of root, or of the user who called
// sudo: those may do as they like with what this process writes. A link that somebody else made is
// an error that names it, wherever in the path it stands. After that no name counts any more.
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
    FOLDER_OURS = 2,  // its owner has to be trusted
    FOLDER_CLOSED = 4 // FOLDER_OURS, and nobody else may write into it: new ones are made so, and
                      // one of this user that is empty, or as a checkout brings it, is closed; any
                      // other is refused
};
// A descriptor for *at() calls and for listing, or -1. `what` names it in messages ("cache").
int folder_open(const char *path, const char *what, int rules, struct error **err);
// The folder that a file of this path is in (O_PATH), and the file's name, which points into
// `path`. The owner of that folder does not matter: a file is only ever given its name there in one
// step.
int folder_of(const char *path, const char **base, struct error **err);
// The file that `path` leads to, by the same rules for links, also for one of the file's own name.
// It may not exist. To be freed.
char *folder_follow(const char *path, struct error **err);
// A folder inside an open one, by the same rules, but never through a link. `shown` is for
// messages.
int folder_open_at(int folder, const char *name, const char *shown, const char *what, int rules,
                   struct error **err);
// fsync() of a folder. File systems that cannot do that (they answer EINVAL or the like: SMB, some
// of FUSE) keep names in their own time: no error. -1 with errno.
int folder_sync(int fd);

#endif
