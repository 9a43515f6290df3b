// SPDX-License-Identifier: Apache-2.0
// Loads libcurl and libgit2, under the names that the compiler's own libraries have.
#include "http/libcurl.h"
#include "http/libgit2.h"

#include "base/library.h"
#include "base/memory.h"

#include <pthread.h>
#include <stdarg.h>

static const char *const curl_names[] = {LIBCURL_NAMES};
static const char *const git_names[] = {LIBGIT2_NAMES};

static struct libcurl curl_functions;
static struct libgit2 git_functions;

// dlopen(3): a function is a pointer of the same size (POSIX.1-2017, dlsym).
union functions {
    struct libcurl *curl;
    struct libgit2 *git;
    void **pointers;
};

static void load_curl(void)
{
    union functions f = {.curl = &curl_functions};
    library_load(LIBCURL_SONAME, curl_names, ARRAY_LEN(curl_names), f.pointers);
}

static void load_git(void)
{
    union functions f = {.git = &git_functions};
    library_load(LIBGIT2_SONAME, git_names, ARRAY_LEN(git_names), f.pointers);
}

const struct libcurl *libcurl(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load_curl);
    return &curl_functions;
}

const struct libgit2 *libgit2(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load_git);
    return &git_functions;
}

// ---- functions of variable arguments, whose calls curl.h checks under these very names ----
#undef curl_easy_setopt
#undef curl_easy_getinfo

// The type of the argument follows from the option's number (curl.h, CURLOPTTYPE_*).
CURLcode curl_easy_setopt(CURL *handle, CURLoption option, ...)
{
    const struct libcurl *c = libcurl();
    CURLcode result;
    va_list args;
    va_start(args, option);
    // NOLINTBEGIN(clang-analyzer-valist.Uninitialized): clang 14 does not see the va_start() above.
    if (option < CURLOPTTYPE_OBJECTPOINT)
        result = c->curl_easy_setopt_(handle, option, va_arg(args, long));
    else if (option < CURLOPTTYPE_OFF_T)
        result = c->curl_easy_setopt_(handle, option, va_arg(args, void *));
    else if (option < CURLOPTTYPE_BLOB)
        result = c->curl_easy_setopt_(handle, option, va_arg(args, curl_off_t));
    else
        result = c->curl_easy_setopt_(handle, option, va_arg(args, void *));
    // NOLINTEND(clang-analyzer-valist.Uninitialized)
    va_end(args);
    return result;
}

// Always a pointer to what gets the value.
CURLcode curl_easy_getinfo(CURL *handle, CURLINFO info, ...)
{
    va_list args;
    va_start(args, info);
    CURLcode result = libcurl()->curl_easy_getinfo_(handle, info, va_arg(args, void *));
    va_end(args);
    return result;
}
