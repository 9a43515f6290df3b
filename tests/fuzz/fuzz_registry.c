// SPDX-License-Identifier: Apache-2.0
// What a user or a registry writes, by the first byte: a (r)eference, a (c)hallenge, a (m)anifest,
// a (t)oken service's answer, a (u)rl that is led to, a (f)ile of credentials. What is taken holds
// what its header promises. Seeds: tests/fuzz/seeds/registry/.
#include "base/digest.h"
#include "cache/registry_room.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void try_reference(const char *text)
{
    struct reference r, again;
    struct error *err = NULL;
    int result = reference_parse(text, &r, &err);
    require((result < 0) == (err != NULL));
    error_free(err);
    cleanup_free char *tag = registry_tag(text, "x86_64");
    require(strlen(tag) <= 127 && !strpbrk(tag, "/:@ \n"));
    if (result < 0) {
        require(!r.registry && !r.repository && !r.tag && !r.digest);
        return;
    }
    // It goes into URLs and headers as it is.
    require(!strpbrk(r.registry, "/@?#% \r\n") && !strpbrk(r.repository, ":@?#% \r\n"));
    require(!strstr(r.repository, "..") && !strstr(r.repository, "//"));
    require(!r.digest || digest_is_hex(r.digest + 7));
    cleanup_free char *canonical = reference_text(&r);
    require(reference_parse(canonical, &again, NULL) == 0);
    cleanup_free char *second = reference_text(&again);
    require(!strcmp(canonical, second));
    reference_free(&again);
    struct registry *opened = registry_open(&r, NULL, NULL);
    require(!opened || opened->insecure == registry_is_local(r.registry));
    registry_close(opened);
    reference_free(&r);
}

static void try_challenge(const char *text)
{
    struct challenges c = {0};
    challenges_add(&c, text);
    challenges_add(&c, text);
    for (size_t i = 0; i < c.n; i++)
        require(c.items[i].scheme && *c.items[i].scheme);
    challenges_free(&c);
}

static void try_manifest(const char *bytes, size_t length)
{
    struct error *err = NULL;
    cleanup_free char *type = manifest_check(bytes, length, NULL, &err);
    require(!type == !!err);
    error_free(err);
    if (!type)
        return;
    // What it is taken for, it also is if it comes under that name, and under no other.
    cleanup_free char *same = manifest_check(bytes, length, type, NULL);
    require(!strpbrk(type, "; \t") ? same && !strcmp(same, type) : true);
}

static void try_token(const char *bytes, size_t length)
{
    char *token = NULL;
    long seconds = 0;
    if (token_parse(bytes, length, &token, &seconds, NULL) == 0) {
        require(token && *token && !strpbrk(token, " \r\n"));
        require(seconds > 0 && seconds <= 86400);
    }
    free(token);
}

static void try_url(const char *text)
{
    struct url u;
    if (url_parse("https://registry.example.org/v2/a/", text, &u, NULL) == 0) {
        require(starts_with(u.text, u.secure ? "https://" : "http://"));
        require(starts_with(u.origin, u.secure ? "https://" : "http://"));
        require(!strpbrk(u.host, "/@"));
    }
    url_free(&u);
}

static void try_file(const char *bytes, size_t length)
{
    json_t *all = json_loadb(bytes, length, 0, NULL);
    struct credentials c = {0};
    cleanup_free char *helper = NULL;
    struct error *err = NULL;
    int result = credentials_of_file(all, "f", "x.y", "a/b", &c, &helper, &err);
    require((result < 0) == (err != NULL));
    require(!c.user == !c.password);
    error_free(err);
    credentials_free(&c);
    json_decref(all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    cleanup_free char *text = xstrndup((const char *)data + 1, size - 1);
    switch (data[0]) {
    case 'r':
        try_reference(text);
        break;
    case 'c':
        try_challenge(text);
        break;
    case 'm':
        try_manifest(text, size - 1);
        break;
    case 't':
        try_token(text, size - 1);
        break;
    case 'u':
        try_url(text);
        break;
    case 'f':
        try_file(text, size - 1);
        break;
    default:
        break;
    }
    return 0;
}
