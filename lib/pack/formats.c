// SPDX-License-Identifier: Apache-2.0
// Lists the formats that kbuild writes, one row each, and the versions of the libraries behind
// them.
#include "pack/internal.h"
#include "pack/libarchive.h"

#include "base/library.h"

#include "base/memory.h"

#include <lzma.h>
#include <pthread.h>
#include <string.h>

static const struct {
    enum pack_format format;
    const char *extension;
    const struct compressor *compressor;
    const struct segment_format *segments;
} formats[] = {
    {FORMAT_XZ, "tar.xz", &xz_compressor, &xz_segments},
    {FORMAT_ZSTD, "tar.zst", &zstd_compressor, &zstd_segments},
};

const struct compressor *compressor_for(enum pack_format format)
{
    return formats[format].compressor;
}

const struct segment_format *segment_format(enum pack_format format)
{
    return formats[format].segments;
}

const char *pack_format_extension(enum pack_format format)
{
    return formats[format].extension;
}

int pack_format_named(const char *name, enum pack_format *out, struct error **err)
{
    for (size_t i = 0; i < ARRAY_LEN(formats); i++)
        if (!strcmp(name, formats[i].extension)) {
            *out = formats[i].format;
            return 0;
        }
    error_user(err, "the archive format '%s' is not known", name);
    return error_hint(err, "it can be tar.xz or tar.zst");
}

enum pack_format pack_format_of(const char *file)
{
    for (size_t i = 0; i < ARRAY_LEN(formats); i++)
        if (ends_with(file, formats[i].extension))
            return formats[i].format;
    return FORMAT_XZ;
}

// ---- libarchive, and its version ----

static const char *const library_names[] = {LIBARCHIVE_NAMES};
static struct libarchive library_functions;

static void load_library(void)
{
    union {
        struct libarchive *functions;
        void **pointers; // dlopen(3): a function is a pointer of the same size
    } out = {.functions = &library_functions};
    library_load(LIBARCHIVE_SONAME, library_names, ARRAY_LEN(library_names), out.pointers);
}

const struct libarchive *libarchive(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load_library);
    return &library_functions;
}

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

const char *pack_lzma_version(void)
{
    return lzma_version_string();
}

const char *pack_codec_library(void)
{
    return library_path(libarchive()->archive_version_string_);
}
