// SPDX-License-Identifier: Apache-2.0
// Launch measurement of what cannot be launched: one error that names the file and what is wrong.
#include "test.h"

#include "measure_fixture.h"

#include "measure/internal.h"

static void refused(const struct launch_inputs *in, const char *file, const char *why)
{
    cleanup_error struct error *err = NULL;
    struct launch_measurement m;
    assert_int_equal(launch_measure(in, &m, &err), -1);
    assert_message(err, why);
    if (file)
        assert_message(err, file);
    assert_null(m.digest);
}

// ---- firmware as a file ----

EACH_TEST(snp_setup, snp_teardown)

TEST(what_is_no_firmware_is_refused)
{
    struct snp_fixture *f = *state;
    struct firmware values = amdsev_firmware();
    cleanup_free unsigned char *image = make_firmware(&values);
    put_file(f->firmware, image, 0);
    refused(&f->in, "OVMF.fd", "no multiple of 4 KiB");
    put_file(f->firmware, image, FIRMWARE_SIZE - 100);
    refused(&f->in, "OVMF.fd", "no multiple of 4 KiB");
    put_file(f->firmware, image, FIRMWARE_SIZE - X86_PAGE); // cut off
    refused(&f->in, "OVMF.fd", "OVMF's table is not at its end");
    put_file(f->firmware, image + FIRMWARE_SIZE - X86_PAGE, X86_PAGE); // the start is missing
    refused(&f->in, "OVMF.fd", "cut off at the start");
    memset(image, 0, FIRMWARE_SIZE);
    put_file(f->firmware, image, FIRMWARE_SIZE);
    refused(&f->in, "OVMF.fd", "OVMF's table is not at its end");
    f->in.firmware = "/nonexistent/OVMF.fd";
    refused(&f->in, "/nonexistent/OVMF.fd", "No such file");
    f->in.firmware = f->folder;
    refused(&f->in, f->folder, "a directory");
}

TEST(a_file_larger_than_any_firmware_is_not_read)
{
    struct snp_fixture *f = *state;
    assert_int_equal(truncate(f->firmware, (off_t)1 << 30), 0);
    refused(&f->in, "OVMF.fd", "more than any firmware");
}

// ---- firmware by what it holds ----

static void refused_firmware(struct snp_fixture *f, const struct firmware *values, const char *why)
{
    snp_put_firmware(f, values);
    refused(&f->in, "OVMF.fd", why);
}

TEST(firmware_without_what_a_launch_needs_is_refused)
{
    struct snp_fixture *f = *state;
    struct firmware values = amdsev_firmware();
    values.sev = false;
    refused_firmware(f, &values, "no SEV metadata");
    values = amdsev_firmware();
    values.reset = 0;
    refused_firmware(f, &values, "no SEV-ES reset block");
    values = amdsev_firmware();
    values.hashes = values.hashes_size = 0; // what OvmfPkgX64 has
    refused_firmware(f, &values, "no area for the hashes of a kernel");
    values = amdsev_firmware();
    values.sections = 6;
    refused_firmware(f, &values, "SNP_KERNEL_HASHES");
    values = amdsev_firmware();
    values.hashes_size = 175;
    refused_firmware(f, &values, "cannot hold them");
    values = amdsev_firmware();
    values.hashes = 0x810FC0; // ends behind the page
    refused_firmware(f, &values, "cannot hold them");
    values = amdsev_firmware();
    values.tdx = false;
    f->in = (struct launch_inputs){.kind = LAUNCH_TDX, .firmware = f->firmware};
    refused_firmware(f, &values, "no TDX metadata");
}

TEST(what_one_launch_needs_another_may_lack)
{
    struct snp_fixture *f = *state;
    cleanup_error struct error *err = NULL;
    struct launch_measurement m;
    struct firmware values = {.hashes = 0x810C00, .hashes_size = 0x400};
    snp_put_firmware(f, &values);
    f->in.kind = LAUNCH_SEV;
    assert_good(launch_measure(&f->in, &m, &err));
    launch_measurement_free(&m);
    values.reset = 0x80B004;
    snp_put_firmware(f, &values);
    f->in.kind = LAUNCH_SEV_ES;
    assert_good(launch_measure(&f->in, &m, &err));
    launch_measurement_free(&m);
}

TEST(bad_metadata_matter_only_to_what_reads_them)
{
    struct snp_fixture *f = *state;
    cleanup_error struct error *err = NULL;
    struct launch_measurement m;
    struct firmware values = amdsev_firmware();
    values.section[0][2] = 99;         // of no known type
    values.tdx_section[0][1] = 0x9000; // behind the end
    snp_put_firmware(f, &values);
    refused(&f->in, "OVMF.fd", "type 0x63");
    f->in.kind = LAUNCH_SEV_ES;
    assert_good(launch_measure(&f->in, &m, &err));
    launch_measurement_free(&m);
    f->in = (struct launch_inputs){.kind = LAUNCH_TDX, .firmware = f->firmware};
    refused(&f->in, "OVMF.fd", "is invalid");
}

TEST(impossible_sections_are_refused)
{
    struct snp_fixture *f = *state;
    static const struct {
        uint32_t section[3];
        const char *why;
    } wrong[] = {
        {{0x800001, 0x1000, SNP_SEC_MEM}, "not made of whole pages"},
        {{0x800000, 0x1001, SNP_SEC_MEM}, "not made of whole pages"},
        {{0x800000, 0, SNP_SEC_MEM}, "not made of whole pages"},
        {{0x80D000, 0x1000, SNP_SEC_MEM}, "overlap"},
        {{0x700000, 0x200000, SNP_SEC_MEM}, "overlap"},
        {{0xFFFFF000, 0x1000, SNP_SEC_MEM}, "overlaps the firmware"},
        {{0xFFFFF000, 0xFFFFF000, SNP_SEC_MEM}, "overlaps the firmware"},
        {{0x700000, 0x2000, SNP_SECRETS}, "not one page"},
        {{0x700000, 0x1000, 5}, "type 0x5, which is unknown"},
        {{0x700000, 0x1000, 0xFFFFFFFF}, "which is unknown"},
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct firmware values = amdsev_firmware();
        memcpy(values.section[0], wrong[i].section, sizeof wrong[i].section);
        // The last is checked against those before it.
        memcpy(values.section[values.sections++], amdsev_firmware().section[0], 12);
        refused_firmware(f, &values, wrong[i].why);
    }
}

// Changes `bytes` bytes at `at` of a good firmware.
static void refused_patch(struct snp_fixture *f, size_t at, uint64_t value, size_t bytes,
                          const char *why)
{
    struct firmware values = amdsev_firmware();
    cleanup_free unsigned char *image = make_firmware(&values);
    put_le(image + at, value, bytes);
    put_file(f->firmware, image, FIRMWARE_SIZE);
    refused(&f->in, "OVMF.fd", why);
}

TEST(damaged_tables_are_refused)
{
    struct snp_fixture *f = *state;
    const size_t length = FIRMWARE_SIZE - TABLE_END - GUID_SIZE - 2;
    const size_t sev = FIRMWARE_SIZE - SEV_METADATA_OFFSET;
    refused_patch(f, length, 17, 2, "says that it has 17 bytes");
    refused_patch(f, length, 0xFFFF, 2, "the table at its end is damaged");
    refused_patch(f, length, 50, 2, "the table at its end is damaged"); // ends in an entry
    refused_patch(f, length - GUID_SIZE - 2, 17, 2, "an entry of 17 bytes");
    refused_patch(f, length - GUID_SIZE - 2, 18, 2, "too short");
    refused_patch(f, SEV_METADATA_OFFSET, 0, 4, "does not begin with ASEV");
    refused_patch(f, SEV_METADATA_OFFSET + 8, 2, 4, "version 2");
    refused_patch(f, SEV_METADATA_OFFSET + 12, 0xFFFFFFFF, 4, "which is impossible");
    refused_patch(f, SEV_METADATA_OFFSET + 4, sev + 1, 4, "which is impossible");
    f->in = (struct launch_inputs){.kind = LAUNCH_TDX, .firmware = f->firmware};
    const size_t section = TDX_METADATA_OFFSET + 16;
    refused_patch(f, TDX_METADATA_OFFSET, 0, 4, "does not begin with TDVF");
    refused_patch(f, TDX_METADATA_OFFSET + 8, 2, 4, "version 2");
    refused_patch(f, TDX_METADATA_OFFSET + 12, 0xFFFFFFF, 4, "which is not known");
    refused_patch(f, section, 0x1F001, 4, "is invalid");         // content behind the end
    refused_patch(f, section + 8, 0xFFFFF001, 8, "is invalid");  // half a page
    refused_patch(f, section + 16, 1ull << 40, 8, "64 MiB");     // asks for a terabyte
    refused_patch(f, section + 3 * 32 + 28, 1, 4, "the TD HOB"); // measured, but not known before
}

// ---- kernel, initrd, command line ----

TEST(what_is_no_bzimage_is_refused)
{
    struct snp_fixture *f = *state;
    static const struct {
        size_t length;
        size_t at, bytes;
        uint64_t value;
        const char *why;
    } wrong[] = {
        {0, 0, 0, 0, "it is empty"},
        {100, 0, 0, 0, "too short"},
        {2560, 0, 0, 0, "ends in its own setup code"},
        {SNP_KERNEL_SIZE, 0x202, 4, 0, "no HdrS at 0x202"},
        {SNP_KERNEL_SIZE, 0x1FE, 2, 0, "no HdrS at 0x202"},
        {SNP_KERNEL_SIZE, 0, 4, 0x464C457F, "ELF"},
        {SNP_KERNEL_SIZE, 0x206, 2, 0x20B, "before 3.7"},
        {SNP_KERNEL_SIZE, 0x236, 2, 0, "32-bit"},
        {SNP_KERNEL_SIZE, 0x1F1, 1, 40, "ends in its own setup code"},
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        cleanup_free unsigned char *kernel = make_bzimage();
        put_le(kernel + wrong[i].at, wrong[i].value, wrong[i].bytes);
        put_file(f->kernel, kernel, wrong[i].length);
        refused(&f->in, "vmlinuz", wrong[i].why);
    }
}

TEST(a_command_line_that_the_kernel_cuts_off_is_refused)
{
    struct snp_fixture *f = *state;
    char line[2049];
    memset(line, 'x', sizeof line - 1);
    line[2048] = '\0';
    f->in.append = line;
    refused(&f->in, "vmlinuz", "2048 bytes");
    line[2047] = '\0';
    char hex[2 * LAUNCH_DIGEST_MAX + 1];
    snp_digest_hex(&f->in, hex);
}

TEST(an_empty_initrd_is_refused)
{
    struct snp_fixture *f = *state;
    put_file(f->initrd, "", 0);
    refused(&f->in, "initrd.img", "empty");
}

// ---- settings ----

TEST(settings_that_make_no_sense_are_refused)
{
    const struct snp_fixture *f = *state;
    static const unsigned counts[][2] = {{0, 0}, {0, 1}, {2, 1}, {1, 1025}, {1025, 1025}};
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        struct launch_inputs in = f->in;
        in.first_vcpus = counts[i][0];
        in.last_vcpus = counts[i][1];
        refused(&in, NULL, "a guest has from 1 to 1024");
    }
    struct launch_inputs in = f->in;
    in.guest_features = 2;
    refused(&in, NULL, "bit 0");
    in = f->in;
    in.kernel = NULL;
    refused(&in, NULL, "give the kernel, too");
    in = f->in;
    in.kind = LAUNCH_TDX;
    refused(&in, NULL, "QEMU's version is missing");
}

TEST(an_unknown_processor_names_the_nearest)
{
    (void)state;
    static const struct {
        const char *name, *hint;
    } types[] = {{"EPYC-Millan", "did you mean EPYC-Milan?"},
                 {"EPYC-v9", "did you mean EPYC-v"},
                 {"epyc-rome-v2x", "EPYC-Turin"},
                 {"host", "--vcpu-sig"},
                 {"", "--vcpu-sig"}};
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        cleanup_error struct error *err = NULL;
        uint32_t signature;
        assert_int_equal(cpu_type_signature(types[i].name, &signature, &err), -1);
        assert_message(err, "there is no CPU type");
        assert_non_null(strstr(err->hint, types[i].hint));
    }
}
