// SPDX-License-Identifier: Apache-2.0
// Writes a result that a program may read: to a file, or to standard output, where a terminal or
// the runner of a CI may be the reader.
#include "base/document.h"
#include "base/ci_log.h"
#include "base/file.h"
#include "base/print.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

void print_document(FILE *to, enum document kind, const char *text, size_t length)
{
    cleanup_buf struct buf shown = {0};
    bool seen = isatty(fileno(to)) || output_is_read(to);
    if (!seen) {
        output_write(to, text, length);
    } else if (kind == DOCUMENT_TEXT) {
        print_text(to, text, length);
    } else {
        visible_json(&shown, text, length);
        output_write(to, shown.data, shown.len);
    }
}

bool is_standard_output(const char *path)
{
    return !strcmp(path, "-");
}

char *document_path(const char *given, const char *name)
{
    bool folder = !is_standard_output(given) && is_directory(given);
    return folder ? xasprintf("%s/%s", given, name) : xstrdup(given);
}

int document_write(const char *path, enum document kind, const char *text, size_t length,
                   struct error **err)
{
    if (!is_standard_output(path))
        return file_write(path, text, length, 0644, err);
    print_document(stdout, kind, text, length);
    return fflush(stdout) == 0 ? 0 : error_errno(err, errno, "writing to standard output");
}
