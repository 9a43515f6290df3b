// SPDX-License-Identifier: Apache-2.0
// Loads libcrypto, under the name that the compiler's own library has.
#include "base/libcrypto.h"

#include "base/library.h"
#include "base/memory.h"

#include <pthread.h>

static const char *const names[] = {LIBCRYPTO_NAMES};
static struct libcrypto functions;

static void load_libcrypto(void)
{
    union {
        struct libcrypto *functions;
        void **pointers; // dlopen(3): a function is a pointer of the same size
    } out = {.functions = &functions};
    library_load(LIBCRYPTO_SONAME, names, ARRAY_LEN(names), out.pointers);
}

const struct libcrypto *libcrypto(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load_libcrypto);
    return &functions;
}
