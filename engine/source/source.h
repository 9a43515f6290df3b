// SPDX-License-Identifier: Apache-2.0
// Sources: a pin -> a tree of files. Git with libgit2, archives with libcurl, distribution packages
// through apt's signed indexes. Knows the store (for its mirrors and temporary folders), the lock
// and the recipe's structs; not the graph.
//
// Two steps, so that keys can be computed without the network when the lock has the answer:
//   source_resolve   the exact identity: a commit and its tree, or the SHA-256 of an archive
//   source_fetch     fetches it: an exported tree in a folder of the store's tmp/
// Distribution packages are resolved to a list of files with their digests (packages.h), which the
// store keeps; versions.lock has it only after `kbuild lock`.
//
// Ownership: a spec and a pin own their texts; the options borrow everything. Errors begin with the
// label of the source; their hint names the line of versions.lock, or another place to take the
// source from. That upstream cannot be reached, or that --offline or --locked forbid the request,
// is an error like others (ERROR_USER); an interrupt is ERROR_INTERRUPT.
#ifndef KBUILD_SOURCE_SOURCE_H
#define KBUILD_SOURCE_SOURCE_H

#include "base/error.h"
#include "base/memory.h"
#include "recipe/recipe.h"
#include "recipe/versions.h"
#include "store/store.h"

// ---- choice ----
// The user's choice of origins: --sources for all sources, --source NAME=... for one.

enum source_origin {
    ORIGIN_UPSTREAM, // the recipe's: git, an archive
    ORIGIN_DEBIAN,   // the distribution's package
    ORIGIN_FOLDER    // a local folder
};

struct source_choice {
    char *name; // of the source: /src/<name>
    enum source_origin origin;
    char *folder;  // ORIGIN_FOLDER: absolute, links followed (with `fault`: as given); else NULL
    char *where;   // "KBUILD_SOURCE", or the place in a file; NULL: from an option
    bool optional; // from a file for several projects: not every one has the source
    struct error *fault; // without an option: why the folder is invalid
    // What a plan says of the folder where it was planned; here it is a copy without a repository.
    bool planned, dirty;
    int64_t time;
    char *commit; // or NULL
};
struct source_choices {
    struct source_choice *items;
    size_t n, cap;
};

// Adds the choice in the text "NAME=upstream", "NAME=debian" or "NAME=DIR" ("./upstream" is a
// folder of that name). Errors (ERROR_USAGE): another form, an invalid folder, a name that is
// already there from the same place. `where` is NULL for an option, which replaces any other
// choice; others are added only for names that are not there yet. They are for many targets: an
// invalid folder is an error only for the targets that use it.
int source_choices_add(struct source_choices *c, const char *text, const char *where,
                       struct error **err);
// The same for all choices in the text of KBUILD_SOURCE, separated by blanks and line breaks.
int source_choices_environment(struct source_choices *c, const char *text, struct error **err);
int source_choice_check(const struct source_choice *c, struct error **err);
const struct source_choice *source_choice_of(const struct source_choices *c, const char *name);
void source_choices_free(struct source_choices *c);

enum source_kind { SOURCE_GIT, SOURCE_ARCHIVE, SOURCE_DEBIAN, SOURCE_LOCAL, SOURCE_IMAGE };

// The request: a recipe_source with its placeholders filled in from versions.yaml. Owned strings.
struct source_spec {
    enum source_kind kind;
    char *label;     // for messages: "linux (assets.kernel.confidential)"
    char *url, *ref; // git: url and ref; archive: url; local: the folder; image: its
                     // name and platform, "docker://registry/repository:tag#linux/s390x"
    enum submodules submodules;
    char *sums, *sha256; // archive: signed sums file, known digest; either may be NULL
    const struct debian_source *debian; // belongs to recipe or to owned_debian
    struct debian_source *owned_debian;
    bool checkout;          // local: not named by the user, but the checkout around versions.yaml
    bool debian_too;        // not debian, but a debian source exists as well (for hints)
    struct strlist patches; // absolute paths, in order
    struct version_values used; // values of versions.yaml that are filled in
};

// The exact identity. Owned strings.
struct source_pin {
    char *commit, *tree; // git; local: the commit that is checked out, or NULL
    char *sha256;        // archive; debian: of the list of its files; local: of its tree;
                         // image: of the manifest for the platform
    int64_t time;        // local
    bool dirty;          // local: differs from the commit
    bool fresh;          // resolved in this run
};

struct mirrors; // packages.h
// Options and environment of a run.
struct source_options {
    struct store *store;
    struct lock *lock;
    bool debian;                          // --sources=debian
    const struct source_choices *choices; // the user's choices for single sources; or NULL
    const char *output;      // folder of the results, excluded from a local tree; or NULL
    bool offline;            // no network at all: an error names what is missing
    bool locked;             // --locked: nothing that is not in the lock
    struct mirrors *mirrors; // of the distribution, kept between queries; or NULL
};

// Whether the source's key `when` is true. It follows the first unconditional source of the recipe,
// since additions to upstream's tree depend on the origin of that tree. A source that the user
// names applies if its choice is the same word, or a folder.
bool source_applies(const struct recipe *r, const struct recipe_source *source,
                    const struct versions *v, const struct source_options *o);
// Whether the source exists: a distribution packages few projects. A list exists if the source that
// it belongs to exists.
bool source_available(const struct recipe *r, const struct recipe_source *source,
                      const struct versions *v, const struct arch *target,
                      const struct source_options *o);
// The folder that would be the source because versions.yaml is in it, if o->locked forbids it; to
// be freed, or NULL.
char *source_checkout_ignored(const struct recipe_source *source, const struct versions *v,
                              const struct source_options *o);

// A text on a local source for people ("/home/a/x, commit 0123456789ab with changes"), to be freed;
// NULL for others.
char *source_local_text(const struct source_spec *spec, const struct source_pin *pin);
// The commit is in no key: other commits, and uncommitted changes, can have the same files. So the
// record of a local source in the cache (source_fetch()'s provenance) does not have it; this
// function adds it from the pin of this run. Other records are unchanged.
void source_local_provenance(const struct source_spec *spec, const struct source_pin *pin,
                             json_t *provenance);

// Fills `out` from the recipe's source and versions.yaml for `target`. For the distribution, the
// debian source is taken (versions.yaml's, else the recipe's; an error if there is none).
int source_describe(const struct recipe *r, const struct recipe_source *source,
                    const struct versions *v, const struct arch *target,
                    const struct source_options *o, struct source_spec *out, struct error **err);
// One text of a source, filled in from its component of versions.yaml (without `version`: from the
// whole file), with {arch}, {linux_arch} and {host_arch}. `used` gets the values. To be freed.
char *source_expand(const struct recipe_source *source, const struct versions *v,
                    const struct arch *target, const char *text, struct version_values *used,
                    struct error **err);
// From the lock if it is there, else from the network (git: the remote's refs; archive: known
// sha256, else the sums file, else, with a warning, the SHA-256 of a first download), and then
// recorded in the lock. An unreachable upstream is an error whose hint names --sources=debian.
int source_resolve(const struct source_spec *spec, const struct source_options *o,
                   struct source_pin *out, struct error **err);
// Puts the tree, patches applied, into the empty folder `destination`. *provenance (may be NULL)
// gets a JSON object: urls, commit, packages with versions and digests. A pin that a failed fetch
// proves unusable (another digest, no archive, a hostile tree) is removed from the lock if this run
// added it.
int source_fetch(const struct source_spec *spec, const struct source_pin *pin,
                 const struct source_options *o, const char *destination, json_t **provenance,
                 struct error **err);
// Appends the lines of an action key that identify this source (digest or commit, digest of the
// list of packages, digests of the patches).
int source_key_text(const struct source_spec *spec, const struct source_pin *pin, struct buf *out,
                    struct error **err);

// ---- the cache ----
// store_open(), or with `is_new` store_open_new(), of a cache whose content counts. A directory
// that git brings the content of, as the index of a work tree around it says, is an error: a record
// is signed by nobody, so it would say for whoever made the checkout what results are.
struct store *cache_open(const char *directory, bool is_new, struct error **err);

void source_spec_free(struct source_spec *s);
void source_pin_free(struct source_pin *p);

// source_fetch writes the time (seconds since 1970) that a step on this source uses as
// SOURCE_DATE_EPOCH as the mtime of the exported tree's root: the commit's time, the newest mtime
// in an archive, the creation time of an image; without any of these, as for a folder without git,
// 1980-01-01.

#endif
