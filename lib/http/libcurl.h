// SPDX-License-Identifier: Apache-2.0
// libcurl, loaded when a function of it is called for the first time (base/library.h): libcurl,
// libgit2 and all that they need are 32 shared libraries.
//
// Include this, and never <curl/curl.h>. The functions are called as always; those that are not in
// libcurl.functions do not link. If the library is missing, the process ends, as one does that is
// linked with it.
#ifndef KBUILD_HTTP_LIBCURL_H
#define KBUILD_HTTP_LIBCURL_H

#include <curl/curl.h>

#include "lazy/libcurl.h"

#endif
