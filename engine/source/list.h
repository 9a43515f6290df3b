// SPDX-License-Identifier: Apache-2.0
// Sources that are lists of files. A script prints lines; this reads them, gets what they name, and
// lays it out as one tree. What the files are for, and how the script found them, is nobody's
// business here.
//
//   archive URL [URL...] sha256=HEX [purl=PURL] NAME    a file with this SHA-256, kept as it is
//   file URL [URL...] [purl=PURL] NAME                  a file of which nobody knows the SHA-256
//   git URL commit=HEX [purl=PURL] NAME                 the tree of a commit, without submodules
//   ask URL NAME                                        a small file that the script wants to read
//   nothing                                             alone: there is nothing to fetch
//
// Fields are separated by one blank, every line ends with a newline. The first URL is canonical: it
// is what records and versions.lock say, whoever the file comes from. The others are mirrors, which
// are tried first, in their order; `!URL` as the first one is never asked; alone, nobody is,
// and what the store has is all that there is. The first one of a file may also be a purl, which
// says what the file is, of whatever registry it comes. The lock knows a file by its canonical URL,
// so that is another one for each `file` line, and so is a purl. NAME is where the file or tree
// lies in the source, a clean relative path of letters, digits and "._+-@!~=%,".
//
// URLs are http or https; of git also git and ssh. A mirror may be file:///PATH, if PATH is below a
// folder that the user's own configuration names.
#ifndef KBUILD_SOURCE_LIST_H
#define KBUILD_SOURCE_LIST_H

#include "source/source.h"

#define LIST_BYTES_MAX ((size_t)32 << 20)
#define LIST_LINES_MAX 100000
#define LIST_ANSWER_MAX ((size_t)1 << 20)
#define LIST_FILE_TIME 315532800 // the time of every file: 1980-01-01

enum list_kind { LIST_ARCHIVE, LIST_FILE, LIST_GIT, LIST_ASK };

struct list_line {
    enum list_kind kind;
    struct strlist urls; // the canonical one first
    char *canonical;     // that without a login: what records, the lock and messages say
    bool elsewhere;      // it is never asked
    char *digest;        // SHA-256 of an archive, commit of git; or NULL
    char *purl;          // or NULL
    char *name;
    size_t number; // in the text, from 1
};
struct list {
    struct list_line *items;
    size_t n, cap;
};

// Of a text that may be anything. An empty one is an error: a script that found nothing it should
// have found looks just like that. `folders` are those that a file: URL may lie below. What is
// wrong is an error that names the line; *out then holds nothing.
int list_parse(const char *text, size_t length, const struct strlist *folders, struct list *out,
               struct error **err);
void list_lines_free(struct list *l);

// Adds the absolute folders that a configuration file or variable names: file:///srv/mirror, and
// with `plain` also /srv/mirror, between blanks, quotes, commas and signs of equality. Not "/"
// itself.
void list_folders(const char *text, bool plain, struct strlist *out);

// Gets everything that the list names, but its `ask` lines, into the empty folder `destination`.
// Files are kept as blobs of the store, by digest, so that no other list gets them again; there
// they are hard links where that can be. *entries gets, for each line, {kind, name, url, sha256 or
// commit, purl}: the provenance. Those of `file` lines are compared with the lock, which is left as
// it is: list_pins_put() is for that. What is missing with --offline, or could not be had, is an
// error that names the first ten of it.
int list_fetch(const struct list *l, const char *label, const struct source_options *o,
               const char *destination, json_t **entries, struct error **err);

// The answer to an `ask` line. 1: in `out`; 0: there is no such file. With --offline it is the one
// that the store remembers; none is an error.
int list_answer(const struct list_line *ask, const char *label, const struct source_options *o,
                struct buf *out, struct error **err);

// ---- what a record's entries pin: the SHA-256 of `file` lines ----
enum list_pins { LIST_PINS_HOLD, LIST_PINS_NEW, LIST_PINS_OTHER };
// Whether the lock has them all; lacks some, and contradicts none; or contradicts one.
enum list_pins list_pins_compare(const json_t *entries, const struct lock *lock);
void list_pins_put(const json_t *entries, struct lock *lock);

#endif
