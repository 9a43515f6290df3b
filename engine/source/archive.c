// SPDX-License-Identifier: Apache-2.0
// An archive source: gets its SHA-256, known, from a list of sums or computed once, and keeps the
// archive as a blob of the store, so that it is downloaded once.
#include "base/error.h"
#include "base/file.h"
#include "base/input.h"
#include "base/process.h"
#include "pack/pack.h"
#include "source/download.h"
#include "source/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define ARCHIVE_MAX ((uint64_t)64 << 30)
#define SUMS_MAX ((uint64_t)16 << 20)

static int wrong_digest(const char *shown, const char *is, const char *expected, struct error **err)
{
    error_user(err, "%s has the SHA-256 %s, but %s is expected", shown, is, expected);
    return error_hint(err,
                      "the archive was changed, or the expected sum is wrong: compare with what "
                      "upstream publishes before you change versions.yaml or versions.lock");
}

// Unpacks into the empty folder `destination`. *newest is the newest time in it.
static int unpack_archive(int fd, const char *shown, const char *destination, int64_t *newest,
                          struct error **err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return error_errno(err, errno, "looking at %s", shown);
    struct unpack_options unpacking = {.strip_first = true,
                                       .max_bytes = unpack_limit((uint64_t)st.st_size)};
    cleanup_strlist struct strlist names = {0};
    if (unpack(fd, shown, destination, &unpacking, newest, err) < 0 ||
        list_directory(destination, &names, err) < 0)
        return -1;
    return names.n ? 0 : error_user(err, "%s holds no file", shown);
}

// An archive without a known digest must be readable before its digest is pinned.
static int check_archive(const struct source_spec *spec, const struct source_options *o,
                         const char *data, struct error **err)
{
    cleanup_free char *folder = store_temporary(o->store, "check", err);
    cleanup_free char *shown = http_url_shown(spec->url);
    cleanup_close int fd = folder ? open(data, O_RDONLY | O_CLOEXEC) : -1;
    int64_t newest = 0;
    if (!folder)
        return -1;
    int result = fd < 0 ? error_errno(err, errno, "opening %s", data)
                        : unpack_archive(fd, shown, folder, &newest, err);
    remove_tree(folder, NULL);
    if (result == 0 || !error_may_blame_content(*err))
        return result;
    (*err)->errnum = 0;
    error_wrap(err, "the server's answer cannot be used as a source");
    return error_hint(err, "the download was discarded: check the url, and what the server sends "
                           "for it (a login page, a message, nothing?)");
}

// Downloads into the store. With `expected` not NULL anything else is an error.
static int archive_download(const struct source_spec *spec, const struct source_options *o,
                            const char *expected, char digest[static DIGEST_HEX_SIZE],
                            struct error **err)
{
    cleanup_partial struct partial p = {.lock = -1};
    if (partial_open(&p, o->store, spec->url, err) < 0)
        return -1;
    if (expected) { // another process may have downloaded it
        int has = store_has_blob(o->store, expected, err);
        if (has) {
            rmdir(p.folder);
            return has < 0 ? -1 : 0;
        }
    }
    struct download d = {.url = spec->url,
                         .label = spec->label,
                         .path = p.data,
                         .max_bytes = ARCHIVE_MAX,
                         .retry = RETRY_DOWNLOAD};
    bool resumed = true;
    while (resumed) {
        if (download_file(&d, &resumed, err) < 0) {
            if (!(*err)->hint)
                hint_other_sources(spec, spec->url, err);
            return -1;
        }
        if (digest_file(p.data, digest, NULL, err) < 0)
            return -1;
        if (expected && strcmp(digest, expected) == 0)
            return partial_store(&p, o->store, digest, err);
        if (!expected && check_archive(spec, o, p.data, err) == 0)
            return partial_store(&p, o->store, digest, err);
        if (!expected && ((*err)->errnum || !resumed)) {
            if (!(*err)->errnum)
                partial_remove(&p);
            return -1;
        }
        if (!expected)
            error_free(steal(*err));
        partial_remove(&p); // perhaps mixed from two versions: once more from the start
    }
    cleanup_free char *shown = http_url_shown(spec->url);
    return wrong_digest(shown, digest, expected, err);
}

// ---- lists of SHA-256 sums, plain or clear-signed ----

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

// ---- the sums file of an archive ----

static char *url_file_name(const char *url)
{
    size_t length = strcspn(url, "?#");
    const char *start = url;
    for (size_t i = 0; i < length; i++)
        if (url[i] == '/')
            start = url + i + 1;
    return xstrndup(start, length - (size_t)(start - url));
}

static int read_sums(const struct source_spec *spec, const char *path, struct buf *text,
                     struct error **err)
{
    cleanup_free char *shown = http_url_shown(spec->sums);
    struct download d = {.url = spec->sums,
                         .label = spec->label,
                         .path = path,
                         .max_bytes = SUMS_MAX,
                         .retry = RETRY_DOWNLOAD};
    if (download_file(&d, NULL, err) < 0) {
        if (!(*err)->hint)
            hint_other_sources(spec, spec->sums, err);
        return -1;
    }
    const char *keyring;
    if (security_variable("KBUILD_KERNEL_KEYRING", &keyring, err) < 0)
        return -1;
    if (keyring)
        return sums_verify(path, shown, keyring, text, err);
    return file_read(path, SUMS_MAX, text, err);
}

static int digest_from_sums(const struct source_spec *spec, const struct source_options *o,
                            char digest[static DIGEST_HEX_SIZE], struct error **err)
{
    cleanup_free char *folder = store_temporary(o->store, "sums", err);
    if (!folder)
        return -1;
    cleanup_free char *path = xasprintf("%s/sums", folder);
    cleanup_free char *name = url_file_name(spec->url);
    cleanup_free char *shown = http_url_shown(spec->sums);
    cleanup_buf struct buf text = {0};
    int result = read_sums(spec, path, &text, err);
    if (result == 0 && text.data && strlen(text.data) != text.len)
        result = error_user(err, "%s holds NUL characters", shown);
    if (result == 0)
        result = sums_find(shown, text.data ? text.data : "", name, digest, err);
    remove_tree(folder, NULL);
    return result;
}

// ---- resolving ----
static int check_known_digest(const struct source_spec *spec, const struct lock_entry *entry,
                              const struct source_options *o, struct error **err)
{
    cleanup_free char *shown = http_url_shown(spec->url);
    if (spec->sha256 && !digest_is_hex(spec->sha256))
        return error_user(err,
                          "%s: the sha256 \"%s\" in versions.yaml is not 64 lower-case "
                          "hexadecimal digits",
                          shown, spec->sha256);
    if (!entry || !spec->sha256 || strcmp(entry->sha256, spec->sha256) == 0)
        return 0;
    error_user(err, "%s: versions.yaml says SHA-256 %s, but %s says %s", shown, spec->sha256,
               o->lock->path, entry->sha256);
    return error_hint(err, "if versions.yaml is right, remove the archive's line from %s",
                      o->lock->path);
}

static int find_digest(const struct source_spec *spec, const struct source_options *o,
                       char digest[static DIGEST_HEX_SIZE], struct error **err)
{
    cleanup_free char *shown = http_url_shown(spec->url);
    if (spec->sha256) {
        memcpy(digest, spec->sha256, DIGEST_HEX_SIZE);
        return 0;
    }
    if (o->offline) {
        cleanup_free char *what = xasprintf("the SHA-256 of %s", shown);
        return refuse_offline(what, err);
    }
    if (spec->sums)
        return digest_from_sums(spec, o, digest, err);
    if (archive_download(spec, o, NULL, digest, err) < 0)
        return -1;
    log_warning("%s: no SHA-256 is known for it; %s is trusted from now on and goes "
                "into versions.lock",
                shown, digest);
    return 0;
}

int archive_source_resolve(const struct source_spec *spec, const struct source_options *o,
                           struct source_pin *out, struct error **err)
{
    const struct lock_entry *entry = o->lock ? lock_find(o->lock, spec->url, NULL) : NULL;
    if (entry && !entry->sha256)
        entry = NULL;
    if (check_known_digest(spec, entry, o, err) < 0)
        return -1;
    if (entry) {
        out->sha256 = xstrdup(entry->sha256);
        return 0;
    }
    if (o->locked) {
        cleanup_free char *shown = http_url_shown(spec->url);
        return refuse_unlocked(o, shown, err);
    }
    char digest[DIGEST_HEX_SIZE];
    if (find_digest(spec, o, digest, err) < 0)
        return -1;
    pin_new_digest(spec, o, digest, out);
    return 0;
}

// ---- fetching ----
static int download_if_missing(const struct source_spec *spec, const char *sha256,
                               const struct source_options *o, bool *unusable, struct error **err)
{
    int has = store_has_blob(o->store, sha256, err);
    if (has)
        return has < 0 ? -1 : 0;
    if (o->offline) {
        cleanup_free char *shown = http_url_shown(spec->url);
        cleanup_free char *what = xasprintf("%s (SHA-256 %s)", shown, sha256);
        return refuse_offline(what, err);
    }
    char digest[DIGEST_HEX_SIZE] = "";
    int result = archive_download(spec, o, sha256, digest, err);
    *unusable = result < 0 && *digest && strcmp(digest, sha256) != 0;
    return result;
}

int archive_source_fetch(const struct source_spec *spec, const struct source_pin *pin,
                         const struct source_options *o, const char *destination,
                         json_t *provenance, bool *unusable, struct error **err)
{
    if (download_if_missing(spec, pin->sha256, o, unusable, err) < 0)
        return -1;
    cleanup_free char *shown = http_url_shown(spec->url);
    cleanup_close int fd = store_open_blob(o->store, pin->sha256, err);
    int64_t newest = 0;
    if (fd < 0)
        return -1;
    if (unpack_archive(fd, shown, destination, &newest, err) < 0) {
        *unusable = true;
        return -1;
    }
    json_object_set_new(provenance, "kind", json_string("archive"));
    json_object_set_new(provenance, "url", json_string(shown));
    json_object_set_new(provenance, "sha256", json_string(pin->sha256));
    return set_folder_time(destination, newest, err);
}
