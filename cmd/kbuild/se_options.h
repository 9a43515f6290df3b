// SPDX-License-Identifier: Apache-2.0
// The command line of sealing: genprotimg's options, pvimg's, and ours, from one table.
#ifndef KBUILD_CMD_SE_OPTIONS_H
#define KBUILD_CMD_SE_OPTIONS_H

#include "kbuild.h"

#include "se/options.h"

// Whose command line it is. Under the names of the others, options of ours are unknown.
enum seal_tool { TOOL_KBUILD = 1, TOOL_GENPROTIMG = 2, TOOL_PVIMG = 4 };

struct seal_command {
    struct seal_request request;
    bool help, help_all, help_experimental, version; // the first help found ends the parsing
    bool offline, online, overwrite, no_component_check;
    bool verbose, quiet;
    bool dash_v;         // -v, where it may be either: settled when all words are known
    const char *loaders; // --x-bootloader-directory, which is refused
};

// Adds what `typed VALUE` names: VALUE, or with commas in it each of its parts, as pvimg has it. A
// file that has the whole name is that file, as for genprotimg before 2.36; if both could be meant
// it is an error.
int add_listed_files(struct strlist *list, const char *typed, const char *value,
                     struct error **err);

// Takes words one after the other, as genprotimg does, and stops at the first that is wrong, with a
// usage error. Values point into the words.
int parse_seal_options(const struct strlist *words, enum seal_tool tool, struct seal_command *out,
                       struct error **err);
void print_seal_options(enum seal_tool tool, const struct seal_command *command);

#endif
