// SPDX-License-Identifier: Apache-2.0
// The log of a node: a pipe that its process and its steps write to, and a file that kbuild alone
// holds. A step that had the file itself could change its mode, its content, or write to it after
// its end.
#ifndef KBUILD_RUN_STEPLOG_H
#define KBUILD_RUN_STEPLOG_H

#include "base/buf.h"
#include "base/error.h"

struct steplog {
    char *path;     // for people; NULL: there is none
    int pipe, file; // what is read from, and kept in; or -1
    bool cut;       // the file could not be written
    bool placed;    // the file has its name
};
#define STEPLOG_NONE                                                                               \
    {                                                                                              \
        .pipe = -1, .file = -1                                                                     \
    }

// Begins a log in an open file, which it takes over; returns the write end of the pipe. Takes the
// path over, too.
int steplog_open(struct steplog *l, char *path, int file, struct error **err);
// What has come, into the file; closes the pipe at its end. True if something came.
bool steplog_copy(struct steplog *l);
void steplog_tail(const struct steplog *l, struct buf *out); // the last lines, 16 KiB at most
void steplog_end(struct steplog *l);                         // nothing more comes; the path stays
void steplog_close(struct steplog *l);

#endif
