// SPDX-License-Identifier: Apache-2.0
// Implements `kbuild check`: who vouches for a file, what he states of it, what is in it, and
// whether it can be built again. Each finding is printed as soon as it is known; what could not be
// checked is one, too.
#include "handover/internal.h"

#include "base/file.h"
#include "prove/prove.h"
#include "provenance/provenance.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

enum { SOURCES_SHOWN = 20 };

// ---- signature ----

// 1: *text is the bundle; 0: there is none, which was said.
static int read_signature(struct check_run *c, struct buf *text, struct error **err)
{
    cleanup_free char *beside = xasprintf("%s%s", c->r->file, BUNDLE_SUFFIX);
    const char *path = c->r->signature ? c->r->signature : beside;
    if (!c->r->signature && !path_exists(path)) {
        finding(c, CHECK_BAD, "signature",
                "nobody vouches for this file: there is no %s, and --signature names none", path);
        return 0;
    }
    // One that the user names may be a pipe of his; one that lies there came with the file.
    int result = c->r->signature ? user_file_read(path, BUNDLE_MAX, text, err)
                                 : file_read(path, BUNDLE_MAX, text, err);
    return result < 0 ? error_wrap(err, "reading the signature") : 1;
}

static void report_no_signer(struct check_run *c, const struct vouched_list *l)
{
    if (l->other_files)
        finding(c, CHECK_BAD, "signature",
                "a trusted key signed other content, of the name %s: this file is not what was "
                "signed",
                l->other_name);
    else if (l->others)
        finding(c, CHECK_BAD, "signature",
                "nobody whom you trust vouches for this file: the signatures are of other keys, or "
                "damaged");
    else if (l->other_kinds)
        finding(c, CHECK_BAD, "signature",
                "a trusted key signed something about this file, but neither a release nor its "
                "provenance");
    else if (l->unreadable)
        finding(c, CHECK_BAD, "signature",
                "nobody vouches for this file: no signature in the bundle can be read, as it is "
                "damaged or cut off");
    else
        finding(c, CHECK_BAD, "signature",
                "nobody vouches for this file: there is no signature in the bundle");
}

static bool is_release(const struct vouched *v)
{
    return statement_has_type(v->statement, RELEASE_TYPE);
}

// Whether the statement has what the user expects, or what the file is called.
static bool has_name(const struct check_run *c, const struct vouched *v)
{
    return !strcmp(v->name, c->r->name ? c->r->name : path_base(c->r->file));
}

static bool has_release(const struct check_run *c, const struct vouched *v)
{
    cleanup_free char *release = statement_release(v->statement);
    return !c->r->release || (release && !strcmp(release, c->r->release));
}

// One content may have been signed more than once: as more than one release, with two keys.
static const struct vouched *choose_statement(const struct check_run *c,
                                              const struct vouched_list *l)
{
    const struct vouched *best = NULL;
    int points = -1;
    for (size_t i = 0; i < l->n; i++) {
        const struct vouched *v = &l->items[i];
        int own = 4 * has_name(c, v) + 2 * has_release(c, v) + is_release(v);
        if (own > points)
            best = v;
        points = own > points ? own : points;
    }
    return best;
}

// A signature is over content: a signed file under the name of another one is a way to cheat.
static void check_name(struct check_run *c, const struct vouched *v)
{
    bool same = has_name(c, v);
    if (same)
        finding(c, CHECK_GOOD, "name", "%s, as the signer states", v->name);
    else if (c->r->name)
        finding(c, CHECK_BAD, "name", "the signer states %s, not %s", v->name, c->r->name);
    else
        finding(c, CHECK_BAD, "name",
                "the signer states %s, and this file has another name: if it is the one that you "
                "want, say --expect-name=%s",
                v->name, v->name);
}

static void check_release(struct check_run *c, const struct vouched *v)
{
    cleanup_free char *release = statement_release(v->statement);
    const char *on = provenance_at(json_object_get(v->statement, "predicate"), "signedOn");
    c->release = release ? xstrdup(release) : NULL;
    if (c->r->release && !has_release(c, v))
        finding(c, CHECK_BAD, "release", "the signer states %s, not %s",
                release ? release : "no release", c->r->release);
    else if (release)
        finding(c, c->r->release ? CHECK_GOOD : CHECK_STATED, "release", "%s, signed on %s%s",
                release, *on ? on : "an unknown day",
                c->r->release ? ""
                              : "; a later one may exist: --expect-release=VERSION says which one "
                                "you want");
    else
        finding(c, CHECK_SKIPPED, "release", "the signer states none");
}

static void check_signer(struct check_run *c, const struct vouched_list *l)
{
    const struct vouched *v = choose_statement(c, l);
    if (!v) {
        report_no_signer(c, l);
        return;
    }
    finding(c, CHECK_GOOD, "signature", "the key %s signed this content (%s)", v->by.key,
            v->by.file);
    check_name(c, v);
    check_release(c, v);
}

// ---- provenance ----

static bool is_source(const json_t *dependency)
{
    const char *name = provenance_at(dependency, "name");
    return strstr(name, ": local files") ||
           (*provenance_at(dependency, "uri") && !strstr(name, ": "));
}

// Sources one by one; what they consist of (packages, crates, patches) is counted.
static void report_sources(struct check_run *c, const json_t *definition)
{
    const json_t *list = json_object_get(definition, "resolvedDependencies");
    size_t shown = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        if (!is_source(one) || shown == SOURCES_SHOWN)
            continue;
        shown++;
        finding(c, CHECK_STATED, "source", "%s%s%s", provenance_at(one, "name"),
                *provenance_at(one, "uri") ? ": " : "", provenance_at(one, "uri"));
    }
    const size_t rest = json_array_size(list) - shown;
    if (rest)
        finding(c, CHECK_STATED, "source", "%s%zu %sinput%s, which the statement lists",
                shown ? "and " : "", rest, shown ? "other " : "", rest == 1 ? "" : "s");
}

static void report_provenance(struct check_run *c, const json_t *statement, const char *signer)
{
    const json_t *predicate = json_object_get(statement, "predicate");
    const json_t *definition = json_object_get(predicate, "buildDefinition");
    const json_t *parameters = json_object_get(definition, "externalParameters");
    const json_t *builder = json_object_get(json_object_get(predicate, "runDetails"), "builder");
    const char *target = provenance_at(parameters, "target");
    const char *arch = provenance_at(parameters, "architecture");
    if (signer)
        finding(c, CHECK_GOOD, "provenance", "about this content, and signed by the key %s",
                signer);
    else
        finding(
            c, CHECK_STATED, "provenance",
            "about this content; nobody signed it (--unsigned), so anybody may have written it");
    finding(c, CHECK_STATED, "provenance", "target %s%s%s, made by %s %s", *target ? target : "-",
            *arch ? " for " : "", arch, provenance_at(builder, "id"),
            provenance_at(json_object_get(builder, "version"), "kbuild"));
    report_sources(c, definition);
}

static const struct vouched *find_provenance(const struct vouched_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        if (statement_has_type(l->items[i].statement, PREDICATE_TYPE))
            return &l->items[i];
    return NULL;
}

// A statement without an envelope. It counts if its content was signed, or if nothing need be.
static void check_bare_statement(struct check_run *c, const json_t *statement,
                                 const struct vouched *is_signed)
{
    const char *file = c->r->provenance;
    if (!statement_has_type(statement, PREDICATE_TYPE))
        finding(c, CHECK_BAD, "provenance", "%s is no SLSA provenance", file);
    else if (!statement_subject(statement, c->digest))
        finding(c, CHECK_BAD, "provenance",
                "%s is not about this content: none of its subjects "
                "has its SHA-256",
                file);
    else if (!c->r->keys)
        report_provenance(c, statement, NULL);
    else if (is_signed && json_equal(is_signed->statement, statement))
        report_provenance(c, statement, is_signed->by.key);
    else
        finding(c, CHECK_BAD, "provenance",
                "%s is about this content, but nobody whom you trust signed it: anybody may have "
                "written it. `kbuild sign --provenance` makes a signed one",
                file);
}

// What --provenance names: a statement, or a bundle that has one.
static int check_given_provenance(struct check_run *c, const struct vouched *is_signed,
                                  struct error **err)
{
    const char *file = c->r->provenance;
    cleanup_buf struct buf text = {0};
    struct vouched_list own = {0};
    if (user_file_read(file, BUNDLE_MAX, &text, err) < 0)
        return error_wrap(err, "reading the provenance");
    json_auto_t *statement = statement_parse(text.data, text.len);
    if (statement) {
        check_bare_statement(c, statement, is_signed);
        return 0;
    }
    int result = c->r->keys ? bundle_read(&text, file, c->digest, c->r->keys, &own, err) : 0;
    const struct vouched *v = find_provenance(&own);
    if (v)
        report_provenance(c, v->statement, v->by.key);
    else if (!result)
        finding(c, CHECK_BAD, "provenance", "%s has none about this content%s", file,
                c->r->keys ? " that a trusted key signed" : "");
    vouched_free(&own);
    return result;
}

static int check_provenance(struct check_run *c, const struct vouched_list *l, struct error **err)
{
    const struct vouched *v = find_provenance(l);
    if (c->r->provenance)
        return check_given_provenance(c, v, err);
    if (v)
        report_provenance(c, v->statement, v->by.key);
    else
        finding(c, c->r->require_provenance ? CHECK_BAD : CHECK_SKIPPED, "provenance",
                "nobody states what this file was made of%s",
                c->r->require_provenance ? ", and --require-provenance asks for it" : "");
    return 0;
}

static int check_statements(struct check_run *c, struct error **err)
{
    struct vouched_list l = {0};
    cleanup_buf struct buf text = {0};
    int result = 0;
    if (!c->r->keys) {
        finding(c, CHECK_SKIPPED, "signature", "nobody vouches for this file (--unsigned)");
    } else {
        result = read_signature(c, &text, err);
        if (result > 0) {
            result = bundle_read(&text, "the bundle", c->digest, c->r->keys, &l, err);
            if (!result)
                check_signer(c, &l);
        }
    }
    if (!result)
        result = check_provenance(c, &l, err);
    vouched_free(&l);
    return result;
}

// ---- reproduction ----

static void report_line(const char *line, void *context)
{
    finding(context, CHECK_STATED, "reproduction", "%s", line);
}

static void report_others(struct check_run *c, bool bad, const struct strlist *labels,
                          const char *what)
{
    cleanup_free char *names = strlist_join(labels, ", ");
    if (labels->n)
        finding(c, bad ? CHECK_BAD : CHECK_SKIPPED, "reproduction", "%s, and not made here: %s",
                what, names);
}

// What was made before, or elsewhere, proves nothing: nobody signed the records of a cache, and a
// registry may be of the one who handed the file over. Whether the target and all that it was made
// of was made by this process.
static bool check_made_here(struct check_run *c)
{
    struct not_made n;
    build_not_made(c->r->build, &n);
    report_others(c, false, &n.found, "found in the cache (--trust-cache)");
    report_others(c, n.foreign_target, &n.shared, "from a registry");
    // A project's kbuild.yaml can name it, and may have come with the file.
    report_others(c, n.foreign_target || build_options(c->r->build)->anew, &n.named,
                  "taken as it is named (an image of a builder; --prebuilt, KBUILD_PREBUILT, "
                  "prebuilt in kbuild.yaml)");
    const bool all = !n.found.n && !n.shared.n && !n.named.n;
    not_made_free(&n);
    return all;
}

// Why two builds of it differ by intent, or NULL.
static const char *find_random(const struct build *b)
{
    for (size_t i = 0; i < b->graph.n; i++) {
        const char *why = job_of(b->graph.nodes[i])->asked ? build_random(b->graph.nodes[i]) : NULL;
        if (why)
            return why;
    }
    return NULL;
}

static void report_difference(struct check_run *c)
{
    const char *random = find_random(c->r->build);
    finding(c, CHECK_BAD, "reproduction", "this file is not what %s gives here%s%s", c->r->target,
            random ? ": " : "", random ? random : "");
}

static int check_reproduction(struct check_run *c, struct error **err)
{
    struct verify_options o = {.against = c->r->file};
    if (!c->r->build) {
        finding(c, CHECK_SKIPPED, "reproduction",
                "whether the same sources give this file: --reproduce=TARGET builds it here");
        return 0;
    }
    int differing = build_verify(c->r->build, &o, report_line, c, err);
    if (differing < 0)
        return -1;
    bool made = check_made_here(c);
    if (differing)
        report_difference(c);
    else if (made)
        finding(c, CHECK_GOOD, "reproduction", "%s, built here, is the same, byte by byte",
                c->r->target);
    else
        finding(c, CHECK_STATED, "reproduction",
                "what %s gives here is the same, byte by byte; that its sources give it is shown "
                "only if all of it is made here",
                c->r->target);
    return 0;
}

// ---- all ----

// What was checked and what has this name now must be one content.
static int check_unchanged(struct check_run *c, struct error **err)
{
    struct stat open_file, named;
    char again[DIGEST_HEX_SIZE];
    if (lseek(c->fd, 0, SEEK_SET) < 0 || fstat(c->fd, &open_file) < 0)
        return error_errno(err, errno, "reading %s", c->r->file);
    if (digest_fd(c->fd, c->r->file, again, NULL, err) < 0)
        return -1;
    // A pipe was copied, so what is open has no name.
    bool there = stat(c->r->file, &named) == 0;
    bool same = there && (S_ISREG(named.st_mode) ? same_inode(&open_file, &named) : !c->regular);
    if (strcmp(again, c->digest) != 0 || !same)
        finding(c, CHECK_BAD, "file",
                "it was changed or replaced while it was checked: nothing above holds");
    return 0;
}

static int run_checks(struct check_run *c, struct error **err)
{
    if (check_statements(c, err) < 0)
        return -1;
    c->content_good = 0;
    if (check_contents(c, err) < 0 || check_reproduction(c, err) < 0)
        return -1;
    // Exit status 0 needs something that was found, not only nothing that is wrong.
    if (!c->r->keys && !c->content_good && !c->bad)
        finding(c, CHECK_BAD, "file", "nobody vouches for it, and nothing in it could be checked");
    return check_unchanged(c, err);
}

int handover_check(const struct check_request *r, check_print *print, void *context,
                   struct error **err)
{
    struct check_run c = {
        .r = r, .print = print, .context = context, .regular = is_regular_file(r->file)};
    cleanup_close int fd = user_file_open(r->file, &c.size, err);
    if (fd < 0 || digest_fd(fd, r->file, c.digest, NULL, err) < 0)
        return -1;
    c.fd = fd;
    finding(&c, CHECK_STATED, "file", "%llu bytes, SHA-256 %s", (unsigned long long)c.size,
            c.digest);
    int result = run_checks(&c, err);
    free(c.release);
    return result < 0 ? error_wrap(err, "checking %s", r->file) : c.bad;
}
