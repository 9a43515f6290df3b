// SPDX-License-Identifier: Apache-2.0
// libgit2, loaded as libcurl.h says. Include this, and never <git2.h>.
#ifndef KBUILD_HTTP_LIBGIT2_H
#define KBUILD_HTTP_LIBGIT2_H

#include <git2.h>
#include <git2/sys/transport.h>

#include "lazy/libgit2.h"

#endif
