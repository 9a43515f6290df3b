// SPDX-License-Identifier: Apache-2.0
// The first loader: runs as an ordinary guest, names the prepared parameter block (IPIB) to the
// hypervisor and asks it to turn this guest into a protected one.
#include "loader/internal.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    UNPACK_FACILITY = 161,
    SET_PV_PARAMETERS = 8, // subcodes of DIAGNOSE 0x308
    START_PROTECTED = 10,
    DONE = 1, // its return code
    STOP_NO_FACILITY = 0x4607,
    STOP_REFUSED = 0x4608,
};

// Filled in by the sealer, and aligned by the linker script: with an alignment here the assembler
// would pad the section, and the block would not be last. Distances are from the address of this
// block (section 6).
struct stage3a_arguments {
    uint64_t header_distance, header_size, ipib_distance;
};
_Static_assert(sizeof(struct stage3a_arguments) == 24, "argument block");

__attribute__((section(".arguments"))) volatile struct stage3a_arguments arguments = {0};

// The fields of the IPIB that are written here (section 5).
struct ipib {
    unsigned char before[0x78];
    uint64_t header_address, header_size;
};
_Static_assert(offsetof(struct ipib, header_address) == 0x78, "IPIB");

static bool has_facility(unsigned bit)
{
    uint64_t list[4] = {0};
    store_facilities(list, sizeof(list) / sizeof(list[0]));
    return (list[bit / 64] >> (63 - bit % 64)) & 1;
}

_Noreturn void stage_main(void)
{
    const uint64_t here = (uint64_t)&arguments;
    struct ipib *ipib = (struct ipib *)(here + arguments.ipib_distance);
    ipib->header_address = here + arguments.header_distance;
    ipib->header_size = arguments.header_size;

    console_on();
    if (!has_facility(UNPACK_FACILITY)) {
        console_line("Secure unpack facility is not available");
        stop(STOP_NO_FACILITY);
    }
    uint64_t code = diagnose_308(SET_PV_PARAMETERS, ipib);
    if (code != DONE) {
        console_line_hex("Protected boot setup has failed: ", code);
        stop(STOP_REFUSED);
    }
    code = diagnose_308(START_PROTECTED, NULL);
    if (code != DONE) {
        console_on(); // the attempt may have reset the console
        console_line_hex("Protected boot has failed: ", code);
        stop(STOP_REFUSED);
    }
    for (;;) // the hypervisor is about to replace this guest
        ;
}
