// SPDX-License-Identifier: Apache-2.0
// Puts a Secure Execution image together by hand, without encryption, to run the loaders in an
// emulator (image format, section 18). Deliberately shares no code with lib/se.
//
//   image sealed OUT STAGE3A
//       starts at stage3a, has an IPIB and a header with nothing but the magic and its size
//   image unsealed OUT STAGE3A STAGE3B KERNEL [COMMAND_LINE [INITRD]]
//       starts at stage3b, as the ultravisor would; - for a part that is absent
//
// From the environment, all optional: ENTRY, the address in the short PSW of a sealed image;
// NO_NUL, the command line file gets no NUL; PSW, where stage3b jumps to. Numbers are hexadecimal.
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PAGE = 4096,
    STAGE3A = 0x10000,
    IPIB = 0x13000,
    HEADER = 0x14000,
    HEADER_SIZE = 640,
    COMPONENTS = 0x15000,
    LIMIT = 256 << 20,
};
#define PSW_64BIT UINT64_C(0x0000000180000000)
#define SHORT_PSW UINT64_C(0x0008000180000000)

static unsigned char *image;
static size_t image_end;

static void fail(const char *what)
{
    fprintf(stderr, "image: %s%s%s\n", what, errno ? ": " : "", errno ? strerror(errno) : "");
    exit(1);
}

static void put(size_t at, unsigned bytes, uint64_t value)
{
    while (bytes-- > 0) {
        image[at + bytes] = (unsigned char)value;
        value >>= 8;
    }
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
    const char *value = getenv(name);
    return value != NULL ? strtoull(value, NULL, 16) : otherwise;
}

static size_t read_at(size_t at, const char *path)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        fail(path);
    size_t size = fread(image + at, 1, LIMIT - at, f);
    if (ferror(f) || !feof(f))
        fail(path);
    fclose(f);
    return size;
}

struct part {
    uint64_t address, size;
};

// Appends a component and its entry in the IPIB; at least one page.
static struct part component(const char *path, unsigned index, size_t extra)
{
    static size_t count;
    if (path == NULL || strcmp(path, "-") == 0)
        return (struct part){0, 0};
    struct part p = {image_end, read_at(image_end, path) + extra};
    size_t pages = p.size == 0 ? 1 : (p.size + PAGE - 1) / PAGE;
    size_t entry = IPIB + 0x88 + 24 * count++;
    put(entry, 2, index);
    put(entry + 8, 8, p.address);
    put(entry + 16, 8, pages * PAGE);
    put(IPIB + 0x74, 4, count);
    put(IPIB + 0x08, 4, 128 + 24 * count);
    image_end += pages * PAGE;
    return p;
}

static void fixed_part(const char *stage3a)
{
    size_t size = read_at(STAGE3A, stage3a);
    if (size <= 0x2000 || size > 0x3000)
        fail("stage3a does not end in the page below the IPIB");
    size_t arguments = STAGE3A + size - 24;
    put(arguments, 8, HEADER - arguments);
    put(arguments + 8, 8, HEADER_SIZE);
    put(arguments + 16, 8, IPIB - arguments);
    put(0, 8, SHORT_PSW | setting("ENTRY", 0x11000));

    put(IPIB, 4, PAGE);
    put(IPIB + 0x07, 1, 1);
    put(IPIB + 0x0C, 1, 5);
    put(IPIB + 0x80, 8, HEADER_SIZE);

    memcpy(image + HEADER, "IBMSecEx", 8);
    put(HEADER + 8, 4, 0x100);
    put(HEADER + 12, 4, HEADER_SIZE);
}

static void parts(char **argv, int argc)
{
    struct part kernel = component(argv[1], 0, 0);
    struct part line = component(argc > 2 ? argv[2] : NULL, 1, getenv("NO_NUL") == NULL);
    struct part initrd = component(argc > 3 ? argv[3] : NULL, 2, 0);
    struct part stage3b = component(argv[0], 3, 0);
    if (stage3b.size <= 64)
        fail("stage3b is too small");
    const uint64_t values[8] = {
        kernel.address, kernel.size, line.address, line.size,
        initrd.address, initrd.size, PSW_64BIT,    setting("PSW", 0x10000),
    };
    for (size_t i = 0; i < 8; i++)
        put(stage3b.address + stage3b.size - 64 + 8 * i, 8, values[i]);
    put(0, 8, SHORT_PSW | stage3b.address);
}

int main(int argc, char **argv)
{
    int sealed = argc == 4 && strcmp(argv[1], "sealed") == 0;
    int unsealed = argc >= 6 && argc <= 8 && strcmp(argv[1], "unsealed") == 0;
    if (!sealed && !unsealed)
        fail("wrong arguments, see the top of image.c");
    image = calloc(1, LIMIT + PAGE);
    if (image == NULL)
        fail("memory");
    image_end = COMPONENTS;
    fixed_part(argv[3]);
    if (unsealed)
        parts(argv + 4, argc - 4);
    FILE *f = fopen(argv[2], "wb");
    if (f == NULL || fwrite(image, 1, image_end, f) != image_end || fclose(f) != 0)
        fail(argv[2]);
    free(image);
    return 0;
}
