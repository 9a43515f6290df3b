// SPDX-License-Identifier: Apache-2.0
// smoke-init's question for an attestation report, against a kernel that is played here: no machine
// of this project has /dev/sev-guest. The rest of init is tried by booting it.
#include "test.h"

#include <linux/sev-guest.h>
#include <sys/ioctl.h>
#undef SNP_GET_REPORT
enum { KERNEL_GET_REPORT = _IOWR(SNP_GUEST_REQ_IOC_TYPE, 0x0, struct snp_guest_request_ioctl) };

static int played_ioctl(int fd, unsigned long request, void *argument);
#define ioctl played_ioctl
int smoke_init(void);
#define main smoke_init
#include "../../recipes/smoke-init/init.c"
#undef main
#undef ioctl

#include <stdio.h>

_Static_assert(sizeof(struct snp_report_request) == sizeof(struct snp_report_req), "");
_Static_assert(sizeof(struct snp_request) == sizeof(struct snp_guest_request_ioctl), "");
_Static_assert(offsetof(struct snp_request, request) ==
                   offsetof(struct snp_guest_request_ioctl, req_data),
               "");
_Static_assert(offsetof(struct snp_request, response) ==
                   offsetof(struct snp_guest_request_ioctl, resp_data),
               "");
_Static_assert(SNP_RESPONSE == sizeof(((struct snp_report_resp *)0)->data), "");

static struct {
    int fails;                // errno of the call
    unsigned long long error; // then
    unsigned status, size;
} play;

static int played_ioctl(int fd, unsigned long request, void *argument)
{
    struct snp_guest_request_ioctl *r = argument;
    assert_int_equal(fd, 77);
    assert_int_equal(request, (unsigned)KERNEL_GET_REPORT);
    assert_int_equal(r->msg_version, 1);
    const struct snp_report_req *asked = (const void *)(uintptr_t)r->req_data;
    assert_string_equal((const char *)asked->user_data, "kbuild smoke-init");
    assert_int_equal(asked->vmpl, 0);
    if (play.fails) {
        memcpy((char *)r + offsetof(struct snp_request, error), &play.error, sizeof play.error);
        errno = play.fails;
        return -1;
    }
    unsigned char *answer = (void *)(uintptr_t)r->resp_data;
    memcpy(answer, &play.status, 4);
    memcpy(answer + 4, &play.size, 4);
    for (unsigned i = 32; i < SNP_RESPONSE; i++)
        answer[i] = (unsigned char)(i - 32);
    return 0;
}

static const char *said(void)
{
    memset(line, 0, sizeof line);
    used = 0;
    add_snp_report(77);
    return line;
}

TEST(the_report_is_given_in_hexadecimal)
{
    play = (__typeof__(play)){.size = 0x4a0};
    const char *text = said();
    static const char start[] = ",\"snp\":{\"report\":\"000102030405";
    assert_memory_equal(text, start, sizeof start - 1);
    assert_int_equal(strlen(text), strlen(",\"snp\":{\"report\":\"\"}") + 2 * 0x4a0);
    assert_string_equal(text + strlen(text) - 6, "9e9f\"}");
}

TEST(a_refusal_says_why)
{
    play = (__typeof__(play)){.fails = EIO, .error = 0x0000000200000007};
    assert_string_equal(said(), ",\"snp\":{\"error\":\"Input/output error\","
                                "\"firmware\":\"0000000200000007\"}");
    play = (__typeof__(play)){.status = 0x16, .size = 0x4a0};
    assert_string_equal(said(), ",\"snp\":{\"error\":\"the firmware refused\"}");
}

TEST(a_size_that_lies_is_refused)
{
    play = (__typeof__(play)){.size = SNP_RESPONSE};
    assert_string_equal(said(), ",\"snp\":{\"error\":\"the firmware refused\"}");
    play = (__typeof__(play)){.size = UINT32_MAX};
    assert_string_equal(said(), ",\"snp\":{\"error\":\"the firmware refused\"}");
}

TEST(without_a_guest_device_nothing_is_said)
{
    if (access(SNP_DEVICE, F_OK) == 0)
        skip();
    assert_int_equal(open_snp(), -1);
}
