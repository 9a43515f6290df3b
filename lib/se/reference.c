// SPDX-License-Identifier: Apache-2.0
// Writes the reference values of an image for attestation, as JSON.
#include "se/reference.h"

#include "base/digest.h"
#include "se/unlock.h"

#include <errno.h>
#include <jansson.h>

static json_t *hex_json(const void *bytes, size_t length)
{
    cleanup_free char *text = xmalloc(2 * length + 1);
    hex_encode(bytes, length, text);
    return json_string(text);
}

// The host keys, each once, as a document may be given twice.
static json_t *host_keys(const struct se_image *image)
{
    json_t *all = json_array();
    for (uint64_t i = 0; i < image->slots; i++) {
        uint64_t before = 0;
        while (before < i && memcmp(image->slot[before], image->slot[i], SLOT_WRAPPED) != 0)
            before++;
        if (before == i)
            json_array_append_new(all, hex_json(image->slot[i] + SLOT_HASH, 32));
    }
    return all;
}

// An attestation request is for one host key, and the answer names it and the host key that opened
// the image: both belong to hosts that the image was sealed for.
static json_t *values(const struct se_image *image)
{
    return json_pack("{s:[i], s:[o], s:o, s:o}", "se.version", (int)image->version, "se.tag",
                     hex_json(image->tag, sizeof image->tag), "se.image_phkh", host_keys(image),
                     "se.attestation_phkh", host_keys(image));
}

static json_t *header_json(const struct se_image *image, const unsigned char *header)
{
    char hex[DIGEST_HEX_SIZE];
    digest_bytes(header, image->header_size, hex);
    return json_pack("{s:I, s:s, s:o, s:o, s:o}", "size", (json_int_t)image->header_size, "sha256",
                     hex, "pld", hex_json(image->pld, 64), "ald", hex_json(image->ald, 64), "tld",
                     hex_json(image->tld, 64));
}

static int set_file(json_t *all, const char *what, int fd, const char *name, struct error **err)
{
    char hex[DIGEST_HEX_SIZE];
    uint64_t size;
    if (lseek(fd, 0, SEEK_SET) < 0)
        return error_errno(err, errno, "reading %s", name);
    if (digest_fd(fd, name, hex, &size, err) < 0)
        return -1;
    json_object_set_new(all, what,
                        json_pack("{s:I, s:s}", "size", (json_int_t)size, "sha256", hex));
    return 0;
}

static int make_json(int fd, const char *name, const struct se_originals *originals,
                     const struct se_image *image, const unsigned char *header, struct buf *out,
                     struct error **err)
{
    static const char *const names[SE_ORIGINALS] = {[SE_ORIGINAL_KERNEL] = "kernel",
                                                    [SE_ORIGINAL_COMMAND_LINE] = "command_line",
                                                    [SE_ORIGINAL_INITRD] = "initrd"};
    json_t *all = json_pack("{s:s, s:o, s:o}", "kbuild", KBUILD_VERSION, "reference_values",
                            values(image), "header", header_json(image, header));
    int result = set_file(all, "image", fd, name, err);
    for (size_t i = 0; !result && i < SE_ORIGINALS; i++)
        if (originals->of[i].fd >= 0)
            result = set_file(all, names[i], originals->of[i].fd, originals->of[i].name, err);
    cleanup_free char *text = json_dumps(all, JSON_INDENT(2));
    json_decref(all);
    if (!text)
        out_of_memory();
    if (!result)
        buf_printf(out, "%s\n", text);
    return result;
}

int se_reference(int fd, const char *name, const struct se_originals *originals, struct buf *json,
                 struct buf *header, struct error **err)
{
    struct se_image image;
    cleanup_free unsigned char *bytes = NULL;
    if (image_parse(fd, name, &image, &bytes, err) < 0)
        return -1;
    // Values of a damaged image would be useless.
    int result = image_check(fd, name, &image, false, err);
    if (!result && json)
        result = make_json(fd, name, originals, &image, bytes, json, err);
    if (!result && header)
        buf_add(header, bytes, image.header_size);
    se_image_free(&image);
    return result;
}
