// SPDX-License-Identifier: Apache-2.0
// Documents: results that a program or a person reads, in a file or on standard output.
#ifndef KBUILD_BASE_DOCUMENT_H
#define KBUILD_BASE_DOCUMENT_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum document { DOCUMENT_TEXT, DOCUMENT_JSON };
// To a terminal, and where the runner of a CI reads it, as print_text() or visible_json(): JSON
// keeps its value. To anything else unchanged.
void print_document(FILE *to, enum document kind, const char *text, size_t length);
// What an option names as its result: "-" is standard output, any other word a path.
bool is_standard_output(const char *path);
// The path of a document where an option takes FILE|DIR: in a directory it is this name; to be
// freed.
char *document_path(const char *given, const char *name);
// Writes the document to such a path; the file has mode 0644.
int document_write(const char *path, enum document kind, const char *text, size_t length,
                   struct error **err);

#endif
