// SPDX-License-Identifier: Apache-2.0
// Implements `kbuild sign`: states name, release and content of a file, and with a provenance
// statement what it was made of, and signs both into the bundle beside it.
#include "handover/internal.h"

#include "base/document.h"
#include "base/file.h"
#include "provenance/provenance.h"

#include <string.h>

struct signing {
    const struct sign_request *r;
    const char *file, *name; // name: without directories
    char digest[DIGEST_HEX_SIZE];
    char *release;
    struct buf provenance; // the statement's bytes
};

// ---- what is stated ----

static int set_release(struct signing *s, char *in_file, struct error **err)
{
    cleanup_free char *own = in_file;
    const char *given = s->r->release;
    if (given && own && strcmp(given, own) != 0) {
        error_user(err, "%s: --release=%s, but VERSION in it is %s", s->file, given, own);
        return error_hint(err, "leave --release out, or build the file again as that release");
    }
    const char *release = given ? given : own;
    if (!release) {
        error_user(err, "%s: which release it is of is not known: there is no VERSION in it",
                   s->file);
        return error_hint(err, "--release=VERSION states it; who gets the file can ask for it, so "
                               "that nobody passes an old one for a new one");
    }
    for (const char *p = release; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            return error_user(err, "%s: its release is '%s', which is no text of one line", s->file,
                              release);
    s->release = xstrdup(release);
    return 0;
}

// What VERSION in a tarball says, to be freed, to *out. What cannot be read as an archive can be
// signed all the same, if its release is given.
static int read_version(const struct signing *s, int fd, char **out, struct error **err)
{
    struct listing l = {0};
    struct error *why = NULL;
    int result = is_archive(fd) ? list_archive(fd, s->file, &l, &why) : 0;
    if (!result && l.n)
        result = tarball_version(fd, s->file, &l, out, &why);
    listing_free(&l);
    if (result < 0 && (!s->r->release || why->kind == ERROR_INTERRUPT)) {
        *err = why;
        return -1;
    }
    if (*out && !strcmp(*out, RELEASE_UNKNOWN)) {
        free(*out);
        *out = NULL;
    }
    if (result < 0)
        log_warning("%s is signed, but `kbuild check` will find it bad: %s", s->file, why->message);
    error_free(why);
    return 0;
}

static int read_file(struct signing *s, struct error **err)
{
    uint64_t size;
    char *version = NULL;
    cleanup_close int fd = user_file_open(s->file, &size, err);
    if (fd < 0 || digest_fd(fd, s->file, s->digest, NULL, err) < 0 ||
        read_version(s, fd, &version, err) < 0)
        return -1;
    return set_release(s, version, err);
}

// A statement that is not about this content would be a wrong one, with our signature.
static int read_provenance(struct signing *s, struct error **err)
{
    const char *file = s->r->provenance;
    if (!file)
        return 0;
    if (user_file_read(file, STATEMENT_MAX, &s->provenance, err) < 0)
        return -1;
    json_auto_t *statement = statement_parse(s->provenance.data, s->provenance.len);
    if (!statement || !statement_has_type(statement, PREDICATE_TYPE)) {
        error_user(err, "%s is no in-toto statement with SLSA provenance", file);
        return error_hint(err, "`kbuild provenance TARGET` writes one");
    }
    if (statement_subject(statement, s->digest))
        return 0;
    error_user(err, "%s is not about %s: none of its subjects has the SHA-256 %s", file, s->file,
               s->digest);
    return error_hint(err, "the file was built again since, or is not a tarball of that target: "
                           "`kbuild provenance TARGET` states what the current one is made of");
}

// ---- statements of others in an existing bundle ----

// Whether the envelope stays: another key's, about this content.
static bool is_kept(const struct signing *s, const struct envelope *e, const char *key)
{
    json_auto_t *statement = statement_parse(e->payload.data, e->payload.len);
    if (!statement_subject(statement, s->digest))
        return false;
    for (size_t i = 0; i < e->n; i++)
        if (!strcmp(e->signatures[i].key_id, key))
            return false;
    return true;
}

struct kept {
    const struct signing *signing;
    const char *key;
    struct buf *out;
    size_t envelopes, unknown;
};

// What is no envelope belongs to somebody, too: other readers of bundles may know it.
static int keep_item(void *context, const struct envelope *e, const char *text, size_t length,
                     struct error **err)
{
    struct kept *k = context;
    (void)err;
    k->envelopes += e != NULL;
    k->unknown += !e;
    if (e && is_kept(k->signing, e, k->key))
        envelope_write(e, k->out);
    if (!e) {
        buf_add(k->out, text, length);
        buf_puts(k->out, "\n");
    }
    return 0;
}

static int keep_others(const struct signing *s, const char *bundle, const char *key,
                       struct buf *out, struct error **err)
{
    cleanup_buf struct buf old = {0};
    struct kept k = {.signing = s, .key = key, .out = out};
    if (!path_exists(bundle))
        return 0;
    if (file_read(bundle, BUNDLE_MAX, &old, err) < 0 ||
        bundle_each(&old, bundle, keep_item, &k, err) < 0)
        return -1;
    if (k.envelopes || !k.unknown)
        return 0;
    error_user(err, "%s is there, and is no bundle of signatures", bundle);
    return error_hint(err, "remove it, or name another file with -o");
}

// ---- the bundle ----

// The name of the key that signed the first line of these.
static char *signer_of(const struct buf *lines)
{
    struct envelope e;
    const char *why;
    if (!envelope_parse(lines->data, strcspn(lines->data, "\n"), &e, &why))
        abort(); // it was just written
    char *key = xstrdup(e.signatures[0].key_id);
    envelope_free(&e);
    return key;
}

static int write_bundle(struct signing *s, const char *bundle, struct error **err)
{
    cleanup_buf struct buf out = {0};
    json_auto_t *statement = release_statement(s->name, s->digest, s->release);
    if (!statement)
        return error_user(err, "%s: its name or release is not UTF-8, which a statement needs",
                          s->file);
    cleanup_free char *text = json_dumps(statement, JSON_COMPACT | JSON_SORT_KEYS);
    if (!text)
        out_of_memory();
    if (statement_sign(s->r->key, text, strlen(text), &out, err) < 0 ||
        (s->r->provenance &&
         statement_sign(s->r->key, s->provenance.data, s->provenance.len, &out, err) < 0))
        return -1;
    cleanup_free char *key = signer_of(&out);
    if (is_standard_output(bundle))
        return document_write(bundle, DOCUMENT_JSON, out.data, out.len, err);
    // Two may sign one file at once: what one writes, the other must have read.
    cleanup_close int lock = file_lock_parent(bundle, err);
    if (lock < 0 || keep_others(s, bundle, key, &out, err) < 0)
        return -1;
    return file_write(bundle, out.data, out.len, 0644, err);
}

static int sign_file(const struct sign_request *r, const char *file, sign_print *print,
                     void *context, struct error **err)
{
    struct signing s = {.r = r, .file = file, .name = path_base(file)};
    cleanup_free char *bundle =
        r->output ? xstrdup(r->output) : xasprintf("%s%s", file, BUNDLE_SUFFIX);
    int result = read_file(&s, err);
    if (!result)
        result = read_provenance(&s, err);
    if (!result)
        result = write_bundle(&s, bundle, err);
    if (!result && !is_standard_output(bundle))
        print(bundle, context);
    free(s.release);
    buf_free(&s.provenance);
    return result;
}

int handover_sign(const struct sign_request *r, sign_print *print, void *context,
                  struct error **err)
{
    for (size_t i = 0; i < r->files->n; i++) {
        const char *file = r->files->items[i];
        if (ends_with(file, BUNDLE_SUFFIX)) {
            error_user(err, "%s is a bundle of signatures, which is not signed itself", file);
            return error_hint(err, "name the file that it belongs to");
        }
        if (sign_file(r, file, print, context, err) < 0)
            return -1;
    }
    return 0;
}
