// SPDX-License-Identifier: Apache-2.0
// What the completions of all shells are made of: the table of verbs as kinds of words, and how
// text is written into a script. A string that a function returns is to be freed.
#ifndef KBUILD_CMD_COMPLETION_H
#define KBUILD_CMD_COMPLETION_H

#include "kbuild.h"

// A kind is @targets, @logs, @verbs, @files, @folders or @nothing; else the text is words.

// What the value of an option can be; NULL: it has none.
char *value_kind(const struct verb *v, const struct option *o);
// The kinds of a verb's operands, one a place; the last one repeats if the operand does.
struct operands {
    struct strlist kinds;
    bool repeated;
};
void operands_read(const struct verb *v, struct operands *out);
void operands_free(struct operands *o);
#define cleanup_operands __attribute__((cleanup(operands_free)))

// "se info, se verify" -> se: each first word once.
void first_words(struct strlist *out);
// Calls `each` for each option of each verb, with this context.
struct option_walk {
    const struct verb *verb;
    struct buf *out;
};
void walk_options(void (*each)(const struct option *o, void *walk), struct buf *out);
// Writes the text with a backslash before each of `special`.
void put_escaped(struct buf *out, const char *text, const char *special);
void put_group_help(struct buf *out, const char *group, const char *special);

#define MADE_BY "Made by `make docs` from cmd/kbuild/verbs.c."

// The whole scripts, appended.
void print_bash(struct buf *out);
void print_zsh(struct buf *out);
void print_fish(struct buf *out);

#endif
