// SPDX-License-Identifier: Apache-2.0
// The version of the release that the components belong to.
#ifndef KBUILD_GRAPH_RELEASE_VERSION_H
#define KBUILD_GRAPH_RELEASE_VERSION_H

#include "recipe/recipe.h"
#include "recipe/versions.h"

// The version of Kata Containers of the components; to be freed. The first of
//   externals.kata.version of versions.yaml (a key of kbuild's own)
//   with RELEASE=yes the file VERSION beside versions.yaml
//   `git describe --tags` of the checkout that versions.yaml is in, as upstream; else its VERSION;
//   a folder is a checkout if it has all files in the key `checkout` of some source in `set`
// NULL: none of these has it. Without a set there are no checkouts.
char *release_version(const struct versions *v, struct recipe_set *set);
// Whether a version ("3.12.0", "3.12.0-45-gc0ffee") is of an earlier release; false for text that
// is no version.
bool version_before(const char *version, unsigned major, unsigned minor);

#endif
