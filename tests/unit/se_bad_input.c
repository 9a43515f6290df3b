// SPDX-License-Identifier: Apache-2.0
// What must not be sealed, and images that were made to do harm.
#include "test.h"

#include "se_fixture.h"

#include "se/format.h"

#include <signal.h>
#include <sys/resource.h>

// A kernel image as a loader sees one: the magic, and room for a command line of 64 bytes.
static char *put_kernel(const struct fixture *f, const char *name, size_t size)
{
    cleanup_free unsigned char *bytes = xcalloc(1, size > 0x10438 ? size : 0x10438);
    static const char magic[6] = {'S', '3', '9', '0', 'E', 'P'};
    memcpy(bytes + 0x10008, magic, sizeof magic);
    put_be64(bytes + 0x10430, 64);
    char *path = in_folder(f, name);
    put_file(path, bytes, size);
    return path;
}

static void expect_refusal(const struct fixture *f, const struct se_input *in, const char *message,
                           const char *path)
{
    cleanup_error struct error *err = NULL;
    cleanup_free char *image = in_folder(f, "refused.img");
    assert_int_equal(seal_to(in, image, &err), -1);
    assert_message(err, message);
    if (path)
        assert_message(err, path);
    // Nothing that could start is left.
    cleanup_buf struct buf left = {0};
    get_file(image, &left);
    if (left.len)
        assert_true(memcmp(left.data, "\0\0\0\0\0\0\0\0", 8) == 0);
}

static struct se_input checked(const struct fixture *f)
{
    struct se_input in = f->input;
    in.skip_component_checks = false;
    return in;
}

ALL_TESTS(fixture_begin, fixture_end)

TEST(a_kernel_like_a_real_one_is_taken)
{
    struct fixture *f = *state;
    cleanup_error struct error *err = NULL;
    cleanup_free char *kernel = put_kernel(f, "kernel", 0x20000), *image = in_folder(f, "good.img");
    struct se_input in = checked(f);
    in.kernel = kernel;
    assert_good(seal_to(&in, image, &err));
}

TEST(what_is_no_s390x_kernel_is_refused)
{
    struct fixture *f = *state;
    struct se_input in = checked(f);
    cleanup_free char *elf = in_folder(f, "vmlinux"), *empty = in_folder(f, "empty"),
                      *small = put_kernel(f, "small", 0x10437), *x86 = in_folder(f, "bzImage-x86"),
                      *missing = in_folder(f, "missing");
    cleanup_free char *zeros = xcalloc(1, 0x20000);
    put_file(x86, zeros, 0x20000);
    static const char elf_magic[4] = {0x7f, 'E', 'L', 'F'};
    memcpy(zeros, elf_magic, sizeof elf_magic);
    put_file(elf, zeros, 0x20000);
    put_file(empty, "", 0);
    const struct {
        const char *path, *message;
    } cases[] = {
        {elf, "it is an ELF file"},
        {empty, "the kernel is empty"},
        {small, "it is too short"},
        {x86, "it is not an s390x Linux kernel"},
        {missing, "No such file"},
        {f->folder, "it is a directory"},
        {"/dev/zero", "it has more than 1048576 bytes"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        in.kernel = cases[i].path;
        expect_refusal(f, &in, cases[i].message, cases[i].path);
    }
}

TEST(a_command_line_over_the_kernels_limit_is_refused)
{
    struct fixture *f = *state;
    cleanup_error struct error *err = NULL;
    cleanup_free char *kernel = put_kernel(f, "kernel", 0x20000), *image = in_folder(f, "line.img");
    char line[1000];
    memset(line, 'x', sizeof line);
    struct se_input in = checked(f);
    in.kernel = kernel;
    in.command_line = line;
    in.command_line_length = 63;
    assert_good(seal_to(&in, image, &err));
    in.command_line_length = 64;
    expect_refusal(f, &in, "has 64 bytes; this kernel takes at most 63", NULL);
    // A kernel that names no limit has that of old kernels: 896, NUL included.
    int fd = open(kernel, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "\0\0\0\0\0\0\0\0", 8, 0x10430), 8);
    close(fd);
    in.command_line_length = 895;
    assert_good(seal_to(&in, image, &err));
    in.command_line_length = 896;
    expect_refusal(f, &in, "takes at most 895", NULL);
}

TEST(a_command_line_with_a_nul_is_refused)
{
    struct fixture *f = *state;
    cleanup_free char *kernel = put_kernel(f, "kernel", 0x20000);
    struct se_input in = checked(f);
    in.kernel = kernel;
    in.command_line = "quiet\0evil";
    in.command_line_length = 10;
    expect_refusal(f, &in, "contains a NUL byte", NULL);
}

TEST(an_empty_or_unreadable_initrd_is_refused)
{
    struct fixture *f = *state;
    cleanup_free char *kernel = put_kernel(f, "kernel", 0x20000), *empty = in_folder(f, "empty");
    put_file(empty, "", 0);
    struct se_input in = checked(f);
    in.kernel = kernel;
    in.initrd = empty;
    expect_refusal(f, &in, "the initrd is empty", empty);
    in.initrd = f->folder;
    expect_refusal(f, &in, "it is a directory", f->folder);
}

TEST(loaders_of_a_wrong_size_are_refused)
{
    struct fixture *f = *state;
    struct se_input in = f->input;
    static unsigned char large[0x4000];
    in.stage3a = large;
    in.stage3a_length = 0x2000;
    expect_refusal(f, &in, "the loader stage3a has 8192 bytes", NULL);
    in.stage3a_length = 0x3001;
    expect_refusal(f, &in, "the loader stage3a has 12289 bytes", NULL);
    in = f->input;
    in.stage3b_length = 64;
    expect_refusal(f, &in, "the loader stage3b has 64 bytes", NULL);
}

TEST(keys_and_flags_that_make_no_sense_are_refused)
{
    struct fixture *f = *state;
    struct se_input in = f->input;
    unsigned char equal[64] = {0};
    in.keys.xts_key = equal;
    expect_refusal(f, &in, "the two halves of the component key are equal", NULL);
    in = f->input;
    in.keys = (struct se_keys){0};
    in.pcf |= SE_PCF_ALLOW_DUMP;
    expect_refusal(f, &in, "need a known customer communication key", NULL);
    in.pcf = SE_PCF_DEFAULT;
    in.scf = SE_SCF_CCK_EXTENSION;
    expect_refusal(f, &in, "need a known customer communication key", NULL);
    in = f->input;
    in.psw_address = 0x80000000;
    expect_refusal(f, &in, "not below 2 GiB", NULL);
    in = f->input;
    in.host_count = 0;
    expect_refusal(f, &in, "no host key document given", NULL);
}

TEST(an_image_over_two_gibibytes_is_refused)
{
    struct fixture *f = *state;
    cleanup_free char *path = in_folder(f, "sparse");
    static const off_t sizes[] = {0x7fff0000, 0x80000000, (off_t)1 << 44};
    put_file(path, "", 0);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        if (truncate(path, sizes[i]) < 0)
            continue; // more than the file system can
        struct se_input in = f->input;
        in.initrd = path;
        expect_refusal(f, &in, "larger than 2 GiB", path);
    }
}

TEST(the_output_must_be_a_new_file)
{
    struct fixture *f = *state;
    cleanup_free char *path = in_folder(f, "old.img");
    put_file(path, "old", 3);
    int files[] = {open(path, O_RDWR | O_CLOEXEC), open("/dev/null", O_WRONLY | O_CLOEXEC)};
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        cleanup_error struct error *err = NULL;
        assert_int_equal(se_seal(&f->input, files[i], NULL, &err), -1);
        assert_message(err, "it must go to a new, empty file");
        close(files[i]);
    }
    cleanup_buf struct buf kept = {0};
    get_file(path, &kept);
    assert_string_equal(kept.data, "old");
}

// A full disk, as a limit on the size of files: the error comes from the same call.
TEST(a_full_disk_is_reported)
{
    struct fixture *f = *state;
    struct rlimit old, small = {.rlim_cur = 0x20000};
    getrlimit(RLIMIT_FSIZE, &old);
    small.rlim_max = old.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    cleanup_error struct error *err = NULL;
    cleanup_free char *image = in_folder(f, "full.img");
    setrlimit(RLIMIT_FSIZE, &small);
    int result = seal_to(&f->input, image, &err);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(result, -1);
    assert_message(err, "writing the image: File too large");
}

// ---- hostile images ----

// The known image with some bytes replaced, and its file set to `size` unless that is 0.
static void expect_hostile(const struct fixture *f, uint64_t offset, const void *bytes,
                           size_t length, const char *message)
{
    cleanup_error struct error *err = NULL;
    cleanup_free char *path = in_folder(f, "hostile.img");
    assert_good(seal_to(&f->input, path, &err));
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(pwrite(fd, bytes, length, (off_t)offset), length);
    struct se_image image;
    int result = se_read(fd, path, &image, &err);
    close(fd);
    assert_int_equal(result, -1);
    assert_message(err, message);
}

TEST(numbers_that_overflow_are_refused)
{
    struct fixture *f = *state;
    static const uint64_t header = 0x14000, ipib = 0x13000;
    static const struct {
        uint64_t offset, value;
        const char *message;
    } cases[] = {
        // In 64 bits, 80 times this is 80 times 2, which would fit.
        {header + HEADER_SLOTS, 0x1000000000000002u, "key slots do not fit"},
        {header + HEADER_SLOTS, UINT64_MAX, "key slots do not fit"},
        {header + HEADER_SLOTS, 0, "0 key slots do not fit"},
        {header + HEADER_SLOTS, 96, "96 key slots do not fit"},
        {header + HEADER_ENCRYPTED_SIZE, UINT64_MAX - 15, "encrypted area"},
        {header + HEADER_ENCRYPTED_SIZE, 144, "encrypted area has 144 bytes"},
        {header + HEADER_PAGES, UINT64_MAX, "counts 18446744073709551615 component pages"},
        {header + HEADER_VERSION, 0x00000100ffffffffu, "its size is 4294967295 bytes"},
        {header + HEADER_VERSION, 0x0000010000000000u, "its size is 0 bytes"},
        {header + HEADER_VERSION, 0x0000010000002000u, "do not fit its size, 8192 bytes"},
        {header + HEADER_VERSION, 0x00000200000002d0u, "its version is 0x200"},
        {ipib + 0x70, 0, "it lists 0 components"},
        {ipib + 0x70, 0xffffffffu, "it lists 4294967295 components"},
        {ipib + 0x70, 166, "it lists 166 components"},
        {ipib + IPIB_COMPONENTS + 8, UINT64_MAX - 4095, "does not begin where"},
        {ipib + IPIB_COMPONENTS + 8, 0x14000, "overlaps what lies before it"},
        {ipib + IPIB_COMPONENTS + 8, 0x15001, "not made of whole pages"},
        {ipib + IPIB_COMPONENTS + 16, UINT64_MAX - 4095, "goes beyond the end of the file"},
        {ipib + IPIB_COMPONENTS + 16, 0, "not made of whole pages"},
        {ipib + IPIB_COMPONENTS + 24, 0, "tweak that is not larger"},
        {ipib + IPIB_COMPONENTS + 24, 0x0000010203040506u, "tweak that is not larger"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        unsigned char be[8];
        put_be64(be, cases[i].value);
        expect_hostile(f, cases[i].offset, be, sizeof be, cases[i].message);
    }
}

TEST(metadata_that_lies_is_refused)
{
    struct fixture *f = *state;
    static const struct {
        uint64_t header, ipib;
        const char *message;
    } cases[] = {
        {0, 0x13000, "where none can be"},
        {0x14001, 0x13000, "where none can be"},
        {UINT64_MAX - 4095, 0x13000, "is cut off"},
        {0x2B000, 0x13000, "does not begin with IBMSecEx"},
        {0x14000, UINT64_MAX - 4095, "no whole IPIB at 0xfffffffffffff000"},
        {0x14000, 0x2C000, "no whole IPIB"},
        {0x14000, 0x13008, "no whole IPIB"},
        {0x14000, 0x13000, "the IPIB at 0x13000 is damaged"}, // one of layout G
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        unsigned char block[28] = {'S', 'e', 'I', 'm', 'g', 'L', 'n', 'x'};
        put_be64(block + 8, cases[i].header);
        put_be32(block + 16, 1);
        put_be64(block + 20, cases[i].ipib);
        expect_hostile(f, 0xC000, block, sizeof block, cases[i].message);
    }
}

TEST(files_that_are_no_images_are_refused)
{
    struct fixture *f = *state;
    static const char *const paths[] = {"/dev/null", "/dev/zero"};
    cleanup_error struct error *err = NULL;
    struct se_image image;
    assert_int_equal(read_image(f->kernel, &image, &err), -1);
    assert_message(err, "it has no Secure Execution header");
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        cleanup_error struct error *special = NULL;
        assert_int_equal(read_image(paths[i], &image, &special), -1);
        assert_message(special, "it is not a file");
    }
    // A terabyte of nothing takes no time.
    cleanup_error struct error *huge = NULL;
    cleanup_free char *path = in_folder(f, "huge.img");
    put_file(path, "", 0);
    if (truncate(path, (off_t)1 << 40) == 0) {
        assert_int_equal(read_image(path, &image, &huge), -1);
        assert_message(huge, "it has no Secure Execution header");
    }
}
