// SPDX-License-Identifier: Apache-2.0
// Implements `kbuild boot`.
#include "kbuild.h"

#include "boot/boot.h"

#include <stdlib.h>

int verb_boot(struct global_options *g, struct strlist *words, struct error **err)
{
    struct boot_options o = {.timeout = 120,
                             .host_key = option_value(g, "--host-key"),
                             .image = option_value(g, "--image"),
                             .qemu = option_value(g, "--qemu"),
                             .root = option_value(g, "--root"),
                             .plain = option_given(g, "--plain"),
                             .verbose = option_given(g, "--verbose")};
    const char *timeout = option_value(g, "--timeout");
    if (timeout) {
        char *end;
        unsigned long n = strtoul(timeout, &end, 10);
        if (*end || *timeout < '0' || *timeout > '9' || n < 1 || n > 86400)
            return usage_error(err, "boot", "--timeout is a number of seconds, from 1 to 86400");
        o.timeout = (unsigned)n;
    }
    if (o.image && command_line_mode(&g->line, "an image that is given",
                                     "--image --host-key --timeout --verbose", err) < 0)
        return -1;
    struct build *b = build_open(&g->build, err);
    int result = b ? build_boot(b, words->items[0], &o, err) : -1;
    build_close(b);
    return result;
}
