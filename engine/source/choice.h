// SPDX-License-Identifier: Apache-2.0
// Where the user wants sources to come from: --sources for all, --source NAME=... for one.
#ifndef KBUILD_SOURCE_CHOICE_H
#define KBUILD_SOURCE_CHOICE_H

#include "base/buf.h"
#include "base/error.h"

enum source_origin {
    ORIGIN_UPSTREAM, // what the recipe names: git, an archive
    ORIGIN_DEBIAN,   // the distribution's package
    ORIGIN_FOLDER    // somebody's own files
};

struct source_choice {
    char *name; // of the source: /src/<name>
    enum source_origin origin;
    char *folder;     // ORIGIN_FOLDER: absolute, links followed (with `fault`: as given); else NULL
    bool environment; // KBUILD_SOURCE says so, no option
    struct error *fault; // of the environment's: why the folder is none
};
struct source_choices {
    struct source_choice *items;
    size_t n, cap;
};

// Adds the choice that the text "NAME=upstream", "NAME=debian" or "NAME=DIR" is ("./upstream" is a
// folder of that name). Errors (ERROR_USAGE): no such form, a folder that is none, a name that is
// there already with `environment` the same; an option takes the place of what the environment
// says.
int source_choices_add(struct source_choices *c, const char *text, bool environment,
                       struct error **err);
// The same for all in the text of KBUILD_SOURCE, which blanks and line breaks separate. It is a
// setting for many targets: a folder that is none is an error only for what is made of it.
int source_choices_environment(struct source_choices *c, const char *text, struct error **err);
int source_choice_check(const struct source_choice *c, struct error **err);
const struct source_choice *source_choice_of(const struct source_choices *c, const char *name);
void source_choices_free(struct source_choices *c);

#endif
