// SPDX-License-Identifier: Apache-2.0
// A good image is proven with each of the keys; a single flipped bit anywhere is found, and
// located.
#include "test.h"

#include "se_fixture.h"

#include "se/format.h"
#include "se/se.h"

#define HEADER 0x14000u
#define HEADER_BYTES 640u // one key slot
#define FIRST 0x15000u

// A small image with this program's own loaders, everything derived from a secret, and its record.
struct proven {
    struct fixture *f;
    struct se_input in;
    char *path, *record, *parmfile;
    struct buf image;
    struct secret_memory secret;
    struct se_originals originals;
    unsigned char bytes[64];
};

static void put_bytes(const struct proven *p)
{
    put_file(p->path, p->image.data, p->image.len);
}

static int begin(void **state)
{
    cleanup_error struct error *err = NULL;
    struct proven *p = xcalloc(1, sizeof *p);
    if (fixture_begin((void **)&p->f) < 0)
        return -1;
    struct fixture *f = p->f;
    p->path = in_folder(f, "proven.img");
    p->record = in_folder(f, "record.json");
    p->parmfile = in_folder(f, "parmfile");
    count_up(p->bytes, sizeof p->bytes, 0x80);
    p->secret = (struct secret_memory){.bytes = p->bytes, .length = sizeof p->bytes};
    p->in = f->input;
    p->in.fixed = NULL;
    p->in.host_count = 1;
    p->in.keys = (struct se_keys){.header_key = f->header_key};
    p->in.stage3a = p->in.stage3b = NULL;
    p->in.secret = p->bytes;
    p->in.secret_length = sizeof p->bytes;
    put_file(p->parmfile, KNOWN_COMMAND_LINE, strlen(KNOWN_COMMAND_LINE));
    cleanup_buf struct buf record = {0};
    int fd = open(p->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_good(se_seal(&p->in, fd, &record, &err));
    close(fd);
    put_file(p->record, record.data, record.len);
    get_file(p->path, &p->image);
    p->originals = SE_ORIGINALS_NONE;
    assert_good(se_original_open(&p->originals, SE_ORIGINAL_KERNEL, f->kernel, &err));
    assert_good(se_original_open(&p->originals, SE_ORIGINAL_INITRD, f->initrd, &err));
    assert_good(se_original_open(&p->originals, SE_ORIGINAL_COMMAND_LINE, p->parmfile, &err));
    *state = p;
    return 0;
}

static int end(void **state)
{
    struct proven *p = *state;
    se_originals_free(&p->originals);
    buf_free(&p->image);
    free(p->path);
    free(p->record);
    free(p->parmfile);
    fixture_end((void **)&p->f);
    free(p);
    return 0;
}

static const struct se_originals nothing = SE_ORIGINALS_NONE;

static struct se_proof with_host_key(const struct proven *p)
{
    return (struct se_proof){.host_key = p->f->hosts[0].key};
}
static struct se_proof with_header_key(const struct proven *p)
{
    return (struct se_proof){.header_key = p->f->header_key};
}
static struct se_proof with_secret(const struct proven *p)
{
    return (struct se_proof){
        .header_key = p->f->header_key, .record = p->record, .secret = &p->secret};
}
static struct se_proof with_record(const struct proven *p)
{
    return (struct se_proof){.record = p->record};
}

static int verify(const struct proven *p, const struct se_proof *proof,
                  const struct se_originals *originals, struct strlist *done, struct error **err)
{
    int fd = open(p->path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    struct se_findings found = {0};
    int result = se_verify(fd, p->path, proof, originals, &found, err);
    close(fd);
    for (size_t i = 0; i < found.text.n; i++)
        strlist_add(done, found.text.items[i]);
    se_findings_free(&found);
    return result;
}

static void flip(const struct proven *p, uint64_t offset, unsigned bit)
{
    int fd = open(p->path, O_WRONLY | O_CLOEXEC);
    unsigned char byte = (unsigned char)p->image.data[offset] ^ (unsigned char)(1u << bit);
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)offset), 1);
    close(fd);
}

// Flips one bit, verifies, flips it back. The message must hold both texts.
static void expect(const struct proven *p, const struct se_proof *proof,
                   const struct se_originals *originals, uint64_t offset, unsigned bit,
                   const char *one, const char *two)
{
    cleanup_error struct error *err = NULL;
    cleanup_strlist struct strlist done = {0};
    flip(p, offset, bit);
    int result = verify(p, proof, originals, &done, &err);
    int fd = open(p->path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, p->image.data + offset, 1, (off_t)offset), 1);
    close(fd);
    if (result == 0)
        fail_msg("bit %u of byte 0x%llx: not found", bit, (unsigned long long)offset);
    if (!strstr(err->message, one) || (two && !strstr(err->message, two)))
        fail_msg("bit %u of byte 0x%llx: \"%s\" and \"%s\" are not in \"%s\"", bit,
                 (unsigned long long)offset, one, two ? two : "", err->message);
}

// ---- what is good ----

ALL_TESTS(begin, end)

TEST(a_good_image_is_proven_with_each_kind_of_key)
{
    const struct proven *p = *state;
    const struct {
        struct se_proof proof;
        const char *line;
    } cases[] = {
        {with_host_key(p), "header: authenticated with the host key"},
        {with_header_key(p), "header: authenticated with the header key"},
        {with_secret(p), "seal record: every key, IV, tweak and key slot"},
        {with_record(p), "not checked: that the header is genuine"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_error struct error *err = NULL;
        cleanup_strlist struct strlist done = {0};
        assert_good(verify(p, &cases[i].proof, &p->originals, &done, &err));
        cleanup_free char *all = strlist_join(&done, "\n");
        assert_non_null(strstr(all, cases[i].line));
        assert_non_null(strstr(all, "stage3a is"));
        if (i < 3) {
            assert_non_null(strstr(all, "initrd: "));
            assert_non_null(strstr(all, "loader stage3b: this program's own"));
            assert_null(strstr(all, "not "));
        }
    }
}

TEST(without_originals_it_says_what_was_not_compared)
{
    const struct proven *p = *state;
    cleanup_error struct error *err = NULL;
    cleanup_strlist struct strlist done = {0};
    struct se_proof proof = with_host_key(p);
    assert_good(verify(p, &proof, &nothing, &done, &err));
    cleanup_free char *all = strlist_join(&done, "\n");
    assert_non_null(strstr(all, "not compared: the kernel"));
    assert_non_null(strstr(all, "not compared: the initrd"));
    assert_non_null(strstr(all, "not compared: the command line"));
}

// ---- a flipped bit ----

static const char *field_of(uint64_t offset)
{
    static const struct {
        unsigned from;
        const char *name;
    } fields[] = {
        {HEADER_MAGIC, "magic number"},
        {HEADER_VERSION, "version"},
        {HEADER_SIZE, "its size"},
        {HEADER_IV, "its IV"},
        {HEADER_RESERVED, "reserved"},
        {HEADER_SLOTS, "number of key slots"},
        {HEADER_ENCRYPTED_SIZE, "encrypted area"},
        {HEADER_PAGES, "component pages"},
        {HEADER_PCF, "flags (pcf)"},
        {HEADER_CUSTOMER_KEY, "customer key"},
        {HEADER_PLD, "(pld)"},
        {HEADER_ALD, "(ald)"},
        {HEADER_TLD, "(tld)"},
        {HEADER_SLOT_LIST, "hash in key slot 1"},
        {HEADER_SLOT_LIST + 0x20, "wrapped key in key slot 1"},
        {HEADER_SLOT_LIST + 0x40, "tag in key slot 1"},
        {HEADER_SLOT_LIST + SLOT_SIZE, "its encrypted area"},
        {HEADER_BYTES - 16, "its tag"},
    };
    size_t i = ARRAY_LEN(fields);
    while (offset < fields[--i].from)
        ;
    return fields[i].name;
}

// Behind the fields whose values are checked before the tag is: those have no place to name but
// themselves.
static bool has_place(uint64_t offset)
{
    return (offset >= HEADER_IV && offset < HEADER_RESERVED) || offset >= HEADER_PCF;
}

static void expect_header_bit(const struct proven *p, const struct se_proof *proof, uint64_t bit)
{
    cleanup_free char *place = xasprintf("byte 0x%llx, bit 0x%02x, in",
                                         (unsigned long long)(HEADER + bit / 8), 1u << bit % 8);
    expect(p, proof, &p->originals, HEADER + bit / 8, bit % 8, field_of(bit / 8),
           has_place(bit / 8) ? place : NULL);
}

TEST(every_bit_of_the_header_is_found_and_located)
{
    const struct proven *p = *state;
    struct se_proof proof = with_header_key(p);
    for (uint64_t bit = 0; bit < 8 * HEADER_BYTES; bit++)
        expect_header_bit(p, &proof, bit);
}

TEST(the_host_key_and_the_secret_locate_as_well)
{
    const struct proven *p = *state;
    struct se_proof host = with_host_key(p), secret = with_secret(p);
    for (uint64_t bit = 0; bit < 8 * HEADER_BYTES; bit += 11)
        expect_header_bit(p, &host, bit);
    for (uint64_t bit = 3; bit < 8 * HEADER_BYTES; bit += 23)
        expect_header_bit(p, &secret, bit);
}

struct part_place {
    const char *name;
    uint64_t from, to;
};

static void places(const struct proven *p, struct part_place out[4])
{
    struct se_image image;
    cleanup_error struct error *err = NULL;
    static const char *const names[] = {"kernel", "command line", "initrd", "loader stage3b"};
    assert_good(read_image(p->path, &image, &err));
    assert_int_equal(image.component_count, 4);
    for (size_t i = 0; i < 4; i++)
        out[i] = (struct part_place){names[i], image.components[i].address,
                                     image.components[i].address + image.components[i].padded};
    se_image_free(&image);
}

static uint64_t random_bit(uint64_t *seed, uint64_t limit)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (*seed >> 16) % limit;
}

TEST(several_hundred_bits_of_the_components_are_found_with_their_page)
{
    const struct proven *p = *state;
    struct se_proof proof = with_host_key(p);
    struct part_place parts[4];
    places(p, parts);
    uint64_t seed = 3, span = 8 * (parts[3].to - FIRST);
    for (int i = 0; i < 400; i++) {
        uint64_t bit = random_bit(&seed, span), offset = FIRST + bit / 8;
        size_t part = 0;
        while (offset >= parts[part].to)
            part++;
        cleanup_free char *page =
            xasprintf("the %s is damaged: page %llu of %llu, at 0x%llx", parts[part].name,
                      (unsigned long long)((offset - parts[part].from) / SE_PAGE + 1),
                      (unsigned long long)((parts[part].to - parts[part].from) / SE_PAGE),
                      (unsigned long long)(offset / SE_PAGE * SE_PAGE));
        cleanup_free char *byte = xasprintf("first at byte 0x%llx, bit 0x%02x (1 bytes",
                                            (unsigned long long)offset, 1u << bit % 8);
        expect(p, &proof, &p->originals, offset, bit % 8, page, byte);
    }
}

TEST(several_hundred_bits_before_the_header_are_found)
{
    const struct proven *p = *state;
    struct se_proof proof = with_host_key(p);
    uint64_t seed = 4;
    for (int i = 0; i < 300; i++) {
        uint64_t bit = random_bit(&seed, 8 * (uint64_t)HEADER), offset = bit / 8;
        const char *where = offset < 8 ? "short PSW" : offset < 0x10000 ? "zeros only" : "";
        if (offset >= 0x13000)
            where = "IPIB";
        expect(p, &proof, &nothing, offset, bit % 8, where, NULL);
    }
    // stage3a: code, arguments; the IPIB's load parameter, which nothing protects.
    expect(p, &proof, &nothing, 0x11004, 3, "stage3a is damaged at byte 0x11004, bit 0x08", NULL);
    expect(p, &proof, &nothing, 0x13010, 0, "load parameter", NULL);
    for (uint64_t bit = 0; bit < 64; bit++)
        expect(p, &proof, &nothing, bit / 8, bit % 8, "short PSW", NULL);
    for (uint64_t entry = 0; entry < 4; entry++) {
        uint64_t offset = 0x13000 + IPIB_COMPONENTS + entry * IPIB_ENTRY_SIZE;
        cleanup_free char *component = xasprintf("component %llu", (unsigned long long)entry + 1);
        for (uint64_t bit = 16; bit < 64; bit += 5)
            expect(p, &proof, &nothing, offset + bit / 8, bit % 8, "the tweak of", component);
        expect(p, &proof, &nothing, offset + 8 + 6, 5, "component", NULL);
        expect(p, &proof, &nothing, offset + 16 + 6, 5, "component", NULL);
    }
}

TEST(without_originals_the_record_names_the_component)
{
    const struct proven *p = *state;
    struct se_proof proof = with_secret(p);
    struct part_place parts[4];
    places(p, parts);
    for (size_t i = 0; i < 4; i++) {
        cleanup_free char *name = xasprintf("the %s", parts[i].name);
        expect(p, &proof, &nothing, parts[i].from + 5, 1, name, "is damaged");
        expect(p, &proof, &nothing, parts[i].to - 1, 7, name, "is damaged");
    }
}

TEST(without_anything_it_says_that_one_digest_covers_all)
{
    const struct proven *p = *state;
    cleanup_error struct error *err = NULL;
    cleanup_strlist struct strlist done = {0};
    struct se_proof proof = with_host_key(p);
    flip(p, FIRST + 77, 2);
    assert_int_equal(verify(p, &proof, &nothing, &done, &err), -1);
    put_bytes(p);
    assert_message(err, "their contents changed, but not in these: loader stage3b");
    assert_non_null(strstr(err->hint, "one digest covers all of them"));
}

// ---- another image ----

TEST(other_originals_are_told_apart)
{
    const struct proven *p = *state;
    cleanup_error struct error *err = NULL, *longer = NULL;
    cleanup_free char *other = in_folder(p->f, "other"), *more = in_folder(p->f, "more");
    struct se_proof proof = with_host_key(p);
    unsigned char bytes[INITRD_SIZE + 1];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(11 * i + 5);
    put_file(more, bytes, sizeof bytes);
    bytes[4999] ^= 1;
    put_file(other, bytes, INITRD_SIZE);
    cleanup_originals struct se_originals o = SE_ORIGINALS_NONE;
    cleanup_strlist struct strlist done = {0};
    assert_good(se_original_open(&o, SE_ORIGINAL_INITRD, other, &err));
    assert_int_equal(verify(p, &proof, &o, &done, &err), -1);
    assert_message(err, "1 of 2 pages differ, the first is page 2");
    assert_good(se_original_open(&o, SE_ORIGINAL_INITRD, more, &longer));
    assert_int_equal(verify(p, &proof, &o, &done, &longer), -1);
    assert_message(longer, "it has 5000 bytes, and not 5001");
}

static void refused_as(const struct proven *p, enum se_original_kind kind, const char *path,
                       const char *message)
{
    cleanup_error struct error *err = NULL;
    cleanup_strlist struct strlist done = {0};
    cleanup_originals struct se_originals o = SE_ORIGINALS_NONE;
    const struct se_proof proof = with_record(p);
    assert_good(se_original_open(&o, kind, path, &err));
    assert_int_equal(verify(p, &proof, &o, &done, &err), -1);
    assert_message(err, message);
}

// The record has the digests of what was sealed: no key is needed to tell other files apart.
TEST(a_record_alone_tells_other_originals_apart)
{
    const struct proven *p = *state;
    cleanup_free char *other = in_folder(p->f, "not-sealed");
    static const char *const messages[SE_ORIGINALS] = {[SE_ORIGINAL_KERNEL] = "its kernel is not ",
                                                       [SE_ORIGINAL_COMMAND_LINE] =
                                                           "its command-line is not ",
                                                       [SE_ORIGINAL_INITRD] = "its initrd is not "};
    for (size_t i = 0; i < SE_ORIGINALS; i++) {
        cleanup_buf struct buf bytes = {0};
        put_file(other, "x", 1);
        refused_as(p, (enum se_original_kind)i, other, messages[i]);
        get_file(p->originals.of[i].name, &bytes);
        bytes.data[bytes.len / 2] ^= 1;
        put_file(other, bytes.data, bytes.len);
        refused_as(p, (enum se_original_kind)i, other, "another SHA-512");
    }
    cleanup_error struct error *err = NULL;
    cleanup_strlist struct strlist done = {0};
    const struct se_proof proof = with_record(p);
    assert_good(verify(p, &proof, &p->originals, &done, &err));
    cleanup_free char *all = strlist_join(&done, "\n");
    assert_non_null(strstr(all, "command-line: "));
    assert_null(strstr(all, "not compared"));
}

static size_t count_basis(const struct se_findings *f, enum se_basis basis)
{
    size_t n = 0;
    for (size_t i = 0; i < f->text.n; i++)
        n += f->basis[i] == basis;
    return n;
}

// A record that nothing proves is what somebody wrote: only this program's loader is known.
TEST(without_a_key_a_record_is_a_statement)
{
    const struct proven *p = *state;
    const struct se_proof alone = with_record(p);
    for (int with_key = 0; with_key < 2; with_key++) {
        struct se_proof proof = alone;
        cleanup_findings struct se_findings found = {0};
        cleanup_error struct error *err = NULL;
        int fd = open(p->path, O_RDONLY | O_CLOEXEC);
        proof.host_key = with_key ? p->f->hosts[0].key : NULL;
        assert_good(se_verify(fd, p->path, &proof, &p->originals, &found, &err));
        close(fd);
        assert_int_equal(count_basis(&found, SE_PROVEN) > 1, with_key);
        assert_int_equal(count_basis(&found, SE_STATED) > 3, !with_key);
        assert_int_equal(count_basis(&found, SE_UNCHECKED), !with_key);
    }
}

// Every key that was given has to open the image, not the first of them alone.
TEST(no_key_that_was_given_is_left_aside)
{
    const struct proven *p = *state;
    EVP_PKEY *own = p->f->hosts[0].key, *another = p->f->hosts[1].key;
    struct se_proof both = with_header_key(p), secret = with_secret(p);
    cleanup_error struct error *err = NULL, *header = NULL, *derived = NULL;
    cleanup_strlist struct strlist done = {0};
    both.host_key = own;
    assert_good(verify(p, &both, &nothing, &done, &err));
    cleanup_free char *all = strlist_join(&done, "\n");
    assert_non_null(strstr(all, "opens with the host key, too"));
    cleanup_findings struct se_findings found = {0};
    cleanup_close int fd = open(p->path, O_RDONLY | O_CLOEXEC);
    assert_good(se_verify(fd, p->path, &both, &nothing, &found, &err));
    assert_int_equal(count_basis(&found, SE_STATED), 0);
    both.host_key = secret.host_key = another;
    assert_int_equal(verify(p, &both, &nothing, &done, &header), -1);
    assert_message(header, "none of its 1 key slots");
    assert_int_equal(verify(p, &secret, &nothing, &done, &derived), -1);
    assert_message(derived, "none of its 1 key slots");
}

TEST(another_secret_and_another_record_are_told_apart)
{
    const struct proven *p = *state;
    cleanup_error struct error *err = NULL, *changed = NULL;
    cleanup_strlist struct strlist done = {0};
    unsigned char bytes[64];
    count_up(bytes, sizeof bytes, 1);
    struct secret_memory other = {.bytes = bytes, .length = sizeof bytes};
    struct se_proof proof = with_secret(p);
    proof.secret = &other;
    assert_int_equal(verify(p, &proof, &nothing, &done, &err), -1);
    assert_message(err, "sealed with another secret");
    // A record that says other flags leads to other values.
    cleanup_buf struct buf record = {0};
    get_file(p->record, &record);
    char *pcf = strstr(record.data, "00000000000000e0");
    assert_non_null(pcf);
    pcf[14] = 'f';
    cleanup_free char *path = in_folder(p->f, "forged.json");
    put_file(path, record.data, record.len);
    proof = with_secret(p);
    proof.record = path;
    assert_int_equal(verify(p, &proof, &nothing, &done, &changed), -1);
    assert_message(changed, "is not the one derived from the secret");
}

// An image that was made anew by somebody who knows the header key, and not the secret.
TEST(a_good_image_that_the_secret_did_not_make_is_refused)
{
    const struct proven *p = *state;
    cleanup_error struct error *err = NULL;
    cleanup_strlist struct strlist done = {0};
    struct se_input in = p->in;
    in.secret = NULL;
    assert_good(seal_to(&in, p->path, &err));
    struct se_proof host = with_host_key(p), secret = with_secret(p), record = with_record(p);
    assert_good(verify(p, &host, &p->originals, &done, &err));
    assert_int_equal(verify(p, &secret, &p->originals, &done, &err), -1);
    assert_message(err, "not the one derived from the secret");
    error_free(err);
    err = NULL;
    assert_int_equal(verify(p, &record, &p->originals, &done, &err), -1);
    assert_message(err, "its SHA-256 is not what");
    put_bytes(p);
}

TEST(proofs_that_prove_nothing_are_refused)
{
    const struct proven *p = *state;
    const struct {
        struct se_proof proof;
        const char *message;
    } cases[] = {
        {{.host_key = NULL}, "nothing to verify with"},
        {{.host_key = p->f->hosts[0].key, .secret = &p->secret}, "without the seal record"},
        {{.host_key = p->f->hosts[1].key}, "none of its 1 key slots"},
        {{.header_key = p->f->xts_key}, "its tag does not fit"},
        {{.record = p->record, .secret = &p->secret}, "given header key; give it too"},
        {{.record = p->record, .secret = &p->secret, .header_key = p->f->cck},
         "with another header key"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_error struct error *err = NULL;
        cleanup_strlist struct strlist done = {0};
        assert_int_equal(verify(p, &cases[i].proof, &nothing, &done, &err), -1);
        assert_message(err, cases[i].message);
    }
}

TEST(components_in_clear_are_proven_too)
{
    struct proven *p = *state;
    cleanup_error struct error *err = NULL;
    cleanup_strlist struct strlist done = {0};
    struct se_proof proof = with_host_key(p);
    struct se_input in = p->in;
    in.secret = NULL;
    in.pcf |= SE_PCF_NO_ENCRYPTION;
    in.psw_address = 0x12000;
    assert_good(seal_to(&in, p->path, &err));
    assert_good(verify(p, &proof, &p->originals, &done, &err));
    int fd = open(p->path, O_RDWR | O_CLOEXEC);
    unsigned char byte = 0;
    assert_int_equal(pread(fd, &byte, 1, FIRST + 0x3021), 1);
    byte ^= 4;
    assert_int_equal(pwrite(fd, &byte, 1, FIRST + 0x3021), 1);
    close(fd);
    assert_int_equal(verify(p, &proof, &p->originals, &done, &err), -1);
    assert_message(err,
                   "the kernel is damaged: page 4 of 18, at 0x18000 in the image; first at byte "
                   "0x18021, bit 0x04");
    put_bytes(p);
}
