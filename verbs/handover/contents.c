// SPDX-License-Identifier: Apache-2.0
// Looks into a file that was handed over: members of an archive (names, types, VERSION), and Secure
// Execution images, alone or in one.
#include "handover/internal.h"

#include "base/file.h"
#include "base/map.h"
#include "hkd/hkd.h"
#include "pack/reader.h"

#include <string.h>
#include <sys/stat.h>

enum { MAGIC_MAX = 8, REFERENCE_MAX = 16 << 20 };

// ---- kinds ----

struct magic {
    uint64_t offset;
    size_t length;
    const char *bytes;
};

static bool begins_as(int fd, const struct magic *m, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char bytes[MAGIC_MAX];
        if (fd_read_at(fd, bytes, m[i].length, m[i].offset) == (ssize_t)m[i].length &&
            !memcmp(bytes, m[i].bytes, m[i].length))
            return true;
    }
    return false;
}

bool is_archive(int fd)
{
    static const struct magic magic[] = {
        {0, 6, "\3757zXZ\0"}, {0, 4, "\050\265\057\375"}, {0, 2, "\037\213"}, {0, 3, "BZh"},
        {257, 5, "ustar"},    {0, 6, "070701"},           {0, 6, "070707"},   {0, 4, "PK\3\4"},
    };
    return begins_as(fd, magic, ARRAY_LEN(magic));
}

// docs/se-image.md, sections 3 and 8: the metadata block of layout P, and the header, which lies at
// the beginning of one of the first pages (lib/se/read.c).
enum { SE_PAGES = 24, SE_HEAD = SE_PAGES * (int)SE_PAGE, SE_METADATA = 0xC000 };

static bool is_se_head(const char *head, size_t length)
{
    for (size_t at = 0; at + MAGIC_MAX <= length; at += SE_PAGE)
        if (!memcmp(head + at, "IBMSecEx", MAGIC_MAX) ||
            (at == SE_METADATA && !memcmp(head + at, "SeImgLnx", MAGIC_MAX)))
            return true;
    return false;
}

static bool is_se_image(int fd)
{
    cleanup_free char *head = xmalloc(SE_HEAD);
    ssize_t n = fd_read_at(fd, head, SE_HEAD, 0);
    return n > 0 && is_se_head(head, (size_t)n);
}

// ---- Secure Execution images ----

static void check_document(struct check_run *c, const struct se_image *image, const char *path)
{
    struct host_key key = {0};
    struct error *why = NULL;
    if (host_key_input(path, &key, &why) < 0) {
        finding(c, CHECK_BAD, "host key", "%s", why->message);
        error_free(why);
        return;
    }
    bool found = false;
    for (uint64_t i = 0; i < image->slots; i++)
        found |= !memcmp(image->slot[i], key.hash, sizeof key.hash);
    finding(c, found ? CHECK_GOOD : CHECK_BAD, "host key",
            found
                ? "%s: the image has a key slot with the hash of this machine's key; that it opens "
                  "there shows only on the machine"
                : "%s: no key slot of the image is for this machine, so it cannot start there",
            path);
    host_key_free(&key);
}

static void check_documents(struct check_run *c, const struct se_image *image)
{
    const struct strlist *documents = c->r->documents;
    for (size_t i = 0; i < documents->n; i++)
        check_document(c, image, documents->items[i]);
    if (!documents->n)
        finding(c, CHECK_SKIPPED, "host key",
                "for which machines its %llu key slots are: --host-key-document=HKD looks for one",
                (unsigned long long)image->slots);
}

// Whether a trusted key signed the seal record, as any file: in <record>.intoto.jsonl.
static int find_record_signer(const struct check_run *c, const char *digest, char **signer,
                              struct error **err)
{
    const char *record = c->r->proof->record;
    cleanup_free char *path = xasprintf("%s%s", record, BUNDLE_SUFFIX);
    cleanup_buf struct buf text = {0};
    struct vouched_list l = {0};
    if (!c->r->keys || !is_regular_file(record) || !path_exists(path))
        return 0;
    int result = file_read(path, BUNDLE_MAX, &text, err);
    if (!result)
        result = bundle_read(&text, path, digest, c->r->keys, &l, err);
    if (!result && l.n)
        *signer = xstrdup(l.items[0].by.key);
    vouched_free(&l);
    return result < 0 ? error_wrap(err, "reading the signature of the seal record") : 0;
}

// The digest of the record; "" for none and for a pipe, which can be read only once.
static int hash_record(const struct check_run *c, char digest[static DIGEST_HEX_SIZE],
                       struct error **err)
{
    const char *record = c->r->proof->record;
    *digest = '\0';
    return record && is_regular_file(record) ? digest_file(record, digest, NULL, err) : 0;
}

static void report_sealed_parts(struct check_run *c, const struct se_findings *done,
                                const char *signer)
{
    static const enum check_result results[] = {
        [SE_PROVEN] = CHECK_GOOD, [SE_STATED] = CHECK_STATED, [SE_UNCHECKED] = CHECK_SKIPPED};
    bool stated = false;
    for (size_t i = 0; i < done->text.n; i++) {
        enum check_result result = results[done->basis[i]];
        stated |= result == CHECK_STATED;
        if (result == CHECK_STATED && signer)
            result = CHECK_GOOD;
        finding(c, result, "sealed parts", "%s", done->text.items[i]);
    }
    if (stated && signer)
        finding(c, CHECK_GOOD, "seal record", "the key %s signed it", signer);
    else if (stated && c->r->proof->record)
        finding(c, CHECK_SKIPPED, "seal record",
                "nobody whom you trust signed it, so its digests are what somebody states: a "
                "signature of the producer (%s%s), the header key or the seal secret shows more",
                path_base(c->r->proof->record), BUNDLE_SUFFIX);
}

static int check_sealed_parts(struct check_run *c, int fd, const char *name, struct error **err)
{
    if (!c->r->proof) {
        finding(c, CHECK_SKIPPED, "sealed parts",
                "kernel, initrd and command line in it are encrypted: --seal-record=FILE with the "
                "files that they should be compares them");
        return 0;
    }
    cleanup_findings struct se_findings done = {0};
    cleanup_free char *signer = NULL;
    char before[DIGEST_HEX_SIZE], after[DIGEST_HEX_SIZE];
    struct error *why = NULL;
    if (hash_record(c, before, err) < 0 ||
        (*before && find_record_signer(c, before, &signer, err) < 0))
        return -1;
    int result = se_verify(fd, name, c->r->proof, c->r->originals, &done, &why);
    report_sealed_parts(c, &done, signer);
    if (result < 0)
        return finding_of_error(c, "sealed parts", why, err);
    if (hash_record(c, after, err) < 0)
        return -1;
    if (strcmp(before, after) != 0)
        finding(c, CHECK_BAD, "seal record", "it was changed while it was read");
    return 0;
}

// It runs before anything is decrypted, and nothing in the image authenticates it.
static int check_loader(struct check_run *c, int fd, const char *name, struct error **err)
{
    struct error *why = NULL;
    int own = se_loader_is_own(fd, name, &why);
    if (own < 0)
        return finding_of_error(c, "SE image", why, err);
    finding(c, own ? CHECK_GOOD : CHECK_SKIPPED, "SE image",
            own ? "%s: the loader before its header, which is in clear, is this kbuild's own"
                : "%s: the loader before its header, which is in clear: it is not this kbuild's "
                  "own, and nothing in the image authenticates it",
            name);
    return 0;
}

static int check_se_image(struct check_run *c, int fd, const char *name, struct error **err)
{
    struct se_image image = {0};
    struct error *why = NULL;
    if (se_read(fd, name, &image, &why) < 0)
        return finding_of_error(c, "SE image", why, err);
    finding(c, CHECK_GOOD, "SE image",
            "%s: sizes, addresses and the three digests of its %zu components fit its header; that "
            "the header is genuine shows only with a key",
            name, image.component_count);
    check_documents(c, &image);
    se_image_free(&image);
    return check_loader(c, fd, name, err) < 0 ? -1 : check_sealed_parts(c, fd, name, err);
}

// ---- archives ----

static int check_version(struct check_run *c, const struct listing *l, struct error **err)
{
    cleanup_free char *version = NULL;
    struct error *why = NULL;
    int found = tarball_version(c->fd, c->r->file, l, &version, &why);
    if (found < 0)
        return finding_of_error(c, "contents", why, err);
    if (!version)
        return 0;
    if (!strcmp(version, RELEASE_UNKNOWN))
        finding(c, CHECK_STATED, "contents", "VERSION in it says that it is not known");
    else if (c->release && strcmp(c->release, version) != 0)
        finding(c, CHECK_BAD, "contents", "VERSION in it is %s, but the signer states %s", version,
                c->release);
    else
        finding(c, CHECK_STATED, "contents", "VERSION in it is %s", version);
    return 0;
}

// ---- Secure Execution images in archives ----

// Finds them by their content, whatever they are called.
struct image_search {
    char *head; // of the file that is read
    size_t length, entry;
    bool *is_image; // of each entry
    size_t n, cap;
};

static void search_end(struct image_search *s)
{
    if (s->length && is_se_head(s->head, s->length)) {
        size_t old = s->n;
        s->is_image = xgrow(s->is_image, &s->cap, s->entry + 1, sizeof *s->is_image);
        s->n = s->entry + 1;
        memset(s->is_image + old, 0, (s->n - old) * sizeof *s->is_image);
        s->is_image[s->entry] = true;
    }
    s->length = 0;
}

static void search_bytes(void *context, size_t entry, uint64_t offset, const void *bytes,
                         size_t length)
{
    struct image_search *s = context;
    if (!offset) {
        search_end(s);
        s->entry = entry;
    }
    if (offset != s->length || offset >= SE_HEAD)
        return;
    size_t n = length < SE_HEAD - offset ? length : (size_t)(SE_HEAD - offset);
    memcpy(s->head + offset, bytes, n);
    s->length += n;
}

static bool search_has(const struct image_search *s, size_t entry)
{
    return entry < s->n && s->is_image[entry];
}

// What a runtime starts by its name, in releases of upstream, too.
static bool has_image_name(const char *path)
{
    const char *base = path_base(path);
    return starts_with(base, "kata-containers-se") && ends_with(base, ".img");
}

// Extracts a member, with links followed, into a file without a name: 1, 0 or -1.
static int extract(const struct check_run *c, const char *member, int *out, char **resolved,
                   struct error **err)
{
    *out = nameless_file(NULL, err);
    return *out < 0 ? -1 : unpack_member_if(c->fd, c->r->file, member, *out, resolved, err);
}

static int check_image_member(struct check_run *c, const struct listing_entry *e, size_t *images,
                              struct error **err)
{
    cleanup_free char *resolved = NULL;
    cleanup_close int fd = -1;
    struct error *why = NULL;
    bool link = e->hardlink || S_ISLNK(e->mode);
    if (!link && !e->size) {
        ++*images;
        finding(
            c, CHECK_BAD, "SE image",
            "%s is an empty file: a placeholder that starts nothing, as in releases of upstream",
            e->path);
        return 0;
    }
    int found = extract(c, e->path, &fd, &resolved, &why);
    if (found < 0)
        return finding_of_error(c, "SE image", why, err);
    if (!found && !link) {
        finding(c, CHECK_BAD, "SE image", "%s: it lies below a link", e->path);
        return 0;
    }
    if (!found) {
        finding(c, CHECK_SKIPPED, "SE image",
                "%s: it is a link to %s, which is not in this archive", e->path, e->link);
        return 0;
    }
    ++*images;
    cleanup_free char *shown = link ? xasprintf("%s (a link to %s)", e->path, e->link) : NULL;
    return check_se_image(c, fd, shown ? shown : e->path, err);
}

static int check_images(struct check_run *c, const struct listing *l, const struct image_search *s,
                        size_t *images, struct error **err)
{
    for (size_t i = 0; i < l->n; i++) {
        const struct listing_entry *e = &l->entries[i];
        bool named = has_image_name(e->path) && !S_ISDIR(e->mode);
        if ((named || search_has(s, i)) && check_image_member(c, e, images, err) < 0)
            return -1;
    }
    return 0;
}

// Counts the images in *images.
static int check_archive(struct check_run *c, size_t *images, struct error **err)
{
    struct listing l = {0};
    struct error *why = NULL;
    struct image_search search = {.head = xmalloc(SE_HEAD)};
    const struct listing_watch watch = {search_bytes, &search};
    int result = list_archive_watched(c->fd, c->r->file, &watch, &l, &why);
    search_end(&search);
    if (result < 0) {
        result = finding_of_error(c, "contents", why, err);
    } else {
        check_archive_members(c, &l);
        result = check_version(c, &l, err);
        if (!result)
            result = check_images(c, &l, &search, images, err);
    }
    listing_free(&l);
    free(search.head);
    free(search.is_image);
    return result;
}

// ---- all kinds ----

static int check_json(struct check_run *c, bool *known, struct error **err)
{
    cleanup_buf struct buf text = {0};
    json_auto_t *reference = NULL;
    if (c->size > REFERENCE_MAX || lseek(c->fd, 0, SEEK_SET) < 0)
        return 0;
    if (fd_read_all(c->fd, c->r->file, REFERENCE_MAX, &text, err) < 0)
        return -1;
    *known = is_launch_reference(&text, &reference);
    return *known ? check_launch_reference(c, reference, err) : 0;
}

// What was asked for and belongs to another kind of file was not checked.
static void check_asked(struct check_run *c, size_t images, bool reference)
{
    const struct check_request *r = c->r;
    bool files = r->kernel || r->initrd, sealed = r->documents->n || r->proof || r->originals_given;
    if (sealed && !images)
        finding(c, CHECK_BAD, "SE image",
                "it was asked for, but this is no Secure Execution image, and has none in it");
    else if ((files || r->originals_given) && images && !r->proof)
        finding(c, CHECK_BAD, "sealed parts",
                "they were not compared with the given files: that needs --seal-record=FILE or a "
                "key");
    if ((r->firmware || files) && !reference && !images)
        finding(c, CHECK_BAD, "measurement",
                "it was asked for, but these are no reference values of `kbuild measure`");
    else if (r->firmware && !reference)
        finding(c, CHECK_BAD, "measurement",
                "a firmware was given, but this is no launch that one takes part in");
}

int check_contents(struct check_run *c, struct error **err)
{
    size_t images = 0;
    bool reference = false;
    int result = 0;
    if (is_archive(c->fd)) {
        result = check_archive(c, &images, err);
    } else if (is_se_image(c->fd)) {
        images = 1;
        result = check_se_image(c, c->fd, c->r->file, err);
    } else {
        result = check_json(c, &reference, err);
        if (!result && !reference)
            finding(c, CHECK_SKIPPED, "contents",
                    "this is no archive, no Secure Execution image, and no reference values of a "
                    "launch: nothing is known of what is in it");
    }
    if (!result)
        check_asked(c, images, reference);
    return result;
}
