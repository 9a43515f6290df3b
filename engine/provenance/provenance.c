// SPDX-License-Identifier: Apache-2.0
// Converts the records of sources, builders and root file systems to one row for each thing that
// was fetched (materials), and writes the statement: in-toto attestation framework, spec v1
// (statement.md, resource_descriptor.md); SLSA v1.0, provenance.
#include "provenance/provenance.h"

#include "http/libcurl.h"

#include <string.h>

#define BUILD_TYPE "urn:kbuild:action:1" // parameters and dependencies as docs/provenance.md says

// ---- rows ----

static struct material *add_row(struct materials *m)
{
    m->items = xgrow(m->items, &m->cap, m->n + 1, sizeof *m->items);
    m->items[m->n] = (struct material){0};
    return &m->items[m->n++];
}

void materials_free(struct materials *m)
{
    for (size_t i = 0; i < m->n; i++) {
        struct material *x = &m->items[i];
        char *const texts[] = {x->name,      x->version, x->uri,     x->purl,
                               x->algorithm, x->digest,  x->licence, x->supplier};
        for (size_t k = 0; k < ARRAY_LEN(texts); k++)
            free(texts[k]);
    }
    free(m->items);
    *m = (struct materials){0};
}

static char *copy_text(const char *text)
{
    return text && *text ? xstrdup(text) : NULL;
}

const char *provenance_at(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

char *purl_escape(const char *text)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_~:";
    struct buf out = {0};
    for (; *text; text++) {
        if (strchr(plain, *text))
            buf_add(&out, text, 1);
        else
            buf_printf(&out, "%%%02X", (unsigned char)*text);
    }
    return buf_take(&out);
}

// "pkg:deb/debian/bash@5.2?arch=amd64&distro=bookworm" (purl-spec, type deb)
static char *make_purl(const char *distribution, const char *codename, const char *package,
                       const char *version, const char *architecture)
{
    cleanup_free char *name = purl_escape(package), *at = purl_escape(version);
    cleanup_free char *distro = purl_escape(codename);
    const char *between = !*distro ? "" : *architecture ? "&distro=" : "?distro=";
    return xasprintf("pkg:deb/%s/%s%s%s%s%s%s%s", *distribution ? distribution : "debian", name,
                     *at ? "@" : "", at, *architecture ? "?arch=" : "", architecture, between,
                     distro);
}

static char *distribution_name(const char *id)
{
    static const struct {
        const char *id, *name;
    } names[] = {{"debian", "Debian"}, {"ubuntu", "Ubuntu"}};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (!strcmp(id, names[i].id))
            return xstrdup(names[i].name);
    return copy_text(id);
}

// The publisher of a URL: the host, and on a host of many projects also the first folder.
static char *find_publisher(const char *url)
{
    const char *host = strstr(url, "://");
    if (!host || !host[3] || host[3] == '/')
        return NULL;
    host += 3;
    const char *at = strchr(host, '@'), *slash = strchr(host, '/');
    if (at && (!slash || at < slash))
        host = at + 1;
    size_t n = strcspn(host, "/");
    bool shared = starts_with(host, "git") && host[n]; // github.com, gitlab.com
    size_t folder = shared ? 1 + strcspn(host + n + 1, "/") : 0;
    return xstrndup(host, n + folder);
}

// ---- sources ----

static void add_git(const char *name, const char *licence, const json_t *p, struct materials *out)
{
    const char *url = provenance_at(p, "url"), *commit = provenance_at(p, "commit");
    const char *ref = provenance_at(p, "ref");
    struct material *m = add_row(out);
    m->name = xstrdup(name);
    m->version = copy_text(*ref ? ref : commit);
    m->uri = xasprintf("git+%s@%s", url, commit);
    m->algorithm = xstrdup("gitCommit");
    m->digest = copy_text(commit);
    m->licence = copy_text(licence);
    m->supplier = find_publisher(url);
    const json_t *list = json_object_get(p, "submodules");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *sub = json_array_get(list, i);
        m = add_row(out);
        m->role = MATERIAL_SUBMODULE;
        m->name = xasprintf("%s: submodule %s", name, provenance_at(sub, "path"));
        m->version = copy_text(provenance_at(sub, "commit"));
        m->uri = xasprintf("git+%s@%s", provenance_at(sub, "url"), provenance_at(sub, "commit"));
        m->algorithm = xstrdup("gitCommit");
        m->digest = copy_text(provenance_at(sub, "commit"));
        m->supplier = find_publisher(provenance_at(sub, "url"));
    }
}

// pkg:oci/<name>@sha256%3A<digest>?arch=s390x&repository_url=<registry>/<repository>&tag=<tag>
// (purl-spec, type oci)
static void add_image(const char *name, const char *licence, const json_t *p, struct materials *out)
{
    const char *repository = provenance_at(p, "repository"), *digest = provenance_at(p, "manifest");
    const char *tag = provenance_at(p, "tag");
    cleanup_free char *base = purl_escape(path_base(repository)), *at = purl_escape(tag);
    struct material *m = add_row(out);
    m->name = xstrdup(name);
    m->version = *tag ? xstrdup(tag) : xasprintf("sha256:%s", digest);
    m->purl = xasprintf("pkg:oci/%s@sha256%%3A%s?arch=%s&repository_url=%s%s%s", base, digest,
                        provenance_at(p, "architecture"), repository, *tag ? "&tag=" : "", at);
    m->uri = xasprintf("docker://%s@sha256:%s", repository, digest);
    m->algorithm = xstrdup("sha256");
    m->digest = copy_text(digest);
    m->licence = copy_text(licence);
    m->supplier = xstrndup(repository, strcspn(repository, "/"));
}

// The local path is private and is left out; the digest of the tree is beside it.
static void add_local(const char *name, const char *licence, const json_t *p, struct materials *out)
{
    const char *commit = provenance_at(p, "commit");
    bool dirty = json_is_true(json_object_get(p, "dirty"));
    struct material *m = add_row(out);
    m->name = xasprintf("%s: local files%s%s%s", name, *commit ? " of commit " : "", commit,
                        dirty ? ", changed" : "");
    m->version = *commit ? xasprintf("%s%s", commit, dirty ? "-dirty" : "") : NULL;
    m->algorithm = xstrdup("kbuildTree");
    m->digest = copy_text(provenance_at(p, "tree"));
}

static void add_archive(const char *name, const char *licence, const json_t *p,
                        struct materials *out)
{
    struct material *m = add_row(out);
    m->name = xstrdup(name);
    m->uri = copy_text(provenance_at(p, "url"));
    m->version = copy_text(m->uri ? path_base(m->uri) : NULL); // "linux-6.7.tar.xz"
    m->algorithm = xstrdup("sha256");
    m->digest = copy_text(provenance_at(p, "sha256"));
    m->licence = copy_text(licence);
    m->supplier = find_publisher(provenance_at(p, "url"));
}

static void add_debian(const char *name, const char *licence, const json_t *p,
                       struct materials *out)
{
    const char *source = provenance_at(p, "source");
    const char *package = *source ? source : provenance_at(p, "package");
    const json_t *files = json_object_get(p, "files");
    for (size_t i = 0; i < json_array_size(files); i++) {
        const json_t *file = json_array_get(files, i);
        struct material *m = add_row(out);
        m->name = json_array_size(files) == 1
                      ? xstrdup(name)
                      : xasprintf("%s: %s", name, provenance_at(file, "name"));
        m->version = copy_text(provenance_at(p, "version"));
        const json_t *distribution = json_object_get(p, "distribution");
        const char *id = provenance_at(distribution, "id");
        m->purl = make_purl(id, provenance_at(distribution, "codename"), package,
                            provenance_at(p, "version"), *source ? "source" : "");
        m->supplier = distribution_name(id);
        m->uri = xstrdup(m->purl);
        m->algorithm = xstrdup("sha256");
        m->digest = copy_text(provenance_at(file, "sha256"));
        m->licence = copy_text(licence);
    }
}

char *purl_version(const char *purl)
{
    const char *at = strrchr(purl, '@');
    if (!at || !at[1])
        return NULL;
    cleanup_free char *raw = xstrndup(at + 1, strcspn(at + 1, "?#"));
    int length = 0;
    char *decoded = curl_easy_unescape(NULL, raw, 0, &length);
    char *version =
        decoded && (size_t)length == strlen(decoded) ? copy_text(decoded) : copy_text(raw);
    curl_free(decoded);
    return version;
}

// One row for each file or tree of a list.
static void add_list(const char *name, const char *licence, const json_t *p, struct materials *out)
{
    const json_t *list = json_object_get(p, "entries");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *e = json_array_get(list, i);
        const char *url = provenance_at(e, "url"), *commit = provenance_at(e, "commit");
        struct material *m = add_row(out);
        m->role = MATERIAL_ENTRY;
        m->name = xasprintf("%s: %s", name, provenance_at(e, "name"));
        m->purl = copy_text(provenance_at(e, "purl"));
        m->uri = *commit ? xasprintf("git+%s@%s", url, commit) : copy_text(url);
        m->version = m->purl ? purl_version(m->purl) : NULL;
        if (!m->version)
            m->version = copy_text(*commit ? commit : path_base(url));
        m->algorithm = xstrdup(*commit ? "gitCommit" : "sha256");
        m->digest = copy_text(*commit ? commit : provenance_at(e, "sha256"));
        m->licence = copy_text(licence);
        m->supplier = find_publisher(url);
    }
}

static void add_patches(const char *name, const json_t *p, struct materials *out)
{
    const json_t *list = json_object_get(p, "patches");
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct material *m = add_row(out);
        m->role = MATERIAL_PATCH;
        m->name = xasprintf("%s: patch %s", name, provenance_at(json_array_get(list, i), "name"));
        m->algorithm = xstrdup("sha256");
        m->digest = copy_text(provenance_at(json_array_get(list, i), "sha256"));
    }
}

void materials_of_source(const char *name, const char *licence, const json_t *record,
                         struct materials *out)
{
    static const struct {
        const char *kind;
        void (*add)(const char *name, const char *licence, const json_t *provenance,
                    struct materials *out);
    } kinds[] = {{"git", add_git},   {"archive", add_archive}, {"debian", add_debian},
                 {"list", add_list}, {"local", add_local},     {"image", add_image}};
    const json_t *p = json_object_get(record, "provenance");
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (!strcmp(provenance_at(p, "kind"), kinds[i].kind))
            kinds[i].add(name, licence, p, out);
    add_patches(name, p, out);
}

void materials_of_node(const struct node *node, const json_t *record, struct materials *out)
{
    const struct recipe *r = job_of(node)->recipe;
    const char *colon = strchr(node->name, ':'), *name = colon ? colon + 1 : node->name;
    const char *licence = NULL;
    for (size_t i = 0; i < r->source_count; i++)
        if (!strcmp(r->sources[i].name, name))
            licence = r->sources[i].licence;
    materials_of_source(name, licence, record, out);
}

// ---- packages ----

void materials_of_packages(const struct job *job, const json_t *record, struct materials *out)
{
    const json_t *list = json_object_get(json_object_get(record, "provenance"), "packages");
    const char *id = job->distribution.id ? job->distribution.id : "";
    const char *codename = job->distribution.codename ? job->distribution.codename : "";
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *p = json_array_get(list, i);
        struct material *m = add_row(out);
        m->name = xstrdup(provenance_at(p, "name"));
        m->version = copy_text(provenance_at(p, "version"));
        m->purl = make_purl(id, codename, m->name, provenance_at(p, "version"),
                            provenance_at(p, "architecture"));
        m->supplier = distribution_name(id);
        m->uri = xstrdup(m->purl);
        m->digest = copy_text(provenance_at(p, "sha256"));
        m->algorithm = copy_text(m->digest ? "sha256" : NULL);
        m->licence = copy_text(provenance_at(p, "licence"));
    }
}

// ---- records ----

json_t *provenance_record(struct build *b, const struct node *node, struct error **err)
{
    json_t *record = NULL;
    int found = *node->key ? store_action_get(b->store, node->key, &record, err) : 0;
    if (!found) {
        error_user(err, "%s has not been built from its current inputs", node_label(node));
        const char *target = job_of(node)->recipe ? job_of(node)->recipe->name : "TARGET";
        error_hint(err, "build it first: kbuild %s", target);
    }
    if (found > 0 && node->kind == NODE_SOURCE)
        source_local_provenance(&job_of(node)->spec, &job_of(node)->pin,
                                json_object_get(record, "provenance"));
    return record;
}

char *provenance_text(const json_t *document)
{
    cleanup_free char *text = json_dumps(document, JSON_INDENT(2) | JSON_SORT_KEYS);
    return xasprintf("%s\n", text ? text : "null");
}

// ---- the lines of the key text ----

static void each_key_line(const json_t *record, key_line_visit *visit, json_t *out)
{
    key_text_read(provenance_at(record, "key_text"), visit, out);
}

static void add_line(const struct key_line *line, void *out)
{
    json_array_append_new(out, json_string(line->text));
}

static void add_variable(const struct key_line *line, void *out)
{
    if (line->kind != KEY_VARIABLE)
        return;
    json_t *list = json_object_get(out, line->name); // a variable may be several files
    if (!list) {
        list = json_array();
        json_object_set_new(out, line->name, list);
    }
    json_array_append_new(list, json_string(line->value));
}

static void add_digest(const struct key_line *line, const char *algorithm, json_t *out)
{
    json_array_append_new(
        out, json_pack("{s:s, s:{s:s}}", "name", line->name, "digest", algorithm, line->value));
}

static void add_file(const struct key_line *line, void *out)
{
    if (line->kind == KEY_FILE)
        add_digest(line, "sha256", out);
}

// The folders that a person may have changed (run/internal.h).
static void add_work(const struct key_line *line, void *out)
{
    if (line->kind == KEY_WORK)
        add_digest(line, "kbuildTree", out);
}

// ---- inputs ----

static void add_materials(const struct materials *m, json_t *out)
{
    for (size_t i = 0; i < m->n; i++) {
        const struct material *x = &m->items[i];
        json_t *item = json_pack("{s:s, s:s*}", "name", x->name, "uri", x->uri);
        if (x->algorithm && x->digest)
            json_object_set_new(item, "digest", json_pack("{s:s}", x->algorithm, x->digest));
        json_array_append_new(out, item);
    }
}

static void add_outputs(const struct node *node, json_t *out)
{
    for (size_t i = 0; i < node->output_count; i++) {
        const struct node_output *o = &node->outputs[i];
        if (o->side)
            continue;
        cleanup_free char *name = xasprintf("%s: %s", node->name, o->name);
        json_t *item = json_pack("{s:s, s:{s:s}}", "name", name, "digest",
                                 o->tree ? "kbuildTree" : "sha256", o->digest);
        json_array_append_new(out, item);
    }
}

static int add_input(struct build *b, const struct node *input, json_t *out, struct error **err)
{
    add_outputs(input, out);
    if (input->kind != NODE_SOURCE)
        return 0;
    json_auto_t *record = provenance_record(b, input, err);
    if (!record)
        return -1;
    struct materials m = {0};
    materials_of_node(input, record, &m);
    add_materials(&m, out);
    materials_free(&m);
    if (job_of(input)->list) // the scripts that printed them
        each_key_line(record, add_file, out);
    return 0;
}

// An artifact that was taken instead of made.
static void add_prebuilt(const json_t *record, json_t *out)
{
    const json_t *from = json_object_get(json_object_get(record, "provenance"), "prebuilt");
    cleanup_free char *uri = xasprintf("docker://%s", provenance_at(from, "reference"));
    if (from)
        json_array_append_new(out, json_pack("{s:s, s:s, s:{s:s}}", "name", "prebuilt", "uri", uri,
                                             "digest", "sha256", provenance_at(from, "digest")));
}

// Files fetched to check the inputs (revocation lists), which are not inputs.
static void add_fetched(const json_t *record, json_t *out)
{
    const json_t *list = json_object_get(json_object_get(record, "provenance"), "fetched");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        json_array_append_new(out, json_pack("{s:s, s:s, s:{s:s}}", "name", "fetched", "uri",
                                             provenance_at(one, "url"), "digest", "sha256",
                                             provenance_at(one, "sha256")));
    }
}

static json_t *list_dependencies(struct build *b, const struct node *node, const json_t *record,
                                 struct error **err)
{
    json_auto_t *list = json_array();
    for (size_t i = 0; i < node->need_count; i++)
        if (node->needs[i].input && add_input(b, node->needs[i].node, list, err) < 0)
            return NULL;
    each_key_line(record, add_file, list);
    each_key_line(record, add_work, list);
    add_prebuilt(record, list);
    add_fetched(record, list);
    return steal(list);
}

// ---- results ----

static json_t *list_results(const struct node *node, bool side)
{
    json_t *list = json_array();
    for (size_t i = 0; i < node->output_count; i++) {
        const struct node_output *o = &node->outputs[i];
        if (o->side == side)
            json_array_append_new(list, json_pack("{s:s, s:{s:s}}", "name", o->name, "digest",
                                                  o->tree ? "kbuildTree" : "sha256", o->digest));
    }
    return list;
}

static json_t *make_definition(struct build *b, const struct node *node, const json_t *record,
                               struct error **err)
{
    const struct job *job = job_of(node);
    json_t *materials = list_dependencies(b, node, record, err);
    if (!materials)
        return NULL;
    json_t *variables = json_object(), *text = json_array();
    each_key_line(record, add_variable, variables);
    each_key_line(record, add_line, text);
    json_t *external =
        json_pack("{s:s, s:s*, s:o}", "target", job->recipe ? job->recipe->name : node->name,
                  "architecture", job->target ? job->target->name : NULL, "variables", variables);
    return json_pack("{s:s, s:o, s:{s:s, s:o}, s:o}", "buildType", BUILD_TYPE, "externalParameters",
                     external, "internalParameters", "key", node->key, "keyText", text,
                     "resolvedDependencies", materials);
}

json_t *provenance_statement(struct build *b, const struct node *node, struct error **err)
{
    json_auto_t *record = provenance_record(b, node, err);
    json_t *what = record ? make_definition(b, node, record, err) : NULL;
    if (!what)
        return NULL;
    const char *version = provenance_at(record, "kbuild");
    json_t *run = json_pack("{s:{s:s, s:{s:s}}, s:{s:s}, s:o}", "builder", "id", "urn:kbuild",
                            "version", "kbuild", *version ? version : "unknown", "metadata",
                            "invocationId", node->key, "byproducts", list_results(node, true));
    return json_pack("{s:s, s:o, s:s, s:{s:o, s:o}}", "_type", "https://in-toto.io/Statement/v1",
                     "subject", list_results(node, false), "predicateType", PREDICATE_TYPE,
                     "predicate", "buildDefinition", what, "runDetails", run);
}
