// SPDX-License-Identifier: Apache-2.0
// The inputs of a result, for others to check: an in-toto Statement v1 with an SLSA provenance v1
// predicate, and an SPDX 2.3 document (docs/provenance.md). Both are computed from action records
// alone and contain no time but that of the sources, so the same build gives the same bytes
// everywhere.
//
// The functions need an evaluated build. A node that is not in the cache is an error, whose hint
// says how to build it.
//
// Ownership: documents and records are json_decref()ed by the caller; rows of materials own their
// texts.
#ifndef KBUILD_PROVENANCE_PROVENANCE_H
#define KBUILD_PROVENANCE_PROVENANCE_H

#include "graph/job.h"

#include <jansson.h>

// Media types of the two documents, as artifact types of referrers.
#define PROVENANCE_TYPE "application/vnd.in-toto+json"
#define PREDICATE_TYPE "https://slsa.dev/provenance/v1"
#define SPDX_TYPE "application/spdx+json"

// The documents as files are <target>-<name>.
#define PROVENANCE_FILE "provenance.json"
#define SPDX_FILE "spdx.json"

// The statement about the tarballs of one node. To be released with json_decref().
json_t *provenance_statement(struct build *b, const struct node *node, struct error **err);
// All nodes below this one: tarballs, sources with their submodules and patches, packages of root
// file systems and builders, and their relations.
json_t *provenance_spdx(struct build *b, const struct node *node, struct error **err);
// The text of the file: sorted keys, two spaces, a newline at the end. To be freed.
char *provenance_text(const json_t *document);

// ---- materials: one row for each thing that was fetched, from a source's record ----
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

// ---- package URLs (purl-spec) ----
// Reserved characters as %XX, except ':'. To be freed.
char *purl_escape(const char *text);
// Of "pkg:generic/name@1.2?x=y" the part after '@', without percent signs, to be freed; NULL if
// there is none.
char *purl_version(const char *purl);

// ---- records ----
// The record of a node; an error if it is not in the cache. json_decref() it.
json_t *provenance_record(struct build *b, const struct node *node, struct error **err);
const char *provenance_at(const json_t *object, const char *key); // a text, or ""

#endif
