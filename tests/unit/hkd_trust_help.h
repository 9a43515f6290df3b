// SPDX-License-Identifier: Apache-2.0
// What the tests of verification share: a world of certificates in a folder, and cases in it.
#ifndef KBUILD_TESTS_SEAL_TRUST_HELP_H
#define KBUILD_TESTS_SEAL_TRUST_HELP_H

#include "hkd_world.h"
#include "se_fixture.h"

#include "base/error.h"
#include "hkd/hkd.h"

static char *folder;

struct verdict {
    const char *name;
    const char *hosts, *certificates, *crls; // file names with spaces between
    const char *root;
    const char *message; // a part of the error, or NULL: genuine
    const char *hint;    // a part of that, or NULL
};

#define GOOD "HKD-good.crt"
#define CHAIN "sign.crt inter.crt"
#define LISTS "root.crl inter.crl sign.crl"
#define ROOT "root.crt"

static const struct verdict genuine = {"", GOOD, CHAIN, LISTS, ROOT, NULL, NULL};
// ---- running a case ----

struct files {
    struct strlist hosts, certificates, crls;
    char *root;
    struct host_key *loaded;
    struct trust trust;
};

static inline void split_paths(struct strlist *out, const char *names)
{
    struct strlist words = {0};
    strlist_split(&words, names, " ");
    for (size_t i = 0; i < words.n; i++)
        strlist_addf(out, "%s/%s", folder, words.items[i]);
    strlist_free(&words);
}

static inline void begin_case(const struct verdict *v, struct files *f)
{
    cleanup_error struct error *err = NULL;
    *f = (struct files){0};
    split_paths(&f->hosts, v->hosts);
    split_paths(&f->certificates, v->certificates);
    split_paths(&f->crls, v->crls);
    f->root = xasprintf("%s/%s", folder, v->root);
    f->loaded = xcalloc(f->hosts.n, sizeof *f->loaded);
    for (size_t i = 0; i < f->hosts.n; i++)
        assert_good(host_key_load(f->hosts.items[i], &f->loaded[i], &err));
    f->trust =
        (struct trust){.certificates = &f->certificates, .crls = &f->crls, .root_ca = f->root};
}

static inline void end_case(struct files *f)
{
    for (size_t i = 0; i < f->hosts.n; i++)
        host_key_free(&f->loaded[i]);
    free(f->loaded);
    free(f->root);
    strlist_free(&f->hosts);
    strlist_free(&f->certificates);
    strlist_free(&f->crls);
}

// `set` and not the error itself: it is read after `result` was worked out.
static inline void assert_verdict(const struct verdict *v, int result, struct error **set)
{
    const struct error *err = *set;
    if (!v->message) {
        if (result != 0)
            fail_msg("refused: %s", err->message);
        return;
    }
    assert_int_equal(result, -1);
    assert_message(err, v->message);
    assert_int_equal(err->kind, ERROR_USER);
    assert_null(strchr(err->message, '\n'));
    assert_non_null(err->hint);
    if (v->hint && !strstr(err->hint, v->hint))
        fail_msg("\"%s\" is not in the hint \"%s\"", v->hint, err->hint);
}

// ---- all of it ----

static inline void drop(enum log_level level, const char *line, void *context)
{
}

static inline void put_text(const char *name, const char *text, size_t length)
{
    cleanup_free char *path = xasprintf("%s/%s", folder, name);
    put_file(path, text, length);
}

static inline void put_odd_files(void)
{
    cleanup_buf struct buf good = {0}, der = {0};
    cleanup_free char *path = xasprintf("%s/chain.pem", folder);
    cleanup_free char *der_path = xasprintf("%s/sign-der.crt", folder);
    get_file(path, &good);
    get_file(der_path, &der);
    put_text("garbage", "garbage", 7);
    put_text("empty", "", 0);
    put_text("cut.pem", good.data, good.len - 100);
    static const char private[] =
        "-----BEGIN PRIVATE KEY-----\nVEVTVA==\n-----END PRIVATE KEY-----\n";
    static const char other[] = "-----BEGIN PKCS7-----\nVEVTVA==\n-----END PKCS7-----\n";
    static const char damaged[] =
        "-----BEGIN CERTIFICATE-----\nVEVTVA==\n-----END CERTIFICATE-----\n";
    put_text("private.pem", private, strlen(private));
    put_text("other.pem", other, strlen(other));
    put_text("damaged.pem", damaged, strlen(damaged));
    buf_puts(&der, "x");
    put_text("behind.crt", der.data, der.len);
}

static inline int begin(void **state)
{
    folder = make_temporary_directory("/tmp", "trust-test", NULL);
    if (!folder)
        return -1;
    world_make(folder, "http://127.0.0.1:9/");
    put_odd_files();
    log_redirect(drop, NULL);
    return 0;
}

static inline int end(void **state)
{
    remove_tree(folder, NULL);
    free(folder);
    return 0;
}

#endif
