// SPDX-License-Identifier: Apache-2.0
// Takes artifacts from a registry instead of making them, and checks their files and sums.
#include "run/internal.h"

#include "base/error.h"
#include "share/share.h"

#include <string.h>

enum { SUMS_LIMIT = 1 << 20 };

// ---- selection ----

static const char *set_or(const char *name, const char *otherwise)
{
    const char *value = getenv(name);
    return value && *value ? value : otherwise;
}

// Upstream's repository of an artefact, and the tag that its pipelines pull.
static char *upstream_repository(const char *target, struct error **err)
{
    const char *registry = set_or("ARTEFACT_REGISTRY", NULL);
    if (!registry) {
        error_user(err, "%s is to be taken prebuilt, but ARTEFACT_REGISTRY names no registry",
                   target);
        error_hint(err, "set it and ARTEFACT_REPOSITORY, or say from where: %s=REFERENCE", target);
        return NULL;
    }
    return xasprintf("%s/%s/cached-artefacts/%s", registry,
                     set_or("ARTEFACT_REPOSITORY", "kata-containers"), target);
}

static char *complete(const char *given, const char *target, const struct arch *arch,
                      struct error **err)
{
    cleanup_free char *repository = given ? xstrdup(given) : upstream_repository(target, err);
    struct reference r;
    if (!repository || reference_parse(repository, &r, err) < 0)
        return NULL;
    if (!r.tag && !r.digest) {
        cleanup_free char *latest = xasprintf("latest-%s", set_or("TARGET_BRANCH", "main"));
        r.tag = registry_tag(latest, arch->name);
    }
    char *out = reference_text(&r);
    reference_free(&r);
    return out;
}

int prebuilt_check(struct build *b, struct error **err)
{
    cleanup_strlist struct strlist items = {0};
    strlist_split(&items, b->options.prebuilt ? b->options.prebuilt : "", ",");
    for (size_t i = 0; i < items.n; i++) {
        char *equals = strchr(items.items[i], '=');
        struct reference r = {0};
        if (equals)
            *equals++ = '\0';
        bool good = !equals || reference_parse(equals, &r, err) == 0;
        reference_free(&r);
        if (!good || (*items.items[i] && !recipe_get(b->recipes, items.items[i], err)))
            return error_wrap(err, "the list of prebuilt artifacts");
    }
    return 0;
}

int prebuilt_find(struct build *b, const char *target, const struct arch *arch, char **reference,
                  struct error **err)
{
    cleanup_strlist struct strlist items = {0};
    strlist_split(&items, b->options.prebuilt ? b->options.prebuilt : "", ",");
    int found = 0;
    for (size_t i = 0; i < items.n; i++) {
        char *item = items.items[i], *equals = strchr(item, '=');
        if (equals)
            *equals++ = '\0';
        if (!*item)
            continue;
        if (!recipe_get(b->recipes, item, err))
            return error_wrap(err, "the list of prebuilt artifacts");
        if (strcmp(item, target) != 0)
            continue;
        free(*reference);
        *reference = complete(equals, target, arch, err);
        if (!*reference)
            return error_wrap(err, "the list of prebuilt artifacts");
        found = 1;
    }
    return found;
}

int identify_prebuilt(struct build *b, struct node *node, bool resolve, struct error **err)
{
    struct job *job = job_of(node);
    int found = image_pin(b, job->prebuilt, resolve, job->image_digest, &job->pin_fresh, err);
    if (found <= 0)
        return found < 0 ? error_wrap(err, "the prebuilt %s", job->recipe->name) : 0;
    buf_printf(&node->identity, "format %s\ntarget %s\nprebuilt sha256:%s\n", RUN_FORMAT,
               job->target->name, job->image_digest);
    node->identified = true;
    return 0;
}

// ---- its files ----
// The file list of a prebuilt artifact's manifest, and the SHA-256 sums beside it.

enum { FILES_MAX = 64 };

static const struct prebuilt_file *find_file(const struct prebuilt_files *f, const char *title)
{
    for (size_t i = 0; i < f->n; i++)
        if (!strcmp(f->items[i].title, title))
            return &f->items[i];
    return NULL;
}

static int read_file(const json_t *layer, struct prebuilt_files *out, struct error **err)
{
    const char *title =
        json_string_value(json_object_get(json_object_get(layer, "annotations"), OCI_TITLE));
    const char *hex = oci_descriptor_digest(layer, NULL);
    json_int_t size = json_integer_value(json_object_get(layer, "size"));
    if (!title)
        return 0; // a tree pushed by kbuild, no file
    if (starts_with(title, "./"))
        title += 2;
    if (!path_is_clean(title) || strchr(title, '/') || strchr(title, '\n'))
        return error_user(err, "it names a file outside the artifact: %.200s", title);
    if (!hex || size < 0)
        return error_user(err, "it does not say where %s is", title);
    if (find_file(out, title))
        return error_user(err, "it has %s twice", title);
    out->items[out->n++] = (struct prebuilt_file){title, hex, (uint64_t)size};
    return 0;
}

int prebuilt_files_read(const json_t *manifest, struct prebuilt_files *out, struct error **err)
{
    const json_t *layers = json_object_get(manifest, "layers");
    size_t n = json_array_size(layers);
    if (n > FILES_MAX)
        return error_user(err, "it has %zu files; the limit is %d", n, FILES_MAX);
    out->items = xcalloc(n + 1, sizeof *out->items);
    for (size_t i = 0; i < n; i++)
        if (read_file(json_array_get(layers, i), out, err) < 0)
            return -1;
    return 0;
}

const struct prebuilt_file *prebuilt_tarball(const struct prebuilt_files *f, const char *output)
{
    static const char *const formats[] = {"xz", "zst"};
    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        cleanup_free char *name = xasprintf("kata-static-%s.tar.%s", output, formats[i]);
        const struct prebuilt_file *found = find_file(f, name);
        if (found)
            return found;
    }
    return NULL;
}

// "<64 hex digits>  <name>" or "<64 hex digits> *<name>"; in place.
static bool split_line(char *line, const char **digest, const char **name)
{
    size_t n = strlen(line);
    if (n < 67 || line[64] != ' ' || (line[65] != ' ' && line[65] != '*'))
        return false;
    line[64] = '\0';
    *digest = line;
    *name = path_base(line + 66);
    return digest_is_hex(line);
}

int prebuilt_check_sums(const struct prebuilt_files *f, const char *target, const char *sums,
                        struct error **err)
{
    const struct prebuilt_file *tarball = prebuilt_tarball(f, target);
    cleanup_strlist struct strlist lines = {0};
    bool named = false;
    strlist_split(&lines, sums, "\n");
    for (size_t i = 0; i < lines.n; i++) {
        const char *digest, *name;
        if (!*lines.items[i])
            continue;
        if (!split_line(lines.items[i], &digest, &name))
            return error_user(err, "line %zu of its %s-sha256sum is no sum", i + 1, target);
        const struct prebuilt_file *file = find_file(f, name);
        if (!file)
            return error_user(err, "its %s-sha256sum names %.200s, which it does not have", target,
                              name);
        if (strcmp(file->digest, digest) != 0)
            return error_user(err, "%s has the SHA-256 %s, but its %s-sha256sum says %s", name,
                              file->digest, target, digest);
        named |= file == tarball;
    }
    return named ? 0
                 : error_user(err, "its %s-sha256sum does not name kata-static-%s.tar.*", target,
                              target);
}

// ---- signatures ----

// With trusted keys, only an entry pushed by kbuild for this target and signed with one of them:
// upstream's artefacts have no signature. 1: it is such an entry; 0: no keys are set.
static int check_trust(const struct trusted_keys *keys, const struct node *node,
                       struct registry *registry, struct entry *e, struct error **err)
{
    if (!keys)
        return 0;
    int trusted = entry_trusted_for(keys, registry, node, e, err);
    if (trusted)
        return trusted;
    error_user(err, "no key of KBUILD_TRUSTED_KEYS signed it as %s for %s",
               job_of(node)->recipe->name, job_of(node)->target->name);
    return error_hint(err, "what upstream's pipelines push is not signed: it can be used without "
                           "KBUILD_TRUSTED_KEYS only");
}

// ---- content ----

struct prebuilt_pull {
    struct build *b;
    struct node *node;
    json_t *record;
    struct registry *registry;
    struct entry entry;
    struct prebuilt_files all, files; // of the manifest; those of them that are taken
    bool unanswered;                  // the registry failed, which says nothing about the artifact
};

static int get_manifest(struct prebuilt_pull *t, struct error **err)
{
    cleanup_free char *what = xasprintf("sha256:%s", job_of(t->node)->image_digest);
    cleanup_free char *type = NULL;
    struct entry *e = &t->entry;
    int found = registry_get_manifest(t->registry, what, &e->text, &type, e->digest, err);
    if (found < 0) {
        t->unanswered = !registry_was_wrong(t->registry);
        return -1;
    }
    if (!found) {
        t->unanswered = registry_was_denied(t->registry) != NOT_DENIED;
        return error_user(err, "the registry does not have %s any more", what);
    }
    e->size = e->text.len;
    e->manifest = json_loadb(e->text.data, e->text.len, JSON_REJECT_DUPLICATES, NULL);
    return e->manifest ? 0 : error_user(err, "its manifest is no JSON");
}

static int pull_files(struct prebuilt_pull *t, struct error **err)
{
    size_t n = t->files.n;
    cleanup_free struct blob_draft *drafts = xcalloc(n + 1, sizeof *drafts);
    cleanup_free struct registry_blob *blobs = xcalloc(n + 1, sizeof *blobs);
    int result = 0;
    size_t begun = 0;
    for (; begun < n && !result; begun++) {
        result = store_blob_begin(t->b->store, &drafts[begun], err);
        blobs[begun] = (struct registry_blob){.digest = t->files.items[begun].digest,
                                              .size = t->files.items[begun].size,
                                              .fd = drafts[begun].fd};
    }
    phase("downloading");
    if (!result) {
        result = registry_pull_blobs(t->registry, blobs, n, err);
        t->unanswered = result < 0 && !registry_was_wrong(t->registry);
    }
    for (size_t i = 0; i < begun; i++) {
        char digest[DIGEST_HEX_SIZE] = "";
        if (!result && blobs[i].missing)
            result = error_user(err, "the registry has lost %s", t->files.items[i].title);
        if (result)
            store_blob_abandon(&drafts[i]);
        else
            result = store_blob_commit(t->b->store, &drafts[i], digest, NULL, err);
        if (!result && strcmp(digest, blobs[i].digest) != 0)
            result = error_user(err, "%s came as %s", t->files.items[i].title, digest);
    }
    return result;
}

static int check_sums(struct prebuilt_pull *t, struct error **err)
{
    const char *target = job_of(t->node)->recipe->name;
    cleanup_free char *name = xasprintf("%s-sha256sum", target);
    const struct prebuilt_file *file = find_file(&t->files, name);
    cleanup_buf struct buf text = {0};
    if (!file)
        return error_user(err, "it has no %s: it is no artefact of %s", name, target);
    cleanup_close int fd = store_open_blob(t->b->store, file->digest, err);
    if (fd < 0 || fd_read_all(fd, name, SUMS_LIMIT, &text, err) < 0)
        return -1;
    buf_add(&text, "", 1);
    return prebuilt_check_sums(&t->all, target, text.data, err);
}

// The recipe's tarballs in its order, then all other files unchanged beside them.
static int record_files(struct prebuilt_pull *t, struct error **err)
{
    const struct recipe *r = job_of(t->node)->recipe;
    cleanup_free char *sums = xasprintf("%s-sha256sum", r->name);
    for (size_t i = 0; i < r->outputs.n; i++) {
        const struct prebuilt_file *file = prebuilt_tarball(&t->files, r->outputs.items[i]);
        if (!file)
            return error_user(err, "it has no kata-static-%s.tar.*", r->outputs.items[i]);
        record_output(t->record, file->title, file->digest, false, file->size);
    }
    for (size_t i = 0; i < t->files.n; i++) {
        const struct prebuilt_file *file = &t->files.items[i];
        bool tarball = false;
        for (size_t k = 0; k < r->outputs.n; k++) {
            const struct prebuilt_file *its = prebuilt_tarball(&t->files, r->outputs.items[k]);
            tarball |= its && its == file;
        }
        if (!tarball && strcmp(file->title, sums) != 0) // the sums are written again
            record_side_file(t->record, file->title, file->digest, file->size);
    }
    return 0;
}

static bool is_output(const json_t *record, const char *name)
{
    const json_t *list = json_object_get(record, "outputs");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *its = json_string_value(json_object_get(json_array_get(list, i), "name"));
        if (its && !strcmp(its, name))
            return true;
    }
    return false;
}

// A signature covers the outputs only; anybody may have added other files to the manifest.
static void keep_signed(struct prebuilt_pull *t)
{
    cleanup_free char *sums = xasprintf("%s-sha256sum", job_of(t->node)->recipe->name);
    size_t kept = 0;
    for (size_t i = 0; i < t->files.n; i++)
        if (is_output(t->entry.record, t->files.items[i].title) ||
            !strcmp(t->files.items[i].title, sums))
            t->files.items[kept++] = t->files.items[i];
    t->files.n = kept;
}

// Keeps only names that the target itself would produce: others could belong to another target.
static void keep_allowed(struct prebuilt_pull *t)
{
    t->files.items = xcalloc(t->all.n + 1, sizeof *t->files.items);
    for (size_t i = 0; i < t->all.n; i++) {
        const char *title = t->all.items[i].title;
        const struct output_claim tarball = {title, "blob", false}, side = {title, "blob", true};
        if (output_allowed(t->node, &tarball) || output_allowed(t->node, &side))
            t->files.items[t->files.n++] = t->all.items[i];
        else
            log_note("%s has %s, which is no output of %s: it is left out",
                     job_of(t->node)->prebuilt, title, job_of(t->node)->recipe->name);
    }
}

static int take(struct prebuilt_pull *t, struct error **err)
{
    int vouched;
    if (get_manifest(t, err) < 0 ||
        (vouched = check_trust(t->b->trusted, t->node, t->registry, &t->entry, err)) < 0 ||
        prebuilt_files_read(t->entry.manifest, &t->all, err) < 0)
        return -1;
    keep_allowed(t);
    if (vouched)
        keep_signed(t);
    entry_mark(&t->entry, t->record);
    return pull_files(t, err) < 0 || check_sums(t, err) < 0 ? -1 : record_files(t, err);
}

int make_prebuilt(struct build *b, struct node *node, json_t *record, struct error **err)
{
    const struct job *job = job_of(node);
    struct prebuilt_pull t = {.b = b, .node = node, .record = record};
    if (b->options.offline) {
        error_user(err, "the prebuilt %s is not in the cache, and --offline forbids downloading it",
                   job->label);
        return error_hint(err, "run `kbuild fetch` once with the network");
    }
    struct reference name;
    if (reference_parse(job->prebuilt, &name, err) < 0)
        return -1;
    phase("asking the registry");
    t.registry = image_registry(&name, err);
    int result = t.registry ? take(&t, err) : -1;
    bool unusable = t.registry && !t.unanswered && !registry_is_down(t.registry) && result &&
                    error_may_blame_content(*err);
    if (result)
        image_unpin(b, job, job->prebuilt, unusable, err);
    if (t.registry)
        registry_close(t.registry);
    reference_free(&name);
    entry_free(&t.entry);
    free(t.all.items);
    free(t.files.items);
    json_object_set_new(
        json_object_get(record, "provenance"), "prebuilt",
        json_pack("{s:s, s:s}", "reference", job->prebuilt, "digest", job->image_digest));
    return result ? error_wrap(err, "taking %s from %s", job->label, job->prebuilt) : 0;
}
