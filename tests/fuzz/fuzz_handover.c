// SPDX-License-Identifier: Apache-2.0
// What comes with a file that was handed over, by the first byte: an (e)nvelope, a (b)undle, a
// (s)tatement that a trusted key signed, (r)eference values of a launch. What is read is written
// as the same again; only what the TEST key signed vouches; nothing has a finding that is good but
// what was computed. Seeds: tests/fuzz/seeds/handover/. All keys are TEST keys.
#include "fuzz.h"
#include "handover/internal.h"

#define OURS "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
// RFC 8032, 7.1, TEST 1, as PKCS #8 and as a public key.
#define TEST_PRIVATE                                                                               \
    "-----BEGIN PRIVATE KEY-----\n"                                                                \
    "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"                           \
    "-----END PRIVATE KEY-----\n"
#define TEST_PUBLIC                                                                                \
    "-----BEGIN PUBLIC KEY-----\n"                                                                 \
    "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"                               \
    "-----END PUBLIC KEY-----\n"

static struct trusted_keys *keys;
static char *key, *firmware;
static size_t good;

static void free_all(void)
{
    trusted_keys_free(keys);
    free(key);
    free(firmware);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    fuzz_begin("fuzz-handover");
    fuzz_write("key", TEST_PRIVATE, strlen(TEST_PRIVATE));
    fuzz_write("trusted", TEST_PUBLIC, strlen(TEST_PUBLIC));
    fuzz_write("firmware", "no firmware", 11);
    cleanup_free char *trusted = fuzz_path("trusted");
    key = fuzz_path("key");
    firmware = fuzz_path("firmware");
    keys = trusted_keys_load(trusted, NULL);
    require(keys != NULL);
    atexit(free_all);
    return 0;
}

static void try_envelope(const char *text, size_t length)
{
    struct envelope e;
    cleanup_envelope struct envelope again = {0};
    cleanup_buf struct buf once = {0}, twice = {0};
    const char *why = NULL;
    if (!envelope_parse(text, length, &e, &why)) {
        require(why && *why && !e.n);
        return;
    }
    envelope_write(&e, &once);
    require(envelope_parse(once.data, once.len, &again, &why));
    require(again.n == e.n && again.payload.len == e.payload.len);
    envelope_write(&again, &twice);
    require(once.len == twice.len && !memcmp(once.data, twice.data, once.len));
    envelope_free(&e);
}

static void read_all(const struct buf *text, bool is_signed)
{
    struct vouched_list l = {0};
    cleanup_error struct error *err = NULL;
    require_result(bundle_read(text, "bundle", OURS, keys, &l, &err), err);
    require(is_signed || !l.n); // the seeds are signed by nobody
    for (size_t i = 0; i < l.n; i++) {
        require(l.items[i].name && l.items[i].by.key && l.items[i].by.file);
        free(statement_release(l.items[i].statement));
    }
    require(!l.other_files == !l.other_name);
    vouched_free(&l);
}

static void try_bundle(const char *text, size_t length)
{
    const struct buf bytes = {.data = (char *)text, .len = length};
    read_all(&bytes, false);
}

static void try_statement(const char *text, size_t length)
{
    cleanup_buf struct buf line = {0};
    require(statement_sign(key, text, length, &line, NULL) == 0);
    read_all(&line, true);
}

static void drop_finding(enum check_result result, const char *what, const char *text,
                         void *context)
{
    good += result == CHECK_GOOD;
}

static void try_reference(const char *text, size_t length)
{
    const struct buf bytes = {.data = (char *)text, .len = length};
    const struct check_request r = {.firmware = firmware};
    struct check_run c = {.r = &r, .print = drop_finding};
    cleanup_error struct error *err = NULL;
    json_auto_t *reference = NULL;
    good = 0;
    if (!is_launch_reference(&bytes, &reference))
        return;
    require_result(check_launch_reference(&c, reference, &err), err);
    require(!good && c.bad);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct fuzz_kind kinds[] = {
        {'e', try_envelope}, {'b', try_bundle}, {'s', try_statement}, {'r', try_reference}};
    fuzz_run(kinds, ARRAY_LEN(kinds), data, size);
    return 0;
}
