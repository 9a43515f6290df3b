// SPDX-License-Identifier: Apache-2.0
// References and tags in every form.
#include "test.h"

#include "base/digest.h"
#include "registry/registry.h"

#include <stdint.h>
#include <string.h>

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define X64 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static const struct {
    const char *text, *registry, *repository, *tag, *digest;
} legal[] = {
    {"alpine", "docker.io", "library/alpine", NULL, NULL},
    {"alpine:3.18", "docker.io", "library/alpine", "3.18", NULL},
    {"alpine@sha256:" HEX, "docker.io", "library/alpine", NULL, "sha256:" HEX},
    {"kata/agent", "docker.io", "kata/agent", NULL, NULL},
    {"docker.io/alpine", "docker.io", "library/alpine", NULL, NULL},
    {"index.docker.io/a/b", "docker.io", "a/b", NULL, NULL},
    {"localhost/a", "localhost", "a", NULL, NULL},
    {"localhost:5000/a/b:tag@sha256:" HEX, "localhost:5000", "a/b", "tag", "sha256:" HEX},
    {"quay.io/kata-containers/kata-deploy", "quay.io", "kata-containers/kata-deploy", NULL, NULL},
    {"127.0.0.1:1/a", "127.0.0.1:1", "a", NULL, NULL},
    {"[::1]:5000/a:t", "[::1]:5000", "a", "t", NULL},
    {"[fe80::1]/a", "[fe80::1]", "a", NULL, NULL},
    {"host:65535/a", "host:65535", "a", NULL, NULL},
    {"Host/a", "Host", "a", NULL, NULL},
    {"my-host.x/a", "my-host.x", "a", NULL, NULL},
    {"a.b/c_d/e__f/g---h/i.j", "a.b", "c_d/e__f/g---h/i.j", NULL, NULL},
    {"x.y/0/1:_", "x.y", "0/1", "_", NULL},
    {"x.y/a:" X64 X64, "x.y", "a", X64 X64, NULL},
    {"x.y/a:A.b-C_9", "x.y", "a", "A.b-C_9", NULL},
    {"a/b/c:5000", "docker.io", "a/b/c", "5000", NULL},
    {"host:5000", "docker.io", "library/host", "5000", NULL},
};

static const char *const illegal[] = {
    "",
    ":",
    "@",
    "/",
    "a:",
    "a@",
    ":tag",
    "@sha256:" HEX,
    "Alpine",
    "a/B",
    "a//b",
    "/a",
    "a/",
    "a:.t",
    "a:-t",
    "a:t/b:",
    "a:t t",
    "a b",
    "a\n",
    "a:t\n",
    "a:\xc3\xa4",
    "a__/b",
    "a___b",
    "a..b",
    "a._b",
    "-a",
    "a-",
    "a-/b",
    "x.y/-a",
    "x.y/",
    "x.y:/a",
    "x.y:0/a",
    "x.y:65536/a",
    "x.y:123456/a",
    "x.y:1x/a",
    "x..y/a",
    ".x/a",
    "x./a",
    "-x.y/a",
    "x-.y/a",
    "[::1/a",
    "[::1]x/a",
    "[]:1/a",
    "[gg::]/a",
    "x.y/a:" X64 X64 "x",
    "a@sha256:" X64,
    "a@sha256:012345",
    "a@sha512:" HEX,
    "a@sha256:" HEX "0",
    "a@sha256:" HEX "@sha256:" HEX,
    "a@sha256:0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef",
    HEX,
    "http://x.y/a",
    "https://x.y/a:t",
    "docker://x.y/a/",
    "user:pass@x.y/a",
    "x.y/../a",
    "x.y/a/./b",
    "x.y/a?b",
    "x.y/a%41",
    "x.y/" X64 X64 X64 X64,
};

static void assert_text(const char *a, const char *b)
{
    assert_int_equal(!a, !b);
    if (a)
        assert_string_equal(a, b);
}

TEST(every_legal_reference_is_taken_apart)
{
    for (size_t i = 0; i < ARRAY_LEN(legal); i++) {
        struct reference r;
        cleanup_error struct error *err = NULL;
        if (reference_parse(legal[i].text, &r, &err) < 0)
            fail_msg("%s: %s", legal[i].text, err->message);
        assert_string_equal(r.registry, legal[i].registry);
        assert_string_equal(r.repository, legal[i].repository);
        assert_text(r.tag, legal[i].tag);
        assert_text(r.digest, legal[i].digest);
        reference_free(&r);
    }
}

TEST(the_canonical_text_means_the_same)
{
    for (size_t i = 0; i < ARRAY_LEN(legal); i++) {
        struct reference r, again;
        assert_int_equal(reference_parse(legal[i].text, &r, NULL), 0);
        cleanup_free char *text = reference_text(&r);
        assert_int_equal(reference_parse(text, &again, NULL), 0);
        cleanup_free char *second = reference_text(&again);
        assert_string_equal(text, second);
        reference_free(&r);
        reference_free(&again);
    }
}

TEST(no_illegal_reference_is_taken)
{
    for (size_t i = 0; i < ARRAY_LEN(illegal); i++) {
        struct reference r;
        cleanup_error struct error *err = NULL;
        if (reference_parse(illegal[i], &r, &err) == 0) {
            reference_free(&r);
            fail_msg("\"%s\" was taken", illegal[i]);
        }
        assert_non_null(err->hint);
        for (const char *c = err->message; *c; c++)
            assert_true(*c >= ' ' && *c <= '~');
        assert_null(r.registry);
    }
}

TEST(tags_follow_upstreams_rule)
{
    static const struct {
        const char *text, *suffix, *tag;
    } known[] = {
        {"latest-main", "x86_64", "latest-main-x86_64"},
        {"docker://host/pause-3.9", "x86_64", "docker___host_pause-3.9-x86_64"},
        {"a b\tc\n", "s390x", "a_bc-s390x"},
        {"f\xc3\xbc[r]", "m", "f_r_-m"},
        {"-x", "m", "_x-m"},
        {".x", "m", "_x-m"},
    };
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        cleanup_free char *tag = registry_tag(known[i].text, known[i].suffix);
        assert_string_equal(tag, known[i].tag);
    }
    cleanup_free char *cut = registry_tag(X64 X64 X64, "x86_64");
    assert_int_equal(strlen(cut), 127);
    assert_string_equal(cut + 127 - 7, "-x86_64");
}
