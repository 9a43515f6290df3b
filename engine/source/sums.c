// SPDX-License-Identifier: Apache-2.0
// Reads a list of SHA-256 sums, plain or clear-signed.
#include "source/download.h"

#include "base/file.h"
#include "base/process.h"

#include <string.h>

#define BEGIN_MESSAGE "-----BEGIN PGP SIGNED MESSAGE-----"
#define BEGIN_SIGNATURE "-----BEGIN PGP SIGNATURE-----"
#define END_SIGNATURE "-----END PGP SIGNATURE-----"

struct sums_search {
    const char *list, *name;
    char *out;
    bool found;
    size_t line;
};

static int sums_line_error(const struct sums_search *r, struct error **err, const char *why)
{
    return error_user(err, "%s: line %zu: %s", r->list, r->line, why);
}

// "<64 hex digits>  <name>", or " *" in front of the name for binary mode.
static int read_sums_entry(struct sums_search *r, const char *line, struct error **err)
{
    char hex[DIGEST_HEX_SIZE];
    if (strlen(line) < 67 || line[64] != ' ' || (line[65] != ' ' && line[65] != '*'))
        return sums_line_error(r, err, "this is no line of sha256sum");
    memcpy(hex, line, 64);
    hex[64] = '\0';
    if (!digest_is_hex(hex))
        return sums_line_error(r, err, "this is no SHA-256");
    const char *name = line + 66;
    if (strcmp(name, r->name) != 0 && !(starts_with(name, "./") && strcmp(name + 2, r->name) == 0))
        return 0;
    if (r->found && strcmp(hex, r->out) != 0)
        return sums_line_error(r, err, "a second, different sum for the same file");
    memcpy(r->out, hex, sizeof hex);
    r->found = true;
    return 0;
}

enum sums_part { BEFORE, HEADERS, SIGNED, SIGNATURE, AFTER, PLAIN };

// The meaning of a line depends on the part of the message.
static int read_sums_line(struct sums_search *r, enum sums_part *part, const char *line,
                          struct error **err)
{
    bool blank = line[strspn(line, " \t")] == '\0';
    switch (*part) {
    case BEFORE:
        if (strcmp(line, BEGIN_MESSAGE) == 0)
            *part = HEADERS;
        else if (!blank) {
            *part = PLAIN;
            return read_sums_entry(r, line, err);
        }
        return 0;
    case HEADERS:
        if (blank)
            *part = SIGNED;
        else if (!starts_with(line, "Hash: "))
            return sums_line_error(r, err,
                                   "a signed message begins with \"Hash:\" lines and a blank one");
        return 0;
    case SIGNED:
        if (strcmp(line, BEGIN_SIGNATURE) == 0)
            *part = SIGNATURE;
        else if (line[0] == '-' && !starts_with(line, "- "))
            return sums_line_error(r, err, "a dash that is not escaped");
        else if (!blank)
            return read_sums_entry(r, starts_with(line, "- ") ? line + 2 : line, err);
        return 0;
    case SIGNATURE:
        if (strcmp(line, END_SIGNATURE) == 0)
            *part = AFTER;
        return 0;
    case AFTER:
        return blank ? 0 : sums_line_error(r, err, "text after the signature");
    case PLAIN:
        return blank ? 0 : read_sums_entry(r, line, err);
    }
    return 0;
}

int sums_find(const char *list, const char *text, const char *name,
              char out[static DIGEST_HEX_SIZE], struct error **err)
{
    struct sums_search r = {.list = list, .name = name, .out = out};
    enum sums_part part = BEFORE;
    while (*text) {
        size_t length = strcspn(text, "\n");
        cleanup_free char *line = xstrndup(text, length);
        r.line++;
        size_t n = strlen(line);
        while (n && (line[n - 1] == '\r'))
            line[--n] = '\0';
        if (read_sums_line(&r, &part, line, err) < 0)
            return -1;
        text += length + (text[length] == '\n');
    }
    if (part == HEADERS || part == SIGNED || part == SIGNATURE)
        return error_user(err, "%s: the signed message has no end", list);
    if (r.found)
        return 0;
    error_user(err, "%s has no sum for %s", list, name);
    return error_hint(err, "check the version in versions.yaml, or give a sha256 there");
}

int sums_verify(const char *path, const char *list, const char *keyring, struct buf *signed_text,
                struct error **err)
{
    // gpgv looks for a keyring without a slash in the user's ~/.gnupg.
    cleanup_free char *keys = path_absolute(keyring), *file = path_absolute(path);
    const char *const argv[] = {"gpgv", "--quiet", "--keyring", keys, "--output", "-", file, NULL};
    struct process p = {.argv = (char *const *)argv, .input = -1};
    if (!path_exists(keyring)) {
        error_user(err, "the keyring %s does not exist", keyring);
        return error_hint(err, "KBUILD_KERNEL_KEYRING names a file of OpenPGP keys, as `gpg "
                               "--export` writes it");
    }
    if (process_run(&p, signed_text, err) < 0)
        return error_wrap(err, "verifying the signature of %s with the keys in %s", list, keyring);
    return 0;
}
