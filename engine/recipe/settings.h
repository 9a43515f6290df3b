// SPDX-License-Identifier: Apache-2.0
// kbuild.yaml -> plain structs: defaults of options and variables, of a project and of a user.
// docs/settings.md is its manual.
//
//   sources: debian                  as --sources
//   source: {kata: DIR}              as --source, by name: a directory, upstream or debian
//   prebuilt: [agent, qemu=REF]      as --prebuilt
//   builder: host                    as --builder; host only in a user's file
//   arch: s390x                      as --arch, one
//   jobs: 8                          as --jobs
//   cache, output: DIR               as --cache, --output
//   versions: FILE                   as --versions
//   recipes: [default, DIR]          as --recipes, several
//   remote: require                  as --remote
//   registry, repository, builder-registry, target-branch: TEXT
//                                    as ARTEFACT_REGISTRY, ARTEFACT_REPOSITORY, BUILDER_REGISTRY,
//                                    TARGET_BRANCH
//   trusted-keys: FILE or DIR        as KBUILD_TRUSTED_KEYS
//
// Paths are relative to the file's directory; "~/" is the user's home. A project's file comes from
// whoever wrote the project, so what it names, but for the cache, has to be inside the project.
// A key that names a secret is an error. Errors read "FILE:LINE:COLUMN: why".
#ifndef KBUILD_RECIPE_SETTINGS_H
#define KBUILD_RECIPE_SETTINGS_H

#include "base/error.h"
#include "base/memory.h"

enum setting {
    SETTING_SOURCES,
    SETTING_SOURCE,
    SETTING_PREBUILT,
    SETTING_BUILDER,
    SETTING_ARCH,
    SETTING_JOBS,
    SETTING_CACHE,
    SETTING_OUTPUT,
    SETTING_VERSIONS,
    SETTING_RECIPES,
    SETTING_REMOTE,
    SETTING_REGISTRY,
    SETTING_REPOSITORY,
    SETTING_BUILDER_REGISTRY,
    SETTING_TARGET_BRANCH,
    SETTING_TRUSTED_KEYS,
    SETTINGS
};
// The key of each, and the variable of the environment that goes before the files; or NULL.
struct setting_name {
    const char *key, *variable;
};
extern const struct setting_name setting_names[SETTINGS];

// The word in `recipes` for those that are used without the setting.
#define RECIPES_DEFAULT "default"

enum settings_owner { SETTINGS_PROJECT, SETTINGS_USER };

// The texts of a setting, with paths absolute: one; those of a list; "NAME=VALUE" of a map. Each
// has the line that it is on. None: the file does not have the setting.
struct setting_value {
    struct strlist items;
    size_t *lines;
    size_t lines_cap;
};
struct settings_file {
    char *path; // NULL: there is no such file
    enum settings_owner owner;
    struct setting_value values[SETTINGS];
};

// Reads the file. One that was `named` by the user is read whoever it belongs to; else it is an
// error if others than this user or root could have written it (owner_is_trusted()). Half-read
// structs are to be freed, too.
int settings_read(const char *path, enum settings_owner owner, bool named,
                  struct settings_file *out, struct error **err);
// The same for its text; `path` is absolute.
int settings_parse(const char *path, enum settings_owner owner, const char *text, size_t length,
                   struct settings_file *out, struct error **err);
void settings_file_free(struct settings_file *f);
// Where the user's file is, whether it exists or not: $XDG_CONFIG_HOME/kbuild/kbuild.yaml, else
// ~/.config/kbuild/kbuild.yaml. To be freed; NULL: there is no home.
char *settings_user_path(void);

#endif
