// SPDX-License-Identifier: Apache-2.0
// The compressed bytes of an archive, from a file or a pipe. A file is read from its start, with
// pread(), so that several passes need no rewinding and the descriptor's offset never changes.
#ifndef KBUILD_PACK_INPUT_H
#define KBUILD_PACK_INPUT_H

#include "base/error.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define MAGIC_SIZE 6

struct input {
    int fd; // not owned
    bool seekable;
    uint64_t size; // of a file; 0 for a pipe
    off_t at;
    unsigned char head[MAGIC_SIZE]; // the first bytes, to tell formats apart
    size_t head_length;
    _Atomic uint64_t done; // bytes read, for progress from another thread
};

int input_open(struct input *in, int fd, struct error **err);
ssize_t input_read(struct input *in, void *bytes, size_t size); // -1 and errno, 0 at the end
bool input_is_xz(const struct input *in);
bool input_is_zip(const struct input *in);

#endif
