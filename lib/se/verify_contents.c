// SPDX-License-Identifier: Apache-2.0
// Checks the contents of components and loaders against the digests of the header, the seal record
// and the originals, page by page.
#include "base/libcrypto.h"
#include "se/internal.h"

#define COMMAND_LINE_MAX (1u << 20)

static const struct {
    const char *name;
    int original;                 // enum se_original_kind, or -1
    enum seal_part_name recorded; // in the record
    unsigned char index[2];       // the tweak's first two bytes, in layouts G and P
} part_rows[PARTS] = {
    [PART_KERNEL] = {"kernel", SE_ORIGINAL_KERNEL, SEAL_KERNEL, {0, 40}},
    [PART_COMMAND_LINE] = {"command line", SE_ORIGINAL_COMMAND_LINE, SEAL_COMMAND_LINE, {1, 60}},
    [PART_INITRD] = {"initrd", SE_ORIGINAL_INITRD, SEAL_INITRD, {2, 50}},
    [PART_STAGE3B] = {"loader stage3b", -1, SEAL_STAGE3B, {3, 70}},
};

int component_part(const struct se_image *image, size_t i)
{
    const unsigned char *tweak = image->components[i].tweak;
    for (int p = 0; p < PARTS; p++)
        if (tweak[0] == 0 && tweak[1] == part_rows[p].index[image->layout_p])
            return p;
    return -1;
}

// ---- what was found ----

void verification_note(const struct image_verification *v, enum se_basis basis, const char *format,
                       ...)
{
    struct se_findings *all = v->done;
    va_list args;
    va_start(args, format);
    cleanup_free char *text = xvasprintf(format, args);
    va_end(args);
    all->basis = xgrow(all->basis, &all->cap, all->text.n + 1, sizeof *all->basis);
    all->basis[all->text.n] = basis;
    strlist_add(&all->text, text);
}

// With a key that opened the header, everything below it is authentic. Without one, header and
// record are what somebody wrote.
enum se_basis verification_basis(const struct image_verification *v)
{
    return v->unlocked ? SE_PROVEN : SE_STATED;
}

void se_findings_free(struct se_findings *f)
{
    strlist_free(&f->text);
    free(f->basis);
    *f = (struct se_findings){0};
}

// ---- loaders ----
// No digest of their own covers them. They are compared with the built-in ones.

// With at most this many different bytes a loader counts as ours, damaged; else as another one. A
// flipped bit in an encrypted block changes all its 16 bytes.
#define DAMAGE_MAX 32u

static size_t count_differences(const unsigned char *a, const unsigned char *b, size_t length,
                                size_t *first)
{
    size_t n = 0;
    for (size_t i = length; i-- > 0;)
        if (a[i] != b[i]) {
            *first = i;
            n++;
        }
    return n;
}

// Checks the record's digest over the code without arguments.
static int check_stage3a_record(const struct image_verification *v, bool same_as_own,
                                struct error **err)
{
    const struct seal_part *p = &v->record.inputs.part[SEAL_STAGE3A];
    struct seal_part found = {0};
    if (p->size > SE_LOADER_LIMIT - SE_LOADER_ADDRESS)
        return error_user(err, "%s: its stage3a is too large", v->proof->record);
    cleanup_free unsigned char *code = xmalloc(p->size + 1);
    if (read_at(v->u.fd, v->name, SE_LOADER_ADDRESS, code, p->size, err) < 0 ||
        seal_part_of_bytes(code, p->size, &found, err) < 0)
        return -1;
    if (memcmp(found.sha512, p->sha512, sizeof p->sha512) == 0)
        return 0;
    return error_user(err, "%s: the loader stage3a, from 0x%x on, is %s", v->name,
                      SE_LOADER_ADDRESS,
                      same_as_own ? "this program's, but not the one that was sealed"
                                  : "not the one that was sealed");
}

int se_loader_is_own(int fd, const char *name, struct error **err)
{
    const struct loader_code t = builtin_stage3a();
    const size_t length = t.length - STAGE3A_ARGUMENTS;
    cleanup_free unsigned char *code = xmalloc(length);
    if (read_at(fd, name, SE_LOADER_ADDRESS, code, length, err) < 0)
        return -1;
    size_t first = 0, n = count_differences(code, t.bytes, length, &first);
    if (n == 0 || n > DAMAGE_MAX)
        return n == 0;
    return error_user(err,
                      "%s: the loader stage3a is damaged at byte 0x%llx, bit 0x%02x (%zu bytes "
                      "differ from this program's own)",
                      name, (unsigned long long)SE_LOADER_ADDRESS + first,
                      code[first] ^ t.bytes[first], n);
}

// The record's digest of it takes part in what a secret derives; the header does not cover it.
int loader_check(struct image_verification *v, struct error **err)
{
    int own = se_loader_is_own(v->u.fd, v->name, err);
    if (own < 0)
        return -1;
    if (v->has_record) {
        if (check_stage3a_record(v, own, err) < 0)
            return -1;
        verification_note(v, own || v->derived ? SE_PROVEN : SE_STATED,
                          "loader: stage3a is the one of the seal record");
    } else if (own) {
        verification_note(v, SE_PROVEN, "loader: stage3a is this program's own");
    } else {
        verification_note(v, SE_UNCHECKED,
                          "not checked: the loader stage3a, which nothing protects and which is "
                          "not this program's own (a change can only keep the image from "
                          "starting)");
    }
    return 0;
}

// The size that a part has without padding, NUL included: by its original, the record, or stage3b's
// arguments (0: unknown).
static uint64_t part_size(const struct image_verification *v, enum part part, uint64_t found_size)
{
    static const enum se_original_kind original[] = {[PART_KERNEL] = SE_ORIGINAL_KERNEL,
                                                     [PART_COMMAND_LINE] = SE_ORIGINAL_COMMAND_LINE,
                                                     [PART_INITRD] = SE_ORIGINAL_INITRD};
    static const enum seal_part_name recorded[] = {[PART_KERNEL] = SEAL_KERNEL,
                                                   [PART_COMMAND_LINE] = SEAL_COMMAND_LINE,
                                                   [PART_INITRD] = SEAL_INITRD};
    const struct se_original *o = &v->originals->of[original[part]];
    uint64_t nul = part == PART_COMMAND_LINE;
    if (v->intact)
        return found_size;
    if (v->has_record)
        return v->record.inputs.part[recorded[part]].size + nul;
    return o->fd >= 0 ? o->size + nul : found_size;
}

// The expected content of the stage3b component if it is the built-in loader, to be freed; else
// NULL.
static unsigned char *stage3b_expected(struct image_verification *v, size_t *length)
{
    const struct loader_code t = builtin_stage3b();
    const struct se_image *image = &v->u.image;
    const struct se_component *c = &image->components[image->stage3b];
    if (c->padded != page_up(t.length))
        return NULL;
    cleanup_free unsigned char *found = unlocked_load(&v->u, image->stage3b, NULL);
    size_t first = 0, code = t.length - STAGE3B_ARGUMENTS;
    if (!found || count_differences(found, t.bytes, code, &first) > DAMAGE_MAX)
        return NULL;
    struct stage3b_arguments found_size = {.psw_address = SE_KERNEL_ENTRY},
                             a = {.psw_mask = SE_PSW_MASK};
    int index[3];
    if (!stage3b_arguments_find(found, c->padded, image->components, image->component_count,
                                &found_size, index))
        found_size = (struct stage3b_arguments){.psw_address = SE_KERNEL_ENTRY};
    a.psw_address = v->intact       ? found_size.psw_address
                    : v->has_record ? v->record.inputs.psw_address
                                    : SE_KERNEL_ENTRY;
    for (size_t i = 0; i < image->component_count; i++) {
        int part = component_part(image, i);
        if (part < 0 || part == PART_STAGE3B)
            continue;
        a.part[part].address = image->components[i].address;
        a.part[part].size = part_size(v, (enum part)part, found_size.part[part].size);
    }
    unsigned char *expected = xmalloc(t.length);
    memcpy(expected, t.bytes, t.length);
    stage3b_arguments_put(&a, expected + code);
    *length = t.length;
    return expected;
}

// ---- pages ----

// The differences between a component and its re-encrypted content.
struct page_difference {
    uint64_t pages;      // how many; 0: they are the same
    uint64_t first_page; // counted from 0 within the component
    uint64_t first_byte; // its offset in the image
    unsigned char mask;  // the bits of that byte
    uint64_t bytes;      // different bytes on the first page
};

static void note_page(const unsigned char *found, const unsigned char *expected, uint64_t page,
                      uint64_t address, struct page_difference *d)
{
    if (memcmp(found, expected, SE_PAGE) == 0)
        return;
    if (d->pages++)
        return;
    d->first_page = page;
    for (size_t i = SE_PAGE; i-- > 0;)
        if (found[i] != expected[i]) {
            d->first_byte = address + i;
            d->mask = found[i] ^ expected[i];
            d->bytes++;
        }
}

// `source` is the expected content, without padding. `xts` encrypts; NULL: in clear. Only pages
// that both have are compared.
static int compare_pages(int fd, const char *name, const struct se_component *c,
                         EVP_CIPHER_CTX *xts, const struct component_source *source,
                         struct page_difference *out, struct error **err)
{
    cleanup_free unsigned char *found = xmalloc(PAGE_RUN);
    cleanup_free unsigned char *expected = xmalloc(PAGE_RUN);
    uint64_t end = smaller(c->padded, padded_size(source->size));
    int result = 0;
    *out = (struct page_difference){0};
    for (uint64_t at = 0; !result && at < end;) {
        size_t run = (size_t)smaller(end - at, PAGE_RUN);
        if (read_at(fd, name, c->address + at, found, run, err) < 0 ||
            component_read(source, at, expected, run, err) < 0 ||
            (xts && xts_pages(xts, c->tweak, at, expected, run, err) < 0))
            result = -1;
        for (size_t i = 0; !result && i < run; i += SE_PAGE)
            note_page(found + i, expected + i, (at + i) / SE_PAGE, c->address + at + i, out);
        at += run;
    }
    OPENSSL_cleanse(expected, PAGE_RUN);
    return result;
}

// ---- expected contents ----

// The expected content of component `i`, if known. `*owned` is to be freed.
static bool expected_source(struct image_verification *v, size_t i, struct component_source *out,
                            unsigned char **owned, struct error **err)
{
    int part = component_part(&v->u.image, i);
    *owned = NULL;
    if (part < 0)
        return false;
    *out = (struct component_source){.name = part_rows[part].name, .fd = -1};
    if (part == PART_STAGE3B) {
        size_t length;
        *owned = stage3b_expected(v, &length);
        out->bytes = *owned;
        out->size = *owned ? length : 0;
        return *owned != NULL;
    }
    const struct se_original *o = &v->originals->of[part_rows[part].original];
    if (o->fd < 0)
        return false;
    *out = (struct component_source){.name = o->name, .fd = o->fd, .size = o->size};
    if (part == PART_COMMAND_LINE) {
        if (o->size > COMMAND_LINE_MAX)
            return error_user(err, "%s is too large for a command line", o->name), false;
        // With its NUL; layout P does not add a second one.
        *owned = xcalloc(1, o->size + 1);
        out->bytes = *owned;
        if (pread(o->fd, *owned, o->size, 0) != (ssize_t)o->size)
            return error_user(err, "reading %s", o->name), false;
        bool ends = v->u.image.layout_p && o->size && !(*owned)[o->size - 1];
        out->size = o->size + !ends;
    }
    return true;
}

static int page_error(const struct image_verification *v, size_t i, const struct page_difference *d,
                      struct error **err)
{
    const struct se_component *c = &v->u.image.components[i];
    int part = component_part(&v->u.image, i);
    unsigned long long page = d->first_page, all = c->padded / SE_PAGE;
    error_user(err,
               "%s: the %s is damaged: page %llu of %llu, at 0x%llx in the image; first at byte "
               "0x%llx, bit 0x%02x (%llu bytes on that page, %llu pages in all)",
               v->name, part_rows[part].name, page + 1, all,
               (unsigned long long)(c->address + page * SE_PAGE), (unsigned long long)d->first_byte,
               d->mask, (unsigned long long)d->bytes, (unsigned long long)d->pages);
    return error_hint(err, "copy or build the image again");
}

// ---- digests of what was recorded ----

// SHA-512 over the first `size` bytes of component `i`, decrypted. *zeros: all later bytes are
// zero.
static int hash_component(const struct image_verification *v, size_t i, uint64_t size,
                          unsigned char sha512[static 64], bool *zeros, struct error **err)
{
    const struct se_component *c = &v->u.image.components[i];
    cleanup_free unsigned char *pages = xmalloc(PAGE_RUN);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = context && EVP_DigestInit_ex(context, EVP_sha512(), NULL) == 1;
    int result = 0;
    *zeros = true;
    for (uint64_t at = 0; good && !result && at < c->padded; at += PAGE_RUN) {
        size_t run = c->padded - at < PAGE_RUN ? (size_t)(c->padded - at) : PAGE_RUN;
        uint64_t left = size > at ? size - at : 0;
        size_t wanted = left < run ? (size_t)left : run;
        if (read_at(v->u.fd, v->name, c->address + at, pages, run, err) < 0 ||
            (v->u.xts && xts_pages(v->u.xts, c->tweak, at, pages, run, err) < 0))
            result = -1;
        else
            good = EVP_DigestUpdate(context, pages, wanted) == 1;
        *zeros &= all_zero(pages + wanted, run - wanted);
    }
    good = good && EVP_DigestFinal_ex(context, sha512, NULL) == 1;
    EVP_MD_CTX_free(context);
    OPENSSL_cleanse(pages, PAGE_RUN);
    if (!result && !good)
        return crypto_error(err, "computing SHA-512");
    return result;
}

// 1 if component `i` matches the record, 0 if not, -1.
static int recorded_matches(const struct image_verification *v, size_t i, struct error **err)
{
    int part = component_part(&v->u.image, i);
    if (part < 0)
        return 0;
    const struct seal_part *p = &v->record.inputs.part[part_rows[part].recorded];
    unsigned char sha512[64];
    bool zeros;
    if (!p->present || p->size > v->u.image.components[i].padded)
        return 0;
    if (hash_component(v, i, p->size, sha512, &zeros, err) < 0)
        return -1;
    // Behind the code of stage3b are its arguments, which are not in the record.
    return memcmp(sha512, p->sha512, sizeof sha512) == 0 && (zeros || part == PART_STAGE3B);
}

static int check_seal_record(struct image_verification *v, struct error **err)
{
    if (!v->has_record)
        return 0;
    for (size_t i = 0; i < v->u.image.component_count; i++) {
        int matches = recorded_matches(v, i, err);
        if (matches < 0)
            return -1;
        int part = component_part(&v->u.image, i);
        if (!matches)
            return error_user(err, "%s: the %s, component %zu, is not the one that %s names",
                              v->name, part < 0 ? "content" : part_rows[part].name, i + 1,
                              v->proof->record);
    }
    verification_note(v, verification_basis(v),
                      "seal record: kernel, initrd, command line and loader are those it names");
    return 0;
}

// ---- locating changed contents ----

// Used if no difference is located: the expected contents are unknown or equal.
static int contents_error(const struct image_verification *v, const struct strlist *same,
                          struct error **err)
{
    const struct se_image *image = &v->u.image;
    const struct se_component *last = &image->components[image->component_count - 1];
    unsigned long long end = last->address + last->padded;
    cleanup_free char *names = strlist_join(same, ", ");
    error_user(
        err,
        "%s: the components, 0x%llx to 0x%llx, are not those that were sealed: their contents "
        "changed%s%s",
        v->name, (unsigned long long)image->components[0].address, end,
        same->n ? ", but not in these: " : "", names);
    return error_hint(err,
                      "one digest covers all of them: give what the image was made of, and the "
                      "page can be named");
}

// 1 if component `i` has the expected content, 0 if that is unknown, -1 if it differs.
static int locate_in_component(struct image_verification *v, size_t i, struct error **err)
{
    int part = component_part(&v->u.image, i);
    struct component_source source;
    struct page_difference d;
    struct error *why = NULL;
    cleanup_free unsigned char *owned = NULL;
    if (expected_source(v, i, &source, &owned, &why)) {
        if (compare_pages(v->u.fd, v->name, &v->u.image.components[i], v->encrypt, &source, &d,
                          err) < 0)
            return -1;
        return d.pages ? page_error(v, i, &d, err) : 1;
    }
    if (why) {
        *err = why;
        return -1;
    }
    if (!v->has_record)
        return 0;
    int matches = recorded_matches(v, i, err);
    if (matches != 0)
        return matches;
    const struct se_component *c = &v->u.image.components[i];
    unsigned long long start = c->address, end = c->address + c->padded;
    error_user(err, "%s: the %s, 0x%llx to 0x%llx, is damaged: it is not what was sealed", v->name,
               part < 0 ? "content" : part_rows[part].name, start, end);
    return error_hint(err, "give what it was made of, and the page can be named");
}

static int locate_damage(struct image_verification *v, struct error **err)
{
    cleanup_strlist struct strlist same = {0};
    for (size_t i = 0; i < v->u.image.component_count; i++) {
        int known = locate_in_component(v, i, err);
        if (known < 0)
            return -1;
        int part = component_part(&v->u.image, i);
        if (known && part >= 0)
            strlist_add(&same, part_rows[part].name);
    }
    return contents_error(v, &same, err);
}

static int check_digests(struct image_verification *v, struct error **err)
{
    enum image_fault fault;
    if (image_find_fault(v->u.fd, v->name, &v->u.image, &fault, err) < 0)
        return -1;
    if (fault == FAULT_CONTENTS)
        return locate_damage(v, err);
    if (fault == FAULT_NONE) {
        v->intact = true;
        verification_note(v, verification_basis(v),
                          "components: contents, addresses and tweaks have the digests of the "
                          "header (pld, ald, tld)");
        return 0;
    }
    cleanup_free char *place = fault == FAULT_TWEAKS ? locate_in_tweaks(&v->u.image) : NULL;
    return error_user(err, "%s: the IPIB at 0x%llx is damaged%s%s: the %s in it changed", v->name,
                      (unsigned long long)v->u.image.ipib_offset, place ? " at " : "",
                      place ? place : "", fault == FAULT_TWEAKS ? "tweaks" : "addresses");
}

// ---- originals ----

static int compare_component(struct image_verification *v, size_t i, struct error **err)
{
    const struct se_component *c = &v->u.image.components[i];
    int part = component_part(&v->u.image, i);
    struct component_source source;
    struct page_difference d;
    struct error *why = NULL;
    cleanup_free unsigned char *owned = NULL;
    bool known = expected_source(v, i, &source, &owned, &why);
    if (why) {
        *err = why;
        return -1;
    }
    if (!known) {
        verification_note(v, SE_UNCHECKED, "not compared: the %s",
                          part < 0 ? "component" : part_rows[part].name);
        return 0;
    }
    if (compare_pages(v->u.fd, v->name, c, v->encrypt, &source, &d, err) < 0)
        return -1;
    if (source.size != c->size)
        return error_user(err, "%s: its %s is not %s: it has %llu bytes, and not %llu", v->name,
                          part_rows[part].name, source.name, (unsigned long long)c->size,
                          (unsigned long long)source.size);
    if (d.pages)
        return error_user(
            err, "%s: its %s is not %s: %llu of %llu pages differ, the first is page %llu", v->name,
            part_rows[part].name, source.name, (unsigned long long)d.pages,
            (unsigned long long)(c->padded / SE_PAGE), (unsigned long long)d.first_page + 1);
    verification_note(v, verification_basis(v), "%s: %s", part_rows[part].name,
                      part == PART_STAGE3B ? "this program's own" : source.name);
    return 0;
}

static int check_absent_parts(const struct image_verification *v, struct error **err)
{
    const struct se_image *image = &v->u.image;
    const int index[SE_ORIGINALS] = {[SE_ORIGINAL_KERNEL] = image->kernel,
                                     [SE_ORIGINAL_COMMAND_LINE] = image->parameters,
                                     [SE_ORIGINAL_INITRD] = image->initrd};
    for (size_t i = 0; i < SE_ORIGINALS; i++)
        if (v->originals->of[i].fd >= 0 && index[i] < 0)
            return error_user(err, "%s: it has nothing that could be %s", v->name,
                              v->originals->of[i].name);
    return 0;
}

int contents_check(struct image_verification *v, struct error **err)
{
    if (check_digests(v, err) < 0 || unlocked_identify(&v->u, err) < 0 ||
        check_absent_parts(v, err) < 0 || check_seal_record(v, err) < 0)
        return -1;
    for (size_t i = 0; i < v->u.image.component_count; i++)
        if (compare_component(v, i, err) < 0)
            return -1;
    return 0;
}
