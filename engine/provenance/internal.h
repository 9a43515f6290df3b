// SPDX-License-Identifier: Apache-2.0
// Declarations shared by the files of this directory. Not for others.
#ifndef KBUILD_PROVENANCE_INTERNAL_H
#define KBUILD_PROVENANCE_INTERNAL_H

#include "graph/job.h"
#include "provenance/provenance.h"

// The record of a node; an error if it is not in the cache. json_decref() it.
json_t *provenance_record(struct build *b, const struct node *node, struct error **err);
const char *provenance_at(const json_t *object, const char *key); // a text, or ""

// ---- material.c: one row for each thing that was fetched, from a source's record ----
struct material {
    char *name;      // "linux", "linux: submodule shout", "linux: patch 0001.patch"
    char *version;   // tag, package version, or commit; or NULL
    char *uri;       // "git+https://...@commit", the archive's url, a purl; or NULL
    char *purl;      // of a package, or NULL
    char *algorithm; // of the digest, as in-toto names it: "gitCommit", "sha256"
    char *digest;
    char *licence;  // SPDX expression, or NULL if not known
    char *supplier; // the organization that publishes it ("Debian", "github.com/qemu"), or NULL
    enum { MATERIAL_SOURCE, MATERIAL_SUBMODULE, MATERIAL_PATCH, MATERIAL_ENTRY } role;
};
struct materials {
    struct material *items;
    size_t n, cap;
};
// `licence` is that of the source itself, as its recipe declares it, or NULL; the rows of
// submodules, patches and list entries have none.
void materials_of_source(const char *name, const char *licence, const json_t *record,
                         struct materials *out);
void materials_of_node(const struct node *source, const json_t *record, struct materials *out);
// The packages of a builder or root file system.
void materials_of_packages(const struct job *job, const json_t *record, struct materials *out);
void materials_free(struct materials *m);

#endif
