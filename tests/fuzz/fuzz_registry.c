// SPDX-License-Identifier: Apache-2.0
// What a user or a registry writes, by the first byte: a (r)eference, a (c)hallenge, a (m)anifest,
// a (t)oken service's answer, a (u)rl that is led to, a (f)ile of credentials, the answer of their
// (h)elper, an (e)rror of the registry. What is taken holds what its header says.
// Seeds: tests/fuzz/seeds/registry/.
#include "base/digest.h"
#include "fuzz.h"
#include "registry/internal.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    fuzz_begin("fuzz-registry");
    cleanup_free char *none = fuzz_path("registries.conf");
    fuzz_write("registries.conf", "", 0);
    setenv("CONTAINERS_REGISTRIES_CONF", none, 1);
    setenv("HOME", fuzz_folder, 1);
    return 0;
}

static void try_reference(const char *text, size_t length)
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
    require(!opened || opened->insecure == http_host_is_local(r.registry));
    registry_close(opened);
    reference_free(&r);
}

static void try_challenge(const char *text, size_t length)
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

static void try_url(const char *text, size_t length)
{
    struct http_url u;
    if (http_url_parse("https://registry.example.org/v2/a/", text, &u, NULL) == 0) {
        require(starts_with(u.text, u.secure ? "https://" : "http://"));
        require(starts_with(u.origin, u.secure ? "https://" : "http://"));
        require(!strpbrk(u.host, "/@"));
    }
    http_url_free(&u);
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

static void try_helper(const char *text, size_t length)
{
    const struct buf answer = {.data = (char *)text, .len = length};
    struct credentials c = {0};
    cleanup_error struct error *err = NULL;
    int result = credentials_of_answer(&answer, length % 8 ? 0 : 256, &c, &err);
    require_result(result, err);
    require(!c.user == !c.password && (result == 0 || (!c.user && !c.identity_token)));
    credentials_free(&c);
}

// Of a registry that may repeat what it was sent.
static void try_error(const char *text, size_t length)
{
    static const char secret[] = "TESTsecret";
    struct reference name;
    cleanup_error struct error *err = NULL;
    require(reference_parse("registry.example.org/a/b", &name, NULL) == 0);
    const struct registry_options o = {.user = "u", .password = secret};
    struct registry *r = registry_open(&name, &o, NULL);
    require(r != NULL);
    const struct registry_response s = {.status = length % 2 ? 403 : 500,
                                        .body = {.data = (char *)text, .len = length}};
    require(registry_refused(r, &s, &err) < 0 && err);
    require(!strstr(err->message, secret) && !strpbrk(err->message, "\n\r\x1b"));
    registry_close(r);
    reference_free(&name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct fuzz_kind kinds[] = {
        {'r', try_reference}, {'c', try_challenge}, {'m', try_manifest}, {'t', try_token},
        {'u', try_url},       {'f', try_file},      {'h', try_helper},   {'e', try_error}};
    fuzz_run(kinds, ARRAY_LEN(kinds), data, size);
    return 0;
}
