// SPDX-License-Identifier: Apache-2.0
// What a result was made of, for others to check: an in-toto Statement v1 with an SLSA provenance
// v1 predicate, and an SPDX 2.3 document (docs/provenance.md). Both follow from action records
// alone and hold no time but that of the sources, so the same build gives the same bytes
// everywhere.
//
// The functions want an evaluated build. A node that is not in the cache is an error.
#ifndef KBUILD_PROVENANCE_PROVENANCE_H
#define KBUILD_PROVENANCE_PROVENANCE_H

#include "graph/job.h"

#include <jansson.h>

// Media types of the two, as artifact types of referrers.
#define PROVENANCE_TYPE "application/vnd.in-toto+json"
#define PREDICATE_TYPE "https://slsa.dev/provenance/v1"
#define SPDX_TYPE "application/spdx+json"

// The documents as files are <target>-<name>.
#define PROVENANCE_FILE "provenance.json"
#define SPDX_FILE "spdx.json"

// The statement about the tarballs of one node. To be released with json_decref().
json_t *provenance_statement(struct build *b, const struct node *node, struct error **err);
// Everything below the node: tarballs, sources with their submodules and patches, packages of root
// file systems and builders, and how they relate.
json_t *provenance_spdx(struct build *b, const struct node *node, struct error **err);
// As they are written: sorted keys, two spaces, a newline at the end. To be freed.
char *provenance_text(const json_t *document);

#endif
