// SPDX-License-Identifier: Apache-2.0
// What an image is made of, as the text that its secret values are derived from.
#include "base/digest.h"
#include "se/derive.h"
#include "se/io.h"

#include <openssl/crypto.h>

#define READ_RUN (128u << 10)

const char *const seal_part_names[SEAL_PARTS] = {
    [SEAL_KERNEL] = "kernel",   [SEAL_COMMAND_LINE] = "command-line", [SEAL_INITRD] = "initrd",
    [SEAL_STAGE3A] = "stage3a", [SEAL_STAGE3B] = "stage3b",
};
const char *const given_key_names[GIVEN_KEYS] = {
    [GIVEN_HEADER_KEY] = "header-key",
    [GIVEN_CCK] = "cck",
    [GIVEN_COMPONENT_KEY] = "component-key",
};

int seal_part_of_file(int fd, const char *name, uint64_t size, struct seal_part *out,
                      struct error **err)
{
    cleanup_free unsigned char *bytes = xmalloc(READ_RUN);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = context && EVP_DigestInit_ex(context, EVP_sha512(), NULL) == 1;
    int result = 0;
    for (uint64_t done = 0; good && !result && done < size;) {
        size_t n = size - done < READ_RUN ? (size_t)(size - done) : READ_RUN;
        result = read_at(fd, name, done, bytes, n, err);
        good = result || EVP_DigestUpdate(context, bytes, n) == 1;
        done += n;
    }
    if (good && !result)
        good = EVP_DigestFinal_ex(context, out->sha512, NULL) == 1;
    EVP_MD_CTX_free(context);
    if (!good)
        return crypto_error(err, "computing SHA-512");
    out->present = true;
    out->size = size;
    return result;
}

int seal_part_of_bytes(const void *bytes, size_t length, struct seal_part *out, struct error **err)
{
    if (EVP_Digest(bytes, length, out->sha512, NULL, EVP_sha512(), NULL) != 1)
        return crypto_error(err, "computing SHA-512");
    out->present = true;
    out->size = length;
    return 0;
}

void seal_inputs_text(const struct seal_inputs *in, struct buf *out)
{
    char hex[2 * POINT_SIZE + 1];
    buf_puts(out, "kbuild seal inputs 1\n");
    for (size_t i = 0; i < SEAL_PARTS; i++) {
        const struct seal_part *p = &in->part[i];
        hex_encode(p->sha512, sizeof p->sha512, hex);
        if (p->present)
            buf_printf(out, "%s %llu %s\n", seal_part_names[i], (unsigned long long)p->size, hex);
        else
            buf_printf(out, "%s absent\n", seal_part_names[i]);
    }
    buf_printf(out, "host-keys %zu\n", in->host_count);
    for (size_t i = 0; i < in->host_count; i++) {
        hex_encode(in->hosts[i], POINT_SIZE, hex);
        buf_printf(out, "host-key %s\n", hex);
    }
    buf_printf(out, "pcf %016llx\nscf %016llx\npsw-address %016llx\n", (unsigned long long)in->pcf,
               (unsigned long long)in->scf, (unsigned long long)in->psw_address);
    for (size_t i = 0; i < GIVEN_KEYS; i++) {
        hex_encode(in->given[i].tag, SEAL_TAG_SIZE, hex);
        buf_printf(out, "%s %s\n", given_key_names[i], in->given[i].given ? hex : "derived");
    }
}

void seal_inputs_free(struct seal_inputs *in)
{
    free(in->hosts);
    *in = (struct seal_inputs){0};
}
