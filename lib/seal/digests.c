// SPDX-License-Identifier: Apache-2.0
#include "seal/digests.h"

#include "seal/crypto.h"

#include <openssl/crypto.h>
#include <pthread.h>
#include <signal.h>

#define RUNS 4

struct page_digests {
    EVP_MD_CTX *pld, *ald, *tld;
    bool failed; // ald or tld; written by the caller's thread only

    // A ring: run number n lies in buffer n % RUNS, which is made when it is first needed.
    unsigned char *run[RUNS];
    size_t length[RUNS];

    pthread_t worker;
    bool started;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    // Under the lock:
    uint64_t filled, hashed; // runs so far
    bool stop, worker_failed;
};

// Hashes runs in order until it is told to stop and none is left.
static void *hash_runs(void *argument)
{
    struct page_digests *d = argument;
    pthread_mutex_lock(&d->lock);
    for (;;) {
        while (d->filled == d->hashed && !d->stop)
            pthread_cond_wait(&d->changed, &d->lock);
        if (d->filled == d->hashed)
            break;
        size_t i = d->hashed % RUNS;
        pthread_mutex_unlock(&d->lock);
        bool good = EVP_DigestUpdate(d->pld, d->run[i], d->length[i]) == 1;
        pthread_mutex_lock(&d->lock);
        d->worker_failed |= !good;
        d->hashed++;
        pthread_cond_signal(&d->changed);
    }
    pthread_mutex_unlock(&d->lock);
    return NULL;
}

// The thread takes no signals: they are for the thread that runs the program.
static int start_worker(struct page_digests *d, struct error **err)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int errnum = pthread_create(&d->worker, NULL, hash_runs, d);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (errnum)
        return error_errno(err, errnum, "starting a thread for SHA-512");
    d->started = true;
    return 0;
}

static void stop_worker(struct page_digests *d)
{
    if (!d->started)
        return;
    pthread_mutex_lock(&d->lock);
    d->stop = true;
    pthread_cond_signal(&d->changed);
    pthread_mutex_unlock(&d->lock);
    pthread_join(d->worker, NULL);
    d->started = false;
}

static EVP_MD_CTX *sha512(void)
{
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    if (c && EVP_DigestInit_ex(c, EVP_sha512(), NULL) == 1)
        return c;
    EVP_MD_CTX_free(c);
    return NULL;
}

struct page_digests *page_digests_new(struct error **err)
{
    struct page_digests *d = xcalloc(1, sizeof *d);
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->changed, NULL);
    d->pld = sha512();
    d->ald = sha512();
    d->tld = sha512();
    if (!d->pld || !d->ald || !d->tld)
        crypto_error(err, "setting up SHA-512");
    else if (start_worker(d, err) == 0)
        return d;
    page_digests_free(d);
    return NULL;
}

unsigned char *page_digests_buffer(struct page_digests *d)
{
    pthread_mutex_lock(&d->lock);
    while (d->filled - d->hashed == RUNS)
        pthread_cond_wait(&d->changed, &d->lock);
    unsigned char **run = &d->run[d->filled % RUNS];
    pthread_mutex_unlock(&d->lock);
    if (!*run)
        *run = xmalloc(PAGE_RUN);
    return *run;
}

void page_digests_add(struct page_digests *d, size_t length, const unsigned char prefix[static 8],
                      uint64_t offset, uint64_t address)
{
    pthread_mutex_lock(&d->lock);
    d->length[d->filled % RUNS] = length;
    d->filled++;
    pthread_cond_signal(&d->changed);
    pthread_mutex_unlock(&d->lock);
    for (size_t i = 0; i < length; i += SE_PAGE) {
        unsigned char where[8], tweak[16];
        put_be64(where, address + i);
        page_tweak(prefix, offset + i, tweak);
        if (EVP_DigestUpdate(d->ald, where, sizeof where) != 1 ||
            EVP_DigestUpdate(d->tld, tweak, sizeof tweak) != 1)
            d->failed = true;
    }
}

int page_digests_end(struct page_digests *d, unsigned char pld[static 64],
                     unsigned char ald[static 64], unsigned char tld[static 64], struct error **err)
{
    stop_worker(d);
    if (d->failed || d->worker_failed || EVP_DigestFinal_ex(d->pld, pld, NULL) != 1 ||
        EVP_DigestFinal_ex(d->ald, ald, NULL) != 1 || EVP_DigestFinal_ex(d->tld, tld, NULL) != 1)
        return crypto_error(err, "computing SHA-512");
    return 0;
}

void page_digests_free(struct page_digests *d)
{
    if (!d)
        return;
    stop_worker(d);
    for (size_t i = 0; i < RUNS; i++) {
        if (d->run[i])
            OPENSSL_cleanse(d->run[i], PAGE_RUN);
        free(d->run[i]);
    }
    EVP_MD_CTX_free(d->pld);
    EVP_MD_CTX_free(d->ald);
    EVP_MD_CTX_free(d->tld);
    pthread_cond_destroy(&d->changed);
    pthread_mutex_destroy(&d->lock);
    free(d);
}
