// SPDX-License-Identifier: Apache-2.0
// Which release of the project the components are of.
#ifndef KBUILD_GRAPH_RELEASE_VERSION_H
#define KBUILD_GRAPH_RELEASE_VERSION_H

#include "recipe/recipe.h"
#include "recipe/versions.h"

// The version of Kata Containers that the components are of; to be freed. The first of
//   externals.kata.version of versions.yaml (a key of kbuild's own)
//   with RELEASE=yes the file VERSION beside versions.yaml
//   `git describe --tags` of the checkout that versions.yaml is in, as upstream; else its VERSION;
//   a folder is one if it has all that the key `checkout` of some source in `set` names
// NULL: nothing says it. Without a set there are no checkouts.
char *release_version(const struct versions *v, struct recipe_set *set);
// Whether a version ("3.12.0", "3.12.0-45-gc0ffee") is of an earlier release; one that is no
// version is not.
bool version_before(const char *version, unsigned major, unsigned minor);

#endif
