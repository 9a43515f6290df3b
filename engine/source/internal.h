// SPDX-License-Identifier: Apache-2.0
// Shared by the files of this room, and by their tests. What needs libgit2 is in git_internal.h.
#ifndef KBUILD_SOURCE_INTERNAL_H
#define KBUILD_SOURCE_INTERNAL_H

#include "base/digest.h"
#include "base/error.h"
#include "base/memory.h"
#include "http/http.h"
#include "recipe/platform.h"
#include "recipe/versions.h"
#include "source/packages.h"
#include "source/source.h"

// ---- url.c ----
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
#define SOURCE_TIME_UNKNOWN EPOCH_1980

// ---- pin.c ----
// Puts a SHA-256 computed in this run into the pin, and into the lock if there is one.
void pin_new_digest(const struct source_spec *spec, const struct source_options *o,
                    const char *sha256, struct source_pin *out);

// The mtime of a source's root: the time that steps on it use as SOURCE_DATE_EPOCH.
int set_folder_time(const char *folder, int64_t when, struct error **err);

// ---- one file per kind ----
typedef int source_resolver(const struct source_spec *spec, const struct source_options *o,
                            struct source_pin *out, struct error **err);
// *unusable is set if the pinned content arrived and cannot be a source, or is known to be lost.
typedef int source_fetcher(const struct source_spec *spec, const struct source_pin *pin,
                           const struct source_options *o, const char *destination,
                           json_t *provenance, bool *unusable, struct error **err);
source_resolver git_source_resolve, archive_source_resolve, debian_source_resolve,
    image_source_resolve, local_source_resolve;
source_fetcher git_source_fetch, archive_source_fetch, debian_source_fetch, image_source_fetch,
    local_source_fetch;

// The url of an image ("docker://" may stand before its name), for the target; to be freed.
char *image_source_url(const char *image, const struct arch *target, struct error **err);

// local_git.c: the top of the git work tree that contains a file, links followed; to be freed, or
// NULL.
char *git_work_tree_of(const char *file);

// ---- debian.c ----

// Unpacks the content of a binary package into an empty folder with dpkg-deb. *newest gets the
// newest mtime of a file.
int deb_unpack(const char *deb, const char *folder, int64_t *newest, struct error **err);
// Finds the one file below `folder` whose path matches the glob and unpacks it, an archive with a
// top folder, into `destination`.
int deb_unpack_inside(const char *folder, const char *glob, const char *destination,
                      int64_t *newest, struct error **err);

// ---- mirrors.c ----

struct apt;
// The apt that has the indexes which the request needs for this architecture; `m` owns it.
struct apt *mirror_apt_for(struct mirrors *m, const struct packages_request *r,
                           const struct arch *arch, const struct source_options *o,
                           struct error **err);

// ---- packages_apt.c ----

// Rejects names that apt would not take as the name of a package (an option, a path, a pattern).
int packages_check_names(const struct packages_request *r, struct error **err);
// Has apt resolve the request against today's indexes.
int packages_query(const struct packages_request *r, const struct source_options *o,
                   struct package_set *out, struct error **err);

// Appends the files that `apt-get --print-uris` lists; `of` NULL: any files, else binary packages
// for this architecture. Lines that begin otherwise are skipped.
int packages_of_uris(const char *text, const char *of, struct package_set *out, struct error **err);

// ---- apt.c, apt_sources.c: apt as a library ----
// The distribution's package sources as configured on this host, and a private apt (own lists, own
// cache, no hooks) that any user can run beside the host's. Apt verifies everything against the
// signed Release files.
//
// `apt-get indextargets --no-release-info` reports the sources of both formats: URIs, suites,
// components, architectures. Of apt 2.6 it does not report these, which are read here:
//   Signed-By, Trusted, Check-Valid-Until and the like    from the entry that it names
//   codename and origin                                   from the Release file. Its release
//       information has them, but leaves out what has no downloaded index, as after the removal of
//       the lists, and in an apt that has fetched Release files only
//   a mirror of mirror+file:                              from that file
// Without apt-get a distribution's packages cannot be found: an error says so.

// The packages to find.
struct apt_wanted {
    const char *id, *codename; // of the distribution: "debian", "bookworm"
    const struct arch *arch;   // of binary packages
    bool source;               // source packages instead
    const char *folder;        // an existing empty folder for querying the mirrors
};
// Appends deb822 text (sources.list(5)): the places where apt on this machine finds them, as
// `apt-get indextargets` reports: the suites `codename` and `codename`-updates, -security and so
// on, by their own names or by others ("stable") that their Release files explain. Each entry keeps
// its trusted keys. Third-party repositories are left out: of two with the suite `codename`, one
// whose Origin is the distribution's has priority.
//
// The environment's REPO_URL, REPO_URL_X86_64 (for amd64, with priority) and REPO_COMPONENTS
// ("main") replace the host configuration; they are required for a distribution other than the
// host's. REPO_KEYRING is the file of keys that such a mirror is signed with; without it, the keys
// are those that apt trusts by default and those of the distribution. It is an error if nothing is
// found.
int apt_sources(const struct apt_wanted *w, struct buf *out, struct error **err);

// Appends apt.conf(5) text: this host's Acquire:: settings (proxies, timeouts, validity checks) but
// no hooks, and retries. For a private apt.
int apt_settings(struct buf *out, struct error **err);

// The value of a path setting of this host's apt.conf(5) ("Dir::Etc::trusted/f"), to be freed: 1.
// 0: apt has no such setting (apt 3 no longer has that one).
int apt_setting_path(const char *setting, char **out, struct error **err);

// A private apt in a folder of the caller's (who removes it).
// `folder` is an existing empty directory. `sources` is deb822 text, as from apt_sources().
// Packages are looked up for `arch`. No network access yet.
struct apt *apt_open(const char *folder, const char *sources, const struct arch *arch,
                     struct error **err);
// Fetches and verifies the Release files and, unless `releases_only`, their indexes. With
// `releases_only` unreachable mirrors are no error.
int apt_update(struct apt *a, bool releases_only, struct error **err);
// Runs a program of apt with this private apt; *out (may be NULL) gets its output.
int apt_run(const struct apt *a, const char *const argv[], const char *directory, struct buf *out,
            struct error **err);
void apt_close(struct apt *a); // NULL is allowed; the folder stays

// Appends the options of one entry of sources.list(5) on trust and validity time, as lines of
// deb822 ("Signed-By: ..."). `entry` is apt's name for it (SOURCESENTRY of `apt-get indextargets`):
// "FILE:LINE" in the one-line format, "FILE:STANZA" in files that end in .sources.
int apt_entry_options(const char *entry, struct strlist *out, struct error **err);

// The same from the text of such a file, which is modified: the entry with this number, from 1.
void apt_entry_parse(char *text, bool deb822, size_t number, struct strlist *out);

// One suite of one repository in apt's configuration.
struct apt_place {
    char *entry, *uri, *suite;
    struct strlist components, architectures, options;
    char *release_path;      // of its Release file without the last word, as apt stores it
    char *codename, *origin; // from its Release file; NULL: unknown
};
struct apt_places {
    struct apt_place *items;
    size_t n, cap;
};
// Appends those in the text of `apt-get indextargets`: a line a target, fields separated by tabs
// (entry, URI, suite, component, architecture, file). Other lines are skipped.
void apt_places_parse(const char *text, struct apt_places *out);
// Appends those that this machine's apt is configured with (`private` NULL), or a private one.
int apt_places_list(const struct apt *private, struct apt_places *out, struct error **err);
// Fills codename and origin in from the Release file below `path` (a release_path, or NULL), which
// apt verified.
void apt_place_read_release(struct apt_place *p, const char *path);
void apt_places_free(struct apt_places *l);
#define cleanup_apt_places __attribute__((cleanup(apt_places_free)))

// The form of a uri that apt's cache and its downloader of single files can read, to be freed:
// copies instead of a folder's own files, and a mirror instead of a list of mirrors.
char *apt_readable_uri(const char *uri);

#endif
