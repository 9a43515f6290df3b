// SPDX-License-Identifier: Apache-2.0
// Prints a plan in the languages of engines.
#include "spread/spread.h"

#include "base/error.h"

int spread_print(const char *format, const struct plan *p, const char *project, struct buf *out,
                 struct error **err)
{
    return error_user(err, "%s: not yet", format);
}
