// SPDX-License-Identifier: Apache-2.0
// What a node's process reports, read again; and lines that are none.
#include "test.h"

#include "run/schedule.h"

#include <stdint.h>
#include <string.h>

static enum report_kind read_outcome(const struct outcome *o, struct outcome *out)
{
    json_t *event = outcome_json(o);
    char *line = json_dumps(event, JSON_COMPACT), *text = NULL;
    json_decref(event);
    enum report_kind kind = report_read(line, &text, out);
    assert_null(text);
    free(line);
    return kind;
}

TEST(outcomes_come_back)
{
    static const enum outcome_kind good[] = {OUTCOME_MADE, OUTCOME_FOUND, OUTCOME_PULLED};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct outcome o = {.kind = good[i], .record = json_pack("{s:s}", "node", "x")}, back = {0};
        assert_int_equal(read_outcome(&o, &back), REPORT_OUTCOME);
        assert_int_equal(back.kind, good[i]);
        assert_true(outcome_is_good(&back));
        assert_true(json_equal(o.record, back.record));
        outcome_free(&o);
        outcome_free(&back);
    }
    static const enum outcome_kind bad[] = {OUTCOME_DAMAGED_INPUT, OUTCOME_SHARED_LOST,
                                            OUTCOME_FAILED};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct outcome o = {.kind = bad[i]}, back = {0};
        error_set(&o.error, ERROR_INTERRUPT, "it is red");
        if (i) {
            error_hint(&o.error, "look away");
            error_subject(&o.error, "source:linux#2");
        }
        assert_int_equal(read_outcome(&o, &back), REPORT_OUTCOME);
        assert_int_equal(back.kind, bad[i]);
        assert_int_equal(back.error->kind, ERROR_INTERRUPT);
        assert_string_equal(back.error->message, "it is red");
        assert_true(i ? !strcmp(back.error->hint, "look away") : !back.error->hint);
        assert_true(i ? !strcmp(back.error->subject, "source:linux#2") : !back.error->subject);
        outcome_free(&o);
        outcome_free(&back);
    }
}

TEST(what_is_no_outcome_is_none)
{
    static const char *const lines[] = {
        "",
        "no json",
        "{}",
        "[]",
        "{\"outcome\": \"made\"}",
        "{\"outcome\": \"made\", \"record\": 1}",
        "{\"outcome\": \"made\", \"record\": {}, \"error\": {}}",
        "{\"outcome\": \"failed\"}",
        "{\"outcome\": \"failed\", \"record\": {}}",
        "{\"outcome\": \"none\"}",
        "{\"outcome\": \"perfect\", \"record\": {}}",
        "{\"outcome\": 1, \"record\": {}}",
        "{\"phase\": 1}",
        "{\"waiting\": {}}",
        "{\"log\": {}}",
    };
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        struct outcome out = {0};
        char *text = NULL;
        assert_int_equal(report_read(lines[i], &text, &out), REPORT_NOTHING);
        assert_null(text);
        assert_int_equal(out.kind, OUTCOME_NONE);
    }
}

static void expect_text(const char *line, enum report_kind kind, const char *expected)
{
    struct outcome out = {0};
    char *text = NULL;
    assert_int_equal(report_read(line, &text, &out), kind);
    assert_string_equal(text, expected);
    free(text);
}

TEST(progress_is_shown_in_its_unit)
{
    expect_text("{\"phase\": \"packing\"}", REPORT_PHASE, "packing");
    expect_text("{\"waiting\": \"for it\"}", REPORT_WAITING, "waiting for it");
    expect_text("{\"progress\": {\"what\": \"x\", \"done\": 1500000, \"total\": 3000000, \"unit\": "
                "\"bytes\"}}",
                REPORT_PROGRESS, "x 1.5/3.0 MB");
    expect_text("{\"progress\": {\"what\": \"x\", \"done\": 2, \"total\": 0, \"unit\": \"files\"}}",
                REPORT_PROGRESS, "x 2 files");
    expect_text("{\"progress\": {\"what\": \"x\", \"done\": 0, \"total\": 0, \"unit\": \"bytes\"}}",
                REPORT_PROGRESS, "x");
    expect_text("{\"progress\": {}}", REPORT_PROGRESS, "");
    expect_text("{\"log\": \"so\", \"warning\": true}", REPORT_WARNING, "so");
    expect_text("{\"log\": \"so\"}", REPORT_NOTE, "so");
}
