// SPDX-License-Identifier: Apache-2.0
// Plays the machine that an emulator is not: one with the unpack facility and an ultravisor.
// Attached to QEMU's debugger port (GDB remote protocol) of a stopped guest, it answers stage3a's
// STFLE and DIAGNOSE 0x308 itself, and prints what stage3a asked for.
//
//   hypervisor SOCKET CODE8 [CODE10]
//       the return codes (hexadecimal) of subcodes 8 and 10; if CODE8 is not 1, 10 must not be
//       tried
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { CODE = 0x11000, CODE_SIZE = 0x800, PSW_ADDRESS = 1, GR0 = 2 };
#define UNPACK_BIT (UINT64_C(1) << (63 - (161 - 128)))

static int debugger;

__attribute__((format(printf, 1, 2))) static _Noreturn void fail(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    fprintf(stderr, "hypervisor: ");
    vfprintf(stderr, format, ap);
    fputc('\n', stderr);
    va_end(ap);
    exit(1);
}

// ---- the protocol: $packet#checksum, each acknowledged with + ----

static char next_byte(void)
{
    char c;
    if (read(debugger, &c, 1) != 1)
        fail("the emulator is gone");
    return c;
}

static void send_packet(const char *text)
{
    unsigned char sum = 0;
    for (const char *p = text; *p != '\0'; p++)
        sum = (unsigned char)(sum + *p);
    if (dprintf(debugger, "$%s#%02x", text, sum) < 0)
        fail("cannot write to the emulator");
}

static const char *receive_packet(void)
{
    static char reply[8192];
    size_t n = 0;
    while (next_byte() != '$')
        ;
    for (char c = next_byte(); c != '#'; c = next_byte()) {
        if (n == sizeof(reply) - 1)
            fail("a reply is too long");
        reply[n++] = c;
    }
    reply[n] = '\0';
    next_byte();
    next_byte();
    // After the answer to the last packet the emulator may be gone already. If it is gone too
    // early, the next read says so.
    (void)send(debugger, "+", 1, MSG_NOSIGNAL);
    return reply;
}

__attribute__((format(printf, 1, 2))) static const char *ask(const char *format, ...)
{
    char packet[64];
    va_list ap;
    va_start(ap, format);
    vsnprintf(packet, sizeof(packet), format, ap);
    va_end(ap);
    send_packet(packet);
    return receive_packet();
}

static void expect_ok(const char *reply)
{
    if (strcmp(reply, "OK") != 0)
        fail("the emulator refused: '%s'", reply);
}

static uint64_t number(const char *hex, size_t digits)
{
    char text[17] = "";
    if (strlen(hex) < digits)
        fail("a reply is too short: '%s'", hex);
    memcpy(text, hex, digits);
    return strtoull(text, NULL, 16);
}

static uint64_t get_register(unsigned n)
{
    return number(ask("p%x", n), 16);
}

static void set_register(unsigned n, uint64_t value)
{
    expect_ok(ask("P%x=%016llx", n, (unsigned long long)value));
}

static uint64_t read_word(uint64_t address)
{
    return number(ask("m%llx,8", (unsigned long long)address), 16);
}

static uint32_t read_instruction(uint64_t address)
{
    return (uint32_t)number(ask("m%llx,4", (unsigned long long)address), 8);
}

static void attach(const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(to.sun_path))
        fail("the socket's path is too long");
    memcpy(to.sun_path, path, strlen(path));
    debugger = socket(AF_UNIX, SOCK_STREAM, 0);
    for (int tries = 0; connect(debugger, (struct sockaddr *)&to, sizeof(to)) != 0; tries++) {
        if (tries == 500)
            fail("%s: %s", path, strerror(errno));
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    // QEMU gives single registers only to those who have asked what registers there are.
    ask("qXfer:features:read:target.xml:0,fff");
}

// ---- the machine ----

// A breakpoint on each STFLE and each DIAGNOSE 0x308; instructions start at even addresses.
static void watch(void)
{
    unsigned stfle = 0, diagnose = 0;
    for (unsigned at = CODE; at < CODE + CODE_SIZE; at += 2) {
        uint32_t i = read_instruction(at);
        int is_stfle = i >> 16 == 0xb2b0, is_diagnose = i >> 24 == 0x83 && (i & 0xffff) == 0x0308;
        stfle += is_stfle;
        diagnose += is_diagnose;
        if (is_stfle || is_diagnose)
            expect_ok(ask("Z0,%x,2", at));
    }
    if (stfle == 0 || diagnose == 0)
        fail("there is no STFLE or no DIAGNOSE 0x308 in the loader");
}

// Runs to the next of them and steps over it; the instruction is for the caller to carry out.
static uint32_t next_instruction(void)
{
    const char *stop = ask("c");
    if (stop[0] != 'T' && stop[0] != 'S')
        fail("the guest did not stop: '%s'", stop);
    uint64_t at = get_register(PSW_ADDRESS);
    uint32_t instruction = read_instruction(at);
    set_register(PSW_ADDRESS, at + 4);
    return instruction;
}

static void answer_stfle(void)
{
    uint32_t i = next_instruction();
    if (i >> 16 != 0xb2b0)
        fail("%08x came before STFLE", i);
    unsigned base = (i >> 12) & 0xf;
    uint64_t list = (i & 0xfff) + (base != 0 ? get_register(GR0 + base) : 0);
    uint64_t last = get_register(GR0) & 0xff;
    if (last < 2)
        fail("only %llu doublewords of facilities were asked for", (unsigned long long)last + 1);
    expect_ok(
        ask("M%llx,8:%016llx", (unsigned long long)list + 16, (unsigned long long)UNPACK_BIT));
    puts("facilities asked for");
}

static void answer_diagnose(uint64_t subcode, uint64_t code)
{
    uint32_t i = next_instruction();
    unsigned r1 = (i >> 20) & 0xf, r3 = (i >> 16) & 0xf;
    if (i >> 24 != 0x83)
        fail("%08x came before DIAGNOSE", i);
    if (r1 % 2 != 0)
        fail("the block is in an odd register");
    if (get_register(GR0 + r3) != subcode)
        fail("subcode %llu came", (unsigned long long)get_register(GR0 + r3));
    uint64_t block = get_register(GR0 + r1);
    printf("subcode %llu block %llx\n", (unsigned long long)subcode, (unsigned long long)block);
    if (subcode == 8) {
        uint64_t header = read_word(block + 0x78);
        char magic[17] = "";
        snprintf(magic, sizeof(magic), "%016llx", (unsigned long long)read_word(header));
        printf("header %llx size %llx magic %s\n", (unsigned long long)header,
               (unsigned long long)read_word(block + 0x80), magic);
    }
    set_register(GR0 + r1 + 1, code);
}

int main(int argc, char **argv)
{
    if (argc != 3 && argc != 4)
        fail("wrong arguments, see the top of hypervisor.c");
    uint64_t code8 = strtoull(argv[2], NULL, 16);
    attach(argv[1]);
    watch();
    answer_stfle();
    answer_diagnose(8, code8);
    if (argc == 4)
        answer_diagnose(10, strtoull(argv[3], NULL, 16));
    // From here the guest is on its own; a further DIAGNOSE would be a real one.
    ask("D");
    puts("detached");
    return 0;
}
