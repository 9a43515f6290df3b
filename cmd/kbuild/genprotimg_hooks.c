// SPDX-License-Identifier: Apache-2.0
// Fixes random values, so that `make check-parity` can compare images with genprotimg's byte for
// byte. Compiled with -DKBUILD_TEST_HOOKS only: no installed program has this.
//
//   KBUILD_TEST_RANDOM      file whose bytes replace random ones, in the order in which
//                           genprotimg draws: XTS key, CCK, header key (those not given), header
//                           IV, tweaks of kernel, command line, initrd, stage3b (those present)
//   KBUILD_TEST_CUSTOMER    PEM file of the customer's private key
//   KBUILD_TEST_STAGE3A, KBUILD_TEST_STAGE3B  files of loader templates
#include "se.h"

#ifdef KBUILD_TEST_HOOKS

#include "base/file.h"

#include <stdlib.h>
#include <string.h>

// As long as the process, which seals one image.
static struct buf random_bytes, stages[2];
static unsigned char tweaks[4][6];
static struct se_fixed fixed;

static const unsigned char *draw(size_t length)
{
    static size_t used;
    if (used + length > random_bytes.len) {
        fputs("KBUILD_TEST_RANDOM is too short\n", stderr);
        exit(1);
    }
    used += length;
    return (const unsigned char *)random_bytes.data + used - length;
}

static int fix_random(struct se_input *in, const struct seal_request *r, struct error **err)
{
    const char *path = getenv("KBUILD_TEST_RANDOM"), *customer = getenv("KBUILD_TEST_CUSTOMER");
    if (!path || !customer)
        return 0;
    if (file_read(path, 1 << 16, &random_bytes, err) < 0)
        return -1;
    fixed.customer_key = host_private_key_load(customer, err);
    if (!fixed.customer_key)
        return -1;
    if (!in->keys.xts_key)
        in->keys.xts_key = draw(64);
    if (!in->keys.cck)
        in->keys.cck = draw(32);
    if (!in->keys.header_key)
        in->keys.header_key = draw(32);
    fixed.header_iv = draw(12);
    const bool present[] = {true, r->parmfile, r->initrd, true};
    for (size_t i = 0; i < ARRAY_LEN(present); i++)
        if (present[i])
            memcpy(tweaks[i], draw(6), 6);
    fixed.tweaks = tweaks;
    in->fixed = &fixed;
    return 0;
}

static int fix_stage(const char *variable, struct buf *bytes, const unsigned char **out,
                     size_t *length, struct error **err)
{
    const char *path = getenv(variable);
    if (!path)
        return 0;
    if (file_read(path, 1 << 20, bytes, err) < 0)
        return -1;
    *out = (const unsigned char *)bytes->data;
    *length = bytes->len;
    return 0;
}

int test_hooks_apply(const struct seal_request *r, struct se_input *in, struct error **err)
{
    if (fix_stage("KBUILD_TEST_STAGE3A", &stages[0], &in->stage3a, &in->stage3a_length, err) < 0 ||
        fix_stage("KBUILD_TEST_STAGE3B", &stages[1], &in->stage3b, &in->stage3b_length, err) < 0)
        return -1;
    return fix_random(in, r, err);
}

#endif
