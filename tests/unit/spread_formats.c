// SPDX-License-Identifier: Apache-2.0
// The formats of a plan: the order of jobs, their commands, quoting, and the limits of GitHub.
#include "test.h"

#include "spread/internal.h"

#include <string.h>

#define HEADER(more) "{\"plan\":1,\"depends\":{},\"grain\":\"node\"" more "}\n"
#define LINE(id, needs, more)                                                                      \
    "{\"node\":\"" id "\",\"kind\":\"artifact\",\"state\":\"to make\",\"needs\":[" needs           \
    "],\"command\":[\"kbuild\",\"run\",\"" id "\"]" more "}\n"
#define FOUND(id, state)                                                                           \
    "{\"node\":\"" id "\",\"kind\":\"source\",\"state\":\"" state "\",\"needs\":[]}\n"

// Not by plan_parse(), which refuses some of what is tried here, and wants fields that no format
// has.
static struct plan parsed(const char *text)
{
    cleanup_strlist struct strlist lines = {0};
    struct plan p = {.nodes = json_array()};
    strlist_split(&lines, text, "\n");
    for (size_t i = 0; i < lines.n; i++) {
        json_t *line = json_loads(lines.items[i], 0, NULL);
        assert_non_null(line);
        if (i)
            json_array_append_new(p.nodes, line);
        else
            p.header = line;
    }
    return p;
}

static char *printed(const char *format, const char *text, const char *project)
{
    cleanup_plan struct plan p = parsed(text);
    cleanup_buf struct buf out = {0};
    struct error *err = NULL;
    if (spread_print(format, &p, project, &out, &err) < 0)
        fail_msg("%s", err->message);
    return buf_take(&out);
}

// The message of the error, with its hint; to be freed.
static char *refused(const char *format, const char *text)
{
    cleanup_plan struct plan p = parsed(text);
    cleanup_buf struct buf out = {0};
    cleanup_error struct error *err = NULL;
    assert_int_equal(spread_print(format, &p, NULL, &out, &err), -1);
    assert_int_equal(out.len, 0);
    return xasprintf("%s; %s", err->message, err->hint ? err->hint : "");
}

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("%s\n-- is not in --\n%s", part, text);
}

// ---- the jobs ----

TEST(longest_path_first_and_after_needs)
{
    cleanup_plan struct plan p =
        parsed(HEADER("") LINE("a:x", "", ",\"path_ms\":10") LINE("b:x", "", ",\"path_ms\":90")
                   LINE("c:x", "\"a:x\"", ",\"path_ms\":50") LINE("d:x", "\"b:x\",\"c:x\"", ""));
    cleanup_job_list struct job_list l;
    static const char *const ids[] = {"b:x", "a:x", "c:x", "d:x"};
    static const size_t levels[] = {0, 0, 1, 2};
    assert_int_equal(job_list_make(&p, NULL, &l, NULL), 0);
    assert_int_equal(l.n, ARRAY_LEN(ids));
    for (size_t i = 0; i < l.n; i++) {
        assert_string_equal(l.items[i].id, ids[i]);
        assert_int_equal(l.items[i].level, levels[i]);
    }
    assert_int_equal(l.items[1].path_ms, 50); // of c, which needs it
    assert_int_equal(l.items[3].need_count, 2);
    assert_int_equal(l.items[3].needs[0], 0);
    assert_int_equal(l.items[3].needs[1], 2);
}

TEST(what_is_there_is_no_job_and_no_need)
{
    cleanup_plan struct plan p = parsed(HEADER("") FOUND("source:s", "found")
                                            LINE("a:x", "\"source:s\",\"elsewhere:x\"", ""));
    cleanup_job_list struct job_list l;
    assert_int_equal(job_list_make(&p, NULL, &l, NULL), 0);
    assert_int_equal(l.n, 1);
    assert_int_equal(l.items[0].need_count, 0);
}

TEST(plan_out_of_order_is_refused)
{
    cleanup_free char *later =
        refused("make", HEADER("") LINE("a:x", "\"b:x\"", "") LINE("b:x", "", ""));
    assert_has(later, "the plan has a:x before b:x, which it needs");
    cleanup_free char *itself = refused("make", HEADER("") LINE("a:x", "\"a:x\"", ""));
    assert_has(itself, "the plan has a:x before a:x");
}

TEST(line_break_in_a_name_is_refused)
{
    cleanup_free char *message = refused("make", HEADER("") LINE("a\\nb", "", ""));
    assert_has(message, "control character");
    cleanup_free char *empty = refused("slurm", HEADER("") LINE("", "", ""));
    assert_has(empty, "a node of the plan has no name");
}

TEST(folder_of_this_machine_needs_the_project)
{
    const char *text = HEADER("") FOUND("source:s", "project") LINE("a:x", "\"source:s\"", "");
    cleanup_free char *message = refused("make", text);
    assert_has(message, "source:s is a directory of this machine");
    assert_has(message, "--push");
    cleanup_free char *pushed = printed("make", text, "r/p@sha256:0");
    assert_has(pushed, "kbuild run a:x --plan=oci:r/p@sha256:0\n");
}

TEST(command_in_a_checkout_has_the_options_of_the_plan)
{
    cleanup_plan struct plan p = parsed(
        "{\"plan\":1,\"depends\":{},\"grain\":\"artifact\",\"sources\":\"debian\",\"builder\":"
        "\"host\",\"source\":{\"greet\":\"upstream\"},\"prebuilt\":\"b=r/b:1\"}\n" LINE("a:x", "",
                                                                                        ""));
    cleanup_job_list struct job_list l, pushed;
    assert_int_equal(job_list_make(&p, NULL, &l, NULL), 0);
    assert_string_equal(l.items[0].command,
                        "kbuild run a:x --locked --sources=debian --builder=host "
                        "--source=greet=upstream --prebuilt=b=r/b:1 --grain=artifact");
    assert_int_equal(job_list_make(&p, "r/p@sha256:0", &pushed, NULL), 0);
    assert_string_equal(pushed.items[0].command, "kbuild run a:x --plan=oci:r/p@sha256:0");
}

TEST(machine_and_resources)
{
    cleanup_plan struct plan p =
        parsed(HEADER("") LINE("a:x", "",
                               ",\"build_on\":[\"s390x\"],\"network\":true,\"secrets\":[\"K\"]"
                               ",\"resources\":{\"ms\":1000,\"cpu_ms\":2500,\"peak_kib\":1024}")
                   LINE("b:x", "",
                        ",\"build_on\":[\"x86_64\",\"s390x\"],\"network\":false,\"resources\":"
                        "{\"ms\":1000,\"cpu_ms\":10}") LINE("c:x", "", ""));
    cleanup_job_list struct job_list l;
    assert_int_equal(job_list_make(&p, NULL, &l, NULL), 0);
    assert_string_equal(l.items[0].constraint, "s390x&network&trusted");
    assert_int_equal(l.items[0].cpus, 4); // 2.5 were busy
    assert_int_equal(l.items[0].mem_mib, 258);
    assert_string_equal(l.items[1].constraint, "(x86_64|s390x)");
    assert_int_equal(l.items[1].cpus, 1);
    assert_int_equal(l.items[1].mem_mib, 0);
    assert_null(l.items[2].constraint);
    assert_int_equal(l.items[2].cpus, 0);
}

// ---- quoting ----

TEST(shell_words)
{
    static const struct {
        const char *text, *quoted;
    } words[] = {
        {"kernel:x86_64", "kernel:x86_64"},
        {"", "''"},
        {"a b", "'a b'"},
        {"it's", "'it'\\''s'"},
        {"$HOME", "'$HOME'"},
        {"a#b;`c`\\", "'a#b;`c`\\'"},
        {"~", "'~'"},
    };
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        cleanup_buf struct buf out = {0};
        shell_quote(&out, words[i].text);
        assert_string_equal(out.data, words[i].quoted);
    }
}

TEST(make_escapes_names_and_dollars)
{
    cleanup_free char *text = printed(
        "make", HEADER("") LINE("a.b:x", "", "") LINE("it's #1 $x:y", "\"a.b:x\"", ""), NULL);
    assert_has(text, "\nall: a.2Eb/x it.27s.20.231.20.24x/y\n");
    assert_has(text, "\n# it's #1 $x:y (it's #1 $x:y)\nit.27s.20.231.20.24x/y: a.2Eb/x\n"
                     "\t@$(TRY) kbuild run 'it'\\''s #1 $$x:y' --locked\n");
    assert_has(text, "\nRUN ?=\n");
}

TEST(slurm_script)
{
    cleanup_free char *text = printed(
        "slurm", HEADER("") LINE("a:x", "", ",\"label\":\"it's a\"") LINE("b:x", "\"a:x\"", ""),
        "r/p@sha256:0");
    // No login of the environment is for Slurm's files.
    assert_has(
        text, " --export=HOME,USER,LOGNAME,PATH --job-name=a:x \"--dependency=singleton\" \"$@\")");
    assert_has(text, "--kill-on-invalid-dep=yes --export=HOME,USER,LOGNAME,PATH --job-name=b:x "
                     "\"--dependency=afterok:$job_1,singleton\" \"$@\")");
    assert_has(text, "  kbuild run b:x --plan=oci:r/p@sha256:0 2>\"$said\" 9>&- || status=$?\n");
    assert_has(text, "echo \"2 jobs submitted:$jobs\"\n");
}

// ---- GitHub and GitLab ----

// A plan of `n` nodes: each needs the one before it, or none.
static char *plan_of(size_t n, bool chain, const char *more)
{
    cleanup_buf struct buf text = {0};
    buf_puts(&text, HEADER(""));
    for (size_t i = 0; i < n; i++) {
        cleanup_free char *need = chain && i ? xasprintf("\"n%zu:x\"", i - 1) : xstrdup("");
        buf_printf(&text,
                   "{\"node\":\"n%zu:x\",\"kind\":\"artifact\",\"state\":\"to make\",\"needs\":[%s]"
                   ",\"command\":[],\"label\":\"%s\"}\n",
                   i, need, more);
    }
    return buf_take(&text);
}

// The JSON behind these words, to the end of the line; to be freed.
static json_t *json_after(const char *text, const char *words)
{
    const char *found = strstr(text, words);
    const char *json = found ? found + strlen(words) : "";
    json_t *value = json_loadb(json, strcspn(json, "\n"), JSON_REJECT_DUPLICATES, NULL);
    if (!value)
        fail_msg("no JSON after %s in %s", words, text);
    return value;
}

TEST(github_levels)
{
    cleanup_free char *plan = plan_of(3, true, "");
    cleanup_free char *text = printed("github", plan, NULL);
    json_auto_t *levels = json_after(text, "levels=");
    const json_t *jobs = json_object_get(json_array_get(levels, 1), "include");
    assert_int_equal(json_array_size(jobs), 1);
    const json_t *job = json_array_get(jobs, 0);
    assert_string_equal(json_string_value(json_object_get(job, "node")), "n1:x");
    assert_string_equal(json_string_value(json_object_get(job, "command")),
                        "kbuild run n1:x --locked");
    assert_null(json_object_get(job, "trusted"));
    assert_string_equal(json_string_value(json_object_get(job, "tries")),
                        "for pause in 10 30 0; do\n"
                        "  status=0\n"
                        "  kbuild run n1:x --locked || status=$?\n"
                        "  [ \"$status\" = 75 ] && [ \"$pause\" != 0 ] || exit \"$status\"\n"
                        "  sleep \"$pause\"\n"
                        "done\n");
    assert_int_equal(json_array_size(levels), 3);
}

TEST(github_256_jobs_and_no_more)
{
    cleanup_free char *plan = plan_of(256, false, ""), *more = plan_of(257, false, "");
    cleanup_free char *text = printed("github", plan, NULL);
    json_auto_t *levels = json_after(text, "levels=");
    assert_int_equal(json_array_size(json_object_get(json_array_get(levels, 0), "include")), 256);
    cleanup_free char *message = refused("github", more);
    assert_has(message, "level 0 has 257 jobs, and a matrix of GitHub at most 256");
    assert_has(message, "--grain=artifact");
}

TEST(github_8_levels_and_no_more)
{
    cleanup_free char *plan = plan_of(8, true, ""), *more = plan_of(9, true, "");
    cleanup_free char *text = printed("github", plan, NULL);
    json_auto_t *levels = json_after(text, "levels=");
    assert_int_equal(json_array_size(json_object_get(json_array_get(levels, 7), "include")), 1);
    cleanup_free char *message = refused("github", more);
    assert_has(message, "n8:x is on level 8, and the workflow has levels 0 to 7");
    assert_has(message, "--grain=artifact");
}

TEST(github_outputs_below_1_mib)
{
    char label[4096];
    memset(label, 'l', sizeof label - 1);
    label[sizeof label - 1] = '\0';
    cleanup_free char *plan = plan_of(200, false, label);
    cleanup_free char *message = refused("github", plan);
    assert_has(message, "the outputs of a job of GitHub at most 524288");
}

TEST(gitlab_pipeline)
{
    cleanup_free char *text =
        printed("gitlab",
                HEADER("") LINE("a:x", "", ",\"network\":true")
                    LINE("b:x", "\"a:x\"", ",\"build_on\":[\"s390x\"],\"secrets\":[\"K\"]"),
                NULL);
    json_auto_t *first = json_after(text, "\n\"a:x\": "), *b = json_after(text, "\n\"b:x\": ");
    json_auto_t *tags = json_pack("[s, s]", "s390x", "trusted"), *needs = json_pack("[s]", "a:x"),
                *none = json_array(), *network = json_pack("[s]", "network");
    assert_true(json_equal(json_object_get(first, "needs"), none)); // starts at once
    assert_true(json_equal(json_object_get(first, "tags"), network));
    assert_true(json_equal(json_object_get(b, "needs"), needs));
    assert_true(json_equal(json_object_get(b, "tags"), tags));
    assert_string_equal(json_string_value(json_object_get(b, "resource_group")), "b/x");
}

// `n` nodes, and one that needs them all.
static char *plan_of_needs(size_t n)
{
    cleanup_buf struct buf text = {0}, needs = {0};
    buf_puts(&text, HEADER(""));
    for (size_t i = 0; i < n; i++) {
        buf_printf(&text, LINE("n%zu:x", "", ""), i, i);
        buf_printf(&needs, "%s\"n%zu:x\"", i ? "," : "", i);
    }
    buf_printf(&text, LINE("top:x", "%s", ""), needs.data);
    return buf_take(&text);
}

TEST(gitlab_50_needs_and_no_more)
{
    cleanup_free char *plan = plan_of_needs(50), *more = plan_of_needs(51);
    cleanup_free char *text = printed("gitlab", plan, NULL);
    json_auto_t *top = json_after(text, "\n\"top:x\": ");
    assert_int_equal(json_array_size(json_object_get(top, "needs")), 50);
    cleanup_free char *message = refused("gitlab", more);
    assert_has(message, "top:x needs 51 jobs, and a job of GitLab at most 50");
    assert_has(message, "--grain=artifact");
}

TEST(nothing_to_do)
{
    static const char plan[] = HEADER("");
    cleanup_free char *github = printed("github", plan, NULL);
    cleanup_free char *gitlab = printed("gitlab", plan, NULL);
    cleanup_free char *make = printed("make", plan, NULL);
    cleanup_free char *slurm = printed("slurm", plan, NULL);
    assert_string_equal(github, "levels=[]\n");
    assert_has(gitlab, "\nall is there:\n"); // GitLab refuses a pipeline without jobs
    assert_has(make, "\nall:\n");
    assert_has(slurm, "0 jobs submitted");
}

TEST(unknown_format)
{
    cleanup_free char *message = refused("tekton", HEADER(""));
    assert_has(message, "there is no format tekton for a plan");
}
