// SPDX-License-Identifier: Apache-2.0
// Pushes and pulls through tests/support/fault_proxy.py: each ends, and none is said
// to be good that is not. FAULT_RUNS (500) and FAULT_SEED (1) vary it; FAULT_RUN=N does one alone,
// FAULT_SHOW=1 prints the errors.
#include "test.h"

#include "registry/internal.h"
#include "registry_help.h"

#include <sys/wait.h>

#define BLOBS 3
#define WORKERS 12        // they wait more than they work
#define RUN_SECONDS 60    // nothing may take longer, on however busy a machine
#define CHUNK_SIZE 100000 // so that there are uploads of several parts
#define ALL_SECONDS 200   // no run begins later; run-unit ends everything after 300

static unsigned number(const char *name, unsigned standard)
{
    const char *text = getenv(name);
    return text && *text ? (unsigned)strtoul(text, NULL, 10) : standard;
}

// ---- one run, in a process of its own ----
static unsigned this_run;

// cmocka's own would jump back into the copy of the test that is this process.
__attribute__((format(printf, 2, 3))) static void require(bool holds, const char *format, ...)
{
    if (holds)
        return;
    va_list args;
    va_start(args, format);
    cleanup_free char *what = xvasprintf(format, args);
    va_end(args);
    print_error("run %u: %s\n", this_run, what);
    _exit(1);
}

struct set {
    struct registry_blob blobs[BLOBS];
    char digests[BLOBS][DIGEST_HEX_SIZE];
    char *manifest;
};

static void set_make(struct set *s, uint64_t seed)
{
    static const size_t sizes[] = {1, 3000, 60000, 350000};
    struct buf text = {0};
    buf_puts(&text,
             "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\"");
    for (size_t i = 0; i < BLOBS; i++) {
        size_t size = sizes[(seed + i) % ARRAY_LEN(sizes)] + seed % 97;
        s->blobs[i] =
            (struct registry_blob){.digest = s->digests[i],
                                   .size = size,
                                   .fd = make_blob(seed * BLOBS + i, size, s->digests[i])};
        buf_printf(&text,
                   "%s{\"mediaType\":\"application/octet-stream\",\"size\":%zu,\"digest\":"
                   "\"sha256:%s\"}",
                   i == 0   ? ",\"config\":"
                   : i == 1 ? ",\"layers\":["
                            : ",",
                   size, s->digests[i]);
    }
    buf_puts(&text, "]}");
    s->manifest = buf_take(&text);
}

static void set_close(struct set *s)
{
    for (size_t i = 0; i < BLOBS; i++)
        close(s->blobs[i].fd);
    free(s->manifest);
}

static int push(struct registry *r, struct set *s, struct error **err)
{
    char digest[DIGEST_HEX_SIZE];
    if (registry_push_blobs(r, s->blobs, BLOBS, err) < 0)
        return -1;
    return registry_put_manifest(r, "t", s->manifest, strlen(s->manifest),
                                 "application/vnd.oci.image.manifest.v1+json", digest, err);
}

// What came has its digest; else there is an error, and nothing is left in the files.
static int pull_blobs(struct registry *r, const struct set *s, struct error **err)
{
    struct registry_blob got[BLOBS];
    for (size_t i = 0; i < BLOBS; i++) {
        got[i] = s->blobs[i];
        got[i].fd = empty_file();
    }
    int result = registry_pull_blobs(r, got, BLOBS, err);
    for (size_t i = 0; i < BLOBS; i++) {
        char found[DIGEST_HEX_SIZE] = "";
        require(result < 0 || !got[i].missing, "a blob is said to be missing");
        require(lseek(got[i].fd, 0, SEEK_SET) == 0 &&
                    digest_fd(got[i].fd, "a pulled blob", found, NULL, NULL) == 0,
                "a pulled blob cannot be read");
        bool right = !strcmp(found, got[i].digest);
        require(result < 0 || right, "a blob is %s instead of %s", found, got[i].digest);
        require(right || file_size(got[i].fd) == 0, "what was refused was left");
        close(got[i].fd);
    }
    return result;
}

static int pull(struct registry *r, const struct set *s, const char *tag, struct error **err)
{
    cleanup_buf struct buf bytes = {0};
    cleanup_free char *type = NULL;
    char digest[DIGEST_HEX_SIZE], wanted[DIGEST_HEX_SIZE], what[80];
    digest_bytes(s->manifest, strlen(s->manifest), wanted);
    snprintf(what, sizeof what, "sha256:%s", wanted);
    int found = registry_get_manifest(r, tag ? tag : what, &bytes, &type, digest, err);
    if (found < 0)
        return -1;
    require(found == 1, "the manifest is said to be missing");
    require(!strcmp(bytes.data, s->manifest), "another manifest came");
    return pull_blobs(r, s, err);
}

struct result {
    unsigned runs, good, bad;
};

static void count(struct result *out, int result, struct error **err)
{
    require((result == 0) == (*err == NULL), "result %d %s an error", result,
            *err ? "with" : "without");
    *(result == 0 ? &out->good : &out->bad) += 1;
    if (number("FAULT_SHOW", 0) && *err)
        print_message("run %u: %s\n", this_run, (*err)->message);
    error_free(steal(*err));
}

static struct registry *through(unsigned port, const char *repository)
{
    const struct registry_options o = {
        .tries = 6, .pause_ms = 4, .silence_seconds = 1, .parallel = 2};
    struct registry *r = open_at("127.0.0.1", port, repository, &o);
    r->chunk = CHUNK_SIZE;
    return r;
}

static void one_run(unsigned real, unsigned proxy, unsigned seed, struct result *out)
{
    struct set s;
    struct error *err = NULL;
    cleanup_free char *repository = xasprintf("faults/run-%u", this_run);
    struct registry *straight = open_at("127.0.0.1", real, repository, NULL);
    set_make(&s, (uint64_t)seed * 100000 + this_run);
    alarm(RUN_SECONDS);
    struct registry *r = through(proxy, repository);
    int pushed = push(r, &s, &err);
    count(out, pushed, &err);
    registry_close(r);
    if (pushed < 0)
        require(push(straight, &s, &err) == 0, "%s", err ? err->message : "");
    alarm(RUN_SECONDS);
    r = through(proxy, repository);
    int pulled = pull(r, &s, NULL, &err);
    count(out, pulled, &err);
    registry_close(r);
    // What was said to be there is.
    alarm(RUN_SECONDS);
    if (pulled < 0 || this_run % 8 == 0)
        require(pull(straight, &s, "t", &err) == 0, "%s", err ? err->message : "");
    alarm(0);
    registry_close(straight);
    set_close(&s);
}

// ---- all of them ----
static void work(unsigned worker, unsigned real, unsigned proxy, unsigned seed, int out)
{
    struct result all = {0};
    struct timespec begun, now;
    unsigned only = number("FAULT_RUN", 0), runs = only ? only : number("FAULT_RUNS", 500);
    clock_gettime(CLOCK_MONOTONIC, &begun);
    for (this_run = only ? only : worker + 1; this_run <= runs; this_run += WORKERS) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (now.tv_sec - begun.tv_sec > ALL_SECONDS)
            break; // a machine that does something else; the test says how many there were
        one_run(real, proxy, seed, &all);
        all.runs++;
    }
    require(write(out, &all, sizeof all) == sizeof all, "the result cannot be written");
}

ALL_TESTS(folder_begin, folder_end)

TEST(nothing_wrong_gets_through_and_nothing_hangs)
{
    if (!have_docker_registry())
        skip();
    unsigned seed = number("FAULT_SEED", 1);
    unsigned workers = number("FAULT_RUN", 0) ? 1 : WORKERS;
    setenv("GOGC", "800", 0); // there is little for it to collect
    struct server real = docker_registry_with("faults", "inmemory: {}", "", "");
    cleanup_free char *words = xasprintf("tests/support/fault_proxy.py %u %u", real.port, seed);
    struct server proxy = script_start(words);
    int results[2], failures = 0;
    assert_int_equal(pipe2(results, O_CLOEXEC), 0);
    pid_t pids[WORKERS];
    fflush(NULL);
    for (unsigned i = 0; i < workers; i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i])
            continue;
        work(i, real.port, proxy.port, seed, results[1]);
        exit(0); // with a look for leaks
    }
    struct result all = {0}, one;
    for (unsigned i = 0; i < workers; i++) {
        int status = -1;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        cleanup_free char *how = process_status_text(status);
        if (status)
            print_error("seed %u: a worker ended with %s\n", seed, how);
        failures += status != 0;
    }
    close(results[1]);
    while (read(results[0], &one, sizeof one) == sizeof one)
        all.runs += one.runs, all.good += one.good, all.bad += one.bad;
    close(results[0]);
    close(steal_fd(&proxy.input)); // so that it says what it did
    assert_int_equal(process_wait(proxy.pid, &(int){0}, NULL), 0);
    server_stop(&real);
    print_message("FAULT_SEED=%u: %u runs; %u transfers came through and %u ended in an error\n",
                  seed, all.runs, all.good, all.bad);
    assert_int_equal(failures, 0);
    // Trying again is worth it: with no second try few would come through.
    assert_true(workers == 1 || all.good > 2 * all.bad);
}
