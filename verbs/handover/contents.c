// SPDX-License-Identifier: Apache-2.0
// Looks into a file that was handed over: members of an archive (names, types, VERSION), and Secure
// Execution images, alone or in one.
#include "handover/internal.h"

#include "base/file.h"
#include "base/map.h"
#include "hkd/hkd.h"
#include "pack/reader.h"

#include <fnmatch.h>
#include <string.h>
#include <sys/stat.h>

enum { MAGIC_MAX = 8, VERSION_MAX = 256, REFERENCE_MAX = 16 << 20 };

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

// docs/se-image.md, sections 3 and 8: the header in layout G, the metadata block in layout P.
static bool is_se_image(int fd)
{
    static const struct magic magic[] = {{0x14000, 8, "IBMSecEx"}, {0xC000, 8, "SeImgLnx"}};
    return begins_as(fd, magic, ARRAY_LEN(magic));
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
            found ? "%s: the image has a key slot for this machine"
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

static int check_sealed_parts(struct check_run *c, int fd, const char *name, struct error **err)
{
    if (!c->r->proof) {
        finding(c, CHECK_SKIPPED, "sealed parts",
                "kernel, initrd and command line in it are encrypted: --seal-record=FILE with the "
                "files that they should be compares them");
        return 0;
    }
    cleanup_strlist struct strlist done = {0};
    struct error *why = NULL;
    int result = se_verify(fd, name, c->r->proof, c->r->originals, &done, &why);
    for (size_t i = 0; i < done.n; i++)
        finding(c, starts_with(done.items[i], "not ") ? CHECK_SKIPPED : CHECK_GOOD, "sealed parts",
                "%s", done.items[i]);
    return result < 0 ? finding_of_error(c, "sealed parts", why, err) : 0;
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
    return check_sealed_parts(c, fd, name, err);
}

// ---- archives ----

// Extracts a member into a file without a name. Returns the descriptor, or -1.
static int extract(int fd, const char *name, const char *member, struct error **err)
{
    cleanup_close int out = nameless_file(NULL, err);
    if (out < 0 || unpack_member(fd, name, member, out, NULL, err) < 0)
        return -1;
    return steal_fd(&out);
}

int tarball_version(int fd, const char *name, const struct listing *l, char **out,
                    struct error **err)
{
    for (size_t i = 0; i < l->n; i++) {
        const struct listing_entry *e = &l->entries[i];
        if (fnmatch("*opt/kata/VERSION", e->path, 0) || !S_ISREG(e->mode) || e->size > VERSION_MAX)
            continue;
        cleanup_close int member = extract(fd, name, e->path, err);
        cleanup_buf struct buf text = {0};
        if (member < 0 || lseek(member, 0, SEEK_SET) < 0 ||
            fd_read_all(member, e->path, VERSION_MAX, &text, err) < 0)
            return -1;
        buf_trim_end(&text);
        if (!text.len || !strcmp(text.data, "unknown"))
            return 0;
        *out = buf_take(&text);
        return 1;
    }
    return 0;
}

static int check_version(struct check_run *c, const struct listing *l, struct error **err)
{
    cleanup_free char *version = NULL;
    struct error *why = NULL;
    int found = tarball_version(c->fd, c->r->file, l, &version, &why);
    if (found < 0)
        return finding_of_error(c, "contents", why, err);
    if (!version)
        return 0;
    if (c->release && strcmp(c->release, version) != 0)
        finding(c, CHECK_BAD, "contents", "VERSION in it is %s, but the signer states %s", version,
                c->release);
    else
        finding(c, CHECK_STATED, "contents", "VERSION in it is %s", version);
    return 0;
}

static int check_image_member(struct check_run *c, const struct listing_entry *e,
                              struct error **err)
{
    if (!e->size) {
        finding(
            c, CHECK_BAD, "SE image",
            "%s is an empty file: a placeholder that starts nothing, as in releases of upstream",
            e->path);
        return 0;
    }
    struct error *why = NULL;
    cleanup_close int fd = extract(c->fd, c->r->file, e->path, &why);
    return fd < 0 ? finding_of_error(c, "SE image", why, err) : check_se_image(c, fd, e->path, err);
}

// Whether an image was found goes to *images.
static int check_archive(struct check_run *c, size_t *images, struct error **err)
{
    struct listing l = {0};
    struct error *why = NULL;
    int result = list_archive(c->fd, c->r->file, &l, &why);
    if (result < 0) {
        result = finding_of_error(c, "contents", why, err);
    } else {
        check_archive_members(c, &l);
        result = check_version(c, &l, err);
        for (size_t i = 0; !result && i < l.n; i++)
            if (S_ISREG(l.entries[i].mode) && !l.entries[i].hardlink &&
                !fnmatch("*kata-containers-se*.img", l.entries[i].path, 0)) {
                ++*images;
                result = check_image_member(c, &l.entries[i], err);
            }
    }
    listing_free(&l);
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
