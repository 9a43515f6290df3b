// SPDX-License-Identifier: Apache-2.0
// The inputs of a result, for others to check: an in-toto Statement v1 with an SLSA provenance v1
// predicate, and an SPDX 2.3 document (docs/provenance.md). Both are computed from action records
// alone and contain no time but that of the sources, so the same build gives the same bytes
// everywhere.
//
// The functions need an evaluated build. A node that is not in the cache is an error.
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

#endif
