// SPDX-License-Identifier: Apache-2.0
// Loads shared libraries when they are needed, and says which file the loader would take.
#include "base/library.h"

#include "base/memory.h"
#include "base/print.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void library_load(const char *soname, const char *const *names, size_t count, void **out)
{
    void *library = dlopen(soname, RTLD_LAZY | RTLD_LOCAL);
    for (size_t i = 0; library && i < count; i++)
        if (!(out[i] = dlsym(library, names[i])))
            library = NULL;
    if (library)
        return;
    print_prefixed(stderr, "kbuild: error: ", dlerror());
    _exit(1);
}

const char *library_path(const void *function)
{
    Dl_info info;
    bool known = dladdr(function, &info) && info.dli_fname && info.dli_fname[0] == '/';
    return known ? info.dli_fname : NULL;
}

static bool add_file(struct buf *out, const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode))
        return false;
    buf_printf(out, "%s %ju %ju %jd %jd.%09ld %jd.%09ld\n", path, (uintmax_t)st.st_dev,
               (uintmax_t)st.st_ino, (intmax_t)st.st_size, (intmax_t)st.st_mtim.tv_sec,
               st.st_mtim.tv_nsec, (intmax_t)st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
    return true;
}

char *library_identity(const char *path)
{
    static const char *const variables[] = {"LD_LIBRARY_PATH", "LD_PRELOAD", "LD_AUDIT",
                                            "GLIBC_TUNABLES"};
    cleanup_buf struct buf out = {0};
    for (size_t i = 0; i < ARRAY_LEN(variables); i++) {
        const char *value = getenv(variables[i]);
        if (value && *value)
            return NULL; // what they lead to may change unseen
    }
    if (!add_file(&out, "/etc/ld.so.cache") || !add_file(&out, path))
        return NULL;
    return buf_take(&out);
}

bool library_is_mapped(const char *path)
{
    cleanup_free char *file = realpath(path, NULL);
    cleanup_fclose FILE *maps = file ? fopen("/proc/self/maps", "re") : NULL;
    cleanup_free char *line = NULL;
    size_t size = 0;
    for (ssize_t n; maps && (n = getline(&line, &size, maps)) > 0;) {
        // proc_pid_maps(5): the path is the sixth field; " (deleted)" follows that of a removed
        // file.
        const char *named = strchr(line, '/');
        if (line[n - 1] == '\n')
            line[n - 1] = '\0';
        if (named && !strcmp(named, file))
            return true;
    }
    return false;
}
