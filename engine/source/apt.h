// SPDX-License-Identifier: Apache-2.0
// Apt, used as a library would be: the distribution's own package sources as this host is
// configured with them, and a private apt (own lists, own cache, no hooks) that any user can run
// beside the host's. Everything that comes through it is verified by apt against the signed Release
// files.
#ifndef KBUILD_SOURCE_APT_H
#define KBUILD_SOURCE_APT_H

#include "base/buf.h"
#include "base/digest.h"
#include "base/error.h"
#include "recipe/arch.h"

// Which packages.
struct apt_wanted {
    const char *id, *codename; // of the distribution: "debian", "bookworm"
    const struct arch *arch;   // of binary packages
    bool source;               // source packages instead
    const char *folder;        // an existing empty folder for questions to the mirrors
};
// Appends deb822 text (sources.list(5)): where apt on this machine finds them, as apt itself says
// (`apt-get indextargets`): the suites `codename` and `codename`-updates, -security and so on, by
// their own names or by others ("stable") that their Release files explain. Each entry keeps the
// keys that it trusts. Third-party repositories are left out: of two that carry the suite
// `codename`, one whose Origin is the distribution's and one whose is not, the first counts.
//
// The environment's REPO_URL, REPO_URL_X86_64 (for amd64, wins there) and REPO_COMPONENTS ("main")
// take the host configuration's place; they are needed for a distribution that is not the host's
// own. REPO_KEYRING names the file of keys that such a mirror is signed with; without it, the keys
// count that apt trusts by itself and those of the distribution. Nothing found is an error that
// says so.
int apt_sources(const struct apt_wanted *w, struct buf *out, struct error **err);

// Appends apt.conf(5) text: this host's Acquire:: settings (proxies, timeouts, validity checks) but
// no hooks, and retries. For a private apt.
int apt_settings(struct buf *out, struct error **err);

// The value of a path setting of this host's apt.conf(5) ("Dir::Etc::trusted/f"), to be freed.
char *apt_setting_path(const char *setting, struct error **err);

// A private apt in a folder of the caller's (who removes it).
struct apt;
// `folder` is an existing empty directory. `sources` is deb822 text, as from apt_sources().
// Packages are looked up for `arch`. Nothing is asked of the network yet.
struct apt *apt_open(const char *folder, const char *sources, const struct arch *arch,
                     struct error **err);
// Fetches and verifies the Release files and, unless `releases_only`, the indexes that they name.
// With `releases_only` mirrors that cannot be reached are no error.
int apt_update(struct apt *a, bool releases_only, struct error **err);
// Runs a program of apt's as this private apt; *out (may be NULL) gets what it prints.
int apt_run(const struct apt *a, const char *const argv[], const char *directory, struct buf *out,
            struct error **err);
void apt_close(struct apt *a); // NULL is allowed; the folder stays

// ---- apt entry ----
// The one thing that apt does not say of the sources that it is configured with: whom an entry
// trusts. Only within this room.

// Appends the options of one entry of sources.list(5) that say whom it trusts and for how long, as
// lines of deb822 ("Signed-By: ..."). `entry` is what apt calls it (SOURCESENTRY of `apt-get
// indextargets`): "FILE:LINE" in the one-line format, "FILE:STANZA" in files that end in .sources.
int apt_entry_options(const char *entry, struct strlist *out, struct error **err);

// The same from the text of such a file, which is cut up: the entry with this number, from 1.
void apt_entry_parse(char *text, bool deb822, size_t number, struct strlist *out);

// ---- apt places ----
// What apt says of the repositories that it is configured with, and what they say of themselves.
// Only within this room.

// One suite of one repository that apt is configured with.
struct apt_place {
    char *entry, *uri, *suite;
    struct strlist components, architectures, options;
    char *release_path;      // of its Release file without the last word, as apt would keep it
    char *codename, *origin; // as its Release file says; NULL: unknown
};
struct apt_places {
    struct apt_place *items;
    size_t n, cap;
};
// Appends those in the text of `apt-get indextargets`: a line a target, fields divided by tabs
// (entry, URI, suite, component, architecture, file). Lines of any other form are passed over.
void apt_places_parse(const char *text, struct apt_places *out);
void apt_places_free(struct apt_places *l);
#define cleanup_apt_places __attribute__((cleanup(apt_places_free)))

// The value of a field of a Release file, to be freed; NULL if it has none.
char *apt_release_field(const char *text, const char *name);

#endif
