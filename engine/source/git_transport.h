// SPDX-License-Identifier: Apache-2.0
// How libgit2's smart protocol reaches a repository. Only within this room.
//
//   http, https     git_http.c: libcurl, so that proxies, CAs, logins and slow servers are treated
//                   as for archives (http/http.h)
//   git             git_stream.c: a socket
//   a folder        git_stream.c: `git upload-pack`, so that a folder behaves as a server would:
//   only what
//                   is reachable from what is wanted counts, whatever else lies in it
//   ssh             libgit2's own
#ifndef KBUILD_SOURCE_GIT_TRANSPORT_H
#define KBUILD_SOURCE_GIT_TRANSPORT_H

#include "base/buf.h"
#include "base/error.h"

#include <git2.h>
#include <git2/sys/transport.h>
#include <stdbool.h>

// What a transport leaves for its session. Zero-initialise; git_outcome_clear() frees it.
struct git_outcome {
    struct error *failure; // why the last request failed, or NULL
    bool may_pass;         // it is worth another try
    unsigned retry_after;  // seconds that the server asks for, or 0
};
void git_outcome_clear(struct git_outcome *o);
// Takes `why` over and tells libgit2. Returns -1.
int git_outcome_fail(struct git_outcome *o, struct error *why);

// Transports for `owner`; `o` must outlive them.
int git_http_transport(git_transport **out, git_remote *owner, struct git_outcome *o);
int git_stream_transport(git_transport **out, git_remote *owner, struct git_outcome *o);
bool git_http_is_url(const char *url);
bool git_stream_is_url(const char *url);
// The folder that a local url names; to be freed.
char *git_folder_of(const char *url);

// gitprotocol-pack(5), "Reference Discovery": a shallow repository says so behind its refs. Looks
// for that in a piece of the advertisement; `seen` keeps the end of the last piece.
bool git_says_shallow(struct buf *seen, const char *bytes, size_t length);
// An error: what is to be done about a shallow repository.
int git_refuse_shallow(struct error **err);

#endif
