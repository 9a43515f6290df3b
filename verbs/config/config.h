// SPDX-License-Identifier: Apache-2.0
// `kbuild config`: the edits that Kata's guides for confidential guests make by hand in a runtime's
// configuration.toml, and those that add that runtime to containerd's file. A kind of guest, or of
// file, is a table of edits (kinds.c): a new one is data only.
//
// Everything else stays byte for byte: comments, order, blanks, line ends. A file that is not TOML
// is an error with line and column and is never changed. A second run changes nothing.
//
// A request owns nothing; results are the caller's.
#ifndef KBUILD_CONFIG_CONFIG_H
#define KBUILD_CONFIG_CONFIG_H

#include "base/error.h"
#include "base/memory.h"

#include <stdbool.h>

#define CONFIG_PREFIX "/opt/kata" // where kata-static-*.tar.xz install to

struct config_edit {
    const char *table, *key; // "hypervisor.qemu", "kernel"; marks as in `value`
    enum config_operation {
        CONFIG_SET,         // the key has this value
        CONFIG_AT_LEAST,    // an integer that is less, or missing, becomes this one
        CONFIG_INCLUDE,     // a list of strings gets the missing ones of this list
        CONFIG_TABLE,       // the table exists; a new one gets this key and value
        CONFIG_COMMENT_OUT, // the key becomes a comment, if it exists
    } operation;
    const char *value; // as TOML; "@PREFIX@" in it is the prefix (internal.h: other marks)
};

// A setting that the file must have already, since kbuild cannot know it, such as an image whose
// hash is in the file.
struct config_need {
    const char *table, *key;
    const char *file; // the string's last part, after '/'; NULL: the key is true
};

// The form of a file in some releases, and the edits for it. The first match is used.
struct config_layout {
    const char *name;  // "Kata 3.29 and later"
    bool rust;         // of runtime-rs, with different keys
    unsigned from, to; // releases, 312 for 3.12; of containerd's files their version
    const char *has; // a key of hypervisor.qemu, or of runtime, that is not false, or a table below
                     // the former; NULL
    const char *lacks;
    const char *kernel; // the last part of hypervisor.qemu.kernel, if only that identifies it; NULL
    const struct config_edit *edits;
    size_t count;
    const struct config_need *needs;
    size_t need_count;
    const char *start; // Kata's file to start from
};

struct config_kind {
    const char *name;  // "se"
    const char *title; // "IBM Secure Execution"
    enum config_reader { CONFIG_KATA, CONFIG_CONTAINERD } reader;
    const struct config_edit *edits; // of files without a layout
    size_t count;
    const struct config_layout *layouts;
    size_t layout_count;
};
extern const struct config_kind config_kinds[];
extern const size_t config_kind_count;
const struct config_kind *config_kind_find(const char *name, struct error **err);

// The request; nothing is owned.
struct config_request {
    const struct config_kind *kind;
    const char *prefix; // NULL: CONFIG_PREFIX
    // Of containerd's file; NULL: "kata", and Kata's configuration for that name.
    const char *runtime_class, *configuration;
    // KEY=VALUE, which replaces or extends the kind's edits. KEY is a dotted path, or only the name
    // of a key that the kind edits; VALUE is TOML, or else a string. In containerd's file KEY
    // belongs to the class.
    const struct strlist *settings;
    const char *release; // of Kata, "3.12.0"; NULL: detected from the file's keys
};

// The part without files. A byte order mark is accepted and kept. `edited` gets the new text,
// `diff` a unified diff with `label` as the file's name; diff stays empty if nothing changes.
int config_edit_text(const char *text, size_t length, const char *label,
                     const struct config_request *request, struct buf *edited, struct buf *diff,
                     struct error **err);

struct config_result {
    char *file;   // the edited file: links are followed
    char *backup; // the copy of the original, or NULL if nothing was written
    char *absent; // a missing file that the text names for the runtime; or NULL
    struct buf diff;
};
// Edits a file. The original is copied to FILE.old first, or to FILE.old.1, .2, ... if another file
// has that name (an equal copy is reused); then FILE is replaced atomically, with its mode and
// owner. With `dry_run`, or without changes, nothing is written.
int config_edit_file(const char *path, const struct config_request *request, bool dry_run,
                     struct config_result *result, struct error **err);
void config_result_free(struct config_result *result);

#endif
