// SPDX-License-Identifier: Apache-2.0
// One file that is downloaded, with all its tries. For download.c and downloads.c.
//
//   transfer_open()      the file that the bytes go to, as an earlier call left it
//   transfer_prepare()   t->curl is ready for one request; the caller performs it
//   transfer_judge()     how that went: done, again after a pause, or failed
//   transfer_close()
#ifndef KBUILD_SOURCE_TRANSFER_H
#define KBUILD_SOURCE_TRANSFER_H

#include "http/http.h"
#include "source/download.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <time.h>

struct transfer {
    const struct download *d; // not owned
    CURL *curl;
    char *shown;     // the url, for messages
    uint64_t have;   // bytes in the file
    char *validator; // If-Range value that belongs to them: a strong ETag or Last-Modified, or NULL
    long status;     // of a failure: of HTTP, or 0
    // of the current try
    char *etag, *modified;
    uint64_t range_from;   // Content-Range of a 206
    uint64_t start;        // `have` when it began
    time_t began;          // of a clock that nobody sets
    struct error *failure; // of a callback
    struct http_settings settings;

    struct retry retry;
    unsigned tries;
    int fd;
    bool old_bytes;   // some bytes are of an earlier call
    bool unreachable; // of a failure: no other file of that server would come either
    // of the current try
    bool ranged;     // a range was asked for
    bool begun;      // the first byte of a body came
    bool start_over; // the server's ranges don't fit
    bool too_slow;
    char reason[CURL_ERROR_SIZE];
};

// transfer_close() also after a failure.
int transfer_open(struct transfer *t, const struct download *d, struct error **err);
int transfer_prepare(struct transfer *t, struct error **err);
// `code` is what libcurl said of the request. 1: prepare and perform another one in *wait_ms; 0:
// the file is complete; -1: it failed.
int transfer_judge(struct transfer *t, CURLcode code, unsigned *wait_ms, struct error **err);
void transfer_close(struct transfer *t);

#endif
