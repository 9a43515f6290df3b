// SPDX-License-Identifier: Apache-2.0
// libgit2, loaded as libcurl.h says. Include this, and never <git2.h>.
#ifndef KBUILD_HTTP_LIBGIT2_H
#define KBUILD_HTTP_LIBGIT2_H

#include <git2.h>
#if __has_include(<git2/sys/errors.h>)
#include <git2/sys/errors.h> // since 1.8, for git_error_set_str()
#endif
#include <git2/sys/transport.h>

#include "lazy/libgit2.h"

#endif
