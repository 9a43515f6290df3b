// SPDX-License-Identifier: Apache-2.0
// Launch digests: known answers, and that everything that is measured changes them.
//
// The SEV, SEV-ES and SNP answers were computed with sev-snp-measure 0.0.13
// (https://github.com/virtee/sev-snp-measure), the TDX answer with tdx-measure 0.1.0
// (https://github.com/tinfoilsh/tdx-measure), on the very files that the fixture makes.
#include "test.h"

#include "measure_fixture.h"

#include "measure/internal.h"

struct known {
    enum launch_kind kind;
    enum launch_vmm vmm;
    unsigned vcpus;
    const char *cpu;
    uint64_t features;
    bool kernel, initrd, append;
    const char *digest;
};
static const struct known knowns[] = {
    {LAUNCH_SNP, VMM_QEMU, 1, "EPYC-v4", 1, true, true, true,
     "11e49bbd7254007d67cac6e774f752cd68e33695290b05854877a371f801e14c2dc6bb65d979bb65b67e338b0b2eb"
     "413"},
    {LAUNCH_SNP, VMM_QEMU, 2, "EPYC-v4", 1, true, true, true,
     "bdf0b9e6b1f2ca48a7a1895da867cb9e1693719622c0a4b1f0a471f23f658f6c713cc3fa076d62bb360137c40ccff"
     "578"},
    {LAUNCH_SNP, VMM_QEMU, 5, "EPYC-v4", 1, true, true, true,
     "52b4b368d2a3d2bc5c4f7d67645869bcd726bc6a61d8f4c5ae6aa51d53ad89a77f6b1ca88a4569b293c472f5ca7ce"
     "5b1"},
    {LAUNCH_SNP, VMM_QEMU, 1, "EPYC-v4", 1, false, false, false,
     "ebb31b6330d071a262f8455933613b1fb811e85cedde723a0e05baa9df2c20d57fa53f7f34067467fba4e9293199e"
     "054"},
    {LAUNCH_SNP, VMM_EC2, 2, NULL, 1, false, false, false,
     "9f4a803993dcc8106834b631d8c5a1a8f9d13e3a8616796f67f75c5bbc6f01fe934b5478556baad781941f0a1998c"
     "660"},
    {LAUNCH_SNP, VMM_GCE, 2, NULL, 1, false, false, false,
     "62d073aae37d7be7bba61517f6bda692b80ded89ff135bc5ed8ec309b97df35798dbfae26b8ef3e1e0d9afb637099"
     "c26"},
    {LAUNCH_SNP, VMM_QEMU, 1, "EPYC-Milan", 0x21, false, false, false,
     "ccd972e46351025ab4c17e0c57447268acca5967be7415e093c6541a4c47c1d9f3d824fbe9dcd3e8dc0988e1e79a5"
     "9fe"},
    {LAUNCH_SEV_ES, VMM_QEMU, 3, "EPYC-Genoa", 1, true, true, true,
     "0fd58f6265e549e7903ce888e4fc82b9f4469a9b6339ba3a27df3f5e9be38479"},
    {LAUNCH_SEV, VMM_QEMU, 0, NULL, 1, true, true, true,
     "6c1baf162b37296a9c60e3ae9c26e219351e1bb4663e26d91d9fae115d991ed0"},
    {LAUNCH_SEV, VMM_QEMU, 0, NULL, 1, true, false, false,
     "e315c7db0fbb3087bf2db80b13d6c18ed9226d2724e316a5b319c81b95f8fb8d"},
};

static struct launch_inputs inputs_of(const struct snp_fixture *f, const struct known *k)
{
    cleanup_error struct error *err = NULL;
    struct launch_inputs in = f->in;
    in.kind = k->kind;
    in.vmm = k->vmm;
    in.first_vcpus = in.last_vcpus = k->vcpus;
    in.guest_features = k->features;
    in.kernel = k->kernel ? f->kernel : NULL;
    in.initrd = k->initrd ? f->initrd : NULL;
    in.append = k->append ? SNP_APPEND : NULL;
    if (k->cpu)
        assert_good(cpu_type_signature(k->cpu, &in.cpu_signature, &err));
    return in;
}

TEST_WITH(the_digests_are_those_of_another_implementation, snp_setup, snp_teardown)
{
    for (size_t i = 0; i < ARRAY_LEN(knowns); i++) {
        struct launch_inputs in = inputs_of(*state, &knowns[i]);
        char hex[2 * LAUNCH_DIGEST_MAX + 1];
        snp_digest_hex(&in, hex);
        assert_string_equal(hex, knowns[i].digest);
    }
}

TEST_WITH(a_range_has_the_digests_of_each_count, snp_setup, snp_teardown)
{
    const struct snp_fixture *f = *state;
    for (enum launch_kind kind = LAUNCH_SEV_ES; kind <= LAUNCH_SNP; kind++) {
        cleanup_error struct error *err = NULL;
        cleanup_measurement struct launch_measurement all = {0};
        struct launch_inputs in = f->in;
        in.kind = kind;
        in.first_vcpus = 3;
        in.last_vcpus = 7;
        assert_good(launch_measure(&in, &all, &err));
        assert_int_equal(all.count, 5);
        assert_int_equal(all.first_vcpus, 3);
        for (unsigned n = 3; n <= 7; n++) {
            char hex[2 * LAUNCH_DIGEST_MAX + 1], whole[2 * LAUNCH_DIGEST_MAX + 1];
            in.first_vcpus = in.last_vcpus = n;
            snp_digest_hex(&in, hex);
            hex_encode(all.digest[n - 3], all.digest_size, whole);
            assert_string_equal(hex, whole);
        }
    }
}

// ---- every input counts ----

static void expect_other(const struct launch_inputs *in, const char *than)
{
    char hex[2 * LAUNCH_DIGEST_MAX + 1];
    snp_digest_hex(in, hex);
    assert_string_not_equal(hex, than);
}

static void flip(const char *path, size_t at)
{
    cleanup_error struct error *err = NULL;
    cleanup_buf struct buf bytes = {0};
    assert_good(file_read(path, 1 << 20, &bytes, &err));
    bytes.data[at] ^= 1;
    put_file(path, bytes.data, bytes.len);
}

TEST_WITH(every_file_changes_the_digest, snp_setup, snp_teardown)
{
    struct snp_fixture *f = *state;
    char before[2 * LAUNCH_DIGEST_MAX + 1];
    snp_digest_hex(&f->in, before);
    const struct {
        const char *path;
        size_t at;
    } places[] = {{f->firmware, 0},   {f->firmware, FIRMWARE_SIZE - 1},
                  {f->kernel, 0x300}, {f->kernel, SNP_KERNEL_SIZE - 1},
                  {f->initrd, 0},     {f->initrd, SNP_INITRD_SIZE - 1}};
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        flip(places[i].path, places[i].at);
        expect_other(&f->in, before);
        flip(places[i].path, places[i].at);
    }
    char again[2 * LAUNCH_DIGEST_MAX + 1];
    snp_digest_hex(&f->in, again);
    assert_string_equal(again, before);
}

TEST_WITH(every_setting_changes_the_digest, snp_setup, snp_teardown)
{
    const struct snp_fixture *f = *state;
    char before[2 * LAUNCH_DIGEST_MAX + 1];
    snp_digest_hex(&f->in, before);
    struct launch_inputs in[6];
    for (size_t i = 0; i < ARRAY_LEN(in); i++)
        in[i] = f->in;
    in[0].append = "console=ttyS0 panic=0";
    in[1].append = NULL;
    in[2].initrd = NULL;
    in[3].first_vcpus = in[3].last_vcpus = 2;
    in[4].cpu_signature = cpu_signature(25, 1, 1);
    in[5].guest_features = 9;
    for (size_t i = 0; i < ARRAY_LEN(in); i++)
        expect_other(&in[i], before);
}

TEST_WITH(no_command_line_is_an_empty_one, snp_setup, snp_teardown)
{
    const struct snp_fixture *f = *state;
    struct launch_inputs in = f->in;
    char none[2 * LAUNCH_DIGEST_MAX + 1], empty[2 * LAUNCH_DIGEST_MAX + 1];
    in.append = NULL;
    snp_digest_hex(&in, none);
    in.append = "";
    snp_digest_hex(&in, empty);
    assert_string_equal(none, empty);
}

TEST_WITH(the_inputs_are_named_by_their_digests, snp_setup, snp_teardown)
{
    const struct snp_fixture *f = *state;
    cleanup_error struct error *err = NULL;
    cleanup_measurement struct launch_measurement m = {0};
    assert_good(launch_measure(&f->in, &m, &err));
    const struct {
        const char *path;
        const struct launch_file *file;
    } files[] = {{f->firmware, &m.firmware}, {f->kernel, &m.kernel}, {f->initrd, &m.initrd}};
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        char hex[DIGEST_HEX_SIZE];
        uint64_t size;
        assert_good(digest_file(files[i].path, hex, &size, &err));
        assert_true(files[i].file->given);
        assert_int_equal(files[i].file->size, size);
        assert_string_equal(files[i].file->sha256, hex);
    }
}

// ---- parts ----

TEST(other_vcpus_start_where_the_reset_block_says)
{
    (void)state;
    unsigned char first[X86_PAGE], other[X86_PAGE];
    snp_vmsa(VMM_QEMU, VMSA_RESET_VECTOR, 0x00800F12, 1, first);
    snp_vmsa(VMM_QEMU, 0x0080B004, 0x00800F12, 1, other);
    assert_int_equal(get_le(first + 0x18, 8), 0xFFFF0000u); // CS base
    assert_int_equal(get_le(first + 0x178, 8), 0xFFF0);     // RIP
    assert_int_equal(get_le(other + 0x18, 8), 0x00800000);
    assert_int_equal(get_le(other + 0x178, 8), 0xB004);
    assert_int_equal(get_le(first + 0x310, 8), 0x00800F12); // RDX
    assert_int_equal(get_le(first + 0x3B0, 8), 1);          // SEV_FEATURES
    assert_int_equal(get_le(first + 0x170, 8), 2);          // RFLAGS
}

TEST(signatures_are_those_of_the_processors)
{
    (void)state;
    static const struct {
        const char *name;
        uint32_t signature;
    } types[] = {{"EPYC", 0x00800F12},          {"EPYC-v4", 0x00800F12},
                 {"EPYC-IBPB", 0x00800F12},     {"EPYC-Rome", 0x00830F10},
                 {"EPYC-Milan-v2", 0x00A00F11}, {"EPYC-Genoa", 0x00A10F10},
                 {"EPYC-Turin", 0x00B00F00}};
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        cleanup_error struct error *err = NULL;
        uint32_t signature = 0;
        assert_good(cpu_type_signature(types[i].name, &signature, &err));
        assert_int_equal(signature, types[i].signature);
    }
    cleanup_strlist struct strlist names = {0};
    cpu_type_names(&names);
    for (size_t i = 0; i < names.n; i++) {
        uint32_t signature;
        assert_int_equal(cpu_type_signature(names.items[i], &signature, NULL), 0);
    }
}

// ---- TDX ----

// What the fixture's firmware has measured, hashed here in one go: records and contents.
TEST_WITH(mrtd_is_the_digest_of_pages_and_measured_contents, snp_setup, snp_teardown)
{
    const struct snp_fixture *f = *state;
    struct firmware values = amdsev_firmware();
    cleanup_free unsigned char *image = make_firmware(&values);
    cleanup_buf struct buf stream = {0};
    for (uint32_t i = 0; i < values.tdx_sections; i++) {
        const uint64_t *s = values.tdx_section[i];
        for (uint64_t at = 0; at < s[3] && s[5] != 2; at += X86_PAGE) {
            unsigned char record[128] = "MEM.PAGE.ADD";
            put_le(record + 16, s[2] + at, 8);
            buf_add(&stream, record, sizeof record);
            for (uint64_t k = 0; k < X86_PAGE && s[5] == 1; k += 256) {
                unsigned char extend[128] = "MR.EXTEND";
                put_le(extend + 16, s[2] + at + k, 8);
                buf_add(&stream, extend, sizeof extend);
                buf_add(&stream, image + s[0] + at + k, 256);
            }
        }
    }
    unsigned char expected[LAUNCH_DIGEST_MAX];
    char hex[2 * LAUNCH_DIGEST_MAX + 1], expected_hex[2 * LAUNCH_DIGEST_MAX + 1];
    assert_int_equal(EVP_Digest(stream.data, stream.len, expected, NULL, EVP_sha384(), NULL), 1);
    hex_encode(expected, sizeof expected, expected_hex);
    struct launch_inputs in = {.kind = LAUNCH_TDX, .firmware = f->firmware};
    snp_digest_hex(&in, hex);
    assert_string_equal(hex, expected_hex);
    assert_string_equal(hex, "97555c73c78c2cd5388c901408e24daa73bfa866338b1aba5278af3ff41b7a6db3713"
                             "b11beec35751b5c3cd50eda24f0");
}
