// SPDX-License-Identifier: Apache-2.0
// The download of one file, with all its tries. For download.c and downloads.c.
//
//   transfer_open()      opens the file for the bytes, with those of an earlier call
//   transfer_prepare()   t->curl is ready for one request; the caller performs it
//   transfer_judge()     the result: done, another try after a pause, or failed
//   transfer_close()
#ifndef KBUILD_SOURCE_TRANSFER_H
#define KBUILD_SOURCE_TRANSFER_H

#include "base/error.h"
#include "base/process.h"
#include "http/http.h"
#include "http/libcurl.h"
#include "source/source.h"
#include "store/store.h"

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct transfer {
    const struct download *d; // not owned
    CURL *curl;
    char *shown;     // the url, for messages
    uint64_t have;   // bytes in the file
    char *validator; // If-Range value for them: a strong ETag or Last-Modified, or NULL
    long status;     // of a failure: of HTTP, or 0
    // of the current try
    char *etag, *modified;
    uint64_t range_from;   // Content-Range of a 206
    uint64_t start;        // `have` when it began
    time_t began;          // of a monotonic clock
    struct error *failure; // of a callback
    struct http_settings settings;

    struct retry retry;
    unsigned tries;
    int fd;
    bool old_bytes;   // some bytes are of an earlier call
    bool unreachable; // of a failure: other files of that server would fail, too
    // of the current try
    bool ranged;     // the request had a range
    bool begun;      // the first byte of a body arrived
    bool start_over; // the server's ranges don't fit
    bool too_slow;
    char reason[CURL_ERROR_SIZE];
};

// transfer_close() also after a failure.
int transfer_open(struct transfer *t, const struct download *d, struct error **err);
int transfer_prepare(struct transfer *t, struct error **err);
// `code` is libcurl's result of the request. 1: prepare and perform another one in *wait_ms; 0: the
// file is complete; -1: it failed.
int transfer_judge(struct transfer *t, CURLcode code, unsigned *wait_ms, struct error **err);
void transfer_close(struct transfer *t);

// ---- download ----
// One file over http(s) or file://. Only within this directory.

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

// ---- downloads ----
// Downloads many files in parallel, into the store. Only within this directory.
//
// Sixteen at a time, over one libcurl multi handle: connections are kept and shared, by HTTP/2
// where the server has it. The rules for each file are those of download_file(). A file that
// another process is downloading is skipped and checked again later.

// One file, and its possible origins.
struct parcel {
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
    struct parcel *parcels;
    size_t n;
};
#define DOWNLOADS_FAULTS_MAX 10

// Each downloaded parcel has its digest, and is a blob of the store. A failed one has `why`; after
// DOWNLOADS_FAULTS_MAX failures, or one that shows that a server is unreachable, no others are
// started: they have neither. -1 is for errors of this machine.
int downloads_run(const struct downloads *d, struct error **err);

// ---- partial ----
// A download that is kept after kbuild is killed, and that only one process works on: a locked
// folder of the store, named by the url. Only within this directory.
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

#endif
