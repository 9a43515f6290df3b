// SPDX-License-Identifier: Apache-2.0
// What the files of this directory share: the reader of maps of known keys, by tables of fields,
// one table a map; and the parts of a recipe, each read, checked and freed by one file. Not for
// others.
//
// A field has the key, the function that reads the value, the place of the result (an offset into
// the map's struct), and the modes in which it is allowed and required. Values own their memory;
// the caller that began a struct frees it, also if it is half read.
#ifndef KBUILD_RECIPE_INTERNAL_H
#define KBUILD_RECIPE_INTERNAL_H

#include "recipe/recipe.h"

// ---- overlay.c: the directories of a set of recipes, one over the other ----
struct recipe_overlay {
    struct strlist given; // as the user wrote them, for messages; the later counts
    struct strlist absolute;
    struct strlist replaced; // "<given>/kernel replaces <given>/kernel"
};
// Also a half-opened one is to be freed.
int overlay_open(struct recipe_overlay *o, const struct strlist *directories, struct error **err);
void overlay_free(struct recipe_overlay *o);
// The index of the directory whose entry "<name>", or "<name>/<rest>", counts; 0 if none has one.
size_t overlay_find(const struct recipe_overlay *o, const char *name);
// Its absolute path, to be freed.
char *overlay_path(const struct recipe_overlay *o, const char *name);
// What the entry that counts replaces, as the user gave its directory; to be freed, or NULL.
char *overlay_replaces(const struct recipe_overlay *o, const char *name);
int overlay_names(const struct recipe_overlay *o, struct strlist *out, struct error **err);
// Copies what counts into the empty directory `to`.
int overlay_copy(const struct recipe_overlay *o, const char *to, struct error **err);

struct recipe_reader {
    const struct yaml_document *document;
    struct error **err;
    struct recipe *recipe; // being read; NULL for a map outside a recipe
    const struct recipe_overlay *recipes;
    const char *key; // being read, for messages
    size_t key_line, key_column;
};

// Returns 0, or -1 with the error set.
typedef int read_value(struct recipe_reader *r, const struct yaml *node, void *target);

enum { ANYWHERE = ~0 }; // every mode
struct field {
    const char *key;
    read_value *read;
    size_t offset;
    int allowed;  // bits of modes
    int required; // bits of modes
};
struct schema {
    const char *kind; // of the map, for messages: "a source"
    const struct field *fields;
    size_t count;
};
#define SCHEMA(kind_, fields_)                                                                     \
    {                                                                                              \
        kind_, fields_, ARRAY_LEN(fields_)                                                         \
    }

// Reads `node` into `base`. `mode` is one bit; maps that have no modes use 1.
int read_map(struct recipe_reader *r, const struct yaml *node, const struct schema *s, int mode,
             void *base);
// Reads a map from architectures, under any of their names, into an array of values of `size`
// bytes, by index in arch_table.
int read_arch_map(struct recipe_reader *r, const struct yaml *node, read_value *read, void *values,
                  size_t size);
// Whether the value is of this kind (and not null); an error if not.
int expect(struct recipe_reader *r, const struct yaml *node, enum yaml_kind kind);
// An error that begins with "<place>: <key>: ".
int reader_error(struct recipe_reader *r, const struct yaml *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// Sets the key of the next map: for maps whose keys are user-defined names.
void reader_enter(struct recipe_reader *r, const struct yaml *map, size_t index);

bool name_is_clean(const char *name); // [a-z0-9][a-z0-9._-]*, at most 100 characters
// Whether versions_expand() accepts the braces; with `names` (NULL at its end) only those names,
// and no doubled braces.
bool template_is_valid(const char *text, const char *const *names);
#define TEMPLATE_RULE "a placeholder is {name}; write {{ and }} for braces themselves"

// ---- reader.c: values; the comment says what `target` points to ----
read_value read_line;         // char *: a text without line breaks
read_value read_template;     // char *: a line with {placeholders}
read_value read_name;         // char *: a clean name
read_value read_name_pattern; // char *: a glob of file names
read_value read_package;      // char *: the name of a distribution package
read_value read_path;         // char *: a clean relative path
read_value read_yes_no;       // bool
read_value read_lines;        // struct strlist of different lines; as the next three
read_value read_names;
read_value read_name_patterns; // fnmatch(3)
read_value read_packages;
read_value read_architectures; // bool[4], by index in arch_table
read_value read_file;          // char *: a file in the recipe's folder
read_value read_script;        // char *: a file in the recipe's folder or in a shared one
read_value read_shared;        // struct strlist: folders beside the recipe's
read_value read_only;          // recipe: files for some architectures only
read_value read_patches;       // struct strlist: files or globs in the recipe's folder
read_value read_overlay;       // struct recipe_layer: its folder, also in the `like` recipe

// ---- recipe.c ----
// Makes a recipe from a parsed document; takes it over, also on failure.
struct recipe *recipe_read(struct yaml_document *d, const struct recipe_overlay *recipes,
                           const char *name, struct error **err);
void recipe_free(struct recipe *r); // NULL is allowed

// ---- recipe_needs.c ----
read_value read_needs, read_members;      // recipe
int check_needs(struct recipe_reader *r); // their conditions
// A group has members for its architectures; without a list, these are those of its map of members.
int check_members(struct recipe_reader *r);
bool is_needed(const struct recipe *recipe, const char *name); // it is in `needs`
bool is_member(const struct recipe *recipe, const char *name); // for some architecture
void needs_free(struct recipe_needs *n);

// ---- recipe_sources.c ----
read_value read_sources; // recipe
int check_sources(struct recipe_reader *r);
void source_free(struct recipe_source *s);

// ---- recipe_variables.c ----
read_value read_variables, read_environment;      // recipe
read_value read_ignored;                          // struct recipe_ignored_list
int check_ignored(struct recipe_reader *r);       // they must not be variables of the recipe
bool variable_name_is_reserved(const char *name); // set by every step
void variable_free(struct recipe_variable *v);
void ignored_free(struct recipe_ignored_list *l);
// `when`, a struct recipe_condition. The variable and its values are checked after the whole recipe
// is read.
read_value read_condition;
int check_condition(struct recipe_reader *r, const struct recipe_condition *c);
// Checks only that the variable is declared and can have the value.
int check_comparison(struct recipe_reader *r, const struct recipe_condition *c);
// Whether the two can never be true together: different values of one variable.
bool conditions_exclude(const struct recipe_condition *a, const struct recipe_condition *b);
void condition_free(struct recipe_condition *c);

// ---- recipe_layers.c ----
read_value read_builder, read_rootfs, read_initrd, read_disk; // recipe
int check_layers(struct recipe_reader *r);                    // they use only declared parts
const char *layers_section(const struct recipe *recipe);      // "initrd" or "disk"
// Whether `name` is a need of the recipe, or a variable that names a file. An error at `node` if
// not.
int check_need_or_file(struct recipe_reader *r, const struct yaml *node, const char *name);
void builder_free(struct recipe_builder *b); // NULL is allowed, as in the next
void rootfs_free(struct recipe_rootfs *f);
void initrd_free(struct recipe_initrd *i);

// ---- recipe_boot.c ----
read_value read_image, read_boot;         // recipe
int check_parts(struct recipe_reader *r); // images use only declared parts
void image_free(struct recipe_image *i);  // NULL is allowed, as in the next
void boot_free(struct recipe_boot *b);

#endif
