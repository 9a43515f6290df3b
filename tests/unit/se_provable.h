// SPDX-License-Identifier: Apache-2.0
// What tests of provable sealing share: the known secret, and the inputs of the image that is made
// with it.
#ifndef KBUILD_TESTS_SEAL_PROVABLE_H
#define KBUILD_TESTS_SEAL_PROVABLE_H

#include "se_fixture.h"

#include "se/internal.h"

#define SECRET_SIZE 64u

static unsigned char secret[SECRET_SIZE]; // 00 01 .. 3F

static inline struct se_input provable(const struct fixture *f)
{
    struct se_input in = f->input;
    count_up(secret, sizeof secret, 0);
    in.fixed = NULL;
    in.keys = (struct se_keys){0};
    in.secret = secret;
    in.secret_length = sizeof secret;
    return in;
}

// The inputs of the known-answer image, as sealing collects them.
static inline void known_inputs(const struct fixture *f, struct seal_inputs *out)
{
    cleanup_buf struct buf kernel = {0}, initrd = {0};
    get_file(f->kernel, &kernel);
    get_file(f->initrd, &initrd);
    const struct {
        const void *bytes;
        size_t length;
    } parts[SEAL_PARTS] = {
        [SEAL_KERNEL] = {kernel.data, kernel.len},
        [SEAL_COMMAND_LINE] = {KNOWN_COMMAND_LINE, strlen(KNOWN_COMMAND_LINE)},
        [SEAL_INITRD] = {initrd.data, initrd.len},
        [SEAL_STAGE3A] = {f->stage3a, sizeof f->stage3a - 24},
        [SEAL_STAGE3B] = {f->stage3b, sizeof f->stage3b - 64},
    };
    *out = (struct seal_inputs){.pcf = SE_PCF_DEFAULT, .psw_address = 0x10000, .host_count = 2};
    out->hosts = xcalloc(2, POINT_SIZE);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(point_encode(f->hosts[i].key, out->hosts[i], NULL), 0);
    for (size_t i = 0; i < SEAL_PARTS; i++)
        assert_int_equal(seal_part_of_bytes(parts[i].bytes, parts[i].length, &out->part[i], NULL),
                         0);
}

#endif
