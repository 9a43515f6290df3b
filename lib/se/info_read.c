// SPDX-License-Identifier: Apache-2.0
// Reads an image for se_info_*(), and tests what can be tested of it with the keys at hand.
#include "se/info_read.h"
#include "base/file.h"
#include "se/io.h"
#include "se/ipib.h"
#include "se/layout.h"
#include "se/read.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

#define KEY_FILE_MAX (64u << 10)

static void failed(struct inspected *out, struct error *why)
{
    strlist_add(&out->bad, why ? why->message : "unknown");
    error_free(why);
}

static void test_digests(int fd, const char *name, struct inspected *out)
{
    static const char *const digests[] = {
        [FAULT_ADDRESSES] = "ald: the addresses in the IPIB do not have this digest",
        [FAULT_TWEAKS] = "tld: the tweaks in the IPIB do not have this digest",
        [FAULT_CONTENTS] = "pld: the contents of the components do not have this digest",
    };
    enum image_fault fault;
    struct error *why = NULL;
    if (image_find_fault(fd, name, &out->image, &fault, &why) < 0)
        failed(out, why);
    else if (fault != FAULT_NONE)
        strlist_add(&out->bad, digests[fault]);
    else
        strlist_add(&out->good,
                    "ald, tld, pld: addresses, tweaks and contents of all pages have the "
                    "digests in the header");
}

static void test_without_key(int fd, const char *name, uint64_t size, struct inspected *out)
{
    struct error *why = NULL;
    strlist_add(&out->good, "header: its sizes and reserved fields fit each other and the file");
    if (out->alone)
        return;
    if (ipib_read(fd, name, size, &out->image, &why) < 0) {
        failed(out, why);
        return;
    }
    out->has_ipib = true;
    strlist_add(&out->good,
                "IPIB: its entries follow each other, lie in the file, and have as many "
                "pages as the header counts");
    if (image_check_unprotected(fd, name, &out->image, &why) < 0)
        failed(out, why);
    else
        strlist_add(&out->good, out->image.layout_p
                                    ? "short PSW: it leads to the loader"
                                    : "short PSW, loader arguments and gaps are as they must be");
    test_digests(fd, name, out);
}

int inspect(int fd, const char *name, const struct info_options *o, struct inspected *out,
            struct error **err)
{
    struct stat st;
    struct opener opener = {.header_key = o->header_key};
    unsigned char psw[8] = {0};
    if (fstat(fd, &st) < 0)
        return error_errno(err, errno, "reading %s", name);
    uint64_t size = (uint64_t)st.st_size;
    if (image_parse_header(fd, name, &out->image, &out->header, err) < 0)
        return -1;
    out->alone = out->image.header_offset == 0;
    if (o->header_key) {
        if (header_open(&out->image, out->header, name, &opener, &out->opened, err) < 0)
            return -1;
        out->authentic = true;
        out->image.scf = get_be64(out->opened.area + AREA_SCF);
        out->image.psw_mask = get_be64(out->opened.area + AREA_PSW_MASK);
        out->image.psw_address = get_be64(out->opened.area + AREA_PSW_ADDRESS);
    }
    if (!out->alone && read_at(fd, name, 0, psw, sizeof psw, err) < 0)
        return -1;
    out->entry = get_be64(psw) & (SE_ADDRESS_LIMIT - 1);
    test_without_key(fd, name, size, out);
    return 0;
}

void inspected_free(struct inspected *i)
{
    se_image_free(&i->image);
    free(i->header);
    strlist_free(&i->good);
    strlist_free(&i->bad);
    opened_wipe(&i->opened);
}

int info_documents(const char *directory, struct strlist *documents, struct error **err)
{
    cleanup_strlist struct strlist names = {0};
    if (list_directory(directory, &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++) {
        cleanup_free char *path = xasprintf("%s/%s", directory, names.items[i]);
        struct host_key key = {0};
        if (host_key_load(path, &key, NULL) < 0)
            continue;
        strlist_add(documents, path);
        host_key_free(&key);
    }
    return 0;
}

int header_key_load(const char *path, unsigned char key[static 32], struct error **err)
{
    cleanup_secret_memory struct secret_memory bytes = {0};
    if (secret_memory_read(path, KEY_FILE_MAX, &bytes, NULL, err) < 0)
        return error_wrap(err, "the header key");
    if (bytes.length != 32)
        return error_user(err, "the header key %s has %zu bytes, not 32", path, bytes.length);
    memcpy(key, bytes.bytes, 32);
    return 0;
}
