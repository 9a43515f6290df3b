// SPDX-License-Identifier: Apache-2.0
// Sources: a pin -> a tree of files. Git with libgit2, archives with libcurl, distribution packages
// through apt's own signed indexes. Knows the store (for its mirrors and temporary folders), the
// lock and the recipe's structs; nothing of graphs.
//
// Two steps, so that keys can be computed without the network when the lock knows the answer:
//   source_resolve   what exactly is meant: a commit and its tree, or the SHA-256 of an archive
//   source_fetch     brings it: an exported tree in a folder of the store's tmp/
// Distribution packages are resolved to a list of files with their digests (packages.h), which is
// remembered; versions.lock has it only if it was put there (`kbuild lock`).
#ifndef KBUILD_SOURCE_SOURCE_H
#define KBUILD_SOURCE_SOURCE_H

#include "base/buf.h"
#include "base/error.h"
#include "recipe/lock.h"
#include "recipe/recipe.h"
#include "recipe/versions.h"
#include "store/store.h"

// ---- choice ----
// Where the user wants sources to come from: --sources for all, --source NAME=... for one.

enum source_origin {
    ORIGIN_UPSTREAM, // what the recipe names: git, an archive
    ORIGIN_DEBIAN,   // the distribution's package
    ORIGIN_FOLDER    // somebody's own files
};

struct source_choice {
    char *name; // of the source: /src/<name>
    enum source_origin origin;
    char *folder;     // ORIGIN_FOLDER: absolute, links followed (with `fault`: as given); else NULL
    bool environment; // KBUILD_SOURCE says so, no option
    struct error *fault; // of the environment's: why the folder is none
};
struct source_choices {
    struct source_choice *items;
    size_t n, cap;
};

// Adds the choice that the text "NAME=upstream", "NAME=debian" or "NAME=DIR" is ("./upstream" is a
// folder of that name). Errors (ERROR_USAGE): no such form, a folder that is none, a name that is
// there already with `environment` the same; an option takes the place of what the environment
// says.
int source_choices_add(struct source_choices *c, const char *text, bool environment,
                       struct error **err);
// The same for all in the text of KBUILD_SOURCE, which blanks and line breaks separate. It is a
// setting for many targets: a folder that is none is an error only for what is made of it.
int source_choices_environment(struct source_choices *c, const char *text, struct error **err);
int source_choice_check(const struct source_choice *c, struct error **err);
const struct source_choice *source_choice_of(const struct source_choices *c, const char *name);
void source_choices_free(struct source_choices *c);

enum source_kind { SOURCE_GIT, SOURCE_ARCHIVE, SOURCE_DEBIAN, SOURCE_LOCAL, SOURCE_IMAGE };

// What to get: a recipe_source with its placeholders filled in from versions.yaml. Owned strings.
struct source_spec {
    enum source_kind kind;
    char *label;     // for messages: "linux (assets.kernel.confidential)"
    char *url, *ref; // git: url and ref; archive: url; local: the folder; image: its
                     // name and platform, "docker://registry/repository:tag#linux/s390x"
    enum submodules submodules;
    char *sums, *sha256; // archive: signed sums file, known digest; either may be NULL
    const struct debian_source *debian; // belongs to recipe or to owned_debian
    struct debian_source *owned_debian;
    bool checkout;          // local: nobody named it, it is where versions.yaml is
    bool debian_too;        // not debian, but there is such a source as well (for hints)
    struct strlist patches; // absolute paths, in order
};

// What exactly it is. Owned strings.
struct source_pin {
    char *commit, *tree; // git; local: the commit that is checked out, or NULL
    char *sha256;        // archive; debian: of the list of its files; local: of its tree;
                         // image: of the manifest for the platform
    int64_t time;        // local
    bool dirty;          // local: other files than those of the commit
    bool fresh;          // found out in this run
};

struct mirrors; // packages.h
// Switches and surroundings of a run.
struct source_options {
    struct store *store;
    struct lock *lock;
    bool debian;                          // --sources=debian
    const struct source_choices *choices; // what the user says of single sources; or NULL
    const char *output;      // folder that results go to; it is no part of a local tree; or NULL
    bool offline;            // no network at all: an error names what is missing
    bool locked;             // --locked: nothing that is not in the lock
    struct mirrors *mirrors; // of the distribution, kept between questions; or NULL
};

// Where a source of a recipe comes from. In this order: what the user says of its name; the work
// tree that versions.yaml lies in, if that has the paths of the source's `checkout` (not with
// o->locked); what o->debian says.
struct source_place {
    enum source_origin origin;
    char *folder;  // ORIGIN_FOLDER: absolute, to be freed
    bool checkout; // that work tree
};
void source_place(const struct recipe_source *source, const struct versions *v,
                  const struct source_options *o, struct source_place *out);
// `when` of sources follows the first source of the recipe that is always there: what goes with
// upstream's tree depends on where that comes from. A source that the user names is there if it is
// named with the same word, or with a folder.
bool source_applies(const struct recipe *r, const struct recipe_source *source,
                    const struct versions *v, const struct source_options *o);
// Whether there is such a source at all: a distribution has no package of most projects. A list is
// there if what it is of is.
bool source_available(const struct recipe *r, const struct recipe_source *source,
                      const struct versions *v, const struct arch *target,
                      const struct source_options *o);
// The folder that the place of versions.yaml makes a source, if o->locked forbids it; to be freed,
// or NULL.
char *source_checkout_ignored(const struct recipe_source *source, const struct versions *v,
                              const struct source_options *o);

// What a person should know of a local source ("/home/a/x, commit 0123456789ab with changes"), to
// be freed; NULL for others.
char *source_local_text(const struct source_spec *spec, const struct source_pin *pin);
// The commit is in no key: other commits, and changes that are not committed yet, can have the same
// files. So the record of a local source in the cache (source_fetch()'s provenance) does not say
// it; this adds what the pin of this run says. Others stay as they are.
void source_local_provenance(const struct source_spec *spec, const struct source_pin *pin,
                             json_t *provenance);

// Fills `out` from the recipe's source and versions.yaml for `target`. Of the distribution the
// debian source is taken (versions.yaml's, else the recipe's; none is an error that says so).
int source_describe(const struct recipe *r, const struct recipe_source *source,
                    const struct versions *v, const struct arch *target,
                    const struct source_options *o, struct source_spec *out, struct error **err);
// One text of a source, filled in from its component of versions.yaml (without `version`: from the
// whole file), with {arch}, {linux_arch} and {host_arch}. To be freed.
char *source_expand(const struct recipe_source *source, const struct versions *v,
                    const struct arch *target, const char *text, struct error **err);
// From the lock if it is there, else from the network (git: the remote's refs; archive: known
// sha256, else the sums file, else, with a warning, the SHA-256 of a first download), and then
// recorded in the lock. An upstream that can't be reached is an error whose hint names
// --sources=debian.
int source_resolve(const struct source_spec *spec, const struct source_options *o,
                   struct source_pin *out, struct error **err);
// What a failed fetch shows to be of no use (another digest, no archive, a hostile tree) does not
// stay in the lock if it got there in this run.
// Puts the tree, patches applied, into the empty folder `destination`. *provenance (may be NULL)
// gets a JSON object: urls, commit, packages with versions and digests.
int source_fetch(const struct source_spec *spec, const struct source_pin *pin,
                 const struct source_options *o, const char *destination, json_t **provenance,
                 struct error **err);
// Appends the lines of an action key that name this source and nothing else (digest or commit,
// digest of the list of packages, digests of the patches).
int source_key_text(const struct source_spec *spec, const struct source_pin *pin, struct buf *out,
                    struct error **err);

void source_spec_free(struct source_spec *s);
void source_pin_free(struct source_pin *p);

// The time (seconds since 1970) that a step on this source uses as SOURCE_DATE_EPOCH is written by
// source_fetch as the mtime of the exported tree's root: the commit's time, the newest mtime in
// an archive, when an image was made; what has none of these, such as a folder without git, has
// 1980-01-01.

#endif
