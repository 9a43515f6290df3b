// SPDX-License-Identifier: Apache-2.0
// The log of a node: a pipe that its process and its steps write to, and a file that only kbuild
// opens. A step with the file itself could change its mode or content, or write to it after its
// end.
#ifndef KBUILD_RUN_STEPLOG_H
#define KBUILD_RUN_STEPLOG_H

#include "base/memory.h"
#include "base/error.h"

struct steplog {
    char *path;     // for people; NULL: there is none
    int pipe, file; // read from the pipe, written to the file; or -1
    bool cut;       // the file could not be written
    bool placed;    // the file has its name
};
#define STEPLOG_NONE                                                                               \
    {                                                                                              \
        .pipe = -1, .file = -1                                                                     \
    }

// Begins a log in an open file; takes over file and path. Returns the write end of the pipe.
int steplog_open(struct steplog *l, char *path, int file, struct error **err);
// Copies what has arrived into the file; closes the pipe at its end. True if something arrived.
bool steplog_copy(struct steplog *l);
void steplog_tail(const struct steplog *l, struct buf *out); // the last lines, 16 KiB at most
void steplog_end(struct steplog *l);                         // ends it; the path stays
void steplog_close(struct steplog *l);

#endif
