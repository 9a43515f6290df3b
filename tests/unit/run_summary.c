// SPDX-License-Identifier: Apache-2.0
// What a run's summary says of its nodes, as the last event and as the page of a CI's job.
#include "test.h"

#include "run/internal.h"

#include "base/ci_log.h"
#include "base/error.h"
#include "base/file.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct fixture {
    struct build b;
    struct run_state run;
    struct schedule s;
};

static void add(struct fixture *d, const char *name, enum node_state state)
{
    struct node *node = graph_add(&d->b.graph, NODE_ARTIFACT, name, name);
    node->data = xcalloc(1, sizeof(struct job));
    node->state = state;
    struct error *err = NULL;
    if (d->s.tasks)
        schedule_close(&d->s);
    assert_int_equal(schedule_open(&d->s, &d->b.graph, &err), 0);
}

static void begin(struct fixture *d, const char *target)
{
    *d = (struct fixture){.b = {.options = {.output = "build|<b>"}}};
    d->b.run = &d->run;
    strlist_add(&d->run.targets, target);
}

static void end(struct fixture *d)
{
    schedule_close(&d->s);
    for (size_t i = 0; i < d->b.graph.n; i++)
        free(job_of(d->b.graph.nodes[i]));
    graph_free(&d->b.graph);
    strlist_free(&d->run.targets);
    strlist_free(&d->run.notes);
}

static char *markdown(struct fixture *d, const struct error *why)
{
    const struct run_summary sum = {
        .b = &d->b, .s = &d->s, .ms = 61000, .placed = !why, .why = why};
    struct buf out = {0};
    summary_markdown(&sum, &out);
    return buf_take(&out);
}

TEST(each_node_is_in_the_table_of_what_became_of_it)
{
    struct fixture d;
    begin(&d, "top");
    add(&d, "kernel", NODE_DONE);
    add(&d, "agent_x", NODE_CACHED);
    add(&d, "initrd", NODE_CACHED);
    add(&d, "never", NODE_STALE);
    struct node_output *output = xcalloc(1, sizeof *output);
    *output = (struct node_output){.name = xstrdup("kata.tar"), .digest = "0a1b", .size = 42};
    graph_set_outputs(d.s.tasks[0].node, output, 1);
    job_of(d.s.tasks[0].node)->placed = true;
    d.s.tasks[0].took_ms = 1500;
    d.s.tasks[0].cpu_ms = 20500;
    cleanup_free char *text = markdown(&d, NULL);
    assert_string_equal(text, "### kbuild <code>top</code>: done in 61 s\n"
                              "\n"
                              "1 made, 2 cached.\n"
                              "\n"
                              "| | node | time | processor time |\n"
                              "| --- | --- | ---: | ---: |\n"
                              "| made | <code>kernel</code> | 1.5 s | 20 s |\n"
                              "| cached | <code>agent_x</code>, <code>initrd</code> | | |\n"
                              "\n"
                              "| result | architecture | bytes | SHA-256 |\n"
                              "| --- | --- | ---: | --- |\n"
                              "| <code>build&#124;&#60;b&#62;/kata.tar</code> |  | 42 | "
                              "<code>0a1b</code> |\n"
                              "\n");
    end(&d);
}

TEST(no_name_and_no_message_is_markup)
{
    struct fixture d;
    cleanup_error struct error *why = NULL;
    begin(&d, "a|b`c\n## d <script> _e_ [f](g) x_y &amp; \\| @h #1");
    add(&d, "| x | <b>", NODE_FAILED);
    build_note(&d.b, "- note\n\n| a |\n<img>");
    error_set(&why, ERROR_STEP, "*b*\n\n# heading\n</code>\x1b[0m");
    error_hint(&why, "```\n<!--");
    cleanup_free char *text = markdown(&d, why);
    assert_non_null(
        strstr(text, "### kbuild <code>a&#124;b&#96;c<br>&#35;&#35; d &#60;script&#62; &#95;e&#95; "
                     "&#91;f&#93;&#40;g&#41; x_y &#38;amp&#59; &#92;&#124; &#64;h &#35;1</code>: "
                     "failed after 61 s\n"));
    assert_non_null(strstr(text, "\n<code>&#42;b&#42;<br><br>&#35; heading<br>&#60;/code&#62;"
                                 "&#92;x1b&#91;0m</code><br>&#96;&#96;&#96;<br>&#60;&#33;--\n\n"));
    assert_non_null(strstr(text, "\n| failed | <code>&#124; x &#124; &#60;b&#62;</code> | "));
    assert_non_null(strstr(text, "\n- - note<br><br>&#124; a &#124;<br>&#60;img&#62;\n\n"));
    end(&d);
}

TEST(rows_are_limited_and_the_rest_is_counted)
{
    struct fixture d;
    begin(&d, "all");
    for (int i = 0; i < 130; i++) {
        cleanup_free char *made = xasprintf("m%d", i), *cached = xasprintf("c%d", i);
        add(&d, made, NODE_DONE);
        add(&d, cached, NODE_CACHED);
    }
    cleanup_free char *text = markdown(&d, NULL);
    assert_non_null(strstr(text, "130 made, 130 cached.\n"));
    assert_non_null(strstr(text, "\n| made | and 30 more | | |\n"));
    assert_non_null(strstr(text, "<code>c7</code> and 122 more | | |\n"));
    end(&d);
}

TEST(the_event_says_how_it_ended)
{
    struct fixture d;
    cleanup_error struct error *why = NULL, *ended = NULL;
    begin(&d, "top");
    add(&d, "kernel", NODE_FAILED);
    error_set(&why, ERROR_STEP, "it broke");
    error_set(&ended, ERROR_INTERRUPT, "interrupted");
    const struct {
        const struct error *why;
        const char *outcome;
    } cases[] = {{NULL, "done"}, {why, "failed"}, {ended, "interrupted"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct run_summary sum = {.b = &d.b, .s = &d.s, .ms = 5, .why = cases[i].why};
        json_auto_t *e = summary_json(&sum);
        assert_int_equal(json_integer_value(json_object_get(e, "schema")), 1);
        assert_string_equal(json_string_value(json_object_get(e, "outcome")), cases[i].outcome);
        const char *error = json_string_value(json_object_get(e, "error"));
        assert_true(cases[i].why ? !strcmp(error, cases[i].why->message) : !error);
        assert_int_equal(json_array_size(json_object_get(e, "failed")), 1);
        assert_int_equal(json_array_size(json_object_get(e, "made")), 0);
    }
    end(&d);
}

// ---- the file of the job ----

static char *folder, *file;
static unsigned warnings;

static void count(enum log_level level, const char *line, void *context)
{
    warnings += level == LOG_WARNING;
}

static void append_to(const char *path)
{
    struct fixture d;
    begin(&d, "top");
    add(&d, "kernel", NODE_CACHED);
    const struct run_summary sum = {.b = &d.b, .s = &d.s};
    setenv("GITHUB_STEP_SUMMARY", path, 1);
    warnings = 0;
    summary_for_job(&sum);
    end(&d);
}

static int open_folder(void **state)
{
    const char *parent = getenv("TMPDIR");
    folder = make_temporary_directory(parent ? parent : "/tmp", "run-summary", NULL);
    file = xasprintf("%s/summary.md", folder);
    log_redirect(count, NULL);
    setenv("KBUILD_CI_LOG", "github", 1);
    return 0;
}

static int close_folder(void **state)
{
    unsetenv("KBUILD_CI_LOG");
    unsetenv("GITHUB_STEP_SUMMARY");
    ci_log_open(NULL);
    log_redirect(NULL, NULL);
    remove_tree(folder, NULL);
    free(folder);
    free(file);
    return 0;
}

// Standard error of the tests may be a terminal.
static bool is_github(void)
{
    return ci_log_open(NULL) == 0 && ci_log_runner() == CI_GITHUB;
}

TEST_WITH(the_summary_of_a_job_is_appended, open_folder, close_folder)
{
    static const char before[] = "what others wrote\n";
    cleanup_buf struct buf text = {0};
    if (!is_github())
        skip();
    assert_int_equal(file_write(file, before, sizeof before - 1, 0644, NULL), 0);
    append_to(file);
    append_to(file);
    assert_int_equal(warnings, 0);
    assert_int_equal(file_read(file, 10000, &text, NULL), 0);
    assert_true(starts_with(text.data, "what others wrote\n### kbuild <code>top</code>: done"));
    assert_non_null(strstr(text.data + 30, "### kbuild <code>top</code>: done"));
    append_to(""); // an unset variable
    assert_int_equal(warnings, 0);
}

TEST_WITH(a_summary_that_cannot_be_written_is_a_warning, open_folder, close_folder)
{
    cleanup_free char *nowhere = xasprintf("%s/none/summary.md", folder);
    cleanup_free char *full = xcalloc(1, 1 << 20);
    struct stat st;
    if (!is_github())
        skip();
    append_to(nowhere);
    assert_int_equal(warnings, 1);
    append_to(folder);
    assert_int_equal(warnings, 1);
    append_to("/dev/null");
    assert_int_equal(warnings, 1);
    assert_int_equal(file_write(file, full, 1 << 20, 0644, NULL), 0);
    append_to(file);
    assert_int_equal(warnings, 1);
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_size, 1 << 20);
}
