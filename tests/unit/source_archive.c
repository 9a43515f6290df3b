// SPDX-License-Identifier: Apache-2.0
// Archives from a server that breaks, lies and refuses; digests, sums files, the lock.
#include "test.h"

#include "source_help.h"

#include "source/download.h"

#define RETRY_FAST ((struct retry){.left = 4, .pause_ms = 5})

static void make_archive(struct place *p)
{
    run_sh(p, "mkdir -p demo-1.0/sub; head -c 300000 /dev/urandom > demo-1.0/noise\n"
              "echo hello > demo-1.0/sub/file; chmod +x demo-1.0/sub/file\n"
              "find demo-1.0 -exec touch -d @1500000000 {} +; touch -d @1500000123 demo-1.0/noise\n"
              "tar -czf demo-1.0.tar.gz demo-1.0");
}

static char *digest_of(struct place *p, const char *name)
{
    return sh(p, "sha256sum < %s | cut -c1-64", name);
}

__attribute__((format(printf, 2, 3))) static char *url_of(struct place *p, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    cleanup_free char *path = xvasprintf(format, args);
    va_end(args);
    return xasprintf("http://127.0.0.1:%u%s", p->port, path);
}

static struct source_spec archive_spec(const char *url, const char *sums, const char *sha256)
{
    return (struct source_spec){.kind = SOURCE_ARCHIVE,
                                .label = (char *)"demo (externals.demo)",
                                .url = (char *)url,
                                .sums = (char *)sums,
                                .sha256 = (char *)sha256};
}

static void begin(struct place *p)
{
    make_archive(p);
    start_http(p);
}

// Resolves and fetches into <folder>/out.
static int get(struct place *p, const struct source_spec *spec, struct error **err)
{
    struct source_pin pin = {0};
    cleanup_free char *out = fresh_folder(p, "out");
    int result = source_resolve(spec, &p->o, &pin, err);
    if (result == 0)
        result = source_fetch(spec, &pin, &p->o, out, NULL, err);
    source_pin_free(&pin);
    return result;
}

// In a process of its own, with a store of its own.
static int get_in_child(struct place *p, unsigned number, const void *context)
{
    const struct source_spec *spec = context;
    cleanup_free char *name = xasprintf("out%u", number);
    cleanup_free char *out = fresh_folder(p, name);
    struct source_pin pin = {0};
    cleanup_error struct error *err = NULL;
    int result = source_resolve(spec, &p->o, &pin, &err);
    if (result == 0)
        result = source_fetch(spec, &pin, &p->o, out, NULL, &err);
    if (result < 0)
        print_message("process %u: %s\n", number, err->message);
    source_pin_free(&pin);
    return result;
}

static char *server_log(struct place *p)
{
    cleanup_free char *path = xasprintf("%s/log", p->folder);
    cleanup_free char *url = url_of(p, "/log");
    struct download d = {.url = url, .label = "log", .path = path, .max_bytes = 1 << 20};
    cleanup_error struct error *err = NULL;
    cleanup_buf struct buf text = {0};
    assert_ok(download_file(&d, NULL, &err), &err);
    assert_ok(file_read(path, 1 << 20, &text, &err), &err);
    unlink(path);
    cleanup_free char *from = xasprintf("%s.from", path);
    unlink(from);
    return buf_take(&text);
}

// Downloads to <folder>/got.
static int download(struct place *p, const char *url, struct retry retry, struct error **err)
{
    cleanup_free char *path = xasprintf("%s/got", p->folder);
    struct download d = {.url = url,
                         .label = "demo",
                         .path = path,
                         .max_bytes = 10 << 20,
                         .retry = retry,
                         .idle_seconds = 1};
    return download_file(&d, NULL, err);
}

// ---- sources ----
EACH_TEST(place_begin, place_end)
ALL_TESTS(home_begin, home_end)

TEST(an_archive_is_unpacked_without_its_top_folder)
{
    struct place *p = *state;
    begin(p);
    cleanup_free char *url = url_of(p, "/plain/demo-1.0.tar.gz");
    cleanup_free char *sha256 = digest_of(p, "demo-1.0.tar.gz");
    struct source_spec spec = archive_spec(url, NULL, sha256);
    cleanup_error struct error *err = NULL;
    assert_ok(get(p, &spec, &err), &err);
    assert_sh(p, "diff -r demo-1.0 out && cat out/sub/file", "hello");
    assert_sh(p, "stat -c %Y out", "1500000123");
    assert_string_equal(lock_find(p->lock, url, NULL)->sha256, sha256);
    assert_null(p->said.data);
    // Once downloaded, never again, also offline and locked.
    p->o.offline = p->o.locked = true;
    assert_ok(get(p, &spec, &err), &err);
    cleanup_free char *log = server_log(p);
    assert_string_equal(log, "/plain/demo-1.0.tar.gz - -\n");
    assert_sh(p, "ls store/tmp | grep download || true", "");
}

TEST(a_local_file_is_an_archive_too)
{
    struct place *p = *state;
    make_archive(p);
    cleanup_free char *url = xasprintf("file://%s/demo-1.0.tar.gz", p->folder);
    struct source_spec spec = archive_spec(url, NULL, NULL);
    cleanup_error struct error *err = NULL;
    assert_ok(get(p, &spec, &err), &err);
    assert_sh(p, "diff -r demo-1.0 out && cat out/sub/file", "hello");
    run_sh(p, "rm demo-1.0.tar.gz");
    cleanup_free char *other = xasprintf("file://%s/none.tar.gz", p->folder);
    struct source_spec missing = archive_spec(other, NULL, NULL);
    assert_refused(get(p, &missing, &err), &err, "none.tar.gz");
}

TEST(an_unknown_archive_is_trusted_once_and_checked_ever_after)
{
    struct place *p = *state;
    begin(p);
    cleanup_free char *url = url_of(p, "/plain/demo-1.0.tar.gz");
    cleanup_free char *sha256 = digest_of(p, "demo-1.0.tar.gz");
    struct source_spec spec = archive_spec(url, NULL, NULL);
    cleanup_error struct error *err = NULL;
    assert_ok(get(p, &spec, &err), &err);
    assert_says(p->said.data, "warning: ");
    assert_says(p->said.data, sha256);
    place_reopen(p);
    run_sh(p, "rm -rf store; echo changed > demo-1.0/noise; tar -czf demo-1.0.tar.gz demo-1.0");
    place_reopen(p);
    cleanup_free char *changed = digest_of(p, "demo-1.0.tar.gz");
    assert_int_equal(get(p, &spec, &err), -1);
    assert_says(err->message, sha256);
    assert_says(err->message, changed);
    assert_says(err->hint, "versions.lock");
}

TEST(wrong_bytes_name_both_digests_and_are_not_kept)
{
    struct place *p = *state;
    begin(p);
    cleanup_free char *url = url_of(p, "/plain/demo-1.0.tar.gz");
    cleanup_free char *is = digest_of(p, "demo-1.0.tar.gz");
    cleanup_free char *other = digest_of(p, "demo-1.0/noise");
    struct source_spec spec = archive_spec(url, NULL, other);
    cleanup_error struct error *err = NULL;
    assert_int_equal(get(p, &spec, &err), -1);
    assert_says(err->message, is);
    assert_says(err->message, other);
    assert_sh(p, "find store -size +10k | wc -l; ls -A out", "0");
}

TEST(versions_yaml_and_the_lock_must_agree)
{
    struct place *p = *state;
    begin(p);
    cleanup_free char *url = url_of(p, "/plain/demo-1.0.tar.gz");
    cleanup_free char *sha256 = digest_of(p, "demo-1.0.tar.gz");
    cleanup_free char *other = digest_of(p, "demo-1.0/noise");
    struct source_spec spec = archive_spec(url, NULL, sha256);
    cleanup_error struct error *err = NULL;
    assert_ok(get(p, &spec, &err), &err);
    struct source_spec changed = archive_spec(url, NULL, other);
    assert_int_equal(get(p, &changed, &err), -1);
    assert_says(err->message, other);
    assert_says(err->message, sha256);
    error_free(steal(err));
    struct source_spec silly = archive_spec(url, NULL, "ABC");
    assert_refused(get(p, &silly, &err), &err, "64 lower-case hexadecimal digits");
}

TEST(offline_and_locked_say_what_is_missing)
{
    struct place *p = *state;
    begin(p);
    cleanup_free char *url = url_of(p, "/plain/demo-1.0.tar.gz");
    cleanup_free char *sha256 = digest_of(p, "demo-1.0.tar.gz");
    cleanup_error struct error *err = NULL;
    struct source_spec unknown = archive_spec(url, NULL, NULL);
    struct source_spec known = archive_spec(url, NULL, sha256);
    p->o.offline = true;
    assert_refused(get(p, &unknown, &err), &err, "the SHA-256 of http://127.0.0.1");
    assert_refused(get(p, &known, &err), &err, "is not in the cache, and --offline");
    lock_free(p->lock);
    p->lock = NULL;
    place_reopen(p);
    p->o.locked = true;
    assert_refused(get(p, &known, &err), &err, "--locked allows nothing else");
    cleanup_free char *log = server_log(p);
    assert_string_equal(log, "\n");
}

TEST(an_unreachable_archive_names_the_other_way)
{
    struct place *p = *state;
    cleanup_free char *url = xasprintf("http://127.0.0.1:%u/demo.tar.gz", free_port());
    struct source_spec spec = archive_spec(url, NULL, NULL);
    spec.debian_too = true;
    cleanup_error struct error *err = NULL;
    assert_int_equal(get(p, &spec, &err), -1);
    assert_says(err->message, "demo (externals.demo): downloading http://127.0.0.1");
    assert_says(err->hint, "--sources=debian");
}

TEST(a_download_goes_on_where_a_killed_one_stopped)
{
    struct place *p = *state;
    begin(p);
    cleanup_free char *url = url_of(p, "/plain/demo-1.0.tar.gz");
    cleanup_free char *sha256 = digest_of(p, "demo-1.0.tar.gz");
    struct source_spec spec = archive_spec(url, NULL, sha256);
    cleanup_error struct error *err = NULL;
    // What a kbuild that was killed leaves behind.
    run_sh(p,
           "d=store/tmp/download-$(printf %%s '%s' | sha256sum | cut -c1-40); mkdir $d;"
           "head -c 100000 demo-1.0.tar.gz > $d/data; printf '\"one\"' > $d/data.from",
           url);
    assert_ok(get(p, &spec, &err), &err);
    cleanup_free char *log = server_log(p);
    assert_string_equal(log, "/plain/demo-1.0.tar.gz bytes=100000- \"one\"\n");
    // Bytes that lie about their version are noticed by the digest, and then all is fetched anew.
    run_sh(p, "rm -rf store out");
    place_reopen(p);
    run_sh(p,
           "d=store/tmp/download-$(printf %%s '%s' | sha256sum | cut -c1-40); mkdir $d;"
           "head -c 100000 /dev/zero > $d/data; printf '\"one\"' > $d/data.from",
           url);
    assert_ok(get(p, &spec, &err), &err);
    assert_sh(p, "diff -r demo-1.0 out && cat out/sub/file", "hello");
}

TEST(a_patch_that_fits_is_applied_and_one_that_does_not_is_named)
{
    struct place *p = *state;
    make_archive(p);
    run_sh(p, "seq 1 30 > demo-1.0/lines; touch -d @1500000000 demo-1.0/lines demo-1.0; tar -czf "
              "demo-1.0.tar.gz demo-1.0; cp -r demo-1.0 new; sed -i s/^20$/twenty/ new/lines;"
              "echo added > new/added; diff -urN demo-1.0 new > good.patch || true\n"
              // the same, 3 lines further down: an offset is fine
              "seq 1 30 | sed '1i a\\nb\\nc' > demo-1.0/lines; touch -d @1500000000 demo-1.0/lines "
              "demo-1.0\n"
              "tar -czf shifted.tar.gz demo-1.0\n"
              // a line of context differs: fuzz is not
              "seq 1 30 | sed s/^17$/x/ > demo-1.0/lines; tar -czf fuzzy.tar.gz demo-1.0");
    cleanup_free char *patch = xasprintf("%s/good.patch", p->folder);
    static const char *const fitting[] = {"demo-1.0.tar.gz", "shifted.tar.gz"};
    cleanup_error struct error *err = NULL;
    for (size_t i = 0; i < ARRAY_LEN(fitting); i++) {
        cleanup_free char *url = xasprintf("file://%s/%s", p->folder, fitting[i]);
        struct source_spec spec = archive_spec(url, NULL, NULL);
        strlist_add(&spec.patches, patch);
        int result = get(p, &spec, &err);
        strlist_free(&spec.patches);
        assert_ok(result, &err);
        assert_sh(p, "grep -c twenty out/lines; cat out/added", "1\nadded");
        assert_sh(p, "stat -c %Y out out/lines out/added | sort -u", "1500000123");
        assert_sh(p, "find out -name '*.orig' -o -name '*.rej'", "");
    }
    cleanup_free char *url = xasprintf("file://%s/fuzzy.tar.gz", p->folder);
    struct source_spec spec = archive_spec(url, NULL, NULL);
    strlist_add(&spec.patches, patch);
    int result = get(p, &spec, &err);
    strlist_free(&spec.patches);
    assert_refused(result, &err, "good.patch");
}

TEST(many_kbuilds_download_the_same_archive_once)
{
    struct place *p = *state;
    begin(p);
    cleanup_free char *url = url_of(p, "/slow/demo-1.0.tar.gz");
    cleanup_free char *sha256 = digest_of(p, "demo-1.0.tar.gz");
    struct source_spec spec = archive_spec(url, NULL, sha256);
    together(p, get_in_child, &spec);
    cleanup_free char *log = server_log(p);
    assert_string_equal(log, "/slow/demo-1.0.tar.gz - -\n");
}

// ---- downloads ----
TEST(a_broken_download_is_resumed)
{
    struct place *p = *state;
    begin(p);
    cleanup_free char *url = url_of(p, "/cut/100000/demo-1.0.tar.gz");
    cleanup_error struct error *err = NULL;
    assert_ok(download(p, url, RETRY_FAST, &err), &err);
    assert_sh(p, "cmp demo-1.0.tar.gz got && echo same", "same");
    cleanup_free char *log = server_log(p);
    assert_string_equal(log, "/cut/100000/demo-1.0.tar.gz - -\n"
                             "/cut/100000/demo-1.0.tar.gz bytes=100000- \"one\"\n");
}

TEST(a_download_survives_servers_that_cannot_resume)
{
    struct place *p = *state;
    begin(p);
    run_sh(p, "head -c 200000 /dev/urandom > demo-1.0.tar.gz.new");
    static const char *const kinds[] = {"cut-blind", "cut-wrong", "cut-changed"};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        cleanup_free char *url = url_of(p, "/%s/100000/demo-1.0.tar.gz", kinds[i]);
        cleanup_error struct error *err = NULL;
        run_sh(p, "rm -f got got.from");
        assert_ok(download(p, url, RETRY_FAST, &err), &err);
        assert_sh(p,
                  i == 2 ? "cmp demo-1.0.tar.gz.new got && echo same"
                         : "cmp demo-1.0.tar.gz got && echo same",
                  "same");
    }
}

TEST(a_server_that_always_breaks_is_given_up)
{
    struct place *p = *state;
    begin(p);
    cleanup_free char *url = url_of(p, "/cut-always/1000/demo-1.0.tar.gz");
    cleanup_error struct error *err = NULL;
    assert_refused(download(p, url, RETRY_FAST, &err), &err, "downloading http://127.0.0.1");
    cleanup_free char *log = server_log(p);
    size_t requests = 0;
    for (const char *c = log; *c; c++)
        requests += *c == '\n';
    assert_int_equal(requests, 5);
    assert_says(log, "bytes=4000-"); // but each try brought it further
}

TEST(retry_after_is_obeyed)
{
    struct place *p = *state;
    begin(p);
    cleanup_free char *url = url_of(p, "/busy/1/demo-1.0.tar.gz");
    cleanup_error struct error *err = NULL;
    struct timespec before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    assert_ok(download(p, url, RETRY_FAST, &err), &err);
    clock_gettime(CLOCK_MONOTONIC, &after);
    assert_true(after.tv_sec * 1000 + after.tv_nsec / 1000000 -
                    (before.tv_sec * 1000 + before.tv_nsec / 1000000) >=
                1000);
    assert_sh(p, "cmp demo-1.0.tar.gz got && echo same", "same");
}

TEST(only_failures_that_may_pass_are_tried_again)
{
    struct place *p = *state;
    begin(p);
    static const struct {
        unsigned status, requests;
    } cases[] = {{404, 1}, {403, 1}, {401, 1}, {408, 5}, {429, 5}, {500, 5}, {503, 5}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_free char *url = url_of(p, "/status/%u", cases[i].status);
        cleanup_free char *line = xasprintf("/status/%u ", cases[i].status);
        cleanup_error struct error *err = NULL;
        assert_int_equal(download(p, url, RETRY_FAST, &err), -1);
        assert_says(err->message, "the server answers with status");
        cleanup_free char *log = server_log(p);
        unsigned requests = 0;
        for (const char *at = log; (at = strstr(at, line)); at++)
            requests++;
        assert_int_equal(requests, cases[i].requests);
    }
}

TEST(a_slow_server_is_waited_for_but_not_a_silent_one)
{
    struct place *p = *state;
    begin(p);
    cleanup_free char *slow = url_of(p, "/slow/demo-1.0.tar.gz");
    cleanup_free char *stall = url_of(p, "/stall/demo-1.0.tar.gz");
    cleanup_error struct error *err = NULL;
    assert_ok(download(p, slow, RETRY_FAST, &err), &err);
    assert_sh(p, "cmp demo-1.0.tar.gz got && echo same", "same");
    assert_refused(download(p, stall, (struct retry){0}, &err), &err, "too slow");
    // A byte now and then is not a transfer.
    cleanup_free char *dribble = url_of(p, "/dribble/demo-1.0.tar.gz");
    assert_refused(download(p, dribble, (struct retry){0}, &err), &err, "too slow");
}

TEST(redirects_are_followed_but_not_to_files_or_for_ever)
{
    struct place *p = *state;
    begin(p);
    cleanup_free char *good = url_of(p, "/redirect/plain/demo-1.0.tar.gz");
    cleanup_free char *file = url_of(p, "/to-file");
    cleanup_free char *loop = url_of(p, "/loop");
    cleanup_error struct error *err = NULL;
    assert_ok(download(p, good, RETRY_FAST, &err), &err);
    assert_sh(p, "cmp demo-1.0.tar.gz got && echo same", "same");
    assert_refused(download(p, file, RETRY_FAST, &err), &err, "rotocol");
    assert_refused(download(p, loop, RETRY_FAST, &err), &err, "redirects");
}

TEST(a_file_over_the_limit_and_other_protocols_are_refused)
{
    struct place *p = *state;
    begin(p);
    cleanup_free char *url = url_of(p, "/plain/demo-1.0.tar.gz");
    cleanup_free char *path = xasprintf("%s/got", p->folder);
    struct download d = {.url = url, .label = "x", .path = path, .max_bytes = 1000};
    cleanup_error struct error *err = NULL;
    assert_refused(download_file(&d, NULL, &err), &err, "larger than the limit of 1000 bytes");
    assert_refused(download(p, "gopher://127.0.0.1/x", RETRY_FAST, &err), &err, "gopher");
    assert_refused(download(p, "nonsense", (struct retry){0}, &err), &err, "nonsense");
}

TEST(an_empty_file_is_downloaded_as_such)
{
    struct place *p = *state;
    begin(p);
    run_sh(p, ": > empty; echo old > got; printf '\"old\"' > got.from");
    cleanup_free char *url = url_of(p, "/plain/empty");
    cleanup_error struct error *err = NULL;
    assert_ok(download(p, url, RETRY_FAST, &err), &err);
    assert_sh(p, "stat -c %s got", "0");
}

// ---- sums ----
#define HEX_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEX_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define HEAD "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n"
#define TAIL "-----BEGIN PGP SIGNATURE-----\n\niQIz\n=abcd\n-----END PGP SIGNATURE-----\n"

TEST(sums_are_read_inside_the_signed_block_only)
{
    static const struct {
        const char *text, *expected; // NULL: an error
    } cases[] = {
        {HEAD HEX_A "  x.tar.xz\n" HEX_B "  y\n" TAIL, HEX_A},
        {HEAD HEX_B "  y\n" HEX_A " *x.tar.xz\n" TAIL, HEX_A},
        {HEAD HEX_A "  x.tar.xz\r\n" TAIL, HEX_A},
        {HEX_A "  x.tar.xz\n", HEX_A}, // a plain list
        {HEX_A "  ./x.tar.xz\n", HEX_A},
        {HEAD HEX_A "  x.tar.xz\n" HEX_A "  x.tar.xz\n" TAIL, HEX_A},
        {HEAD HEX_A "  x.tar.xz\n" HEX_B "  x.tar.xz\n" TAIL, NULL},
        {HEX_A "  x.tar.xz\n" HEAD HEX_B "  x.tar.xz\n" TAIL, NULL}, // in front of the block
        {HEAD HEX_B "  y\n" TAIL HEX_A "  x.tar.xz\n", NULL},        // behind it
        {HEAD HEX_B "  y\n-----BEGIN PGP SIGNATURE-----\n" HEX_A "  x.tar.xz\n"
                    "-----END PGP SIGNATURE-----\n",
         NULL},                            // in the signature
        {HEAD HEX_A "  x.tar.xz\n", NULL}, // no signature
        {"-----BEGIN PGP SIGNED MESSAGE-----\n" HEX_A "  x.tar.xz\n" TAIL, NULL}, // no blank line
        {HEAD HEX_A "  x.tar.xz.sign\n" TAIL, NULL},
        {HEAD HEX_A " x.tar.xz\n" TAIL, NULL},
        {HEAD "AAAA  x.tar.xz\n" TAIL, NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_error struct error *err = NULL;
        char hex[DIGEST_HEX_SIZE] = "";
        int result = sums_find("list", cases[i].text, "x.tar.xz", hex, &err);
        assert_int_equal(result, cases[i].expected ? 0 : -1);
        if (cases[i].expected)
            assert_string_equal(hex, cases[i].expected);
    }
}

TEST(an_archive_is_checked_against_the_sums_file)
{
    struct place *p = *state;
    begin(p);
    run_sh(p, "{ printf '%%s' '" HEAD "'; sha256sum demo-1.0.tar.gz; printf '%%s' '" TAIL
              "'; } > sums.asc");
    cleanup_free char *url = url_of(p, "/plain/demo-1.0.tar.gz");
    cleanup_free char *sums = url_of(p, "/plain/sums.asc");
    cleanup_free char *sha256 = digest_of(p, "demo-1.0.tar.gz");
    struct source_spec spec = archive_spec(url, sums, NULL);
    cleanup_error struct error *err = NULL;
    assert_ok(get(p, &spec, &err), &err);
    assert_string_equal(lock_find(p->lock, url, NULL)->sha256, sha256);
    assert_null(p->said.data); // no warning: the sum came from upstream
    cleanup_free char *other = url_of(p, "/plain/other-2.0.tar.gz");
    struct source_spec unlisted = archive_spec(other, sums, NULL);
    assert_refused(get(p, &unlisted, &err), &err, "has no sum for other-2.0.tar.gz");
}

// Makes a key "TEST" and signs sums.asc with it.
static void sign(struct place *p)
{
    run_sh(p, "export GNUPGHOME=$PWD/g; mkdir -m 700 g\n"
              "gpg -q --batch --passphrase '' --quick-gen-key 'TEST <test@example.org>' rsa2048 "
              "sign 0 2>/dev/null\n"
              "sha256sum demo-1.0.tar.gz | gpg -q --batch --clearsign > sums.asc\n"
              "gpg -q --export > keys.gpg; gpgconf --kill all; rm -rf g");
}

TEST(with_a_keyring_the_signature_counts)
{
    struct place *p = *state;
    cleanup_free char *agent = find_program("gpg-agent"), *gpgv = find_program("gpgv");
    if (!agent || !gpgv)
        skip();
    begin(p);
    sign(p);
    cleanup_free char *url = url_of(p, "/plain/demo-1.0.tar.gz");
    cleanup_free char *sums = url_of(p, "/plain/sums.asc");
    cleanup_free char *keyring = xasprintf("%s/keys.gpg", p->folder);
    struct source_spec spec = archive_spec(url, sums, NULL);
    cleanup_error struct error *err = NULL;
    setenv("KBUILD_KERNEL_KEYRING", keyring, 1);
    int good = get(p, &spec, &err);
    run_sh(p, "sed -i '/demo-1.0/s/^./x/' sums.asc; : > versions.lock");
    lock_free(p->lock);
    p->lock = NULL;
    place_reopen(p);
    cleanup_error struct error *tampered = NULL, *missing = NULL;
    int bad = get(p, &spec, &tampered);
    setenv("KBUILD_KERNEL_KEYRING", "/nonexistent", 1);
    int absent = get(p, &spec, &missing);
    unsetenv("KBUILD_KERNEL_KEYRING");
    assert_ok(good, &err);
    assert_int_equal(bad, -1);
    assert_says(tampered->message, "verifying the signature of");
    assert_int_equal(absent, -1);
    assert_says(missing->message, "/nonexistent does not exist");
}

// gpgv takes a keyring without a slash for one of the user's ~/.gnupg. Here the one that is named
// holds nobody's key, and that of the same name in ~/.gnupg holds the signer's.
TEST(a_keyring_is_the_file_that_is_named)
{
    struct place *p = *state;
    cleanup_free char *agent = find_program("gpg-agent"), *gpgv = find_program("gpgv");
    if (!agent || !gpgv)
        skip();
    begin(p);
    sign(p);
    run_sh(p, "mkdir -m 700 home here; mv keys.gpg home/keys.gpg; : > here/keys.gpg; cp sums.asc "
              "here/-sums");
    cleanup_free char *home = xasprintf("%s/home", p->folder), *old = getcwd(NULL, 0);
    cleanup_free char *here = xasprintf("%s/here", p->folder);
    cleanup_buf struct buf text = {0};
    cleanup_error struct error *err = NULL, *none = NULL;
    setenv("GNUPGHOME", home, 1);
    assert_int_equal(chdir(here), 0);
    int result = sums_verify("-sums", "the sums", "keys.gpg", &text, &err);
    int in_folder = sums_verify("-sums", "the sums", "../home/keys.gpg", &text, &none);
    assert_int_equal(chdir(old), 0);
    unsetenv("GNUPGHOME");
    assert_int_equal(result, -1);
    assert_says(err->message, "verifying the signature of the sums");
    assert_ok(in_folder, &none);
}
