// SPDX-License-Identifier: Apache-2.0
// Allocation that cannot fail, and cleanup attributes.
//
// Running out of memory ends the process here, in one place (exit status 1 and a line on stderr);
// every other failure in kbuild is an error value (error.h). Memory from these functions is
// released with free().
#ifndef KBUILD_BASE_MEM_H
#define KBUILD_BASE_MEM_H

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

// Ends the process so; for callers of libraries that report a lack of memory.
void out_of_memory(void) __attribute__((noreturn));
void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *old, size_t size);
// Grows `array` to hold at least `need` items of `size` bytes; *cap is the capacity in items.
void *xgrow(void *array, size_t *cap, size_t need, size_t size);
char *xstrdup(const char *text);
char *xstrndup(const char *text, size_t length);
char *xasprintf(const char *format, ...) __attribute__((format(printf, 1, 2)));
char *xvasprintf(const char *format, va_list args) __attribute__((format(printf, 1, 0)));

static inline void cleanup_free_p(void *p)
{
    free(*(void **)p);
}
static inline void cleanup_close_p(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}
static inline void cleanup_fclose_p(FILE **f)
{
    if (*f)
        fclose(*f);
}

#define cleanup_free __attribute__((cleanup(cleanup_free_p)))
#define cleanup_close __attribute__((cleanup(cleanup_close_p))) // an int that holds -1 or an fd
#define cleanup_fclose __attribute__((cleanup(cleanup_fclose_p)))

// Moves the value out of a cleanup variable, so that it is not released.
#define steal(p)                                                                                   \
    __extension__({                                                                                \
        __typeof__(p) steal_value = (p);                                                           \
        (p) = NULL;                                                                                \
        steal_value;                                                                               \
    })
static inline int steal_fd(int *fd)
{
    int value = *fd;
    *fd = -1;
    return value;
}

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
