// SPDX-License-Identifier: Apache-2.0
// Reads what the user gives to the program: files, pipes and devices that were named, all in the
// same way; secrets, which stay in memory of their own; and variables of the environment.
#include "base/input.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

// ---- files ----

static const char *kind_of(mode_t mode)
{
    return S_ISDIR(mode) ? "a directory" : S_ISBLK(mode) ? "a block device" : "a socket";
}

// Opens `path` to be read from its start to its end. *st gets its stat. Returns the descriptor, or
// -1.
static int user_file_stream(const char *path, struct stat *st, struct error **err)
{
    // Opening a fifo waits for a writer, as intended when the user names one.
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0 || fstat(fd, st) < 0)
        return error_errno(err, errno, "reading %s", path);
    if (!S_ISREG(st->st_mode) && !S_ISFIFO(st->st_mode) && !S_ISCHR(st->st_mode))
        return error_user(err, "reading %s: it is %s, not a file", path, kind_of(st->st_mode));
    return steal_fd(&fd);
}

int user_file_read(const char *path, size_t limit, struct buf *out, struct error **err)
{
    struct stat st = {0};
    cleanup_close int fd = user_file_stream(path, &st, err);
    if (fd < 0)
        return -1;
    buf_add(out, "", 0);
    return fd_read_all(fd, path, limit, out, err);
}

static int spool(int fd, const char *name, uint64_t limit, uint64_t *size, struct error **err)
{
    static const size_t run = 256u << 10;
    cleanup_close int copy = nameless_file(NULL, err);
    if (copy < 0)
        return -1;
    cleanup_free unsigned char *bytes = xmalloc(run);
    for (*size = 0;;) {
        ssize_t n = fd_read(fd, bytes, run);
        if (n < 0)
            return error_errno(err, errno, "reading %s", name);
        if (n == 0)
            break;
        *size += (uint64_t)n;
        if (*size > limit)
            return error_user(err, "reading %s: it has more than %llu bytes", name,
                              (unsigned long long)limit);
        if (fd_write_all(copy, "a temporary file", bytes, (size_t)n, err) < 0)
            return -1;
    }
    if (lseek(copy, 0, SEEK_SET) < 0)
        return error_errno(err, errno, "reading a temporary file");
    return steal_fd(&copy);
}

int user_file_spool(int fd, const char *name, uint64_t *size, struct error **err)
{
    return spool(fd, name, USER_FILE_SPOOL_MAX, size, err);
}

int user_file_open(const char *path, uint64_t *size, struct error **err)
{
    struct stat st = {0};
    cleanup_close int fd = user_file_stream(path, &st, err);
    if (fd < 0)
        return -1;
    if (!S_ISREG(st.st_mode))
        return spool(fd, path, S_ISCHR(st.st_mode) ? USER_FILE_DEVICE_MAX : USER_FILE_SPOOL_MAX,
                     size, err);
    *size = (uint64_t)st.st_size;
    return steal_fd(&fd);
}

// ---- secrets ----
// Keeps secrets in memory only, out of core files, swap and /proc.

// prctl(2), PR_SET_DUMPABLE: no core file, no tracing by other processes of the user, and the files
// of /proc/PID are root's. It holds for forked processes and ends with exec(), as the memory does.
// The limit alone is not enough, since a core_pattern that is a pipe ignores it (core(5)); the
// limit holds beyond exec(), for a sealer that is another program.
void secrets_guard(void)
{
    prctl(PR_SET_DUMPABLE, 0);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
}

static int map_pages(struct secret_memory *m, size_t size, const char *path, struct error **err)
{
    void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED)
        return error_errno(err, errno, "reading %s", path);
    madvise(pages, size, MADV_DONTDUMP);
    mlock(pages, size); // a small limit is no reason to fail
    *m = (struct secret_memory){.bytes = pages, .mapped = size};
    return 0;
}

int secret_memory_read(const char *path, size_t limit, struct secret_memory *out, struct stat *st,
                       struct error **err)
{
    secrets_guard();
    struct stat unused;
    struct secret_memory m = {0};
    cleanup_close int fd = user_file_stream(path, st ? st : &unused, err);
    // One byte more, to detect a file over the limit.
    if (fd < 0 || map_pages(&m, limit + 1, path, err) < 0)
        return -1;
    while (m.length <= limit) {
        ssize_t n = fd_read(fd, m.bytes + m.length, limit + 1 - m.length);
        if (n < 0) {
            error_errno(err, errno, "reading %s", path);
            secret_memory_free(&m);
            return -1;
        }
        if (n == 0) {
            *out = m;
            return 0;
        }
        m.length += (size_t)n;
    }
    secret_memory_free(&m);
    return error_user(err, "reading %s: larger than the limit of %zu bytes", path, limit);
}

void secret_memory_free(struct secret_memory *m)
{
    if (m->bytes) {
        explicit_bzero(m->bytes, m->mapped);
        munmap(m->bytes, m->mapped);
    }
    *m = (struct secret_memory){0};
}

// ---- variables ----

int environment_choice(const char *name, const char *no, const char *yes, bool otherwise, bool *out,
                       struct error **err)
{
    const char *value = getenv(name);
    *out = otherwise;
    if (!value || !*value)
        return 0;
    *out = !strcmp(value, yes);
    if (*out || !strcmp(value, no))
        return 0;
    error_user(err, "%s is '%s'", name, value);
    return error_hint(err, "it can be %s or %s", yes, no);
}

int environment_yes_no(const char *name, bool otherwise, bool *out, struct error **err)
{
    return environment_choice(name, "no", "yes", otherwise, out, err);
}

int environment_epoch(int64_t *out, struct error **err)
{
    const char *text = getenv("SOURCE_DATE_EPOCH");
    char *end;
    *out = INT64_MAX;
    if (!text || !*text)
        return 0;
    errno = 0;
    *out = strtoll(text, &end, 10);
    if (!errno && !*end && *out >= 0)
        return 0;
    error_user(err, "SOURCE_DATE_EPOCH has the value '%s'", text);
    return error_hint(err, "it must be a number of seconds since 1970");
}

int security_variable(const char *name, const char **out, struct error **err)
{
    const char *value = getenv(name);
    *out = value;
    if (!value || *value)
        return 0;
    *out = NULL;
    error_user(err, "%s is set and empty", name);
    return error_hint(err,
                      "unset it if that is meant; a CI job whose secret is not defined sets it "
                      "to nothing");
}

int security_variables_check(struct error **err)
{
    static const char *const names[] = {"KBUILD_TRUSTED_KEYS", "KBUILD_SIGNING_KEY",
                                        "KBUILD_KERNEL_KEYRING", "REPO_KEYRING"};
    const char *ignored;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (security_variable(names[i], &ignored, err) < 0)
            return -1;
    return 0;
}
