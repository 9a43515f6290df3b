// SPDX-License-Identifier: Apache-2.0
// Downloads files over http(s), or from file://, one or many at a time: by the common client
// (http/http.h), with what a file needs besides: bytes of an earlier call are kept, and a try
// resumes there. Lists of SHA-256 sums. For this room and its tests.
//
// Ownership: of the caller, but for the error of a failed item (`why`), which the caller frees.
// Errors name the URL without its login.
#ifndef KBUILD_SOURCE_DOWNLOAD_H
#define KBUILD_SOURCE_DOWNLOAD_H

#include "base/digest.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/process.h"
#include "http/http.h"
#include "store/store.h"

#include <stdbool.h>
#include <stdint.h>

// ---- one file ----
#define RETRY_DOWNLOAD ((struct retry){.left = 4, .pause_ms = 500})

// Zero-initialise, then set; nothing is owned.
struct download {
    const char *url;
    const char *label;       // for progress; NULL: none is shown
    const char *path;        // where it goes; "<path>.from" beside it has its version
    uint64_t max_bytes;      // a larger file is an error
    struct retry retry;      // RETRY_DOWNLOAD
    uint64_t worth_resuming; // a smaller file is not resumed later
    unsigned idle_seconds;   // a try ends after this time without data; 0: 60
};
// On success the file is complete. On failure the received bytes stay at `path`, and the next call,
// also of another process, resumes there if the server still has the same version (RFC 9110,
// sections 13.1.5 and 14.2). Failures that may pass (broken connections, 408, 429, 5xx) are tried
// again; others are not. The caller locks `path` against other processes. *resumed (may be NULL) is
// set if the file has bytes of an earlier call.
int download_file(const struct download *d, bool *resumed, struct error **err);

// ---- the same, step by step ----
//
//   download_open()      opens the file for the bytes, with those of an earlier call
//   download_prepare()   s->http is ready for one try; the caller runs it
//   download_judge()     the result: done, another try after a pause, or failed
//   download_close()
struct download_state {
    const struct download *d; // not owned
    struct http_transfer http;
    char *shown;      // the url, for messages
    uint64_t have;    // bytes in the file
    char *validator;  // If-Range value for them: a strong ETag or Last-Modified, or NULL
    long status;      // of a failure: of HTTP, or 0
    bool old_bytes;   // some bytes are of an earlier call
    bool unreachable; // of a failure: other files of that server would fail, too

    struct retry retry;
    unsigned tries;
    int fd;
    // of the current try
    char *etag, *modified;
    uint64_t range_from; // Content-Range of a 206
    uint64_t start;      // `have` when it began
    bool ranged;         // the request had a range
    bool begun;          // the first byte of a body arrived
    bool start_over;     // the server's ranges don't fit
};
// *s must not move afterwards. download_close() also after a failure.
int download_open(struct download_state *s, const struct download *d, struct error **err);
int download_prepare(struct download_state *s, struct error **err);
// 1: prepare and run another try in *wait_ms; 0: the file is complete; -1: it failed.
int download_judge(struct download_state *s, unsigned *wait_ms, struct error **err);
void download_close(struct download_state *s);

// ---- the place of an unfinished download ----
// A download that is kept after kbuild is killed, and that only one process works on: a locked
// folder of the store, named by the url.
//
//   <store>/tmp/download-<first 40 hex digits of SHA-256 of the url>/data, data.from

struct partial {
    char *folder, *data; // data: the file that is downloaded
    int lock;
};
#define PARTIAL_NONE ((struct partial){.lock = -1})
#define cleanup_partial __attribute__((cleanup(partial_close)))

// Waits, with a note, while another process holds it.
int partial_open(struct partial *p, struct store *store, const char *url, struct error **err);
// 1: opened; 0: another process holds it; -1: error.
int partial_try(struct partial *p, struct store *store, const char *url, struct error **err);
// The data becomes a blob of the store, without a copy.
int partial_store(const struct partial *p, struct store *store, char digest[static DIGEST_HEX_SIZE],
                  struct error **err);
void partial_remove(const struct partial *p); // the bytes are unusable
// Removes the folder if it is empty.
void partial_close(struct partial *p);

// ---- many files (downloads.c) ----
// Sixteen at a time, into the store: connections are kept and shared, by HTTP/2 where the server
// has it. The rules for each file are those of download_file(). A file that another process is
// downloading is skipped and checked again later.

// One file, and its possible origins.
struct download_item {
    const char *name;        // for messages
    const char *const *urls; // in the order of trial
    size_t url_count;        // at least one
    const char *sha256;      // the expected one, or NULL
    uint64_t max_bytes;      // a larger one is an error
    // Of the call:
    bool missing;                 // no server has it (404, 410)
    long status;                  // of HTTP, from the last address; or 0
    char digest[DIGEST_HEX_SIZE]; // of the blob, or ""
    struct error *why;            // why it could not be downloaded; the caller frees it
};

struct downloads {
    struct store *store;
    const char *label; // for progress and notes
    struct download_item *items;
    size_t n;
};
#define DOWNLOADS_FAILURES_MAX 10

// Each downloaded item has its digest, and is a blob of the store. A failed one has `why`; after
// DOWNLOADS_FAILURES_MAX failures, or one that shows that a server is unreachable, no others are
// started: they have neither. -1 is for errors of this machine.
int downloads_run(const struct downloads *d, struct error **err);

// ---- lists of sums (archive.c) ----
// In the format of sha256sum(1), clear-signed (RFC 9580, section 7) as kernel.org's sha256sums.asc
// is.

// The sum of the file `name`. In a clear-signed text only lines inside the signed block count, and
// only blank lines may precede it. Errors: lines of any other form, a file twice with different
// sums, a missing signature. `list` is for messages.
int sums_find(const char *list, const char *text, const char *name,
              char out[static DIGEST_HEX_SIZE], struct error **err);
// Verifies the signature of the file at `path` with gpgv and the keys in `keyring`; *signed_text
// gets the signed text.
int sums_verify(const char *path, const char *list, const char *keyring, struct buf *signed_text,
                struct error **err);

#endif
