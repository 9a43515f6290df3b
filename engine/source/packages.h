// SPDX-License-Identifier: Apache-2.0
// Sets of distribution packages, by content. A request (these names, of this distribution, for this
// architecture) is resolved once, by apt, against the signed indexes of its mirrors, to a list of
// files with their SHA-256. The digest of that list represents the set in keys and in
// versions.lock; the store keeps the list and the locations of its files.
//
// A request is known if versions.lock has a list for it, or if it was resolved before with this
// store, whatever its mirrors have today: nothing changes until packages_refresh().
//
//   kbuild packages 1                                       the list, whose SHA-256 is the digest;
//   package <of> <name> <version> <architecture> <sha256>   lines sorted by bytes
//   file <name> <sha256>                                    for sources: a .deb, or a .dsc and
//                                                           its files
//
// <of> is the architecture of the root file system that the package is for.
//
// Ownership: a set owns its packages; a request borrows everything. Errors name the request; those
// of apt have its own words.
#ifndef KBUILD_SOURCE_PACKAGES_H
#define KBUILD_SOURCE_PACKAGES_H

#include "base/error.h"
#include "recipe/versions.h"
#include "source/source.h"

#include <stdint.h>

enum packages_kind {
    PACKAGES_BUILDER, // with dependencies, and the essential packages; "name:s390x" is for a root
                      // file system of its own
    PACKAGES_ROOTFS,  // with dependencies
    PACKAGES_FIRST,   // the first of the names that exists, or one that it depends on
    PACKAGES_SOURCE   // a source package
};

struct packages_request {
    enum packages_kind kind;
    const struct distribution *distribution;
    const struct arch *arch;
    const struct strlist *names;
    // NULL, or groups of names ("gcc,libgcc-dev"): the packages of a group have one version, also
    // across architectures. A rebuild by a build machine ("+b1") counts as the same version.
    const struct strlist *same;
    // NULL, or of PACKAGES_FIRST a glob: not the package itself, but the one with such a name that
    // it depends on. So a name without a version ("linux-image-s390x") leads to that of today.
    const char *dependency;
    bool upstream_too; // what the packages are for can be had elsewhere (for a hint)
};

struct package {
    char *of, *name, *version, *architecture; // of all kinds but PACKAGES_SOURCE
    char *file;                               // name of its file
    char *uri;                                // or NULL: unknown
    char sha256[DIGEST_HEX_SIZE];
    char *licence; // SPDX expression, once it was extracted; or NULL
};
struct package_set {
    struct package *items;
    size_t n, cap;
    char *chosen; // of PACKAGES_FIRST and PACKAGES_SOURCE: the package's name
};
void package_set_free(struct package_set *set);

// 1: known, and *digest is that of its list; 0: not resolved yet.
int packages_known(const struct packages_request *r, const struct source_options *o,
                   char digest[static DIGEST_HEX_SIZE], struct error **err);
// The same, but unknown requests are resolved with the mirrors, and remembered. With o->locked only
// versions.lock is used.
int packages_resolve(const struct packages_request *r, const struct source_options *o,
                     char digest[static DIGEST_HEX_SIZE], struct error **err);
// Queries the mirrors even if the request is known. Replaces the line of versions.lock.
int packages_refresh(const struct packages_request *r, const struct source_options *o,
                     char digest[static DIGEST_HEX_SIZE], struct error **err);
// Resolves, and puts the result into versions.lock.
int packages_pin(const struct packages_request *r, const struct source_options *o,
                 char digest[static DIGEST_HEX_SIZE], struct error **err);

// packages_known(), _resolve() or _refresh() for the package of a recipe's source on this host.
typedef int packages_action(const struct packages_request *r, const struct source_options *o,
                            char digest[static DIGEST_HEX_SIZE], struct error **err);
int debian_source_request(const struct debian_source *s, const struct source_options *o,
                          packages_action *action, char digest[static DIGEST_HEX_SIZE],
                          struct error **err);

// The list with this digest. If the store does not have it, the mirrors are queried, and must give
// the same list.
int packages_open(const struct packages_request *r, const struct source_options *o,
                  const char *digest, struct package_set *out, struct error **err);
// Downloads the packages for `of` (NULL: all) that `folder` lacks. A wrong SHA-256 is an error.
int packages_download(const struct package_set *set, const char *of, const struct source_options *o,
                      const char *folder, struct error **err);

// The form in a record: [{name, version, architecture, of, sha256, licence}].
json_t *packages_to_json(const struct package_set *set);
// 1: the list of these packages has this digest; 0: it has not, or the entries are invalid.
int packages_are(const json_t *list, const char *digest);

// The value of a field on one line of a control or Release file (deb822(5): "Name: value"), to be
// freed; NULL if there is none.
char *deb822_field(const char *text, const char *name);

// Private apts with their indexes, kept while a run resolves several requests.
struct mirrors;
struct mirrors *mirrors_new(void);
void mirrors_free(struct mirrors *m);

#endif
