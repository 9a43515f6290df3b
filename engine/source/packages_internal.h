// SPDX-License-Identifier: Apache-2.0
// Declarations shared by packages.c, packages_apt.c and packages_same.c.
#ifndef KBUILD_SOURCE_PACKAGES_INTERNAL_H
#define KBUILD_SOURCE_PACKAGES_INTERNAL_H

#include "source/packages.h"

// Rejects names that apt would not take as the name of a package (an option, a path, a pattern).
int packages_check_names(const struct packages_request *r, struct error **err);
// Has apt resolve the request against today's indexes.
int packages_ask(const struct packages_request *r, const struct source_options *o,
                 struct package_set *out, struct error **err);

// The architecture of the root file system that a name belongs to ("libc6-dev:s390x"), and in
// *plain, to be freed, the name there. Other suffixes are left to apt.
const struct arch *packages_arch_of(const struct packages_request *r, const char *name,
                                    char **plain);
// The apt that has the indexes for this architecture; `m` owns it.
struct apt *packages_apt(struct mirrors *m, const struct packages_request *r,
                         const struct arch *arch, const struct source_options *o,
                         struct error **err);
// For each package that r->same binds, "<architecture> <name>=<version>" (Debian's words).
int packages_same_versions(const struct packages_request *r, struct mirrors *m,
                           const struct source_options *o, struct strlist *out, struct error **err);

struct package_version {
    char *text;
    int priority; // apt_preferences(5)
};
struct package_versions {
    struct package_version *items;
    size_t n, cap;
};
void package_versions_free(struct package_versions *v);
// Appends the version table of one package from `apt-cache policy`, the newest first.
void packages_of_policy(const char *text, struct package_versions *out);

// Appends the files that `apt-get --print-uris` lists; `of` NULL: any files, else binary packages
// for this architecture. Lines that begin otherwise are skipped.
int packages_of_uris(const char *text, const char *of, struct package_set *out, struct error **err);

#endif
