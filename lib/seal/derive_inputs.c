// SPDX-License-Identifier: Apache-2.0
// What an image is made of, as the text that its secret values are derived from; and seal secrets
// from files.
#include "base/digest.h"
#include "seal/derive.h"
#include "seal/io.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <sys/stat.h>

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

static int check_secret(int fd, const char *path, uint64_t size, struct error **err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return error_errno(err, errno, "the seal secret %s", path);
    if (st.st_mode & (S_IROTH | S_IWOTH)) {
        error_user(err, "the seal secret %s can be %s by everybody", path,
                   st.st_mode & S_IROTH ? "read" : "written");
        return error_hint(err, "chmod 600 %s; if others may have seen it, make a new one", path);
    }
    if (size < SE_SECRET_MIN || size > SE_SECRET_MAX) {
        error_user(err, "the seal secret %s has %llu bytes; it must have %u to %u", path,
                   (unsigned long long)size, SE_SECRET_MIN, SE_SECRET_MAX);
        return error_hint(err,
                          "make one from random bytes: (umask 077; head -c 64 /dev/urandom >FILE)");
    }
    return 0;
}

int se_secret_load(const char *path, struct se_secret *out, struct error **err)
{
    uint64_t size;
    cleanup_close int fd = open_input(path, &size, err);
    if (fd < 0)
        return error_wrap(err, "the seal secret");
    if (check_secret(fd, path, size, err) < 0)
        return -1;
    struct se_secret s = {.bytes = xmalloc(size), .length = size};
    int result = read_at(fd, path, 0, s.bytes, size, err);
    if (!result && CRYPTO_memcmp(s.bytes, s.bytes + 1, size - 1) == 0) {
        result = error_user(err, "the seal secret %s is one byte, repeated", path);
        error_hint(err, "make one from random bytes: (umask 077; head -c 64 /dev/urandom >FILE)");
    }
    if (result < 0)
        se_secret_free(&s);
    else
        *out = s;
    return result;
}

void se_secret_free(struct se_secret *s)
{
    if (s->bytes)
        OPENSSL_cleanse(s->bytes, s->length);
    free(s->bytes);
    *s = (struct se_secret){0};
}
