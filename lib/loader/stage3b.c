// SPDX-License-Identifier: Apache-2.0
// The second loader: the first code of the protected guest. Moves kernel and command line to where
// Linux expects them, passes the initrd's place, and jumps to the kernel.
#include "loader/internal.h"

#include <stddef.h>

enum {
    // The first 64 KiB of a kernel file are its own boot loader, which is not used here.
    KERNEL_START = 0x10000,
    LEGACY_COMMAND_LINE_SIZE = 896, // of kernels that do not give one
    STOP_REFUSED = 0x4511,
};

struct memory_range {
    uint64_t address, size; // both 0 if absent; size without padding, with the command line's NUL
};

// Filled in by the sealer (section 6).
struct stage3b_arguments {
    struct memory_range kernel, command_line, initrd;
    struct psw psw;
};
_Static_assert(sizeof(struct stage3b_arguments) == 64, "argument block");

__attribute__((section(".arguments"))) volatile struct stage3b_arguments arguments = {0};

// Parameters between boot loader and Linux, at 0x10400, inside the kernel: hence volatile.
struct linux_parameters {
    uint64_t ipl_device, initrd_address, initrd_size;
    uint64_t old_memory_base, old_memory_size, reserved;
    uint64_t max_command_line_size;
    uint64_t unused[9];
    unsigned char command_line[];
};
_Static_assert(offsetof(struct linux_parameters, max_command_line_size) == 0x30, "parameters");
_Static_assert(offsetof(struct linux_parameters, command_line) == 0x80, "parameters");

// Both at fixed addresses that come from the linker script.
extern volatile struct linux_parameters linux_parameters;
extern unsigned char linux_kernel[];

static _Noreturn void stop_with_message(const char *why)
{
    console_line(why);
    stop(STOP_REFUSED);
}

// Copies byte by byte in the direction that is safe when the areas overlap, whole words first. In
// practice everything moves down.
static void move_bytes(unsigned char *to, const unsigned char *from, uint64_t size)
{
    typedef uint64_t __attribute__((may_alias, aligned(1))) word;
    if (to > from) {
        while (size-- > 0)
            to[size] = from[size];
        return;
    }
    for (; size >= sizeof(word); size -= sizeof(word)) {
        *(word *)to = *(const word *)from;
        to += sizeof(word);
        from += sizeof(word);
    }
    while (size-- > 0)
        *to++ = *from++;
}

static void place_kernel(const struct memory_range *kernel)
{
    if (kernel->size < KERNEL_START)
        stop_with_message("Invalid kernel");
    move_bytes(linux_kernel, (const unsigned char *)kernel->address + KERNEL_START,
               kernel->size - KERNEL_START);
}

static void place_command_line(const struct memory_range *line)
{
    uint64_t limit = linux_parameters.max_command_line_size;
    if (limit == 0)
        limit = LEGACY_COMMAND_LINE_SIZE;
    if (line->size > limit)
        stop_with_message("Command line is too large");
    if (line->size == 0)
        return;
    const unsigned char *text = (const unsigned char *)line->address;
    if (text[line->size - 1] != '\0')
        stop_with_message("Command line needs to be null-terminated");
    move_bytes((unsigned char *)linux_parameters.command_line, text, line->size);
}

_Noreturn void stage_main(void)
{
    // A copy, since the block is volatile (written by the sealer).
    const struct memory_range kernel = {arguments.kernel.address, arguments.kernel.size};
    const struct memory_range line = {arguments.command_line.address, arguments.command_line.size};
    const struct psw psw = {arguments.psw.mask, arguments.psw.address};

    console_on();
    place_kernel(&kernel);
    place_command_line(&line);
    if (arguments.initrd.size > 0) {
        linux_parameters.initrd_address = arguments.initrd.address;
        linux_parameters.initrd_size = arguments.initrd.size;
    }
    console_off();
    load_psw(&psw);
}
