// SPDX-License-Identifier: Apache-2.0
// The figures that sev-snp-measure publishes in its own tests
// (https://github.com/virtee/sev-snp-measure, tests/test_guest.py and test_id_block.py), without
// its files: the digest of its AmdSev firmware is one of them, what else counts of that firmware
// are the sections and the reset address.
#include "test.h"

#include "measure_fixture.h"

#include "measure/internal.h"

static const struct snp_section sections[] = {
    {0x800000, 0x9000, SNP_SEC_MEM},  {0x80A000, 0x3000, SNP_SEC_MEM},
    {0x80D000, 0x1000, SNP_SECRETS},  {0x80E000, 0x1000, SNP_CPUID},
    {0x80F000, 0x1000, SNP_SVSM_CAA}, {0x810000, 0x1000, SNP_KERNEL_HASHES},
    {0x811000, 0xF000, SNP_SEC_MEM},
};
#define HASHES_ADDRESS 0x810C00u
#define RESET_ADDRESS 0x80B004u
#define FIRMWARE_DIGEST                                                                            \
    "086e2e9149ebf45abdc3445fba5b2da8270bdbb04094d7a2c37faaa4b24af3aa16aff8c374c2a55c467a50da6d46" \
    "6b74"

static void add_kernel_hashes(struct snp_digest *d, const char *append)
{
    struct launch_file empty = {.given = true};
    unsigned char page[X86_PAGE] = {0};
    digest_bytes("", 0, empty.sha256); // kernel and initrd are /dev/null there
    snp_hashes(&empty, &empty, append, page + HASHES_ADDRESS % X86_PAGE);
    assert_int_equal(snp_digest_page(d, PAGE_NORMAL, HASHES_ADDRESS & ~0xFFFu, page, NULL), 0);
}

static const enum snp_page_type types[] = {[SNP_SEC_MEM] = PAGE_ZERO,
                                           [SNP_SECRETS] = PAGE_SECRETS,
                                           [SNP_CPUID] = PAGE_CPUID,
                                           [SNP_SVSM_CAA] = PAGE_ZERO,
                                           [SNP_KERNEL_HASHES] = PAGE_ZERO};

// `append` NULL: no kernel.
static void expect(const char *append, unsigned vcpus, uint64_t features, const char *expected)
{
    struct snp_digest d;
    char hex[2 * SHA384_SIZE + 1];
    assert_true(hex_decode(FIRMWARE_DIGEST, d.value, SHA384_SIZE));
    for (const struct snp_section *s = sections; s < sections + ARRAY_LEN(sections); s++) {
        if (s->type == SNP_KERNEL_HASHES && append)
            add_kernel_hashes(&d, append);
        else
            assert_int_equal(snp_digest_range(&d, types[s->type], s->address, s->size, NULL), 0);
    }
    for (unsigned n = 0; n < vcpus; n++) {
        unsigned char page[X86_PAGE];
        snp_vmsa(VMM_QEMU, n ? RESET_ADDRESS : VMSA_RESET_VECTOR, cpu_signature(23, 1, 2), features,
                 page);
        assert_int_equal(snp_digest_page(&d, PAGE_VMSA, VMSA_ADDRESS, page, NULL), 0);
    }
    hex_encode(d.value, sizeof d.value, hex);
    assert_string_equal(hex, expected);
}

TEST(the_published_digests_come_out)
{
    static const char *const line = "console=ttyS0 loglevel=7";
    (void)state;
    expect("", 1, 0x21,
           "329c8ce0972ae52343b64d34a434a86f245dfd74f5ed7aae15d22efc78fb9683632b9b50e4e1d7fa41179ef"
           "98a7ef198");
    expect("", 1, 0x1,
           "ddc5224521617a536ee7ce9dd6224d1b58a8d4fda1c741f3ac99fc4bfa04ba6e9fc98646d4a07a9079397fa"
           "3852819b5");
    expect(line, 1, 0x21,
           "803f691094946e42068aaa3a8f9e26a5c89f36f7b73ecfb28c653360fe4b3aba7e534442e7e1e17895dfe77"
           "8d0228977");
    expect(line, 1, 0x1,
           "6d287813eb5222d770f75005c664e34c204f385ce832cc2ce7d0d6f354454362f390ef83a92046c042e7063"
           "63b4b08fa");
    expect("", 4, 0x21,
           "4953b1fb416fa874980e8442b3706d345926d5f38879134e00813c5d7abcbe78eafe7b422907be0b4698e24"
           "14a631942");
    expect("", 4, 0x1,
           "5061fffb019493a903613d56d54b94912a1a2f9e4502385f5c194616753720a92441310ba6c4933de877c36"
           "e23046ad5");
    expect(NULL, 1, 0x21,
           "e1e1ca029dd7973ab9513295be68198472dcd4fc834bd9af9b63f6e8a1674dbf281a9278a4a2ebe0eed9f22"
           "adbcd0e2b");
    expect(NULL, 1, 0x1,
           "19358ba9a7615534a9a1e2f0dfc29384dcd4dcb7062ff9c6013b26869a5fc6ecabe033c48dd6f6db5d6d76e"
           "7c5df632d");
}

TEST(the_published_id_block_comes_out)
{
    (void)state;
    unsigned char digest[LAUNCH_DIGEST_MAX], block[ID_BLOCK_SIZE], text[4 * ID_BLOCK_SIZE / 3 + 1];
    const struct id_block_values values = {.policy = SNP_POLICY_DEFAULT};
    EVP_DecodeBlock(
        digest,
        (const unsigned char *)"B28FLQi9p6cAqipgjFyqawDrrSl7bWioWkWx5mmlWLZ+G5HShKMB/mPE+gdQRn7t",
        64);
    id_block_make(digest, &values, block);
    EVP_EncodeBlock(text, block, sizeof block);
    assert_string_equal((char *)text,
                        "B28FLQi9p6cAqipgjFyqawDrrSl7bWioWkWx5mmlWLZ+G5HShKMB/mPE+gdQRn7tAAAAAAAA"
                        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABAAAAAAAAAAAAAwAAAAAA");
}
