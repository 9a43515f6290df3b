// SPDX-License-Identifier: Apache-2.0
// What bad recipes are told: the place, the reason, the nearest name.
#include "test.h"

#include "recipe_help.h"

struct refusal {
    const char *text, *message, *hint;
};

// Each text is a whole recipe; "DIR" is the folder of recipes.
static void refuse_all(const struct place *p, const struct refusal *cases, size_t n)
{
    put(p, "r/build.sh", "");
    for (size_t i = 0; i < n; i++)
        refused(p, cases[i].text, cases[i].message, cases[i].hint);
}

#define F "DIR/r/recipe.yaml:"
#define D "description: x\n"
#define S D "run: build.sh\n"
#define B "builder: {packages: [gcc]}\n"

EACH_TEST(set_up, tear_down)

TEST(unknown_keys_are_refused_with_the_nearest_name)
{
    static const struct refusal cases[] = {
        {D "runn: build.sh\n", F "2:1: unknown key 'runn' in a recipe with the action script",
         "did you mean 'run'?"},
        {S "builder: {package: [gcc]}\n", F "3:11: unknown key 'package' in a builder",
         "did you mean 'packages'?"},
        {S "sources: {a: {url: x}}\n", F "3:15: unknown key 'url' in a source",
         "known keys: version, git, ref, submodules, archive, sums, image, replace, debian, "
         "checkout, licence, patches, list, of, arguments, configuration, when"},
        {S "sources: {a: {version: a, git: x, ref: y, checkout: [../b]}}\n",
         F "3:54: checkout: '../b' is not a relative path", NULL},
        {S "sources: {a: {version: a, archive: x, licence: 'GPL/2'}}\n",
         F "3:48: licence: 'GPL/2' is not an SPDX licence expression", NULL},
        {S "sources: {a: {version: a, archive: x, checkout: [b]}}\n",
         F "3:14: the source 'a' has 'checkout', which needs 'git' beside it", NULL},
        {S "variables: {A: {requires: x}}\n", F "3:17: unknown key 'requires' in a variable",
         "did you mean 'required'?"},
        {S "needs: [{all: [a]}]\n", F "3:10: unknown key 'all' in an entry of needs",
         "an entry of needs is a name, {any: [names]}, or {optional: name}"},
        {D "action: srcipt\n", F "2:9: action: unknown action 'srcipt'",
         "known actions: script, initrd, image, se-image, group"},
        {S "architectures: [s390]\nx: 1\n",
         F "4:1: unknown key 'x' in a recipe with the action script", NULL},
    };
    refuse_all(*state, cases, ARRAY_LEN(cases));
}

TEST(wrong_kinds_are_refused)
{
    static const struct refusal cases[] = {
        {"- a\n", F "1:1: a map is expected here, but this is a list", NULL},
        {S "needs: a\n", F "3:8: needs: a list is expected here, but this is a text", NULL},
        {S "needs:\n", F "3:1: needs: a list is expected here, but this is empty", NULL},
        {S "needs: [[a]]\n", F "3:9: needs: a map is expected here, but this is a list", NULL},
        {S "needs: [{optional: {a: b}}]\n",
         F "3:20: optional: a text is expected here, but this is a map", NULL},
        {S "sources: [a]\n", F "3:10: sources: a map is expected here, but this is a list", NULL},
        {S "sources: {a: b}\n", F "3:14: a: a map is expected here, but this is a text", NULL},
        {S "with: [{a: b}]\n", F "3:8: with: a text is expected here, but this is a map", NULL},
        {S "builder: gcc\n", F "3:10: builder: a map is expected here, but this is a text", NULL},
        {S "environment: {A: [b]}\n", F "3:18: A: a text is expected here, but this is a list",
         NULL},
        {S "release: maybe\n", F "3:10: release: 'maybe': yes or no is expected", NULL},
        {S "guest: maybe\n", F "3:8: guest: 'maybe': yes or no is expected", NULL},
        {S "guest: [a/b]\n", F "3:9: guest: 'a/b': a name or pattern is made of a-z 0-9 . _ - * ?",
         NULL},
        {"description: [x]\nrun: build.sh\n",
         F "1:14: description: a text is expected here, but this is a list", NULL},
        {"description: \"a\\nb\"\nrun: build.sh\n",
         F "1:14: description: 'a?b': a text of one line is expected", NULL},
        {"description: ''\n", F "1:14: description: the text is empty", NULL},
        {"action:\n", F "1:8: action: a text is expected here, but this is empty", NULL},
    };
    refuse_all(*state, cases, ARRAY_LEN(cases));
}

TEST(what_is_missing_is_named)
{
    static const struct refusal cases[] = {
        {"", F "1:1: a recipe with the action script needs the key 'description'", NULL},
        {D B, F "1:1: a recipe with the action script needs the key 'run'", NULL},
        {S, F "1:1: a recipe with the action script needs the key 'builder'", NULL},
        {D "action: initrd\n", F "1:1: a recipe with the action initrd needs the key 'initrd'",
         NULL},
        {D "action: se-image\nneeds: [a]\n",
         F "1:1: a recipe with the action se-image needs the key 'image'", NULL},
        {D "action: se-image\nneeds: [a]\nimage: {kernel: 'a:b'}\n",
         F "4:8: an image needs the key 'initrd'", NULL},
        {S "builder: {tools: [gcc]}\n", F "3:10: a builder needs the key 'packages'", NULL},
        {S "sources: {a: {version: b}}\n",
         F "3:14: the source 'a' needs one of 'git', 'archive', 'image', 'list' and 'debian'",
         NULL},
        {S "sources: {a: {version: b, git: c}}\n",
         F "3:14: the source 'a' has 'git', which needs 'ref' beside it", NULL},
        {S "sources: {a: {archive: b}}\n",
         F "3:14: the source 'a' has 'archive', which needs 'version' beside it", NULL},
    };
    refuse_all(*state, cases, ARRAY_LEN(cases));
}

TEST(keys_that_do_not_go_together_are_refused)
{
    static const struct refusal cases[] = {
        {S "initrd: {}\n",
         F "3:1: the key 'initrd' has no meaning in a recipe with the action script", NULL},
        {D "action: initrd\nrun: build.sh\n",
         F "3:1: the key 'run' has no meaning in a recipe with the action initrd", NULL},
        {D "action: se-image\nsources: {}\n",
         F "3:1: the key 'sources' has no meaning in a recipe with the action se-image", NULL},
        {S "sources: {a: {version: v, git: b, ref: c, archive: d}}\n",
         F "3:14: the source 'a' has both 'git' and 'archive'", NULL},
        {S "sources: {a: {version: v, git: b, ref: c, submodules: some}}\n",
         F "3:55: submodules: 'some' is none of yes, direct and no", NULL},
        {S "sources: {a: {version: v, archive: b, submodules: no}}\n",
         F "3:14: the source 'a' has 'submodules', which needs 'git' beside it", NULL},
        {S "sources: {a: {version: v, git: b, ref: c, sums: d}}\n",
         F "3:14: the source 'a' has 'sums', which needs 'archive' beside it", NULL},
        {S "sources: {a: {debian: {source: aa}, when: never}}\n",
         F "3:43: when: 'never' is neither upstream nor debian",
         "it limits the source to --sources=upstream or to --sources=debian"},
        {S "sources: {a: {debian: {packages: [aa], architecture: all}}}\n",
         F "3:54: architecture: 'all' is neither host nor target", NULL},
        {S "sources: {a: {debian: {packages: [aa], dependency: 'a[0-9]'}}}\n",
         F "3:52: dependency: 'a[0-9]' cannot be a pattern of names of packages", NULL},
        {S "sources: {a: {debian: {source: aa, architecture: target}}}\n",
         F "3:50: 'architecture' is only for 'packages'; a source package has neither", NULL},
        {S "sources: {a: {version: v, git: b, ref: c, when: debian}}\n",
         F "3:49: the source 'a' is only for debian sources, so it needs 'debian' alone", NULL},
        {S "sources: {a: {debian: {source: aa}, when: upstream}}\n",
         F "3:43: the source 'a' is only for upstream sources, so it needs 'git', "
           "'archive', 'image' or 'list'",
         NULL},
        {D "run: build.sh\nbuilder: {image: a/b, same-version: [[c, d]]}\n",
         F "3:10: builder: a builder that is an image has no packages and no setup", NULL},
        {D "run: build.sh\nbuilder: {image: a/b, libraries: [c]}\n",
         F "3:10: builder: a builder that is an image has no packages and no setup", NULL},
        {S "variables: {A: {type: file, default: x}}\n",
         F "3:38: A: 'default' is only for the type text and yes-no", NULL},
        {S "variables: {A: {type: secret}}\n",
         F "3:23: A: a script never gets a secret: its outputs could contain it",
         "secrets are for the action se-image, or the key of 'sign'"},
        {S "variables: {A: {pattern: x}}\n", F "3:26: A: 'pattern' is only for the type directory",
         NULL},
        {S "variables: {A: {type: yes-no, default: maybe}}\n",
         F "3:40: A: the default must be yes or no", NULL},
        {S "variables: {A: {type: yes-no, default: {before: '3.27', is: yes, else: b}}}\n",
         F "3:40: A: the default must be yes or no", NULL},
        {S "variables: {A: {default: {before: 3.27.0, is: a, else: b}}}\n",
         F "3:35: before: '3.27.0' is not the first two numbers of a release, as in 3.27", NULL},
        {S "variables: {A: {default: c, values: [a, b]}}\n",
         F "3:26: A: the default 'c' is not in 'values'", NULL},
        {S "variables: {A: {type: file, values: [a, b]}}\n",
         F "3:37: A: 'values' is only for the type text", NULL},
        {S "variables: {A: {type: file, refused: []}}\n",
         F "3:38: A: 'refused' is only for the type text and yes-no", NULL},
        {S "variables: {A: {refused: [{is: a}]}}\n", F "3:27: a refused value needs the key 'why'",
         NULL},
        {S "variables: {A: }\nignored: {A: b}\n" B, F "4:11: A is in 'ignored' and in 'variables'",
         NULL},
        {S "ignored: {A: {value: b}}\n", F "3:14: a variable without an effect needs the key 'why'",
         NULL},
        {S "ignored: {HOME: b}\n", F "3:11: HOME is reserved: every step has its own", NULL},
        {S "variables: {A: {default: a, required: b}}\n",
         F "3:39: A: a variable with a default is never missing, so 'required' has no meaning",
         NULL},
        {S "environment: {A: 'x{y'}\n",
         F "3:18: A: 'x{y': a placeholder is {name}; write {{ and }} for "
           "braces themselves",
         NULL},
        {S "variables: {A: }\nenvironment: {A: b}\n" B,
         F "4:15: A is in 'environment' and in 'variables'", NULL},
        {D "action: se-image\nneeds: [a]\noutputs: [b, c]\n"
           "image: {kernel: 'a:b', initrd: 'a:c', parameters: x, output: y}\n",
         F "4:14: outputs: the action se-image makes one output", NULL},
        {D "action: se-image\nneeds: [a]\nboot: {kernel: 'a:b'}\n"
           "image: {kernel: 'a:b', initrd: 'a:c', parameters: x, output: y}\n",
         F "4:8: the key 'kernel' has no meaning in a boot", NULL},
    };
    refuse_all(*state, cases, ARRAY_LEN(cases));
}

TEST(wrong_names_are_refused)
{
#define NAME                                                                                       \
    "a name is made of a-z 0-9 . _ -, begins with a letter or digit, and has at most 100 "         \
    "characters"
    static const struct refusal cases[] = {
        {S "outputs: [A]\n", F "3:11: outputs: 'A': " NAME, NULL},
        {S "outputs: ['../a']\n", F "3:11: outputs: '../a': " NAME, NULL},
        {S "outputs: [.a]\n", F "3:11: outputs: '.a': " NAME, NULL},
        {S "outputs: ['a b']\n", F "3:11: outputs: 'a b': " NAME, NULL},
        {S "outputs: [\"a\\nb\"]\n", F "3:11: outputs: 'a?b': " NAME, NULL},
        {S "outputs: [a, a]\n", F "3:14: outputs: 'a' is listed twice", NULL},
        {S "outputs: []\n" B, F "3:10: outputs: the list is empty", NULL},
        {S "needs: [a/b]\n", F "3:9: needs: 'a/b': " NAME, NULL},
        {S "needs: [a, {any: [b, a]}]\n", F "3:12: needs: 'a' is listed twice", NULL},
        {S "needs: [{any: []}]\n", F "3:15: any: the list is empty", NULL},
        {S "sources: {a/b: {}}\n",
         F "3:11: 'a/b' cannot be the name of a source: use a-z 0-9 . _ -", NULL},
        {S "architectures: [s390y]\n", F "3:17: unknown architecture 's390y'",
         "did you mean s390x? (known: x86_64, s390x, aarch64, ppc64le)"},
        {S "architectures: [arm64, aarch64]\n", F "3:24: architectures: aarch64 is listed twice",
         NULL},
        {S "architectures: []\n", F "3:16: architectures: the list is empty", NULL},
        {S "builder: {packages: [gcc], cross: {s390y: [x]}}\n",
         F "3:36: unknown architecture 's390y'", NULL},
        {S "builder: {packages: [gcc], cross: {arm64: [xy], aarch64: [xy]}}\n",
         F "3:49: aarch64 is listed twice", NULL},
        {S "builder: {packages: [gcc], same-version: [[gcc]]}\n",
         F "3:43: same-version: a group has two packages or more", NULL},
        {S "builder: {packages: [gcc, cpp], same-version: [[gcc, cpq]]}\n",
         F "3:47: same-version: 'cpq' is in none of packages, cross and libraries", NULL},
        {S "builder: {packages: [gcc, cpp], libraries: [libx], same-version: [[gcc, cpp], [libx, "
           "gcc]]}\n",
         F "3:66: same-version: 'gcc' is listed twice", NULL},
        {S "builder: {packages: ['-o']}\n",
         F "3:22: packages: '-o': this cannot be the name of a package", NULL},
        {S "builder: {packages: ['gcc make']}\n",
         F "3:22: packages: 'gcc make': this cannot be the name of a package", NULL},
        {S "builder: {packages: [gcc], tools: [/bin/sh]}\n",
         F "3:36: tools: '/bin/sh' is not the name of a program", NULL},
        {S "variables: {a: }\n", F "3:13: 'a' cannot be the name of a variable: use A-Z 0-9 _",
         NULL},
        {S "variables: {1A: }\n", F "3:13: '1A' cannot be the name of a variable: use A-Z 0-9 _",
         NULL},
        {S "variables: {PATH: }\n", F "3:13: PATH is reserved: every step has its own", NULL},
        {S "variables: {JOBS: }\n", F "3:13: JOBS is reserved: every step has its own", NULL},
        {S "variables: {LD_AUDIT: {type: file}}\n",
         F "3:13: LD_AUDIT is reserved: it sets up this machine", NULL},
        {S "variables: {HTTPS_PROXY: }\n",
         F "3:13: HTTPS_PROXY is reserved: it sets up this machine", NULL},
        {S "variables: {KBUILD_TRUSTED_KEYS: }\n",
         F "3:13: KBUILD_TRUSTED_KEYS is reserved: it sets up this machine", NULL},
        {S "environment: {CROSS_COMPILE: a}\n",
         F "3:15: CROSS_COMPILE is reserved: every step has its own", NULL},
        {S "variables: {A: {type: number}}\n", F "3:23: type: unknown type 'number'",
         "known types: text, yes-no, file, directory, secret"},
        {S "variables: {A: {type: directory, pattern: a/b}}\n",
         F "3:43: pattern: 'a/b': a pattern of file names holds no '/'", NULL},
        {S "sources: {a: {version: v, git: '{url', ref: b}}\n",
         F "3:32: git: '{url': a placeholder is {name}; write {{ and }} for braces themselves",
         NULL},
    };
    refuse_all(*state, cases, ARRAY_LEN(cases));
}

TEST(parts_that_are_not_declared_are_refused)
{
#define I D "action: initrd\n"
    static const struct refusal cases[] = {
        {I "initrd: {layers: [rootfs], output: a}\n",
         F "3:19: the layer 'rootfs' needs the key 'rootfs' in the recipe", NULL},
        {I "initrd: {layers: [{artifact: a}], output: a}\n",
         F "3:19: the artifact 'a' is not in 'needs'", NULL},
        {I "initrd: {layers: [{variable: A}], output: a}\n", F "3:19: A is not in 'variables'",
         NULL},
        {I "variables: {A: }\ninitrd: {layers: [{variable: A}], output: a}\n",
         F "4:19: A is not of the type file", NULL},
        {I "initrd: {layers: [all], output: a}\n", F "3:19: layers: this is not a layer",
         "a layer is rootfs, {artifact: name}, {overlay: directory}, or {variable: NAME}"},
        {I "initrd: {layers: [{artifact: a, overlay: b}], output: a}\n",
         F "3:19: layers: this is not a layer", NULL},
        {I "initrd: {layers: [], output: a}\n", F "3:18: layers: the list is empty", NULL},
        {I "initrd: {layers: [{overlay: o}], output: a}\n",
         F "3:29: overlay: there is no directory 'o' in DIR/r", NULL},
        {I "initrd: {layers: [{overlay: build.sh}], output: a}\n",
         F "3:29: overlay: 'build.sh' is not a directory", NULL},
        {I "initrd: {layers: [], output: /a}\n", F "3:18: layers: the list is empty", NULL},
        {I "initrd: {output: /a}\n",
         F "3:18: output: '/a': a path must be relative and without "
           "empty, '.' or '..' parts",
         NULL},
        {I "initrd: {output: '{version}'}\n",
         F "3:18: output: '{version}': the placeholders here are {os}, {osversion} and {arch}",
         NULL},
        {I "initrd: {output: 'a{{b}}'}\n",
         F "3:18: output: 'a{{b}}': the placeholders here are {os}, {osversion} and {arch}", NULL},
        {I "needs: [a]\n"
           "initrd: {layers: [{artifact: a}], output: opt/a.initrd, link: a.img}\n",
         F "4:63: link: 'a.img' must be in the same directory as the output 'opt/a.initrd'", NULL},
        {D "action: se-image\nneeds: [a]\n"
           "image: {kernel: 'b:c', initrd: 'a:c', parameters: x, output: y}\n",
         F "4:17: kernel: 'b' is not in 'needs'", NULL},
        {D "action: se-image\nneeds: [a]\n"
           "image: {kernel: 'a:../c', initrd: 'a:c', parameters: x, output: y}\n",
         F "4:17: kernel: 'a:../c' is not <target>:<path in its tarball>", NULL},
        {S "boot: {kernel: vmlinuz, initrd: 'r:b'}\n",
         F "3:16: kernel: 'vmlinuz' is not <target>:<path in its tarball>",
         "for example kernel:opt/kata/share/kata-containers/vmlinuz.container"},
        {S "boot: {kernel: 'k:a', initrd: 'r:b'}\n" B,
         F "3:16: kernel: 'k' is not in 'needs' or 'with', and not this recipe", NULL},
    };
    refuse_all(*state, cases, ARRAY_LEN(cases));
}

TEST(conditions_that_cannot_hold_are_refused)
{
    static const struct refusal cases[] = {
        {S B "needs: [{any: [a], when: {variable: A, is: b}}]\n",
         F "4:26: when: A is not in 'variables'", NULL},
        {S B "variables: {A: {type: yes-no}}\nneeds: [{any: a, when: {variable: A, is: on}}]\n",
         F "5:24: when: A is yes or no, and never 'on'", NULL},
        {S B "variables: {A: {values: [a, c]}}\nneeds: [{any: a, when: {variable: A, is: b}}]\n",
         F "5:24: when: A is never 'b'", "it is one of a, c"},
        {S B "variables: {A: {values: [a, c]}}\n"
             "needs: [{any: a, when: {variable: A, is: [a, b]}}]\n",
         F "5:24: when: A is never 'b'", "it is one of a, c"},
        {S B "variables: {A: }\nneeds: [{any: a, when: {variable: A, is: [b, b]}}]\n",
         F "5:46: is: 'b' is listed twice", NULL},
        {S B "variables: {A: }\nneeds: [{any: a, when: {variable: A, is: []}}]\n",
         F "5:42: is: the list is empty", NULL},
        {S B "variables: {A: }\nneeds: [{any: a, when: {variable: A, is: [b, c]}},\n"
             "  {optional: a, when: {variable: A, is: [d, c]}}]\n",
         F "6:3: needs: 'a' is listed twice", NULL},
        {S B "variables: {A: {default: {before: '3.27', is: a, else: b}}}\n"
             "needs: [{any: a, when: {variable: A, is: b}}]\n",
         F "5:24: when: the default of A follows the release, and no part can depend on "
           "one of its values",
         NULL},
        {S B "variables: {A: {type: file}}\nneeds: [{any: a, when: {variable: A, is: b}}]\n",
         F "5:24: when: A names files, which have no value to compare with",
         "'is: \"\"' says that the variable is not set"},
        {S B "variables: {A: }\nneeds: [{any: a, when: {variable: A}}]\n",
         F "5:24: a condition needs the key 'is'", NULL},
        {S B "variables: {A: }\nneeds: [{when: {variable: A, is: b}}]\n",
         F "5:9: this has neither 'any' nor 'optional'",
         "an entry of needs is a name, {any: [names]}, or {optional: name}"},
        // Both entries could be there.
        {S B "variables: {A: , C: }\nneeds: [{any: a, when: {variable: A, is: b}},\n"
             "  {optional: a, when: {variable: A, is: b}}]\n",
         F "6:3: needs: 'a' is listed twice", NULL},
        {S B "variables: {A: , C: }\nneeds: [{any: a, when: {variable: A, is: b}},\n"
             "  {optional: a, when: {variable: C, is: d}}]\n",
         F "6:3: needs: 'a' is listed twice", NULL},
        {S B "variables: {A: }\nneeds: [{any: a, when: {variable: A, is: b}}, a]\n",
         F "5:47: needs: 'a' is listed twice", NULL},
        {D "action: group\nmembers: [{any: a, when: {variable: A, is: b}}]\n",
         F "3:26: when: A is not in 'variables'", NULL},
        {I "rootfs: {distribution: d, packages: [{packages: [pp], when: {variable: A, is: b}}]}\n"
           "initrd: {layers: [rootfs], output: a}\n",
         F "3:61: when: A is not in 'variables'", NULL},
        {I "needs: [a]\n"
           "initrd: {layers: [{artifact: a, when: {variable: A, is: b}}], output: a}\n",
         F "4:39: when: A is not in 'variables'", NULL},
        {I "initrd: {layers: [{when: {variable: A, is: b}}], output: a}\n",
         F "3:19: layers: this is not a layer", NULL},
    };
    refuse_all(*state, cases, ARRAY_LEN(cases));
}

TEST(missing_files_are_named)
{
#define PATH_RULE "a path must be relative and without empty, '.' or '..' parts"
    struct place *p = *state;
    put(p, "r/patches/fix.patch", "");
    put(p, "common/build.sh", "");
    static const struct refusal cases[] = {
        {D "run: biuld.sh\n", F "2:6: run: there is no file 'biuld.sh' in DIR/r",
         "did you mean 'build.sh'?"},
        {D "run: ../common/build.sh\n", F "2:6: run: '../common/build.sh': " PATH_RULE, NULL},
        {D "run: /bin/sh\n", F "2:6: run: '/bin/sh': " PATH_RULE, NULL},
        {D "run: patches\n", F "2:6: run: 'patches' is not a file", NULL},
        {D "run: build.sh/x\n", F "2:6: run: there is no file 'build.sh/x' in DIR/r", NULL},
        {D "run: shared/common/build.sh\n",
         F "2:6: run: 'shared/common/build.sh': the directory 'common' is not in 'shared'",
         "add the line: shared: [common]"},
        {D "shared: [common]\nrun: shared/common/bild.sh\n",
         F "3:6: run: there is no file 'bild.sh' in DIR/common", "did you mean 'build.sh'?"},
        {D "shared: [common]\nrun: shared/common\n",
         F "3:6: run: 'shared/common': a shared script is shared/<directory>/<file>", NULL},
        {S "shared: [comon]\n", F "3:10: shared: there is no directory 'comon' in DIR",
         "did you mean 'common'?"},
        {S "builder: {packages: [gcc], setup: setup.sh}\n",
         F "3:35: setup: there is no file 'setup.sh' in DIR/r", NULL},
        {S "sources: {a: {patches: [patches/fixx.patch]}}\n",
         F "3:25: patches: there is no file 'patches/fixx.patch' in DIR/r",
         "did you mean 'patches/fix.patch'?"},
        {S "sources: {a: {patches: ['patches/*.diff']}}\n",
         F "3:25: patches: no file matches 'patches/*.diff' in DIR/r", NULL},
        {S "sources: {a: {patches: ['v{version/*.patch']}}\n",
         F "3:25: patches: 'v{version/*.patch': a placeholder is {name}", NULL},
        {S "sources: {a: {patches: ['../*/fix.patch']}}\n",
         F "3:25: patches: '../*/fix.patch' must be relative and without '..'", NULL},
    };
    refuse_all(p, cases, ARRAY_LEN(cases));
}

TEST(links_that_lead_out_are_refused)
{
    struct place *p = *state;
    put(p, "outside.sh", "");
    put(p, "r/inside.sh", "");
    static const struct {
        const char *target, *name;
    } links[] = {{"../outside.sh", "out.sh"},
                 {"/etc", "etc"},
                 {"inside.sh", "in.sh"},
                 {"nowhere", "dangling"},
                 {"loop", "loop"},
                 {"../../..", "up.patch"},
                 {"..", "dir"}};
    for (size_t i = 0; i < ARRAY_LEN(links); i++) {
        cleanup_free char *name = xasprintf("%s/r/%s", p->folder, links[i].name);
        assert_int_equal(symlink(links[i].target, name), 0);
    }
    cleanup_free char *shared = xasprintf("%s/escape", p->folder);
    assert_int_equal(symlink("/etc", shared), 0);
#define OUT " is a link that leads out of DIR/r, or to nothing"
    static const struct refusal cases[] = {
        {D "run: out.sh\n", F "2:6: run: 'out.sh'" OUT, NULL},
        {D "run: etc/hostname\n", F "2:6: run: 'etc/hostname'" OUT, NULL},
        {D "run: dangling\n", F "2:6: run: 'dangling'" OUT, NULL},
        {D "run: loop\n", F "2:6: run: 'loop'" OUT, NULL},
        {D "run: dir/outside.sh\n", F "2:6: run: 'dir/outside.sh'" OUT, NULL},
        {S "sources: {a: {patches: ['*.patch']}}\n", F "3:25: patches: 'up.patch'" OUT, NULL},
        {S "shared: [escape]\n",
         F "3:10: shared: 'escape' is a link that leads out of DIR, or to nothing", NULL},
    };
    refuse_all(p, cases, ARRAY_LEN(cases));
    struct recipe_set *set = open_set(p);
    assert_string_equal(good(set, p, D B "run: in.sh\n")->phases[0].script,
                        "in.sh"); // links inside are fine
    recipe_set_free(set);
}

TEST(broken_yaml_is_refused_with_its_place)
{
    static const struct refusal cases[] = {
        {D D, F "2:1: duplicate key 'description' (first on line 1)", NULL},
        {S "needs: *a\n", F "3:8: the alias *a names no anchor before it", NULL},
    };
    refuse_all(*state, cases, ARRAY_LEN(cases));
}
