// SPDX-License-Identifier: Apache-2.0
// RTMR 1 and 2 of trust domains. The known answers were computed with tdx-measure 0.1.0
// (https://github.com/tinfoilsh/tdx-measure) on the very files that are made here, but for those of
// an unchanged kernel, which it does not know: they are SHA-384 by hand over the ranges that count.
#include "test.h"

#include "measure_fixture.h"

#include "measure/internal.h"

#define PE 0x80u
#define OPTIONAL (PE + 24)
#define SIGNATURES (OPTIONAL + 112 + 32)
#define SECTIONS (OPTIONAL + 160)
#define BEHIND 0x4A00u // what lies in no section begins here

// A kernel as a PE32+ image: sections that are not in the order of the file, and a version.
static void put_pe(unsigned char *k, const char *version, uint32_t signatures)
{
    static const uint32_t sections[][2] = {
        {0xA00, 0x3000}, {0x3A00, 0x1000}, {0, 0}, {0x200, 0x800}};
    put_le(k + 0x3C, PE, 4);
    memcpy(k + PE, "PE\0", 4);
    put_le(k + PE + 6, ARRAY_LEN(sections), 2);
    put_le(k + PE + 20, 160, 2);
    put_le(k + OPTIONAL, 0x20B, 2);
    put_le(k + OPTIONAL + 60, 0x200, 4);
    put_le(k + OPTIONAL + 108, 6, 4);
    put_le(k + SIGNATURES, signatures ? SNP_KERNEL_SIZE - signatures : 0, 4);
    put_le(k + SIGNATURES + 4, signatures, 4);
    for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
        put_le(k + SECTIONS + 40 * i + 16, sections[i][1], 4);
        put_le(k + SECTIONS + 40 * i + 20, sections[i][0], 4);
    }
    k[0x211] = 1;
    put_le(k + 0x226, 0, 2);    // tdx-measure clears these, too; in kernels they are 0
    put_le(k + 0x236, 0x7F, 2); // and it takes bit 6, which they have, for bit 1
    put_le(k + 0x20E, 0xC00, 2);
    memcpy(k + 0xE00, version, strlen(version) + 1);
}

static void put_kernel(struct snp_fixture *f, const char *version, uint32_t signatures)
{
    cleanup_free unsigned char *k = make_bzimage();
    put_pe(k, version, signatures);
    put_file(f->kernel, k, SNP_KERNEL_SIZE);
}

#define put_loader(f, text) snp_put_modules(f, text, sizeof(text), true)

static int setup(void **state)
{
    snp_setup(state);
    struct snp_fixture *f = *state;
    f->in.kind = LAUNCH_TDX;
    f->in.qemu_version = QEMU_VERSION(9, 1);
    f->in.memory_mib = 4096;
    put_kernel(f, "6.12.1 (x) #1", SNP_KERNEL_SIZE - BEHIND);
    put_loader(f, BEHIND_COMMAND_LINE);
    f->in.edk2_version = 202411;
    return 0;
}

static void measured(const struct launch_inputs *in, struct launch_measurement *m, char *rtmr1,
                     char *rtmr2)
{
    cleanup_error struct error *err = NULL;
    assert_good(launch_measure(in, m, &err));
    assert_true(m->has_rtmr1);
    hex_encode(m->rtmr1, RTMR_SIZE, rtmr1);
    hex_encode(m->rtmr2, RTMR_SIZE, rtmr2);
    launch_measurement_free(m);
}

static void expect_rtmr1(const struct launch_inputs *in, const char *wanted)
{
    struct launch_measurement m;
    char rtmr1[2 * RTMR_SIZE + 1], rtmr2[2 * RTMR_SIZE + 1];
    measured(in, &m, rtmr1, rtmr2);
    assert_string_equal(rtmr1, wanted);
}

#define PATCHED                                                                                    \
    "f8dd4f93f1cf78bf61304fd499d68357f38ac9633c09da738fc4846b6b385da2ececeaf0e935d5c3392f1f956744" \
    "638b"
#define UNCHANGED                                                                                  \
    "80231f2b359c97c0ffed486632200714ff0d2187b46120d5b43aa58200a151f260c32d1174fb2590d974f3996910" \
    "6965"

EACH_TEST(setup, snp_teardown)

TEST(both_registers_are_those_of_tdx_measure)
{
    struct snp_fixture *f = *state;
    struct launch_measurement m;
    char rtmr1[2 * RTMR_SIZE + 1], rtmr2[2 * RTMR_SIZE + 1];
    measured(&f->in, &m, rtmr1, rtmr2);
    assert_string_equal(rtmr1, PATCHED);
    assert_string_equal(rtmr2, "6236f700a0b70ad0383cb0b62e6417ac799b145030d2d897a861dd726631d31e13e"
                               "4e3792b7c30b75a39e20723909713");
    // 32 bytes between the last section and the signatures.
    put_kernel(f, "6.12.1 (x) #1", SNP_KERNEL_SIZE - BEHIND - 32);
    expect_rtmr1(&f->in, "2db5ad716458168ad42deea72a03c2c52d93f3a1dc461a91bb2dabec103075f474a07e5c6"
                         "4a37be56c7b412189404312");
}

TEST(memory_matters_where_it_decides_on_the_initrds_place)
{
    struct snp_fixture *f = *state;
    // Low memory ends at 2 GiB in all of these.
    const uint64_t same[] = {2048, 2816, 1 << 20};
    for (size_t i = 0; i < ARRAY_LEN(same); i++) {
        f->in.memory_mib = same[i];
        expect_rtmr1(&f->in, PATCHED);
    }
    char other[2 * RTMR_SIZE + 1], rtmr2[2 * RTMR_SIZE + 1];
    struct launch_measurement m;
    f->in.memory_mib = 2815;
    measured(&f->in, &m, other, rtmr2);
    assert_string_not_equal(other, PATCHED);
    f->in.initrd = NULL;
    f->in.memory_mib = 0;
    measured(&f->in, &m, other, rtmr2);
    assert_string_not_equal(other, PATCHED);
}

TEST(newer_qemu_leaves_the_kernel_alone)
{
    struct snp_fixture *f = *state;
    f->in.memory_mib = 0;
    f->in.qemu_version = QEMU_VERSION(10, 2);
    expect_rtmr1(&f->in, UNCHANGED);
    f->in.append = "vga=normal"; // is in RTMR 2 alone
    expect_rtmr1(&f->in, UNCHANGED);
    f->in.qemu_version = QEMU_VERSION(11, 0);
    expect_rtmr1(&f->in, UNCHANGED);
}

TEST(load_options_are_those_that_the_firmware_makes)
{
    static const struct {
        const char *append;
        bool initrd;
        const char *rtmr2;
    } cases[] = {
        {NULL, false,
         "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
         "0000000"},
        {"", false,
         "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
         "0000000"},
        {"quiet", false,
         "deb3d4b84d4034dd65e01b8c76d22d5d060fe85c1634256c8e68ee18ca38aad541b6e8c2f2c39900a6188f025"
         "a76f72a"},
        {NULL, true,
         "360ff7e229cfbcf866fe221ecb92cbd5807b99041da41e89e7e46ca962d43d4d22a5c0976f12798b231a31bff"
         "c996711"},
        {"", true,
         "360ff7e229cfbcf866fe221ecb92cbd5807b99041da41e89e7e46ca962d43d4d22a5c0976f12798b231a31bff"
         "c996711"},
    };
    struct snp_fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct launch_measurement m;
        char rtmr1[2 * RTMR_SIZE + 1], rtmr2[2 * RTMR_SIZE + 1];
        f->in.append = cases[i].append;
        f->in.initrd = cases[i].initrd ? f->initrd : NULL;
        measured(&f->in, &m, rtmr1, rtmr2);
        assert_string_equal(rtmr2, cases[i].rtmr2);
    }
}

// SHA-384 chains over the same events, by hand.
#define WITHOUT_SEPARATOR                                                                          \
    "23ff582147fd9543821c058b790034f0bc775cd23dd308380b506add7b1fbc586a27da72f51f2d8cf53050156e53" \
    "5700"
#define INITRD_BEFORE                                                                              \
    "fec24a5ce192f1d6b0f27c0dc42052614b71f4127cc4cc9286504283fba59430ddb862e2e306afa7e5fb20ef687e" \
    "ad90"
#define INITRD_BEHIND                                                                              \
    "6236f700a0b70ad0383cb0b62e6417ac799b145030d2d897a861dd726631d31e13e4e3792b7c30b75a39e2072390" \
    "9713"

TEST(what_depends_on_the_release_is_read_from_the_file_or_asked_for)
{
    static const char none[] = "", behind[] = BEHIND_COMMAND_LINE, before[] = BEFORE_COMMAND_LINE,
                      shim[] = BEHIND_COMMAND_LINE "\0" KNOWS_SHIM,
                      both[] = BEHIND_COMMAND_LINE "\0" BEFORE_COMMAND_LINE;
#define TEXT(text) text, sizeof text
    static const struct {
        const char *loader;
        size_t length;
        unsigned edk2;
        const char *rtmr1, *rtmr2, *why;
    } cases[] = {
        {TEXT(before), 0, PATCHED, INITRD_BEFORE, NULL},
        {TEXT(before), 202605, PATCHED, INITRD_BEFORE, NULL},
        {TEXT(before), 202505, NULL, NULL,
         "it was not built from edk2-stable202505: it holds what"},
        {TEXT(shim), 0, PATCHED, INITRD_BEHIND, NULL},
        {TEXT(shim), 202411, NULL, NULL, "it was not built from edk2-stable202411: it holds what"},
        {TEXT(shim), 202508, NULL, NULL, "it was not built from edk2-stable202508: it lacks what"},
        {TEXT(behind), 0, NULL, NULL, "whether it was built from edk2-stable202411 or later"},
        {TEXT(behind), 202408, WITHOUT_SEPARATOR, INITRD_BEHIND, NULL},
        {TEXT(behind), 202411, PATCHED, INITRD_BEHIND, NULL},
        {TEXT(behind), 202602, NULL, NULL,
         "it was not built from edk2-stable202602: it lacks what"},
        {TEXT(both), 0, NULL, NULL, "two ways"},
        {TEXT(none), 0, NULL, NULL, "how it names the initrd"},
        {TEXT(none), 202508, PATCHED, INITRD_BEFORE, NULL},
        {TEXT(none), 202405, WITHOUT_SEPARATOR, INITRD_BEHIND, NULL},
    };
    struct snp_fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_error struct error *err = NULL;
        cleanup_measurement struct launch_measurement m = {0};
        char rtmr1[2 * RTMR_SIZE + 1], rtmr2[2 * RTMR_SIZE + 1];
        snp_put_modules(f, cases[i].loader, cases[i].length, true);
        f->in.edk2_version = cases[i].edk2;
        if (cases[i].why) {
            assert_int_equal(launch_measure(&f->in, &m, &err), -1);
            assert_message(err, cases[i].why);
            assert_non_null(strstr(err->hint, "--edk2"));
            continue;
        }
        measured(&f->in, &m, rtmr1, rtmr2);
        assert_string_equal(rtmr1, cases[i].rtmr1);
        assert_string_equal(rtmr2, cases[i].rtmr2);
    }
}

TEST(firmware_that_measures_nothing_is_refused)
{
    struct snp_fixture *f = *state;
    struct firmware values = amdsev_firmware();
    struct launch_measurement m;
    cleanup_error struct error *without = NULL, *unread = NULL;
    snp_put_modules(f, BEFORE_COMMAND_LINE, sizeof BEFORE_COMMAND_LINE, false);
    assert_int_equal(launch_measure(&f->in, &m, &without), -1);
    assert_message(without, "it has no TdTcg2Dxe");
    assert_non_null(strstr(without->hint, "kbuild ovmf-tdx"));
    snp_put_firmware(f, &values);
    assert_int_equal(launch_measure(&f->in, &m, &unread), -1);
    assert_message(unread, "no program in it can be read");
}

// Damage anywhere: an error or fewer facts, never more memory than is bounded, never a crash.
TEST(damaged_volumes_are_read_within_their_bounds)
{
    (void)state;
    cleanup_buf struct buf volume = {0};
    static const char loader[] = BEFORE_COMMAND_LINE;
    add_modules(&volume, loader, sizeof loader, true);
    const size_t used = 600;
    for (size_t at = 0; at < used; at++)
        for (unsigned value = 0; value < 256; value += 51) {
            cleanup_error struct error *err = NULL;
            struct ovmf_facts facts;
            cleanup_free unsigned char *copy = xmalloc(volume.len);
            memcpy(copy, volume.data, volume.len);
            copy[at] = (unsigned char)value;
            if (ovmf_read_facts("f", copy, volume.len, &facts, &err) < 0)
                assert_message(err, "cannot be unpacked");
        }
    for (size_t size = 0; size < used; size++) {
        cleanup_error struct error *err = NULL;
        struct ovmf_facts facts;
        cleanup_free unsigned char *cut = xmalloc(size ? size : 1);
        memcpy(cut, volume.data, size);
        assert_good(ovmf_read_facts("f", cut, size, &facts, &err));
        assert_int_equal(facts.modules, 0);
    }
    // A section that says it is huge.
    cleanup_error struct error *err = NULL;
    struct ovmf_facts facts;
    unsigned char *lzma = memmem(volume.data, volume.len, guid_lzma, GUID_SIZE);
    put_le(lzma + GUID_SIZE + 4 + 5, UINT64_MAX, 8);
    assert_int_equal(ovmf_read_facts("f", (unsigned char *)volume.data, volume.len, &facts, &err),
                     -1);
    assert_message(err, "larger than any firmware");
}

TEST(the_order_of_pages_is_asked_for)
{
    struct snp_fixture *f = *state;
    char one[2 * LAUNCH_DIGEST_MAX + 1], two[2 * LAUNCH_DIGEST_MAX + 1];
    f->in.kernel = f->in.initrd = f->in.append = NULL;
    snp_digest_hex(&f->in, one);
    f->in.two_pass = true;
    snp_digest_hex(&f->in, two);
    // One page is measured: both orders are the same.
    assert_string_equal(one, two);
    struct firmware values = amdsev_firmware();
    values.tdx_section[0][1] = values.tdx_section[0][3] = 0x2000;
    values.tdx_section[0][0] = 0x1E000;
    values.tdx_section[0][2] = 0xFFFFE000;
    snp_put_firmware(f, &values);
    snp_digest_hex(&f->in, two);
    assert_string_equal(two, "975df3b29f39d33b41ad806ad049896f28bff5b08dc524acc6feccfa8daa"
                             "dc1860bdc5dafb2ce29e0c0e328c0af8fcd0");
}

TEST(an_older_kernel_has_no_rtmr_2)
{
    static const struct {
        const char *version;
        bool measures;
    } cases[] = {{"6.8.12 (x)", false}, {"5.15.0", false}, {"6.9.0", true}, {"7.0.1", true}};
    cleanup_error struct error *none = NULL;
    struct snp_fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_error struct error *err = NULL;
        cleanup_measurement struct launch_measurement m = {0};
        put_kernel(f, cases[i].version, 0);
        assert_good(launch_measure(&f->in, &m, &err));
        assert_true(m.has_rtmr1);
        assert_int_equal(m.has_rtmr2, cases[i].measures);
    }
    struct launch_measurement m;
    put_kernel(f, "no number", 0);
    assert_int_equal(launch_measure(&f->in, &m, &none), -1);
    assert_message(none, "does not say which version");
}

TEST(what_lies_behind_the_sections_counts)
{
    (void)state;
    cleanup_free unsigned char *k = make_bzimage();
    unsigned char first[AUTHENTICODE_SIZE], second[AUTHENTICODE_SIZE];
    put_pe(k, "6.12", 0);
    static const struct {
        uint32_t at;
        bool counts;
    } cases[] = {{SNP_KERNEL_SIZE - 1, true}, {BEHIND, true},         {OPTIONAL + 64, false},
                 {SIGNATURES, false},         {SIGNATURES + 8, true}, {0x2345, true}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_error struct error *err = NULL;
        assert_good(authenticode_digest("k", k, SNP_KERNEL_SIZE, first, &err));
        k[cases[i].at] ^= 1;
        assert_good(authenticode_digest("k", k, SNP_KERNEL_SIZE, second, &err));
        assert_int_equal(memcmp(first, second, sizeof first) != 0, cases[i].counts);
    }
}

TEST(bad_images_are_refused)
{
    static const struct {
        uint32_t at, value, bytes;
        const char *why;
    } cases[] = {
        {0x3C, 0xFFFFFFF0, 4, "it has no PE header"},
        {PE, 0, 1, "it has no PE header"},
        {OPTIONAL, 0x107, 2, "its optional header is of no known kind"},
        {PE + 6, 0xFFFF, 2, "it ends in its headers"},
        {OPTIONAL + 60, 0xFFFFFF, 4, "the size of its headers is invalid"},
        {OPTIONAL + 60, SIGNATURES, 4, "the size of its headers is invalid"},
        {SECTIONS + 16, 0x7FFFFFFF, 4, "one of its sections lies beyond its end"},
        {SECTIONS + 20, 0xFFFFFFFF, 4, "one of its sections lies beyond its end"},
        {SIGNATURES + 4, 0x421, 4, "its signatures are longer than the space for them"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_error struct error *err = NULL;
        cleanup_free unsigned char *k = make_bzimage();
        unsigned char digest[AUTHENTICODE_SIZE];
        put_pe(k, "6.12", 0);
        put_le(k + cases[i].at, cases[i].value, cases[i].bytes);
        assert_int_equal(authenticode_digest("vmlinuz", k, SNP_KERNEL_SIZE, digest, &err), -1);
        assert_message(err, cases[i].why);
        assert_message(err, "vmlinuz");
        assert_non_null(err->hint);
    }
}

// Every cut ends inside of something.
TEST(a_cut_image_is_refused)
{
    (void)state;
    cleanup_free unsigned char *k = make_bzimage();
    put_pe(k, "6.12", 0);
    for (uint32_t size = 0; size < BEHIND; size += size < 0x400 ? 1 : 97) {
        cleanup_error struct error *err = NULL;
        cleanup_free unsigned char *exact = xmalloc(size ? size : 1); // for the sanitizer
        unsigned char digest[AUTHENTICODE_SIZE];
        memcpy(exact, k, size);
        assert_int_equal(authenticode_digest("vmlinuz", exact, size, digest, &err), -1);
    }
}

TEST(what_cannot_be_started_is_refused)
{
    struct snp_fixture *f = *state;
    const struct launch_inputs good = f->in;
    struct launch_inputs cases[5] = {good, good, good, good, good};
    static const char *const why[] = {"--qemu-version", "--memory", "has no room",
                                      "vga=", "it has no PE header"};
    cases[0].qemu_version = 0;
    cases[1].memory_mib = 0;
    cases[2].memory_mib = 1;
    cleanup_free char *large = xcalloc(1, 1 << 20);
    put_file(f->initrd, large, 1 << 20);
    cases[3].append = "quiet vga=ask";
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_error struct error *err = NULL;
        struct launch_measurement m;
        if (i == 4) {
            cleanup_free unsigned char *k = make_bzimage();
            put_pe(k, "6.12", 0);
            memset(k + 0x3C, 0, 4);
            put_file(f->kernel, k, SNP_KERNEL_SIZE);
        }
        assert_int_equal(launch_measure(&cases[i], &m, &err), -1);
        assert_message(err, why[i]);
    }
}
