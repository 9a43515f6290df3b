// SPDX-License-Identifier: Apache-2.0
// Declarations shared by the files of this directory. Not for others.
#ifndef KBUILD_SOURCE_INTERNAL_H
#define KBUILD_SOURCE_INTERNAL_H

#include "recipe/versions.h"
#include "source/source.h"

// ---- url.c ----
// The URL without user name and password, for messages and records; to be freed.
char *url_shown(const char *url);
bool url_is_local(const char *url); // a path or file://
// An error if the url is invalid, or if the end of its login is ambiguous.
int url_check(const struct source_spec *spec, const char *url, struct error **err);
// A submodule's url: relative ones ("../lib.git") against the url of the repository that names it.
// To be freed. An error if it is invalid, could be read as an option, or leads from a remote
// repository to this machine's files.
char *url_of_submodule(const char *parent, const char *url, struct error **err);
// Sets the hint with the alternative for an unreachable upstream: `url` is that of the source, its
// sums file or a submodule.
int hint_other_sources(const struct source_spec *spec, const char *url, struct error **err);
// An error: `what` is not in the cache, and --offline forbids fetching it.
int refuse_offline(const char *what, struct error **err);
// An error: `what` is not in the lock, and --locked forbids resolving it.
int refuse_unlocked(const struct source_options *o, const char *what, struct error **err);

// The time of a source without one: 1980-01-01, as for an artifact without sources.
#define SOURCE_TIME_UNKNOWN 315532800

// ---- resolve.c ----
// Puts a SHA-256 computed in this run into the pin, and into the lock if there is one.
void pin_new_digest(const struct source_spec *spec, const struct source_options *o,
                    const char *sha256, struct source_pin *out);

// ---- one file per kind ----
// *unusable is set if the pinned content arrived and cannot be a source, or is known to be lost.
int git_source_resolve(const struct source_spec *spec, const struct source_options *o,
                       struct source_pin *out, struct error **err);
int git_source_fetch(const struct source_spec *spec, const struct source_pin *pin,
                     const struct source_options *o, const char *destination, json_t *provenance,
                     bool *unusable, struct error **err);
int archive_source_resolve(const struct source_spec *spec, const struct source_options *o,
                           struct source_pin *out, struct error **err);
int archive_source_fetch(const struct source_spec *spec, const struct source_pin *pin,
                         const struct source_options *o, const char *destination,
                         json_t *provenance, bool *unusable, struct error **err);
int debian_source_resolve(const struct source_spec *spec, const struct source_options *o,
                          struct source_pin *out, struct error **err);
int debian_source_fetch(const struct source_spec *spec, const struct source_pin *pin,
                        const struct source_options *o, const char *destination, json_t *provenance,
                        struct error **err);

// The url of an image ("docker://" may stand before its name), for the target; to be freed.
char *image_source_url(const char *image, const struct arch *target, struct error **err);
int image_source_resolve(const struct source_spec *spec, const struct source_options *o,
                         struct source_pin *out, struct error **err);
int image_source_fetch(const struct source_spec *spec, const struct source_pin *pin,
                       const struct source_options *o, const char *destination, json_t *provenance,
                       bool *unusable, struct error **err);
int local_source_resolve(const struct source_spec *spec, const struct source_options *o,
                         struct source_pin *out, struct error **err);
int local_source_fetch(const struct source_spec *spec, const struct source_pin *pin,
                       const struct source_options *o, const char *destination, json_t *provenance,
                       struct error **err);

// The top of the git work tree that contains a file, links followed; to be freed, or NULL.
// local_git.c
char *git_work_tree_of(const char *file);

// ---- patch.c ----
// Applies the patches in order with patch -p1: offsets are allowed, fuzz is not. Changed files get
// the folder's mtime, which is kept.
int apply_patches(const struct strlist *patches, const char *folder, json_t *provenance,
                  struct error **err);

// The mtime of a source's root: the time that steps on it use as SOURCE_DATE_EPOCH.
int set_folder_time(const char *folder, int64_t when, struct error **err);

#endif
