// SPDX-License-Identifier: Apache-2.0
// Apt as a library: the distribution's package sources as configured on this host, and a private
// apt (own lists, own cache, no hooks) that any user can run beside the host's. Apt verifies
// everything against the signed Release files.
#ifndef KBUILD_SOURCE_APT_H
#define KBUILD_SOURCE_APT_H

#include "base/memory.h"
#include "base/digest.h"
#include "base/error.h"
#include "recipe/arch.h"

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

// The value of a path setting of this host's apt.conf(5) ("Dir::Etc::trusted/f"), to be freed.
char *apt_setting_path(const char *setting, struct error **err);

// A private apt in a folder of the caller's (who removes it).
struct apt;
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

// ---- apt entry ----
// Finds whom an entry trusts: apt does not report that. Only within this directory.

// Appends the options of one entry of sources.list(5) on trust and validity time, as lines of
// deb822 ("Signed-By: ..."). `entry` is apt's name for it (SOURCESENTRY of `apt-get indextargets`):
// "FILE:LINE" in the one-line format, "FILE:STANZA" in files that end in .sources.
int apt_entry_options(const char *entry, struct strlist *out, struct error **err);

// The same from the text of such a file, which is modified: the entry with this number, from 1.
void apt_entry_parse(char *text, bool deb822, size_t number, struct strlist *out);

// ---- apt places ----
// What apt reports on its repositories, and what their Release files say. Only within this
// directory.

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
void apt_places_free(struct apt_places *l);
#define cleanup_apt_places __attribute__((cleanup(apt_places_free)))

// The value of a field of a Release file, to be freed; NULL if it has none.
char *apt_release_field(const char *text, const char *name);

#endif
