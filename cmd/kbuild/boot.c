// SPDX-License-Identifier: Apache-2.0
#include "kbuild.h"

#include <stdlib.h>

int verb_boot(struct global_options *g, struct strlist *words, struct error **err)
{
    cleanup_strlist struct strlist storage = {0};
    struct boot_options o = {.timeout = 120};
    const char *timeout = NULL;
    const struct verb_option options[] = {
        {"--host-key", NULL, &o.host_key, NULL, NULL},
        {"--image", NULL, &o.image, NULL, NULL},
        {"--plain", NULL, NULL, NULL, &o.plain},
        {"--qemu", NULL, &o.qemu, NULL, NULL},
        {"--root", NULL, &o.root, NULL, NULL},
        {"--timeout", NULL, &timeout, NULL, NULL},
        {"--verbose", NULL, NULL, NULL, &o.verbose},
    };
    if (parse_verb_options("boot", words, options, ARRAY_LEN(options), &storage, err) < 0)
        return -1;
    if (words->n != 1)
        return usage_error(err, "boot", "name one target");
    if (timeout) {
        char *end;
        unsigned long n = strtoul(timeout, &end, 10);
        if (*end || n < 1 || n > 86400)
            return usage_error(err, "boot", "--timeout is a number of seconds, from 1 to 86400");
        o.timeout = (unsigned)n;
    }
    struct build *b = build_open(&g->build, err);
    int result = b ? build_boot(b, words->items[0], &o, err) : -1;
    build_close(b);
    return result;
}
