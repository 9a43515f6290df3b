// SPDX-License-Identifier: Apache-2.0
// versions.yaml: the components and their versions, in Kata Containers' own schema (any release
// from 3.x on, unchanged).
//
// Keys of kbuild that upstream's readers ignore, inside any component's map:
//   sha256:  of the archive that url and version name
//   debian:  the distribution package of the source (recipe.h, struct debian_source)
#ifndef KBUILD_RECIPE_VERSIONS_H
#define KBUILD_RECIPE_VERSIONS_H

#include "base/error.h"
#include "recipe/yaml.h"

struct versions {
    char *path;
    struct yaml_document *document;
};

struct versions *versions_load(const char *path, struct error **err);
void versions_free(struct versions *v);

// The node at a dotted path. A missing one is an error with the longest existing prefix and the
// most similar key there.
const struct yaml *versions_get(const struct versions *v, const char *path, struct error **err);
// The scalar at a path, "" if it is null. Belongs to v. NULL with an error if missing or no scalar.
const char *versions_text(const struct versions *v, const char *path, struct error **err);

// Replaces "{name}" in `text` by the scalar `name` of the map `component`, else of the nearest map
// around it that has one (variants share the url above them), and:
//   {number}  its version without a leading "v" ("6.7")
//   {series}  the part of {number} before the first dot, as in "v6.x": "6"
// "{{" and "}}" are braces. An unknown name is an error. The result is to be freed.
char *versions_expand(const struct versions *v, const struct yaml *component, const char *text,
                      struct error **err);

// ---- distribution ----
// The distribution that packages come from.

struct distribution {    // owned strings
    char *id, *codename; // "debian", "bookworm"
};

// This host's, from os-release(5). For a derivative (Mint, Pop!_OS, LMDE: ID_LIKE), the
// distribution whose packages it installs, by UBUNTU_CODENAME, DEBIAN_CODENAME or
// /etc/debian_version. One without a code name is an error.
int distribution_host(struct distribution *out, struct error **err);
// The same from given files, of which the second need not exist.
int distribution_read(const char *path, const char *debian_version, struct distribution *out,
                      struct error **err);
void distribution_free(struct distribution *d);

#endif
