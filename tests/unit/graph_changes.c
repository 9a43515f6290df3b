// SPDX-License-Identifier: Apache-2.0
// What changed between two key texts, fact by fact.
#include "graph/change.h"
#include "test.h"

#define ONE "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define TWO "0000044298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static char *changes(const char *before, const char *now)
{
    static const char *const kinds[] = {"file", "recipe", "variable", "input", "fact"};
    cleanup_key_changes struct key_changes c = {0};
    struct buf out = {0};
    key_changes_find(before, now, &c);
    for (size_t i = 0; i < c.n; i++)
        buf_printf(&out, "%s|%s|%.20s|%.20s\n", kinds[c.items[i].kind], c.items[i].subject,
                   c.items[i].before ? c.items[i].before : "-",
                   c.items[i].now ? c.items[i].now : "-");
    return buf_take(&out);
}

static void differ(const char *before, const char *now, const char *expected)
{
    cleanup_free char *found = changes(before, now);
    assert_string_equal(found, expected);
}

TEST(equal_facts_are_no_change_whatever_their_order)
{
    differ("a 1\nb 2\n", "b 2\na 1\n", "");
}

TEST(facts_are_paired_by_what_they_are_about)
{
    differ("file recipe run me.sh x " ONE "\n", "file recipe run me.sh x " TWO "\n",
           "file|recipe/run me.sh|x e3b0c44298fc1c149a|x 0000044298fc1c149a\n");
    differ("file recipe a x " ONE "\n", "file recipe a - " ONE "\n",
           "file|recipe/a|x e3b0c44298fc1c149a|- e3b0c44298fc1c149a\n");
    differ("recipe environment " ONE "\n", "recipe environment " TWO "\n",
           "recipe|environment|e3b0c44298fc1c149afb|0000044298fc1c149afb\n");
    differ("variable A \"x y\"\n", "variable A \"z\"\n", "variable|A|\"x y\"|\"z\"\n");
    differ("input source:linux tree " ONE "\n", "input source:linux tree " TWO "\n",
           "input|source:linux tree|e3b0c44298fc1c149afb|0000044298fc1c149afb\n");
    differ("tool gcc " ONE " gcc 12\n", "tool gcc " ONE " gcc 13\n",
           "fact|tool gcc|e3b0c44298fc1c149afb|e3b0c44298fc1c149afb\n");
    differ("codec liblzma 5.4.1 + zlib 1\n", "codec liblzma 5.4.2 + zlib 1\n",
           "fact|codec|liblzma 5.4.1 + zlib|liblzma 5.4.2 + zlib\n");
}

TEST(each_file_of_a_variable_is_a_fact_of_its_own)
{
    differ("variable HKD file a.crt " ONE "\nvariable HKD file b.crt " ONE "\n",
           "variable HKD file b.crt " TWO "\nvariable HKD file c.crt " ONE "\n",
           "variable|HKD b.crt|e3b0c44298fc1c149afb|0000044298fc1c149afb\n"
           "variable|HKD c.crt|-|e3b0c44298fc1c149afb\n"
           "variable|HKD a.crt|e3b0c44298fc1c149afb|-\n");
}

TEST(a_fact_without_a_value_is_added_or_removed)
{
    differ("package bash\npackage gcc\n", "package bash\npackage clang\n",
           "fact|package clang|-|\nfact|package gcc||-\n");
    differ("", "epoch 12\n", "fact|epoch|-|12\n");
}
