// SPDX-License-Identifier: Apache-2.0
// A library for LD_PRELOAD that lets one call of kbuild's fail, for
// tests/support/crash_campaign.py.
//
//   FAULT_COUNTER  a file of 8 bytes that all processes share: calls so far
//   FAULT_AT       the number of the call that fails, from 1; 0: none
//   FAULT_STICKY   set: all later ones that need room fail, too, as on a full disk
//   FAULT_ERRNO    with what; default ENOSPC
//   FAULT_KIND     "write" (default): what changes a file system; "readdir": reading a folder
//
// Calls count in processes of FAULT_PROGRAM (default "kbuild") only, and writes only to regular
// files.
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static _Atomic uint64_t *counter;
static uint64_t fail_at;
static int fail_errno = ENOSPC;
static bool sticky, reading;

__attribute__((constructor)) static void set_up(void)
{
    const char *file = getenv("FAULT_COUNTER"), *at = getenv("FAULT_AT");
    const char *number = getenv("FAULT_ERRNO"), *kind = getenv("FAULT_KIND");
    const char *program = getenv("FAULT_PROGRAM");
    if (!file || !at || strcmp(program_invocation_short_name, program ? program : "kbuild") != 0)
        return;
    fail_at = strtoull(at, NULL, 10);
    fail_errno = number ? atoi(number) : ENOSPC;
    sticky = getenv("FAULT_STICKY") != NULL;
    reading = kind && !strcmp(kind, "readdir");
    int fd = open(file, O_RDWR | O_CLOEXEC);
    void *map = fd < 0 ? MAP_FAILED : mmap(NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map != MAP_FAILED)
        counter = map;
    if (fd >= 0)
        close(fd);
}

// True if this call fails; errno is set then.
static bool fault(bool read_call)
{
    if (!counter || read_call != reading)
        return false;
    uint64_t now = ++*counter;
    if (!fail_at || (sticky ? now < fail_at : now != fail_at))
        return false;
    errno = fail_errno;
    return true;
}

static bool is_file(int fd)
{
    struct stat st;
    return counter && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

#define real(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define WRAP(type, name, parameters, arguments, when)                                              \
    type name parameters                                                                           \
    {                                                                                              \
        if ((when) && fault(false))                                                                \
            return -1;                                                                             \
        return real(name) arguments;                                                               \
    }

WRAP(ssize_t, write, (int fd, const void *b, size_t n), (fd, b, n), is_file(fd))
WRAP(ssize_t, pwrite, (int fd, const void *b, size_t n, off_t o), (fd, b, n, o), is_file(fd))
WRAP(ssize_t, pwrite64, (int fd, const void *b, size_t n, off64_t o), (fd, b, n, o), is_file(fd))
WRAP(ssize_t, writev, (int fd, const struct iovec *v, int n), (fd, v, n), is_file(fd))
WRAP(int, fsync, (int fd), (fd), true)
WRAP(int, fdatasync, (int fd), (fd), true)
WRAP(int, syncfs, (int fd), (fd), true)
WRAP(int, ftruncate, (int fd, off_t n), (fd, n), true)
WRAP(int, ftruncate64, (int fd, off64_t n), (fd, n), true)
WRAP(int, posix_fallocate, (int fd, off_t o, off_t n), (fd, o, n), true)
WRAP(int, mkdir, (const char *p, mode_t m), (p, m), true)
WRAP(int, mkdirat, (int d, const char *p, mode_t m), (d, p, m), true)
WRAP(int, link, (const char *a, const char *b), (a, b), true)
WRAP(int, linkat, (int a, const char *b, int c, const char *d, int f), (a, b, c, d, f), true)
WRAP(int, symlink, (const char *a, const char *b), (a, b), true)
WRAP(int, symlinkat, (const char *a, int d, const char *b), (a, d, b), true)
WRAP(int, rename, (const char *a, const char *b), (a, b), true)
WRAP(int, renameat, (int a, const char *b, int c, const char *d), (a, b, c, d), true)
WRAP(int, renameat2, (int a, const char *b, int c, const char *d, unsigned f), (a, b, c, d, f),
     true)
WRAP(int, mkstemp, (char *p), (p), true)
WRAP(int, mkostemp, (char *p, int f), (p, f), true)
WRAP(ssize_t, copy_file_range, (int a, off64_t *o, int b, off64_t *p, size_t n, unsigned f),
     (a, o, b, p, n, f), true)

static bool makes(int flags)
{
    return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
}

static mode_t mode_of(int flags, va_list args)
{
    return makes(flags) ? va_arg(args, mode_t) : 0;
}

#define WRAP_OPEN(name)                                                                            \
    int name(const char *path, int flags, ...)                                                     \
    {                                                                                              \
        va_list args;                                                                              \
        va_start(args, flags);                                                                     \
        mode_t mode = mode_of(flags, args);                                                        \
        va_end(args);                                                                              \
        return makes(flags) && fault(false) ? -1 : real(name)(path, flags, mode);                  \
    }
WRAP_OPEN(open)
WRAP_OPEN(open64)

#define WRAP_OPENAT(name)                                                                          \
    int name(int folder, const char *path, int flags, ...)                                         \
    {                                                                                              \
        va_list args;                                                                              \
        va_start(args, flags);                                                                     \
        mode_t mode = mode_of(flags, args);                                                        \
        va_end(args);                                                                              \
        return makes(flags) && fault(false) ? -1 : real(name)(folder, path, flags, mode);          \
    }
WRAP_OPENAT(openat)
WRAP_OPENAT(openat64)

// openat2() has no function of its own in the C library.
long syscall(long number, ...)
{
    va_list args;
    long a[6];
    va_start(args, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(args, long);
    va_end(args);
    const struct open_how *how = (const struct open_how *)a[2];
    if (number == SYS_openat2 && makes((int)how->flags) && fault(false))
        return -1;
    return real(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

struct dirent *readdir(DIR *d)
{
    return fault(true) ? NULL : real(readdir)(d);
}

struct dirent64 *readdir64(DIR *d)
{
    return fault(true) ? NULL : real(readdir64)(d);
}
