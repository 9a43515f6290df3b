// SPDX-License-Identifier: Apache-2.0
// Hash trees against what veritysetup 2.6.1 wrote with the same salt and UUID, and the texts.
#include "test.h"

#include "disk/disk.h"

#include "base/digest.h"
#include "base/file.h"

#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

// Of a device of so many blocks that begins with "kbuild" and is zero after that: the root hash,
// and the SHA-256 of a hash device of 4 MiB. `veritysetup format --salt=0001..0f
// --uuid=00112233-4455-6677-8899-aabbccddeeff`
static const struct {
    uint64_t blocks;
    const char *root, *area;
} known[] = {
    {1, "3988d4bc6f69804964af3e124e96e191d1374a3a88c698b4578f25b6bdc6a333",
     "28bceb49ab8b987e3d85519e8143537e2310e2d8df8141193ae46c6c3f92dd66"},
    {2, "df438a454f8c29473c88a8f4b87e39c55caebb7ba61eb4e1b766c3a5877e567b",
     "8290dc2c5d14f9a5d9daff7802f1088e227d1bd5e66991013ae832fc6283d1de"},
    {128, "df31d4f6e2a3893e08db78b042d971ffed43da686b8a93eb15cc91a03b3ade1c",
     "ec803ee95278e55912efbcc53056cf4ff0f9aebde8814cede9874147ba643a86"},
    {129, "5b778a053ca0c04a6ba289b8930439f3eba9bec2abd18a4f065e4d61e35f8d34",
     "9523787c16a16ae33ad304775567fb9fde9ff17179fb5a61240f244996061bc6"},
    {16385, "5578f58e4e492fad7623e04d266cc3b667c577319132a2aef6d30ebde8f0069b",
     "3831304d274e00d0209d51de41219d79b4593e75124f8d1625db440be336b18e"},
};
// The last one with --no-superblock and without a salt.
#define BARE_ROOT "e8d9cefdd1297fd183b63cbcac93bc617a526031ec95402a38704417c69cf78f"
#define BARE_AREA "8bacbd01e2113c2239514848b9b591a4e430eda293f47177be66250813c28ecf"

enum { AREA = 4 << 20 };

static struct verity described(uint64_t blocks)
{
    struct verity v = {.data_blocks = blocks, .superblock = true, .salt_size = 16};
    for (size_t i = 0; i < 16; i++) {
        v.salt[i] = (unsigned char)i;
        v.uuid[i] = (unsigned char)(0x11 * i);
    }
    return v;
}

static void format_and_compare(struct verity *v, const char *root, const char *area)
{
    char hex[DIGEST_HEX_SIZE];
    struct error *err = NULL;
    uint64_t size = v->data_blocks * DISK_BLOCK;
    cleanup_close int fd = memfd_create("verity", MFD_CLOEXEC);
    cleanup_free unsigned char *bytes = xcalloc(1, AREA);
    assert_true(fd >= 0 && ftruncate(fd, (off_t)(size + AREA)) == 0);
    assert_int_equal(pwrite(fd, "kbuild", 6, 0), 6);
    assert_int_equal(verity_format(fd, "memory", 0, size, v, &err), 0);
    hex_encode(v->root, VERITY_DIGEST, hex);
    assert_string_equal(hex, root);
    assert_int_equal(pread(fd, bytes, AREA, (off_t)size), AREA);
    digest_bytes(bytes, AREA, hex);
    assert_string_equal(hex, area);
    for (size_t i = verity_size(v); i < AREA; i++)
        assert_int_equal(bytes[i], 0);
}

TEST(trees_are_veritysetups)
{
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        struct verity v = described(known[i].blocks);
        format_and_compare(&v, known[i].root, known[i].area);
    }
    struct verity bare = {.data_blocks = 16385};
    format_and_compare(&bare, BARE_ROOT, BARE_AREA);
}

TEST(a_device_without_data_is_refused)
{
    struct verity v = {0};
    struct error *err = NULL;
    assert_int_equal(verity_format(-1, "nothing", 0, 0, &v, &err), -1);
    error_free(err);
}

// ---- texts ----

#define SALT "000102030405060708090a0b0c0d0e0f"
#define UUID "00112233-4455-6677-8899-aabbccddeeff"
// As veritysetup printed it.
static const char printed[] = "VERITY header information for p2\n"
                              "UUID:            \t" UUID "\n"
                              "Hash type:       \t1\n"
                              "Data blocks:     \t129\n"
                              "Data block size: \t4096\n"
                              "Hash blocks:     \t3\n"
                              "Hash block size: \t4096\n"
                              "Hash algorithm:  \tsha256\n"
                              "Salt:            \t" SALT "\n"
                              "Root hash:      \t"
                              "5b778a053ca0c04a6ba289b8930439f3eba9bec2abd18a4f065e4d61e35f8d34\n"
                              "Hash device size: \t16384 [bytes]\n";
static const char line[] = "root_hash="
                           "5b778a053ca0c04a6ba289b8930439f3eba9bec2abd18a4f065e4d61e35f8d34,"
                           "salt=" SALT ",data_blocks=129,data_block_size=4096,"
                           "hash_block_size=4096\n";

static struct verity with_root(void)
{
    struct verity v = described(129);
    assert_true(hex_decode(known[3].root, v.root, VERITY_DIGEST));
    return v;
}

static void expect_text(const struct verity *v, enum verity_text form, const char *text)
{
    cleanup_buf struct buf out = {0};
    struct verity back;
    struct error *err = NULL;
    verity_text_write(v, form, "p2", &out);
    assert_string_equal(out.data, text);
    assert_int_equal(verity_text_read(out.data, out.len, &back, &err), 0);
    assert_memory_equal(back.root, v->root, VERITY_DIGEST);
    assert_memory_equal(back.salt, v->salt, v->salt_size);
    assert_int_equal(back.salt_size, v->salt_size);
    assert_int_equal(back.data_blocks, v->data_blocks);
    assert_int_equal(back.superblock, form == VERITY_TEXT_VERITYSETUP);
}

TEST(texts_come_back)
{
    struct verity v = with_root();
    expect_text(&v, VERITY_TEXT_VERITYSETUP, printed);
    expect_text(&v, VERITY_TEXT_LINE, line);
}

TEST(a_table_is_the_kernels)
{
    struct verity v = with_root();
    cleanup_free char *table = verity_table(&v, "/dev/vda1", "/dev/vda2");
    assert_string_equal(table,
                        "0 1032 verity 1 /dev/vda1 /dev/vda2 4096 4096 129 1 sha256 "
                        "5b778a053ca0c04a6ba289b8930439f3eba9bec2abd18a4f065e4d61e35f8d34 " SALT);
    v.superblock = false; // the tree begins where the hash area does
    cleanup_free char *bare = verity_table(&v, "a", "b");
    assert_non_null(strstr(bare, " verity 1 a b 4096 4096 129 0 sha256 "));
}

static void expect_refused(const char *text, const char *from, const char *to, const char *why)
{
    struct verity v;
    struct error *err = NULL;
    const char *at = strstr(text, from);
    assert_non_null(at);
    cleanup_free char *changed =
        xasprintf("%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    assert_int_equal(verity_text_read(changed, strlen(changed), &v, &err), -1);
    if (!strstr(err->message, why))
        fail_msg("\"%s\" is not in \"%s\"", why, err->message);
    error_free(err);
}

TEST(other_texts_are_refused)
{
    expect_refused(printed, "Root hash:", "Root:", "no 'Root hash'");
    expect_refused(printed, "sha256", "sha512", "type 1 with sha256");
    expect_refused(printed, "Hash type:       \t1", "Hash type: 0", "type 1 with sha256");
    expect_refused(printed, "Data blocks:     \t129", "Data blocks: -1", "data blocks");
    expect_refused(printed, "Data blocks:     \t129", "Data blocks: 99999999999999999999",
                   "data blocks");
    expect_refused(printed, "4096", "512", "4096 bytes");
    expect_refused(printed, UUID, "x", "no UUID");
    expect_refused(printed, SALT, "0", "salt");
    expect_refused(printed, "Salt:            \t" SALT, "Salt: 00\nSalt: 01", "twice");
    expect_refused(line, "5b77", "5b7", "root hash");
    expect_refused(line, ",salt=" SALT, "", "no 'salt'");
    expect_refused(line, ",data_blocks=129", "", "no 'data_blocks'");
}
