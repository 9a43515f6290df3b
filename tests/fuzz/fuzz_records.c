// SPDX-License-Identifier: Apache-2.0
// Records and their signatures, by the first byte: an (a)ction record of the cache, an
// (e)ntry of the shared cache, one of a (b)uilder, a record whose mark has the signature (v), a
// (p)rebuilt manifest with its sums behind an empty line, what a (c)hild tells, a (t)ree's listing,
// a list of trusted (k)eys, a (P)lan for several machines, the manifest of its project (A), a
// record of a (R)un, a (K)ey that is private, a (s)eal record, a (m)odule's signature as DER, or
// changes to a signed module (M; three bytes each: where, and the new value). What is accepted
// leaves only the files that it may, and nothing changed is taken for signed. Seeds:
// tests/fuzz/seeds/records/. All keys are TEST keys.
#include "crypto/crypto.h"
#include "fuzz.h"
#include "report/report.h"
#include "run/internal.h"
#include "run/plan_file.h"
#include "run/schedule.h"
#include "se/internal.h"
#include "share/internal.h"
#include "store/internal.h"
#include "store/store.h"

#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#define KEY_TEXT "key text\n"
#define PACKAGES                                                                                   \
    "kbuild packages 1\npackage amd64 gcc 1 amd64 "                                                \
    "d9014c4624844aa5bac314773d6b689ad467fa4e1d1a50a1b8a99d5a95f72ff5\n"
// RFC 8032, 7.1, TEST 1, as PKCS #8 and as a public key.
#define TEST_PRIVATE                                                                               \
    "-----BEGIN PRIVATE KEY-----\n"                                                                \
    "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"                           \
    "-----END PRIVATE KEY-----\n"
#define TEST_PUBLIC                                                                                \
    "-----BEGIN PUBLIC KEY-----\n"                                                                 \
    "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"                               \
    "-----END PUBLIC KEY-----\n"

static struct recipe_builder builder = {.name = (char *)"kernel"};
static char *output_names[] = {(char *)"x"}, *package_names[] = {(char *)"gcc"};
static struct recipe recipe = {.name = (char *)"kernel-confidential",
                               .builder = &builder,
                               .outputs = {.items = output_names, .n = 1}};
static struct trusted_keys *keys;
static struct signature by; // of `statement`
static const struct buf statement = {.data = (char *)"TEST statement\n", .len = 15};
static struct module_signer *signer;
static struct buf module; // signed
static size_t module_size;
static char package_list[DIGEST_HEX_SIZE]; // of the builder's record among the seeds

static struct job new_job(void)
{
    struct job job = {.recipe = &recipe,
                      .label = (char *)"kernel",
                      .target = arch_find("s390x", NULL),
                      .packages = {.items = package_names, .n = 1}};
    memcpy(job.package_list, package_list, sizeof package_list);
    return job;
}

static struct node new_node(enum node_kind kind, struct job *job)
{
    struct node n = {.kind = kind, .name = (char *)"kernel-confidential:s390x", .data = job};
    digest_bytes(KEY_TEXT, strlen(KEY_TEXT), n.key);
    return n;
}

static void forget(struct node *n)
{
    struct job *job = job_of(n);
    graph_set_outputs(n, NULL, 0);
    free(job->summary);
}

// ---- setting up ----

static void make_signer(void)
{
    cleanup_free char *key_file = fuzz_path("module.key"), *certificate = fuzz_path("module.crt");
    cleanup_close int fd = open(key_file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    EVP_PKEY *key = EVP_RSA_gen(2048);
    X509 *x = X509_new();
    FILE *k = fdopen(steal_fd(&fd), "w"), *c = fopen(certificate, "w");
    char digest[DIGEST_HEX_SIZE];
    require(key && x && k && c && X509_set_version(x, X509_VERSION_3) == 1);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), 0);
    X509_gmtime_adj(X509_getm_notAfter(x), 86400);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                               (const unsigned char *)"TEST", -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(x));
    X509_set_pubkey(x, key);
    require(X509_sign(x, key, EVP_sha256()) > 0 && PEM_write_X509(c, x) == 1);
    require(PEM_write_PrivateKey(k, key, NULL, NULL, 0, NULL, NULL) == 1);
    fclose(k);
    fclose(c);
    signer = module_signer_load(certificate, key_file, digest, NULL);
    X509_free(x);
    EVP_PKEY_free(key);
    require(signer != NULL);
}

static void free_all(void)
{
    trusted_keys_free(keys);
    module_signer_free(signer);
    buf_free(&module);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    fuzz_begin("fuzz-records");
    fuzz_write("key", TEST_PRIVATE, strlen(TEST_PRIVATE));
    fuzz_write("trusted", TEST_PUBLIC, strlen(TEST_PUBLIC));
    cleanup_free char *key = fuzz_path("key"), *trusted = fuzz_path("trusted");
    keys = trusted_keys_load(trusted, NULL);
    require(keys && signature_make(key, &statement, &by, NULL) == 0);
    require(trusted_keys_accept(keys, &by, &statement));
    digest_bytes(PACKAGES, strlen(PACKAGES), package_list);
    make_signer();
    buf_puts(&module, "\177ELF TEST module");
    module_size = module.len;
    require(module_sign(signer, &module, NULL) == 0 && module_verify(signer, &module, NULL) == 1);
    atexit(free_all);
    return 0;
}

// ---- records ----

// Whatever a record names that was accepted becomes a file of this name.
static void check_outputs(const struct node *n)
{
    for (size_t i = 0; i < n->output_count; i++)
        require(digest_is_hex(n->outputs[i].digest) && path_is_clean(n->outputs[i].name) &&
                !strchr(n->outputs[i].name, '/'));
}

static void take_record(struct node *n, const json_t *record)
{
    bool allowed = outputs_allowed(n, record);
    if (outputs_from_record(n, record) && allowed)
        check_outputs(n);
    require(!allowed || n->output_count);
}

static void try_action(const char *text, size_t length)
{
    char key[DIGEST_HEX_SIZE];
    const struct buf bytes = {.data = (char *)text, .len = length};
    const char *wrong = NULL;
    digest_bytes(KEY_TEXT, strlen(KEY_TEXT), key);
    json_t *record = action_parse(&bytes, key, &wrong);
    require(!record == !!wrong);
    require(!record || !json_object_get(record, "sha256"));
    json_decref(record);
}

static void read_entry(enum node_kind kind, const char *text, size_t length)
{
    struct job job = new_job();
    struct node n = new_node(kind, &job);
    struct entry e = {0};
    const struct buf bytes = {.data = (char *)text, .len = length};
    cleanup_error struct error *err = NULL;
    int result = entry_read(&n, &bytes, &e, &err);
    require_result(result, err);
    require(result <= 0 || !strcmp(e.key, n.key));
    if (result > 0) {
        cleanup_buf struct buf lines = {0};
        take_record(&n, e.record);
        for (size_t i = 0; i < n.output_count; i++)
            require(!entry_layer(&e, n.outputs[i].name) ||
                    oci_descriptor_digest(entry_layer(&e, n.outputs[i].name), NULL));
        entry_statement(e.key, &e, &lines);
        json_decref(entry_record(e.record));
    }
    entry_free(&e);
    forget(&n);
}

static void try_entry(const char *text, size_t length)
{
    read_entry(NODE_ARTIFACT, text, length);
}

static void try_builder(const char *text, size_t length)
{
    read_entry(NODE_BUILDER, text, length);
}

static void try_mark(const char *text, size_t length)
{
    struct job job = new_job();
    struct node n = new_node(NODE_ARTIFACT, &job);
    struct build b = {.trusted = length % 2 ? keys : NULL};
    json_t *record = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
    bool holds = record_trusted(&b, &n, record);
    const json_t *mark = json_object_get(record, SHARED_MARK);
    // Nothing with a mark has the one signature there is: what it states names no output.
    require(!mark || !b.trusted || !holds);
    take_record(&n, record);
    json_decref(record);
    forget(&n);
}

static void try_prebuilt(const char *text, size_t length)
{
    const char *end = memmem(text, length, "\n\n", 2);
    struct prebuilt_files files = {0};
    cleanup_error struct error *err = NULL, *why = NULL;
    json_t *manifest = json_loadb(text, end ? (size_t)(end - text) : length, 0, NULL);
    require_result(prebuilt_files_read(manifest, &files, &err), err);
    for (size_t i = 0; i < files.n; i++)
        require(path_is_clean(files.items[i].title) && !strchr(files.items[i].title, '/') &&
                digest_is_hex(files.items[i].digest));
    int result = prebuilt_check_sums(&files, "x", end ? end + 2 : "", &why);
    require_result(result, why);
    require(result < 0 || prebuilt_tarball(&files, "x"));
    free(files.items);
    json_decref(manifest);
}

static void try_child(const char *text, size_t length)
{
    static const struct schedule_actions none;
    struct task t = {.log = STEPLOG_NONE};
    int ends[2];
    if (length > 60000) // more than a pipe holds
        return;
    require(pipe2(ends, O_CLOEXEC) == 0 && fd_write_all(ends[1], "pipe", text, length, NULL) == 0);
    close(ends[1]);
    t.events = ends[0];
    while (t.events >= 0)
        child_read(&t, &none);
    require(outcome_is_good(&t.outcome) == json_is_object(t.outcome.record));
    require((t.outcome.kind == OUTCOME_NONE || outcome_is_good(&t.outcome)) == !t.outcome.error);
    outcome_free(&t.outcome);
    for (size_t i = 1; i < t.phase_count; i++)
        require(t.phases[i - 1].began_ms <= t.phases[i].began_ms);
    task_forget_phases(&t);
    buf_free(&t.pending);
    free(t.progress);
}

static void try_tree(const char *text, size_t length)
{
    cleanup_tree_reader struct tree_reader r = {.text = text, .length = length};
    cleanup_error struct error *err = NULL;
    cleanup_buf struct buf again = {0};
    const struct buf whole = {.data = (char *)text, .len = length};
    uint64_t bytes;
    int more;
    buf_puts(&again, "kbuild-tree 1\n");
    while ((more = tree_next(&r, &err)) > 0) {
        const struct tree_entry *e = &r.entry;
        require(path_is_clean(e->path) && (e->kind == TREE_LINK) == (e->target != NULL));
        buf_printf(&again, "%c ", (char)e->kind);
        if (*e->digest)
            buf_printf(&again, "%llu %s ", (unsigned long long)e->size, e->digest);
        if (e->target) {
            tree_escape(&again, e->target);
            buf_puts(&again, " ");
        }
        tree_escape(&again, e->path);
        buf_puts(&again, "\n");
    }
    require_result(more, err);
    // There is one way only to write a tree down.
    require(more || (again.len == length && !memcmp(again.data, text, length)));
    require(tree_bytes(text, length, &bytes, NULL) == more);
    require(tree_difference(&whole, &whole) == NULL);
    free(tree_difference(&whole, &again));
}

// ---- plans ----

// What is accepted is written as the same plan, and has what its readers rely on.
static void try_plan(const char *text, size_t length)
{
    struct plan p, second;
    cleanup_error struct error *err = NULL;
    int result = plan_parse("plan", text, length, &p, &err);
    require_result(result, err);
    if (result < 0) {
        require(!p.header && !p.nodes && err->kind == ERROR_USAGE);
        return;
    }
    cleanup_buf struct buf once = {0}, twice = {0};
    plan_print(&p, &once);
    require(plan_parse("plan", once.data, once.len, &second, NULL) == 0);
    plan_print(&second, &twice);
    require(once.len == twice.len && !memcmp(once.data, twice.data, once.len));
    for (size_t i = 0; i < json_array_size(p.nodes); i++) {
        const json_t *line = json_array_get(p.nodes, i), *needs = json_object_get(line, "needs");
        require(plan_node(&p, json_string_value(json_object_get(line, "node"))) == line);
        for (size_t k = 0; k < json_array_size(needs); k++)
            require(plan_node(&p, json_string_value(json_array_get(needs, k))) != NULL);
    }
    require(plan_grain_of(&p) == plan_grain_of(&second));
    free(plan_unresolved(&p));
    plan_free(&p);
    plan_free(&second);
}

static void try_project(const char *text, size_t length)
{
    const struct buf bytes = {.data = (char *)text, .len = length};
    cleanup_error struct error *err = NULL;
    json_auto_t *manifest = artifact_manifest(&bytes, &err);
    const json_t *layers = json_object_get(manifest, "layers");
    require(!manifest == !!err);
    for (size_t i = 0; i < json_array_size(layers); i++)
        require(oci_descriptor_digest(json_array_get(layers, i), NULL) != NULL);
}

// ---- keys and signatures ----

static void try_keys(const char *text, size_t length)
{
    cleanup_error struct error *err = NULL;
    fuzz_write("list", text, length);
    cleanup_free char *path = fuzz_path("list");
    struct trusted_keys *list = trusted_keys_load(path, &err);
    require(!list == !!err);
    const struct buf other = {.data = (char *)"TEST other\n", .len = 11};
    require(!list || !trusted_keys_accept(list, &by, &other));
    trusted_keys_free(list);
}

static void try_key(const char *text, size_t length)
{
    bool locked = false;
    EVP_PKEY *key = private_key_parse(text, length, &locked);
    require(!key || !locked);
    EVP_PKEY_free(key);
}

static void try_seal_record(const char *text, size_t length)
{
    cleanup_error struct error *err = NULL, *why = NULL;
    cleanup_record struct seal_record r = {0}, second = {0};
    cleanup_buf struct buf once = {0}, twice = {0};
    cleanup_free char *path = fuzz_path("record");
    fuzz_write("record", text, length);
    int result = seal_record_read(path, &r, &err);
    require_result(result, err);
    if (result < 0)
        return;
    if (seal_record_write(&r, &once, &why) < 0)
        abort();
    fuzz_write("record", once.data, once.len);
    require(seal_record_read(path, &second, NULL) == 0);
    require(seal_record_write(&second, &twice, NULL) == 0);
    require(once.len == twice.len && !memcmp(once.data, twice.data, once.len));
}

// The bytes as the signature of a module, in its frame.
static void try_der(const char *text, size_t length)
{
    static const unsigned char mark[] = "~Module signature appended~\n";
    const unsigned char trailer[12] = {[2] = 2,
                                       [8] = (unsigned char)(length >> 24),
                                       [9] = (unsigned char)(length >> 16),
                                       [10] = (unsigned char)(length >> 8),
                                       [11] = (unsigned char)length};
    cleanup_buf struct buf m = {0};
    cleanup_error struct error *err = NULL;
    buf_puts(&m, "\177ELF another");
    buf_add(&m, text, length);
    buf_add(&m, trailer, sizeof trailer);
    buf_add(&m, mark, sizeof mark - 1);
    require(module_is_signed(&m) && module_verify(signer, &m, &err) == 0 && !err);
}

// What still verifies has the content that was signed.
static void try_changes(const char *text, size_t length)
{
    cleanup_buf struct buf m = {0};
    cleanup_error struct error *err = NULL;
    buf_add(&m, module.data, module.len);
    for (; length >= 3; text += 3, length -= 3)
        m.data[((unsigned char)text[0] << 8 | (unsigned char)text[1]) % m.len] = text[2];
    int result = module_verify(signer, &m, &err);
    require_result(result, err);
    require(result <= 0 || !memcmp(m.data, module.data, module_size));
}

// Its page is text and elements of ours, whatever the record says.
static void try_run(const char *text, size_t length)
{
    const struct strlist all = {0};
    cleanup_buf struct buf page = {0};
    cleanup_error struct error *err = NULL;
    int result = report_page(text, length, "run.json", &all, NULL, true, &page, &err);
    require_result(result, err);
    require((result < 0) == !page.len);
    require(result < 0 || (!strstr(page.data, "<script") && strlen(page.data) == page.len));
    for (size_t i = 0; i < page.len; i++)
        require((unsigned char)page.data[i] >= ' ' || page.data[i] == '\n');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct fuzz_kind kinds[] = {
        {'a', try_action},   {'e', try_entry},       {'b', try_builder}, {'v', try_mark},
        {'p', try_prebuilt}, {'c', try_child},       {'t', try_tree},    {'k', try_keys},
        {'K', try_key},      {'s', try_seal_record}, {'m', try_der},     {'M', try_changes},
        {'P', try_plan},     {'A', try_project},     {'R', try_run}};
    fuzz_run(kinds, ARRAY_LEN(kinds), data, size);
    return 0;
}
