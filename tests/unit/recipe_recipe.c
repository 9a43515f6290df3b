// SPDX-License-Identifier: Apache-2.0
// What good recipes become.
#include "test.h"

#include "recipe_help.h"

EACH_TEST(set_up, tear_down)

TEST(a_script_recipe_is_read_whole)
{
    struct place *p = *state;
    put(p, "r/build.sh", "");
    put(p, "r/setup.sh", "");
    put(p, "r/patches/a.patch", "");
    put(p, "r/first.patch", "");
    put(p, "common/x", "");
    struct recipe_set *set = open_set(p);
    const struct recipe *r =
        good(set, p,
             "description: all of it\n"
             "architectures: [s390x, amd64]\n"
             "needs: [a, {any: [b, c]}, {optional: d}, {optional: [e, f]}]\n"
             "with: [g]\n"
             "sources:\n"
             "  linux:\n"
             "    version: assets.kernel\n"
             "    archive: \"{url}linux-{number}.tar.xz\"\n"
             "    sums: \"{url}sha256sums.asc\"\n"
             "    patches: [first.patch, 'patches/*.patch', 'v{series}/*.patch']\n"
             "    debian: {packages: [linux-source-6.1], file: a/*.xz}\n"
             "  tools:\n"
             "    version: externals.tools\n"
             "    git: https://g/{version}\n"
             "    ref: v{number}\n"
             "    submodules: direct\n"
             "    when: upstream\n"
             "  blobs: {debian: {packages: [blobs]}, when: debian}\n"
             "shared: [common]\n"
             "builder:\n"
             "  packages: [gcc, make]\n"
             "  cross: {s390x: [gcc-s390x-linux-gnu]}\n"
             "  libraries: [zlib1g-dev]\n"
             "  setup: setup.sh\n"
             "  tools: [gcc]\n"
             "variables:\n"
             "  LEVEL: {default: three}\n"
             "  DEBUG: {type: yes-no, default: no}\n"
             "  CERT: {type: file, list: yes}\n"
             "  KEYS: {type: directory, pattern: '*.crt', required: set it}\n"
             "  PLAIN:\n"
             "environment: {MODE: x y, EMPTY: ''}\n"
             "run: build.sh\n"
             "outputs: [r, r-modules]\n"
             "guest: [r-modules, '*-headers']\n"
             "release: no\n");
    assert_string_equal(r->name, "r");
    assert_string_equal(r->description, "all of it");
    assert_int_equal(r->action, ACTION_SCRIPT);
    assert_true(recipe_supports(r, arch_find("s390x", NULL)));
    assert_true(recipe_supports(r, arch_find("x86_64", NULL)));
    assert_false(recipe_supports(r, arch_find("aarch64", NULL)));

    assert_int_equal(r->need_count, 4);
    assert_string_equal(r->needs[0].any.items[0], "a");
    assert_int_equal(r->needs[1].any.n, 2);
    assert_false(r->needs[1].optional);
    assert_true(r->needs[2].optional);
    assert_string_equal(r->needs[3].any.items[1], "f");
    assert_int_equal(r->needs[1].line, 3);
    assert_int_equal(r->needs[1].column, 12);

    assert_int_equal(r->source_count, 3);
    const struct recipe_source *linux_ = &r->sources[0], *tools = &r->sources[1];
    assert_string_equal(linux_->name, "linux");
    assert_string_equal(linux_->archive, "{url}linux-{number}.tar.xz");
    assert_null(linux_->git);
    assert_string_equal(linux_->debian->file, "a/*.xz");
    assert_int_equal(linux_->line, 6);
    cleanup_free char *patches = strlist_join(&linux_->patches, " ");
    assert_string_equal(patches, "first.patch patches/*.patch v{series}/*.patch");
    assert_int_equal(tools->submodules, SUBMODULES_DIRECT);
    assert_int_equal(linux_->submodules, SUBMODULES_YES);
    assert_string_equal(tools->ref, "v{number}");
    assert_null(linux_->when);
    assert_string_equal(tools->when, "upstream");
    assert_string_equal(r->sources[2].when, "debian");

    assert_string_equal(r->builder->name, "r");
    assert_string_equal(r->builder->cross[1].items[0], "gcc-s390x-linux-gnu");
    assert_string_equal(r->builder->libraries.items[0], "zlib1g-dev");
    assert_string_equal(r->builder->setup, "setup.sh");

    assert_int_equal(r->variable_count, 5);
    assert_string_equal(r->variables[0].default_, "three");
    assert_int_equal(r->variables[1].type, VARIABLE_YES_NO);
    assert_true(r->variables[2].list);
    assert_string_equal(r->variables[3].pattern, "*.crt");
    assert_string_equal(r->variables[3].required, "set it");
    assert_int_equal(r->variables[4].type, VARIABLE_TEXT);
    cleanup_free char *environment = strlist_join(&r->environment, "|");
    assert_string_equal(environment, "MODE=x y|EMPTY=");
    cleanup_free char *outputs = strlist_join(&r->outputs, " ");
    assert_string_equal(outputs, "r r-modules");
    cleanup_free char *guest = strlist_join(&r->guest, " ");
    assert_string_equal(guest, "r-modules *-headers");
    assert_false(r->release);
    recipe_set_free(set);
}

TEST(little_is_required)
{
    struct place *p = *state;
    put(p, "r/build.sh", "");
    struct recipe_set *set = open_set(p);
    const struct recipe *r =
        good(set, p, "description: x\nrun: build.sh\nbuilder: {packages: [gcc]}\n");
    for (size_t i = 0; i < arch_count; i++)
        assert_true(recipe_supports(r, &arch_table[i]));
    assert_string_equal(r->outputs.items[0], "r");
    assert_int_equal(r->guest.n, 0);
    assert_true(r->release);
    assert_int_equal(r->builder->packages.n, 1);
    assert_null(r->rootfs);
    cleanup_free char *folder = xasprintf("%s/r", p->folder);
    assert_string_equal(r->folder, folder);
    assert_ptr_equal(recipe_get(set, "r", NULL), r); // read once
    recipe_set_free(set);
}

TEST(guest_yes_means_all_outputs)
{
    struct place *p = *state;
    put(p, "r/build.sh", "");
    struct recipe_set *set = open_set(p);
    const struct recipe *r = good(set, p,
                                  "description: x\nguest: yes\nrun: build.sh\n"
                                  "outputs: [b, a]\nbuilder: {packages: [gcc]}\n");
    cleanup_free char *guest = strlist_join(&r->guest, " ");
    assert_string_equal(guest, "b a");
    recipe_set_free(set);
}

TEST(an_initrd_recipe_is_read_whole)
{
    struct place *p = *state;
    put(p, "r/overlay/etc/x", "");
    struct recipe_set *set = open_set(p);
    const struct recipe *r = good(set, p,
                                  "initrd:\n" // before the action that allows it
                                  "  layers: [rootfs, {artifact: c},\n"
                                  "           {overlay: overlay, when: {variable: MODE, is: no}},\n"
                                  "           {variable: MORE}]\n"
                                  "  exclude: [usr/share/doc, 'var/*']\n"
                                  "  output: opt/kata-{os}-{osversion}.initrd\n"
                                  "  link: opt/kata.img\n"
                                  "description: x\n"
                                  "action: initrd\n"
                                  "needs: [k, {any: [b, c], when: {variable: MORE, is: ''}},\n"
                                  "  {any: d, when: {variable: MODE, is: yes}},\n"
                                  "  {optional: d, when: {variable: MODE, is: no}}]\n"
                                  "rootfs: {distribution: 'a.{arch}.b', packages: [bash,\n"
                                  "    {packages: [init], when: {variable: MODE, is: yes}}]}\n"
                                  "variables: {MORE: {type: file}, MODE: {type: yes-no}}\n"
                                  "boot: {kernel: 'k:boot/vmlinuz', initrd: 'r:opt/kata.img',\n"
                                  "       append: ''}\n");
    assert_int_equal(r->action, ACTION_INITRD);
    assert_int_equal(r->initrd->layer_count, 4);
    assert_true(r->initrd->layers[0].rootfs);
    assert_string_equal(r->initrd->layers[1].artifact, "c");
    assert_string_equal(r->initrd->layers[2].overlay, "overlay");
    assert_string_equal(r->initrd->layers[3].variable, "MORE");
    assert_string_equal(r->initrd->layers[2].when.variable, "MODE");
    assert_string_equal(r->initrd->layers[2].when.is.items[0], "no");
    assert_null(r->initrd->layers[3].when.variable);
    assert_string_equal(r->needs[1].when.variable, "MORE");
    assert_string_equal(r->needs[1].when.is.items[0], "");
    assert_int_equal(r->need_count, 4);
    assert_false(r->needs[2].optional);
    assert_true(r->needs[3].optional);
    assert_int_equal(r->rootfs->packages.n, 1);
    assert_int_equal(r->rootfs->more_count, 1);
    assert_string_equal(r->rootfs->more[0].packages.items[0], "init");
    assert_string_equal(r->rootfs->more[0].when.is.items[0], "yes");
    assert_int_equal(r->initrd->exclude.n, 2);
    assert_string_equal(r->initrd->output, "opt/kata-{os}-{osversion}.initrd");
    assert_string_equal(r->rootfs->distribution, "a.{arch}.b");
    assert_string_equal(r->boot->initrd, "r:opt/kata.img");
    assert_string_equal(r->boot->append, "");
    recipe_set_free(set);
}

TEST(an_image_is_like_an_initrd)
{
    struct place *p = *state;
    put(p, "tree/own/x", "");
    put(p, "tree/both/x", "");
    put(p, "r/both/x", "");
    put(p, "tree/recipe.yaml",
        "description: x\n"
        "action: initrd\n"
        "needs: [c]\n"
        "variables: {A: {default: tree}, B: {default: tree}, C: {default: tree}}\n"
        "rootfs: {distribution: tree, packages: [bash]}\n"
        "initrd: {layers: [rootfs, {overlay: own, when: {variable: A, is: tree}}, {overlay: "
        "both}],\n"
        "         exclude: [usr], output: o}\n");
    struct recipe_set *set = open_set(p);
    const struct recipe *r = good(set, p,
                                  "description: x\n"
                                  "action: image\n"
                                  "like: tree\n"
                                  "builder: {packages: [e2fsprogs]}\n"
                                  "variables: {B: {default: r}}\n"
                                  "rootfs: {distribution: r}\n"
                                  "disk:\n"
                                  "  output: a/x.image\n"
                                  "  align: 128\n"
                                  "  dax: yes\n"
                                  "  verity: {hash: a/h, format: line, salt: 00ff,\n"
                                  "           when: {variable: B, is: r}}\n"
                                  "boot: {kernel: 'c:k', disk: 'r:a/x.image', append: '{root}'}\n");
    assert_int_equal(r->action, ACTION_IMAGE);
    assert_string_equal(r->needs[0].any.items[0], "c");
    assert_int_equal(r->variable_count, 2); // nothing names C
    for (size_t i = 0; i < r->variable_count; i++)
        assert_string_equal(r->variables[i].default_, *r->variables[i].name == 'A' ? "tree" : "r");
    assert_string_equal(r->rootfs->distribution, "r");
    assert_string_equal(r->rootfs->packages.items[0], "bash");
    assert_int_equal(r->initrd->layer_count, 3);
    assert_true(ends_with(r->initrd->layers[1].folder, "/tree/own"));
    assert_true(ends_with(r->initrd->layers[2].folder, "/r/both"));
    assert_string_equal(r->initrd->exclude.items[0], "usr");
    const struct recipe_disk *d = &r->initrd->disk;
    assert_int_equal(d->align, 128);
    assert_true(d->dax);
    assert_string_equal(d->verity.format, "line");
    assert_string_equal(d->verity.salt, "00ff");
    assert_string_equal(d->verity.when.variable, "B");
    assert_string_equal(r->boot->disk, "r:a/x.image");
    recipe_set_free(set);
}

TEST(an_se_image_recipe_is_read_whole)
{
    struct place *p = *state;
    struct recipe_set *set = open_set(p);
    const struct recipe *r = good(set, p,
                                  "description: x\n"
                                  "action: se-image\n"
                                  "needs: [k, i]\n"
                                  "image: {kernel: 'k:a/b', initrd: 'i:c', parameters: panic=1,\n"
                                  "        output: opt/se.img}\n"
                                  "boot: {append: quiet}\n");
    assert_string_equal(r->image->kernel, "k:a/b");
    assert_string_equal(r->image->parameters, "panic=1");
    assert_null(r->boot->kernel);
    recipe_set_free(set);
}

TEST(aliases_work_in_recipes)
{
    struct place *p = *state;
    put(p, "r/build.sh", "");
    struct recipe_set *set = open_set(p);
    const struct recipe *r = good(set, p,
                                  "description: x\nrun: build.sh\n"
                                  "builder: {packages: &p [gcc], tools: *p}\n");
    assert_string_equal(r->builder->tools.items[0], "gcc");
    recipe_set_free(set);
}

TEST(a_script_may_lie_in_a_shared_folder)
{
    struct place *p = *state;
    put(p, "common/deep/build.sh", "");
    struct recipe_set *set = open_set(p);
    const struct recipe *r =
        good(set, p,
             "description: x\nrun: shared/common/deep/build.sh\nshared: [common]\n"
             "builder: {packages: [gcc]}\n");
    assert_string_equal(r->phases[0].script, "shared/common/deep/build.sh");
    assert_string_equal(r->shared.items[0], "common");
    recipe_set_free(set);
}

TEST(our_own_recipes_are_good)
{
    struct error *err = NULL;
    struct recipe_set *set = open_directory("recipes", &err); // run from the repository's root
    struct strlist names = {0};
    assert_int_equal(recipe_names(set, &names, &err), 0);
    assert_true(strlist_has(&names, "boot-image-se"));
    for (size_t i = 0; i < names.n; i++) {
        const struct recipe *r = recipe_get(set, names.items[i], &err);
        if (!r)
            fail_msg("%s", err->message);
        for (size_t k = 0; k < r->with.n; k++)
            assert_true(recipe_exists(set, r->with.items[k]));
    }
    strlist_free(&names);
    recipe_set_free(set);
}

TEST(variables_say_what_they_can_be)
{
    struct place *p = *state;
    put(p, "r/build.sh", "");
    struct recipe_set *set = open_set(p);
    const struct recipe *r =
        good(set, p,
             "description: values\n"
             "builder: {packages: [bash], tools: [bash]}\n"
             "variables:\n"
             "  KIND: {default: both, values: [go, rust, both]}\n"
             "  FORM: {default: {before: '3.27', is: old, else: new}, values: [old, new]}\n"
             "  C: {refused: [{is: musl, why: no}, {is: a, architectures: [s390x], why: b}]}\n"
             "ignored: {X: because, Y: {value: ext4, why: it is ext4}}\n"
             "run: build.sh\n");
    assert_int_equal(r->variables[0].values.n, 3);
    assert_string_equal(r->variables[0].default_, "both");
    assert_null(r->variables[1].default_);
    assert_string_equal(r->variables[1].by_release.before, "3.27");
    assert_string_equal(r->variables[1].by_release.is, "old");
    assert_string_equal(r->variables[1].by_release.otherwise, "new");
    assert_int_equal(r->variables[2].refused_count, 2);
    assert_string_equal(r->variables[2].refused[0].why, "no");
    assert_true(r->variables[2].refused[1].architectures[arch_find("s390x", NULL) - arch_table]);
    assert_int_equal(r->ignored.count, 2);
    assert_string_equal(r->ignored.list[0].name, "X");
    assert_null(r->ignored.list[0].value);
    assert_string_equal(r->ignored.list[1].value, "ext4");
    recipe_set_free(set);
}

TEST(a_file_beside_the_recipes_ignores_for_all)
{
    struct place *p = *state;
    struct error *err = NULL;
    struct recipe_set *set = open_set(p);
    assert_int_equal(recipe_set_ignored(set, &err)->count, 0);
    put(p, "ignored.yaml", "X: because\nX Y: b\n");
    assert_null(recipe_set_ignored(set, &err));
    assert_non_null(strstr(err->message, "ignored.yaml:2:1: 'X Y' cannot be the name"));
    error_free(err);
    put(p, "ignored.yaml", "X: because\n");
    assert_string_equal(recipe_set_ignored(set, NULL)->list[0].why, "because");
    assert_ptr_equal(recipe_set_ignored(set, NULL), recipe_set_ignored(set, NULL));
    recipe_set_free(set);
}
