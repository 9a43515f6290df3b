// SPDX-License-Identifier: Apache-2.0
// Keeps secrets in memory only, out of core files, swap and /proc.
#include "base/secret.h"

#include "base/file.h"
#include "base/user_file.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

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
