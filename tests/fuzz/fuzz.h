// SPDX-License-Identifier: Apache-2.0
// For targets that read several small formats: the first byte of an input is the letter of a kind,
// the rest is what the parser gets.
#ifndef KBUILD_FUZZ_FUZZ_H
#define KBUILD_FUZZ_FUZZ_H

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static inline void require(bool holds)
{
    if (!holds)
        abort();
}

// A failure has an error, and nothing else has.
static inline void require_result(int result, const struct error *err)
{
    require((result < 0) == (err != NULL));
}

// The text of an input, which ends with a NUL that does not count; it may hold others.
struct fuzz_kind {
    char letter;
    void (*run)(const char *text, size_t length);
};

// A letter that is none stands for one all the same: most inputs that are tried have one.
static inline void fuzz_run(const struct fuzz_kind *kinds, size_t n, const uint8_t *data,
                            size_t size)
{
    if (!size)
        return;
    size_t k = 0;
    while (k < n && kinds[k].letter != (char)data[0])
        k++;
    cleanup_free char *text = xmalloc(size); // of just this size, for the sanitizer
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    kinds[k < n ? k : data[0] % n].run(text, size - 1);
}

static inline void fuzz_drop_line(enum log_level level, const char *line, void *context)
{
}

// ---- files, in memory ----

static char *fuzz_folder; // made by fuzz_begin(), removed at the end

static inline void fuzz_remove_folder(void)
{
    remove_tree(fuzz_folder, NULL);
    free(fuzz_folder);
}

static inline void fuzz_begin(const char *name)
{
    log_redirect(fuzz_drop_line, NULL);
    fuzz_folder =
        make_temporary_directory(is_directory("/dev/shm") ? "/dev/shm" : "/tmp", name, NULL);
    require(fuzz_folder != NULL);
    atexit(fuzz_remove_folder);
}

// "<folder>/<name>", to be freed.
static inline char *fuzz_path(const char *name)
{
    return xasprintf("%s/%s", fuzz_folder, name);
}

// Writes that file without a sync.
static inline void fuzz_write(const char *name, const void *bytes, size_t length)
{
    cleanup_free char *path = fuzz_path(name);
    cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    require(fd >= 0 && fd_write_all(fd, name, bytes, length, NULL) == 0);
}

static inline int fuzz_memory(const void *bytes, size_t length)
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    require(fd >= 0 && fd_write_all(fd, "fuzz", bytes, length, NULL) == 0);
    return fd;
}

#endif
