// SPDX-License-Identifier: Apache-2.0
// DSSE envelopes: the specification's own example, what is written is read again, and what is none.
#include "test.h"

#include "crypto/envelope.h"

#include <string.h>

static bool parse(const char *text, struct envelope *e)
{
    const char *why = NULL;
    bool good = envelope_parse(text, strlen(text), e, &why);
    assert_true(good || (why && *why && !e->type && !e->n));
    return good;
}

// DSSE protocol 1.0.0, "Test vectors".
TEST(example_of_the_specification)
{
    cleanup_envelope struct envelope e = {0};
    cleanup_buf struct buf text = {0};
    assert_true(parse(
        "{\"payload\": \"aGVsbG8gd29ybGQ=\",\n \"payloadType\": "
        "\"http://example.com/HelloWorld\",\n \"signatures\": [{\"sig\": "
        "\"A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA=="
        "\"}]}",
        &e));
    envelope_signed_text(&e, &text);
    assert_string_equal(text.data, "DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    assert_int_equal(e.n, 1);
    assert_string_equal(e.signatures[0].key_id, "");
    assert_int_equal(e.signatures[0].value.len, 64);
}

TEST(what_is_written_is_read)
{
    for (size_t length = 0; length < 7; length++) {
        cleanup_envelope struct envelope e = {.type = xstrdup("type \"quoted\"")}, again = {0};
        cleanup_buf struct buf text = {0};
        buf_add(&e.payload, "\0\377\n\"x", length < 5 ? length : 5);
        envelope_add_signature(&e, "key", "\376\377\373", 3);
        envelope_add_signature(&e, "", "", 0);
        envelope_write(&e, &text);
        assert_ptr_equal(strchr(text.data, '\n'), text.data + text.len - 1);
        assert_true(parse(text.data, &again));
        assert_string_equal(again.type, e.type);
        assert_int_equal(again.payload.len, e.payload.len);
        assert_memory_equal(again.payload.data, e.payload.data, e.payload.len);
        assert_int_equal(again.n, 2);
        assert_string_equal(again.signatures[0].key_id, "key");
        assert_memory_equal(again.signatures[0].value.data, "\376\377\373", 3);
    }
}

// Type and payload cannot be moved against each other: their lengths are signed.
TEST(lengths_are_part_of_what_is_signed)
{
    cleanup_envelope struct envelope a = {.type = xstrdup("a")}, b = {.type = xstrdup("a 1")};
    cleanup_buf struct buf one = {0}, two = {0};
    buf_puts(&a.payload, "1 b");
    buf_puts(&b.payload, "b");
    envelope_signed_text(&a, &one);
    envelope_signed_text(&b, &two);
    assert_string_equal(one.data, "DSSEv1 1 a 3 1 b");
    assert_string_equal(two.data, "DSSEv1 3 a 1 1 b");
}

TEST(both_alphabets_of_base64)
{
    cleanup_envelope struct envelope e = {0};
    assert_true(parse("{\"payload\":\"-_-_\",\"payloadType\":\"t\",\"signatures\":[]}", &e));
    assert_memory_equal(e.payload.data, "\373\377\277", 3);
    envelope_free(&e);
    assert_true(parse("{\"payload\":\"+/+/\",\"payloadType\":\"t\",\"signatures\":[]}", &e));
    assert_memory_equal(e.payload.data, "\373\377\277", 3);
}

TEST(what_is_none)
{
    static const char *const bad[] = {
        "",
        "x",
        "[]",
        "{}",
        "{\"payload\":\"\",\"payloadType\":\"t\"}",
        "{\"payload\":\"\",\"signatures\":[]}",
        "{\"payloadType\":\"t\",\"signatures\":[]}",
        "{\"payload\":1,\"payloadType\":\"t\",\"signatures\":[]}",
        "{\"payload\":\"\",\"payloadType\":\"t\",\"signatures\":{}}",
        "{\"payload\":\"\",\"payloadType\":\"t\",\"signatures\":[{}]}",
        "{\"payload\":\"\",\"payloadType\":\"t\",\"signatures\":[{\"sig\":\"x\"}]}",
        // One name twice: readers would take different ones.
        "{\"payload\":\"\",\"payload\":\"YQ==\",\"payloadType\":\"t\",\"signatures\":[]}",
        "{\"payload\":\"a\",\"payloadType\":\"t\",\"signatures\":[]}",
        "{\"payload\":\"YQ=\",\"payloadType\":\"t\",\"signatures\":[]}",
        "{\"payload\":\"YQ\",\"payloadType\":\"t\",\"signatures\":[]}",
        "{\"payload\":\"YR==\",\"payloadType\":\"t\",\"signatures\":[]}", // bits of no byte
        "{\"payload\":\"====\",\"payloadType\":\"t\",\"signatures\":[]}",
        "{\"payload\":\" YQ==\",\"payloadType\":\"t\",\"signatures\":[]}",
        "{\"payload\":\"YQ==YQ==\",\"payloadType\":\"t\",\"signatures\":[]}",
        "{\"payload\":\"+_+_\",\"payloadType\":\"t\",\"signatures\":[]}",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct envelope e;
        if (parse(bad[i], &e))
            fail_msg("taken: %s", bad[i]);
    }
}

TEST(more_signatures_than_anybody_needs)
{
    struct envelope e;
    cleanup_buf struct buf text = {0};
    buf_puts(&text, "{\"payload\":\"\",\"payloadType\":\"t\",\"signatures\":[");
    for (size_t i = 0; i <= ENVELOPE_SIGNATURES_MAX; i++)
        buf_printf(&text, "%s{\"sig\":\"YWFh\"}", i ? "," : "");
    buf_puts(&text, "]}");
    assert_false(parse(text.data, &e));
    cleanup_buf struct buf large = {0};
    cleanup_free char *value = xcalloc(1, 8000 + 1);
    memset(value, 'A', 8000);
    buf_printf(&large, "{\"payload\":\"\",\"payloadType\":\"t\",\"signatures\":[{\"sig\":\"%s\"}]}",
               value);
    assert_false(parse(large.data, &e));
}
