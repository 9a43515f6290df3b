// SPDX-License-Identifier: Apache-2.0
// A kernel that does nothing but say what the second loader has made of it. Ends in a disabled wait
// with code 0xd01e, "done".
#include "loader/internal.h"

#include <stddef.h>

struct parameters {
    uint64_t ipl_device, initrd_address, initrd_size, other[3], max_command_line, unused[9];
    char command_line[4096];
};
extern volatile struct parameters linux_parameters;
extern const uint64_t entry_psw_mask;
extern const uint32_t body[], body_end[];

// The loader's last request must still be there: an event mask that sends and receives nothing.
// (QEMU takes console output whatever the mask says, so trying to print proves nothing.)
struct mask_request {
    uint16_t length;
    uint8_t control[4];
    uint16_t response, zero, mask_length;
    uint32_t receive, send;
};
extern const volatile struct mask_request sccb_page;

static int console_was_switched_off(void)
{
    return sccb_page.length == 28 && sccb_page.response == 0x0020 && sccb_page.mask_length == 4 &&
           sccb_page.receive == 0 && sccb_page.send == 0;
}

static void check_body(void)
{
    const unsigned char *tail = (const unsigned char *)body_end;
    const size_t words = ((uintptr_t)body_end - (uintptr_t)body) / sizeof(body[0]);
    for (size_t i = 0; i < words; i++) {
        if (body[i] != i * 4) {
            console_line_hex("body: wrong at ", i * 4);
            return;
        }
    }
    console_line(tail[0] == 0xA5 && tail[1] == 0x5A && tail[2] == 0xC3 ? "body: intact"
                                                                       : "body: wrong at the end");
}

_Noreturn void stage_main(void)
{
    int off = console_was_switched_off();
    console_on();
    console_line(off ? "console: was off" : "console: was left on");
    const uint64_t condition_code = UINT64_C(3) << 44;
    console_line_hex("entered with PSW mask ", entry_psw_mask & ~condition_code);
    check_body();

    // Read once: what lies in the kernel's memory is what the loader stored.
    static char line[4096];
    size_t length = 0;
    while (length < sizeof(line) - 1 && linux_parameters.command_line[length] != '\0') {
        line[length] = linux_parameters.command_line[length];
        length++;
    }
    console_line("command line:");
    console_line(line);
    console_line_hex("command line length: ", length);
    console_line_hex("initrd address: ", linux_parameters.initrd_address);
    console_line_hex("initrd size: ", linux_parameters.initrd_size);
    uint32_t sum = 0;
    const unsigned char *initrd = (const unsigned char *)linux_parameters.initrd_address;
    for (uint64_t i = 0; i < linux_parameters.initrd_size; i++)
        sum = sum * 31 + initrd[i];
    console_line_hex("initrd sum: ", sum);
    stop(0xd01e);
}
