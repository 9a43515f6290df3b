// SPDX-License-Identifier: Apache-2.0
// The transports of libgit2's smart protocol. Only within this directory.
//
//   http, https     git_http.c: libcurl, so that proxies, CAs, logins and slow servers are treated
//                   as for archives (http/http.h)
//   git             git_stream.c: a socket
//   a folder        git_stream.c: `git upload-pack`, so that a folder behaves as a server does:
//                   only objects reachable from the requested ones are sent
//   ssh             libgit2's own
#ifndef KBUILD_SOURCE_GIT_TRANSPORT_H
#define KBUILD_SOURCE_GIT_TRANSPORT_H

#include "base/memory.h"
#include "base/error.h"
#include "http/libgit2.h"

#include <stdbool.h>

// What a transport reports to its session. Zero-initialise; git_outcome_clear() frees it.
struct git_outcome {
    struct error *failure; // why the last request failed, or NULL
    bool may_pass;         // another try may succeed
    unsigned retry_after;  // seconds that the server asks for, or 0
};
void git_outcome_clear(struct git_outcome *o);
// Takes `why` over and reports it to libgit2. Returns -1.
int git_outcome_fail(struct git_outcome *o, struct error *why);

// Transports for `owner`; `o` must outlive them.
int git_http_transport(git_transport **out, git_remote *owner, struct git_outcome *o);
int git_stream_transport(git_transport **out, git_remote *owner, struct git_outcome *o);
bool git_http_is_url(const char *url);
bool git_stream_is_url(const char *url);
// The folder that a local url names; to be freed.
char *git_folder_of(const char *url);

// gitprotocol-pack(5), "Reference Discovery": a shallow repository is marked after its refs.
// Searches a piece of the advertisement for that; `seen` keeps the end of the last piece.
bool git_says_shallow(struct buf *seen, const char *bytes, size_t length);
// An error that says what to do about a shallow repository.
int git_refuse_shallow(struct error **err);

#endif
