// SPDX-License-Identifier: Apache-2.0
// Archives from anyone, plain or compressed: read, unpack, look a member up, make an initrd of it.
// Nothing may be written outside of the folder that is unpacked into, whatever is in the archive.
//
// Some 500 runs a second of processor time: each opens the archive seven times, with a thread that
// reads ahead and decompresses, as the library does.
// Seeds: tests/fuzz/seeds/archive/.
#include "base/file.h"
#include "pack/pack.h"
#include "pack/reader.h"

#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

enum { MAX_BYTES = 1 << 20, HEADER_MAX = 8 << 20 };
static char *jail; // holds "in" and nothing else

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void remove_jail(void)
{
    remove_tree(jail, NULL);
    free(jail);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    // A file of holes must not fill memory.
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){64 << 20, 64 << 20});
    jail = make_temporary_directory(is_directory("/dev/shm") ? "/dev/shm" : "/tmp", "fuzz-archive",
                                    NULL);
    require(jail != NULL);
    atexit(remove_jail);
    return 0;
}

static int drop(void *context, const void *bytes, size_t length, struct error **err)
{
    uint64_t *total = context;
    *total += length;
    return 0;
}

static void read_all(int fd)
{
    cleanup_error struct error *err = NULL;
    cleanup_reader struct reader *r = reader_open(fd, "fuzz", MAX_BYTES, &err);
    require(!r == !!err);
    struct reader_member m;
    uint64_t total = 0;
    int n = 0;
    while (r && (n = reader_next(r, &m, &err)) > 0) {
        require(!*m.path || path_is_clean(m.path));
        if (reader_content(r, drop, &total, &err) < 0) {
            n = -1;
            break;
        }
    }
    require(!r || (n < 0) == (err != NULL));
    require(total <= MAX_BYTES);
}

static void unpack_all(int fd, bool strip)
{
    cleanup_error struct error *err = NULL;
    cleanup_free char *in = xasprintf("%s/in", jail);
    require(mkdir(in, 0755) == 0);
    const struct unpack_options o = {.strip_first = strip, .max_bytes = MAX_BYTES};
    require((unpack(fd, "fuzz", in, &o, NULL, &err) < 0) == (err != NULL));
    struct strlist names = {0};
    require(list_directory(jail, &names, NULL) == 0 && names.n == 1);
    strlist_free(&names);
    require(remove_tree(in, NULL) == 0);
}

static void look_up(int fd)
{
    cleanup_error struct error *err = NULL;
    cleanup_free char *resolved = NULL;
    cleanup_close int out = memfd_create("member", MFD_CLOEXEC);
    require((unpack_member(fd, "fuzz", "a/l", out, &resolved, &err) < 0) == (err != NULL));
    require(!resolved || path_is_clean(resolved));
}

static void make_initrd(int fd)
{
    cleanup_error struct error *err = NULL;
    cleanup_free char *path = xasprintf("/proc/self/fd/%d", fd);
    const struct initrd_layer layers[] = {{.name = "one", .archive = path, .keep_nodes = true},
                                          {.name = "two", .archive = path, .keep_nodes = true}};
    const struct initrd_options o = {.epoch = 1700000000};
    cleanup_close int out = memfd_create("initrd", MFD_CLOEXEC);
    require((pack_initrd(layers, 2, out, &o, &err) < 0) == (err != NULL));
}

// libarchive asks malloc for as much as a newc header claims its name to have (offset 94), before
// the reader stops it from filling that. The fuzzer takes the question for the deed.
static bool claims_much(const uint8_t *data, size_t size)
{
    for (const uint8_t *p = data; (p = memmem(p, size - (size_t)(p - data), "07070", 5)); p++) {
        char digits[9] = "";
        if (size - (size_t)(p - data) < 110)
            return false;
        memcpy(digits, p + 94, 8);
        if (strtoul(digits, NULL, 16) > HEADER_MAX)
            return true;
        memcpy(digits, p + 54, 8); // the size, which is that of a link's target
        if (strtoul(digits, NULL, 16) > HEADER_MAX)
            return true;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (claims_much(data, size))
        return 0;
    cleanup_close int fd = memfd_create("fuzz", MFD_CLOEXEC);
    require(fd >= 0 && fd_write_all(fd, "fuzz", data, size, NULL) == 0);
    read_all(fd);
    unpack_all(fd, size & 1);
    look_up(fd);
    make_initrd(fd);
    return 0;
}
