// SPDX-License-Identifier: Apache-2.0
// Makes error values and adds context and hints, also the hints for common errno values.
#include "base/error.h"

#include <errno.h>
#include <string.h>

static const struct {
    int errnum;
    const char *hint;
} errno_hints[] = {
    {ENOSPC,
     "the disk is full: free some space (kbuild cache gc --max-size=SIZE shrinks the cache)"},
    {EDQUOT, "the disk quota is used up: free some space, or use another --cache directory"},
    {EFBIG, "the limit on the size of files is too low: raise it (ulimit -f unlimited)"},
    {EIO, "the disk reports an error: look at the kernel's messages (dmesg)"},
    {EMFILE, "too many files are open at a time: raise the limit (ulimit -n)"},
    {EROFS, "the file system is read-only: choose another place with -o DIR or --cache DIR"},
    {EACCES, "check the permissions of the file and of the directories above it"},
};

static int set_error(struct error **err, enum error_kind kind, int errnum, char *message)
{
    if (!err) {
        free(message);
        return -1;
    }
    struct error *e = xcalloc(1, sizeof *e);
    e->kind = kind;
    e->errnum = errnum;
    e->message = message;
    *err = e;
    return -1;
}

int error_set(struct error **err, enum error_kind kind, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *message = xvasprintf(format, args);
    va_end(args);
    return set_error(err, kind, 0, message);
}

int error_user(struct error **err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *message = xvasprintf(format, args);
    va_end(args);
    return set_error(err, ERROR_USER, 0, message);
}

int error_errno(struct error **err, int errnum, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    cleanup_free char *what = xvasprintf(format, args);
    va_end(args);
    set_error(err, ERROR_USER, errnum, xasprintf("%s: %s", what, strerror(errnum)));
    for (size_t i = 0; i < ARRAY_LEN(errno_hints); i++)
        if (errno_hints[i].errnum == errnum)
            error_hint(err, "%s", errno_hints[i].hint);
    return -1;
}

int error_wrap(struct error **err, const char *format, ...)
{
    if (!err || !*err)
        return -1;
    va_list args;
    va_start(args, format);
    cleanup_free char *context = xvasprintf(format, args);
    va_end(args);
    char *message = xasprintf("%s: %s", context, (*err)->message);
    free((*err)->message);
    (*err)->message = message;
    return -1;
}

int error_hint(struct error **err, const char *format, ...)
{
    if (!err || !*err)
        return -1;
    va_list args;
    va_start(args, format);
    free((*err)->hint);
    (*err)->hint = xvasprintf(format, args);
    va_end(args);
    return -1;
}

bool error_may_blame_content(const struct error *err)
{
    static const int of_names[] = {0,      EEXIST, EINVAL,  EISDIR, ELOOP,
                                   EMLINK, ENOENT, ENOTDIR, EILSEQ, ENAMETOOLONG};
    for (size_t i = 0; i < ARRAY_LEN(of_names); i++)
        if (err->errnum == of_names[i])
            return err->kind != ERROR_INTERRUPT;
    return false;
}

int error_subject(struct error **err, const char *name)
{
    if (!err || !*err)
        return -1;
    free((*err)->subject);
    (*err)->subject = xstrdup(name);
    return -1;
}

int error_place(struct error **err, const char *file, size_t line, size_t column)
{
    if (!err || !*err || (*err)->file)
        return -1;
    (*err)->file = xstrdup(file);
    (*err)->line = line;
    (*err)->column = column;
    return -1;
}

void error_free(struct error *err)
{
    if (!err)
        return;
    free(err->message);
    free(err->hint);
    free(err->subject);
    free(err->file);
    free(err);
}
