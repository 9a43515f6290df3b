// SPDX-License-Identifier: Apache-2.0
// The page of kbuild report: all text of others is text in it, a record that was changed does no
// harm, and only what a target needs is shown.
#include "test.h"

#include "report/internal.h"

#include <string.h>

#define DIGEST "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define RUN(nodes)                                                                                 \
    "{\"format\":\"kbuild run 1\",\"kbuild\":\"1\",\"verb\":\"build\",\"targets\":[\"top\"],"      \
    "\"outcome\":\"done\",\"began\":1,\"planned_ms\":10,\"made_ms\":90,\"ms\":100,\"jobs\":2,"     \
    "\"chain\":[\"a\",\"top\"],\"nodes\":[" nodes "]}"
#define NODE(id, more)                                                                             \
    "{\"node\":\"" id "\",\"kind\":\"artifact\",\"label\":\"" id "\",\"recipe\":\"" id             \
    "\",\"arch\":\"s390x\",\"state\":\"made\",\"key\":\"" DIGEST "\"" more "}"
#define RAN(begin, end) ",\"begin_ms\":" begin ",\"end_ms\":" end

static int make_page(const char *text, const char *targets, struct buf *page, struct error **err)
{
    cleanup_strlist struct strlist words = {0};
    strlist_split(&words, targets, " ");
    return report_page(text, strlen(text), "run.json", &words, NULL, true, page, err);
}

static char *page_of(const char *text, const char *targets)
{
    struct error *err = NULL;
    struct buf page = {0};
    if (make_page(text, targets, &page, &err) < 0)
        fail_msg("%s", err->message);
    return buf_take(&page);
}

static void assert_refused(const char *text, const char *targets, const char *message)
{
    cleanup_error struct error *err = NULL;
    cleanup_buf struct buf page = {0};
    assert_int_equal(make_page(text, targets, &page, &err), -1);
    if (!strstr(err->message, message))
        fail_msg("'%s' is not in '%s'", message, err->message);
    assert_int_equal(page.len, 0);
}

static size_t count(const char *text, const char *what)
{
    size_t n = 0;
    for (; (text = strstr(text, what)); text++)
        n++;
    return n;
}

// ---- hostile text ----

#define DONE ((size_t)-1)

// Every string of the record, those that choose among words too, becomes the evil one in turn.
static void spoil(json_t *value, const char *evil, size_t *left)
{
    const char *key;
    json_t *inner;
    size_t i;
    if (json_is_string(value) && *left != DONE && (*left)-- == 0)
        json_string_set(value, evil);
    json_object_foreach(value, key, inner)
    {
        spoil(inner, evil, left);
    }
    json_array_foreach(value, i, inner)
    {
        spoil(inner, evil, left);
    }
}

#define PHASES ",\"phases\":[{\"name\":\"building\",\"begin_ms\":20}]"
#define CHANGE ",\"why\":\"changed\",\"change\":[\"- old\",\"+ new\",\"other\"]"
#define BECAUSE                                                                                    \
    ",\"because\":[{\"what\":\"file\",\"name\":\"r/b.sh\",\"change\":\"changed\",\"text\":\"t1\"," \
    "\"lines\":[{\"change\":\"changed\",\"from\":7,\"to\":11,\"was_from\":5,\"was_to\":5,"         \
    "\"before\":[\"old line\"],\"now\":[\"new line\",\"second\"]}],\"lines_left_out\":3},"         \
    "{\"what\":\"recipe\",\"name\":\"r/recipe.yaml\",\"path\":\"environment.A\",\"text\":\"t2\","  \
    "\"lines\":[{\"change\":\"removed\",\"from\":9,\"to\":9,\"before\":[\"gone\"]}]},"             \
    "{\"what\":\"variable\",\"text\":\"the variable V changed\"},"                                 \
    "{\"what\":\"input\",\"node\":\"a\",\"name\":\"a\",\"text\":\"its input a changed\"},"         \
    "{\"what\":\"input\",\"node\":\"a\",\"name\":\"b\",\"text\":\"other\"}]"
#define OUTPUTS(which, digest, size)                                                               \
    ",\"" which "\":[{\"name\":\"a.tar.xz\",\"digest\":\"" digest "\",\"size\":" size "}]"
#define FILES                                                                                      \
    ",\"log\":\"a.log\",\"local\":\"/a b\",\"placed\":true" OUTPUTS("outputs", DIGEST, "2000")     \
        OUTPUTS("before", "ff", "1000")
static const char whole[] = RUN(NODE("a", RAN("10", "50") PHASES CHANGE FILES) "," NODE(
    "top", ",\"needs\":[\"a\"]" CHANGE BECAUSE RAN("50", "90")));

TEST(no_text_of_the_record_becomes_markup)
{
    static const char evil[] = "</style></title></pre></script>\"'><x-evil onload=x>&\x1b[31m\n"
                               "\xe2\x80\xae";
    size_t pages = 0;
    for (size_t place = 0;; place++) {
        size_t left = place;
        json_auto_t *run = json_loads(whole, 0, NULL);
        assert_non_null(run);
        spoil(run, evil, &left);
        if (left != DONE)
            break; // there are no more strings
        json_object_set_new(run, "error", json_string(evil));
        json_object_set_new(run, "hint", json_string(evil));
        char *text = json_dumps(run, 0);
        cleanup_buf struct buf page = {0};
        cleanup_error struct error *err = NULL;
        if (make_page(text, "", &page, &err) == 0) {
            pages++;
            assert_null(strstr(page.data, "<x-evil"));
            assert_null(strstr(page.data, "\"'"));
            assert_null(strchr(page.data, '\x1b'));
            assert_null(strstr(page.data, "\xe2\x80\xae"));
            assert_int_equal(count(page.data, "</style>"), 1);
            assert_int_equal(count(page.data, "</title>"),
                             count(page.data, "<title>")); // also of the drawing
            assert_non_null(strstr(page.data, "&lt;x-evil"));
            assert_null(strstr(page.data, "<script"));
        }
        free(text);
    }
    assert_true(pages > 15); // others are refused: an unknown state, another format
}

TEST(the_page_loads_nothing)
{
    cleanup_free char *page = page_of(whole, "");
    static const char *const loads[] = {"src=",  "url(",   "@import", "<link",  "<script",
                                        "http:", "https:", "<iframe", "<object"};
    for (size_t i = 0; i < ARRAY_LEN(loads); i++)
        if (strstr(page, loads[i]))
            fail_msg("the page has %s", loads[i]);
    assert_non_null(strstr(page, "default-src 'none'"));
}

TEST(what_the_record_says_is_in_the_page)
{
    cleanup_free char *page = page_of(whole, "");
    static const char *const says[] = {
        "<del>- old</del>",
        "<ins>+ new</ins>",
        "what it is made of has changed",
        "<span class=\"mono\">r/b.sh</span><pre><del>- 5: old line</del>\n"
        "<ins>+ 7: new line</ins>\n<ins>+ 8: second</ins>\n<ins>+ and 3 more lines</ins>\n"
        "<span>and 3 more places</span>\n</pre>",
        "<span class=\"mono\">r/recipe.yaml</span> line 9 (<span "
        "class=\"mono\">environment.A</span>)"
        "<pre><del>- gone</del>\n</pre>",
        "<li>the variable V changed</li>",
        "<li>its input <a href=\"#n0\">a</a> changed</li>",
        "<summary>3 lines of its key</summary>",
        "href=\"logs/a.log\"",
        "/a b",
        "+1.0 kB (+100.0 %)",
        "building: 30 ms",
        "style=\"left:10.000%;width:10.000%\"", // before its first phase
        "style=\"left:20.000%;width:30.000%\"",
        "class=\"edge onchain\"",
    };
    for (size_t i = 0; i < ARRAY_LEN(says); i++)
        if (!strstr(page, says[i]))
            fail_msg("the page does not have %s", says[i]);
}

// ---- damaged records ----

TEST(what_is_no_record_is_refused)
{
    assert_refused("", "", "run.json is not the record of a run");
    assert_refused("[]", "", "it has no format");
    assert_refused("{\"format\":\"kbuild run 2\"}", "", "another version");
    assert_refused("{\"format\":\"kbuild run 1\"}", "", "a field is missing");
    assert_refused(RUN("{}"), "", "a node lacks a field");
    assert_refused(RUN("1"), "", "a node lacks a field");
    assert_refused("{\"format\":1}", "", "it has no format");
}

TEST(odd_times_and_needs_stay_within_the_page)
{
    static const char *const nodes[] = {
        NODE("a", ",\"needs\":[\"top\",\"a\",\"nobody\",7]" RAN("90", "10")) "," NODE(
            "top", ",\"needs\":[\"a\",\"a\"]" RAN("-5", "999999999999999999")),
        NODE("a", RAN("10", "20") ",\"phases\":[{\"name\":\"x\",\"begin_ms\":90},{\"begin_ms\":1},"
                                  "7,{\"name\":7,\"begin_ms\":-1}]"),
        NODE("a", RAN("0", "0")) "," NODE("a", RAN("0", "0")),
        NODE("a",
             ",\"change\":[1,{}],\"outputs\":[1,{\"name\":\"x\"}],\"before\":7,\"phases\":{}" RAN(
                 "1", "2")),
        NODE("a",
             ",\"why\":\"changed\",\"because\":[1,{},{\"text\":7},{\"text\":\"x\",\"lines\":[1,{"
             "\"before\":[7],\"now\":{}}]},{\"text\":\"x\",\"node\":\"a\"},{\"text\":\"x\","
             "\"lines\":[{\"from\":-1,\"to\":-7,\"now\":[\"x\"]}]}]" RAN("1", "2")),
        "",
    };
    for (size_t i = 0; i < ARRAY_LEN(nodes); i++) {
        cleanup_free char *text = xasprintf(RUN("%s"), nodes[i]);
        cleanup_free char *page = page_of(text, "");
        for (const char *at = page; (at = strstr(at, "style=\"left:")); at++) {
            double left = 0, width = 0;
            int fields = sscanf(at, "style=\"left:%lf%%;width:%lf", &left, &width);
            assert_true(fields >= 1 && left >= 0 && width >= 0 && left + width < 100.01);
        }
        assert_null(strstr(page, "nan"));
        assert_null(strstr(page, "inf"));
    }
}

TEST(a_long_chain_of_nodes_is_drawn_and_a_huge_graph_is_not)
{
    for (int n = 1; n <= 4000; n *= 20) {
        cleanup_buf struct buf nodes = {0};
        for (int i = 0; i < n; i++)
            buf_printf(&nodes,
                       "%s{\"node\":\"n%d\",\"kind\":\"source\",\"label\":\"n%d\",\"arch\":\"\","
                       "\"state\":\"cached\",\"key\":\"\",\"needs\":[\"n%d\"]}",
                       i ? "," : "", i, i, i - 1);
        cleanup_free char *text = xasprintf(RUN("%s"), nodes.data);
        cleanup_free char *page = page_of(text, "");
        assert_int_equal(strstr(page, "class=\"scroll\"") != NULL, n <= 400);
        assert_non_null(strstr(page, "Nothing ran"));
    }
}

// ---- targets ----

TEST(only_what_a_target_needs_is_shown)
{
    static const char three[] = RUN(NODE("a", RAN("10", "50")) "," NODE(
        "other", RAN("10", "60")) "," NODE("top", ",\"needs\":[\"a\"]" RAN("50", "90")));
    cleanup_free char *page = page_of(three, "top");
    assert_non_null(strstr(page, "id=\"n0\""));
    assert_null(strstr(page, "id=\"n1\""));
    assert_non_null(strstr(page, "id=\"n2\""));
    assert_non_null(strstr(page, "2 made"));
    cleanup_free char *both = page_of(three, "other a");
    assert_null(strstr(both, "id=\"n2\""));
    assert_non_null(strstr(both, "<h1>other a</h1>"));
    assert_refused(three, "tops", "had no target tops: it was of top");
    assert_refused(three, "top nothing", "had no target nothing");
}
