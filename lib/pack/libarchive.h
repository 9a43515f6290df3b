// SPDX-License-Identifier: Apache-2.0
// libarchive, loaded when a function of it is called for the first time (base/library.h): it needs
// libxml2, ICU and libstdc++, for formats that are not read here. Include this, and never
// <archive.h>.
#ifndef KBUILD_PACK_LIBARCHIVE_H
#define KBUILD_PACK_LIBARCHIVE_H

#include <archive.h>
#include <archive_entry.h>

#include "lazy/libarchive.h"

#endif
