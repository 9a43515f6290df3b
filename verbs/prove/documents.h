// SPDX-License-Identifier: Apache-2.0
// `kbuild provenance`: writes the provenance documents of a result to files.
#ifndef KBUILD_PROVE_DOCUMENTS_H
#define KBUILD_PROVE_DOCUMENTS_H

#include "graph/build.h"

struct provenance_request {
    const char *target;
    const char *file; // NULL: beside the tarballs, <target>-provenance.json and <target>-spdx.json
    bool spdx;        // SPDX only; with a file and without this, the statement only
};
typedef void provenance_say(const char *path, void *context);
// Writes them; `say` gets the path of each. Of a group: those of its members; with a file this is a
// usage error, unless it has one member.
int provenance_write(struct build *b, const struct provenance_request *r, provenance_say *say,
                     void *context, struct error **err);

#endif
