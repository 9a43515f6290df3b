// SPDX-License-Identifier: Apache-2.0
// Sources that are lists of files. A script prints lines; this code reads them, fetches their
// files, and lays these out as one tree. It does not depend on the use of the files or on how the
// script found them.
//
//   archive URL [URL...] sha256=HEX [purl=PURL] NAME    a file with this SHA-256, kept unchanged
//   file URL [URL...] [purl=PURL] NAME                  a file with unknown SHA-256
//   git URL commit=HEX [purl=PURL] NAME                 the tree of a commit, without submodules
//   ask URL NAME                                        a small file that the script wants to read
//   nothing                                             alone: there is nothing to fetch
//
// Fields are separated by one blank, every line ends with a newline. The first URL is canonical:
// records and versions.lock have it, wherever the file comes from. The others are mirrors, which
// are tried first, in their order. `!URL` as the first one is never requested; without mirrors,
// only the store is searched. The first one of a file may also be a purl, which identifies the file
// in any registry. The lock identifies a file by its canonical URL, which is therefore unique among
// `file` lines, and so is a purl. NAME is the path of the file or tree in the source, a clean
// relative path of letters, digits and "._+-@!~=%,".
//
// URLs are http or https; of git also git and ssh. A mirror may be file:///PATH, if PATH is below a
// folder that the user's configuration names.
//
// Ownership: a list owns its lines, a line its texts. Errors of the reader name the line,
// those of a download name the file in the list.
#ifndef KBUILD_SOURCE_LIST_H
#define KBUILD_SOURCE_LIST_H

#include "source/source.h"

#define LIST_BYTES_MAX ((size_t)32 << 20)
#define LIST_LINES_MAX 100000
#define LIST_ANSWER_MAX ((size_t)1 << 20)
#define LIST_FILE_TIME EPOCH_1980 // the time of every file: 1980-01-01

enum list_kind { LIST_ARCHIVE, LIST_FILE, LIST_GIT, LIST_ASK };

struct list_line {
    enum list_kind kind;
    struct strlist urls; // the canonical one first
    char *canonical;     // the first one without a login: for records, the lock and messages
    bool elsewhere;      // the canonical one is never requested
    char *digest;        // SHA-256 of an archive, commit of git; or NULL
    char *purl;          // or NULL
    char *name;
    size_t number; // in the text, from 1
};
struct list {
    struct list_line *items;
    size_t n, cap;
};

// Parses an untrusted text. An empty one is an error: it looks the same as that of a script that
// failed to find its files. file: URLs must be below one of `folders`. An error names the line;
// *out is then empty.
int list_parse(const char *text, size_t length, const struct strlist *folders, struct list *out,
               struct error **err);
void list_lines_free(struct list *l);

// Adds the absolute folders named in a configuration file or variable: file:///srv/mirror, and with
// `plain` also /srv/mirror, between blanks, quotes, commas and equals signs. Not "/" itself.
void list_folders(const char *text, bool plain, struct strlist *out);

// Fetches all files of the list, except its `ask` lines, into the empty folder `destination`. Files
// are kept as blobs of the store, by digest, so that no other list fetches them again; in the
// folder they are hard links where possible. *entries gets, for each line, {kind, name, url, sha256
// or commit, purl}: the provenance. Those of `file` lines are compared with the lock, which is not
// changed: list_pins_put() does that. Files that are missing with --offline, or that cannot be
// fetched, are an error that names the first ten.
int list_fetch(const struct list *l, const char *label, const struct source_options *o,
               const char *destination, json_t **entries, struct error **err);

// The answer to an `ask` line. 1: in `out`; 0: there is no such file. With --offline it is the one
// in the store; none is an error.
int list_answer(const struct list_line *ask, const char *label, const struct source_options *o,
                struct buf *out, struct error **err);

// ---- pins in a record's entries: the SHA-256 of `file` lines ----
enum list_pins { LIST_PINS_HOLD, LIST_PINS_NEW, LIST_PINS_OTHER };
// The lock has all of them; it lacks some and contradicts none; it contradicts one.
enum list_pins list_pins_compare(const json_t *entries, const struct lock *lock);
void list_pins_put(const json_t *entries, struct lock *lock);

#endif
