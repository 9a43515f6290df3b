// SPDX-License-Identifier: Apache-2.0
// What became of one node: written once, by the process that makes it, and read once, by the
// scheduler.
#ifndef KBUILD_RUN_OUTCOME_H
#define KBUILD_RUN_OUTCOME_H

#include "base/error.h"

#include <jansson.h>
#include <stdbool.h>

enum outcome_kind {
    OUTCOME_NONE,          // its process ended without a word
    OUTCOME_MADE,          // here
    OUTCOME_FOUND,         // another process had made it meanwhile
    OUTCOME_PULLED,        // out of the shared cache
    OUTCOME_DAMAGED_INPUT, // an input was damaged, and has been set aside
    OUTCOME_SHARED_LOST,   // the shared cache has not any more what it had
    OUTCOME_FAILED
};

struct outcome {
    enum outcome_kind kind;
    json_t *record;      // of what was made, found or pulled; else NULL
    struct error *error; // of the last three; its subject is the id of an input that was damaged
};

// Did it succeed?
bool outcome_is_good(const struct outcome *o);
void outcome_free(struct outcome *o); // leaves OUTCOME_NONE
// As a line of the process's report, and back. outcome_read(): false if it is none.
json_t *outcome_json(const struct outcome *o);
bool outcome_read(const json_t *event, struct outcome *out);

#endif
