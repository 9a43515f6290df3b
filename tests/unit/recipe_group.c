// SPDX-License-Identifier: Apache-2.0
// Groups, and what a boot section says of a machine.
#include "test.h"

#include "recipe_help.h"

#define G "description: x\naction: group\n"
#define F "DIR/r/recipe.yaml:"

static const struct recipe_needs *members_for(const struct recipe *r, const char *arch)
{
    return &r->members[arch_find(arch, NULL) - arch_table];
}

TEST_WITH(a_list_of_members_is_for_every_architecture, set_up, tear_down)
{
    struct recipe_set *set = open_set(*state);
    const struct recipe *r = good(set, *state, G "members: [a, {any: [b, c]}, {optional: d}]\n");
    assert_int_equal(r->action, ACTION_GROUP);
    assert_int_equal(r->outputs.n, 0);
    for (size_t i = 0; i < arch_count; i++) {
        assert_true(r->architectures[i]);
        assert_int_equal(r->members[i].count, 3);
        assert_string_equal(r->members[i].list[0].any.items[0], "a");
        assert_string_equal(r->members[i].list[1].any.items[1], "c");
        assert_true(r->members[i].list[2].optional);
    }
    recipe_set_free(set);
}

TEST_WITH(a_map_of_members_says_the_architectures, set_up, tear_down)
{
    struct recipe_set *set = open_set(*state);
    const struct recipe *r = good(set, *state, G "members: {amd64: [a], s390x: [a, b]}\n");
    assert_true(recipe_supports(r, arch_find("x86_64", NULL)));
    assert_true(recipe_supports(r, arch_find("s390x", NULL)));
    assert_false(recipe_supports(r, arch_find("aarch64", NULL)));
    assert_int_equal(members_for(r, "x86_64")->count, 1);
    assert_int_equal(members_for(r, "s390x")->count, 2);
    assert_int_equal(members_for(r, "ppc64le")->count, 0);
    recipe_set_free(set);
}

TEST_WITH(bad_groups_are_refused, set_up, tear_down)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {G, F "1:1: a recipe with the action group needs the key 'members'"},
        {G "members: []\n", F "3:10: members: the list is empty"},
        {G "members: a\n", F "3:10: members: a map is expected here, but this is a text"},
        {G "members: [a, a]\n", F "3:14: members: 'a' is listed twice"},
        {G "members: {x86_64: []}\n", F "3:19: x86_64: the list is empty"},
        {G "members: {x86_64: [a], amd64: [b]}\n", F "3:24: x86_64 is listed twice"},
        {G "members: {x86_64: [a], s390x: [../b]}\n",
         F "3:32: s390x: '../b': a name is made of a-z 0-9 . _ -, begins with a letter or digit, "
           "and has at most 100 characters"},
        {G "members: {x86_64: [a]}\narchitectures: [x86_64, s390x]\n",
         F "4:16: architectures: the group has no members for s390x"},
        {G "members: {x86_64: [a], s390x: [b]}\narchitectures: [x86_64]\n",
         F "3:10: members: s390x is not in 'architectures'"},
        {G "members: [a]\nneeds: [b]\n",
         F "4:1: the key 'needs' has no meaning in a recipe with the action group"},
        {G "members: [a]\noutputs: [b]\n",
         F "4:1: the key 'outputs' has no meaning in a recipe with the action group"},
        {G "members: [a]\nguest: yes\n",
         F "4:8: guest: a group makes nothing itself: name the components"},
        {"description: x\nmembers: [a]\n",
         F "2:1: the key 'members' has no meaning in a recipe with the action script"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        refused(*state, cases[i].text, cases[i].message, NULL);
}

#define BOOT G "members: [a, b]\nboot:\n  kernel: a:k\n  initrd: b:i\n"

TEST_WITH(a_boot_section_describes_machines, set_up, tear_down)
{
    struct recipe_set *set = open_set(*state);
    const struct recipe *r =
        good(set, *state,
             BOOT "  qemu: a:bin/qemu\n  data: share/qemu\n  firmware: b:fw\n  machine: q35\n"
                  "  expect: [\"one: two\"]\n"
                  "  confidential:\n    snp:\n      firmware: a:fw\n      cpu: EPYC-v4\n"
                  "      options: -object x,size={memory}M,cbitpos={cbitpos}\n");
    assert_string_equal(r->boot->qemu, "a:bin/qemu");
    assert_string_equal(r->boot->data, "share/qemu");
    assert_string_equal(r->boot->plain.firmware, "b:fw");
    assert_string_equal(r->boot->plain.machine, "q35");
    assert_string_equal(r->boot->plain.expect.items[0], "one: two");
    const struct recipe_machine *snp = r->boot->confidential[CONFIDENTIAL_SNP];
    assert_string_equal(snp->firmware, "a:fw");
    assert_string_equal(snp->cpu, "EPYC-v4");
    assert_null(snp->machine);
    recipe_set_free(set);
}

TEST_WITH(bad_boot_sections_are_refused, set_up, tear_down)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {G "members: [a]\nboot: {kernel: \"a:k\"}\n",
         F "4:7: boot: it needs one of 'initrd' and 'disk'"},
        {G "members: [a]\nboot: {kernel: \"a:k\", initrd: \"c:i\"}\n",
         F "4:31: initrd: 'c' is not in 'members'"},
        {BOOT "  qemu: c:q\n", F "7:9: qemu: 'c' is not in 'members'"},
        {BOOT "  data: share\n", F "7:9: data: it needs the key 'qemu'"},
        {BOOT "  firmware: fw\n", F "7:13: firmware: 'fw' is not <target>:<path in its tarball>"},
        {BOOT "  machine: q35,x={cores}\n",
         F "7:12: machine: 'q35,x={cores}': the placeholders here are {memory} and {cbitpos}"},
        {BOOT "  confidential: {sev: {}}\n", F "7:18: unknown kind of confidential guest 'sev'"},
        {BOOT "  confidential: {snp: {kernel: \"a:k\"}}\n",
         F "7:24: unknown key 'kernel' in a confidential machine"},
        {BOOT "  confidential: {snp: {firmware: \"c:k\"}}\n",
         F "7:34: firmware: 'c' is not in 'members'"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        refused(*state, cases[i].text, cases[i].message, NULL);
}
