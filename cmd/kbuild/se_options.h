// SPDX-License-Identifier: Apache-2.0
// The options of sealing: genprotimg's, pvimg's, and kbuild's, from one table.
#ifndef KBUILD_CMD_SE_OPTIONS_H
#define KBUILD_CMD_SE_OPTIONS_H

#include "kbuild.h"

#include "se/options.h"

// The program whose command line it is. Other programs reject kbuild's own options.
enum seal_tool { TOOL_KBUILD = 1, TOOL_GENPROTIMG = 2, TOOL_PVIMG = 4 };

struct seal_command {
    struct seal_request request;
    bool help, help_all, help_experimental, version; // the first help found ends the parsing
    bool offline, online, overwrite, no_component_check;
    bool verbose, quiet;
    bool dash_v;         // -v, if ambiguous: decided after the last word
    const char *loaders; // --x-bootloader-directory, which is rejected
};

// Adds the files of `typed VALUE`: VALUE, or its parts between commas, as in pvimg. A file with the
// whole name is used, as in genprotimg before 2.36; it is an error if both are possible.
int add_listed_files(struct strlist *list, const char *typed, const char *value,
                     struct error **err);

// Parses the words in order, as genprotimg does, and stops at the first wrong one, with a usage
// error. Values point into the words.
int parse_seal_options(const struct strlist *words, enum seal_tool tool, struct seal_command *out,
                       struct error **err);
void print_seal_options(enum seal_tool tool, const struct seal_command *command);

#endif
