// SPDX-License-Identifier: Apache-2.0
// What the runner of a CI reads in the output of a job (docs/ci.md): groups of lines that can be
// folded, annotations of errors, and text that must be neither.
//
//   output.c   writes text to standard output and error, so that no text is a command
//   ci_log.c   which runner reads, and the commands that it understands
//
// GitHub's runner (and those that follow it: Gitea, Forgejo, act) takes a line as a command if it
// begins with "::name", after blanks, or has "##[name" anywhere; its comparisons ignore characters
// that have no width. GitLab's takes escape sequences, which print.h shows anyway.
#ifndef KBUILD_BASE_CI_LOG_H
#define KBUILD_BASE_CI_LOG_H

#include "base/error.h"

#include <stdio.h>

enum ci_runner { CI_NONE, CI_GITHUB, CI_GITLAB };

// Finds out who reads standard error, before anything is printed: nobody if it is a terminal, else
// what KBUILD_CI_LOG says (github, gitlab, no), else the runner that GITHUB_ACTIONS=true or
// GITLAB_CI=true announces. Another value of KBUILD_CI_LOG is an error.
int ci_log_open(struct error **err);
enum ci_runner ci_log_runner(void);

// Begins a group of lines on standard error, and ends the one before it: there are none in others.
// `folded`: GitLab shows only its title (GitHub folds all groups). Nothing without a runner.
void ci_group_begin(const char *title, bool folded);
// The same, unless a group is open.
void ci_group_keep(const char *title, bool folded);
void ci_group_end(void); // if one is open; a signal that ends this process at once ends it, too

// An annotation, at the place of the error if it has one. Nothing for a runner that has none, for
// an interrupt, and for a message that was annotated before.
void ci_annotate_error(const struct error *err);
void ci_annotate_warning(const char *line);

// ---- output.c ----

// From now on what is written to standard output and error is read by GitHub's runner.
void output_guard(bool on);
// Writes text. In what a runner reads, the characters that make a command of a line are shown as
// escapes.
void output_write(FILE *to, const char *text, size_t length);
// Whether a runner reads this stream: not if it is a file.
bool output_is_read(FILE *to);
void output_read_by_runner(bool on);

#endif
