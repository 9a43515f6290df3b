// SPDX-License-Identifier: Apache-2.0
// Returns the versions of the libraries that the bytes of a compressed tarball depend on.
#include "pack/pack.h"

#include <archive.h>
#include <lzma.h>
#include <pthread.h>

static char text[160];

static void fill(void)
{
    const char *zlib = archive_zlib_version();
    snprintf(text, sizeof text, "liblzma %s + %s + zlib %s", lzma_version_string(),
             archive_version_string(), zlib ? zlib : "none");
}

const char *pack_codec_version(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, fill);
    return text;
}
