// SPDX-License-Identifier: Apache-2.0
// recipe.yaml -> plain structs. A recipe says how one target is made; docs/recipes.md is its manual
// and recipes/ has examples. Everything in a recipe is checked when it is loaded: unknown keys,
// wrong kinds, missing files. Errors read "FILE:LINE:COLUMN: why", with "did you mean" where a
// similar name exists.
//
// Ownership: a recipe owns everything in it, and the set owns the recipe.
//
//   description: text                     one line, for `kbuild list`
//   action: script                        script (default) | initrd | image | se-image | group
//   architectures: [s390x, x86_64]        that the target can be built for
//   needs: [a, {any: [b, c]}, {optional: d}]
//                                         artifacts that this one is made of; in the key by output
//   members: [f, g]                       of a group; or {x86_64: [f], ...}
//   with: [e]                             targets built along with a requested one; not inputs
//   sources: {linux: {...}}               trees at /src/<name>, struct recipe_source
//   shared: [kernel]                      folders below recipes/ shown at /shared/<name>
//   builder: {packages: [...], ...}       struct recipe_builder; script recipes, which need one
//   rootfs: {...}                         struct recipe_rootfs; initrd recipes only
//   variables: {NAME: {...}}              struct recipe_variable; from the user's environment
//   environment: {NAME: value}            constants of the step; values may hold {dotted paths} of
//                                         versions.yaml, {arch} and {linux_arch}
//   ignored: {NAME: why}                  struct recipe_ignored
//   run: build.sh                         the script: in the recipe's folder, or shared/<name>/x.sh
//   phases: {setup: a.sh, build: b.sh}    instead of run: several, run in this order
//   sign: {...}                           struct recipe_sign; script recipes only
//   outputs: [name, name-modules]         tarballs: /out/<name> is packed as
//                                         kata-static-<name>.tar.xz; default: the recipe's name
//   release: no                           not put in build/ unless requested by name (default yes)
//   like: name                            of an initrd or image: missing parts are taken from it
//   initrd: {...}                         struct recipe_initrd; initrd recipes only
//   disk: {...}                           the same; image recipes only
//   image: {...}                          struct recipe_image; se-image recipes only
//   install: {links: [...]}               struct recipe_link; what `kbuild install` adds
//   boot: {...}                           struct recipe_boot; how `kbuild boot` tries the result
//
// Files are checked when the recipe is loaded, and must be inside its folder, links followed. Names
// of targets in `needs`, `with` and `members` are looked up by the planner (engine/run).
#ifndef KBUILD_RECIPE_RECIPE_H
#define KBUILD_RECIPE_RECIPE_H

#include "recipe/platform.h"
#include "recipe/versions.h"

enum recipe_action { ACTION_SCRIPT, ACTION_INITRD, ACTION_IMAGE, ACTION_SE_IMAGE, ACTION_GROUP };

// when: {variable: NAME, is: VALUE}: a part applies only if the variable of the recipe has the
// value; "" means that it is not set. Without a variable: always.
struct recipe_condition {
    char *variable;
    struct strlist is; // one of these
    size_t line, column;
};

// One entry of `needs`: the first of `any` that exists as a recipe and supports the architecture.
struct recipe_need {
    struct strlist any;           // one name for a plain need
    bool optional;                // nothing, if none of `any` exists
    struct recipe_condition when; // not in members of groups, which have no variables
    size_t line, column;
};
struct recipe_needs {
    struct recipe_need *list;
    size_t count;
};

// The source on a machine that reaches only its distribution's mirror. In versions.yaml (key
// `debian` of the component) or, as a default, in the recipe.
//   {packages: [linux-source-6.1], file: usr/src/linux-source-6.1.tar.xz}   binary packages
//   {packages: [linux-image-s390x], architecture: target, dependency: linux-image-*}
//   {source: busybox}                                                       a source package
struct debian_source {
    struct strlist packages; // the first that the distribution has
    bool of_target;          // packages of the target's architecture, not of this machine's
    const struct arch *arch; // which one that is; set by source_describe(), else NULL
    bool upstream_too;       // the source has a place upstream, as well; set by source_describe()
    char *dependency; // glob: instead of the package, the one that it depends on with such a name
    char *file;       // glob inside the package: an archive to unpack; NULL: the whole package
    char *source;     // name of a source package, unpacked with its patches applied
};

// Which submodules are exported: all (default), those of the repository itself, none.
enum submodules { SUBMODULES_NO, SUBMODULES_DIRECT, SUBMODULES_YES };
extern const char *const submodules_words[]; // as written; NULL ends

// The parts of the user's configuration that a list's script may read. None of it is in a key.
//   {files: ["~/.tool/config", "$TOOL_HOME/config"], environment: [TOOL_PROXY]}
struct recipe_configuration {
    struct strlist files;       // "~/<path>" or "$<NAME>/<path>"
    struct strlist environment; // names of variables
};

// A source that is a list of files: a script prints them (source/list.h), given the tree of another
// source.
struct recipe_list {
    char *script;             // as recipe_phase's
    char *of;                 // name of another source, or NULL
    struct strlist arguments; // templates, {arch} and {host_arch}
    struct recipe_configuration configuration;
};

// sources: {<name>: {version: <dotted path of a map in versions.yaml>, git|archive: ..., ...}}
// Texts may hold {placeholders}, see versions_expand().
struct recipe_source {
    char *name;      // /src/<name>
    char *version;   // dotted paths, separated by blanks: the first that versions.yaml has
                     // (releases moved things); "{arch}" in it is the target architecture
                     // ("{linux_arch}": as Linux calls it).
                     // NULL only if there is neither git nor archive
    char *git, *ref; // url and branch, tag or commit
    enum submodules submodules;
    char *when; // "upstream" or "debian": only with these sources; NULL: always
    struct recipe_condition condition; // and only if this holds
    char *image;                       // name of an image in a registry
    char *licence;                     // SPDX expression that it is published under, or NULL
    char *archive, *sums; // url of the archive; url of a signed sums file (kernel.org's format)
    // In the filled-in urls the first text of a pair is replaced by the second, also a template.
    struct strlist replaced, replacements;
    struct debian_source *debian; // or NULL
    struct recipe_list *list;     // or NULL
    struct strlist checkout;      // paths; a work tree with all of them and versions.yaml is the
                                  // source
    struct strlist patches; // files, globs (sorted by bytes) or either with {placeholders}, in the
                            // recipe's folder; applied with -p1
    size_t line, column;
};

// builder: the root file system that the script runs in.
//   {packages: [make, gcc], cross: {s390x: [gcc-s390x-linux-gnu]}, libraries: [zlib1g-dev],
//    same-version: [[gcc, libgcc-dev]], setup: setup.sh, tools: [make]}
struct recipe_builder {
    char *name;               // upstream's builder image name; default: the recipe's name
    struct strlist packages;  // on the build host's architecture
    struct strlist cross[4];  // further packages by target (index in arch_table), only when
                              // the target is not the build host's architecture
    struct strlist libraries; // packages of the target's architecture; if that is not the
                              // build host's, they are in /sysroot/<triplet>
    struct strlist same;      // groups ("a,b", sorted) of the packages above that need one version
                              // also across architectures
    char *image;              // an image of a registry instead of packages, or NULL
    char *setup;              // script run once, as root of the new root file system, or NULL
    struct strlist tools;     // programs that --builder=host needs; their versions are keyed
};

// rootfs: a distribution root file system for the target, of packages only; no foreign code runs.
struct recipe_rootfs {
    char *distribution; // dotted path of a {name, version} map in versions.yaml; {arch} expands
    struct strlist packages;
    struct recipe_packages *more; // those with a condition
    size_t more_count;
};
struct recipe_packages {
    struct recipe_condition when;
    struct strlist packages;
};

// A secret is a file of which only a public name is in the key: the output of a pseudo-random
// function, which identifies the secret and reveals nothing about it. No script ever gets one. A
// script recipe has one only as the key of its section `sign`; then the step's key has the
// certificate and not the secret.
enum variable_type {
    VARIABLE_TEXT,
    VARIABLE_YES_NO,
    VARIABLE_FILE,
    VARIABLE_DIRECTORY,
    VARIABLE_SECRET
};

// default: {before: "3.27", is: a, else: b}: a default that depends on the release being built.
struct recipe_by_release {
    char *before; // "<major>.<minor>"; NULL: no such default
    char *is, *otherwise;
};

// refused: [{is: musl, why: ...}]: an unsupported value, for some architectures or for all.
struct recipe_refused {
    char *is, *why;
    bool architectures[4]; // by index in arch_table; none: all
};

// A variable of the user's environment that may change the output; its value is in the key (files
// by digest). Undeclared variables never reach a step.
struct recipe_variable {
    char *name;
    enum variable_type type; // text | yes-no | file | directory | secret
    char *default_;          // text, or NULL; an empty value in the environment means the default
    struct recipe_by_release by_release; // or this
    struct strlist values;               // text: all allowed values; none: any
    struct recipe_refused *refused;      // text and yes-no
    size_t refused_count;
    char *pattern;  // directory: glob of the relevant files ("HKD-*.crt")
    char *required; // error message if it is not set, or NULL
    bool list;      // file: several, separated by commas
    size_t line, column;
};

// ignored: {NAME: why}: a variable that people set for this target, and that has no effect on it.
// The user gets a warning; no step gets it, and it is in no key.
struct recipe_ignored {
    char *name, *why;
    char *value; // the value that is built anyway, which needs no warning; or NULL
};
struct recipe_ignored_list {
    struct recipe_ignored *list;
    size_t count;
};

// One layer of an initrd: exactly one of the first four is set.
struct recipe_layer {
    bool rootfs;    // the recipe's root file system
    char *artifact; // name in `needs` (the chosen one of an `any`), unpacked over the tree
    char *overlay;  // folder in the recipe, or in its `like` recipe
    char *folder;   // that folder, absolute
    char *variable; // a file variable that names a tarball; skipped when it is not set
    struct recipe_condition when;
};

// init: [{of: NEED, name: TEXT}, {of: VARIABLE, name: TEXT, note: TEXT}]
// The init inside, for display: the first whose artifact or file is present.
struct recipe_init {
    char *of;          // a name in `needs`, or a variable that names a file
    char *name, *note; // note may be NULL
};

// The properties of an image besides its tree.
struct recipe_disk {
    unsigned align; // MiB: the size is a multiple of this
    bool dax;       // both partition tables and the NVDIMM header
    struct recipe_verity {
        struct recipe_condition when;
        char *salt;     // hex; NULL: derived from the content
        char *hash;     // path of the root hash in the tarball; NULL: not measured at all
        char *format;   // of that file: "veritysetup" (also NULL) or "line"; or
        char *variable; // the variable with the format
    } verity;
};

// initrd: {layers: [rootfs, {artifact: smoke-init}, {overlay: overlay}], ...}
// disk: the same, with the fields of struct recipe_disk
struct recipe_initrd {
    struct recipe_layer *layers;
    size_t layer_count;
    struct recipe_init *inits;
    size_t init_count;
    struct strlist exclude;  // path prefixes or globs left out of the root file system layer
    char *output, *link;     // paths in the tarball, in one folder; {os}, {osversion} and {arch}
                             // expand; link may be NULL
    struct recipe_disk disk; // of an image
};

// image: the Secure Execution image.
struct recipe_image {
    char *kernel, *initrd; // "<needed target>:<path in its tarball>"; links inside are followed
    char *parameters;      // fixed start of the kernel command line
    char *output;          // path in the tarball
};

// The machine around the booted files. Texts of `machine` and `options` may contain {memory}, its
// MiB; those of a confidential machine also the values of its kind (verbs/boot/confidential.c).
struct recipe_machine {
    char *firmware;        // a part as in recipe_image; NULL: QEMU's own
    char *machine, *cpu;   // -M and -cpu; NULL: default of the architecture
    char *options;         // further words of QEMU's command line, or NULL
    struct strlist expect; // texts that must appear on the console before init's report
};

// Kinds of confidential guests that a host may support.
enum recipe_confidential { CONFIDENTIAL_SNP, CONFIDENTIAL_KINDS };

// service: {of: [a], expect: [...], append: ..., beside: b:c.cpio, port: a, client: d:bin/e,
//           arguments: "--socket {socket}"}
// A guest that runs a service instead of reporting: how to recognise that, and the client. In the
// recipe of an initrd; it applies to everything that starts that initrd.
struct recipe_service {
    struct strlist of;     // needs, and variables that name files: with one of them it runs
    struct strlist expect; // texts on the console when it runs
    char *append;          // added to the kernel command line, for the test only
    char *beside;          // part of any target, for the guest's architecture: a cpio appended to
                           // the initrd, for the test only
    char *port;            // name of a virtio serial port: the guest's end of a unix socket
    char *client;          // part of any target, for this machine: the client program
    char *arguments;       // of the client; {socket} and {timeout} are filled in
};

// boot: how `kbuild boot` starts the result under QEMU.
struct recipe_boot {
    char *kernel, *initrd; // as in recipe_image; NULL for a se-image
    char *disk;            // part: a raw disk, the guest's first one; either initrd or disk is set
    char *append;          // kernel command line; with a disk {root} is the location of its root
    char *qemu;            // part: a QEMU that kbuild built; NULL: this machine's
    char *data;            // path of QEMU's data directory, in the same tarball; or NULL
    struct recipe_machine plain;
    struct recipe_machine *confidential[CONFIDENTIAL_KINDS]; // on hosts that support it; NULL:
                                                             // never
    struct recipe_service *service;                          // or NULL
};

// phases: {<name>: <script>}; `run: <script>` is one phase named build. One step runs all of them
// in order, over the same /build and /out; `kbuild TARGET --until=<name>` stops between two.
struct recipe_phase {
    char *name, *script;
};

// sign: {key: NAME, certificate: NAME, files: "*.ko"}: after the scripts, kbuild signs the matching
// files in the outputs, in the form of kernel modules (lib/crypto/crypto.h). If neither variable is
// set, nothing is signed.
struct recipe_sign {
    char *key;         // a secret variable: file of a private key
    char *certificate; // a file variable: its certificate
    char *files;       // glob of file names
};

// install: {links: [{path: share/x, target: y, architectures: [x86_64]}]}: a symbolic link that is
// in no tarball. Both are relative: path to the prefix, target to the link's folder.
struct recipe_link {
    char *path, *target;
    bool architectures[4]; // by index in arch_table
};

// A file or folder that is in steps and keys for some architectures only.
struct recipe_only {
    char *path; // in the recipe's folder, or "shared/<name>/..."
    bool architectures[4];
};

struct recipe {
    char *name, *folder, *file; // folder is absolute
    char *description;
    char *like_name;
    struct recipe *like; // the recipe that it extends, see `like`; or NULL
    enum recipe_action action;
    bool architectures[4];          // by index in arch_table
    struct recipe_needs members[4]; // of a group, by index in arch_table
    struct recipe_need *needs;
    size_t need_count;
    struct strlist with, shared;
    struct recipe_only *only;
    size_t only_count;
    struct recipe_source *sources;
    size_t source_count;
    struct recipe_builder *builder; // of a script recipe; NULL otherwise
    struct recipe_rootfs *rootfs;   // NULL unless given
    struct recipe_variable *variables;
    size_t variable_count;
    struct recipe_ignored_list ignored;
    struct strlist environment;  // "NAME=value"
    struct recipe_phase *phases; // of a script recipe, at least one
    size_t phase_count;
    struct recipe_sign *sign;  // of a script recipe, or NULL
    struct recipe_link *links; // of `kbuild install`
    size_t link_count;
    struct strlist outputs;
    // Components for guests, not hosts: names, and patterns as in fnmatch(3).
    struct strlist guest;
    bool release;
    struct recipe_initrd *initrd; // of the actions initrd and image
    struct recipe_image *image;
    struct recipe_boot *boot;
    struct yaml_document *document; // for places in messages
};

// The recipes below some directories, loaded on first use (so that a run reads only those it
// needs). A recipe is a folder with a recipe.yaml. What a later directory has replaces what earlier
// ones have of the same name: a recipe, a shared folder, ignored.yaml, each as a whole. So a recipe
// can share a folder with recipes of another directory.
struct recipe_set;
struct recipe_set *recipe_set_open(const struct strlist *directories, struct error **err);
const struct strlist *recipe_set_directories(const struct recipe_set *set); // as they were given
// The absolute path of "<name>" or "<name>/<rest>" in the directory whose <name> counts; to be
// freed. The directory itself, as it was given.
char *recipe_set_path(const struct recipe_set *set, const char *name);
const char *recipe_set_origin(const struct recipe_set *set, const char *name);
// The directory of the recipe that the one of this name replaces ("recipes/kernel"), to be freed;
// NULL: there is none.
char *recipe_set_replaces(const struct recipe_set *set, const char *name);
// "ours/kernel replaces recipes/kernel", one text each.
const struct strlist *recipe_set_replaced(const struct recipe_set *set);
// Copies what counts of all directories into the empty directory `to`.
int recipe_set_copy(const struct recipe_set *set, const char *to, struct error **err);
// Belongs to the set. An unknown name is an error with the most similar name.
const struct recipe *recipe_get(struct recipe_set *set, const char *name, struct error **err);
// Whether a recipe can be called so: [a-z0-9][a-z0-9._-]*, at most 100 characters.
bool recipe_name_is_valid(const char *name);
// What has this name already, beside the recipes or in the directory of results: a recipe that is
// called so could not be read, or not be built. NULL: nothing.
const char *recipe_name_reserved(const char *name);
bool recipe_exists(const struct recipe_set *set, const char *name);
int recipe_names(const struct recipe_set *set, struct strlist *out, struct error **err); // sorted
// The variables without effect on any target: the file ignored.yaml beside the recipes, in the form
// of the key `ignored`. Belongs to the set; NULL with an error if the file is wrong.
const struct recipe_ignored_list *recipe_set_ignored(struct recipe_set *set, struct error **err);
void recipe_set_free(struct recipe_set *set);

// Whether this path, named as in recipe_only, is hidden from a step for `a`.
bool recipe_hides(const struct recipe *r, const struct arch *a, const char *path);
bool recipe_supports(const struct recipe *r, const struct arch *a);
// Parses one debian_source map (of a recipe or of versions.yaml); to be freed with
// debian_source_free().
struct debian_source *debian_source_parse(const struct yaml_document *d, const struct yaml *node,
                                          struct error **err);
void debian_source_free(struct debian_source *s);

#endif
