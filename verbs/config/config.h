// SPDX-License-Identifier: Apache-2.0
// `kbuild config`: the edits that Kata's guides for confidential guests make by hand in a runtime's
// configuration.toml, and those that tell containerd of that runtime. A kind of guest, or of file,
// is a table of edits (kinds.c): a new one is data only.
//
// Whatever is not meant stays byte for byte: comments, order, blanks, line ends. A file that is not
// TOML is refused with line and column and never touched. Doing it twice changes nothing.
#ifndef KBUILD_CONFIG_CONFIG_H
#define KBUILD_CONFIG_CONFIG_H

#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>

#define CONFIG_PREFIX "/opt/kata" // where kata-static-*.tar.xz install to

struct config_edit {
    const char *table, *key; // "hypervisor.qemu", "kernel"; marks as in `value`
    enum config_operation {
        CONFIG_SET,         // the key has this value
        CONFIG_AT_LEAST,    // an integer that is less, or missing, becomes this one
        CONFIG_INCLUDE,     // a list of strings, which the value is too, has what that has
        CONFIG_TABLE,       // the table is there; one that has to be made has this key and value
        CONFIG_COMMENT_OUT, // the key is not there; its line becomes a comment
    } operation;
    const char *value; // as TOML; "@PREFIX@" in it is the prefix (class.h: other marks)
};

// What a file must say already, since it cannot be known from here: an image whose hash it has,
// say.
struct config_need {
    const char *table, *key;
    const char *file; // the string's last part, after '/'; NULL: the key is true
};

// How a file of some releases looks, and what is edited in it then. The first that fits counts.
struct config_layout {
    const char *name;  // "Kata 3.29 and later"
    bool rust;         // of runtime-rs, whose keys are others
    unsigned from, to; // releases, 312 for 3.12; of containerd's files their version
    const char *has; // a key of hypervisor.qemu, or of runtime, that is not false, or a table below
                     // the former; NULL
    const char *lacks;
    const char *kernel; // the last part of hypervisor.qemu.kernel, where only that tells; NULL
    const struct config_edit *edits;
    size_t count;
    const struct config_need *needs;
    size_t need_count;
    const char *start; // the file of Kata's to start from
};

struct config_kind {
    const char *name;  // "se"
    const char *title; // "IBM Secure Execution"
    enum config_reader { CONFIG_KATA, CONFIG_CONTAINERD } reader;
    const struct config_edit *edits; // of files that no layout is for
    size_t count;
    const struct config_layout *layouts;
    size_t layout_count;
};
extern const struct config_kind config_kinds[];
extern const size_t config_kind_count;
const struct config_kind *config_kind_find(const char *name, struct error **err);

// What is asked for; nothing is owned.
struct config_request {
    const struct config_kind *kind;
    const char *prefix; // NULL: CONFIG_PREFIX
    // Of containerd's file; NULL: "kata", and the configuration that is Kata's for that name.
    const char *runtime_class, *configuration;
    // KEY=VALUE, in place of or in addition to the kind's edits. KEY is a dotted path, or the name
    // alone of a key that the kind edits; VALUE is TOML, and a string if it is not. In containerd's
    // file KEY is one of the class.
    const struct strlist *settings;
    const char *release; // of Kata, "3.12.0"; NULL: told from the file's keys
};

// The pure part. A byte order mark is taken, and stays. `edited` gets the new text, `diff` a
// unified diff with `label` for the file's name; diff stays empty if nothing changes.
int config_edit_text(const char *text, size_t length, const char *label,
                     const struct config_request *request, struct buf *edited, struct buf *diff,
                     struct error **err);

struct config_result {
    char *file;   // what was edited: links are followed
    char *backup; // the copy of the original, or NULL if nothing was written
    char *absent; // a file that the text names for the runtime and that is not there; or NULL
    struct buf diff;
};
// Edits a file. The original is copied to FILE.old first, or to FILE.old.1, .2, ... where that is
// taken by something else (an equal copy is used again); then FILE is replaced in one step, with
// its mode and owner. Nothing is written with `dry_run`, or if nothing changes.
int config_edit_file(const char *path, const struct config_request *request, bool dry_run,
                     struct config_result *result, struct error **err);
void config_result_free(struct config_result *result);

#endif
