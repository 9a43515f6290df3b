// SPDX-License-Identifier: Apache-2.0
// Sources that are lists, and conditions on variables: what is read, and what is refused.
#include "test.h"

#include "recipe_help.h"

#define HEAD                                                                                       \
    "description: x\nrun: build.sh\nshared: [common]\nbuilder: {packages: [gcc]}\n"                \
    "variables: {MODE: {}, FAST: {type: yes-no, default: \"no\"}, FILE: {type: file}}\n"

static void put_scripts(const struct place *p)
{
    put(p, "r/build.sh", "");
    put(p, "r/own.sh", "");
    put(p, "common/list.sh", "");
}

TEST_WITH(a_list_is_read, set_up, tear_down)
{
    const struct place *p = *state;
    put_scripts(p);
    struct recipe_set *set = open_set(p);
    const struct recipe *r =
        good(set, p,
             HEAD "sources:\n"
                  "  tree: {version: a.b, git: \"{url}\", ref: \"{version}\"}\n"
                  "  files:\n"
                  "    list: shared/common/list.sh\n"
                  "    of: tree\n"
                  "    arguments: [\"{arch}\", same, same]\n"
                  "    configuration: {files: [\"~/.tool/config\", \"$TOOL_HOME/config\"],"
                  " environment: [TOOL_PROXY]}\n"
                  "    when: {variable: FAST, is: yes}\n"
                  "  own: {list: own.sh}\n");
    assert_int_equal(r->source_count, 3);
    const struct recipe_source *s = &r->sources[1];
    assert_string_equal(s->list->script, "shared/common/list.sh");
    assert_string_equal(s->list->of, "tree");
    assert_int_equal(s->list->arguments.n, 3);
    assert_int_equal(s->list->configuration.files.n, 2);
    assert_string_equal(s->list->configuration.environment.items[0], "TOOL_PROXY");
    assert_string_equal(s->condition.variable, "FAST");
    assert_string_equal(s->condition.is.items[0], "yes");
    assert_null(s->when);
    assert_null(r->sources[0].list);
    assert_string_equal(r->sources[2].list->script, "own.sh");
    assert_null(r->sources[2].list->of);
    recipe_set_free(set);
}

TEST_WITH(bad_lists_are_refused, set_up, tear_down)
{
    static const struct {
        const char *sources, *message, *hint;
    } cases[] = {
        {"{a: {list: missing.sh}}", "list: there is no file 'missing.sh' in DIR/r", NULL},
        {"{a: {list: shared/other/list.sh}}", "the directory 'other' is not in 'shared'",
         "add the line: shared: [other]"},
        {"{a: {list: ../x.sh}}", "a path must be relative", NULL},
        {"{a: {of: b}}",
         "the source 'a' needs one of 'git', 'archive', 'image', 'list' and 'debian'", NULL},
        {"{a: {version: x.y, archive: \"{url}\", of: b}}",
         "the source 'a' has 'of', which needs 'list' beside it", NULL},
        {"{a: {list: own.sh, git: \"{url}\", ref: x, version: x.y}}",
         "the source 'a' is a list, for which 'git' has no meaning", NULL},
        {"{a: {list: own.sh, patches: [own.sh]}}",
         "the source 'a' is a list, for which 'patches' has no meaning", NULL},
        {"{a: {list: own.sh, of: b}}",
         "the source 'a' is of 'b', which is not another source of this recipe", NULL},
        {"{a: {list: own.sh, of: a}}",
         "the source 'a' is of 'a', which is not another source of this recipe", NULL},
        {"{tree: {debian: {source: xx}}, a: {list: own.sh, of: tee}}",
         "the source 'a' is of 'tee', which is not another", "did you mean 'tree'?"},
        {"{a: {list: own.sh, of: b}, b: {list: own.sh, of: a}}", "the source 'a' depends on itself",
         NULL},
        {"{a: {list: own.sh, arguments: x}}", "arguments: a list is expected here", NULL},
        {"{a: {list: own.sh, arguments: [\"{x\"]}}", "a placeholder is {name}", NULL},
        {"{a: {list: own.sh, configuration: {files: [/etc/passwd]}}}",
         "a file of the user's configuration is ~/PATH or $NAME/PATH", NULL},
        {"{a: {list: own.sh, configuration: {files: [\"~/../x\"]}}}",
         "a file of the user's configuration is ~/PATH or $NAME/PATH", NULL},
        {"{a: {list: own.sh, configuration: {files: [\"$A-B/x\"]}}}",
         "a file of the user's configuration is ~/PATH or $NAME/PATH", NULL},
        {"{a: {list: own.sh, configuration: {environment: [a-b]}}}",
         "'a-b' cannot be the name of a variable", NULL},
        {"{a: {list: own.sh, configuration: {environment: [PATH]}}}",
         "PATH is reserved: every step has its own", NULL},
        {"{a: {list: own.sh, when: {variable: MOD, is: x}}}", "when: MOD is not in 'variables'",
         NULL},
        {"{a: {list: own.sh, when: {variable: FILE, is: x}}}",
         "when: FILE names files, which have no value to compare with", NULL},
        {"{a: {list: own.sh, when: {variable: FAST, is: maybe}}}",
         "when: FAST is yes or no, and never 'maybe'", NULL},
        {"{a: {list: own.sh, when: {variable: MODE}}}", "a condition needs the key 'is'", NULL},
        {"{a: {list: own.sh, when: {name: MODE, is: x}}}", "unknown key 'name' in a condition",
         NULL},
        {"{a: {list: own.sh, when: debian}}", "it needs 'debian' alone", NULL},
    };
    const struct place *p = *state;
    put_scripts(p);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_free char *text = xasprintf("%ssources: %s\n", HEAD, cases[i].sources);
        struct recipe_set *set = open_set(p);
        struct error *err = NULL;
        put(p, "r/recipe.yaml", text);
        if (recipe_get(set, "r", &err))
            fail_msg("accepted: %s", cases[i].sources);
        cleanup_free char *inside = xasprintf("%s/r", p->folder);
        const char *folder = strstr(err->message, inside);
        cleanup_free char *wanted = xstrdup(cases[i].message);
        char *dir = strstr(wanted, " in DIR/r");
        if (dir) {
            *dir = '\0';
            assert_non_null(folder);
        }
        if (!strstr(err->message, wanted))
            fail_msg("%s\nis told: %s", cases[i].sources, err->message);
        if (cases[i].hint && (!err->hint || strcmp(err->hint, cases[i].hint) != 0))
            fail_msg("%s\nhas the hint: %s", cases[i].sources, err->hint ? err->hint : "none");
        error_free(err);
        recipe_set_free(set);
    }
}
